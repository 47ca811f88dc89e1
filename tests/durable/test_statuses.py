"""The seven statuses, and what each operation does in each of them (reference: durability, section 1)."""

import asyncio

import pytest

from golem_server.durable.guest_facts import GuestSettings
from golem_server.durable.signals import TransientFailure
from golem_server.model.errors import (
    InvalidWorkerRequest,
    InvocationFailed,
    PreviousInvocationExited,
    PreviousInvocationFailed,
    WorkerAlreadyExists,
    WorkerCreationFailed,
    WorkerDeleted,
    WorkerExited,
    WorkerInterrupted,
    WorkerNotFound,
)
from golem_server.model.oplog import RetryPolicy
from golem_server.model.workers import WorkerCreation, WorkerStatus
from tests.durable.conftest import OpenScripted
from tests.durable.scripted import Scripted, error_of, quick
from tests.guests.busy import NEEDS_MEMORY

SLOW_RETRY = RetryPolicy(max_attempts=3, min_delay=60_000, max_delay=60_000)
STATUSES = list(WorkerStatus)


@pytest.fixture
async def world(open_scripted: OpenScripted) -> Scripted:
    """A world in which the first retry comes after a minute."""
    return await open_scripted(settings=quick(guest=GuestSettings(retry_policy=SLOW_RETRY)))


async def bring(scripted: Scripted, status: WorkerStatus) -> asyncio.Task[object] | None:
    """Bring the worker into a status; gives the call that waits for it, if there is one."""
    match status:
        case WorkerStatus.IDLE:
            await scripted.run()
        case WorkerStatus.RUNNING:
            call = scripted.begin(("gate", 1), key="first")
            await scripted.outside.until("gate 1")
            return call
        case WorkerStatus.SUSPENDED:
            call = scripted.begin("promise", "await", key="first")
            await scripted.until(status)
            return call
        case WorkerStatus.INTERRUPTED:
            scripted.begin(("gate", 1), key="first")
            await scripted.outside.until("gate 1")
            await scripted.interrupt()
        case WorkerStatus.RETRYING:
            scripted.outside.answers[1] = [TransientFailure("busy"), 0]
            call = scripted.begin(("answer", 1), key="first")
            await scripted.until(status)
            return call
        case WorkerStatus.FAILED:
            assert isinstance(await error_of(scripted.begin(("warn", 1), "trap", key="first")), InvocationFailed)
        case WorkerStatus.EXITED:
            assert isinstance(await error_of(scripted.begin("exit", key="first")), WorkerExited)
    return None


@pytest.mark.parametrize("status", STATUSES)
async def test_a_worker_shows_its_status_in_memory_in_the_store_and_in_the_fold(
    world: Scripted, status: WorkerStatus
) -> None:
    await bring(world, status)
    assert await world.status() is status
    if status is not WorkerStatus.RUNNING:
        assert (await world.record()).status is status
    await world.check_record()


@pytest.mark.parametrize("status", STATUSES)
async def test_creating_a_worker_that_exists_is_refused_in_every_status(world: Scripted, status: WorkerStatus) -> None:
    await bring(world, status)
    with pytest.raises(WorkerAlreadyExists):
        await world.world.executor.create(world.worker, WorkerCreation())
    assert await world.status() is status


@pytest.mark.parametrize("status", STATUSES)
async def test_a_deleted_worker_is_gone_and_a_new_one_of_its_name_starts_clean(
    world: Scripted, status: WorkerStatus
) -> None:
    call = await bring(world, status)
    async with asyncio.timeout(5):
        await world.world.executor.delete(world.worker)
    if call is not None:
        with pytest.raises(WorkerDeleted):
            await call
    with pytest.raises(WorkerNotFound):
        await world.status()
    assert await world.run(key="first") == await world.run(worker=world.other("fresh"))
    assert await world.kinds() == ["Create", "InvocationStarted", "InvocationFinished"]


@pytest.mark.parametrize(
    ("status", "after"),
    [
        (WorkerStatus.RUNNING, WorkerStatus.INTERRUPTED),
        (WorkerStatus.IDLE, WorkerStatus.IDLE),
        (WorkerStatus.SUSPENDED, WorkerStatus.INTERRUPTED),
        (WorkerStatus.INTERRUPTED, WorkerStatus.INTERRUPTED),
        (WorkerStatus.RETRYING, WorkerStatus.INTERRUPTED),
        (WorkerStatus.FAILED, WorkerStatus.FAILED),
        (WorkerStatus.EXITED, WorkerStatus.EXITED),
    ],
)
async def test_interrupt_stops_what_goes_on_and_leaves_the_rest_alone(
    world: Scripted, status: WorkerStatus, after: WorkerStatus
) -> None:
    call = await bring(world, status)
    entries = len(await world.entries())
    async with asyncio.timeout(5):
        await world.interrupt()
    assert await world.status() is after
    assert (await world.record()).status is after
    if call is not None:
        with pytest.raises(WorkerInterrupted, match="Interrupted via the Golem API"):
            await call
    if status is after:
        assert len(await world.entries()) == entries
    await world.world.crash()
    assert await world.status() is after
    await world.check_record()


async def test_interrupt_of_a_worker_that_does_not_exist_does_nothing(world: Scripted) -> None:
    await world.interrupt()
    with pytest.raises(WorkerNotFound):
        await world.status()


