"""How host functions and the executor stop a running guest: exceptions that are not errors of the server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from golem_server.model.ids import PromiseId
from golem_server.model.retry_predicate import PropertyValue
from golem_server.model.types import Value

_NO_RESULT: Value = object()


class Signal(BaseException):
    """Base of what leaves a guest call on purpose. Not an Exception: host code that handles errors lets it pass."""


class SuspendWorker(Signal):
    """The guest waits for something far away: the worker leaves memory and is started again when it happens.

    `wake_at` is the time in milliseconds since the epoch, or None; `promises` are those of which any wakes it.
    """

    def __init__(self, wake_at: int | None = None, promises: Sequence[PromiseId] = ()) -> None:
        super().__init__("suspended")
        self.wake_at = wake_at
        self.promises = tuple(promises)


class GuestExit(Signal):
    """The guest called wasi:cli/exit."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exit {code}")
        self.code = code


class RestartWorker(Signal):
    """The instance must be built again from the oplog at once (a jump back in time)."""


class HostFailure(Exception):
    """A host call failed in a way that the guest is not told of: the invocation stops with this text."""


class TransientFailure(HostFailure):
    """It may work later: tried again by the worker's policies, inside of the call or by retrying the worker.

    `properties` are what the policies choose by; `result` is what the guest is told when they give up.
    """

    def __init__(
        self, text: str, properties: Mapping[str, PropertyValue] | None = None, result: Value = _NO_RESULT
    ) -> None:
        super().__init__(text)
        self.properties = {"error-type": "transient", **(properties or {})}
        self.has_result = result is not _NO_RESULT
        self.result = result if self.has_result else None


class PermanentFailure(HostFailure):
    """It will never work: the worker fails."""


class AgentFailure(HostFailure):
    """An agent answered with an error of its own: the worker fails, whatever the policy.

    `error` is the `agent-error`, None if it is too large to be kept.
    """

    def __init__(self, text: str, error: Value) -> None:
        super().__init__(text)
        self.error = error


class GuestError(HostFailure):
    """The guest broke a rule of an interface (an unknown handle, a call that is never allowed): a trap, not retried."""
