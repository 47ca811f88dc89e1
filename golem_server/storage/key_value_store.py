"""Key-value buckets: entries by environment, bucket and key. A bucket exists as far as it has entries.

Names are bytes (UTF-8), since PostgreSQL's text has no U+0000.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from golem_server.model.errors import InvalidInput
from golem_server.model.stored_values import StoredValue, WritePlace
from golem_server.storage.database import Connection, Database
from golem_server.storage.guest_writes import write_once
from golem_server.storage.value_contents import value_columns, value_of

MAX_U64 = (1 << 64) - 1

_GET = """
SELECT key, size_bytes, data, namespace, hash FROM keyvalue_entries
WHERE environment_id = $1 AND bucket = $2 AND key = ANY($3::bytea[])
"""
_EXISTS = "SELECT EXISTS (SELECT 1 FROM keyvalue_entries WHERE environment_id = $1 AND bucket = $2 AND key = $3)"
_KEYS = "SELECT key FROM keyvalue_entries WHERE environment_id = $1 AND bucket = $2 ORDER BY key LIMIT $3"

# The replaced rows are locked in the order of their keys, so that two that write the same keys wait for one another,
# and before any is written: what the statement itself has updated it would not find. A namespace that is written again
# by a repeated statement is the entry's own.
_SET = """
WITH replaced AS MATERIALIZED (
    SELECT namespace FROM keyvalue_entries
    WHERE environment_id = $1 AND bucket = $2 AND key = ANY($3::bytea[]) ORDER BY key FOR UPDATE
), dropped AS (
    DELETE FROM blobs WHERE namespace IN (SELECT namespace FROM replaced WHERE namespace IS NOT NULL)
        AND namespace <> ALL(array_remove($6::text[], NULL))
)
INSERT INTO keyvalue_entries (environment_id, bucket, key, size_bytes, data, namespace, hash)
SELECT $1, $2, entry.* FROM (SELECT count(*) FROM replaced) AS locked,
    unnest($3::bytea[], $4::bigint[], $5::bytea[], $6::text[], $7::text[]) AS entry
ON CONFLICT (environment_id, bucket, key) DO UPDATE SET size_bytes = excluded.size_bytes, data = excluded.data,
    namespace = excluded.namespace, hash = excluded.hash
"""
_DELETE = """
WITH deleted AS (
    DELETE FROM keyvalue_entries WHERE environment_id = $1 AND bucket = $2 AND key = ANY($3::bytea[])
    RETURNING namespace
)
DELETE FROM blobs WHERE namespace IN (SELECT namespace FROM deleted WHERE namespace IS NOT NULL)
"""

_NEW_NUMBER = """
INSERT INTO keyvalue_entries (environment_id, bucket, key, size_bytes, data) VALUES ($1, $2, $3, 1, '0'::bytea)
ON CONFLICT (environment_id, bucket, key) DO NOTHING
"""
_NUMBER = "SELECT data FROM keyvalue_entries WHERE environment_id = $1 AND bucket = $2 AND key = $3 FOR UPDATE"
_SET_NUMBER = """
UPDATE keyvalue_entries SET data = $4::bytea, size_bytes = octet_length($4::bytea)
WHERE environment_id = $1 AND bucket = $2 AND key = $3
"""


class PostgresKeyValueStore:
    """Buckets in PostgreSQL. All methods raise Unavailable while the database cannot be reached."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, environment_id: UUID, bucket: str, keys: Sequence[str]) -> dict[str, StoredValue]:
        """The values of those keys that there are."""
        wanted = [key.encode() for key in keys]
        rows = await self._database.run(
            lambda connection: connection.fetch(_GET, environment_id, bucket.encode(), wanted)
        )
        return {row[0].decode(): value_of(row, 1) for row in rows}

    async def exists(self, environment_id: UUID, bucket: str, key: str) -> bool:
        """Whether the key has a value."""
        return await self._database.run(
            lambda connection: connection.fetchval(_EXISTS, environment_id, bucket.encode(), key.encode())
        )

    async def keys(self, environment_id: UUID, bucket: str, count: int) -> list[str]:
        """The first `count` keys of a bucket, in the order of their bytes."""
        rows = await self._database.run(
            lambda connection: connection.fetch(_KEYS, environment_id, bucket.encode(), count)
        )
        return [row[0].decode() for row in rows]

    async def set(self, environment_id: UUID, bucket: str, values: Mapping[str, StoredValue]) -> None:
        """Give keys their values, all or none; durable when it returns."""
        keys = sorted(key.encode() for key in values)
        rows = [value_columns(values[key.decode()]) for key in keys]
        columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], [], []]
        await self._database.run(
            lambda connection: connection.execute(_SET, environment_id, bucket.encode(), keys, *columns)
        )

    async def delete(self, environment_id: UUID, bucket: str, keys: Sequence[str]) -> None:
        """Remove keys, whether they are there or not; durable when it returns."""
        unwanted = [key.encode() for key in keys]
        await self._database.run(
            lambda connection: connection.execute(_DELETE, environment_id, bucket.encode(), unwanted)
        )

    async def increment(self, environment_id: UUID, bucket: str, key: str, delta: int, place: WritePlace) -> int:
        """Add to a number, which is 0 where there is none, and give the sum. Once for each place.

        Numbers are kept as decimal digits, so that `get` shows them. Raises InvalidInput for a value that is no number,
        and for a sum beyond 64 bits.
        """
        entry = (environment_id, bucket.encode(), key.encode())

        async def add(connection: Connection) -> int:
            await connection.execute(_NEW_NUMBER, *entry)
            total = _number(await connection.fetchval(_NUMBER, *entry)) + delta
            if total > MAX_U64:
                raise InvalidInput("The sum does not fit into 64 bits")
            await connection.execute(_SET_NUMBER, *entry, b"%d" % total)
            return total

        return await write_once(self._database, place, add)

    async def compare_and_swap(
        self, environment_id: UUID, bucket: str, key: str, old: int, new: int, place: WritePlace
    ) -> bool:
        """Replace a number if it is `old`; whether it was. A key without value has none. Once for each place.

        Raises InvalidInput for a value that is no number.
        """
        entry = (environment_id, bucket.encode(), key.encode())

        async def swap(connection: Connection) -> bool:
            row = await connection.fetchrow(_NUMBER, *entry)
            if row is None or _number(row[0]) != old:
                return False
            await connection.execute(_SET_NUMBER, *entry, b"%d" % new)
            return True

        return await write_once(self._database, place, swap)


def _number(data: bytes | None) -> int:
    if data is None or not data.isdigit() or len(data) > 20 or int(data) > MAX_U64:
        raise InvalidInput("The value of the key is not a number")
    return int(data)
