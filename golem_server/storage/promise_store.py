"""The data of completed promises."""

from __future__ import annotations

from golem_server.model.ids import WorkerNumber
from golem_server.storage.database import Database

# A promise of a worker that was deleted meanwhile leaves no row behind: the worker's row is locked against deletion,
# not against the commits of its own oplog.
#
# A suspended worker (status 2) is marked as due by the same statement: whoever is told that the promise is complete may
# rely on the worker being woken, whatever happens to this server.
_COMPLETE = """
WITH completed AS (
    INSERT INTO promises (worker, oplog_index, data)
    SELECT number, $2, $3 FROM workers WHERE number = $1 FOR KEY SHARE
    ON CONFLICT (worker, oplog_index) DO NOTHING
    RETURNING 1
), due AS (
    UPDATE workers SET wake_at = 0 WHERE number = $1 AND status = 2
)
SELECT count(*) FROM completed
"""
_GET = "SELECT data FROM promises WHERE worker = $1 AND oplog_index = $2"


class PostgresPromiseStore:
    """Promises in PostgreSQL. All methods raise Unavailable while the database cannot be reached."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def complete(self, number: WorkerNumber, oplog_index: int, data: bytes) -> bool:
        """Store the data, durable when it returns; the first one wins.

        False if the promise was complete before, or if the worker is gone.
        """
        async with self._database.connection() as connection:
            return await connection.fetchval(_COMPLETE, number, oplog_index, data) == 1

    async def get(self, number: WorkerNumber, oplog_index: int) -> bytes | None:
        """The data, or None while the promise is open."""
        return await self._database.run(lambda connection: connection.fetchval(_GET, number, oplog_index))
