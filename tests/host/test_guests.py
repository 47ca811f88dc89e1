"""Guests in real wasm call host functions, live and in replay."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import wasmtime

from golem_server.durable.signals import SuspendWorker
from golem_server.host.catalog import ALL
from golem_server.host.golem_records import promise_id_of, worker_id_record
from golem_server.model.types import Value
from golem_server.wasm.code_cache import CodeCache
from golem_server.wasm.engine import Engine
from golem_server.wasm.instance import Instance, Limits
from golem_server.wasm.linking import LinkedComponent
from tests.guests.host_calls import ENVIRONMENT, SLEEP, promise_guest
from tests.host.host_worker import START_NS, WORKER_ID, HostWorker


class Guest:
    """One instance after the other of a guest, over one worker's oplog."""

    def __init__(self, worker: HostWorker, engine: Engine, code: CodeCache, text: str) -> None:
        self.worker = worker
        self._engine = engine
        self._code = code
        self._wasm = bytes(wasmtime.wat2wasm(text))

    async def call(self, function: str, *arguments: Value) -> Value:
        """Call a function of a new instance."""

        async def fetch() -> bytes:
            return self._wasm

        compiled = await self._code.load(hashlib.sha256(self._wasm).hexdigest(), fetch)
        linked = LinkedComponent(self._engine, compiled, self.worker.functions)
        instance = await Instance.create(linked, self.worker.context, Limits())
        try:
            return await instance.call(None, function, arguments)
        finally:
            instance.close()


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """The engine of this file."""
    engine = Engine()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def code(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CodeCache]:
    """The code of this file's guests."""
    cache = CodeCache(engine, tmp_path_factory.mktemp("code"))
    yield cache
    cache.close()


async def test_a_guest_sees_its_environment(tmp_path: Path, engine: Engine, code: CodeCache) -> None:
    worker = await HostWorker.create(tmp_path, ALL, environment={"KEY": "välue"}, arguments=["a", ""])
    guest = Guest(worker, engine, code, ENVIRONMENT)
    variables = [tuple(variable) for variable in await guest.call("variables")]
    assert variables[:2] == [("KEY", "välue"), ("GOLEM_AGENT_ID", "worker-1")]
    assert ("GOLEM_COMPONENT_ID", str(WORKER_ID.component_id)) in variables
    assert await guest.call("arguments") == ["a", ""]


async def test_a_guest_sleeps_and_replay_does_not(tmp_path: Path, engine: Engine, code: CodeCache) -> None:
    worker = await HostWorker.create(tmp_path, ALL)
    guest = Guest(worker, engine, code, SLEEP)
    assert await guest.call("seconds") == START_NS // 10**9
    assert await guest.call("sleep", 2_500_000_000) == 2_500_000_000
    assert await guest.call("first-of", 9_000_000_000, 3_000_000) == 1
    entries = await worker.entries()
    now = worker.clock.nanoseconds

    await worker.replay()
    worker.clock.advance(1000)
    assert await guest.call("seconds") == START_NS // 10**9
    assert await guest.call("sleep", 2_500_000_000) == 2_500_000_000
    assert await guest.call("first-of", 9_000_000_000, 3_000_000) == 1
    assert worker.context.is_live
    assert await worker.entries() == entries
    assert worker.clock.nanoseconds == now + 1000 * 10**9


async def test_a_long_sleep_goes_on_in_the_next_instance(tmp_path: Path, engine: Engine, code: CodeCache) -> None:
    worker = await HostWorker.create(tmp_path, ALL)
    guest = Guest(worker, engine, code, SLEEP)
    with pytest.raises(SuspendWorker) as raised:
        await guest.call("sleep", 3600 * 10**9)
    assert raised.value.wake_at == START_NS // 10**6 + 3_600_000
    await worker.replay()
    worker.clock.nanoseconds = raised.value.wake_at * 10**6
    assert await guest.call("sleep", 3600 * 10**9) == 3600 * 10**9


@pytest.mark.parametrize(
    ("version", "worker_id", "worker_name"),
    [
        ("1.1.6", "worker-id", "worker-name"),
        ("1.1.7", "worker-id", "worker-name"),
        ("1.3.0", "agent-id", "agent-id"),
        ("1.5.0", "agent-id", "agent-id"),
    ],
)
async def test_a_guest_of_each_generation_makes_and_completes_promises(
    tmp_path: Path, engine: Engine, code: CodeCache, version: str, worker_id: str, worker_name: str
) -> None:
    worker = await HostWorker.create(tmp_path, ALL)
    guest = Guest(worker, engine, code, promise_guest(version, worker_id, worker_name))
    assert await guest.call("create") == 3
    assert await guest.call("complete") is True
    promise = promise_id_of({"agent-id": worker_id_record(WORKER_ID), "oplog-idx": 4})
    assert worker.workers.data == {promise: b"\x07"}
    worker.workers.data.clear()
    await worker.replay()
    assert await guest.call("create") == 3
    assert await guest.call("complete") is True
    assert worker.workers.data == {}
