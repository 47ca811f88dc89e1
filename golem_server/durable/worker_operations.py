"""What a guest can ask to be done to workers as a whole; `operations.Operations` does it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from golem_server.durable.reverting import RevertTarget
from golem_server.model.ids import ComponentId, WorkerId, WorkerNumber
from golem_server.model.oplog import Entry
from golem_server.model.worker_filters import WorkerFilter
from golem_server.model.workers import StoredWorker


class WorkerOperations(Protocol):
    """Each raises WorkerNotFound where there is no such worker, and InvalidWorkerRequest for what cannot be done."""

    async def update(self, worker_id: WorkerId, target: int, *, automatic: bool, wake: bool = True) -> None:
        """Ask for an update to another revision; it is durable when this returns, not done."""
        ...

    async def revert(self, worker_id: WorkerId, target: RevertTarget) -> None:
        """Drop the end of a worker's oplog."""
        ...

    async def revert_from_within(self, worker_id: WorkerId, target: RevertTarget) -> None:
        """The same where the worker itself asks for it: never returns."""
        ...

    async def fork(
        self, source_id: WorkerId, target_id: WorkerId, cut_off: int | None, then: Sequence[Entry] = ()
    ) -> None:
        """Copy a worker's oplog up to an entry, or all of it, and let the copy go on. Raises WorkerAlreadyExists."""
        ...

    async def metadata(self, worker_id: WorkerId) -> StoredWorker | None:
        """A worker as it stands, None where there is none."""
        ...

    async def find(
        self, component_id: ComponentId, condition: WorkerFilter | None, after: WorkerNumber | None, count: int
    ) -> tuple[list[StoredWorker], WorkerNumber | None]:
        """A page of the component's workers that meet the condition, and where the next begins."""
        ...
