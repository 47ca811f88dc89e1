"""A worker's status: a left fold over its oplog.

Nothing but the oplog is authoritative; the record below is what folding it gives, kept up to date entry by entry and
stored beside the entries in the same transaction (reference: durability, section 1). `StatusRecord.apply` is the
whole rule; folding again from entry 1 must give the same record (`fold`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

import msgspec

from golem_server.model.golem_variables import GolemVariables
from golem_server.model.oplog import (
    ActivatePlugin,
    CancelPendingInvocation,
    ChangePersistenceLevel,
    ChangeRetryPolicy,
    Create,
    CreateResource,
    DeactivatePlugin,
    DropResource,
    Entry,
    Error,
    Exited,
    FailedUpdate,
    FilesystemStorageUsageUpdate,
    ForkOrigin,
    GrowMemory,
    Interrupted,
    InvocationFinished,
    InvocationStarted,
    Jump,
    Log,
    LogLevel,
    OplogProcessorCheckpoint,
    PendingInvocation,
    PendingUpdate,
    PersistenceLevel,
    Region,
    RemoveRetryPolicy,
    Restart,
    RetryPolicy,
    Revert,
    SetRetryPolicy,
    Snapshot,
    SuccessfulUpdate,
    Suspend,
)
from golem_server.model.retry_policy import DEFAULT_NAME, NamedRetryPolicy, RetryState
from golem_server.model.types import Value
from golem_server.model.workers import StatusColumns, WorkerStatus

STDERR_EVENTS = 128
"""How many lines of an invocation's error output are kept for the error that ends it."""


class PendingReference(msgspec.Struct, array_like=True):
    """A queued invocation: where its PendingInvocation entry is."""

    idempotency_key: str
    index: int


class UpdateRecord(msgspec.Struct, array_like=True):
    """An update that was asked for, and what became of it: `pending`, `successful` or `failed`.

    `index` is that of the entry that says so. `key` is set while an update by snapshot waits in the queue of
    invocations; `snapshot` while, and after, its snapshot is in the entry at `snapshot`. `position` of a successful one
    is the last entry that replay consumes under the revision before.
    """

    state: str
    timestamp: int
    target_revision: int
    details: str | None = None
    index: int = 0
    key: str | None = None
    snapshot: int = 0
    position: int = 0


class OwnedResource(msgspec.Struct, array_like=True):
    """A live handle of an exported resource."""

    id: int
    name: str
    owner: str
    created_at: int


class ActivePluginRecord(msgspec.Struct, array_like=True):
    """An installation that is active: entries behind the one at `since` are its business."""

    grant_id: UUID
    since: int


