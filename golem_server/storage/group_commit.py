"""Group commit: one writer per connection turns all batches that wait into one statement and one fsync.

No delay is added: a batch that finds the writer idle is written at once, the others wait exactly as long as the commit
before theirs takes. The more appenders, the larger the groups.

The statement moves `workers.last_index` from the index before the batch to its last, and inserts entries only for
workers where that worked. A batch whose place is taken, or whose worker is gone, therefore writes nothing and is told
so, while the others of its group are committed. Two servers that write to one worker queue up at its row's lock, and
the second finds that the index moved. The oplog's primary key stands behind it: should it ever fire, the group is
redone batch by batch.

When the connection breaks in the middle nobody knows whether the commit happened. The writer connects again and looks:
a batch whose entries are there was committed; one that is not there is written anew. That is safe even if the old
statement is still under way in the database, since only one of the two can move the index; whichever it was, the
entries are then there once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeAlias

import asyncpg

from golem_server.model.errors import OplogFenced, Unavailable
from golem_server.model.workers import OplogBatch
from golem_server.storage.database import LOST, REFUSED, OwnConnection, connect, unavailable

if TYPE_CHECKING:
    from asyncpg.prepared_stmt import PreparedStatement

    Statement: TypeAlias = PreparedStatement[asyncpg.Record]


_logger = logging.getLogger(__name__)

_MAX_GROUP_ENTRIES = 5_000
_MAX_GROUP_BYTES = 8 << 20
"""Larger groups gain nothing: the fsync is a small part of them by then, and their first batch waits for their last."""
_RECONNECT_SECONDS = 0.05

# `IS TRUE` keeps the planner from turning the membership test into a join: it is a hash lookup per entry.
_APPEND = """
WITH updated AS (
    UPDATE workers AS w
    SET last_index = b.last_index, status = b.status, component_revision = b.component_revision,
        retry_count = b.retry_count, pending_count = b.pending_count, wake_at = b.wake_at, record = b.record
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::smallint[], $5::bigint[], $6::int[], $7::int[],
                $8::bigint[], $9::bytea[])
        AS b(number, previous_index, last_index, status, component_revision, retry_count, pending_count, wake_at,
             record)
    WHERE w.number = b.number AND w.last_index = b.previous_index
    RETURNING w.number
), inserted AS (
    INSERT INTO oplog (worker, index, kind, timestamp, data, payload_hash)
    SELECT e.worker, e.index, e.kind, e.timestamp, e.data, e.payload_hash
    FROM unnest($10::bigint[], $11::bigint[], $12::smallint[], $13::bigint[], $14::bytea[], $15::text[])
        AS e(worker, index, kind, timestamp, data, payload_hash)
    WHERE (e.worker IN (SELECT number FROM updated)) IS TRUE
)
SELECT number FROM updated
"""
# The same for a group of one, which is the rule while few workers are busy: a quarter less work for the database.
_APPEND_ONE = """
WITH updated AS (
    UPDATE workers
    SET last_index = $3, status = $4, component_revision = $5, retry_count = $6, pending_count = $7, wake_at = $8,
        record = $9
    WHERE number = $1 AND last_index = $2
    RETURNING number
), inserted AS (
    INSERT INTO oplog (worker, index, kind, timestamp, data, payload_hash)
    SELECT u.number, $2 + e.place, e.kind, e.timestamp, e.data, e.payload_hash
    FROM updated AS u, unnest($10::smallint[], $11::bigint[], $12::bytea[], $13::text[]) WITH ORDINALITY
        AS e(kind, timestamp, data, payload_hash, place)
)
SELECT number FROM updated
"""
_WRITTEN = """
SELECT kind, timestamp, data, payload_hash FROM oplog
WHERE worker = $1 AND index >= $2 AND index < $3 ORDER BY index
"""
# The plan must not depend on what the planner believes of empty tables: always the primary key, planned once.
_PLANNER = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}

OnCommit: TypeAlias = Callable[[int, int, float], None]
"""Told after each commit: batches, entries, seconds."""

Row: TypeAlias = tuple[int, int, bytes, str | None]
"""An entry as it is stored: kind, timestamp, data, payload hash."""


@dataclass(slots=True, eq=False)
class Pending:
    """A batch in the queue. `outcome` is resolved when it is durable."""

    batch: OplogBatch
    rows: Sequence[Row]
    outcome: asyncio.Future[None]
    size: int = field(init=False)

    def __post_init__(self) -> None:
        self.size = len(self.batch.columns.record) + sum([len(row[2]) for row in self.rows])

    def resolve(self, error: BaseException | None = None) -> None:
        """Tell the appender, unless it has stopped waiting."""
        if not self.outcome.done():
            if error is None:
                self.outcome.set_result(None)
            else:
                self.outcome.set_exception(error)


class GroupCommit:
    """The writer of one connection. `open` it, `append` from any task, `close` writes what is queued and ends.

    `patience` bounds how long a batch waits for a database that is away, `timeout` how long for one that does not
    answer.
    """

    def __init__(
        self,
        url: str,
        *,
        patience: timedelta,
        timeout: timedelta,
        on_commit: OnCommit | None = None,
    ) -> None:
        self._url = url
        self._patience = patience.total_seconds()
        self._timeout = timeout.total_seconds()
        self._on_commit = on_commit
        self._queue: deque[Pending] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self._connection: OwnConnection | None = None
        self._statements: tuple[Statement, Statement] | None = None

    async def open(self) -> None:
        """Connect and begin to write. Raises Unavailable if the database does not answer in time."""
        await self._connected(time.monotonic() + self._patience)
        self._closing = False
        self._task = asyncio.create_task(self._run(), name="oplog writer")

    async def close(self) -> None:
        """Write what is queued, then disconnect."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await self._task
            self._task = None
        await self._disconnect(graceful=True)

    def append(self, batch: OplogBatch, rows: Sequence[Row]) -> asyncio.Future[None]:
        """Queue a batch. The future raises OplogFenced or Unavailable; the batch is written also if it is cancelled."""
        outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._closing or self._task is None:
            outcome.set_exception(Unavailable("The oplog is closed"))
            return outcome
        self._queue.append(Pending(batch, rows, outcome))
        self._wake.set()
        return outcome

    async def _run(self) -> None:
        while True:
            if not self._queue:
                if self._closing:
                    return
                self._wake.clear()
                await self._wake.wait()
                continue
            group = self._take()
            try:
                await self._write(group)
            except Exception as error:
                # Whatever it is, it concerns this group; the writer goes on.
                _logger.exception("a group of %d batches could not be written", len(group))
                for pending in group:
                    pending.resolve(error)

    def _take(self) -> list[Pending]:
        """The next group: in order, at most one batch of each worker, within the limits."""
        group: list[Pending] = []
        held_back: list[Pending] = []
        workers: set[int] = set()
        entries = size = 0
        queue = self._queue
        while queue:
            pending = queue[0]
            if group and (entries + len(pending.rows) > _MAX_GROUP_ENTRIES or size + pending.size > _MAX_GROUP_BYTES):
                break
            queue.popleft()
            if pending.batch.number in workers:
                held_back.append(pending)
                continue
            workers.add(pending.batch.number)
            entries += len(pending.rows)
            size += pending.size
            group.append(pending)
        queue.extendleft(reversed(held_back))
        return group

    async def _write(self, group: list[Pending]) -> None:
        try:
            committed = await self._commit(group)
        except LOST as error:
            if isinstance(error, ValueError):
                # The driver refused a value before it sent anything.
                await self._write_each(group, unknown=False)
                return
            _logger.warning("the oplog's connection was lost, outcome of %d batches unknown: %s", len(group), error)
            await self._disconnect()
            await self._write_each(group, unknown=True)
        except (asyncpg.PostgresError, ValueError) as error:
            _logger.warning("a group of %d batches is redone one by one: %s", len(group), error)
            await self._write_each(group, unknown=False)
        else:
            for pending in group:
                pending.resolve(None if pending.batch.number in committed else _fenced(pending.batch))

    async def _write_each(self, group: list[Pending], *, unknown: bool) -> None:
        """Bring each batch to its end by itself; `unknown` where it may have been committed already."""
        deadline = time.monotonic() + self._patience
        away: Unavailable | None = None
        for pending in group:
            if away is not None:
                pending.resolve(away)
                continue
            try:
                pending.resolve(await self._settle(pending, deadline, unknown=unknown))
            except Unavailable as error:
                # There is no connection to be had: the others need not wait for the same answer.
                away = error
                pending.resolve(error)
            except Exception as error:
                pending.resolve(error)

    async def _settle(self, pending: Pending, deadline: float, *, unknown: bool) -> BaseException | None:
        """None when the batch is durable, else why it is not."""
        while True:
            try:
                if unknown and await self._is_written(pending, deadline):
                    return None
                if await self._commit([pending], deadline):
                    return None
                # The old statement may have been under way still and won.
                if unknown and await self._is_written(pending, deadline):
                    return None
                return _fenced(pending.batch)
            except LOST as error:
                if isinstance(error, ValueError):
                    raise
                await self._disconnect()
                unknown = True
                if time.monotonic() > deadline:
                    return unavailable(error)
            except asyncpg.UniqueViolationError:
                return _fenced(pending.batch)
            except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError) as error:
                if time.monotonic() > deadline:
                    return unavailable(error)
            except REFUSED as error:
                return unavailable(error)

    async def _commit(self, group: list[Pending], deadline: float | None = None) -> set[int]:
        """Write the group with one statement and return the numbers of the workers whose batch was written."""
        statements = self._statements
        if statements is None:
            statements = await self._connected(deadline or time.monotonic() + self._patience)
        one, many = statements
        started = time.perf_counter()
        if len(group) == 1:
            rows = await one.fetch(*_arguments_of_one(group[0]), timeout=self._timeout)
        else:
            rows = await many.fetch(*_arguments(group), timeout=self._timeout)
        if self._on_commit is not None:
            entries = sum([len(pending.rows) for pending in group])
            self._on_commit(len(group), entries, time.perf_counter() - started)
        return {row[0] for row in rows}

    async def _is_written(self, pending: Pending, deadline: float) -> bool:
        """Whether the oplog holds exactly these entries at this place."""
        await self._connected(deadline)
        batch = pending.batch
        if self._connection is None or not pending.rows:
            return False
        end = batch.first_index + len(pending.rows)
        found = await self._connection.fetch(_WRITTEN, batch.number, batch.first_index, end, timeout=self._timeout)
        return [tuple(row) for row in found] == list(pending.rows)

    async def _connected(self, deadline: float) -> tuple[Statement, Statement]:
        """The statements for one batch and for many, prepared on a new connection if need be.

        Raises Unavailable when the deadline is over.
        """
        while self._statements is None or self._connection is None or self._connection.is_closed():
            left = deadline - time.monotonic()
            try:
                self._connection = await connect(
                    self._url,
                    patience=timedelta(seconds=max(left, 0.1)),
                    application="golem-server oplog",
                    # The database gives a statement up at the time when we do: less is left whose outcome is open.
                    settings={**_PLANNER, "statement_timeout": str(int(self._timeout * 1000))},
                )
                self._statements = (
                    await self._connection.prepare(_APPEND_ONE),
                    await self._connection.prepare(_APPEND),
                )
            except (*LOST, *REFUSED) as error:
                await self._disconnect()
                if time.monotonic() + _RECONNECT_SECONDS > deadline:
                    raise unavailable(error) from error
                await asyncio.sleep(_RECONNECT_SECONDS)
        return self._statements

    async def _disconnect(self, *, graceful: bool = False) -> None:
        connection, self._connection, self._statements = self._connection, None, None
        if connection is None:
            return
        if graceful:
            with suppress(*LOST):
                await connection.close(timeout=self._timeout)
        else:
            connection.terminate()


