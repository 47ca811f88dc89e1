"""How fast host calls are recorded, and a worker is rebuilt from them: `python -m benchmarks.replay`.

The guest reads the wall clock in a loop; oplog and replay go through PostgreSQL. Target: 30,000 calls a second.
"""

from __future__ import annotations

import time

import uvloop

from benchmarks.durable_world import durable_world
from golem_server.model.ids import WorkerId
from tests.guests import build

CALLS = (1_000, 10_000, 100_000)


async def main() -> None:
    """Record, then lose the instance and build it again by asking for the answer of before."""
    async with durable_world() as world:
        component = await world.component(build("clock-loop"))
        for calls in CALLS:
            worker = WorkerId(component, f"calls-{calls}")
            began = time.perf_counter()
            answer = await world.call(worker, "golem:it/clock-loop.{run}", calls, key="run")
            live = time.perf_counter() - began
            await world.crash()
            began = time.perf_counter()
            again = await world.call(worker, "golem:it/clock-loop.{run}", calls, key="run")
            replay = time.perf_counter() - began
            assert again == answer
            print(
                f"{calls:7} host calls: live {calls / live:8.0f}/s, replayed {calls / replay:8.0f}/s ({replay:.3f} s)"
            )


if __name__ == "__main__":
    uvloop.run(main())
