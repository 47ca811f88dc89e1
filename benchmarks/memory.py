"""What a worker takes of the process's memory: `python -m benchmarks.memory [workers]`.

Loaded and idle, waiting in memory, and unloaded: resident memory of the process, divided by the workers. The pages of
its linear memory that a guest has touched are in the figures. Targets: a waiting worker less than 40 KiB besides its
linear memory, an unloaded one nothing. What unloading gives back stays with Python's allocator for the next ones: the
figure for as many workers again, of other names, is the one that says whether anything is kept.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop

from benchmarks.durable_world import durable_world
from golem_server.durable.unloading import resident_bytes
from golem_server.durable.worker import Worker
from golem_server.model.ids import WorkerId
from golem_server.model.oplog import Invocation
from tests.durable.world import World
from tests.guests import build

NINE_SECONDS = 9_000_000_000
"""A sleep that is just short enough to be waited for in memory, in nanoseconds."""
AT_ONCE = 200


def workers_of(world: World) -> list[Worker]:
    """The workers in memory."""
    return list(world.executor._workers.values())  # pyright: ignore[reportPrivateUsage]


def settled_bytes() -> int:
    """Resident memory without what only waits to be collected or given back to the system."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return resident_bytes()


async def many(count: int, use: Callable[[int], Coroutine[Any, Any, object]]) -> None:
    """Use all numbers below `count`, some at a time."""
    for first in range(0, count, AT_ONCE):
        await asyncio.gather(*(use(number) for number in range(first, min(first + AT_ONCE, count))))


async def main(count: int) -> None:
    """All figures."""
    async with durable_world() as world:
        counter = await world.component(build("counter"))
        sleeper = await world.component(build("sleeper"))

        async def increment(number: int) -> None:
            await world.call(WorkerId(counter, f"w{number}"), "golem:it/counter.{increment}")

        async def exist(number: int) -> None:
            await world.call(WorkerId(sleeper, f"s{number}"), "golem:it/sleeper.{sleep}", 1)

        async def sleep(number: int) -> None:
            invocation = Invocation(f"sleep-{number}", "golem:it/sleeper.{sleep}", [NINE_SECONDS])
            await world.executor.invoke(WorkerId(sleeper, f"s{number}"), invocation)

        def show(state: str, held: int) -> None:
            print(f"{state:34} {held / count / 1024:7.1f} KiB each", flush=True)

        def unload_all() -> None:
            for worker in workers_of(world):
                worker.unload()
            assert not workers_of(world)

        await many(AT_ONCE, exist)
        unload_all()
        empty = settled_bytes()
        await many(count, increment)
        show("idle, counter", settled_bytes() - empty)
        unload_all()
        once = settled_bytes()
        show("unloaded", once - empty)
        await many(count, lambda number: increment(count + number))
        unload_all()
        show("unloaded, as many again", settled_bytes() - once)

        empty = settled_bytes()
        await many(count, exist)
        loaded = settled_bytes()
        show("idle, sleeper", loaded - empty)
        await many(count, sleep)
        assert all(worker.is_busy for worker in workers_of(world))
        show("waiting in memory, in all", settled_bytes() - empty)
        await asyncio.gather(*(worker.idle() for worker in workers_of(world)))


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
