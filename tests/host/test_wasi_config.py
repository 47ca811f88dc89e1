"""wasi:config: the variables of the worker."""

from __future__ import annotations

from pathlib import Path

from golem_server.host import golem_api_host, wasi_config
from tests.host.host_worker import HostWorker


async def test_variables_are_those_of_the_worker(tmp_path: Path) -> None:
    config = {"k1": "v1", "k2": "", "a.b": '{"c":1}'}
    interfaces = [*wasi_config.INTERFACES, *golem_api_host.INTERFACES]
    worker = await HostWorker.create(tmp_path, interfaces, config=config)
    assert await worker.call("wasi:config/store", "get", "k1") == ("ok", "v1")
    assert await worker.call("wasi:config/store", "get", "k2") == ("ok", "")
    assert await worker.call("wasi:config/store", "get", "k3") == ("ok", None)
    assert await worker.call("wasi:config/store", "get-all") == ("ok", list(config.items()))
    assert await worker.host_calls() == []
    metadata = await worker.call("golem:api/host", "get-self-metadata")
    assert metadata["wasi-config-vars"] == list(config.items())
