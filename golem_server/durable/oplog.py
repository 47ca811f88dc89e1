"""The writing end of one worker's oplog: entries are buffered in order and committed together.

Ordering is total: committing an entry commits all before it. What is still buffered when the process dies never
happened; whoever needs an entry to be durable awaits `commit` (reference: durability, section 2).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from golem_server.durable.ports import OplogStore
from golem_server.durable.replay import fold_oplog
from golem_server.model.errors import InvalidWorkerRequest, Unavailable
from golem_server.model.ids import WorkerNumber
from golem_server.model.oplog import (
    Category,
    EncodedEntry,
    Entry,
    HostCall,
    Jump,
    Region,
    Restart,
    Revert,
    encode_entry,
)
from golem_server.model.status import StatusRecord, merge_region
from golem_server.model.workers import OplogBatch, WorkerStatus

BACK_PRESSURE_ENTRIES = 4096
"""Buffered entries above which a guest that only makes local calls has to wait for a commit."""

BACK_PRESSURE_BYTES = 1 << 20
"""The same for the bytes of buffered entries: a guest that reads a long stream must not fill the memory."""


class WorkerOplog:
    """Appends to one worker's oplog and keeps its status record, the fold, in step.

    `wake_at` is when the scheduler is to start the worker, or None. It goes with each commit as long as the worker
    is suspended: what it waits for may come while something else is written. `on_committed` is told the index of the
    first entry of each batch and the entries, once they are durable. `remote_calls` counts the calls with effects
    outside that were appended here. `kept_for` is how long (milliseconds) an ephemeral worker is kept when it has
    ended.
    """

    def __init__(
        self, store: OplogStore, number: WorkerNumber, status: StatusRecord, wake_at: int | None = None
    ) -> None:
        self._store = store
        self.number = number
        self.status = status
        self.wake_at = wake_at
        self.remote_calls = 0
        self.kept_for = 0
        self.on_committed: Callable[[int, list[EncodedEntry]], None] | None = None
        self._buffer: list[EncodedEntry] = []
        self._buffered_bytes = 0
        self._committed = status.last_index
        self._flight: asyncio.Future[None] | None = None
        self._broken: BaseException | None = None

    @property
    def last_index(self) -> int:
        """The index of the last entry, committed or not."""
        return self.status.last_index

    @property
    def committed_index(self) -> int:
        """The index of the last entry that is durable."""
        return self._committed

    @property
    def failure(self) -> BaseException | None:
        """Why nothing can be written any more, or None."""
        return self._broken

    def store_failure(self) -> Unavailable:
        """The same as an error for those who wait."""
        failure = self._broken
        return failure if isinstance(failure, Unavailable) else Unavailable("The store cannot be reached")

    @property
    def full(self) -> bool:
        """Whether so much is buffered that the guest should wait for a commit."""
        return len(self._buffer) > BACK_PRESSURE_ENTRIES or self._buffered_bytes > BACK_PRESSURE_BYTES

    def append(self, entry: Entry) -> int:
        """Add an entry to the buffer and return its index. Nothing is durable yet."""
        index = self.status.last_index + 1
        if isinstance(entry, HostCall) and entry.category >= Category.WRITE_REMOTE:
            self.remote_calls += 1
        encoded = encode_entry(entry)
        self._buffer.append(encoded)
        self._buffered_bytes += len(encoded.data)
        self.status.apply(index, entry)
        return index

    def restart(self, timestamp: int) -> None:
        """Note that a worker that was interrupted is started again, if it was: a crash must find it at work."""
        if self.status.status is WorkerStatus.INTERRUPTED:
            self.append(Restart(timestamp=timestamp))

    async def jump(self, start: int, timestamp: int) -> None:
        """Let replay skip everything from index `start` on, the Jump entry that says so included. Durable on return."""
        await self._drop(start, lambda region: Jump(timestamp=timestamp, jump=region))

    async def revert(self, start: int, timestamp: int) -> None:
        """Let everything from index `start` on never have happened. Durable on return."""
        await self._drop(start, lambda region: Revert(timestamp=timestamp, dropped_region=region))

    async def _drop(self, start: int, entry_for: Callable[[Region], Entry]) -> None:
        """Append an entry that changes what counts, with the status that the whole oplog has then."""
        while True:
            await self.commit()
            last = self._committed
            entry = entry_for(Region(start, last + 1))
            skipped = merge_region(self.status.skipped_regions, Region(start, last + 1))
            deleted = self.status.deleted_regions
            if isinstance(entry, Revert):
                deleted = merge_region(deleted, entry.dropped_region)
            status = await fold_oplog(self._store, self.number, last, skipped, deleted)
            # Meanwhile an invocation may have been queued; then its entry belongs before this one.
            if self.status.last_index == last:
                break
        self.status = status
        self.append(entry)
        await self.commit()

    async def commit(self) -> None:
        """Make everything appended so far durable.

        Raises OplogFenced when another owner wrote this oplog, Unavailable when the store is away; the oplog is
        then broken: the worker must be given up and loaded again. A cancelled caller does not stop the write.
        """
        target = self.status.last_index
        while self._committed < target:
            if self._broken is not None:
                raise self._broken
            if self._flight is None:
                self._flight = asyncio.ensure_future(self._write())
                self._flight.add_done_callback(_retrieve)
            await asyncio.shield(self._flight)

    def commit_soon(self) -> None:
        """Start a commit of what is buffered without waiting for it. Failures show at the next `commit`."""
        if self._buffer and self._flight is None and self._broken is None:
            self._flight = asyncio.ensure_future(self._write())
            self._flight.add_done_callback(_retrieve)

    async def settle(self) -> None:
        """Wait until no write is under way, whatever its outcome."""
        while self._flight is not None:
            await asyncio.wait({self._flight})

    async def _write(self) -> None:
        entries, self._buffer = self._buffer, []
        self._buffered_bytes = 0
        batch = OplogBatch(
            number=self.number,
            first_index=self._committed + 1,
            entries=entries,
            columns=self.status.columns(self._due_at(entries)),
        )
        try:
            await self._store.append(batch)
            self._committed += len(entries)
            if self.on_committed is not None:
                self.on_committed(batch.first_index, entries)
        except BaseException as error:
            self._broken = error
            raise
        finally:
            self._flight = None

    def _due_at(self, entries: list[EncodedEntry]) -> int | None:
        """When the scheduler is to look at the worker: to wake it, or to clear away what an ephemeral one left."""
        status = self.status
        if status.status is WorkerStatus.SUSPENDED:
            return self.wake_at
        if status.has_ended_for_good and entries:
            return entries[-1].timestamp + self.kept_for
        return None


class UnwrittenOplog(WorkerOplog):
    """Stands in for a worker's oplog while nothing is recorded: what is appended is forgotten."""

    def __init__(self, oplog: WorkerOplog) -> None:
        super().__init__(oplog._store, oplog.number, oplog.status, oplog.wake_at)

    def append(self, entry: Entry) -> int:
        """Write nothing. The index is that of the last entry there is."""
        return self.status.last_index

    async def jump(self, start: int, timestamp: int) -> None:
        """There is nothing to go back in. Raises InvalidWorkerRequest."""
        raise InvalidWorkerRequest("a worker cannot jump while its snapshot is saved or loaded")

    async def commit(self) -> None:
        """Nothing waits."""

    def commit_soon(self) -> None:
        """Nothing waits."""


def _retrieve(flight: asyncio.Future[None]) -> None:
    if not flight.cancelled():
        flight.exception()
