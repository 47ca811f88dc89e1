"""Promises that live in memory, for tests that need no database."""

from __future__ import annotations

from golem_server.model.ids import WorkerNumber
from tests.host.memory_store import MemoryOplogStore


class MemoryPromiseStore:
    """Implements `durable.ports.PromiseStore` beside a store of oplogs, whose suspended workers it marks."""

    def __init__(self, workers: MemoryOplogStore) -> None:
        self._workers = workers
        self._data: dict[tuple[WorkerNumber, int], bytes] = {}

    async def complete(self, number: WorkerNumber, oplog_index: int, data: bytes) -> bool:
        """The first one wins."""
        self._workers.mark_to_wake(number)
        if (number, oplog_index) in self._data:
            return False
        self._data[number, oplog_index] = data
        return True

    async def get(self, number: WorkerNumber, oplog_index: int) -> bytes | None:
        """The data, or None while the promise is open."""
        return self._data.get((number, oplog_index))
