"""Large bytes by content, in parts of 1 MiB.

A blob gets its hash, and with it its visibility, when its last part is there; an upload that broke off is a row without
a hash, which `delete_unfinished` removes. Nothing holds a transaction open while a client sends or receives.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
from blake3 import blake3

from golem_server.model.errors import InternalBug, NotFound
from golem_server.model.ids import WorkerNumber
from golem_server.storage.database import Connection, Database

PART_BYTES = 1 << 20

_PUT_SMALL = """
WITH blob AS (
    INSERT INTO blobs (namespace, hash, size_bytes) VALUES ($1, $2, $3)
    ON CONFLICT (namespace, hash) DO NOTHING RETURNING content
)
INSERT INTO blob_chunks (content, part, data) SELECT content, 0, $4 FROM blob
"""
_BEGIN = "INSERT INTO blobs (namespace, size_bytes) VALUES ($1, 0) RETURNING content"
_PART = "INSERT INTO blob_chunks (content, part, data) VALUES ($1, $2, $3)"
_FINISH = "UPDATE blobs SET hash = $2, size_bytes = $3 WHERE content = $1"
_FIND = "SELECT content, size_bytes FROM blobs WHERE namespace = $1 AND hash = $2"
_READ_PART = "SELECT data FROM blob_chunks WHERE content = $1 AND part = $2"
_READ_PART_OF = """
SELECT data FROM blob_chunks WHERE part = $3
    AND content = (SELECT content FROM blobs WHERE namespace = $1 AND hash = $2)
"""
_COPY_PARTS = """
INSERT INTO blob_chunks (content, part, data)
SELECT $2, part, data FROM blob_chunks WHERE content = $1 AND part >= $3 AND part < $4
"""
_COPIED_AT_A_TIME = 16


def worker_namespace(number: WorkerNumber) -> str:
    """Where a worker's own blobs are: what its oplog refers to, deleted with it."""
    return f"oplog/{number}"


