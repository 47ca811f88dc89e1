"""A real server process is killed with SIGKILL, again and again, and nothing that it acknowledged is lost or repeated.

The guest reads the clock, draws random numbers, writes a file, prints and makes an outgoing POST in every invocation
(tests/guests/crash.py). `SOAK=1` (`make soak`) runs the sizes of the reference: every commit boundary of 500
invocations and more random moments. The seed of a run is printed; `CRASH_SEED` repeats it.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.crash.server import ServerUnderTest
from tests.crash.witness import Witness
from tests.guests import build

STEP = "golem:it/crash.{step}"
COUNT = "golem:it/crash.{count}"
SUM = "golem:it/crash.{sum}"
FILE_SIZE = "golem:it/crash.{file-size}"

SOAK = os.environ.get("SOAK") == "1"
INVOCATIONS_AT_BOUNDARIES = 500 if SOAK else 12
INVOCATIONS_AT_RANDOM = 500
RANDOM_KILLS = 2_000 if SOAK else 200
WORKERS = 4


class Run:
    """Steps of some workers, remembered as they were acknowledged."""

    def __init__(self, server: ServerUnderTest, witness: Witness, component: str) -> None:
        self.server = server
        self.witness = witness
        self.component = component
        self.acknowledged: dict[tuple[str, int], Any] = {}

    async def step(self, worker: str, number: int) -> Any:
        """One step; the same key gives the same answer."""
        return await self.server.invoke(
            self.component, worker, STEP, [number, self.witness.authority], f"{worker}-step-{number}"
        )

    async def steps(self, worker: str, numbers: range) -> None:
        """Steps one after the other."""
        for number in numbers:
            self.acknowledged[worker, number] = await self.step(worker, number)

    async def ask(self, worker: str, function: str, occasion: str) -> Any:
        """A question to the worker's state."""
        return await self.server.invoke(self.component, worker, function, [], f"{worker}-{function}-{occasion}")

    async def check(self, worker: str, count: int) -> None:
        """All that was acknowledged is still true, and nothing else has happened."""
        outcomes = [self.acknowledged[worker, number] for number in range(1, count + 1)]
        assert [outcome["count"] for outcome in outcomes] == list(range(1, count + 1))
        assert {outcome["status"] for outcome in outcomes} == {201}
        assert await self.ask(worker, COUNT, "at-the-end") == count
        lines = [
            f"{number} {outcome['time-seconds']} {outcome['random']}\n" for number, outcome in enumerate(outcomes, 1)
        ]
        assert await self.ask(worker, FILE_SIZE, "at-the-end") == sum(map(len, lines))
        total = await self.ask(worker, SUM, "at-the-end")
        await self.server.kill()
        await self.server.revive()
        for number, outcome in enumerate(outcomes, 1):
            assert await self.step(worker, number) == outcome, f"{worker}: the answer to step {number} changed"
        assert await self.ask(worker, SUM, "after-replay") == total
        assert await self.ask(worker, COUNT, "after-replay") == count


def check_witness(run: Run) -> None:
    """Each step's effect has one key of its own, and each key one effect."""
    witness = run.witness
    assert witness.without_key == 0
    assert len(witness.requests) == len(run.acknowledged)
    assert all(len(bodies) == 1 for bodies in witness.bodies.values())
    numbers = sorted(number for _, number in run.acknowledged)
    assert sorted(int(next(iter(bodies))) for bodies in witness.bodies.values()) == numbers


async def begin(database_url: str, folder: Path, test: Callable[[Run], Awaitable[None]]) -> None:
    """Give a test a server with the guest uploaded, and a witness."""
    async with Witness() as witness, ServerUnderTest(database_url, folder) as server:
        component = await server.upload("crash:test", build("crash"))
        await test(Run(server, witness, component))


@pytest.mark.timeout(7200 if SOAK else 400)
@pytest.mark.parametrize("point", ["after-commit", "before-commit"])
async def test_killed_at_every_commit_boundary(database_url: str, tmp_path: Path, point: str) -> None:
    """A step's first life ends at its first, second, third or fourth commit, in turn; each later one, which recovers,
    gets one commit further than the one before, until the step is acknowledged."""

    async def test(run: Run) -> None:
        server = run.server
        kills = lives = first = 0

        def further() -> dict[str, Any]:
            nonlocal lives
            lives += 1
            return {"point": point, "commit": first if lives == 1 else lives - 1}

        server.next_plan = further
        for number in range(1, INVOCATIONS_AT_BOUNDARIES + 1):
            lives, first = 0, number % 4 + 1
            await server.kill()
            await server.revive()
            await run.steps("w-1", range(number, number + 1))
            kills += lives - 1
        server.next_plan = lambda: None
        await server.kill()
        await run.check("w-1", INVOCATIONS_AT_BOUNDARIES)
        check_witness(run)
        repeated = run.witness.requests.total() - len(run.witness.requests)
        print(f"{point}: {kills} kills in {INVOCATIONS_AT_BOUNDARIES} invocations, {repeated} requests repeated")
        assert kills >= INVOCATIONS_AT_BOUNDARIES

    await begin(database_url, tmp_path, test)


@pytest.mark.timeout(7200 if SOAK else 400)
async def test_killed_at_random_moments(database_url: str, tmp_path: Path) -> None:
    seed = int(os.environ.get("CRASH_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"CRASH_SEED={seed}")
    moments = random.Random(seed)
    each = INVOCATIONS_AT_RANDOM // WORKERS

    async def killer(server: ServerUnderTest) -> int:
        kills = 0
        while kills < RANDOM_KILLS:
            await server.revive()
            if moments.random() < 0.8:
                await server.request("GET", "/healthcheck")
                delay = moments.uniform(0, 0.03)
            else:
                delay = moments.uniform(0, 0.5)
            await asyncio.sleep(delay)
            await server.kill()
            kills += 1
        await server.revive()
        return kills

    async def test(run: Run) -> None:
        workers = [f"w-{number}" for number in range(WORKERS)]
        async with asyncio.TaskGroup() as group:
            killing = group.create_task(killer(run.server))
            for worker in workers:
                group.create_task(run.steps(worker, range(1, each + 1)))
        for worker in workers:
            await run.check(worker, each)
        check_witness(run)
        repeated = run.witness.requests.total() - len(run.witness.requests)
        print(f"{killing.result()} kills in {each * WORKERS} invocations, {repeated} requests repeated")

    await begin(database_url, tmp_path, test)