class StatusRecord(msgspec.Struct, omit_defaults=True):
    """The fold. Everything in it can be rebuilt from the oplog up to `last_index`."""

    status: WorkerStatus = WorkerStatus.IDLE
    last_index: int = 0
    component_revision: int = 0
    component_size: int = 0
    memory_bytes: int = 0
    current_idempotency_key: str | None = None
    current_started_index: int = 0
    pending: list[PendingReference] = []
    updates: list[UpdateRecord] = []
    retry_counts: dict[int, int] = {}
    last_error: str | None = None
    last_error_index: int = 0
    last_agent_error: Value = None
    stderr: list[str] = []
    resources: list[OwnedResource] = []
    skipped_regions: list[Region] = []
    deleted_regions: list[Region] = []
    retry_policy: RetryPolicy | None = None
    named_policies: dict[str, NamedRetryPolicy | None] = {}
    retry_states: dict[int, RetryState] = {}
    retry_since: dict[int, int] = {}
    persistence_level: int = PersistenceLevel.SMART
    initial_revision: int = 0
    snapshot_index: int = 0
    forks: list[ForkOrigin] = []
    agent_type: str = ""
    ephemeral: bool = False
    golem_variables: GolemVariables = GolemVariables.ALL
    active_plugins: list[ActivePluginRecord] = []
    own_snapshot: int = 0
    since_snapshot: int = 0
    snapshot_at: int = 0
    """The entry of the newest snapshot that the worker took by itself (0: none), and since then: how many invocations
    have finished, and since when (milliseconds; the first invocation where there is none)."""
    constructor_started: int = 0
    constructed: int = 0
    """Of an agent: where its constructor began and where it has finished; 0 means not yet."""

    @property
    def pending_update(self) -> UpdateRecord | None:
        """The update that comes next, before any other invocation; not one that still waits in the queue."""
        for update in self.updates:
            if update.state == "pending" and update.key is None:
                return update
        return None

    def has_plugin(self, grant_id: UUID) -> bool:
        """Whether an installation is active."""
        return any(plugin.grant_id == grant_id for plugin in self.active_plugins)

    def is_pending(self, key: str) -> bool:
        """Whether the invocation with this key waits in the queue."""
        return any(reference.idempotency_key == key for reference in self.pending)

    @property
    def has_pending_updates(self) -> bool:
        """Whether any update is pending, also in the queue."""
        return any(update.state == "pending" for update in self.updates)

    @property
    def replay_snapshot(self) -> int:
        """The index of the entry whose snapshot replay begins with, that of a pending update included; 0 if none.

        A pending automatic update has to replay what the worker's own snapshots stand for.
        """
        return self.update_snapshot if self.pending_update is not None else self.own_snapshot or self.snapshot_index

    @property
    def update_snapshot(self) -> int:
        """The same, without snapshots that the worker took by itself: this one cannot be done without."""
        pending = self.pending_update
        return pending.snapshot if pending is not None and pending.snapshot else self.snapshot_index

    @property
    def replay_skips(self) -> list[Region]:
        """Everything that replay leaves out: jumps, reverts, and what a snapshot stands for."""
        snapshot = self.replay_snapshot
        return merge_region(self.skipped_regions, Region(2, snapshot)) if snapshot else self.skipped_regions

    @property
    def has_ended_for_good(self) -> bool:
        """Whether an ephemeral worker has done what it was made for, or will never do it."""
        if not self.ephemeral or self.pending:
            return False
        ended = self.status in (WorkerStatus.FAILED, WorkerStatus.EXITED)
        begun = self.constructed if self.agent_type else self.since_snapshot
        return ended or (self.status is WorkerStatus.IDLE and begun > 0)

    @property
    def retry_count(self) -> int:
        """Failed attempts at the current place."""
        return max(self.retry_counts.values(), default=0)

    def apply(self, index: int, entry: Entry) -> None:
        """Take one more entry into account. Entries inside skipped regions must not be given (see `fold`)."""
        self.last_index = index
        rule = _RULES.get(type(entry))
        if rule is None:
            self.status = WorkerStatus.RUNNING
        else:
            rule(self, index, entry)

    def columns(self, wake_at: int | None) -> StatusColumns:
        """The form that the store keeps."""
        return StatusColumns(
            status=self.status,
            last_index=self.last_index,
            component_revision=self.component_revision,
            retry_count=self.retry_count,
            pending_count=len(self.pending),
            wake_at=wake_at,
            record=_encoder.encode(self),
        )


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(StatusRecord)


def decode_status(record: bytes) -> StatusRecord:
    """The record that `StatusRecord.columns` encoded."""
    return _decoder.decode(record)


def fold(entries: Iterable[tuple[int, Entry]]) -> StatusRecord:
    """The status after these entries, which begin at index 1 and have no gaps.

    Entries inside regions that later entries skip do not count, except that queued invocations stay queued and
    errors inside a jump count as attempts (reference: durability, sections 1 and 2).
    """
    listed = list(entries)
    skipped: list[Region] = []
    deleted: list[Region] = []
    for _, entry in listed:
        if isinstance(entry, Jump):
            skipped.append(entry.jump)
        elif isinstance(entry, Revert):
            deleted.append(entry.dropped_region)
    record = StatusRecord()
    for index, entry in listed:
        fold_next(record, index, entry, skipped, deleted)
    return record


