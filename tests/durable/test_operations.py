"""Each operation on a worker in each status, in memory and not (reference: durability, section 1, the table).

`TABLE` says what each operation answers, what it adds to the oplog until the worker has settled again, and its status
then. A worker has created a promise, has answered `before`, and `first` has brought it into its status. Creation and
invocations are in test_statuses.py, workers that are watched in tests/api/test_connect.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from golem_server.durable.answers import InvocationStatus
from golem_server.durable.guest_facts import GuestSettings
from golem_server.durable.reverting import ToOplogIndex
from golem_server.durable.signals import TransientFailure
from golem_server.model.errors import (
    InvalidWorkerRequest,
    PreviousInvocationExited,
    PreviousInvocationFailed,
    WorkerNotFound,
)
from golem_server.model.ids import OplogIndex, PromiseId
from golem_server.model.oplog import (
    CancelPendingInvocation,
    Entry,
    Error,
    HostCall,
    Interrupted,
    InvocationFinished,
    PendingInvocation,
    PendingUpdate,
    Restart,
    RetryPolicy,
    Revert,
    SuccessfulUpdate,
    Suspend,
)
from golem_server.model.workers import WorkerStatus
from tests.durable.conftest import OpenScripted
from tests.durable.script_guest import Revision
from tests.durable.scripted import Scripted, error_of, quick

IDLE, RUNNING, SUSPENDED, INTERRUPTED = (
    WorkerStatus.IDLE,
    WorkerStatus.RUNNING,
    WorkerStatus.SUSPENDED,
    WorkerStatus.INTERRUPTED,
)
RETRYING, FAILED, EXITED = WorkerStatus.RETRYING, WorkerStatus.FAILED, WorkerStatus.EXITED
STATUSES = (IDLE, RUNNING, SUSPENDED, INTERRUPTED, RETRYING, FAILED, EXITED)
GONE = None

SLOW_RETRY = RetryPolicy(max_attempts=3, min_delay=60_000, max_delay=60_000)
SAVING = Revision(saves="bytes", loads="bytes")


@dataclass(frozen=True)
class Cell:
    """What comes of an operation: its answer, or the class of its error; entries; the status in the end.

    Where the worker `goes_on` its code runs again, up to the place where it waited.
    """

    answer: Any = None
    added: tuple[type[Entry], ...] = ()
    status: WorkerStatus | None = GONE
    goes_on: bool = False


@dataclass(frozen=True)
class Row:
    """An operation, and its cells. `unloaded` are those that differ where the worker is not in memory.

    With `queued` the invocation `later` waits behind `first`, unless the worker is idle.
    """

    operation: Callable[[Scripted], Awaitable[Any]]
    cells: Mapping[WorkerStatus, Cell]
    unloaded: Mapping[WorkerStatus, Cell] = field(default_factory=dict[WorkerStatus, Cell])
    queued: bool = False


def nothing(answer: Any = None) -> dict[WorkerStatus, Cell]:
    """The same answer in every status, and nothing happens."""
    return {status: Cell(answer, status=status) for status in STATUSES}


def each(
    idle: Any, running: Any, suspended: Any, interrupted: Any, retrying: Any, failed: Any, exited: Any
) -> dict[WorkerStatus, Cell]:
    """An answer for each status, and nothing happens."""
    answers = (idle, running, suspended, interrupted, retrying, failed, exited)
    return {status: Cell(answer, status=status) for status, answer in zip(STATUSES, answers, strict=True)}


async def update(world: Scripted, manual: bool) -> None:
    """Ask for an update to a revision that replays to the same."""
    await world.update(await world.revise(SAVING), manual=manual)


def status_of(key: str) -> Callable[[Scripted], Awaitable[Any]]:
    """What has become of an invocation."""
    return lambda world: world.world.executor.operations.answers.status(world.worker, key)


def cancel(key: str) -> Callable[[Scripted], Awaitable[Any]]:
    """Take an invocation out of the queue."""
    return lambda world: world.world.executor.operations.cancel_pending(world.worker, key)


STOPPED = Cell(None, (Interrupted,), INTERRUPTED)
RETRIED = (HostCall, InvocationFinished)
ENDED = {FAILED: Cell(PreviousInvocationFailed, status=FAILED), EXITED: Cell(PreviousInvocationExited, status=EXITED)}
REFUSED = {status: Cell(InvalidWorkerRequest, status=status) for status in (RUNNING, RETRYING)}
INTERRUPTING = nothing() | {RUNNING: STOPPED, SUSPENDED: STOPPED, RETRYING: STOPPED}
AN_ANSWER = "an answer"

TABLE: dict[str, Row] = {
    "interrupt": Row(lambda world: world.interrupt(), INTERRUPTING),
    "interrupt and recover": Row(
        lambda world: world.interrupt(recover=True),
        INTERRUPTING | {RUNNING: Cell(None, (), RUNNING, goes_on=True)},
    ),
    "resume": Row(
        lambda world: world.world.executor.resume(world.worker),
        {
            IDLE: Cell(status=IDLE),
            SUSPENDED: Cell(None, (Suspend,), SUSPENDED),
            INTERRUPTED: Cell(None, (Restart,), RUNNING, goes_on=True),
            **REFUSED,
            **ENDED,
        },
    ),
    "delete": Row(
        lambda world: world.world.executor.delete(world.worker), {status: Cell(status=GONE) for status in STATUSES}
    ),
    "revert": Row(
        lambda world: world.world.executor.operations.revert(world.worker, ToOplogIndex(1)),
        {status: Cell(None, (Revert,), IDLE) for status in STATUSES},
    ),
    "cancel what waits": Row(
        cancel("later"),
        {status: Cell(True, (CancelPendingInvocation,), status) for status in STATUSES if status is not IDLE}
        | {IDLE: Cell(InvalidWorkerRequest, status=IDLE)},
        queued=True,
    ),
    "cancel what has begun": Row(cancel("first"), nothing(False)),
    "cancel what is done": Row(cancel("before"), nothing(False)),
    "cancel what is unknown": Row(cancel("never"), nothing(InvalidWorkerRequest)),
    "complete a promise": Row(
        lambda world: world.world.executor.complete_promise(PromiseId(world.worker, OplogIndex(3)), b"data"),
        nothing(True)
        | {
            SUSPENDED: Cell(True, (HostCall, HostCall, InvocationFinished), IDLE),
            INTERRUPTED: Cell(True, (Restart,), RUNNING, goes_on=True),
        },
        {RUNNING: Cell(True, (), RUNNING, goes_on=True), RETRYING: Cell(True, RETRIED, IDLE)},
    ),
    "status of what waits": Row(
        status_of("later"), nothing(InvocationStatus.PENDING) | {IDLE: Cell(None, status=IDLE)}, queued=True
    ),
    "status of what has begun": Row(
        status_of("first"),
        each(
            InvocationStatus.COMPLETE,
            *[InvocationStatus.RUNNING] * 4,
            *[InvocationStatus.FAILED] * 2,
        ),
    ),
    "status of what is done": Row(status_of("before"), nothing(InvocationStatus.COMPLETE)),
    "status of what is unknown": Row(status_of("never"), nothing()),
    "ask for an answer again": Row(
        lambda world: world.run(key="before"),
        nothing(AN_ANSWER) | {INTERRUPTED: Cell(AN_ANSWER, (Restart,), RUNNING, goes_on=True)} | ENDED,
        {
            RUNNING: Cell(AN_ANSWER, (), RUNNING, goes_on=True),
            SUSPENDED: Cell(AN_ANSWER, (Suspend,), SUSPENDED),
            RETRYING: Cell(AN_ANSWER, RETRIED, IDLE),
        },
    ),
    "automatic update": Row(
        lambda world: update(world, manual=False),
        {
            IDLE: Cell(None, (PendingUpdate, SuccessfulUpdate), IDLE),
            RUNNING: Cell(None, (PendingUpdate, SuccessfulUpdate), RUNNING, goes_on=True),
            SUSPENDED: Cell(None, (PendingUpdate, SuccessfulUpdate, Suspend), SUSPENDED),
            INTERRUPTED: Cell(None, (PendingUpdate, Restart, SuccessfulUpdate), RUNNING, goes_on=True),
            RETRYING: Cell(None, (PendingUpdate, SuccessfulUpdate, *RETRIED), IDLE),
            # The new code traps where the old one did.
            FAILED: Cell(None, (PendingUpdate, SuccessfulUpdate, Error), FAILED),
            EXITED: Cell(status=EXITED),
        },
    ),
    "manual update": Row(
        lambda world: update(world, manual=True),
        {
            IDLE: Cell(None, (PendingInvocation, PendingUpdate, SuccessfulUpdate), IDLE),
            RUNNING: Cell(None, (PendingInvocation,), RUNNING),
            SUSPENDED: Cell(None, (PendingInvocation, Suspend), SUSPENDED),
            INTERRUPTED: Cell(None, (PendingInvocation, Restart), RUNNING, goes_on=True),
            RETRYING: Cell(None, (PendingInvocation,), RETRYING),
            # It waits behind what has failed, for a revert.
            FAILED: Cell(None, (PendingInvocation,), FAILED),
            EXITED: Cell(None, (PendingInvocation,), EXITED),
        },
        {
            RUNNING: Cell(None, (PendingInvocation,), RUNNING, goes_on=True),
            RETRYING: Cell(None, (PendingInvocation, *RETRIED, PendingUpdate, SuccessfulUpdate), IDLE),
        },
    ),
}

COPIES = {
    IDLE: Cell(status=IDLE),
    RUNNING: Cell(status=RUNNING, goes_on=True),
    SUSPENDED: Cell(status=SUSPENDED),
    INTERRUPTED: Cell(None, (Restart,), RUNNING, goes_on=True),
    RETRYING: Cell(None, RETRIED, IDLE),
    FAILED: Cell(status=FAILED),
    EXITED: Cell(status=EXITED),
}
"""What becomes of a copy: it goes on where its original stands."""


@pytest.fixture
async def world(open_scripted: OpenScripted) -> Scripted:
    """A world in which the first retry comes after a minute, and snapshots can be taken."""
    return await open_scripted(settings=quick(guest=GuestSettings(retry_policy=SLOW_RETRY)), revision=SAVING)


async def bring(world: Scripted, status: WorkerStatus, *, in_memory: bool, queued: bool = False) -> None:
    """Bring the worker into a status."""
    await world.run("promise", ("effect", 9), key="before")
    last = {SUSPENDED: "await", RETRYING: ("answer", 1), FAILED: "trap", EXITED: "exit", IDLE: "random"}
    world.outside.answers[1] = [TransientFailure("busy"), 0]
    call = world.begin(("gate", 2), ("effect", 1), last.get(status, ("gate", 1)), key="first")
    await world.outside.until("gate 2")
    if queued and status is not IDLE:
        await world.send(key="later")
    world.outside.open(2)
    if status is IDLE:
        await call
    elif status in (FAILED, EXITED):
        await error_of(call)
    elif status in (SUSPENDED, RETRYING):
        await world.until(status)
    else:
        await world.outside.until("gate 1")
    if status is SUSPENDED:
        # Its task ends only then.
        await world.world.executor._workers[world.worker].idle()  # pyright: ignore[reportPrivateUsage]
    if status is INTERRUPTED:
        await world.interrupt()
    if not in_memory:
        await world.world.crash(start=False)
    assert await world.status() is status


async def settled(world: Scripted, before: int, cell: Cell) -> None:
    """What the cell says has come."""
    if cell.added:
        kind = cell.added[-1]
        earlier = sum(isinstance(entry, kind) for entry in (await world.entries())[:before])
        await world.until_written(kind, earlier + sum(added is kind for added in cell.added))
    if cell.goes_on:
        await world.outside.until("gate 1", 2)
    assert [type(entry) for entry in (await world.entries())[before:]] == list(cell.added)
    assert await world.status() is cell.status
    assert world.outside.effects == {9: 1, 1: 1}


@pytest.mark.parametrize("in_memory", [True, False], ids=["in memory", "unloaded"])
@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("name", TABLE)
async def test_an_operation(world: Scripted, name: str, status: WorkerStatus, in_memory: bool) -> None:
    row = TABLE[name]
    cell = row.cells[status] if in_memory else row.unloaded.get(status, row.cells[status])
    await bring(world, status, in_memory=in_memory, queued=row.queued)
    before = len(await world.entries())
    if isinstance(cell.answer, type):
        with pytest.raises(cell.answer):
            await row.operation(world)
    else:
        answer = await row.operation(world)
        assert isinstance(answer, int) if cell.answer is AN_ANSWER else answer == cell.answer
    if cell.status is GONE:
        with pytest.raises(WorkerNotFound):
            await world.status()
        return
    await settled(world, before, cell)
    await world.check_record()


@pytest.mark.parametrize("in_memory", [True, False], ids=["in memory", "unloaded"])
@pytest.mark.parametrize("status", STATUSES)
async def test_a_copy(world: Scripted, status: WorkerStatus, in_memory: bool) -> None:
    await bring(world, status, in_memory=in_memory)
    entries = await world.entries()
    await world.world.executor.operations.fork(world.worker, world.other("copy"), None)
    copy = Copy(world.world, world.outside, world.component)
    await settled(copy, len(entries), COPIES[status])
    assert await world.entries() == entries
    assert await world.status() is status
    if status is SUSPENDED:
        # Both wait for the promise of the original, which gives its data to the original alone, as Golem has it.
        await TABLE["complete a promise"].operation(world)
        await world.until(IDLE)
        await copy.until(FAILED)


class Copy(Scripted):
    """The copy of the worker."""

    @property
    def worker(self) -> Any:
        """It is the one that is meant where none is named."""
        return self.other("copy")


@pytest.mark.parametrize("operation", ["resume", "ask for an answer again", "automatic update", "manual update"])
async def test_who_started_an_interrupted_worker_need_not_do_it_again_after_a_crash(
    world: Scripted, operation: str
) -> None:
    await bring(world, INTERRUPTED, in_memory=True)
    await TABLE[operation].operation(world)
    await world.outside.until("gate 1", 2)
    await world.world.crash()
    await world.outside.until("gate 1", 3)
    await world.interrupt()
    assert await world.status() is INTERRUPTED
    await world.world.crash()
    world.outside.open(1)
    assert await world.status() is INTERRUPTED
    await world.world.executor.resume(world.worker)
    await world.until(IDLE)
    assert world.outside.effects == {9: 1, 1: 1}
