"""An oplog store that lives in memory, for tests that need oplogs and no database."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from golem_server.model.errors import OplogFenced, WorkerAlreadyExists
from golem_server.model.ids import ComponentId, WorkerId, WorkerNumber
from golem_server.model.oplog import EncodedEntry, Entry, decode_entry
from golem_server.model.worker_filters import WorkerFilter, matches
from golem_server.model.workers import (
    NewWorker,
    OplogBatch,
    StatusColumns,
    StoredEntry,
    StoredWorker,
    WorkerPage,
    WorkerStatus,
)


class MemoryOplogStore:
    """Implements `durable.ports.OplogStore`; `batches` counts the commits. Workers are numbered from `first` on."""

    def __init__(self, first: int = 1) -> None:
        self.batches = 0
        self._first = first
        self._workers: dict[WorkerNumber, StoredWorker] = {}
        self._entries: dict[WorkerNumber, list[StoredEntry]] = {}

    async def create_worker(self, worker: NewWorker, create: EncodedEntry, columns: StatusColumns) -> WorkerNumber:
        """Write the worker's row and entry 1."""
        if await self.find_worker(worker.worker_id) is not None:
            raise WorkerAlreadyExists(worker.worker_id)
        number = WorkerNumber(len(self._entries) + self._first)
        self._workers[number] = StoredWorker(number=number, worker=worker, columns=columns)
        self._entries[number] = [StoredEntry(1, create.kind, create.timestamp, create.data)]
        return number

    async def fork_worker(
        self,
        source: WorkerNumber,
        cut_off: int,
        worker: NewWorker,
        create: EncodedEntry,
        tail: Sequence[EncodedEntry],
        columns: StatusColumns,
    ) -> WorkerNumber:
        """Copy a worker's oplog."""
        copied = self._entries[source][1:cut_off]
        number = await self.create_worker(worker, create, columns)
        added = [StoredEntry(cut_off + place, e.kind, e.timestamp, e.data) for place, e in enumerate(tail, 1)]
        self._entries[number] += [*copied, *added]
        return number

    async def find_worker(self, worker_id: WorkerId) -> StoredWorker | None:
        """The worker's row, or None."""
        return next((found for found in self._workers.values() if found.worker.worker_id == worker_id), None)

    async def append(self, batch: OplogBatch) -> None:
        """Write a batch; its indexes must follow what is there."""
        row = self._workers.get(batch.number)
        entries = self._entries.get(batch.number, [])
        if row is None or batch.first_index != len(entries) + 1:
            raise OplogFenced(f"index {batch.first_index} does not follow")
        for index, entry in enumerate(batch.entries, batch.first_index):
            entries.append(StoredEntry(index, entry.kind, entry.timestamp, entry.data))
        self._workers[batch.number] = StoredWorker(number=row.number, worker=row.worker, columns=batch.columns)
        self.batches += 1

    async def read(
        self, number: WorkerNumber, first: int, count: int, max_bytes: int | None = None
    ) -> list[StoredEntry]:
        """Up to `count` entries from index `first` on, or until they have so many bytes."""
        page: list[StoredEntry] = []
        size = 0
        for entry in self._entries[number][first - 1 : first - 1 + count]:
            page.append(entry)
            size += len(entry.data)
            if max_bytes is not None and size >= max_bytes:
                break
        return page

    async def list_workers(
        self,
        component_id: ComponentId,
        after: WorkerNumber | None,
        count: int,
        condition: WorkerFilter | None = None,
    ) -> WorkerPage:
        """A component's workers in the order of their numbers."""
        rows = [row for row in self._workers.values() if row.worker.worker_id.component_id == component_id]
        return _page([row for row in rows if condition is None or matches(condition, row)], after, count)

    async def delete_worker(self, number: WorkerNumber) -> None:
        """Remove the worker."""
        self._workers.pop(number, None)

    async def workers_to_recover(self, after: WorkerNumber | None, count: int) -> WorkerPage:
        """Workers that were at work when the last run ended."""
        at_work = (WorkerStatus.RUNNING, WorkerStatus.RETRYING)
        rows = [row for row in self._workers.values() if row.columns.status in at_work or row.columns.pending_count > 0]
        return _page(rows, after, count)

    async def workers_to_wake(
        self, before: int, count: int, after: tuple[int, WorkerNumber] | None = None
    ) -> list[StoredWorker]:
        """Workers whose time has come, the earliest first."""
        due = [
            ((row.columns.wake_at, row.number), row)
            for row in self._workers.values()
            if row.columns.wake_at is not None
        ]
        listed = [(place, row) for place, row in due if place[0] <= before and (after is None or place > after)]
        return [row for _, row in sorted(listed, key=lambda pair: pair[0])][:count]

    async def next_wake(self, after: int = -1) -> int | None:
        """The earliest time of all that comes after this one."""
        times = [row.columns.wake_at for row in self._workers.values()]
        return min((time for time in times if time is not None and time > after), default=None)

    def mark_to_wake(self, number: WorkerNumber) -> None:
        """Let the scheduler start a suspended worker, as a completed promise does."""
        row = self._workers.get(number)
        if row is not None and row.columns.status is WorkerStatus.SUSPENDED:
            columns = msgspec.structs.replace(row.columns, wake_at=0)
            self._workers[number] = StoredWorker(number=row.number, worker=row.worker, columns=columns)

    def cut(self, number: WorkerNumber, length: int) -> None:
        """Forget all entries behind index `length`, as if the process had been killed when that one was written."""
        del self._entries[number][length:]

    def entries(self, number: WorkerNumber) -> list[Entry]:
        """What is committed, decoded."""
        return [decode_entry(stored.kind, stored.data) for stored in self._entries[number]]


def _page(rows: list[StoredWorker], after: WorkerNumber | None, count: int) -> WorkerPage:
    left = [row for row in rows if after is None or row.number > after]
    return WorkerPage(left[:count], left[count - 1].number if len(left) > count else None)
