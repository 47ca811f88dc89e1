"""The bytes of guests' values: small ones lie in their row, large ones are blobs.

Each large value that is written has a namespace of its own in the blob store, named by its row alone, so that whoever
replaces or removes the row may remove the blob. What a worker has read it must be able to read again in replay,
whatever became of the value: so it is given its own copy, made inside the database.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg

from golem_server.model.ids import WorkerNumber
from golem_server.model.stored_values import KeptValue, StoredValue
from golem_server.storage.blob_store import PART_BYTES, PostgresBlobStore, worker_namespace
from golem_server.storage.database import Database

if TYPE_CHECKING:
    Record = asyncpg.Record

INLINE_BYTES = 64 << 10
"""Values up to this size lie in their row, and are given to a worker's oplog as they are."""

_PREFIX = "value/"

# A namespace that belongs to no row is what a write left that broke off, or that lost against another of the same time.
_DELETE_UNUSED = """
DELETE FROM blobs WHERE namespace LIKE 'value/%' AND created_at < now() - $1::interval
    AND NOT EXISTS (SELECT 1 FROM keyvalue_entries AS entry WHERE entry.namespace = blobs.namespace)
    AND NOT EXISTS (SELECT 1 FROM blobstore_objects AS object WHERE object.namespace = blobs.namespace)
"""


class PostgresValueContents:
    """The bytes of values. All methods raise Unavailable while the database cannot be reached."""

    def __init__(self, database: Database, blobs: PostgresBlobStore) -> None:
        self._database = database
        self._blobs = blobs

    async def write(self, size: int, parts: Iterable[bytes]) -> StoredValue:
        """Keep `size` bytes for a row that is written next. `parts` is read one at a time."""
        if size <= INLINE_BYTES:
            return StoredValue(size=size, data=b"".join(parts))
        namespace = f"{_PREFIX}{uuid4()}"
        content_hash, size = await self._blobs.put_stream(namespace, _each(parts))
        return StoredValue(size=size, namespace=namespace, content_hash=content_hash)

    async def copy(self, value: StoredValue) -> StoredValue:
        """The same bytes for another row. Raises NotFound where the value was replaced meanwhile."""
        if value.namespace is None or value.content_hash is None:
            return value
        namespace = f"{_PREFIX}{uuid4()}"
        await self._blobs.copy(value.namespace, value.content_hash, namespace)
        return StoredValue(size=value.size, namespace=namespace, content_hash=value.content_hash)

    async def keep(self, worker: WorkerNumber, value: StoredValue, begin: int, end: int) -> bytes | KeptValue:
        """The bytes from `begin` to `end` (exclusive) for a worker: as they are if they are few, else as a blob of its
        own. Raises NotFound where the value was replaced meanwhile.
        """
        if value.namespace is None or value.content_hash is None:
            return (value.data or b"")[begin:end]
        size = end - begin
        if size <= INLINE_BYTES:
            return b"".join([part async for part in self._range(value.namespace, value.content_hash, begin, end)])
        target = worker_namespace(worker)
        if size == value.size:
            await self._blobs.copy(value.namespace, value.content_hash, target)
            return KeptValue(content_hash=value.content_hash, size=size)
        pieces = self._range(value.namespace, value.content_hash, begin, end)
        content_hash, size = await self._blobs.put_stream(target, pieces)
        return KeptValue(content_hash=content_hash, size=size)

    async def keep_bytes(self, worker: WorkerNumber, content: bytes) -> KeptValue:
        """Bytes as a blob of the worker's own."""
        return KeptValue(content_hash=await self._blobs.put(worker_namespace(worker), content), size=len(content))

    async def part(self, worker: WorkerNumber, value: KeptValue, offset: int) -> bytes:
        """Bytes of a worker's value from `offset` on: at most 1 MiB, up to the next multiple of it."""
        number, within = divmod(offset, PART_BYTES)
        return (await self._blobs.part(worker_namespace(worker), value.content_hash, number))[within:]

    async def delete_unused(self, older_than: timedelta = timedelta(days=1)) -> None:
        """Remove blobs that no row names, if they were begun longer ago than any write takes."""
        await self._database.run(lambda connection: connection.execute(_DELETE_UNUSED, older_than))

    async def _range(self, namespace: str, content_hash: str, begin: int, end: int) -> AsyncIterator[bytes]:
        while begin < end:
            number, within = divmod(begin, PART_BYTES)
            part = await self._blobs.part(namespace, content_hash, number)
            yield part[within : within + end - begin]
            begin = (number + 1) * PART_BYTES


async def _each(parts: Iterable[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def value_columns(value: StoredValue) -> tuple[int, bytes | None, str | None, str | None]:
    """A value as the columns size_bytes, data, namespace, hash."""
    return value.size, value.data, value.namespace, value.content_hash


def value_of(row: Record, first: int) -> StoredValue:
    """The value in the columns size_bytes, data, namespace, hash of a row, from column `first` on."""
    return StoredValue(size=row[first], data=row[first + 1], namespace=row[first + 2], content_hash=row[first + 3])
