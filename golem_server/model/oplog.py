"""The entries of a worker's oplog, and their binary form.

Each entry says who writes it, what replay does with it and what it does to the status (the fold is in
`model/status.py`). Entries are MessagePack arrays; the kind is stored beside them and numbers are never
reused (reference: durability, section 2). *Hints* are skipped by replay: they feed status and observers only.

Timestamps are milliseconds since the Unix epoch, UTC.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, ClassVar, TypeAlias, cast
from uuid import UUID

import msgspec

from golem_server.model.golem_variables import GolemVariables
from golem_server.model.retry_policy import NamedRetryPolicy, RetryPolicy, RetryState
from golem_server.model.trace import SpanData
from golem_server.model.types import Value


class Category(IntEnum):
    """What a host call does, which decides how it is recorded (reference: durability, section 3)."""

    READ_LOCAL = 1
    WRITE_LOCAL = 2
    READ_REMOTE = 3
    WRITE_REMOTE = 4
    WRITE_REMOTE_BATCHED = 5
    WRITE_REMOTE_TRANSACTION = 6


class LogLevel(IntEnum):
    """The level of a log entry; the two streams count as levels."""

    STDOUT = 0
    STDERR = 1
    TRACE = 2
    DEBUG = 3
    INFO = 4
    WARN = 5
    ERROR = 6
    CRITICAL = 7


class PersistenceLevel(IntEnum):
    """How much of what the guest does is recorded."""

    PERSIST_NOTHING = 0
    PERSIST_REMOTE_SIDE_EFFECTS = 1
    SMART = 2


class ErrorKind(IntEnum):
    """Why an invocation stopped, as far as the retry decision needs it (reference: durability, section 6)."""

    UNKNOWN = 0
    TRANSIENT = 1
    DETERMINISTIC_TRAP = 2
    OUT_OF_MEMORY = 3
    STACK_OVERFLOW = 4
    EXCEEDED_LIMIT = 5
    INTERNAL = 6
    PERMANENT = 7


class Region(msgspec.Struct, array_like=True, frozen=True, order=True):
    """An inclusive range of oplog indexes."""

    start: int
    end: int


class Invocation(msgspec.Struct, array_like=True, frozen=True):
    """A call of an exported function as it was asked for.

    `function` is the exported function's name as in the REST API (`ns:pkg/interface.{name}`), `parameters` its values.
    `invocation_context` is the stack of spans that it was called in, the innermost first; its own span has the id
    `span_id` and lies inside of them. Who asks for an invocation may leave the trace out: the worker then draws one.
    `update_to` makes it no call but an update by snapshot to that revision, which waits its turn in the queue.
    """

    idempotency_key: str
    function: str
    parameters: list[Value]
    trace_id: str = ""
    trace_states: list[str] = []
    invocation_context: list[SpanData] = []
    span_id: str = ""
    update_to: int | None = None


class ForkOrigin(msgspec.Struct, array_like=True, frozen=True):
    """The name that a copied worker had up to an oplog index."""

    name: str
    up_to: int


class ConfigEntry(msgspec.Struct, array_like=True, frozen=True):
    """A value of an agent's configuration; `typ` and `value` are its type and itself as the REST API writes them."""

    path: list[str]
    typ: Any
    value: Any


class Entry(msgspec.Struct, array_like=True, frozen=True, kw_only=True):
    """Base of all entries."""

    kind: ClassVar[int]
    hint: ClassVar[bool] = False
    timestamp: int


class Create(Entry, frozen=True):
    """Entry 1 of every oplog: the worker exists. Written by creation and fork; status Idle.

    `parent` is the worker whose call created it, as `<component id>/<name>`.
    `forks` are the origins of a copy, the oldest first. For an agent `agent_type` is the name of its type, and
    `principal` (a guest's value) is who created it. `golem_variables` says what it finds in its environment.
    """

    kind: ClassVar[int] = 1
    component_id: UUID
    name: str
    component_revision: int
    environment_id: UUID
    created_by: UUID
    instance_id: UUID
    arguments: list[str] = []
    environment: dict[str, str] = {}
    config: dict[str, str] = {}
    parent: str | None = None
    component_size: int = 0
    initial_memory_bytes: int = 0
    initial_active_plugins: list[UUID] = []
    forks: list[ForkOrigin] = []
    agent_type: str = ""
    ephemeral: bool = False
    agent_config: list[ConfigEntry] = []
    principal: Value = None
    golem_variables: GolemVariables = GolemVariables.ALL


class HostCall(Entry, frozen=True):
    """A finished host call. Replay gives its response to the guest instead of calling again; status Running."""

    kind: ClassVar[int] = 2
    function: str
    request: Value
    response: Value
    category: int
    begin_index: int | None = None


class InvocationStarted(Entry, frozen=True):
    """An invocation begins. Replay calls the same function with the same parameters; status Running."""

    kind: ClassVar[int] = 3
    invocation: Invocation


class InvocationFinished(Entry, frozen=True):
    """An invocation has its result. Replay compares its own with it; status Idle."""

    kind: ClassVar[int] = 4
    result: Value
    component_revision: int
    consumed_fuel: int = 0


