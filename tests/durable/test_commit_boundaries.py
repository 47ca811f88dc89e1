"""A crash at every commit, before it is written and after: what was told stays true, effects happen once."""

from __future__ import annotations

import asyncio

import pytest

from golem_server.durable.signals import TransientFailure
from golem_server.model.errors import Unavailable
from golem_server.model.oplog import HostCall, InvocationFinished
from golem_server.model.types import Value
from golem_server.model.workers import OplogBatch
from tests.durable.conftest import OpenScripted
from tests.durable.scripted import MovedClock, Scripted, Step
from tests.host.memory_store import MemoryOplogStore

INVOCATIONS: list[list[Step]] = [
    ["now", ("effect", 1), ("file", 1), "random", ("print", 1), ("effect", 2)],
    ["begin", ("effect", 3), "random", "end", ("effect", 4), ("answer", 1)],
    [("effect", 5), ("sleep", 150), "mark", ("effect", 6), "key"],
    ["random", "nothing", "random", "smart", ("effect", 7)],
]
REPEATED_AS_A_WHOLE = {3}
"""Effects inside of atomic regions."""


class KilledAt(MemoryOplogStore):
    """Stands still for ever at one commit, as a process that is killed there."""

    def __init__(self, at: int, *, written: bool) -> None:
        super().__init__()
        self.at: int | None = at
        self.written = written
        self.count = 0
        self.killed = asyncio.Event()
        self._buried = asyncio.Event()

    def bury(self) -> None:
        """The dead process is cleared away: nobody waits for its write any more."""
        self._buried.set()

    async def append(self, batch: OplogBatch) -> None:
        """Write it, unless this is the one."""
        self.count += 1
        if self.count != self.at:
            await super().append(batch)
            return
        self.at = None
        if self.written:
            await super().append(batch)
        self.killed.set()
        await self._buried.wait()
        raise Unavailable("killed")


async def finish(scripted: Scripted, clock: MovedClock, told: dict[str, Value]) -> None:
    """Run all invocations and remember their results."""
    for number, steps in enumerate(INVOCATIONS):
        call = scripted.begin(*steps, key=str(number))
        while not call.done():
            clock.ahead += 20
            await asyncio.wait({call}, timeout=0.005)
        result = await call
        assert told.setdefault(str(number), result) == result


async def run_with_a_kill(open_scripted: OpenScripted, at: int, *, written: bool) -> int:
    """All of it with one kill; gives how many commits there were."""
    store = KilledAt(at, written=written)
    clock = MovedClock()
    scripted = await open_scripted(store, clock=clock)
    scripted.outside.answers[1] = [TransientFailure("passes"), 1]
    told: dict[str, Value] = {}
    running = asyncio.create_task(finish(scripted, clock, told))
    killed = asyncio.create_task(store.killed.wait())
    await asyncio.wait({running, killed}, return_when=asyncio.FIRST_COMPLETED)
    if killed.done():
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await scripted.world.crash()
        await finish(scripted, clock, told)
    killed.cancel()
    commits, store.at = store.count, None
    entries = await scripted.entries()
    assert sum(isinstance(entry, InvocationFinished) for entry in entries) == len(INVOCATIONS)
    recorded = [entry.response for entry in entries if isinstance(entry, HostCall) and entry.function == "test::effect"]
    for effect in range(1, 8):
        times = scripted.outside.effects[effect]
        if effect not in REPEATED_AS_A_WHOLE:
            assert recorded.count(effect) == 1
        # Only the one whose record was cut off may have been sent twice, and then with the same key.
        assert 1 <= times <= 2
        assert len(set(scripted.outside.keys[effect])) == 1
    assert sum(times == 2 for times in scripted.outside.effects.values()) <= 1
    last = await scripted.hash()
    await scripted.world.crash()
    assert await scripted.hash() == last
    await scripted.check_record()
    return commits


@pytest.mark.parametrize("written", [False, True])
async def test_a_kill_at_any_commit_loses_nothing_that_was_told(open_scripted: OpenScripted, written: bool) -> None:
    at = 1
    while at <= await run_with_a_kill(open_scripted, at, written=written):
        at += 1
    assert at > 10
