"""Scheduled invocations: never early, once, in order, across crashes, and not for a worker that took another's name."""

from __future__ import annotations

import asyncio

from golem_server.model.errors import WorkerInterrupted
from golem_server.model.ids import WorkerId
from golem_server.model.oplog import CancelPendingInvocation, InvocationFinished, InvocationStarted, PendingInvocation
from golem_server.model.workers import WorkerStatus
from tests.durable.conftest import OpenScripted
from tests.durable.script_guest import RUN, script
from tests.durable.scripted import MovedClock, Scripted, Step, error_of, quick
from tests.durable.world import invocation


def now_ms(clock: MovedClock) -> int:
    return clock.now_ns() // 1_000_000


async def schedule(scripted: Scripted, due_at: int, *steps: Step, key: str, worker: WorkerId | None = None) -> None:
    await scripted.world.executor.schedule(worker or scripted.worker, due_at, invocation(RUN, [script(*steps)], key))


async def test_it_happens_at_its_time_and_once(open_either: OpenScripted) -> None:
    clock = MovedClock()
    scripted = await open_either(clock=clock)
    await schedule(scripted, now_ms(clock) + 60_000, ("effect", 1), key="later")
    await schedule(scripted, now_ms(clock) + 60_000, ("effect", 1), key="later")
    assert await scripted.kinds() == ["Create"]
    clock.ahead += 59.9
    await asyncio.sleep(0.05)
    assert scripted.outside.effects == {}
    clock.ahead += 0.2
    await scripted.until_written(InvocationFinished)
    await scripted.world.crash()
    clock.ahead += 60
    await scripted.run(("effect", 2))
    assert scripted.outside.effects == {1: 1, 2: 1}


async def test_it_survives_a_server_that_is_down_when_it_is_due(open_either: OpenScripted) -> None:
    clock = MovedClock()
    scripted = await open_either(clock=clock)
    for number in range(1, 4):
        await schedule(scripted, now_ms(clock) + 10_000 + number, ("effect", number), key=str(number))
    await scripted.world.crash(start=False)
    clock.ahead += 60
    await scripted.world.executor.start()
    await scripted.until_written(InvocationFinished, 3)
    started = [entry for entry in await scripted.entries() if isinstance(entry, InvocationStarted)]
    assert [entry.invocation.idempotency_key for entry in started] == ["1", "2", "3"]
    assert scripted.outside.effects == {1: 1, 2: 1, 3: 1}


async def test_many_workers_at_one_time(open_scripted: OpenScripted) -> None:
    clock = MovedClock()
    scripted = await open_scripted(clock=clock, settings=quick(scheduler_interval=3600.0))
    workers = [scripted.other(f"w-{number}") for number in range(120)]
    for worker in workers:
        await schedule(scripted, now_ms(clock) + 50, ("effect", 1), key="a", worker=worker)
    clock.ahead += 1
    for worker in workers:
        await scripted.world.until_written(worker, InvocationFinished)
    assert scripted.outside.effects == {1: len(workers)}


async def test_a_worker_made_anew_does_not_get_what_was_meant_for_the_old_one(open_either: OpenScripted) -> None:
    clock = MovedClock()
    scripted = await open_either(clock=clock)
    await schedule(scripted, now_ms(clock) + 10_000, ("effect", 1), key="stale")
    await scripted.world.executor.delete(scripted.worker)
    await scripted.run(("effect", 2))
    await schedule(scripted, now_ms(clock) + 10_001, ("effect", 3), key="new")
    clock.ahead += 20
    await scripted.until_written(InvocationFinished, 2)
    assert scripted.outside.effects == {2: 1, 3: 1}


async def test_a_failed_worker_does_not_hold_up_others(open_scripted: OpenScripted) -> None:
    clock = MovedClock()
    scripted = await open_scripted(clock=clock)
    await error_of(scripted.begin("trap"))
    await scripted.until(WorkerStatus.FAILED)
    await schedule(scripted, now_ms(clock) + 10, ("effect", 1), key="a")
    other = scripted.other("w-2")
    await schedule(scripted, now_ms(clock) + 10, ("effect", 2), key="a", worker=other)
    clock.ahead += 1
    await scripted.world.until_written(other, InvocationFinished)
    await asyncio.sleep(0.05)
    assert await scripted.world.runtime.schedule.due(now_ms(clock), 10) == []
    assert scripted.outside.effects == {2: 1}


async def test_a_pending_invocation_is_cancelled_whether_its_worker_is_loaded_or_not(open_either: OpenScripted) -> None:
    scripted = await open_either()
    blocked = scripted.begin("promise", "await", key="first")
    await scripted.until(WorkerStatus.SUSPENDED)
    for number in (1, 2):
        await scripted.send(("effect", number), key=str(number))
    waiting = scripted.begin(("effect", 1), key="1")
    await asyncio.sleep(0)
    assert await scripted.world.executor.cancel_pending(scripted.worker, "1")
    assert isinstance(await error_of(waiting), WorkerInterrupted)
    assert not await scripted.world.executor.cancel_pending(scripted.worker, "1")
    await scripted.world.crash(start=False)
    blocked.cancel()
    assert await scripted.world.executor.cancel_pending(scripted.worker, "2")
    assert not await scripted.world.executor.cancel_pending(scripted.worker, "first")
    assert (await scripted.kinds()).count(CancelPendingInvocation.__name__) == 2
    assert (await scripted.kinds()).count(PendingInvocation.__name__) == 2
    assert (await scripted.record()).pending == []