class Suspend(Entry, frozen=True):
    """The worker waits for a timer or a promise and left memory; status Suspended."""

    kind: ClassVar[int] = 5
    hint: ClassVar[bool] = True


class _FailedAttempt(Entry, frozen=True):
    """What `Error` had from the beginning. Fields come before the timestamp, those of a subclass after it."""

    kind: ClassVar[int] = 6
    hint: ClassVar[bool] = True
    error_kind: int
    message: str
    retry_from: int
    inside_atomic_region: bool = False
    retriable: bool = False
    retry_policy_state: RetryState | None = None


class Error(_FailedAttempt, frozen=True, kw_only=True):
    """The running invocation failed. Status Retrying while the policy allows another attempt, else Failed.

    `retry_from` groups the attempts at one place: the index of the last entry that replay consumes. What the retry
    policy counts is its state, which the next attempt goes on from. `agent_error` is the `agent-error` that an agent
    answered with, for agents that call it; None where it failed in another way, or the error is too large to keep.
    """

    agent_error: Value = None


class NoOp(Entry, frozen=True):
    """Holds an index that the guest asked for (get-oplog-index); status Running."""

    kind: ClassVar[int] = 7


class Jump(Entry, frozen=True):
    """The region is skipped by replay from now on: a guest's jump back, or a region that recovery repeats."""

    kind: ClassVar[int] = 8
    jump: Region


class Interrupted(Entry, frozen=True):
    """Somebody interrupted the worker; status Interrupted."""

    kind: ClassVar[int] = 9
    hint: ClassVar[bool] = True


class Exited(Entry, frozen=True):
    """The guest called exit; status Exited."""

    kind: ClassVar[int] = 10
    hint: ClassVar[bool] = True


class BeginAtomicRegion(Entry, frozen=True):
    """An atomic region opens. Without its end, replay drops what follows and repeats the region."""

    kind: ClassVar[int] = 11


class EndAtomicRegion(Entry, frozen=True):
    """The atomic region that began at `begin_index` is complete."""

    kind: ClassVar[int] = 12
    begin_index: int


class BeginRemoteWrite(Entry, frozen=True):
    """An effect outside is about to happen. Committed before it does."""

    kind: ClassVar[int] = 13


class EndRemoteWrite(Entry, frozen=True):
    """The effect that began at `begin_index` has happened and is recorded."""

    kind: ClassVar[int] = 14
    begin_index: int


class PendingInvocation(Entry, frozen=True):
    """An invocation waits in the queue. Status unchanged."""

    kind: ClassVar[int] = 15
    hint: ClassVar[bool] = True
    invocation: Invocation


class PendingUpdate(Entry, frozen=True):
    """An update to another revision is queued. `snapshot` is None for an automatic one."""

    kind: ClassVar[int] = 16
    hint: ClassVar[bool] = True
    target_revision: int
    snapshot: bytes | None = None
    mime_type: str = "application/octet-stream"


class SuccessfulUpdate(Entry, frozen=True):
    """The oldest pending update is in force.

    `position` is the last entry that replay consumes under the revision before.
    """

    kind: ClassVar[int] = 17
    hint: ClassVar[bool] = True
    target_revision: int
    new_component_size: int
    new_active_plugins: list[UUID] = []
    position: int = 0


class FailedUpdate(Entry, frozen=True):
    """The oldest pending update failed; the old revision stays in force."""

    kind: ClassVar[int] = 18
    hint: ClassVar[bool] = True
    target_revision: int
    details: str | None = None


class GrowMemory(Entry, frozen=True):
    """The guest's linear memories grew by `delta` bytes."""

    kind: ClassVar[int] = 19
    hint: ClassVar[bool] = True
    delta: int


class FilesystemStorageUsageUpdate(Entry, frozen=True):
    """The worker's files take `delta` bytes more (or less)."""

    kind: ClassVar[int] = 20
    hint: ClassVar[bool] = True
    delta: int


class CreateResource(Entry, frozen=True):
    """A handle of an exported resource was given out."""

    kind: ClassVar[int] = 21
    hint: ClassVar[bool] = True
    id: int
    name: str
    owner: str


class DropResource(Entry, frozen=True):
    """A handle of an exported resource was dropped."""

    kind: ClassVar[int] = 22
    hint: ClassVar[bool] = True
    id: int
    name: str
    owner: str


class Log(Entry, frozen=True):
    """The guest printed or logged something. Status Running."""

    kind: ClassVar[int] = 23
    hint: ClassVar[bool] = True
    level: int
    context: str
    message: str


class Restart(Entry, frozen=True):
    """The worker starts from scratch (ephemeral workers), or again after it was interrupted.

    Status Running where an invocation goes on with it, else Idle.
    """

    kind: ClassVar[int] = 24
    hint: ClassVar[bool] = True


class ActivatePlugin(Entry, frozen=True):
    """A plugin installation is active on this worker from here on."""

    kind: ClassVar[int] = 25
    hint: ClassVar[bool] = True
    plugin: UUID


