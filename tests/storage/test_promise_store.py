"""Promises: complete once, by whoever comes first."""

from __future__ import annotations

import asyncio

from golem_server.model.ids import WorkerNumber
from golem_server.storage.database import Database
from golem_server.storage.oplog_store import PostgresOplogStore
from golem_server.storage.promise_store import PostgresPromiseStore
from tests.storage.batches import batch, create


async def test_first_completion_wins(store: PostgresOplogStore, database: Database) -> None:
    promises = PostgresPromiseStore(database)
    number = await create(store)
    assert await promises.get(number, 5) is None
    outcomes = await asyncio.gather(*(promises.complete(number, 5, b"%d" % place) for place in range(6)))
    assert outcomes.count(True) == 1
    assert await promises.get(number, 5) == b"%d" % outcomes.index(True)
    assert await promises.complete(number, 6, b"")
    assert await promises.get(number, 6) == b""


async def test_promise_of_a_deleted_worker_leaves_no_row(database: Database) -> None:
    promises = PostgresPromiseStore(database)
    assert not await promises.complete(WorkerNumber(99), 5, b"late")
    assert await promises.get(WorkerNumber(99), 5) is None


async def test_completion_does_not_wait_for_the_workers_commits(store: PostgresOplogStore, database: Database) -> None:
    promises = PostgresPromiseStore(database)
    number = await create(store)
    async with database.connection() as connection, connection.transaction():
        await connection.execute("UPDATE workers SET status = 0 WHERE number = $1", number)
        assert await promises.complete(number, 5, b"x")
    await store.append(batch(number, 2))
