"""What becomes of an invocation that stopped: which failures are tried again, and after how long.

The table is that of reference durability, section 6, in its 1.5 form: a deterministic trap fails the worker at once
unless an atomic region is open; unknown and transient failures use up the retry policy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from golem_server.durable.retry_policies import Verdict
from golem_server.durable.signals import AgentFailure, GuestError, PermanentFailure, TransientFailure
from golem_server.model.errors import UnexpectedOplogEntry
from golem_server.model.oplog import ErrorKind, RetryPolicy
from golem_server.model.retry_policy import failure_properties
from golem_server.model.types import Value
from golem_server.wasm.errors import Trap, TrapKind, UnknownImport

if TYPE_CHECKING:
    from golem_server.durable.context import WorkerContext


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a guest stopped: the kind decides about the retry, the message is for people, `agent_error` for agents."""

    kind: ErrorKind
    message: str
    agent_error: Value = None


_TRAPS = {
    TrapKind.STACK_OVERFLOW: ErrorKind.STACK_OVERFLOW,
    TrapKind.OUT_OF_MEMORY: ErrorKind.OUT_OF_MEMORY,
    TrapKind.OTHER: ErrorKind.UNKNOWN,
}

_BY_POLICY = (ErrorKind.UNKNOWN, ErrorKind.TRANSIENT, ErrorKind.OUT_OF_MEMORY)
_TRAP_TYPES = {
    ErrorKind.UNKNOWN: "unknown",
    ErrorKind.TRANSIENT: "transient-error",
    ErrorKind.DETERMINISTIC_TRAP: "deterministic-trap",
    ErrorKind.OUT_OF_MEMORY: "out-of-memory",
}

_FIXED_TEXTS = {ErrorKind.STACK_OVERFLOW: "Stack overflow", ErrorKind.OUT_OF_MEMORY: "Out of memory"}


def classify(error: Exception) -> Failure:
    """The failure that an exception out of a guest call is."""
    if isinstance(error, Trap):
        kind = _TRAPS.get(error.kind, ErrorKind.DETERMINISTIC_TRAP)
        return Failure(kind, _FIXED_TEXTS.get(kind, error.message))
    if isinstance(error, UnknownImport | GuestError):
        return Failure(ErrorKind.DETERMINISTIC_TRAP, str(error))
    if isinstance(error, TransientFailure):
        return Failure(ErrorKind.TRANSIENT, str(error))
    if isinstance(error, PermanentFailure):
        return Failure(ErrorKind.PERMANENT, str(error))
    if isinstance(error, AgentFailure):
        return Failure(ErrorKind.INTERNAL, str(error), error.error)
    if isinstance(error, UnexpectedOplogEntry):
        return Failure(
            ErrorKind.INTERNAL,
            f"Unexpected oplog entry during replay: expected {error.expected}, got {error.got}",
        )
    return Failure(ErrorKind.UNKNOWN, f"{type(error).__name__}: {error}")


def verdict_on(context: WorkerContext, failure: Failure, error: Exception) -> Verdict:
    """Whether the worker is retried after a failure that ended the instance, and when."""
    by_policy = failure.kind in _BY_POLICY or (
        failure.kind is ErrorKind.DETERMINISTIC_TRAP and context.inside_atomic_region
    )
    if not by_policy:
        return Verdict(None, None)
    properties = failure_properties("trap", f"wasm://{context.current_function or 'unknown'}")
    properties["trap-type"] = _TRAP_TYPES[failure.kind]
    if isinstance(error, TransientFailure):
        # The policies have spoken, or would have, inside of the call: they say the same of the same failure.
        properties.update(error.properties)
    return context.retries.verdict(context.retries.properties(properties), strict=False)


def delay_seconds(policy: RetryPolicy, attempts: int, random: float) -> float:
    """How long to wait after `attempts` earlier failures. `random` in 0..1 chooses the share of the jitter."""
    delay = min(policy.max_delay, policy.min_delay * policy.multiplier ** min(attempts, 64))
    return delay * (1 + (policy.max_jitter_factor or 0.0) * random) / 1000
