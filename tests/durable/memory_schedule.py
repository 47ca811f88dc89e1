"""Scheduled invocations that live in memory, for tests that need no database."""

from __future__ import annotations

from uuid import UUID

import msgspec

from golem_server.durable.ports import OplogStore
from golem_server.model.scheduled import ScheduledInvocation


class MemoryScheduleStore:
    """Implements `durable.ports.ScheduleStore` beside a store of oplogs."""

    def __init__(self, workers: OplogStore) -> None:
        self._workers = workers
        self._rows: dict[UUID, ScheduledInvocation] = {}
        self._sequence = 0

    async def put(self, scheduled: ScheduledInvocation) -> None:
        """Keep it if its worker is still there."""
        stored = await self._workers.find_worker(scheduled.worker_id)
        if stored is None or stored.number != scheduled.number:
            return
        self._sequence += 1
        known = self._rows.get(scheduled.id)
        sequence = self._sequence if known is None else known.sequence
        self._rows[scheduled.id] = msgspec.structs.replace(scheduled, sequence=sequence)

    async def delete(self, schedule_id: UUID) -> None:
        """Forget it."""
        self._rows.pop(schedule_id, None)

    async def due(self, before: int, count: int, after: tuple[int, int] | None = None) -> list[ScheduledInvocation]:
        """Those whose time has come, the earliest first."""
        place = after or (-1, -1)
        rows = sorted(self._rows.values(), key=lambda row: (row.due_at, row.sequence))
        return [row for row in rows if row.due_at <= before and (row.due_at, row.sequence) > place][:count]

    async def next_due(self, after: int) -> int | None:
        """The earliest time after the given one."""
        return min((row.due_at for row in self._rows.values() if row.due_at > after), default=None)
