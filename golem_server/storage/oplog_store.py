"""Workers and their oplogs in PostgreSQL.

`append` is the hot path and goes through group_commit.py; the rest are single queries on the pool. Data of entries
above a threshold lives in the blob store, under the worker's own namespace, and is put back in place by `read`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec

from golem_server.model.errors import InternalBug, OplogFenced, WorkerAlreadyExists
from golem_server.model.ids import ComponentId, WorkerId, WorkerNumber
from golem_server.model.oplog import ConfigEntry, EncodedEntry
from golem_server.model.worker_filters import WorkerFilter, matches
from golem_server.model.workers import (
    NewWorker,
    OplogBatch,
    StatusColumns,
    StoredEntry,
    StoredWorker,
    WorkerPage,
    WorkerStatus,
)
from golem_server.storage.blob_store import PostgresBlobStore, worker_namespace
from golem_server.storage.database import Connection, Database
from golem_server.storage.group_commit import GroupCommit, OnCommit, Row
from golem_server.storage.oplog_archive import ArchivedEntry, OplogArchiver, archived
from golem_server.storage.worker_copies import copy_oplog
from golem_server.storage.worker_search import SearchQuery

if TYPE_CHECKING:
    Record = asyncpg.Record

_CREATE = """
WITH created AS (
    INSERT INTO workers (component_id, name, environment_id, created_by, created_at, arguments, environment,
        config, agent, status, last_index, component_revision, retry_count, pending_count, wake_at, record)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
    RETURNING number
), entry AS (
    INSERT INTO oplog (worker, index, kind, timestamp, data) SELECT number, 1, $17, $18, $19 FROM created
)
SELECT number FROM created
"""
_WORKER = """
SELECT number, component_id, name, environment_id, created_by, created_at, arguments, environment,
    status, last_index, component_revision, retry_count, pending_count, wake_at, record, config, agent
