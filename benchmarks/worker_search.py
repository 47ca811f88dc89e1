"""A page of workers out of a million, for filters of every kind: `python -m benchmarks.worker_search [workers]`.

The rows are made by PostgreSQL itself, as creating workers would write them; then the store is asked as the API does.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from uuid import UUID

import asyncpg
import uvloop

from benchmarks.machine import machine
from golem_server.api.worker_filters import filter_of_texts
from golem_server.model.ids import ComponentId, WorkerNumber
from golem_server.storage.blob_store import PostgresBlobStore
from golem_server.storage.database import Database
from golem_server.storage.embedded import EmbeddedPostgres
from golem_server.storage.migrate import migrate
from golem_server.storage.oplog_store import PostgresOplogStore

COMPONENT = ComponentId(UUID(int=1))
PAGE = 50
ROUNDS = 20

_FILL = """
INSERT INTO workers (component_id, name, environment_id, created_by, created_at, arguments, environment, config, status,
    last_index, component_revision, retry_count, pending_count, wake_at, record)
SELECT $1, 'worker-' || n, $2, $2, 1700000000000 + n * 1000, '\\x90', $3, '\\x80',
    (n % 7)::smallint, 10, n % 5, 0, 0, NULL, decode(repeat('00', 150), 'hex')
FROM generate_series(1, $4::bigint) AS n
"""

FILTERS: dict[str, list[str]] = {
    "none": [],
    "name = (one)": ["name = worker-777777"],
    "name like (prefix)": ["name like worker-77777"],
    "name like (nothing)": ["name like nobody"],
    "name not-like": ["name notlike worker-1"],
    "status =": ["status = Failed"],
    "version >=": ["version >= 3"],
    "created_at >": ["created_at > 2023-11-20T00:00:00Z"],
    "env =": ["env.COLOUR = red"],
    "env = (nothing)": ["env.COLOUR = blue"],
    "status and version and name": ["status = Idle", "version = 2", "name like worker-9"],
}


async def main(workers: int) -> None:
    """Fill the table and print the times of a first page and of one in the middle."""
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        postgres = EmbeddedPostgres(Path(name) / "postgres")
        url = await postgres.start()
        try:
            await migrate(url)
            await _fill(url, workers)
            database = Database(url)
            await database.open()
            store = PostgresOplogStore(database, PostgresBlobStore(database))
            for shown, texts in FILTERS.items():
                times = [await _median(store, texts, after) for after in (0, workers // 2)]
                print(f"{shown:<30} first page {times[0]:7.2f} ms, in the middle {times[1]:7.2f} ms", flush=True)
            await database.close()
        finally:
            await postgres.stop()


async def _fill(url: str, workers: int) -> None:
    connection = await asyncpg.connect(url)
    began = time.perf_counter()
    environment = b"\x81\xa6COLOUR\xa3red"
    await connection.execute(_FILL, COMPONENT, UUID(int=2), environment, workers)
    await connection.execute("ANALYZE workers")
    await connection.close()
    print(f"{workers} workers written in {time.perf_counter() - began:.0f} s", flush=True)


async def _median(store: PostgresOplogStore, texts: list[str], after: int) -> float:
    condition = filter_of_texts(texts)
    seconds: list[float] = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        async with asyncio.timeout(60):
            await store.list_workers(COMPONENT, WorkerNumber(after), PAGE, condition)
        seconds.append(time.perf_counter() - began)
    return sorted(seconds)[len(seconds) // 2] * 1e3


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
