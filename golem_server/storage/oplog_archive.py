"""The lower layer of oplogs: entries that are long past, compressed in chunks.

The newest entries of a worker are rows of their own. When there are many, the oldest of them become one row that holds
a chunk: fewer and smaller rows, and less to keep hot. Indexes never change, and nobody who reads notices (reference:
durability, section 2). A chunk is written and its rows are deleted in one transaction; who may append is decided by the
worker's row, so that the place of an entry that was moved is as taken as before.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Sequence

import asyncpg
import msgspec

from golem_server.model.errors import GolemError
from golem_server.model.ids import WorkerNumber
from golem_server.storage.database import Connection, Database

log = logging.getLogger(__name__)

CHUNK_ENTRIES = 1_000
CHUNK_BYTES = 1 << 20
"""A chunk ends with the entry that reaches either."""

_LEVEL = 3
"""Of compression: what follows costs much time for little."""


class ArchivedEntry(msgspec.Struct, array_like=True, frozen=True):
    """An entry as a row of the oplog has it."""

    index: int
    kind: int
    timestamp: int
    data: bytes
    payload_hash: str | None


_encode = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(list[ArchivedEntry])

# Copies of a worker read both layers, and must not miss what goes from the one to the other meanwhile. Who commits is
# not held up by either.
_MOVING = "SELECT pg_advisory_xact_lock(28528, ($1::bigint % 2147483647)::int)"
_STAYING = "SELECT pg_advisory_xact_lock_shared(28528, ($1::bigint % 2147483647)::int)"
# The worker's row is held against deletion, not against commits.
_HOLD = "SELECT last_index FROM workers WHERE number = $1 FOR KEY SHARE"
_FIRST = "SELECT min(index) FROM oplog WHERE worker = $1"
_ROWS = """
SELECT index, kind, timestamp, data, payload_hash FROM oplog
WHERE worker = $1 AND index >= $2 AND index <= $3 ORDER BY index LIMIT $4
"""
_INSERT = """
INSERT INTO oplog_archive (worker, first, last, data) VALUES ($1, $2, $3, $4) ON CONFLICT (worker, first) DO NOTHING
"""
_DELETE = "DELETE FROM oplog WHERE worker = $1 AND index >= $2 AND index <= $3"
_CHUNKS = "SELECT data FROM oplog_archive WHERE worker = $1 AND last >= $2 ORDER BY first LIMIT $3"
_COPY = """
INSERT INTO oplog_archive (worker, first, last, data)
SELECT $2, first, last, data FROM oplog_archive WHERE worker = $1 AND last <= $3
"""
_CUT = "SELECT data FROM oplog_archive WHERE worker = $1 AND first <= $2 AND last > $2"
_ENTRIES = """
INSERT INTO oplog (worker, index, kind, timestamp, data, payload_hash)
SELECT $1, e.* FROM unnest($2::bigint[], $3::smallint[], $4::bigint[], $5::bytea[], $6::text[])
    AS e(index, kind, timestamp, data, payload_hash)
"""


async def archived(connection: Connection, number: WorkerNumber, first: int, chunks: int = 1) -> list[ArchivedEntry]:
    """Entries from index `first` on out of the next chunks; none where it is not archived."""
    rows = await connection.fetch(_CHUNKS, number, first, chunks)
    unpacked = await asyncio.to_thread(lambda: [_unpacked(row["data"]) for row in rows])
    return [entry for entries in unpacked for entry in entries if entry.index >= first]


async def copy_archive(connection: Connection, source: WorkerNumber, copy: WorkerNumber, cut_off: int) -> None:
    """Give a copy of a worker the archived entries 2 to `cut_off`. Its entry 1 is its own.

    In a transaction, until whose end nothing is moved.
    """
    await connection.execute(_STAYING, source)
    await connection.execute(_COPY, source, copy, cut_off)
    cut = await connection.fetchval(_CUT, source, cut_off)
    if cut is None:
        return
    entries = [entry for entry in _unpacked(cut) if entry.index <= cut_off]
    await connection.execute(
        _ENTRIES,
        copy,
        [entry.index for entry in entries],
        [entry.kind for entry in entries],
        [entry.timestamp for entry in entries],
        [entry.data for entry in entries],
        [entry.payload_hash for entry in entries],
    )


class OplogArchiver:
    """Moves old entries of busy workers to the lower layer, one worker at a time, in the background.

    `keep` entries stay rows; once there are twice as many, the older ones are moved.
    """

    def __init__(self, database: Database, keep: int) -> None:
        self._database = database
        self._keep = keep
        self._waiting: dict[WorkerNumber, None] = {}
        self._task: asyncio.Task[None] | None = None

    def committed(self, number: WorkerNumber, first: int, last: int) -> None:
        """Entries were appended. Nothing is looked up: now and then a worker has become long enough to be looked at."""
        if self._keep and last // self._keep != (first - 1) // self._keep and last >= 2 * self._keep:
            self._waiting[number] = None
            if self._task is None:
                self._task = asyncio.create_task(self._run(), name="oplog archiver")

    async def settle(self) -> None:
        """Return when nothing waits to be moved."""
        while self._task is not None:
            await asyncio.wait({self._task})

    async def close(self) -> None:
        """Stop; what was not moved is moved later."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            while self._waiting:
                number = next(iter(self._waiting))
                del self._waiting[number]
                try:
                    await self.archive(number)
                except GolemError as error:
                    log.warning("the oplog of worker %s was not archived: %s", number, error)
                except asyncpg.PostgresError:
                    log.exception("the oplog of worker %s was not archived", number)
        finally:
            self._task = None

    async def archive(self, number: WorkerNumber) -> int:
        """Move all entries but the newest; how many were moved."""
        moved = 0
        while count := await self._move_chunk(number):
            moved += count
        return moved

    async def _move_chunk(self, number: WorkerNumber) -> int:
        async with self._database.connection() as connection, connection.transaction():
            await connection.execute(_MOVING, number)
            last_index = await connection.fetchval(_HOLD, number)
            first = await connection.fetchval(_FIRST, number)
            if last_index is None or first is None:
                return 0
            # Entry 1 is what a copy of the worker has of its own, and stays where copies find it.
            first = max(first, 2)
            rows = await connection.fetch(_ROWS, number, first, last_index - self._keep, CHUNK_ENTRIES)
            chunk = _chunk(rows)
            if not chunk or chunk[0].index != await self._next(connection, number):
                return 0
            last = chunk[-1].index
            packed = await asyncio.to_thread(lambda: zlib.compress(_encode(chunk), _LEVEL))
            await connection.execute(_INSERT, number, chunk[0].index, last, packed)
            await connection.execute(_DELETE, number, chunk[0].index, last)
            return len(chunk)

    async def _next(self, connection: Connection, number: WorkerNumber) -> int:
        """The index behind the last chunk."""
        last: int | None = await connection.fetchval("SELECT max(last) FROM oplog_archive WHERE worker = $1", number)
        return 2 if last is None else last + 1


def _chunk(rows: Sequence[asyncpg.Record]) -> list[ArchivedEntry]:
    """Rows that become one chunk: as many as fit. Few are left for another time."""
    chunk: list[ArchivedEntry] = []
    size = 0
    for row in rows:
        entry = ArchivedEntry(*row)
        chunk.append(entry)
        size += len(entry.data)
        if size >= CHUNK_BYTES:
            return chunk
    return chunk


def _unpacked(packed: bytes) -> list[ArchivedEntry]:
    return _decoder.decode(zlib.decompress(packed))
