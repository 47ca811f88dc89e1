"""The ways in which a worker is told to stop or has ended, and what those hear who wait for it or ask it again."""

from __future__ import annotations

import enum

from golem_server.model.errors import (
    GolemError,
    PreviousInvocationExited,
    PreviousInvocationFailed,
    Unavailable,
    WorkerDeleted,
    WorkerInterrupted,
)
from golem_server.model.status import StatusRecord
from golem_server.model.workers import WorkerStatus


class WorkerClosed(Exception):
    """This object has left memory while somebody was about to use it: another one must be made."""


class StopKind(enum.Enum):
    """Why a worker is told to stop. `LOST`: its oplog cannot be written any more. `REVERT`: its end is cut off."""

    INTERRUPT = "interrupt"
    RESTART = "restart"
    DELETE = "delete"
    REVERT = "revert"
    SHUTDOWN = "shutdown"
    LOST = "lost"


INTERRUPTIBLE = (WorkerStatus.RUNNING, WorkerStatus.SUSPENDED, WorkerStatus.RETRYING)
"""Workers on which an interrupt is recorded: the others have nothing to interrupt."""


def error_for_waiters(kind: StopKind) -> GolemError:
    """What ends the invocations that somebody waits for."""
    if kind is StopKind.DELETE:
        return WorkerDeleted()
    if kind is StopKind.SHUTDOWN:
        return Unavailable("The server is shutting down; try again with the same idempotency key")
    if kind is StopKind.REVERT:
        return WorkerInterrupted("The worker was reverted")
    return WorkerInterrupted()


def refuse_if_ended(record: StatusRecord) -> None:
    """Raise PreviousInvocationFailed or PreviousInvocationExited for a worker that takes no more invocations."""
    if record.status is WorkerStatus.FAILED:
        raise PreviousInvocationFailed(record.last_error or "", "".join(record.stderr), record.last_agent_error)
    if record.status is WorkerStatus.EXITED:
        raise PreviousInvocationExited
