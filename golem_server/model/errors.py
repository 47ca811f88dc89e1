"""Every error that a user can meet, as one tree.

    GolemError                      has a text for the user and a stable code
     |- InvalidInput                the request is wrong; says what to change
     |- Unauthorized, Forbidden
     |- NotFound                    component, environment, worker, promise, file, ...
     |- Conflict                    exists already, changed meanwhile
     |- LimitExceeded, TooLarge, TooManyPending
     |- Unavailable                 the store is away; nothing was acknowledged
     |   '- OplogFenced             somebody else writes this worker's oplog
     '- WorkerError                 what became of the worker: the base of
         |- InvocationFailed        the guest trapped or gave up; `cause` and `stderr`
         |- PreviousInvocationFailed, PreviousInvocationExited
         |- WorkerInterrupted       somebody interrupted the worker while the caller waited
         |- WorkerExited            the guest called exit
         |- WorkerCreationFailed    the component cannot be instantiated
         |- UnexpectedOplogEntry    replay met something else than the code asked for
         '- InvalidWorkerRequest    the worker is not in a state to do this
    InternalBug                     a broken invariant of our own; not a GolemError

The API room maps them to status codes in one table. Codes are those of reference rest-api, section 2.
"""

from __future__ import annotations

from collections.abc import Sequence

from golem_server.model.types import Value


class GolemError(Exception):
    """Base of all errors that are told to the user. `code` is stable, the text is for people."""

    code = "INTERNAL_UNKNOWN"

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code


class InvalidInput(GolemError):
    """The request cannot be understood or is not allowed to look like this; `details` are its single faults."""

    code = "VALIDATION_ERROR"

    def __init__(self, message: str, *, code: str | None = None, details: Sequence[str] | None = None) -> None:
        super().__init__(message, code=code)
        self.details: tuple[str, ...] = tuple(details) if details is not None else (message,)


class Unauthorized(GolemError):
    """No credential, or one that is not known."""

    code = "AUTH_UNAUTHORIZED"


class Forbidden(GolemError):
    """The caller is known and may not do this."""

    code = "AUTH_FORBIDDEN"


class NotFound(GolemError):
    """The thing that the request names does not exist, or the caller may not know that it does."""

    code = "RESOURCE_NOT_FOUND"


class WorkerNotFound(NotFound):
    """No worker of that name."""

    code = "AGENT_NOT_FOUND"

    def __init__(self, worker_id: object) -> None:
        super().__init__(f"Worker not found: {worker_id}")
        self.worker_id = worker_id


class Conflict(GolemError):
    """It exists already, or somebody else changed it meanwhile."""

    code = "CONCURRENT_UPDATE"


class WorkerAlreadyExists(Conflict):
    """A worker of that name exists."""

    code = "INTERNAL_UNKNOWN"

    def __init__(self, worker_id: object) -> None:
        super().__init__(f"Worker already exists: {worker_id}")
        self.worker_id = worker_id


class LimitExceeded(GolemError):
    """A limit of the plan or of the settings would be passed."""

    code = "LIMIT_EXCEEDED"


class TooLarge(GolemError):
    """The request is larger than the settings allow."""

    code = "REQUEST_PAYLOAD_TOO_LARGE"


class TooManyPending(GolemError):
    """The worker's queue is full; to be tried again later."""

    code = "LIMIT_EXCEEDED"


class Unavailable(GolemError):
    """The store cannot be reached. Whatever was asked was not acknowledged and can be tried again."""


class OplogFenced(Unavailable):
    """Another owner has appended to this worker's oplog, or the worker was deleted: the instance must be given up."""


class WorkerError(GolemError):
    """Something about the worker itself; answered with the worker-specific error body."""


class InvocationFailed(WorkerError):
    """The guest trapped or its retries are used up. `agent_error` is the `agent-error` of an agent that gave one."""

    code = "INTERNAL_AGENT_EXECUTION_FAILED"

    def __init__(self, cause: str, stderr: str = "", agent_error: Value = None) -> None:
        super().__init__("Invocation Failed")
        self.cause = cause
        self.stderr = stderr
        self.agent_error = agent_error


class PreviousInvocationFailed(WorkerError):
    """The worker failed earlier and takes no invocations. `agent_error` as in InvocationFailed."""

    code = "INTERNAL_PREVIOUS_INVOCATION_FAILED"

    def __init__(self, cause: str, stderr: str = "", agent_error: Value = None) -> None:
        super().__init__("Previous Invocation Failed")
        self.cause = cause
        self.stderr = stderr
        self.agent_error = agent_error


class PreviousInvocationExited(WorkerError):
    """The worker's guest called exit earlier; it takes no invocations."""

    def __init__(self) -> None:
        super().__init__("The previously invoked function exited")


class WorkerExited(WorkerError):
    """The guest called exit during the invocation that the caller waited for."""

    def __init__(self) -> None:
        super().__init__("Runtime error: Process exited")


class WorkerInterrupted(WorkerError):
    """The worker was interrupted while the caller waited."""

    def __init__(self, message: str = "Interrupted via the Golem API") -> None:
        super().__init__(message)


class WorkerDeleted(WorkerError):
    """The worker was deleted while the caller waited."""

    def __init__(self) -> None:
        super().__init__("Worker is being deleted")


class WorkerCreationFailed(WorkerError):
    """The component could not be instantiated for this worker."""

    def __init__(self, worker_id: object, details: str) -> None:
        super().__init__(f"Failed to create worker: {worker_id}: {details}")
        self.worker_id = worker_id
        self.details = details


class FailedToResumeWorker(WorkerError):
    """The worker's oplog could not be replayed; nothing was changed."""

    code = "INTERNAL_AGENT_RESUME_FAILED"

    def __init__(self, worker_id: object, reason: str) -> None:
        super().__init__(f"Failed to resume worker: {worker_id}: {reason}")
        self.worker_id = worker_id
        self.reason = reason


class UnexpectedOplogEntry(WorkerError):
    """Replay met another entry than the one that the guest's call needs."""

    code = "INTERNAL_INVARIANT_VIOLATION"

    def __init__(self, expected: str, got: str) -> None:
        super().__init__(f"Unexpected oplog entry: expected {expected}, got {got}")
        self.expected = expected
        self.got = got


class InvalidWorkerRequest(WorkerError):
    """The operation does not fit the worker's state or the component's exports."""

    def __init__(self, details: str) -> None:
        super().__init__(f"Invalid request: {details}")
        self.details = details


class InternalBug(RuntimeError):
    """An invariant of this server is broken. Never expected; please report it."""