FROM workers
"""
_FIND = f"{_WORKER} WHERE component_id = $1 AND name = $2"
_LIST = f"{_WORKER} WHERE component_id = $1 AND number > $2 ORDER BY number LIMIT $3"
# The condition is the partial index's own: 0 is Running, 4 is Retrying.
# The last of those that a search looks at.
_AHEAD = "SELECT number FROM workers WHERE component_id = $1 AND number > $2 ORDER BY number OFFSET $3 - 1 LIMIT 1"
_RECOVER = f"{_WORKER} WHERE (status IN (0, 4) OR pending_count > 0) AND number > $1 ORDER BY number LIMIT $2"
_WAKE = f"{_WORKER} WHERE wake_at <= $1 AND (wake_at, number) > ($3, $4) ORDER BY wake_at, number LIMIT $2"
_NEXT_WAKE = "SELECT min(wake_at) FROM workers WHERE wake_at > $1"
_READ = """
SELECT index, kind, timestamp, data, payload_hash FROM oplog
WHERE worker = $1 AND index >= $2 ORDER BY index LIMIT $3
"""
# Lengths are known without reading what lies out of line; only the rows that are given are fetched as a whole.
_READ_BOUNDED = """
SELECT index, kind, timestamp, data, payload_hash FROM (
    SELECT page.*, sum(octet_length(data)) OVER (ORDER BY index) - octet_length(data) AS before
    FROM (
        SELECT index, kind, timestamp, data, payload_hash FROM oplog
        WHERE worker = $1 AND index >= $2 ORDER BY index LIMIT $3
    ) AS page
) AS summed
WHERE before < $4 ORDER BY index
"""

MAX_SCANNED = 50_000
"""Workers that one page of a search looks at where no index leads to those that are looked for."""

SEARCH_MILLISECONDS = 25
"""How long it may take to find that out."""

_MAX_NUMBER = (1 << 63) - 1

_arguments_decoder = msgspec.msgpack.Decoder(list[str])
_variables_decoder = msgspec.msgpack.Decoder(dict[str, str])
_agent_decoder = msgspec.msgpack.Decoder(tuple[Any, list[ConfigEntry]])
_encoder = msgspec.msgpack.Encoder()


class PostgresOplogStore:
    """The store of workers and oplogs. `open` before use, `close` at the end, which writes what is queued.

    `writers` is the number of connections that append, each with its own group commit; a worker always has the same.
    Entries larger than `inline_bytes` go to the blob store. `keep_rows` is how many entries of a worker stay out of the
    archive; 0 archives none. `on_commit` is told batches, entries and seconds of
    each commit.
    """

    def __init__(
        self,
        database: Database,
        blobs: PostgresBlobStore,
        *,
        writers: int = 1,
        inline_bytes: int = 64 << 10,
        keep_rows: int = 0,
        timeout: timedelta = timedelta(seconds=30),
        on_commit: OnCommit | None = None,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._inline_bytes = inline_bytes
        self.archiver = OplogArchiver(database, keep_rows)
        self._writers = [
            GroupCommit(database.url, patience=database.patience, timeout=timeout, on_commit=on_commit)
            for _ in range(writers)
        ]

    async def open(self) -> None:
        """Connect the writers. Raises Unavailable."""
        for writer in self._writers:
            await writer.open()

    async def close(self) -> None:
        """Write what is queued and disconnect."""
        await self.archiver.close()
        for writer in self._writers:
            await writer.close()

    async def create_worker(self, worker: NewWorker, create: EncodedEntry, columns: StatusColumns) -> WorkerNumber:
        """Write the worker's row and entry 1 together; durable when it returns. Raises WorkerAlreadyExists."""
        async with self._creating(worker.worker_id) as connection:
            return await _create(connection, worker, create, columns)

    async def fork_worker(
        self,
        source: WorkerNumber,
        cut_off: int,
        worker: NewWorker,
        create: EncodedEntry,
        tail: Sequence[EncodedEntry],
        columns: StatusColumns,
    ) -> WorkerNumber:
        """Write a worker whose oplog is `create`, entries 2 to `cut_off` of the source, and `tail`. All or nothing.

        Raises WorkerAlreadyExists, and WorkerNotFound if the source is gone.
        """
        async with self._creating(worker.worker_id) as connection, connection.transaction():
            number = await _create(connection, worker, create, columns)
            await copy_oplog(connection, source, number, cut_off, tail)
        return number

    @asynccontextmanager
    async def _creating(self, worker_id: WorkerId) -> AsyncGenerator[Connection]:
        try:
            async with self._database.connection() as connection:
                yield connection
        except asyncpg.UniqueViolationError as error:
            raise WorkerAlreadyExists(worker_id) from error

    async def find_worker(self, worker_id: WorkerId) -> StoredWorker | None:
        """The worker's row, or None."""
        if not _is_storable(worker_id.name):
            return None
        rows = await self._fetch(_FIND, worker_id.component_id, worker_id.name)
        return _worker(rows[0]) if rows else None

    async def append(self, batch: OplogBatch) -> None:
        """Write a batch; durable when it returns. All or none.

        Batches of many workers that are appended at the same time share one statement and one fsync. A caller that is
        cancelled leaves the batch in the queue: it is written all the same.
        Raises OplogFenced if one of the indexes is taken, if `first_index` does not follow the row's last index, or if
        the worker's row is gone; Unavailable if the outcome is unknown (read again before writing).
        """
        if batch.columns.last_index != batch.first_index + len(batch.entries) - 1:
            raise InternalBug(f"The columns of worker {batch.number} do not end with its batch")
        limit = self._inline_bytes
        rows: list[Row] = [(entry.kind, entry.timestamp, entry.data, None) for entry in batch.entries]
        large = [place for place, entry in enumerate(batch.entries) if len(entry.data) > limit]
        for place in large:
            kind, timestamp, data, _ = rows[place]
            rows[place] = (kind, timestamp, b"", await self._blobs.put(worker_namespace(batch.number), data))
        try:
            await self._writers[batch.number % len(self._writers)].append(batch, rows)
        except OplogFenced:
            if large:
                await self._drop_payloads_of_deleted(batch.number)
            raise
        self.archiver.committed(batch.number, batch.first_index, batch.columns.last_index)

    async def read(
        self, number: WorkerNumber, first: int, count: int, max_bytes: int | None = None
    ) -> list[StoredEntry]:
        """Up to `count` entries from index `first` on, in order.

        With `max_bytes` the page ends behind the entry that reaches so many bytes of data; it has at least one.
        """
        rows = await self._rows(number, first, count, max_bytes)
        entries: list[StoredEntry] = []
        size = 0
        for row in rows:
            data = row.data
            if row.payload_hash is not None:
                data = await self._blobs.get(worker_namespace(number), row.payload_hash)
            entries.append(StoredEntry(row.index, row.kind, row.timestamp, data))
            size += len(data)
            if max_bytes is not None and size >= max_bytes:
                break
        return entries

    async def _rows(
        self, number: WorkerNumber, first: int, count: int, max_bytes: int | None
    ) -> Sequence[ArchivedEntry]:
        """Entries of both layers. Data of one that is out of line is neither counted nor read."""
        found: list[ArchivedEntry] = []
        size = 0
        while len(found) < count and (max_bytes is None or size < max_bytes):
            wanted, rest = count - len(found), None if max_bytes is None else max_bytes - size
            rows = await self._rows_of_their_own(number, first, wanted, rest)
            is_there = bool(rows) and rows[0].index == first
            if not is_there:
                rows = await self._archived(number, first)
            for row in rows[:wanted]:
                # Entry 1 is never archived; what follows it may be.
                if row.index != first or (max_bytes is not None and size >= max_bytes):
                    break
                found.append(row)
                size += len(row.data)
                first += 1
            if not rows or (is_there and len(rows) < wanted and rows[-1].index == first - 1):
                break
        return found

    async def _rows_of_their_own(
        self, number: WorkerNumber, first: int, count: int, max_bytes: int | None
    ) -> list[ArchivedEntry]:
        if max_bytes is None:
            rows = await self._fetch(_READ, number, first, count)
        else:
            rows = await self._fetch(_READ_BOUNDED, number, first, count, max_bytes)
        return [ArchivedEntry(*row) for row in rows]

    async def _archived(self, number: WorkerNumber, first: int) -> list[ArchivedEntry]:
        return await self._database.run(lambda connection: archived(connection, number, first))

    async def list_workers(
        self,
        component_id: ComponentId,
        after: WorkerNumber | None,
        count: int,
        condition: WorkerFilter | None = None,
    ) -> WorkerPage:
        """A component's workers in the order of their numbers, after the given one, that meet the condition.

        Where too many workers would have to be looked at for those that meet a condition, a page may have fewer than
        `count`, or none, and still say where to go on.
        """
        if condition is None:
            return _page(await self._fetch(_LIST, component_id, after or 0, count + 1), count)
        search = SearchQuery(condition, 4)
        query = (
            f"{_WORKER} WHERE component_id = $1 AND number > $2 AND number <= $4 AND {search.text} "
            "ORDER BY number LIMIT $3"
        )
        found: list[StoredWorker] = []
        last = after or 0
        bound: int | None = None
        while True:
            up_to = _MAX_NUMBER if bound is None else bound
            arguments = (component_id, last, count + 1, up_to, *search.parameters)
            rows = await self._search(query, arguments, None if bound else SEARCH_MILLISECONDS)
            if rows is None:
                # No index leads to them: some workers are looked at now, and others with the next page.
                ahead = await self._fetch(_AHEAD, component_id, last, MAX_SCANNED)
                bound = ahead[0][0] if ahead else _MAX_NUMBER
                continue
            workers = [_worker(row) for row in rows]
            found += workers if search.exact else [worker for worker in workers if matches(condition, worker)]
            if len(found) > count:
                return WorkerPage(found[:count], found[count - 1].number)
            if len(rows) <= count:
                return WorkerPage(found, None if bound is None or bound == _MAX_NUMBER else WorkerNumber(bound))
            last = workers[-1].number

    async def _search(
        self, query: str, arguments: tuple[object, ...], milliseconds: int | None
    ) -> Sequence[Record] | None:
        """The rows of a query that may take this long, None where it takes longer."""
        if milliseconds is None:
            return await self._fetch(query, *arguments)

        async def fetch(connection: Connection) -> Sequence[Record] | None:
            try:
                async with connection.transaction():
                    await connection.execute(f"SET LOCAL statement_timeout = {milliseconds:d}")
                    return await connection.fetch(query, *arguments)
            except asyncpg.QueryCanceledError:
                return None

        return await self._database.run(fetch)

    async def workers_to_recover(self, after: WorkerNumber | None, count: int) -> WorkerPage:
        """Workers that were at work when the last run ended: Running, Retrying, or with pending invocations."""
        return _page(await self._fetch(_RECOVER, after or 0, count + 1), count)

    async def workers_to_wake(
        self, before: int, count: int, after: tuple[int, WorkerNumber] | None = None
    ) -> list[StoredWorker]:
        """Workers whose `wake_at` is at or before the time (milliseconds since the epoch), the earliest first.

        `after` is the `wake_at` and number of the last one of the page before.
        """
        return [_worker(row) for row in await self._fetch(_WAKE, before, count, *(after or (-1, -1)))]

    async def next_wake(self, after: int = -1) -> int | None:
        """The earliest `wake_at` of all workers that comes after the time."""
        return (await self._fetch(_NEXT_WAKE, after))[0][0]

    async def delete_worker(self, number: WorkerNumber) -> None:
        """Remove the worker's row and all that belongs to it. Nothing happens where there is none."""

        async def delete(connection: Connection) -> None:
            async with connection.transaction():
                # The row first: it waits for a commit under way, whose entries the next statements then see, and
                # every later one is fenced.
                await connection.execute("DELETE FROM workers WHERE number = $1", number)
                await connection.execute("DELETE FROM oplog WHERE worker = $1", number)
                await connection.execute("DELETE FROM oplog_archive WHERE worker = $1", number)
                await connection.execute("DELETE FROM promises WHERE worker = $1", number)
                await connection.execute("DELETE FROM scheduled_invocations WHERE worker = $1", number)
                await connection.execute("DELETE FROM guest_writes WHERE worker = $1", number)
                await connection.execute("DELETE FROM blobs WHERE namespace = $1", worker_namespace(number))

        await self._database.run(delete)

    async def _drop_payloads_of_deleted(self, number: WorkerNumber) -> None:
        """Payloads that arrived after the worker was deleted belong to nobody."""
        if not await self._fetch("SELECT 1 FROM workers WHERE number = $1", number):
            await self._blobs.delete_namespace(worker_namespace(number))

    async def _fetch(self, query: str, *arguments: object) -> Sequence[Record]:
        return await self._database.run(lambda connection: connection.fetch(query, *arguments))


