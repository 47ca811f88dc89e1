"""An oplog store that ends its own process at a chosen commit."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from golem_server.durable.ports import OplogStore
from golem_server.model.ids import WorkerNumber
from golem_server.model.oplog import EncodedEntry
from golem_server.model.workers import NewWorker, OplogBatch, StatusColumns


@dataclass(frozen=True)
class KillPlan:
    """Where to end: before the n-th commit since the start is sent, or after it, before anybody learns of it."""

    point: Literal["before-commit", "after-commit"]
    commit: int


class KillingStore:
    """Passes everything on to the real store until the planned commit."""

    def __init__(self, store: OplogStore, plan: KillPlan) -> None:
        self._store = store
        self._plan = plan
        self._commits = 0
        self.find_worker = store.find_worker
        self.read = store.read
        self.list_workers = store.list_workers
        self.delete_worker = store.delete_worker
        self.workers_to_recover = store.workers_to_recover
        self.workers_to_wake = store.workers_to_wake
        self.next_wake = store.next_wake

    async def create_worker(self, worker: NewWorker, create: EncodedEntry, columns: StatusColumns) -> WorkerNumber:
        """Create, which is a commit too."""
        commit = self._begin()
        number = await self._store.create_worker(worker, create, columns)
        self._end(commit)
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
        """Copy, which is a commit too."""
        commit = self._begin()
        number = await self._store.fork_worker(source, cut_off, worker, create, tail, columns)
        self._end(commit)
        return number

    async def append(self, batch: OplogBatch) -> None:
        """Append, or die."""
        commit = self._begin()
        await self._store.append(batch)
        self._end(commit)

    def _begin(self) -> int:
        self._commits += 1
        if self._plan == KillPlan("before-commit", self._commits):
            os.kill(os.getpid(), signal.SIGKILL)
        return self._commits

    def _end(self, commit: int) -> None:
        if self._plan == KillPlan("after-commit", commit):
            os.kill(os.getpid(), signal.SIGKILL)