async def test_an_interrupted_worker_completes_what_it_was_at_before_a_new_invocation(world: Scripted) -> None:
    await bring(world, WorkerStatus.INTERRUPTED)
    world.outside.open(1)
    await world.run(("effect", 1), key="second")
    starts = [kind for kind in await world.kinds() if kind.startswith("Invocation")]
    assert starts == ["InvocationStarted", "InvocationFinished"] * 2
    assert await world.run(key="first") is not None


async def test_recovery_at_once_writes_nothing_and_callers_go_on_waiting(world: Scripted) -> None:
    call = world.begin("random", ("effect", 1), ("gate", 1))
    await world.outside.until("gate 1")
    kinds = await world.kinds()
    await world.interrupt(recover=True)
    await world.outside.until("gate 1", 2)
    assert await world.kinds() == kinds
    world.outside.open(1)
    assert await call is not None
    assert world.outside.effects == {1: 1}
    assert "Interrupted" not in await world.kinds()


@pytest.mark.parametrize(
    ("status", "refused"),
    [
        (WorkerStatus.RUNNING, InvalidWorkerRequest),
        (WorkerStatus.RETRYING, InvalidWorkerRequest),
        (WorkerStatus.FAILED, PreviousInvocationFailed),
        (WorkerStatus.EXITED, PreviousInvocationExited),
        (WorkerStatus.IDLE, None),
        (WorkerStatus.SUSPENDED, None),
        (WorkerStatus.INTERRUPTED, None),
    ],
)
async def test_resume_starts_what_stands_still_and_refuses_the_rest(
    world: Scripted, status: WorkerStatus, refused: type[Exception] | None
) -> None:
    await bring(world, status)
    if refused is not None:
        with pytest.raises(refused):
            await world.world.executor.resume(world.worker)
        assert await world.status() is status
        return
    await world.world.executor.resume(world.worker)
    if status is WorkerStatus.INTERRUPTED:
        world.outside.open(1)
        assert await world.run(key="first") is not None


@pytest.mark.parametrize(
    ("status", "refused"),
    [
        (WorkerStatus.FAILED, PreviousInvocationFailed),
        (WorkerStatus.EXITED, PreviousInvocationExited),
    ],
)
async def test_a_worker_that_ended_takes_no_invocation_of_either_kind(
    world: Scripted, status: WorkerStatus, refused: type[Exception]
) -> None:
    await bring(world, status)
    entries = len(await world.entries())
    for _ in range(2):
        with pytest.raises(refused) as refusal:
            await world.run()
        with pytest.raises(refused):
            await world.send()
        if isinstance(refusal.value, PreviousInvocationFailed):
            assert "unreachable" in refusal.value.cause
            assert refusal.value.stderr == "1\n"
        await world.world.crash()
    assert len(await world.entries()) == entries


@pytest.mark.parametrize("status", [WorkerStatus.RUNNING, WorkerStatus.SUSPENDED, WorkerStatus.RETRYING])
async def test_a_worker_at_work_queues_what_comes(world: Scripted, status: WorkerStatus) -> None:
    await bring(world, status)
    async with asyncio.timeout(5):
        await world.send(("effect", 1), key="later")
    assert [item.idempotency_key for item in (await world.record()).pending] == ["later"]
    assert not world.outside.effects


async def test_a_component_that_cannot_be_instantiated_tells_its_creator_and_everybody_later(world: Scripted) -> None:
    limited = await world.world.component(NEEDS_MEMORY.replace("100", "40000"))
    worker = world.other("big")._replace(component_id=limited)
    with pytest.raises(WorkerCreationFailed, match="Failed to create worker"):
        await world.world.executor.create(worker, WorkerCreation())
    with pytest.raises(WorkerCreationFailed):
        await world.world.call(worker, "anything")
    assert await world.run() is not None


async def test_the_trap_of_one_worker_does_not_touch_the_others(world: Scripted) -> None:
    others = [world.other(f"w-{number}") for number in range(10, 20)]
    calls = [world.begin(("gate", 1), ("print", 1), worker=other) for other in others]
    await world.outside.until("gate 1", 10)
    await bring(world, WorkerStatus.FAILED)
    world.outside.open(1)
    assert len(set(await asyncio.gather(*calls))) == 1


async def test_a_guest_that_computes_for_ever_is_interrupted_within_a_tenth_of_a_second(world: Scripted) -> None:
    call = world.begin("spin", key="a")
    await world.until(WorkerStatus.RUNNING)
    loop = asyncio.get_running_loop()
    before = loop.time()
    await world.interrupt()
    assert loop.time() - before < 0.5, "a tenth on a quiet machine"
    assert isinstance(await error_of(call), WorkerInterrupted)
    assert await world.status() is WorkerStatus.INTERRUPTED


async def test_a_worker_can_be_interrupted_and_deleted_by_many_at_once(world: Scripted) -> None:
    await bring(world, WorkerStatus.RUNNING)
    executor = world.world.executor
    async with asyncio.timeout(5):
        await asyncio.gather(
            world.interrupt(),
            world.interrupt(recover=True),
            world.interrupt(),
            executor.delete(world.worker),
            world.interrupt(recover=True),
            executor.delete(world.worker),
        )
    with pytest.raises(WorkerNotFound):
        await world.status()


async def test_a_command_reaches_a_task_that_has_not_begun(world: Scripted) -> None:
    await bring(world, WorkerStatus.SUSPENDED)
    worker = world.world.executor._workers[world.worker]  # pyright: ignore[reportPrivateUsage]
    worker.wake()
    async with asyncio.timeout(5):
        await world.interrupt()
    assert await world.status() is WorkerStatus.INTERRUPTED
