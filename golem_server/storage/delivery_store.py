"""How far oplog processors have been told the oplogs of workers: a row for each worker and installation."""

from __future__ import annotations

from uuid import UUID

import msgspec

from golem_server.model.deliveries import Delivery, DueDelivery
from golem_server.model.ids import WorkerNumber
from golem_server.storage.database import Database

# What was begun is not begun again, unless it had ended: then it goes on behind the new activation.
_BEGIN = """
INSERT INTO oplog_deliveries (worker, plugin, confirmed, processor)
SELECT number, $2, $3, $4 FROM workers WHERE number = $1 FOR KEY SHARE
ON CONFLICT (worker, plugin) DO UPDATE SET
    confirmed = CASE WHEN oplog_deliveries.until IS NULL THEN oplog_deliveries.confirmed
                     ELSE greatest(oplog_deliveries.confirmed, excluded.confirmed) END,
    until = NULL,
    processor = excluded.processor
"""
_END = """
UPDATE oplog_deliveries SET until = $3 WHERE worker = $1 AND plugin = $2 AND (until IS NULL OR until > $3)
"""
_SENDING = """
UPDATE oplog_deliveries SET sending = coalesce(sending, $3) WHERE worker = $1 AND plugin = $2
RETURNING confirmed, sending
"""
_CONFIRM = """
UPDATE oplog_deliveries SET confirmed = $3, sending = NULL WHERE worker = $1 AND plugin = $2 AND confirmed < $3
"""
_FORGET = "DELETE FROM oplog_deliveries WHERE worker = $1 AND plugin = $2 AND until <= confirmed AND sending IS NULL"
_OF = "SELECT plugin, confirmed, sending, until, processor FROM oplog_deliveries WHERE worker = $1 ORDER BY plugin"
_DUE = """
SELECT DISTINCT d.worker, w.component_id, w.name FROM oplog_deliveries AS d JOIN workers AS w ON w.number = d.worker
WHERE d.worker > $1 AND least(w.last_index, coalesce(d.until, w.last_index)) > d.confirmed
ORDER BY d.worker LIMIT $2
"""


class PostgresDeliveryStore:
    """Implements `durable.ports.DeliveryStore`. All methods raise Unavailable while the database cannot be reached."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, number: WorkerNumber, delivery: Delivery) -> None:
        """Deliver what comes behind `delivery.confirmed`, if that has not begun. Nothing for a deleted worker."""
        processor = msgspec.msgpack.encode(delivery.processor)
        async with self._database.connection() as connection:
            await connection.execute(_BEGIN, number, delivery.plugin, delivery.confirmed, processor)

    async def end(self, number: WorkerNumber, plugin: UUID, until: int) -> None:
        """Deliver nothing behind this index."""
        async with self._database.connection() as connection:
            await connection.execute(_END, number, plugin, until)
            await connection.execute(_FORGET, number, plugin)

    async def sending(self, number: WorkerNumber, plugin: UUID, up_to: int) -> tuple[int, int] | None:
        """Note that the next batch ends at `up_to`, unless one is under way, which must be sent again as it was.

        What is confirmed, and where the batch ends; None where nothing is delivered any more.
        """
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_SENDING, number, plugin, up_to)
        return None if row is None else (row["confirmed"], row["sending"])

    async def confirm(self, number: WorkerNumber, plugin: UUID, up_to: int) -> None:
        """The batch has arrived."""
        async with self._database.connection() as connection:
            await connection.execute(_CONFIRM, number, plugin, up_to)
            await connection.execute(_FORGET, number, plugin)

    async def of_worker(self, number: WorkerNumber) -> list[Delivery]:
        """All deliveries of a worker."""
        rows = await self._database.run(lambda connection: connection.fetch(_OF, number))
        return [
            Delivery(
                plugin=row["plugin"],
                confirmed=row["confirmed"],
                sending=row["sending"],
                until=row["until"],
                processor=msgspec.msgpack.decode(row["processor"]),
            )
            for row in rows
        ]

    async def due(self, after: WorkerNumber, count: int) -> list[DueDelivery]:
        """Workers with entries that were not delivered, by number, from the one after `after` on."""
        rows = await self._database.run(lambda connection: connection.fetch(_DUE, after, count))
        return [DueDelivery(WorkerNumber(row["worker"]), row["component_id"], row["name"]) for row in rows]
