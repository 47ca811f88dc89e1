"""Copies of workers: the oplog up to an index under another name (reference: durability, section 7).

The copy continues what the cut has interrupted; what waited in the queue, and updates, stay with the original. All of
it is one transaction of the store: a copy is there as a whole or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

import msgspec

from golem_server.durable.ports import OplogStore
from golem_server.durable.replay import entries_up_to
from golem_server.model.errors import InvalidWorkerRequest
from golem_server.model.ids import WorkerId, WorkerNumber
from golem_server.model.oplog import (
    CancelPendingInvocation,
    Create,
    Entry,
    FailedUpdate,
    ForkOrigin,
    Jump,
    Region,
    Revert,
    decode_entry,
    encode_entry,
)
from golem_server.model.status import StatusRecord, decode_status, fold_next
from golem_server.model.workers import StoredWorker, WorkerStatus

MIN_CUT_OFF = 2
"""The smallest index that a copy may end at."""


async def fork(
    store: OplogStore,
    source: StoredWorker,
    target: WorkerId,
    cut_off: int,
    now_ms: int,
    then: Sequence[Entry] = (),
) -> StoredWorker:
    """Write a copy of entries 1 to `cut_off` as the worker `target`, with the entries of `then` behind them.

    Raises InvalidWorkerRequest, WorkerAlreadyExists, and WorkerNotFound if the source is deleted meanwhile.
    """
    if cut_off < MIN_CUT_OFF:
        raise InvalidWorkerRequest(f"oplog_index_cut_off must be at least {MIN_CUT_OFF}")
    if cut_off > source.columns.last_index:
        raise InvalidWorkerRequest(
            f"oplog_index_cut_off must be at most {source.columns.last_index}, where the oplog ends"
        )
    create = await _create_entry(store, source, target, cut_off, now_ms)
    record = await _record(store, source, cut_off)
    record.forks = list(create.forks)
    tail = [*then]
    for entry in then:
        record.apply(record.last_index + 1, entry)
    for entry in _cancelled(record, now_ms):
        tail.append(entry)
        record.apply(record.last_index + 1, entry)
    worker = msgspec.structs.replace(source.worker, worker_id=target, created_at=now_ms)
    # Should nobody come to start the copy, the scheduler does.
    waiting = record.status in (WorkerStatus.SUSPENDED, WorkerStatus.INTERRUPTED)
    columns = record.columns(0 if waiting else None)
    number = await store.fork_worker(
        source.number, cut_off, worker, encode_entry(create), [encode_entry(entry) for entry in tail], columns
    )
    return StoredWorker(number=number, worker=worker, columns=columns)


async def _create_entry(store: OplogStore, source: StoredWorker, target: WorkerId, cut_off: int, now_ms: int) -> Create:
    (stored,) = await store.read(source.number, 1, 1)
    create = decode_entry(stored.kind, stored.data)
    assert isinstance(create, Create)
    kept = [origin for origin in create.forks if origin.up_to < cut_off]
    # The name that the guest had when it wrote the last entry that is copied.
    later = create.forks[len(kept) :]
    last = ForkOrigin(later[0].name if later else create.name, cut_off)
    return msgspec.structs.replace(create, timestamp=now_ms, name=target.name, instance_id=uuid4(), forks=[*kept, last])


async def _record(store: OplogStore, source: StoredWorker, cut_off: int) -> StatusRecord:
    """The status at the cut: what the oplog says later does not count."""
    if cut_off == source.columns.last_index:
        return decode_status(source.columns.record)
    jumps, reverts = await _regions(store, source.number, cut_off)
    record = StatusRecord()
    async for chunk in entries_up_to(store, source.number, cut_off):
        for stored in chunk:
            fold_next(record, stored.index, decode_entry(stored.kind, stored.data), jumps, reverts)
    return record


async def _regions(store: OplogStore, number: WorkerNumber, cut_off: int) -> tuple[list[Region], list[Region]]:
    jumps: list[Region] = []
    reverts: list[Region] = []
    async for chunk in entries_up_to(store, number, cut_off):
        for stored in chunk:
            if stored.kind not in (Jump.kind, Revert.kind):
                continue
            entry = decode_entry(stored.kind, stored.data)
            if isinstance(entry, Jump):
                jumps.append(entry.jump)
            elif isinstance(entry, Revert):
                reverts.append(entry.dropped_region)
    return jumps, reverts


def _cancelled(record: StatusRecord, now_ms: int) -> list[Entry]:
    """The entries that end what must not happen twice."""
    updates = [update for update in record.updates if update.state == "pending"]
    queued = {update.key for update in updates}
    entries: list[Entry] = [
        CancelPendingInvocation(timestamp=now_ms, idempotency_key=reference.idempotency_key)
        for reference in record.pending
        if reference.idempotency_key not in queued
    ]
    entries += [
        FailedUpdate(timestamp=now_ms, target_revision=update.target_revision, details="cancelled by fork")
        for update in updates
    ]
    return entries
