"""Every host interface of the server: what app.py hands to the executor's linker."""

from __future__ import annotations

from collections.abc import Mapping

from golem_server.durable.host_function import HostInterface
from golem_server.durable.virtual_functions import VirtualFunction
from golem_server.host import (
    golem_agent,
    golem_agent_rpc,
    golem_api_host,
    golem_context,
    golem_core,
    golem_durability,
    golem_oplog,
    golem_promises,
    golem_quota,
    golem_rdbms,
    golem_resolve,
    golem_retry,
    golem_rpc,
    golem_websocket,
    golem_workers,
    wasi_blobstore,
    wasi_cli,
    wasi_clocks,
    wasi_config,
    wasi_filesystem,
    wasi_http,
    wasi_http_incoming,
    wasi_io,
    wasi_ip_name_lookup,
    wasi_keyvalue,
    wasi_logging,
    wasi_random,
    wasi_sockets,
)

ALL: list[HostInterface] = [
    *wasi_io.INTERFACES,
    *wasi_cli.INTERFACES,
    *wasi_clocks.INTERFACES,
    *wasi_random.INTERFACES,
    *wasi_filesystem.INTERFACES,
    *wasi_logging.INTERFACES,
    *wasi_http.INTERFACES,
    *wasi_http_incoming.INTERFACES,
    *wasi_keyvalue.INTERFACES,
    *wasi_blobstore.INTERFACES,
    *wasi_config.INTERFACES,
    *wasi_ip_name_lookup.INTERFACES,
    *wasi_sockets.INTERFACES,
    *golem_websocket.INTERFACES,
    *golem_api_host.INTERFACES,
    *golem_promises.INTERFACES,
    *golem_rpc.INTERFACES,
    *golem_resolve.INTERFACES,
    *golem_core.INTERFACES,
    *golem_agent.INTERFACES,
    *golem_agent_rpc.INTERFACES,
    *golem_workers.INTERFACES,
    *golem_context.INTERFACES,
    *golem_durability.INTERFACES,
    *golem_retry.INTERFACES,
    *golem_quota.INTERFACES,
    *golem_oplog.INTERFACES,
    *golem_rdbms.INTERFACES,
]
"""The interfaces of all modules of this room."""

VIRTUAL_FUNCTIONS: Mapping[str, VirtualFunction] = wasi_http_incoming.VIRTUAL_FUNCTIONS
"""The functions that are added to components, by their names."""
