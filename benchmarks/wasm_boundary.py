"""What the boundary to wasmtime costs: `python -m benchmarks.wasm_boundary`.

The floor is wasmtime's own synchronous call of the same export through its public Python wrapper.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import platform
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvloop
import wasmtime
from wasmtime.component import Component, Linker

from golem_server.model.types import FunctionType, ListType, Primitive
from golem_server.wasm.code_cache import CodeCache
from golem_server.wasm.engine import Engine
from golem_server.wasm.instance import Instance, Limits
from golem_server.wasm.linking import HostImport, LinkedComponent
from golem_server.wasm.native import WASMTIME_VERSION
from tests.guests.busy import BUSY
from tests.guests.echo import PAD, echo_component

CLOCK = """(component
  (import "host" (instance $host
    (type $time (record (field "seconds" u64) (field "nanoseconds" u32)))
    (export "datetime" (type $datetime (eq $time)))
    (export "now" (func (result $datetime)))
    (export "now-eager" (func (result $datetime)))))
  (core module $memory (memory (export "memory") 1))
  (core instance $m (instantiate $memory))
  (alias core export $m "memory" (core memory $mem))
  (core func $now (canon lower (func $host "now") (memory $mem)))
  (core func $now-eager (canon lower (func $host "now-eager") (memory $mem)))
  (core module $module
    (import "h" "now" (func $now (param i32)))
    (import "h" "now-eager" (func $now-eager (param i32)))
    (func (export "ask") (param i32)
      (loop $again
        (call $now (i32.const 16))
        (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
        (br_if $again (local.get 0))))
    (func (export "ask-eager") (param i32)
      (loop $again
        (call $now-eager (i32.const 16))
        (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
        (br_if $again (local.get 0)))))
  (core instance $i (instantiate $module
    (with "h" (instance (export "now" (func $now)) (export "now-eager" (func $now-eager))))))
  (func (export "ask") (param "times" u32) (canon lift (core func $i "ask")))
  (func (export "ask-eager") (param "times" u32) (canon lift (core func $i "ask-eager"))))
"""
NOW = {"seconds": 1_700_000_000, "nanoseconds": 5}
BIG = 1 << 20


class Host:
    """Resolver and context."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()

    def function(self, interface: str, name: str, type: FunctionType) -> HostImport | None:
        """Host functions of the guests above."""

        async def slow(context: Host, a: int) -> int:
            await context.gate.wait()
            return a

        async def now_eager(context: Host) -> Any:
            return NOW

        def now(context: Host) -> Any:
            return NOW

        def add(context: Host, a: int, b: int) -> int:
            return (a + b) & 0xFFFFFFFF

        functions: dict[str, HostImport] = {
            "now": now,
            "now-eager": now_eager,
            "add": add,
            "slow": slow,
        }
        return functions.get(name)

    def resource_dropped(self, rep: int) -> None:
        """Nothing to do."""


class Waiting(Host):
    """Every host call really waits for the next turn of the loop."""

    def function(self, interface: str, name: str, type: FunctionType) -> HostImport | None:
        """`now` with a suspension."""

        async def now(context: Host) -> Any:
            await asyncio.sleep(0)
            return NOW

        return now


async def timed(work: Callable[[], Awaitable[Any]], times: int) -> float:
    """The best of three runs, in seconds for each of so many."""
    best = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        await work()
        best = min(best, time.perf_counter() - began)
    return best / times


def show(what: str, figure: str) -> None:
    """One line."""
    print(f"{what:<62} {figure:>12}")


def resident_kib() -> int:
    """The memory of this process."""
    with open("/proc/self/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


class Bench:
    """Starts instances."""

    def __init__(self, folder: Path) -> None:
        self.engine = Engine()
        self.cache = CodeCache(self.engine, folder)

    async def link(self, text: str, host: Host) -> LinkedComponent:
        """A component with its imports."""
        wasm = bytes(wasmtime.wat2wasm(text))

        async def fetch() -> bytes:
            return wasm

        compiled = await self.cache.load(hashlib.sha256(wasm).hexdigest(), fetch)
        return LinkedComponent(self.engine, compiled, host)

    async def start(self, text: str, host: Host) -> Instance:
        """An instance."""
        return await Instance.create(await self.link(text, host), host, Limits())


def floor() -> float:
    """A call of `identity` through the public wrapper, on a store that is not asynchronous."""
    config = wasmtime.Config()
    engine = wasmtime.Engine(config)
    linker = Linker(engine)
    component = Component(engine, BUSY)
    linker.define_unknown_imports_as_traps(component)
    store = wasmtime.Store(engine)
    function = linker.instantiate(store, component).get_func(store, "identity")
    assert function is not None
    began = time.perf_counter()
    for _ in range(5000):
        function(store, 7)
    return (time.perf_counter() - began) / 5000


async def calls(bench: Bench) -> None:
    """Calls and host calls."""
    busy = await bench.start(BUSY, Host())
    identity = busy.prepare(None, "identity")

    async def identities() -> None:
        for _ in range(20_000):
            await busy.call_prepared(identity, (7,))

    show("public wrapper, synchronous: u64 -> u64 (floor)", f"{floor() * 1e6:.1f} us")
    show("call u64 -> u64", f"{await timed(identities, 20_000) * 1e6:.1f} us")
    figure = await timed(lambda: busy.call(None, "sum", [100_000]), 100_000)
    show("host call answered at once, (u32, u32) -> u32", f"{figure * 1e6:.1f} us")
    clock = await bench.start(CLOCK, Host())
    figure = await timed(lambda: clock.call(None, "ask", [100_000]), 100_000)
    show("host call answered at once, -> record of two", f"{figure * 1e6:.1f} us")
    figure = await timed(lambda: clock.call(None, "ask-eager", [100_000]), 100_000)
    show("async host function that waits for nothing, -> record of two", f"{figure * 1e6:.1f} us")
    waiting = await bench.start(CLOCK, Waiting())
    figure = await timed(lambda: waiting.call(None, "ask", [50_000]), 50_000)
    show("host call that suspends for one turn of the loop", f"{figure * 1e6:.1f} us")
    echo = await bench.start(echo_component(ListType(Primitive.U8)), Host())
    data = os.urandom(BIG)
    figure = await timed(lambda: echo.call(None, "echo", [data, PAD]), 1)
    show("1 MiB of list<u8> in and out", f"{figure * 1e3:.1f} ms")


async def instances(bench: Bench) -> None:
    """Starting, suspending and interrupting."""
    linked = await bench.link(BUSY, Host())

    async def create() -> None:
        for _ in range(500):
            (await Instance.create(linked, None, Limits())).close()

    show("instantiate and close", f"{await timed(create, 500) * 1e6:.0f} us")

    host, count = Host(), 1000
    before = resident_kib()
    idle = [await Instance.create(linked, host, Limits()) for _ in range(count)]
    show("an idle instance (1 page of memory, untouched)", f"{(resident_kib() - before) / count:.0f} KiB")
    before = resident_kib()
    suspended = [asyncio.create_task(instance.call(None, "wait", [1])) for instance in idle]
    await asyncio.sleep(0.1)
    show("the same, suspended in a host call: in addition", f"{(resident_kib() - before) / count:.0f} KiB")
    host.gate.set()
    await asyncio.gather(*suspended)

    one = await timed(lambda: idle[0].call(None, "spin", [300_000_000]), 1)
    two = await timed(lambda: asyncio.gather(*(each.call(None, "spin", [300_000_000]) for each in idle[:2])), 1)
    show("a computation alone / two at once", f"{one:.2f}/{two:.2f} s")

    worst, stalls = 0.0, [0.0]

    async def watch() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.001)
            stalls[0] = max(stalls[0], time.perf_counter() - began - 0.001)

    watcher = asyncio.create_task(watch())
    for instance in idle[2:22]:
        call = asyncio.create_task(instance.call(None, "spin-for-ever", []))
        await asyncio.sleep(0.02)
        began = time.perf_counter()
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        worst = max(worst, time.perf_counter() - began)
    watcher.cancel()
    show("interrupting an endless loop, worst of 20", f"{worst * 1e3:.1f} ms")
    show("longest stall of the loop meanwhile", f"{stalls[0] * 1e3:.1f} ms")
    for instance in idle:
        instance.close()


async def main() -> None:
    """All figures."""
    print(
        f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}, "
        f"wasmtime {WASMTIME_VERSION}, {platform.platform()}"
    )
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        await calls(bench)
        await instances(bench)


if __name__ == "__main__":
    uvloop.run(main())
