"""Leaving memory while waiting, and coming back: timers, promises, the scheduler, crashes in between."""

import asyncio

from golem_server.model.errors import WorkerInterrupted
from golem_server.model.ids import OplogIndex, PromiseId
from golem_server.model.oplog import HostCall, Suspend
from golem_server.model.workers import WorkerStatus
from tests.durable.conftest import OpenScripted
from tests.durable.scripted import MovedClock, Scripted, error_of, quick


def promise_of(scripted: Scripted, index: int = 3) -> PromiseId:
    """The promise that a first invocation creates first."""
    return PromiseId(scripted.worker, OplogIndex(index))


async def some_rounds() -> None:
    """Let everything run that is ready."""
    for _ in range(200):
        await asyncio.sleep(0)


def loaded(scripted: Scripted) -> bool:
    """Whether the worker has an instance in memory."""
    worker = scripted.world.executor._workers.get(scripted.worker)  # pyright: ignore[reportPrivateUsage]
    return worker is not None and worker._incarnation is not None  # pyright: ignore[reportPrivateUsage]


async def test_a_long_sleep_leaves_memory_and_ends_at_its_time(open_either: OpenScripted) -> None:
    clock = MovedClock()
    scripted = await open_either(clock=clock)
    call = scripted.begin("now", ("sleep", 200), ("effect", 1))
    await scripted.until(WorkerStatus.SUSPENDED)
    stored = await scripted.world.store.find_worker(scripted.worker)
    assert stored is not None
    assert stored.columns.wake_at == clock.now_ns() // 1_000_000 + 20_000
    assert not loaded(scripted)
    clock.ahead += 19.9
    await asyncio.sleep(0.05)
    assert await scripted.status() is WorkerStatus.SUSPENDED
    clock.ahead += 0.2
    assert await call is not None
    assert scripted.outside.effects == {1: 1}
    assert (await scripted.kinds()).count("Suspend") == 1
    await scripted.check_record()


async def test_a_worker_that_sleeps_and_that_nobody_waits_for_takes_no_memory(open_scripted: OpenScripted) -> None:
    clock = MovedClock()
    scripted = await open_scripted(clock=clock)
    await scripted.send(("sleep", 200), key="a")
    await scripted.until(WorkerStatus.SUSPENDED)
    await some_rounds()
    assert scripted.worker not in scripted.world.executor._workers  # pyright: ignore[reportPrivateUsage]
    clock.ahead += 30
    await scripted.until(WorkerStatus.IDLE)


async def test_a_sleep_that_ends_while_the_server_is_down_ends_at_the_start(open_either: OpenScripted) -> None:
    clock = MovedClock()
    scripted = await open_either(clock=clock)
    await scripted.send(("sleep", 200), ("effect", 1), key="a")
    await scripted.until(WorkerStatus.SUSPENDED)
    await scripted.world.crash(start=False)
    clock.ahead += 30
    await scripted.world.crash()
    await scripted.outside.until("effect 1")
    assert await scripted.run(key="a") is not None


async def test_a_short_sleep_stays_in_memory(open_scripted: OpenScripted) -> None:
    scripted = await open_scripted()
    await scripted.run(("sleep", 1))
    assert "Suspend" not in await scripted.kinds()


async def test_many_sleepers_that_are_due_at_once_all_wake(open_scripted: OpenScripted) -> None:
    clock = MovedClock()
    scripted = await open_scripted(clock=clock)
    workers = [scripted.other(f"s-{number}") for number in range(250)]
    calls = [scripted.begin(("sleep", 200), ("gate", 1), worker=worker) for worker in workers]
    for worker in workers:
        await scripted.world.until(worker, WorkerStatus.SUSPENDED)
    clock.ahead += 30
    await scripted.outside.until("gate 1", 250)
    scripted.outside.open(1)
    assert len(await asyncio.gather(*calls)) == 250


async def test_the_scheduler_does_not_spin_while_a_woken_worker_writes_nothing(open_scripted: OpenScripted) -> None:
    clock = MovedClock()
    scripted = await open_scripted(clock=clock, settings=quick(scheduler_interval=60.0))
    scripted.begin(("sleep", 200), ("gate", 1))
    await scripted.until(WorkerStatus.SUSPENDED)
    asked = 0
    next_wake = scripted.world.store.next_wake

    async def counted(after: int = -1) -> int | None:
        nonlocal asked
        asked += 1
        return await next_wake(after)

    scripted.world.store.next_wake = counted  # pyright: ignore[reportAttributeAccessIssue]
    clock.ahead += 30
    scheduler = scripted.world.executor._scheduler  # pyright: ignore[reportPrivateUsage]
    scheduler.expect(0)
    await scripted.outside.until("gate 1")
    await some_rounds()
    assert asked <= 2


