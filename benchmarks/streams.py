"""Long streams through a guest: `python -m benchmarks.streams [MEGABYTES]` (default 100).

Speed, the growth of the process's memory, and the longest turn of the event loop (processor time): live, and in the
replay of the same. The other end of the connection is a process of its own; the store is PostgreSQL.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Awaitable, Callable

import uvloop

from benchmarks.durable_world import durable_world
from benchmarks.machine import machine
from golem_server.host.http_client import HttpClient
from golem_server.model.ids import WorkerId
from tests.guests.streaming import PIECE, STREAMING
from tests.host.loop_turns import LoopTurns
from tests.host.memory import PeakMemory
from tests.host.stream_peer import stream_peer

STREAM = "golem:it/streaming.{%s}"


async def measured(what: str, size: int, work: Callable[[], Awaitable[None]]) -> None:
    """One line."""
    began = time.perf_counter()
    with PeakMemory() as memory:
        async with LoopTurns() as turns:
            await work()
    seconds = time.perf_counter() - began
    print(
        f"{what:<28} {size / seconds / 1e6:6.1f} MB/s   memory +{memory.growth / (1 << 20):5.1f} MiB   "
        f"longest turn of the loop {turns.longest * 1e3:5.1f} ms"
    )


async def main(size: int) -> None:
    """All figures."""
    print(machine())
    pieces = size // PIECE
    client = HttpClient()
    await client.start()
    async with durable_world(services={HttpClient: client}) as world, stream_peer(size) as (authority, taken):
        component = await world.component(STREAMING)
        for name, arguments, result in (
            ("download", (authority,), size),
            ("upload", (authority, pieces), 200),
            ("copy", (pieces,), pieces * PIECE),
        ):

            async def live(name: str = name, arguments: tuple[object, ...] = arguments, expected: int = result) -> None:
                assert await world.call(WorkerId(component, name), STREAM % name, *arguments, key="k") == expected

            await measured(name, size, live)
            await world.crash()

            # The answer of before is found when the worker has been built again.
            await measured(f"{name}, replayed", size, live)
        assert int(await taken.readline()) == pieces * PIECE
    await client.close()


if __name__ == "__main__":
    uvloop.run(main(int(float(sys.argv[1] if len(sys.argv) > 1 else "100") * 1e6)))
