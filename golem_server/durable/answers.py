"""Answers that invocations have been given: whether there is one for a key, and which revision gave it.

The same idempotency key gives the same answer for ever. An update may have taken away the function that gave it, or
changed its type: then the revision of that time says what was asked and what the answer means.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from golem_server.durable.ports import WorkerComponent
from golem_server.durable.replay import OF_INVOCATIONS, History, entries_up_to
from golem_server.durable.runtime import Runtime
from golem_server.durable.worker import Worker
from golem_server.model.errors import WorkerNotFound
from golem_server.model.ids import WorkerId, WorkerNumber
from golem_server.model.oplog import InvocationFinished, decode_entry
from golem_server.model.status import StatusRecord, decode_status, in_regions
from golem_server.model.workers import WorkerStatus


class InvocationStatus(enum.Enum):
    """What has become of an invocation: `RUNNING` as long as it has begun and is not over, whatever the worker does."""

    PENDING = "Pending"
    RUNNING = "Running"
    COMPLETE = "Complete"
    FAILED = "Failed"


class Answers:
    """Looks for them in memory, and in oplogs where a worker is not there. No worker is started for it."""

    def __init__(self, runtime: Runtime, in_memory: Callable[[WorkerId], Worker | None]) -> None:
        self._runtime = runtime
        self._in_memory = in_memory

    async def has(self, worker: Worker, key: str) -> bool:
        """Whether an invocation with this key has its result."""
        return await self._index(_in_memory(worker), key) is not None

    async def status(self, worker_id: WorkerId, key: str) -> InvocationStatus | None:
        """What has become of the invocation with this key; None where none is known.

        Raises WorkerNotFound. The worker is neither started nor stopped by it.
        """
        found = await self._found(worker_id)
        if found is None:
            raise WorkerNotFound(worker_id)
        status = found.status
        if key == status.current_idempotency_key:
            ended = status.status in (WorkerStatus.FAILED, WorkerStatus.EXITED)
            return InvocationStatus.FAILED if ended else InvocationStatus.RUNNING
        if await self._index(found, key) is not None:
            return InvocationStatus.COMPLETE
        queued = status.is_pending(key) if found.worker is None else found.worker.is_queued(key)
        return InvocationStatus.PENDING if queued else None

    def may_be_older(self, worker_id: WorkerId) -> bool:
        """Whether a worker's answers can come from a revision that it does not run any more."""
        worker = self._in_memory(worker_id)
        return worker is None or _last_update(worker.status) > 0

    async def given_by_older(self, worker_id: WorkerId, key: str) -> WorkerComponent | None:
        """The revision under which an invocation with this key was answered, where an update came after it.

        None where there is no such answer, or no such worker.
        """
        found = await self._found(worker_id)
        updated = 0 if found is None else _last_update(found.status)
        if found is None or not updated:
            return None
        index = await self._index(found, key)
        if index is None or index > updated:
            return None
        (entry,) = await self._runtime.store.read(found.number, index, 1)
        finished = decode_entry(entry.kind, entry.data)
        assert isinstance(finished, InvocationFinished)
        return await self._runtime.components.revision(worker_id.component_id, finished.component_revision)

    async def _found(self, worker_id: WorkerId) -> _Found | None:
        worker = self._in_memory(worker_id)
        if worker is not None:
            return _in_memory(worker)
        stored = await self._runtime.store.find_worker(worker_id)
        if stored is None:
            return None
        return _Found(stored.number, decode_status(stored.columns.record), stored.columns.last_index, None)

    async def _index(self, found: _Found, key: str) -> int | None:
        known = None if found.worker is None else found.worker.answers
        if known is not None:
            return known.get(key)
        history, skipped = History(), found.status.skipped_regions
        async for chunk in entries_up_to(self._runtime.store, found.number, found.end):
            for stored in chunk:
                if stored.kind in OF_INVOCATIONS:
                    dropped = in_regions(skipped, stored.index)
                    history.add(stored.index, decode_entry(stored.kind, stored.data), dropped)
        return history.results.get(key)


@dataclass(frozen=True, slots=True)
class _Found:
    """A worker, in memory or not, and the end of its oplog."""

    number: WorkerNumber
    status: StatusRecord
    end: int
    worker: Worker | None


def _in_memory(worker: Worker) -> _Found:
    return _Found(worker.number, worker.status, worker.oplog.committed_index, worker)


def _last_update(status: StatusRecord) -> int:
    """The index of the entry of the last successful update, 0 where there is none."""
    return max((update.index for update in status.updates if update.state == "successful"), default=0)
