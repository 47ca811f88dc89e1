"""Reverting a worker: everything from some entry on never happened (reference: durability, section 7).

The worker is not in memory then. What was reverted stays readable in its oplog; effects outside stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from golem_server.durable.oplog import WorkerOplog
from golem_server.durable.ports import OplogStore
from golem_server.durable.replay import CHUNK_ENTRIES
from golem_server.model.errors import InvalidWorkerRequest
from golem_server.model.ids import WorkerNumber
from golem_server.model.oplog import InvocationStarted
from golem_server.model.status import StatusRecord, decode_status, in_regions
from golem_server.model.workers import StoredWorker


@dataclass(frozen=True, slots=True)
class ToOplogIndex:
    """Keep everything up to this entry."""

    last_index: int


@dataclass(frozen=True, slots=True)
class LastInvocations:
    """Drop so many invocations from the end."""

    count: int


RevertTarget: TypeAlias = ToOplogIndex | LastInvocations


async def revert(store: OplogStore, stored: StoredWorker, target: RevertTarget, now_ms: int) -> StatusRecord:
    """Write the entry that drops the end of the oplog; durable when it returns, with the status that is left.

    Raises InvalidWorkerRequest.
    """
    record = decode_status(stored.columns.record)
    start = await _start(store, stored.number, record, target)
    # A worker that was suspended at that place looks again what it waits for.
    oplog = WorkerOplog(store, stored.number, record, wake_at=0)
    await oplog.revert(start, now_ms)
    return oplog.status


async def check(store: OplogStore, stored: StoredWorker, target: RevertTarget) -> None:
    """Raises InvalidWorkerRequest for what cannot be reverted to, as the worker stands now."""
    await _start(store, stored.number, decode_status(stored.columns.record), target)


async def _start(store: OplogStore, number: WorkerNumber, record: StatusRecord, target: RevertTarget) -> int:
    """The first entry to drop."""
    if isinstance(target, LastInvocations):
        return await _start_of_invocations(store, number, record, target.count)
    last = target.last_index
    if last < 1:
        raise InvalidWorkerRequest("Cannot revert a worker before the create oplog index")
    if last > record.last_index:
        raise InvalidWorkerRequest(f"Attempted to revert to index {last}, but the oplog ends at {record.last_index}")
    if in_regions(record.deleted_regions, last):
        raise InvalidWorkerRequest(f"Attempted to revert to a deleted region in oplog to index {last}")
    return last + 1


async def _start_of_invocations(store: OplogStore, number: WorkerNumber, record: StatusRecord, count: int) -> int:
    """Where the `count`-th invocation from the end started; those that were dropped before do not count."""
    missing = count
    end = record.last_index
    while missing > 0 and end > 1:
        first = max(2, end - CHUNK_ENTRIES + 1)
        for stored in reversed(await store.read(number, first, end - first + 1)):
            if stored.kind == InvocationStarted.kind and not in_regions(record.skipped_regions, stored.index):
                missing -= 1
                if not missing:
                    return stored.index
        end = first - 1
    raise InvalidWorkerRequest(f"Could not find {count} invocations to revert")
