"""The database goes away in the middle: nothing acknowledged is lost, nothing is written twice, and work goes on."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import AsyncGenerator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from asyncpg import PostgresError

from golem_server.model.errors import OplogFenced, Unavailable
from golem_server.model.ids import WorkerNumber
from golem_server.storage.blob_store import PostgresBlobStore
from golem_server.storage.database import Database
from golem_server.storage.embedded import EmbeddedPostgres
from golem_server.storage.migrate import migrate
from golem_server.storage.oplog_store import PostgresOplogStore
from golem_server.storage.registry_store import PostgresRegistryStore
from tests.postgres import FAST, copy_cluster
from tests.storage.batches import batch, create, data_of
from tests.storage.test_registry_store import ACCOUNT

KILL_WRITERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = 'golem-server oplog' AND datname = current_database()
"""


@pytest_asyncio.fixture
async def own_cluster(cluster: Path, tmp_path: Path) -> AsyncGenerator[tuple[EmbeddedPostgres, Database]]:
    """A cluster that the test may stop, with an open database whose patience is long."""
    copy_cluster(cluster, tmp_path)
    server = EmbeddedPostgres(tmp_path, shared_buffers_mib=32, settings=FAST)
    url = await server.start()
    await migrate(url)
    database = Database(url, patience=timedelta(seconds=20))
    await database.open()
    yield server, database
    await database.close()
    await server.stop()


async def count_up(
    store: PostgresOplogStore, number: WorkerNumber, stop: asyncio.Event, acknowledged: list[int]
) -> None:
    """Append one entry after another until told to stop; the entry's data is its index."""
    index = 2
    while not stop.is_set():
        await store.append(batch(number, index, [b"%d" % index]))
        acknowledged.append(index)
        index += 1


async def check(store: PostgresOplogStore, number: WorkerNumber, acknowledged: list[int]) -> None:
    """The oplog holds each acknowledged entry once, in order, and nothing else."""
    assert await data_of(store, number) == [b"create", *(b"%d" % index for index in acknowledged)]


async def test_connection_killed_during_appends_loses_and_repeats_nothing(
    store: PostgresOplogStore, database: Database
) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    numbers = [await create(store) for _ in range(8)]
    acknowledged: list[list[int]] = [[] for _ in numbers]
    stop = asyncio.Event()

    async def disturb() -> None:
        for _ in range(15):
            await asyncio.sleep(chance.random() * 0.02)
            async with database.connection() as connection:
                await connection.execute(KILL_WRITERS)
        stop.set()

    async with asyncio.TaskGroup() as group:
        for number, list_ in zip(numbers, acknowledged, strict=True):
            group.create_task(count_up(store, number, stop, list_))
        group.create_task(disturb())
    for number, list_ in zip(numbers, acknowledged, strict=True):
        assert list_
        await check(store, number, list_)


async def test_commit_whose_answer_was_lost_is_recognised(store: PostgresOplogStore, database: Database) -> None:
    """The row is locked while the statement runs; the backend dies; meanwhile the same entries arrive, as if the
    statement had been committed just before its answer was lost."""
    number = await create(store)
    async with database.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("UPDATE workers SET last_index = 2 WHERE number = $1", number)
        await connection.execute(
            "INSERT INTO oplog SELECT worker, 2, 2, 1700000000001, 'mine', NULL FROM oplog WHERE worker = $1", number
        )
        append = asyncio.create_task(store.append(batch(number, 2, [b"mine"])))
        await blocked_writer(database)
        async with database.connection() as other:
            await other.execute(KILL_WRITERS)
        # The next attempt looks first, sees nothing yet, writes, and waits for the same lock.
        await blocked_writer(database)
        await transaction.commit()
    await append
    assert await data_of(store, number) == [b"create", b"mine"]


async def test_entries_of_another_owner_are_not_taken_for_ones_own(
    store: PostgresOplogStore, database: Database
) -> None:
    number = await create(store)
    async with database.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("UPDATE workers SET last_index = 2 WHERE number = $1", number)
        await connection.execute(
            "INSERT INTO oplog SELECT worker, 2, 2, 1700000000001, 'theirs', NULL FROM oplog WHERE worker = $1", number
        )
        append = asyncio.create_task(store.append(batch(number, 2, [b"mine"])))
        await blocked_writer(database)
        async with database.connection() as other:
            await other.execute(KILL_WRITERS)
        await transaction.commit()
    with pytest.raises(OplogFenced):
        await append
    assert await data_of(store, number) == [b"create", b"theirs"]


