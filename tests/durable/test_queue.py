"""The invocation queue: one at a time, in order, once per idempotency key, over crashes and interrupts."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from golem_server.durable.stopping import StopKind
from golem_server.model.errors import (
    InvalidInput,
    InvocationFailed,
    PreviousInvocationFailed,
    TooManyPending,
    WorkerInterrupted,
)
from golem_server.model.ids import WorkerId
from golem_server.model.oplog import InvocationStarted, PendingInvocation
from golem_server.model.types import Value
from golem_server.model.workers import OplogBatch, WorkerCreation, WorkerStatus
from tests.durable.conftest import OpenScripted
from tests.durable.script_guest import RUN, Revision
from tests.durable.scripted import Scripted, error_of, quick
from tests.host.memory_store import MemoryOplogStore


async def test_the_same_key_while_pending_while_running_and_when_done_runs_once(either: Scripted) -> None:
    running = either.begin(("effect", 1), ("gate", 1), key="running")
    await either.outside.until("gate 1")
    also_running = either.begin(key="running")
    pending = either.begin(("effect", 2), key="pending")
    await either.until_written(PendingInvocation)
    also_pending = either.begin(key="pending")
    await either.send(("effect", 1), key="running")
    await either.send(("effect", 2), key="pending")
    either.outside.open(1)
    assert await running == await also_running
    assert await pending == await also_pending
    assert await either.run(("effect", 3), key="running") == await running
    assert await either.run(("effect", 3), key="pending") == await pending
    await either.send(("effect", 3), key="pending")
    assert either.outside.effects == {1: 1, 2: 1}
    assert (await either.kinds()).count("InvocationStarted") == 2
    await either.check_record()


async def test_the_same_key_after_a_crash_gives_the_stored_result(either: Scripted) -> None:
    first = await either.run("random", ("effect", 1), key="a")
    second = await either.run("random", key="b")
    await either.world.crash()
    assert await either.run("random", key="a") == first
    assert await either.run("random", key="b") == second
    assert either.outside.effects == {1: 1}


async def test_a_crash_while_it_runs_lets_the_same_key_wait_for_the_one_execution(either: Scripted) -> None:
    either.begin("random", ("effect", 1), ("gate", 1), key="a")
    await either.outside.until("gate 1")
    await either.world.crash()
    await either.outside.until("gate 1", 2)
    again = either.begin(key="a")
    either.outside.open(1)
    result = await again
    assert either.outside.effects == {1: 1}
    assert await either.run(key="a") == result
    assert (await either.kinds()).count("InvocationStarted") == 1


async def test_a_key_that_failed_is_refused_like_any_other_later_too(either: Scripted) -> None:
    assert isinstance(await error_of(either.begin("trap", key="a")), InvocationFailed)
    for _ in range(2):
        with pytest.raises(PreviousInvocationFailed):
            await either.run(key="a")
        with pytest.raises(PreviousInvocationFailed):
            await either.run(key="b")
        with pytest.raises(PreviousInvocationFailed):
            await either.send(key="a")
        await either.world.crash()
    assert await either.status() is WorkerStatus.FAILED


async def test_invocations_run_one_at_a_time_and_in_order(scripted: Scripted) -> None:
    scripted.begin(("gate", 1))
    await scripted.outside.until("gate 1")
    order: list[int] = []
    calls = [scripted.begin(("effect", number)) for number in range(20)]
    for number, call in enumerate(calls):
        call.add_done_callback(lambda _, number=number: order.append(number))
    await scripted.until_written(PendingInvocation, 20)
    assert not scripted.outside.effects
    scripted.outside.open(1)
    await asyncio.gather(*calls)
    assert order == list(range(20))
    assert (await scripted.record()).pending == []


async def test_what_is_queued_behind_a_blocked_one_survives_interrupt_and_crash_and_runs_once_in_order(
    either: Scripted,
) -> None:
    blocked = either.begin(("gate", 1), key="blocked")
    await either.outside.until("gate 1")
    for number in range(5):
        await either.send(("effect", number), "random", key=f"queued-{number}")
    awaited = either.begin(("effect", 9), key="awaited")
    await either.until_written(PendingInvocation, 6)
    await either.interrupt()
    assert isinstance(await error_of(blocked), WorkerInterrupted)
    assert isinstance(await error_of(awaited), WorkerInterrupted)
    assert await either.status() is WorkerStatus.INTERRUPTED
    await either.world.crash()
    either.outside.open(1)
    await either.run(key="last")
    assert either.outside.effects == {0: 1, 1: 1, 2: 1, 3: 1, 4: 1, 9: 1}
    entries = await either.entries()
    starts = [entry.invocation.idempotency_key for entry in entries if isinstance(entry, InvocationStarted)]
    keys = ["blocked", *(f"queued-{number}" for number in range(5)), "awaited", "last"]
    assert starts == keys
    await either.check_record()


async def test_what_waits_behind_a_suspended_invocation_is_durable(scripted: Scripted) -> None:
    scripted.begin("promise", "await", key="a")
    await scripted.until(WorkerStatus.SUSPENDED)
    scripted.begin(("effect", 1), key="b")
    await scripted.until_written(PendingInvocation)
    assert not scripted.outside.effects


async def test_a_pending_invocation_can_be_cancelled_and_never_runs(either: Scripted) -> None:
    either.begin(("gate", 1))
    await either.outside.until("gate 1")
    pending = either.begin(("effect", 1), key="a")
    await either.until_written(PendingInvocation)
    worker = either.world.executor._workers[either.worker]  # pyright: ignore[reportPrivateUsage]
    assert await worker.cancel_pending("a")
    assert not await worker.cancel_pending("a")
    assert isinstance(await error_of(pending), WorkerInterrupted)
    await either.world.crash()
    either.outside.open(1)
    await either.run()
    assert not either.outside.effects
    assert (await either.record()).pending == []


@pytest.mark.parametrize(
    ("function", "parameters"),
    [("golem:it/script.{nothing}", []), (RUN, []), (RUN, [1, 2]), (RUN, ["text"]), ("no such name", [])],
)
async def test_an_unknown_function_or_wrong_arguments_leave_the_worker_idle_with_nothing_written(
    scripted: Scripted, function: str, parameters: list[object]
) -> None:
    await scripted.run()
    kinds = await scripted.kinds()
    with pytest.raises(InvalidInput):
        await scripted.world.call(scripted.worker, function, *parameters, key="a")
    assert await scripted.kinds() == kinds
    assert await scripted.status() is WorkerStatus.IDLE
    assert await scripted.run(key="a")


async def test_an_unknown_function_in_the_queue_fails_alone(scripted: Scripted) -> None:
    scripted.begin(("gate", 1))
    await scripted.outside.until("gate 1")
    before = scripted.begin(key="before")
    wrong = asyncio.create_task(scripted.world.call(scripted.worker, "golem:it/script.{nothing}", key="wrong"))
    await scripted.until_written(PendingInvocation, 2)
    after = scripted.begin(key="after")
    scripted.outside.open(1)
    assert isinstance(await error_of(wrong), InvalidInput)
    assert await before is not None
    assert await after is not None
    assert (await scripted.kinds()).count("CancelPendingInvocation") == 1
    assert (await scripted.record()).pending == []
    await scripted.check_record()


async def test_a_full_queue_refuses_more(open_scripted: OpenScripted) -> None:
    scripted = await open_scripted(settings=quick(max_pending_invocations=3))
    scripted.begin(("gate", 1))
    await scripted.outside.until("gate 1")
    for number in range(3):
        await scripted.send(("effect", number), key=str(number))
    with pytest.raises(TooManyPending):
        await scripted.send(("effect", 9))
    with pytest.raises(TooManyPending):
        await scripted.run(("effect", 9))
    await scripted.send(key="0")
    scripted.outside.open(1)
    await scripted.run(key="2")
    assert scripted.outside.effects == {0: 1, 1: 1, 2: 1}


async def test_a_caller_that_goes_away_does_not_stop_its_invocation(scripted: Scripted) -> None:
    call = scripted.begin(("gate", 1), ("effect", 1), key="a")
    await scripted.outside.until("gate 1")
    call.cancel()
    again = scripted.begin(key="a")
    scripted.outside.open(1)
    await again
    assert scripted.outside.effects == {1: 1}


async def test_a_trap_fails_those_who_wait_in_the_queue_and_they_stay_pending(scripted: Scripted) -> None:
    failing = scripted.begin(("warn", 4), ("gate", 1), "trap")
    await scripted.outside.until("gate 1")
    queued = scripted.begin(("effect", 1))
    await scripted.until_written(PendingInvocation)
    scripted.outside.open(1)
    for call in (failing, queued):
        error = await error_of(call)
        assert isinstance(error, InvocationFailed)
        assert "unreachable" in error.cause
        assert error.stderr == "4\n"
    assert len((await scripted.record()).pending) == 1


async def test_an_invocation_that_is_about_to_begin_is_not_queued_again(either: Scripted) -> None:
    either.begin(("gate", 1), key="first")
    await either.outside.until("gate 1")
    await either.send(("effect", 1), key="second")
    await either.world.crash(start=False)
    either.outside.open(1)
    # One caller in each turn of the loop while the worker is loaded and comes to it; the last ones find its answer.
    callers = [either.begin(("effect", 1), key="second")]
    while not callers[0].done():
        callers += [either.begin(("effect", 1), key="second"), asyncio.create_task(either.send(key="second"))]  # pyright: ignore[reportArgumentType]
        await asyncio.sleep(0)
    await asyncio.gather(*callers)
    assert either.outside.effects == {1: 1}
    assert (await either.record()).pending == []
    assert (await either.kinds()).count("PendingInvocation") == 1
    await either.check_record()


async def test_an_invocation_that_is_about_to_begin_is_not_cancelled(either: Scripted) -> None:
    either.begin(("gate", 1), key="first")
    await either.outside.until("gate 1")
    await either.send(("effect", 1), key="second")
    either.outside.open(1)
    cancel = either.world.executor.operations.cancel_pending
    cancelled = False
    for _ in range(10_000):
        cancelled = cancelled or await cancel(either.worker, "second")
        if cancelled or either.outside.effects:
            break
        await asyncio.sleep(0)
    await either.hash()
    assert either.outside.effects == ({} if cancelled else {1: 1})


async def test_an_invocation_that_was_stopped_before_it_began_is_not_forgotten(scripted: Scripted) -> None:
    target = await scripted.revise(Revision())
    for turns in range(12):
        worker = scripted.other(f"w-{turns}")
        stored = await scripted.world.executor.create(worker, WorkerCreation(revision=0))
        assert stored.columns.component_revision == 0
        call = scripted.begin(("effect", turns), key="k", worker=worker)
        for _ in range(turns):
            await asyncio.sleep(0)
        await scripted.world.executor.operations.update(worker, target, automatic=True)
        async with asyncio.timeout(10):
            await call
        assert scripted.outside.effects[turns] == 1


async def test_an_invocation_that_goes_on_after_a_crash_is_not_queued_again_as_it_ends(either: Scripted) -> None:
    either.begin(("effect", 1), ("gate", 1), key="k")
    await either.outside.until("gate 1")
    await either.world.crash()
    await either.outside.until("gate 1", 2)
    either.outside.open(1)
    await until_done([either.begin(key="k")], lambda: either.begin(key="k"))
    assert either.outside.effects == {1: 1}
    assert (await either.kinds()).count("PendingInvocation") == 0
    await either.check_record()


@pytest.mark.parametrize("stop", ["update", "interrupt"])
async def test_an_invocation_that_is_stopped_as_it_ends_is_not_queued_again(scripted: Scripted, stop: str) -> None:
    target = await scripted.revise(Revision())
    executor = scripted.world.executor
    for turns in range(12):
        worker = scripted.other(f"w-{turns}")
        await executor.create(worker, WorkerCreation(revision=0))
        await scripted.run(worker=worker)

        def again(worker: WorkerId = worker, turns: int = turns) -> asyncio.Task[Value]:
            return scripted.begin(("effect", turns), key="k", worker=worker)

        call = again()
        for _ in range(turns):
            await asyncio.sleep(0)
        if stop == "update":
            stopping = asyncio.create_task(executor.operations.update(worker, target, automatic=True))
        else:
            stopping = asyncio.create_task(executor.interrupt(worker, recover_immediately=False))
        await until_done([stopping, call], again)
        await again()
        assert scripted.outside.effects[turns] == 1
        starts = [entry for entry in await scripted.entries(worker) if isinstance(entry, InvocationStarted)]
        assert len(starts) == 2
        assert (await scripted.record(worker)).pending == []
        await scripted.check_record(worker)


class HeldStore(MemoryOplogStore):
    """Its appends wait while `open` is not set; `reached` is set when one does."""

    def __init__(self) -> None:
        super().__init__()
        self.open = asyncio.Event()
        self.open.set()
        self.reached = asyncio.Event()

    async def append(self, batch: OplogBatch) -> None:
        """Append when it may."""
        if not self.open.is_set():
            self.reached.set()
        await self.open.wait()
        await super().append(batch)


async def test_what_begins_while_an_idle_worker_is_stopped_is_stopped_too(open_scripted: OpenScripted) -> None:
    store = HeldStore()
    scripted = await open_scripted(store)
    await scripted.run("random")
    target = await scripted.revise(Revision())
    worker = scripted.world.executor._workers[scripted.worker]  # pyright: ignore[reportPrivateUsage]
    store.open.clear()
    update = asyncio.create_task(scripted.update(target, wake=False))
    await store.reached.wait()
    stop = asyncio.create_task(worker.interrupt(StopKind.REVERT))
    await asyncio.sleep(0)
    call = scripted.begin(("effect", 1), key="k")
    for _ in range(20):
        await asyncio.sleep(0)
    assert worker.is_busy
    store.open.set()
    await asyncio.gather(update, stop)
    assert isinstance(await error_of(call), WorkerInterrupted)
    assert worker.closed
    assert not worker.is_busy
    # Another object takes its place: with this one its callers would wait for ever.
    await scripted.run(("effect", 1), key="k")
    assert scripted.outside.effects == {1: 1}
    assert await scripted.updates() == (0, 1, 0)


async def until_done(tasks: list[asyncio.Task[Any]], again: Callable[[], asyncio.Task[Any]]) -> None:
    """Ask again in each turn of the loop until the tasks have ended, and wait for all, however they end."""
    callers = list(tasks)
    while not all(task.done() for task in tasks):
        callers.append(again())
        await asyncio.sleep(0)
    await asyncio.gather(*callers, return_exceptions=True)
