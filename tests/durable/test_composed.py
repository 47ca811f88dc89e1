"""A worker whose component was made of two: calls of both parts are recorded, and replayed after a crash."""

from __future__ import annotations

from pathlib import Path

from wasmtime import wat2wasm

from golem_server.model.ids import WorkerId
from golem_server.model.oplog import HostCall
from golem_server.wasm.code_cache import CodeCache
from golem_server.wasm.composition import compose
from golem_server.wasm.engine import Engine
from tests.durable.memory_promises import MemoryPromiseStore
from tests.durable.world import World
from tests.host.memory_store import MemoryOplogStore

RANDOM = """
  (import "wasi:random/random@0.2.3" (instance $random (export "get-random-u64" (func (result u64)))))
  (core func $draw (canon lower (func $random "get-random-u64")))"""
LIBRARY = f"""(component {RANDOM}
  (core module $code
    (import "host" "draw" (func $draw (result i64)))
    (global $sum (mut i64) (i64.const 0))
    (func (export "add") (result i64)
      (global.set $sum (i64.add (global.get $sum) (call $draw)))
      (global.get $sum)))
  (core instance $main (instantiate $code (with "host" (instance (export "draw" (func $draw))))))
  (func $add (result u64) (canon lift (core func $main "add")))
  (instance $exported (export "add" (func $add)))
  (export "it:library/sum@1.0.0" (instance $exported)))"""
APP = f"""(component
  (import "it:library/sum@1.0.0" (instance $sum (export "add" (func (result u64)))))
  (core func $add (canon lower (func $sum "add")))
  {RANDOM}
  (core module $code
    (import "host" "draw" (func $draw (result i64)))
    (import "host" "add" (func $add (result i64)))
    (func (export "go") (result i64) (i64.xor (call $add) (call $draw))))
  (core instance $main (instantiate $code
    (with "host" (instance (export "draw" (func $draw)) (export "add" (func $add))))))
  (func $go (result u64) (canon lift (core func $main "go")))
  (instance $exported (export "go" (func $go)))
  (export "it:app/app" (instance $exported)))"""


async def test_both_parts_are_durable(code: tuple[Engine, CodeCache], tmp_path: Path) -> None:
    # Code between imports is moved behind them by the tools of real languages.
    lowered = '  (core func $add (canon lower (func $sum "add")))\n'
    app = APP.replace(lowered, "").replace("  (core module", f"{lowered}  (core module", 1)
    store = MemoryOplogStore()
    async with World(store, MemoryPromiseStore(store), tmp_path, code=code) as world:
        joined = compose(bytes(wat2wasm(app)), bytes(wat2wasm(LIBRARY)))
        worker = WorkerId(await world.component(joined), "w")
        go = "it:app/app.{go}"
        told = [await world.call(worker, go, key=str(number)) for number in range(3)]
        assert len(set(told)) == 3
        await world.crash()
        assert [await world.call(worker, go, key=str(number)) for number in range(3)] == told
        drawn = [entry.response for entry in await world.entries(worker) if isinstance(entry, HostCall)]
        assert len(drawn) == 6
        mask = (1 << 64) - 1
        assert told == [(sum(drawn[: 2 * number + 1 : 2]) & mask) ^ drawn[2 * number + 1] for number in range(3)]
        again = await world.call(worker, go)
        drawn = [entry.response for entry in await world.entries(worker) if isinstance(entry, HostCall)]
        assert again == (sum(drawn[::2]) & mask) ^ drawn[7]
