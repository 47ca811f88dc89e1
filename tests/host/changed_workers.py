"""Workers that host functions can update, revert, copy and look up in tests without an executor."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from golem_server.durable.reverting import RevertTarget
from golem_server.model.ids import ComponentId, WorkerId, WorkerNumber
from golem_server.model.oplog import Entry
from golem_server.model.worker_filters import WorkerFilter, matches
from golem_server.model.workers import StoredWorker


class ChangedWorkers:
    """Notes in `asked` what it is asked to do. `refusal`, if set, is raised instead; `then` is what fork was given.

    `rows` are the workers that can be looked up. With `disabled` every call is an error: replay has no effects.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.rows: list[StoredWorker] = []
        self.refusal: Exception | None = None
        self.then: Sequence[Entry] = ()
        self.disabled = False
        self.reverting = asyncio.Event()
        """Set when a worker reverts itself."""

    def _note(self, *asked: Any) -> None:
        assert not self.disabled, f"replay asked for {asked}"
        self.asked.append(asked)
        if self.refusal is not None:
            raise self.refusal

    async def update(self, worker_id: WorkerId, target: int, *, automatic: bool, wake: bool = True) -> None:
        """Note it."""
        self._note("update", worker_id, target, automatic)

    async def revert(self, worker_id: WorkerId, target: RevertTarget) -> None:
        """Note it."""
        self._note("revert", worker_id, target)

    async def revert_from_within(self, worker_id: WorkerId, target: RevertTarget) -> None:
        """Note it, and never return."""
        self._note("revert from within", worker_id, target)
        self.reverting.set()
        await asyncio.Event().wait()

    async def fork(
        self, source_id: WorkerId, target_id: WorkerId, cut_off: int | None, then: Sequence[Entry] = ()
    ) -> None:
        """Note it."""
        self._note("fork", source_id, target_id, cut_off)
        self.then = then

    async def metadata(self, worker_id: WorkerId) -> StoredWorker | None:
        """The row of that name."""
        assert not self.disabled
        return next((row for row in self.rows if row.worker.worker_id == worker_id), None)

    async def find(
        self, component_id: ComponentId, condition: WorkerFilter | None, after: WorkerNumber | None, count: int
    ) -> tuple[list[StoredWorker], WorkerNumber | None]:
        """A page of the rows, by number."""
        rows = [
            row
            for row in self.rows
            if row.worker.worker_id.component_id == component_id
            and (after is None or row.number > after)
            and (condition is None or matches(condition, row))
        ]
        return rows[:count], rows[count - 1].number if len(rows) > count else None