class PostgresBlobStore:
    """Blobs in PostgreSQL. Hashes are BLAKE3 in lower case hex."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, namespace: str, content: bytes) -> str:
        """Keep the content and return its hash; durable when it returns. The same content twice is kept once."""
        content_hash = blake3(content).hexdigest()
        if len(content) <= PART_BYTES:
            # May be repeated: whoever comes second changes nothing.
            await self._database.run(
                lambda connection: connection.execute(_PUT_SMALL, namespace, content_hash, len(content), content)
            )
        elif not await self.exists(namespace, content_hash):
            await self.put_stream(namespace, _parts(content))
        return content_hash

    async def put_stream(self, namespace: str, parts: AsyncIterator[bytes]) -> tuple[str, int]:
        """Keep what the iterator gives, of any length and in pieces of any size; return its hash and size in bytes.

        Takes about two parts of memory. What the iterator raises passes through and nothing is kept.
        """
        async with self._database.connection() as connection:
            content: int = await connection.fetchval(_BEGIN, namespace)
        try:
            return await self._receive(namespace, content, parts)
        except BaseException:
            # Best effort: where this fails too, `delete_unfinished` finds the row later.
            await self._database.run(lambda connection: _discard(connection, content))
            raise

    async def _receive(self, namespace: str, content: int, parts: AsyncIterator[bytes]) -> tuple[str, int]:
        hasher, size, number = blake3(), 0, 0
        buffer = bytearray()
        async for piece in parts:
            hasher.update(piece)
            size += len(piece)
            buffer += piece
            while len(buffer) >= PART_BYTES:
                await self._write_part(content, number, bytes(buffer[:PART_BYTES]))
                del buffer[:PART_BYTES]
                number += 1
        if buffer or number == 0:
            await self._write_part(content, number, bytes(buffer))
        content_hash = hasher.hexdigest()
        await self._finish(content, content_hash, size)
        return content_hash, size

    async def _write_part(self, content: int, number: int, data: bytes) -> None:
        async with self._database.connection() as connection:
            await connection.execute(_PART, content, number, data)

    async def exists(self, namespace: str, content_hash: str) -> bool:
        """Whether the blob is kept."""
        return (
            await self._database.run(lambda connection: connection.fetchrow(_FIND, namespace, content_hash)) is not None
        )

    async def get(self, namespace: str, content_hash: str) -> bytes:
        """The content. Raises NotFound, and InternalBug if the bytes are no longer those of the hash."""
        parts = [part async for part in self.get_stream(namespace, content_hash)]
        content = parts[0] if len(parts) == 1 else b"".join(parts)
        if blake3(content).hexdigest() != content_hash:
            raise InternalBug(f"The blob {namespace}/{content_hash} is damaged")
        return content

    async def get_stream(self, namespace: str, content_hash: str) -> AsyncIterator[bytes]:
        """The content in parts of at most 1 MiB. Raises NotFound, also in the middle if it is deleted meanwhile."""
        content, size = await self._find(namespace, content_hash)
        for number in range(_part_count(size)):
            data = await self._read_part(content, number)
            if data is None:
                raise _missing(namespace, content_hash)
            yield data

    async def part(self, namespace: str, content_hash: str, number: int) -> bytes:
        """The part with this number, from 0 on: 1 MiB, the last one less. Raises NotFound."""
        data: bytes | None = await self._database.run(
            lambda connection: connection.fetchval(_READ_PART_OF, namespace, content_hash, number)
        )
        if data is None:
            raise _missing(namespace, content_hash)
        return data

    async def copy(self, source: str, content_hash: str, target: str) -> None:
        """Keep a blob in a second namespace. The bytes do not leave the database, nor is it one long transaction.

        Raises NotFound, also where the source is deleted meanwhile.
        """
        if await self.exists(target, content_hash):
            return
        content, size = await self._find(source, content_hash)
        async with self._database.connection() as connection:
            copied: int = await connection.fetchval(_BEGIN, target)
        try:
            count = _part_count(size)
            for first in range(0, count, _COPIED_AT_A_TIME):
                end = min(first + _COPIED_AT_A_TIME, count)
                async with self._database.connection() as connection:
                    done = await connection.execute(_COPY_PARTS, content, copied, first, end)
                if done != f"INSERT 0 {end - first}":
                    raise _missing(source, content_hash)
            await self._finish(copied, content_hash, size)
        except BaseException:
            await self._database.run(lambda connection: _discard(connection, copied))
            raise

    async def _find(self, namespace: str, content_hash: str) -> tuple[int, int]:
        """The number and the size in bytes of a blob. Raises NotFound."""
        row = await self._database.run(lambda connection: connection.fetchrow(_FIND, namespace, content_hash))
        if row is None:
            raise _missing(namespace, content_hash)
        return row["content"], row["size_bytes"]

    async def _finish(self, content: int, content_hash: str, size: int) -> None:
        """Make a blob visible whose parts are there, unless the same was kept meanwhile."""
        async with self._database.connection() as connection:
            try:
                await connection.execute(_FINISH, content, content_hash, size)
            except asyncpg.UniqueViolationError:
                await _discard(connection, content)

    async def _read_part(self, content: int, number: int) -> bytes | None:
        return await self._database.run(lambda connection: connection.fetchval(_READ_PART, content, number))

    async def delete(self, namespace: str, content_hash: str) -> None:
        """Remove one blob. Nothing happens where there is none."""
        await self._database.run(
            lambda connection: connection.execute(
                "DELETE FROM blobs WHERE namespace = $1 AND hash = $2", namespace, content_hash
            )
        )

    async def delete_namespace(self, namespace: str) -> None:
        """Remove everything in the namespace."""
        await self._database.run(
            lambda connection: connection.execute("DELETE FROM blobs WHERE namespace = $1", namespace)
        )

    async def delete_unfinished(self, older_than: timedelta = timedelta(days=1)) -> None:
        """Remove what broken uploads left, if they began longer ago than any upload takes."""
        await self._database.run(
            lambda connection: connection.execute(
                "DELETE FROM blobs WHERE hash IS NULL AND created_at < now() - $1::interval", older_than
            )
        )


def _part_count(size: int) -> int:
    return max(1, -(-size // PART_BYTES))


def _missing(namespace: str, content_hash: str) -> NotFound:
    return NotFound(f"No such blob: {namespace}/{content_hash}")


async def _discard(connection: Connection, content: int) -> None:
    await connection.execute("DELETE FROM blobs WHERE content = $1 AND hash IS NULL", content)


async def _parts(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), PART_BYTES):
        yield content[start : start + PART_BYTES]
