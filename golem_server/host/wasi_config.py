"""wasi:config 0.2.0-draft: the configuration variables that the worker was created with.

They never change, so that nothing of it is recorded.
"""

from __future__ import annotations

from golem_server.durable.context import WorkerContext
from golem_server.durable.host_function import HostInterface
from golem_server.model.types import Value

store = HostInterface("wasi:config/store")

INTERFACES = [store]


@store.unrecorded("get")
def get(context: WorkerContext, key: str) -> Value:
    """The value of a variable, if there is one."""
    return ("ok", context.config.get(key))


@store.unrecorded("get-all")
def get_all(context: WorkerContext) -> Value:
    """All variables."""
    return ("ok", list(context.config.items()))