async def blocked_writer(database: Database) -> None:
    """Wait until a writer's statement waits for a lock."""
    async with asyncio.timeout(10):
        while True:
            async with database.connection() as connection:
                if await connection.fetchval(
                    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'golem-server oplog'"
                    " AND datname = current_database() AND wait_event_type = 'Lock'"
                ):
                    return
            await asyncio.sleep(0.005)


async def test_database_that_does_not_answer_in_time_is_given_up_and_the_writer_goes_on(
    database: Database, blobs: PostgresBlobStore
) -> None:
    impatient = Database(database.url, patience=timedelta(seconds=0.2))
    await impatient.open()
    store = PostgresOplogStore(impatient, PostgresBlobStore(impatient), timeout=timedelta(seconds=0.2))
    await store.open()
    number = await create(store)
    async with database.connection() as connection, connection.transaction():
        await connection.execute("SELECT FROM workers WHERE number = $1 FOR UPDATE", number)
        with pytest.raises(Unavailable):
            await store.append(batch(number, 2, [b"x"]))
    # Nobody knows whether it was written: whoever goes on reads first.
    written = await data_of(store, number)
    assert written in ([b"create"], [b"create", b"x"])
    await store.append(batch(number, len(written) + 1, [b"y"]))
    assert await data_of(store, number) == [*written, b"y"]
    await store.close()
    await impatient.close()


async def test_restart_of_the_database_is_a_delay(own_cluster: tuple[EmbeddedPostgres, Database]) -> None:
    server, database = own_cluster
    store = PostgresOplogStore(database, PostgresBlobStore(database), writers=2)
    registry = PostgresRegistryStore(database)
    await store.open()
    await registry.add_account(ACCOUNT)
    numbers = [await create(store) for _ in range(4)]
    acknowledged: list[list[int]] = [[] for _ in numbers]
    stop = asyncio.Event()

    async def restart() -> None:
        for how in (signal.SIGINT, signal.SIGQUIT):
            server_process = server._process  # pyright: ignore[reportPrivateUsage]
            assert server_process is not None
            os.kill(server_process.pid, how)
            await asyncio.to_thread(server_process.wait)
            await server.stop()
            await server.start()
            # All of them go on with what they had.
            assert await registry.find_account(ACCOUNT.id) == ACCOUNT
            assert await store.read(numbers[0], 1, 1)
        stop.set()

    async with asyncio.TaskGroup() as group:
        for number, list_ in zip(numbers, acknowledged, strict=True):
            group.create_task(count_up(store, number, stop, list_))
        group.create_task(restart())
    for number, list_ in zip(numbers, acknowledged, strict=True):
        await check(store, number, list_)
    await store.close()


async def test_away_for_longer_than_patience_is_unavailable_and_then_over(cluster: Path, tmp_path: Path) -> None:
    copy_cluster(cluster, tmp_path)
    server = EmbeddedPostgres(tmp_path, shared_buffers_mib=32, settings=FAST)
    url = await server.start()
    await migrate(url)
    database = Database(url, patience=timedelta(seconds=0.3))
    store = PostgresOplogStore(database, PostgresBlobStore(database))
    registry = PostgresRegistryStore(database)
    await database.open()
    await store.open()
    number = await create(store)
    await server.stop()
    outcomes = await asyncio.gather(
        store.append(batch(number, 2)),
        store.read(number, 1, 1),
        create(store),
        store.delete_worker(number),
        registry.find_account(ACCOUNT.id),
        registry.add_account(ACCOUNT),
        PostgresBlobStore(database).put("n", b"x"),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [Unavailable] * len(outcomes)
    await server.start()
    await store.append(batch(number, 2))
    assert await registry.find_account(ACCOUNT.id) is None
    assert len(await data_of(store, number)) == 2
    with suppress(PostgresError):
        await store.close()
    await database.close()
    await server.stop()


async def test_opening_without_a_database_says_so() -> None:
    database = Database("postgresql://golem@127.0.0.1:1/golem", patience=timedelta(seconds=0.2))
    with pytest.raises(Unavailable):
        await database.open()
    await database.close()
    with pytest.raises(Unavailable, match="closed"):
        async with database.connection():
            pass
