"""What an automatic update and a copy of a worker with a long history take: `python -m benchmarks.updates`.

The guest reads the wall clock in a loop, so that its oplog has about 10,000 entries; all of it goes through PostgreSQL.
An update replays them with the new revision; a copy writes them again under another name.
"""

from __future__ import annotations

import time

import uvloop

from benchmarks.durable_world import durable_world
from golem_server.model.ids import WorkerId
from golem_server.model.workers import WorkerCreation
from tests.guests import build

CALLS = 10_000
ROUNDS = 5
RUN = "golem:it/clock-loop.{run}"


async def main() -> None:
    """Print the time of each."""
    async with durable_world() as world:
        component = await world.component(build("clock-loop"))
        workers = [WorkerId(component, f"w-{number}") for number in range(ROUNDS)]
        for worker in workers:
            await world.executor.create(worker, WorkerCreation())
            await world.call(worker, RUN, CALLS, key="run")
        answers = [await world.call(worker, RUN, CALLS, key="run") for worker in workers]
        await world.update(component, build("clock-loop"))
        operations = world.executor.operations
        for number, (worker, answer) in enumerate(zip(workers, answers, strict=True)):
            copy = WorkerId(component, f"copy-{number}")
            began = time.perf_counter()
            await operations.fork(worker, copy, None)
            forked = time.perf_counter() - began
            began = time.perf_counter()
            await operations.update(worker, 1, automatic=True)
            # The next invocation waits for the update.
            await world.call(worker, RUN, 1)
            updated = time.perf_counter() - began
            assert (await world.executor.find(worker)).columns.component_revision == 1
            assert await world.call(copy, RUN, CALLS, key="run") == answer
            entries = (await world.executor.find(worker)).columns.last_index
            print(f"{entries} entries: forked in {forked:.3f} s, updated in {updated:.3f} s")


if __name__ == "__main__":
    uvloop.run(main())