async def test_a_promise_is_waited_for_outside_of_memory_and_its_completion_resumes(either: Scripted) -> None:
    call = either.begin("promise", "await", ("effect", 1))
    await either.until(WorkerStatus.SUSPENDED)
    executor = either.world.executor
    assert await executor.complete_promise(promise_of(either), b"data")
    assert await call is not None
    assert not await executor.complete_promise(promise_of(either), b"other")
    assert await executor.promise_data(promise_of(either)) == b"data"
    assert either.outside.effects == {1: 1}
    await either.check_record()


async def test_a_promise_completed_before_it_is_waited_for_suspends_nobody(either: Scripted) -> None:
    call = either.begin("promise", ("gate", 1), "await")
    await either.outside.until("gate 1")
    assert await either.world.executor.complete_promise(promise_of(either), b"data")
    either.outside.open(1)
    assert await call is not None
    assert "Suspend" not in await either.kinds()


async def test_a_promise_completed_while_its_worker_is_unloaded_wakes_it(either: Scripted) -> None:
    await either.send("promise", "await", ("effect", 1), key="a")
    await either.until(WorkerStatus.SUSPENDED)
    await either.world.crash()
    assert await either.world.executor.complete_promise(promise_of(either, 4), b"data")
    await either.outside.until("effect 1")
    assert await either.run(key="a") is not None


async def test_a_crash_right_after_a_completion_was_told_loses_no_wake_up(either: Scripted) -> None:
    await either.send("promise", "await", ("gate", 1), key="a")
    await either.until(WorkerStatus.SUSPENDED)
    assert await either.world.executor.complete_promise(promise_of(either, 4), b"data")
    await either.world.crash()
    await either.outside.until("gate 1")
    stored = await either.world.store.find_worker(either.worker)
    assert stored is not None


async def test_a_promise_completed_between_the_guests_look_and_the_suspension_is_seen(scripted: Scripted) -> None:
    executor = scripted.world.executor
    promises = executor._promises  # pyright: ignore[reportPrivateUsage]
    async with promises.held(scripted.worker):
        call = scripted.begin("promise", "await")
        await scripted.until_written(HostCall)
        await some_rounds()
        assert not loaded(scripted)
        # The guest has looked, and waits to be suspended.
        stored = await scripted.world.store.find_worker(scripted.worker)
        assert stored is not None
        assert await executor._runtime.promises.complete(stored.number, 3, b"data")  # pyright: ignore[reportPrivateUsage]
    assert await call is not None
    assert "Suspend" not in await scripted.kinds()


async def test_a_suspended_worker_that_was_interrupted_is_not_woken_by_its_timer(open_scripted: OpenScripted) -> None:
    clock = MovedClock()
    scripted = await open_scripted(clock=clock)
    call = scripted.begin(("sleep", 200), ("effect", 1), key="a")
    await scripted.until(WorkerStatus.SUSPENDED)
    await scripted.interrupt()
    assert isinstance(await error_of(call), WorkerInterrupted)
    stored = await scripted.world.store.find_worker(scripted.worker)
    assert stored is not None
    assert stored.columns.wake_at is None
    clock.ahead += 30
    await scripted.world.crash()
    await asyncio.sleep(0.05)
    assert await scripted.status() is WorkerStatus.INTERRUPTED
    await scripted.world.executor.resume(scripted.worker)
    assert await scripted.run(key="a") is not None
    assert scripted.outside.effects == {1: 1}


async def test_completing_a_promise_resumes_an_interrupted_worker(scripted: Scripted) -> None:
    scripted.begin("promise", "await", key="a")
    await scripted.until(WorkerStatus.SUSPENDED)
    await scripted.interrupt()
    assert await scripted.world.executor.complete_promise(promise_of(scripted), b"data")
    assert await scripted.run(key="a") is not None


async def test_what_is_written_while_suspended_does_not_lose_the_time_to_wake(open_scripted: OpenScripted) -> None:
    clock = MovedClock()
    scripted = await open_scripted(clock=clock)
    scripted.begin(("sleep", 200))
    await scripted.until_written(Suspend)
    await scripted.send(("effect", 1), key="b")
    worker = scripted.world.executor._workers[scripted.worker]  # pyright: ignore[reportPrivateUsage]
    assert await worker.cancel_pending("b")
    stored = await scripted.world.store.find_worker(scripted.worker)
    assert stored is not None
    assert stored.columns.wake_at is not None