def fold_next(
    record: StatusRecord, index: int, entry: Entry, skipped: Iterable[Region], deleted: Iterable[Region]
) -> None:
    """One step of `fold`, where `skipped` and `deleted` are the regions of all jumps and reverts, also later ones."""
    if in_regions(deleted, index):
        dropped = not isinstance(entry, PendingInvocation | CancelPendingInvocation | Revert)
    else:
        dropped = in_regions(skipped, index) and (not entry.hint or isinstance(entry, _DONE_AGAIN))
        dropped = dropped and not isinstance(entry, Jump)
    if not dropped:
        record.apply(index, entry)
        return
    record.last_index = index
    if isinstance(entry, InvocationStarted):
        record.pending = [item for item in record.pending if not _same(item, entry)]
    elif isinstance(entry, PendingUpdate | FailedUpdate):
        # It has had its turn, as an invocation that was started.
        if not isinstance(entry, PendingUpdate) or entry.snapshot is not None:
            _leave_queue(record, entry.target_revision)
    elif isinstance(entry, Jump):
        # What was jumped over stays so, also when the jump itself was reverted.
        record.skipped_regions = merge_region(record.skipped_regions, entry.jump)


_DONE_AGAIN = (Log, GrowMemory, FilesystemStorageUsageUpdate, CreateResource, DropResource)
"""Hints that come from the guest's own doing: what is jumped over is done again, and they with it."""


def in_regions(regions: Iterable[Region], index: int) -> bool:
    """Whether one of the regions contains the index."""
    return any(region.start <= index <= region.end for region in regions)


def merge_region(regions: list[Region], region: Region) -> list[Region]:
    """The regions with one more, merged where they touch, in order."""
    merged: list[Region] = []
    for candidate in sorted([*regions, region]):
        if merged and candidate.start <= merged[-1].end + 1:
            merged[-1] = Region(merged[-1].start, max(merged[-1].end, candidate.end))
        else:
            merged.append(candidate)
    return merged


def _same(reference: PendingReference, entry: InvocationStarted) -> bool:
    return reference.idempotency_key == entry.invocation.idempotency_key


def _create(record: StatusRecord, _index: int, entry: Create) -> None:
    record.status = WorkerStatus.IDLE
    record.component_revision = entry.component_revision
    record.component_size = entry.component_size
    record.memory_bytes = entry.initial_memory_bytes
    record.initial_revision = entry.component_revision
    record.forks = list(entry.forks)
    record.agent_type = entry.agent_type
    record.ephemeral = entry.ephemeral
    record.golem_variables = entry.golem_variables
    record.active_plugins = [ActivePluginRecord(grant, 0) for grant in entry.initial_active_plugins]


def _forget_failures(record: StatusRecord) -> None:
    record.retry_counts.clear()
    record.retry_states.clear()
    record.retry_since.clear()


def _started(record: StatusRecord, index: int, entry: InvocationStarted) -> None:
    record.status = WorkerStatus.RUNNING
    record.current_idempotency_key = entry.invocation.idempotency_key
    record.current_started_index = index
    record.snapshot_at = record.snapshot_at or entry.timestamp
    _forget_failures(record)
    record.last_error = None
    record.last_error_index = 0
    record.last_agent_error = None
    record.stderr.clear()
    if record.agent_type and not record.constructor_started:
        record.constructor_started = index
    if record.pending:
        record.pending = [item for item in record.pending if not _same(item, entry)]


def _snapshot(record: StatusRecord, index: int, entry: Snapshot) -> None:
    record.own_snapshot = index
    record.since_snapshot = 0
    record.snapshot_at = entry.timestamp


def _finished(record: StatusRecord, index: int, _entry: InvocationFinished) -> None:
    record.status = WorkerStatus.IDLE
    record.since_snapshot += 1
    record.current_idempotency_key = None
    if record.agent_type and not record.constructed:
        record.constructed = index
    _forget_failures(record)
    record.last_error = None
    record.last_error_index = 0
    record.last_agent_error = None
    record.stderr.clear()


def _activate_plugin(record: StatusRecord, index: int, entry: ActivatePlugin) -> None:
    if not record.has_plugin(entry.plugin):
        record.active_plugins.append(ActivePluginRecord(entry.plugin, index))


