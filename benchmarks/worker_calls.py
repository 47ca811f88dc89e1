"""How many calls between workers a second: `python -m benchmarks.worker_calls`.

A guest calls a counter through golem:rpc, one call after the other in as many invocations, over PostgreSQL. A call is
the target's invocation and the caller's, three entries of the caller's oplog, and its commits; in replay nothing is
called. Callers side by side share their commits.
"""

from __future__ import annotations

import asyncio
import time

import uvloop

from benchmarks.durable_world import durable_world
from golem_server.model.ids import WorkerId
from tests.durable.world import World
from tests.guests import build

CALLS = 500
HALF = (1 << 64) - 1


async def call(world: World, caller: WorkerId, calls: range) -> None:
    """Calls of one caller, one after the other."""
    for number in calls:
        await world.call(caller, "golem:it/caller.{call}", 1, key=f"call-{number}")


async def main() -> None:
    """Call, alone and side by side; then lose the instances and build them again."""
    async with durable_world() as world:
        callers = await world.component(build("caller"))
        counter = await world.component(build("counter"))
        for workers in (1, 16):
            names = [f"{workers}-{number}" for number in range(workers)]
            high, low = counter.int >> 64, counter.int & HALF
            for name in names:
                await world.call(
                    WorkerId(callers, name), "golem:it/caller.{target}", high, low, name, "golem:it/counter.{add}"
                )
            began = time.perf_counter()
            await asyncio.gather(*(call(world, WorkerId(callers, name), range(CALLS)) for name in names))
            live = time.perf_counter() - began
            await world.crash()
            began = time.perf_counter()
            for name in names:
                assert await world.call(WorkerId(callers, name), "golem:it/caller.{calls}", key="end") == CALLS
            replay = time.perf_counter() - began
            total = CALLS * workers
            print(f"{workers:2} callers: {total / live:7.0f} calls/s live, {total / replay:7.0f} calls/s replayed")


if __name__ == "__main__":
    uvloop.run(main())
