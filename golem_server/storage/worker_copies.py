"""The copy of a worker in one transaction: its row, its oplog up to an index, and its blobs."""

from __future__ import annotations

from collections.abc import Sequence

from golem_server.model.errors import WorkerNotFound
from golem_server.model.ids import WorkerNumber
from golem_server.model.oplog import EncodedEntry
from golem_server.storage.blob_store import worker_namespace
from golem_server.storage.database import Connection
from golem_server.storage.oplog_archive import copy_archive

# Keeps the source from being deleted, and nobody from writing to it.
_HOLD = "SELECT 1 FROM workers WHERE number = $1 FOR KEY SHARE"
_ENTRIES = """
INSERT INTO oplog (worker, index, kind, timestamp, data, payload_hash)
SELECT $2, index, kind, timestamp, data, payload_hash FROM oplog WHERE worker = $1 AND index BETWEEN 2 AND $3
"""
_TAIL = """
INSERT INTO oplog (worker, index, kind, timestamp, data)
SELECT $1, $2 + e.place, e.kind, e.timestamp, e.data
FROM unnest($3::smallint[], $4::bigint[], $5::bytea[]) WITH ORDINALITY AS e(kind, timestamp, data, place)
"""
# All blobs that are whole: entries name some as their payload, and others inside of it (values that the guest read).
_PAYLOADS = """
INSERT INTO blobs (namespace, hash, size_bytes)
SELECT $2, hash, size_bytes FROM blobs WHERE namespace = $1 AND hash IS NOT NULL
"""
_PARTS = """
INSERT INTO blob_chunks (content, part, data)
SELECT copy.content, chunk.part, chunk.data
FROM blobs AS copy
JOIN blobs AS original ON original.namespace = $1 AND original.hash = copy.hash
JOIN blob_chunks AS chunk ON chunk.content = original.content
WHERE copy.namespace = $2
"""


async def copy_oplog(
    connection: Connection,
    source: WorkerNumber,
    copy: WorkerNumber,
    cut_off: int,
    tail: Sequence[EncodedEntry],
) -> None:
    """Fill the oplog of a worker that has entry 1 only. Inside of a transaction.

    Raises WorkerNotFound for a source that was deleted.
    """
    if await connection.fetchval(_HOLD, source) is None:
        raise WorkerNotFound(source)
    await copy_archive(connection, source, copy, cut_off)
    await connection.execute(_ENTRIES, source, copy, cut_off)
    if tail:
        await connection.execute(
            _TAIL,
            copy,
            cut_off,
            [entry.kind for entry in tail],
            [entry.timestamp for entry in tail],
            [entry.data for entry in tail],
        )
    original, copied = worker_namespace(source), worker_namespace(copy)
    await connection.execute(_PAYLOADS, original, copied)
    await connection.execute(_PARTS, original, copied)
