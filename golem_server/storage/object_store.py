"""Containers of objects by environment: what wasi:blobstore keeps.

Names are bytes (UTF-8), since PostgreSQL's text has no U+0000.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import asyncpg

from golem_server.model.errors import NotFound
from golem_server.model.stored_values import ObjectInfo, StoredValue, WritePlace
from golem_server.storage.database import Connection, Database
from golem_server.storage.guest_writes import write_once
from golem_server.storage.value_contents import value_columns, value_of

_CREATE = """
INSERT INTO blobstore_containers (environment_id, name, created_at) VALUES ($1, $2, $3)
ON CONFLICT (environment_id, name) DO NOTHING
"""
_CONTAINER = "SELECT created_at FROM blobstore_containers WHERE environment_id = $1 AND name = $2"
_LOCK_CONTAINER = f"{_CONTAINER} FOR UPDATE"
_DELETE_CONTAINER = "DELETE FROM blobstore_containers WHERE environment_id = $1 AND name = $2"
_CLEAR = """
WITH deleted AS (
    DELETE FROM blobstore_objects WHERE environment_id = $1 AND container = $2 RETURNING namespace
)
DELETE FROM blobs WHERE namespace IN (SELECT namespace FROM deleted WHERE namespace IS NOT NULL)
"""
_DELETE = """
WITH deleted AS (
    DELETE FROM blobstore_objects WHERE environment_id = $1 AND container = $2 AND name = ANY($3::bytea[])
    RETURNING namespace
)
DELETE FROM blobs WHERE namespace IN (SELECT namespace FROM deleted WHERE namespace IS NOT NULL)
"""
_OBJECT = """
SELECT created_at, size_bytes, data, namespace, hash FROM blobstore_objects
WHERE environment_id = $1 AND container = $2 AND name = $3
"""
_INFO = """
SELECT size_bytes, created_at FROM blobstore_objects WHERE environment_id = $1 AND container = $2 AND name = $3
"""
_NAMES = "SELECT name FROM blobstore_objects WHERE environment_id = $1 AND container = $2 ORDER BY name LIMIT $3"
# The replaced row is locked before anything is written: what the statement itself has updated it would not find.
_PUT = """
WITH replaced AS MATERIALIZED (
    SELECT namespace FROM blobstore_objects WHERE environment_id = $1 AND container = $2 AND name = $3 FOR UPDATE
), dropped AS (
    DELETE FROM blobs WHERE namespace IN (SELECT namespace FROM replaced WHERE namespace IS NOT NULL)
        AND namespace IS DISTINCT FROM $7::text
)
INSERT INTO blobstore_objects (environment_id, container, name, created_at, size_bytes, data, namespace, hash)
SELECT $1, $2, $3, $4, $5, $6, $7, $8 FROM (SELECT count(*) FROM replaced) AS locked
ON CONFLICT (environment_id, container, name) DO UPDATE SET created_at = excluded.created_at,
    size_bytes = excluded.size_bytes, data = excluded.data, namespace = excluded.namespace, hash = excluded.hash
"""
_TAKE = """
DELETE FROM blobstore_objects WHERE environment_id = $1 AND container = $2 AND name = $3
RETURNING size_bytes, data, namespace, hash
"""

NO_CONTAINER = "Container not found"
NO_OBJECT = "Object does not exist"


class PostgresObjectStore:
    """Containers in PostgreSQL. Times are milliseconds since the epoch.

    All methods raise Unavailable while the database cannot be reached.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create_container(self, environment_id: UUID, name: str, now: int) -> int:
        """Make sure that there is a container; when it was created."""

        async def create(connection: Connection) -> int:
            await connection.execute(_CREATE, environment_id, name.encode(), now)
            created: int | None = await connection.fetchval(_CONTAINER, environment_id, name.encode())
            return now if created is None else created

        return await self._database.run(create)

    async def container(self, environment_id: UUID, name: str) -> int | None:
        """When a container was created, None where there is none."""
        return await self._database.run(
            lambda connection: connection.fetchval(_CONTAINER, environment_id, name.encode())
        )

    async def delete_container(self, environment_id: UUID, name: str) -> None:
        """Remove a container with all that is in it. Nothing happens where there is none."""

        async def delete(connection: Connection) -> None:
            async with connection.transaction():
                # Nobody puts an object into it from here on.
                await connection.execute(_LOCK_CONTAINER, environment_id, name.encode())
                await connection.execute(_CLEAR, environment_id, name.encode())
                await connection.execute(_DELETE_CONTAINER, environment_id, name.encode())

        await self._database.run(delete)

    async def clear(self, environment_id: UUID, container: str) -> None:
        """Remove all objects of a container."""
        await self._database.run(lambda connection: connection.execute(_CLEAR, environment_id, container.encode()))

    async def get(self, environment_id: UUID, container: str, name: str) -> StoredValue | None:
        """The value of an object, None where there is none."""
        row = await self._database.run(
            lambda connection: connection.fetchrow(_OBJECT, environment_id, container.encode(), name.encode())
        )
        return None if row is None else value_of(row, 1)

    async def info(self, environment_id: UUID, container: str, name: str) -> ObjectInfo | None:
        """Size and age of an object, None where there is none."""
        row = await self._database.run(
            lambda connection: connection.fetchrow(_INFO, environment_id, container.encode(), name.encode())
        )
        return None if row is None else ObjectInfo(row[0], row[1])

    async def names(self, environment_id: UUID, container: str, count: int) -> list[str]:
        """The first `count` names of a container's objects, in the order of their bytes."""
        rows = await self._database.run(
            lambda connection: connection.fetch(_NAMES, environment_id, container.encode(), count)
        )
        return [row[0].decode() for row in rows]

    async def put(self, environment_id: UUID, container: str, name: str, now: int, value: StoredValue) -> None:
        """Make an object or replace it; durable when it returns. Raises NotFound where there is no such container."""
        try:
            await self._database.run(lambda connection: _put(connection, environment_id, container, name, now, value))
        except asyncpg.ForeignKeyViolationError as error:
            raise NotFound(NO_CONTAINER) from error

    async def delete(self, environment_id: UUID, container: str, names: Sequence[str]) -> None:
        """Remove objects, whether they are there or not."""
        unwanted = [name.encode() for name in names]
        await self._database.run(
            lambda connection: connection.execute(_DELETE, environment_id, container.encode(), unwanted)
        )

    async def move(
        self, environment_id: UUID, source: tuple[str, str], target: tuple[str, str], now: int, place: WritePlace
    ) -> None:
        """Give an object (container, name) another place, replacing what is there. Once for each place of the worker.

        Raises NotFound where the object or the container is missing.
        """

        async def move(connection: Connection) -> None:
            row = await connection.fetchrow(_TAKE, environment_id, source[0].encode(), source[1].encode())
            if row is None:
                raise NotFound(NO_OBJECT)
            await _put(connection, environment_id, *target, now, value_of(row, 0))

        try:
            await write_once(self._database, place, move)
        except asyncpg.ForeignKeyViolationError as error:
            raise NotFound(NO_CONTAINER) from error


async def _put(
    connection: Connection, environment_id: UUID, container: str, name: str, now: int, value: StoredValue
) -> None:
    await connection.execute(_PUT, environment_id, container.encode(), name.encode(), now, *value_columns(value))
