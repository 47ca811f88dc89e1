"""A real server is killed with SIGKILL at random moments while workers are invoked, updated, reverted and copied.

Nothing that was acknowledged is lost, no effect is had twice, and each operation is done as a whole or not at all.
`SOAK=1` (`make soak`) kills more often. The seed of a run is printed; `CRASH_SEED` repeats what is decided by it.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

import aiohttp
import pytest

from tests.crash.changing_guest import changing_guest
from tests.crash.changing_life import Kind, Life
from tests.crash.server import ServerUnderTest
from tests.crash.witness import Witness
from tests.guests import build

SOAK = os.environ.get("SOAK") == "1"
KILLS = 1_000 if SOAK else 24
REVISIONS = 4
EACH = 2
WANTED = {"step", "update", "update_while_it_steps", "revert", "fork", "interrupt"}


def noted(wasm: bytes, revision: int) -> bytes:
    """The same component with a section that nobody reads: another revision."""
    content = b"\x04note" + bytes([revision])
    return wasm + bytes([0, len(content)]) + content


async def uploaded(server: ServerUnderTest, name: str, revisions: list[bytes]) -> str:
    """A component with all its revisions; its id."""
    component = await server.upload(name, revisions[0])
    for wasm in revisions[1:]:
        form = aiohttp.FormData()
        form.add_field("component", wasm, filename="changing.wasm")
        status, answer = await server.request("PATCH", f"/v1/components/{component}", data=form)
        assert status == 200, answer
    return component


async def kinds(server: ServerUnderTest, witness: Witness) -> list[Kind]:
    """One whose steps have effects outside, and one that can save its state."""
    crash = [noted(build("crash"), revision) for revision in range(REVISIONS)]
    changing = [changing_guest(revision) for revision in range(REVISIONS)]
    return [
        Kind(
            await uploaded(server, "crash:test", crash),
            "golem:it/crash",
            "sum",
            lambda number: [number, witness.authority],
            REVISIONS,
            saves=False,
        ),
        Kind(
            await uploaded(server, "changing:test", changing),
            "golem:it/changing",
            "state",
            lambda _number: [],
            REVISIONS,
            saves=True,
        ),
    ]


async def kill_again_and_again(server: ServerUnderTest, moments: random.Random, enough: Callable[[], bool]) -> int:
    """Sometimes before it is ready, mostly soon after: `KILLS` times, and more until it is enough. How often it was."""
    kills = 0
    while kills < KILLS or not enough():
        await server.revive()
        if moments.random() < 0.9:
            await server.request("GET", "/healthcheck")
        await asyncio.sleep(moments.uniform(0, 0.1) if moments.random() < 0.7 else moments.uniform(0, 0.5))
        await server.kill()
        kills += 1
    await server.revive()
    return kills


def done_in(lives: Iterable[Life]) -> Counter[str]:
    """How often each operation has been done."""
    return Counter(operation for life in lives for operation in life.done)


def all_of(lives: Iterable[Life]) -> Iterable[Life]:
    """The lives and their copies."""
    for life in lives:
        yield life
        yield from all_of(life.copies)


@pytest.mark.timeout(7200 if SOAK else 300)
async def test_killed_at_random_moments(database_url: str, tmp_path: Path) -> None:
    seed = int(os.environ.get("CRASH_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"CRASH_SEED={seed}")
    numbers = itertools.count(1)
    async with Witness() as witness, ServerUnderTest(database_url, tmp_path) as server:
        lives = [
            Life(server, kind, f"{kind.state}-{number}", numbers, random.Random(f"{seed} {kind.state} {number}"))
            for kind in await kinds(server, witness)
            for number in range(EACH)
        ]
        for life in lives:
            await life.begin()

        async def live(life: Life, killing: asyncio.Task[int]) -> None:
            while not killing.done():
                await life.go_on()

        async with asyncio.TaskGroup() as group:
            killing = group.create_task(
                kill_again_and_again(server, random.Random(seed), lambda: set(done_in(lives)) >= WANTED)
            )
            for life in lives:
                group.create_task(live(life, killing))
        await server.kill()
        await server.revive()
        for life in lives:
            await life.check()
        print(f"{killing.result()} kills, {sum(1 for _ in all_of(lives))} workers, {dict(done_in(lives))}")
        # Each step has had its effect once: under one key, however often it was asked for.
        assert witness.without_key == 0
        assert all(len(bodies) == 1 for bodies in witness.bodies.values())
        steps = [int(body) for bodies in witness.bodies.values() for body in bodies]
        assert len(steps) == len(set(steps))
        told = {key for life in all_of(lives) if not life.kind.saves for key in life.now.answers}
        assert told <= {f"step-{number}" for number in steps}