def _fenced(batch: OplogBatch) -> OplogFenced:
    return OplogFenced(
        f"Worker {batch.number} has another owner or is gone: entry {batch.first_index} cannot be written"
    )


def _arguments_of_one(pending: Pending) -> tuple[Any, ...]:
    """The batch as the parameters of the statement for one."""
    batch, rows = pending.batch, pending.rows
    columns = batch.columns
    return (
        batch.number,
        batch.first_index - 1,
        columns.last_index,
        columns.status,
        columns.component_revision,
        columns.retry_count,
        columns.pending_count,
        columns.wake_at,
        columns.record,
        [row[0] for row in rows],
        [row[1] for row in rows],
        [row[2] for row in rows],
        [row[3] for row in rows],
    )


def _arguments(group: list[Pending]) -> tuple[list[Any], ...]:
    """The group as the columns of the statement."""
    batches = [pending.batch for pending in group]
    columns = [batch.columns for batch in batches]
    workers: list[int] = []
    indexes: list[int] = []
    rows: list[Row] = []
    for pending in group:
        batch, count = pending.batch, len(pending.rows)
        workers += [batch.number] * count
        indexes += range(batch.first_index, batch.first_index + count)
        rows += pending.rows
    return (
        [batch.number for batch in batches],
        [batch.first_index - 1 for batch in batches],
        [column.last_index for column in columns],
        [column.status for column in columns],
        [column.component_revision for column in columns],
        [column.retry_count for column in columns],
        [column.pending_count for column in columns],
        [column.wake_at for column in columns],
        [column.record for column in columns],
        workers,
        indexes,
        [row[0] for row in rows],
        [row[1] for row in rows],
        [row[2] for row in rows],
        [row[3] for row in rows],
    )
