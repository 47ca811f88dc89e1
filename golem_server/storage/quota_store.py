"""Defined resources of environments, and the account of what is used and reserved of them.

A resource's row is its lock: reserving and committing take it, so that no two workers on any server get the same. A
reservation is a row with a key of its own, written once however often it is asked for; it goes with its worker.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec

from golem_server.model.ids import EnvironmentId, WorkerNumber
from golem_server.model.quota import (
    MAX_AMOUNT,
    QuotaAnswer,
    QuotaLevel,
    ResourceDefinition,
    ResourceDefinitionId,
    ResourceLimit,
)
from golem_server.storage.database import Connection, Database

_limits = msgspec.msgpack.Decoder(ResourceLimit)

_ADD = """
INSERT INTO resource_definitions
    (id, revision, environment_id, name, quota_limit, enforcement, unit, units, used, filled_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9) ON CONFLICT DO NOTHING RETURNING 1
"""
_UPDATE = """
UPDATE resource_definitions SET revision = revision + 1, quota_limit = $3, enforcement = $4, unit = $5, units = $6
WHERE id = $1 AND revision = $2 RETURNING 1
"""
_DELETE = "DELETE FROM resource_definitions WHERE id = $1 AND revision = $2 RETURNING 1"
_FIND = "SELECT * FROM resource_definitions WHERE id = $1"
_LIST = "SELECT * FROM resource_definitions WHERE environment_id = $1 ORDER BY name"
_LOCK_BY_NAME = "SELECT * FROM resource_definitions WHERE environment_id = $1 AND name = $2 FOR UPDATE"
_LOCK = "SELECT * FROM resource_definitions WHERE id = $1 FOR UPDATE"
_RESERVED = "SELECT coalesce(sum(amount), 0)::numeric FROM quota_reservations WHERE resource = $1"
_KNOWN = "SELECT 1 FROM quota_reservations WHERE id = $1"
_RESERVE = """
INSERT INTO quota_reservations (id, resource, worker, amount)
SELECT $1, $2, number, $4 FROM workers WHERE number = $3
"""
_RELEASE = "DELETE FROM quota_reservations WHERE id = $1 RETURNING resource"
_LEVEL = "UPDATE resource_definitions SET used = $2, filled_at = $3 WHERE id = $1"


class PostgresQuotaStore:
    """Implements `registry.ports.ResourceStore` and what host functions need.

    All methods raise Unavailable while the database cannot be reached.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_resource(self, definition: ResourceDefinition, now: int) -> bool:
        """Write the definition, of which nothing is used. False if the environment has one of that name."""
        values = (
            definition.id,
            definition.revision,
            definition.environment_id,
            definition.name,
            msgspec.msgpack.encode(definition.limit),
            definition.enforcement,
            definition.unit.encode(),
            definition.units.encode(),
            now,
        )
        async with self._database.connection() as connection:
            return await connection.fetchval(_ADD, *values) == 1

    async def find_resource(self, resource: ResourceDefinitionId) -> ResourceDefinition | None:
        """A definition, or None."""
        row = await self._database.run(lambda connection: connection.fetchrow(_FIND, resource))
        return None if row is None else _definition(row)

    async def list_resources(self, environment_id: EnvironmentId) -> list[ResourceDefinition]:
        """Those of an environment by name (bytewise)."""
        rows = await self._database.run(lambda connection: connection.fetch(_LIST, environment_id))
        return [_definition(row) for row in rows]

    async def update_resource(self, definition: ResourceDefinition) -> bool:
        """Replace what may change and count the revision up. False if the revision is not the given one any more."""
        values = (
            definition.id,
            definition.revision,
            msgspec.msgpack.encode(definition.limit),
            definition.enforcement,
            definition.unit.encode(),
            definition.units.encode(),
        )
        async with self._database.connection() as connection:
            return await connection.fetchval(_UPDATE, *values) == 1

    async def delete_resource(self, resource: ResourceDefinitionId, revision: int) -> bool:
        """Remove a definition with what is reserved of it. False if it is not there or has another revision."""
        async with self._database.connection() as connection:
            return await connection.fetchval(_DELETE, resource, revision) == 1

    async def reserve(
        self, environment_id: UUID, name: str, reservation: UUID, worker: WorkerNumber, amount: int, now: int
    ) -> QuotaAnswer:
        """Reserve an amount, once for each key. What is not defined is not limited."""
        async with self._database.connection() as connection, connection.transaction():
            row = await connection.fetchrow(_LOCK_BY_NAME, environment_id, name)
            if row is None or await connection.fetchval(_KNOWN, reservation):
                return QuotaAnswer(True)
            definition = _definition(row)
            limit = definition.limit
            level = QuotaLevel(row["used"], row["filled_at"]).at(limit, now)
            reserved = int(await connection.fetchval(_RESERVED, definition.id))
            if amount > min(level.available(limit, reserved), MAX_AMOUNT):
                wait = level.wait_ns(limit, reserved, amount, now)
                return QuotaAnswer(False, definition.enforcement, wait)
            await connection.execute(_RESERVE, reservation, definition.id, worker, amount)
            return QuotaAnswer(True)

    async def commit(self, reservation: UUID, used: int, now: int) -> None:
        """End a reservation and count what was used. Nothing happens if it has ended."""
        async with self._database.connection() as connection, connection.transaction():
            resource = await connection.fetchval(_RELEASE, reservation)
            if resource is not None:
                await self._use(connection, resource, used, now)

    async def _use(self, connection: Connection, resource: UUID, used: int, now: int) -> None:
        row = await connection.fetchrow(_LOCK, resource)
        if row is None:
            return
        limit = _limits.decode(row["quota_limit"])
        level = QuotaLevel(row["used"], row["filled_at"]).at(limit, now).after_use(limit, used)
        await connection.execute(_LEVEL, resource, level.used, level.filled_at)


def _definition(row: Any) -> ResourceDefinition:
    return ResourceDefinition(
        id=ResourceDefinitionId(row["id"]),
        revision=row["revision"],
        environment_id=EnvironmentId(row["environment_id"]),
        name=row["name"],
        limit=_limits.decode(row["quota_limit"]),
        enforcement=row["enforcement"],
        unit=row["unit"].decode(),
        units=row["units"].decode(),
    )