def _deactivate_plugin(record: StatusRecord, _index: int, entry: DeactivatePlugin) -> None:
    record.active_plugins = [plugin for plugin in record.active_plugins if plugin.grant_id != entry.plugin]


def _suspend(record: StatusRecord, _index: int, _entry: Suspend) -> None:
    record.status = WorkerStatus.SUSPENDED


def _interrupted(record: StatusRecord, _index: int, _entry: Interrupted) -> None:
    record.status = WorkerStatus.INTERRUPTED


def _exited(record: StatusRecord, _index: int, _entry: Exited) -> None:
    record.status = WorkerStatus.EXITED


def _restart(record: StatusRecord, _index: int, _entry: Restart) -> None:
    record.status = WorkerStatus.IDLE if record.current_idempotency_key is None else WorkerStatus.RUNNING


def _error(record: StatusRecord, index: int, entry: Error) -> None:
    record.retry_counts[entry.retry_from] = record.retry_counts.get(entry.retry_from, 0) + 1
    record.retry_since.setdefault(entry.retry_from, entry.timestamp)
    if entry.retry_policy_state is not None:
        record.retry_states[entry.retry_from] = entry.retry_policy_state
    record.last_error = entry.message
    record.last_error_index = index
    record.last_agent_error = entry.agent_error
    record.status = WorkerStatus.RETRYING if entry.retriable else WorkerStatus.FAILED


def _jump(record: StatusRecord, _index: int, entry: Jump) -> None:
    record.status = WorkerStatus.RUNNING
    record.skipped_regions = merge_region(record.skipped_regions, entry.jump)


def _revert(record: StatusRecord, _index: int, entry: Revert) -> None:
    record.skipped_regions = merge_region(record.skipped_regions, entry.dropped_region)
    record.deleted_regions = merge_region(record.deleted_regions, entry.dropped_region)


def _pending(record: StatusRecord, index: int, entry: PendingInvocation) -> None:
    invocation = entry.invocation
    record.pending.append(PendingReference(invocation.idempotency_key, index))
    if invocation.update_to is not None:
        record.updates.append(
            UpdateRecord("pending", entry.timestamp, invocation.update_to, index=index, key=invocation.idempotency_key)
        )


def _cancel(record: StatusRecord, _index: int, entry: CancelPendingInvocation) -> None:
    record.pending = [item for item in record.pending if item.idempotency_key != entry.idempotency_key]
    if record.updates:
        record.updates = [update for update in record.updates if update.key != entry.idempotency_key]


def _pending_update(record: StatusRecord, index: int, entry: PendingUpdate) -> None:
    snapshot = 0
    if entry.snapshot is not None:
        snapshot = index
        _leave_queue(record, entry.target_revision)
    record.updates.append(
        UpdateRecord("pending", entry.timestamp, entry.target_revision, index=index, snapshot=snapshot)
    )
    if record.status is WorkerStatus.FAILED:
        record.status = WorkerStatus.RETRYING


def _leave_queue(record: StatusRecord, target_revision: int) -> bool:
    """The first queued update to this revision has had its turn."""
    for position, update in enumerate(record.updates):
        if update.key is not None and update.target_revision == target_revision:
            del record.updates[position]
            record.pending = [item for item in record.pending if item.idempotency_key != update.key]
            return True
    return False


def _pop_update(record: StatusRecord, target_revision: int) -> UpdateRecord | None:
    """The pending update that is over: one that had its turn, else one in the queue."""
    for position, update in enumerate(record.updates):
        if update.state == "pending" and update.key is None and update.target_revision == target_revision:
            return record.updates.pop(position)
    _leave_queue(record, target_revision)
    return None


