"""Invocations that wait for their time."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from golem_server.model.ids import WorkerId
from golem_server.model.oplog import Invocation
from golem_server.model.scheduled import ScheduledInvocation
from golem_server.storage.database import Database

if TYPE_CHECKING:
    import asyncpg

    Record = asyncpg.Record

# An invocation of a worker that was deleted meanwhile leaves no row behind: the worker's row is locked against
# deletion, not against the commits of its own oplog. Written twice under one id it is one row, in its first place.
_PUT = """
INSERT INTO scheduled_invocations (id, due_at, worker, component_id, worker_name, invocation)
SELECT $1, $2, number, component_id, name, $4 FROM workers WHERE number = $3 FOR KEY SHARE
ON CONFLICT (id) DO UPDATE SET due_at = excluded.due_at, worker = excluded.worker,
    component_id = excluded.component_id, worker_name = excluded.worker_name, invocation = excluded.invocation
"""
_DELETE = "DELETE FROM scheduled_invocations WHERE id = $1"
_DUE = """
SELECT id, due_at, component_id, worker_name, worker, invocation, sequence FROM scheduled_invocations
WHERE due_at <= $1 AND (due_at, sequence) > ($3, $4) ORDER BY due_at, sequence LIMIT $2
"""
_NEXT = "SELECT min(due_at) FROM scheduled_invocations WHERE due_at > $1"

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Invocation)


class PostgresScheduleStore:
    """Scheduled invocations in PostgreSQL. All methods raise Unavailable while the database cannot be reached."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, scheduled: ScheduledInvocation) -> None:
        """Keep it, durable on return, in place of an earlier one with this id. Nothing is kept for a deleted worker."""
        invocation = _encoder.encode(scheduled.invocation)
        arguments = (scheduled.id, scheduled.due_at, scheduled.number, invocation)
        await self._database.run(lambda connection: connection.execute(_PUT, *arguments))

    async def delete(self, schedule_id: UUID) -> None:
        """Forget it. Nothing happens where there is none (any more)."""
        await self._database.run(lambda connection: connection.execute(_DELETE, schedule_id))

    async def due(self, before: int, count: int, after: tuple[int, int] | None = None) -> list[ScheduledInvocation]:
        """Those whose time is at or before `before` (milliseconds since the epoch), the earliest first.

        `after` is the `due_at` and `sequence` of the last one of the page before.
        """
        place = after or (-1, -1)
        rows = await self._database.run(lambda connection: connection.fetch(_DUE, before, count, *place))
        return [_scheduled(row) for row in rows]

    async def next_due(self, after: int) -> int | None:
        """The earliest time of all that comes after the given one."""
        return await self._database.run(lambda connection: connection.fetchval(_NEXT, after))


def _scheduled(row: Record) -> ScheduledInvocation:
    return ScheduledInvocation(
        id=row[0],
        due_at=row[1],
        worker_id=WorkerId(row[2], row[3]),
        number=row[4],
        invocation=_decoder.decode(row[5]),
        sequence=row[6],
    )
