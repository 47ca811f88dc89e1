"""The first path through the durable core: create, invoke, crash, go on."""

from pathlib import Path

from golem_server.model.ids import WorkerId
from golem_server.model.workers import WorkerStatus
from tests.durable.world import World
from tests.host.memory_store import MemoryOplogStore

COUNTER = """
(component
  (core module $m
    (global $count (mut i64) (i64.const 0))
    (func (export "increment") (result i64)
      (global.set $count (i64.add (global.get $count) (i64.const 1)))
      (global.get $count)))
  (core instance $i (instantiate $m))
  (func $increment (result u64) (canon lift (core func $i "increment")))
  (component $api
    (import "increment" (func $f (result u64)))
    (export "increment" (func $f)))
  (instance $api_instance (instantiate $api (with "increment" (func $increment))))
  (export "golem:it/counter" (instance $api_instance)))
"""

INCREMENT = "golem:it/counter.{increment}"


class Promises:
    async def complete(self, number: int, oplog_index: int, data: bytes) -> bool:
        return True

    async def get(self, number: int, oplog_index: int) -> bytes | None:
        return None


async def test_state_survives_a_crash(tmp_path: Path) -> None:
    async with World(MemoryOplogStore(), Promises(), tmp_path) as world:
        worker = WorkerId(await world.component(COUNTER), "w-1")
        assert await world.call(worker, INCREMENT, key="a") == 1
        assert await world.call(worker, INCREMENT, key="b") == 2
        await world.crash()
        assert await world.call(worker, INCREMENT, key="c") == 3
        assert await world.call(worker, INCREMENT, key="b") == 2
        assert await world.status(worker) is WorkerStatus.IDLE
        assert await world.kinds(worker) == ["Create", *["InvocationStarted", "InvocationFinished"] * 3]