class DeactivatePlugin(Entry, frozen=True):
    """A plugin installation is no longer active on this worker."""

    kind: ClassVar[int] = 26
    hint: ClassVar[bool] = True
    plugin: UUID


class Revert(Entry, frozen=True):
    """The region never happened."""

    kind: ClassVar[int] = 27
    hint: ClassVar[bool] = True
    dropped_region: Region


class CancelPendingInvocation(Entry, frozen=True):
    """The queued invocation with this key will not run."""

    kind: ClassVar[int] = 28
    hint: ClassVar[bool] = True
    idempotency_key: str


class StartSpan(Entry, frozen=True):
    """A tracing span begins; replay reuses its id."""

    kind: ClassVar[int] = 29
    span_id: str
    parent: str | None = None
    linked_context_id: str | None = None
    attributes: dict[str, str] = {}


class FinishSpan(Entry, frozen=True):
    """A tracing span ends."""

    kind: ClassVar[int] = 30
    span_id: str


class SetSpanAttribute(Entry, frozen=True):
    """A tracing span gets an attribute."""

    kind: ClassVar[int] = 31
    span_id: str
    key: str
    value: str


class ChangePersistenceLevel(Entry, frozen=True):
    """The guest chose another persistence level."""

    kind: ClassVar[int] = 32
    persistence_level: int


class BeginRemoteTransaction(Entry, frozen=True):
    """A transaction in a remote database begins."""

    kind: ClassVar[int] = 33
    transaction_id: str
    original_begin_index: int | None = None


class PreCommitRemoteTransaction(Entry, frozen=True):
    """The transaction is about to be committed."""

    kind: ClassVar[int] = 34
    begin_index: int


class PreRollbackRemoteTransaction(Entry, frozen=True):
    """The transaction is about to be rolled back."""

    kind: ClassVar[int] = 35
    begin_index: int


class CommittedRemoteTransaction(Entry, frozen=True):
    """The transaction is committed."""

    kind: ClassVar[int] = 36
    begin_index: int


class RolledBackRemoteTransaction(Entry, frozen=True):
    """The transaction is rolled back."""

    kind: ClassVar[int] = 37
    begin_index: int


class Snapshot(Entry, frozen=True):
    """The worker's state as its save function gave it."""

    kind: ClassVar[int] = 38
    hint: ClassVar[bool] = True
    data: bytes
    mime_type: str = "application/octet-stream"


class OplogProcessorCheckpoint(Entry, frozen=True):
    """How far an oplog processor plugin has received this oplog."""

    kind: ClassVar[int] = 39
    hint: ClassVar[bool] = True
    plugin: UUID
    target_worker: str
    confirmed_up_to: int
    sending_up_to: int
    last_batch_start: int


class ChangeRetryPolicy(Entry, frozen=True):
    """The guest chose another retry policy in the form of golem:api up to 1.3: it takes the place of the default."""

    kind: ClassVar[int] = 40
    policy: RetryPolicy


class RemoveRetryPolicy(Entry, frozen=True):
    """The guest removed a named retry policy."""

    kind: ClassVar[int] = 41
    name: str


class SetRetryPolicy(Entry, frozen=True):
    """The guest set a named retry policy (golem:api 1.5)."""

    kind: ClassVar[int] = 60
    policy: NamedRetryPolicy


OplogEntry: TypeAlias = Entry

ENTRY_TYPES: dict[int, type[Entry]] = {
    entry.kind: entry for base in Entry.__subclasses__() for entry in (base.__subclasses__() or [base])
}
"""Every entry class by its stored kind."""

_encoder = msgspec.msgpack.Encoder()
_decoders = {kind: msgspec.msgpack.Decoder(entry) for kind, entry in ENTRY_TYPES.items()}


class EncodedEntry(msgspec.Struct, frozen=True):
    """An entry as the store keeps it."""

    kind: int
    timestamp: int
    data: bytes


def encode_entry(entry: Entry) -> EncodedEntry:
    """The stored form of an entry."""
    return EncodedEntry(entry.kind, entry.timestamp, _encoder.encode(entry))


def decode_entry(kind: int, data: bytes) -> Entry:
    """The entry that was stored under this kind, also before its class got its last fields, which have their defaults.

    Raises msgspec.DecodeError for bytes that are no such entry and KeyError for an unknown kind.
    """
    decoder = _decoders[kind]
    try:
        return decoder.decode(data)
    except msgspec.ValidationError:
        older = _with_later_fields(ENTRY_TYPES[kind], data)
        if older is None:
            raise
        return decoder.decode(older)


def _with_later_fields(entry: type[Entry], data: bytes) -> bytes | None:
    """What was stored without the fields that the class got later, with them; None if it lacks none."""
    stored = msgspec.msgpack.decode(data)
    if not isinstance(stored, list) or not stored:
        return None
    *values, timestamp = cast("list[Any]", stored)
    # The base's field, the timestamp, is the last one of all.
    later = msgspec.structs.fields(entry)[len(values) : -1]
    if not later or any(field.required for field in later):
        return None
    defaults = [
        field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory() for field in later
    ]
    return _encoder.encode([*values, *defaults, timestamp])
