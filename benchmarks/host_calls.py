"""Host calls a second, live and in replay: `python -m benchmarks.host_calls`.

One guest makes the same call many times in one invocation, over PostgreSQL. A *synchronous* function is answered within
the callback; a *suspended* one waits, here for a counter that commits before it answers; a *byte-heavy* one hands over
32 KiB. What is counted are the entries of the function in the oplog.

To add a function: one more Case.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import uvloop

from benchmarks.durable_world import durable_world
from benchmarks.machine import machine
from golem_server.host.http_client import HttpClient
from golem_server.model.ids import WorkerId
from golem_server.model.oplog import HostCall
from tests.durable.world import World
from tests.guests import build
from tests.guests.streaming import PIECE, STREAMING
from tests.host.stream_peer import stream_peer

STREAM_PIECES = 1_000
RPC_CALLS = 3_000


@asynccontextmanager
async def _a_loop(_world: World, _worker: WorkerId) -> AsyncGenerator[Sequence[Any]]:
    yield (100_000,)


@asynccontextmanager
async def _a_counter(world: World, worker: WorkerId) -> AsyncGenerator[Sequence[Any]]:
    counter = await world.component(build("counter"))
    halves = counter.int >> 64, counter.int & (1 << 64) - 1
    await world.call(worker, "golem:it/caller.{target}", *halves, "counter", "golem:it/counter.{add}")
    yield (1, RPC_CALLS)


@asynccontextmanager
async def _peer(_world: World, _worker: WorkerId) -> AsyncGenerator[Sequence[Any]]:
    async with stream_peer(STREAM_PIECES * PIECE) as (authority, _):
        yield (authority,)


@dataclass(frozen=True)
class Case:
    """`function` of the component calls `record` many times; `arguments` are its own, with what they need around."""

    name: str
    component: str | bytes
    function: str
    record: str
    arguments: Callable[[World, WorkerId], AbstractAsyncContextManager[Sequence[Any]]]


CASES = (
    Case(
        "synchronous: wall-clock now",
        build("clock-loop"),
        "golem:it/clock-loop.{run}",
        "wall_clock::now",
        _a_loop,
    ),
    Case(
        "suspended: call of another worker",
        build("caller"),
        "golem:it/caller.{many}",
        "golem::rpc::wasm-rpc::invoke_and_await",
        _a_counter,
    ),
    Case(
        "byte-heavy: read of 32 KiB of a response",
        STREAMING,
        "golem:it/streaming.{download}",
        "http::types::incoming_body_stream::blocking_read",
        _peer,
    ),
)


async def measure(world: World, case: Case) -> None:
    """Live, then lose the instance and ask for the same answer."""
    worker = WorkerId(await world.component(case.component), "w")
    async with case.arguments(world, worker) as arguments:
        began = time.perf_counter()
        answer = await world.call(worker, case.function, *arguments, key="k")
        live = time.perf_counter() - began
        await world.crash()
        began = time.perf_counter()
        assert await world.call(worker, case.function, *arguments, key="k") == answer
        replayed = time.perf_counter() - began
    entries = await world.entries(worker)
    calls = sum(isinstance(entry, HostCall) and entry.function == case.record for entry in entries)
    print(
        f"{case.name:<44} {calls:7} calls: live {calls / live:8.0f}/s, replayed {calls / replayed:8.0f}/s", flush=True
    )


async def main() -> None:
    """All cases."""
    print(machine())
    client = HttpClient()
    await client.start()
    async with durable_world(services={HttpClient: client}) as world:
        for case in CASES:
            await measure(world, case)
    await client.close()


if __name__ == "__main__":
    uvloop.run(main())
