"""How fast batches become durable: `python -m benchmarks.oplog_store [seconds per figure]`.

The floor is one single-row INSERT a commit on one connection of the same database, measured in the same run.
"""

from __future__ import annotations

import asyncio
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import uvloop

from golem_server.model.ids import ComponentId, WorkerId, WorkerNumber
from golem_server.model.oplog import EncodedEntry
from golem_server.model.workers import NewWorker, OplogBatch, StatusColumns, WorkerStatus
from golem_server.storage.blob_store import PostgresBlobStore
from golem_server.storage.database import Database
from golem_server.storage.embedded import EmbeddedPostgres
from golem_server.storage.migrate import migrate
from golem_server.storage.oplog_store import PostgresOplogStore

_COMPONENT = ComponentId(uuid4())
_ENTRY = EncodedEntry(3, 1_700_000_000_000, b"e" * 120)
_RECORD = b"r" * 300
_ENTRIES_A_BATCH = 3
"""An invocation: started, one host call, finished."""


def machine() -> str:
    """One line that says where the figures come from."""
    return (
        f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}, {platform.platform()}"
    )


def _columns(last_index: int) -> StatusColumns:
    return StatusColumns(
        status=WorkerStatus.IDLE,
        last_index=last_index,
        component_revision=0,
        retry_count=0,
        pending_count=0,
        wake_at=None,
        record=_RECORD,
    )


async def _create(store: PostgresOplogStore) -> WorkerNumber:
    worker = NewWorker(
        worker_id=WorkerId(_COMPONENT, str(uuid4())),
        environment_id=UUID(int=0),
        created_by=UUID(int=0),
        created_at=0,
        arguments=[],
        environment={},
    )
    return await store.create_worker(worker, _ENTRY, _columns(1))


async def _repeat(seconds: float, appenders: int, operation: Callable[[int], Awaitable[None]]) -> tuple[float, float]:
    """Operations a second and the median time of one in milliseconds."""
    times: list[float] = []
    end = time.perf_counter() + seconds

    async def one(place: int) -> None:
        while (started := time.perf_counter()) < end:
            await operation(place)
            times.append(time.perf_counter() - started)

    started = time.perf_counter()
    await asyncio.gather(*(one(place) for place in range(appenders)))
    return len(times) / (time.perf_counter() - started), statistics.median(times) * 1000


async def _floor(url: str, seconds: float) -> tuple[float, float]:
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE IF NOT EXISTS floor (id bigint GENERATED ALWAYS AS IDENTITY, data bytea)")
    statement = await connection.prepare("INSERT INTO floor (data) VALUES ($1)")

    async def insert(_: int) -> None:
        await statement.fetch(_ENTRY.data)

    result = await _repeat(seconds, 1, insert)
    await connection.execute("DROP TABLE floor")
    await connection.close()
    return result


async def _appends(database: Database, seconds: float, appenders: int, writers: int) -> None:
    groups: list[int] = []
    store = PostgresOplogStore(
        database, PostgresBlobStore(database), writers=writers, on_commit=lambda batches, _e, _s: groups.append(batches)
    )
    await store.open()
    numbers = [await _create(store) for _ in range(appenders)]
    last = [1] * appenders

    async def append(place: int) -> None:
        first = last[place] + 1
        last[place] += _ENTRIES_A_BATCH
        await store.append(
            OplogBatch(
                number=numbers[place],
                first_index=first,
                entries=[_ENTRY] * _ENTRIES_A_BATCH,
                columns=_columns(last[place]),
            )
        )

    rate, median = await _repeat(seconds, appenders, append)
    print(
        f"{appenders:5} appenders, {writers} writers: {rate:8.0f} batches/s, median {median:6.3f} ms, "
        f"{statistics.mean(groups):5.1f} batches a commit, {len(groups) / seconds:6.0f} commits/s"
    )
    await store.close()


async def _reads(database: Database, entries: int) -> None:
    store = PostgresOplogStore(database, PostgresBlobStore(database))
    await store.open()
    number = await _create(store)
    for first in range(2, entries, 1000):
        batch = OplogBatch(number=number, first_index=first, entries=[_ENTRY] * 1000, columns=_columns(first + 999))
        await store.append(batch)
    started = time.perf_counter()
    count = 0
    while found := await store.read(number, count + 1, 1000):
        count += len(found)
    print(f"reading {count} entries by 1000: {count / (time.perf_counter() - started):8.0f} entries/s")
    await store.close()


async def run(seconds: float) -> None:
    """Print all figures."""
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        postgres = EmbeddedPostgres(Path(folder))
        started = time.perf_counter()
        url = await postgres.start()
        print(f"first start of the embedded PostgreSQL: {time.perf_counter() - started:.2f} s")
        try:
            await migrate(url)
            database = Database(url)
            await database.open()
            rate, median = await _floor(url, seconds)
            print(f"floor, one-row commits on one connection: {rate:8.0f} commits/s, median {median:6.3f} ms")
            for appenders, writers in ((1, 1), (16, 1), (64, 1), (64, 2), (256, 1), (256, 2)):
                await _appends(database, seconds, appenders, writers)
            await _reads(database, 20_000)
            await database.close()
        finally:
            await postgres.stop()


if __name__ == "__main__":
    uvloop.run(run(float(sys.argv[1]) if len(sys.argv) > 1 else 3))