def _successful_update(record: StatusRecord, index: int, entry: SuccessfulUpdate) -> None:
    update = _pop_update(record, entry.target_revision)
    snapshot = 0 if update is None else update.snapshot
    record.updates.append(
        UpdateRecord(
            "successful",
            entry.timestamp,
            entry.target_revision,
            index=index,
            snapshot=snapshot,
            position=entry.position,
        )
    )
    record.component_revision = entry.target_revision
    record.component_size = entry.new_component_size
    # What the old code saved is not given to the new code unasked.
    record.own_snapshot = 0
    before = {plugin.grant_id: plugin for plugin in record.active_plugins}
    record.active_plugins = [
        before.get(grant) or ActivePluginRecord(grant, index) for grant in entry.new_active_plugins
    ]
    if snapshot:
        record.snapshot_index = snapshot


def _failed_update(record: StatusRecord, index: int, entry: FailedUpdate) -> None:
    _pop_update(record, entry.target_revision)
    record.updates.append(UpdateRecord("failed", entry.timestamp, entry.target_revision, entry.details, index=index))


def _grow(record: StatusRecord, _index: int, entry: GrowMemory) -> None:
    record.memory_bytes += entry.delta


def _create_resource(record: StatusRecord, _index: int, entry: CreateResource) -> None:
    record.resources.append(OwnedResource(entry.id, entry.name, entry.owner, entry.timestamp))


def _drop_resource(record: StatusRecord, _index: int, entry: DropResource) -> None:
    record.resources = [resource for resource in record.resources if resource.id != entry.id]


def _log(record: StatusRecord, _index: int, entry: Log) -> None:
    record.status = WorkerStatus.RUNNING
    line = stderr_text(entry)
    if line is not None:
        record.stderr.append(line)
        del record.stderr[:-STDERR_EVENTS]


def stderr_text(entry: Log) -> str | None:
    """What a log entry adds to the error output of its invocation, or None."""
    if entry.level == LogLevel.STDERR:
        return entry.message
    if entry.level >= LogLevel.WARN:
        return f"[{LogLevel(entry.level).name}] [{entry.context}] {entry.message}\n"
    return None


def _persistence(record: StatusRecord, _index: int, entry: ChangePersistenceLevel) -> None:
    record.status = WorkerStatus.RUNNING
    record.persistence_level = entry.persistence_level


def _change_retry_policy(record: StatusRecord, _index: int, entry: ChangeRetryPolicy) -> None:
    record.status = WorkerStatus.RUNNING
    record.retry_policy = entry.policy
    record.named_policies.pop(DEFAULT_NAME, None)


def _set_retry_policy(record: StatusRecord, _index: int, entry: SetRetryPolicy) -> None:
    record.status = WorkerStatus.RUNNING
    record.named_policies[entry.policy.name] = entry.policy


def _remove_retry_policy(record: StatusRecord, _index: int, entry: RemoveRetryPolicy) -> None:
    record.status = WorkerStatus.RUNNING
    record.named_policies[entry.name] = None


def _unchanged(_record: StatusRecord, _index: int, _entry: Entry) -> None:
    return


_RULES: dict[type[Entry], Callable[[StatusRecord, int, Any], None]] = {
    Create: _create,
    InvocationStarted: _started,
    InvocationFinished: _finished,
    Suspend: _suspend,
    Interrupted: _interrupted,
    Exited: _exited,
    Restart: _restart,
    Error: _error,
    Jump: _jump,
    Revert: _revert,
    PendingInvocation: _pending,
    CancelPendingInvocation: _cancel,
    PendingUpdate: _pending_update,
    SuccessfulUpdate: _successful_update,
    FailedUpdate: _failed_update,
    GrowMemory: _grow,
    CreateResource: _create_resource,
    DropResource: _drop_resource,
    Log: _log,
    ChangePersistenceLevel: _persistence,
    ChangeRetryPolicy: _change_retry_policy,
    SetRetryPolicy: _set_retry_policy,
    RemoveRetryPolicy: _remove_retry_policy,
    FilesystemStorageUsageUpdate: _unchanged,
    ActivatePlugin: _activate_plugin,
    DeactivatePlugin: _deactivate_plugin,
    Snapshot: _snapshot,
    OplogProcessorCheckpoint: _unchanged,
}
"""What each kind does to the record; a kind that is not listed happens inside an invocation: Running."""