async def _create(
    connection: Connection, worker: NewWorker, create: EncodedEntry, columns: StatusColumns
) -> WorkerNumber:
    return WorkerNumber(
        await connection.fetchval(
            _CREATE,
            worker.worker_id.component_id,
            worker.worker_id.name,
            worker.environment_id,
            worker.created_by,
            worker.created_at,
            _encoder.encode(worker.arguments),
            _encoder.encode(worker.environment),
            _encoder.encode(worker.config),
            _encoder.encode((worker.principal, worker.agent_config)) if worker.principal else None,
            columns.status,
            columns.last_index,
            columns.component_revision,
            columns.retry_count,
            columns.pending_count,
            columns.wake_at,
            columns.record,
            create.kind,
            create.timestamp,
            create.data,
        )
    )


def _is_storable(name: str) -> bool:
    """Whether PostgreSQL's text can hold the name at all."""
    return "\0" not in name and not any("\ud800" <= character <= "\udfff" for character in name)


def _page(rows: Sequence[Record], count: int) -> WorkerPage:
    """A page from one row more than the page holds."""
    workers = [_worker(row) for row in rows[:count]]
    return WorkerPage(workers, workers[-1].number if len(rows) > count and workers else None)


def _worker(row: Record) -> StoredWorker:
    principal, agent_config = (None, []) if row[16] is None else _agent_decoder.decode(row[16])
    return StoredWorker(
        number=row[0],
        worker=NewWorker(
            worker_id=WorkerId(row[1], row[2]),
            environment_id=row[3],
            created_by=row[4],
            created_at=row[5],
            arguments=_arguments_decoder.decode(row[6]),
            environment=_variables_decoder.decode(row[7]),
            config=_variables_decoder.decode(row[15]),
            agent_config=agent_config,
            principal=principal,
        ),
        columns=StatusColumns(
            status=WorkerStatus(row[8]),
            last_index=row[9],
            component_revision=row[10],
            retry_count=row[11],
            pending_count=row[12],
            wake_at=row[13],
            record=row[14],
        ),
    )
