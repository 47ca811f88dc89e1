"""The lower layer of oplogs: whatever is moved, readers, copies and writers notice nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import asyncpg
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from golem_server.model.errors import OplogFenced
from golem_server.model.ids import WorkerNumber
from golem_server.model.workers import StoredEntry
from golem_server.storage.blob_store import PostgresBlobStore
from golem_server.storage.database import Database
from golem_server.storage.oplog_store import PostgresOplogStore
from tests.storage.batches import batch, columns, create, entry, new_worker

KEEP = 10
LARGE = 2_000


@pytest_asyncio.fixture
async def archiving(database: Database) -> AsyncGenerator[PostgresOplogStore]:
    """A store that archives all but ten entries."""
    store = PostgresOplogStore(database, PostgresBlobStore(database), inline_bytes=LARGE - 1, keep_rows=KEEP)
    await store.open()
    yield store
    await store.close()


def content(index: int) -> bytes:
    """What an entry holds; some of it lies out of line."""
    return str(index).encode() * (LARGE if index % 7 == 3 else 1)


async def fill(store: PostgresOplogStore, last: int, each: int = 7) -> WorkerNumber:
    """A worker with this many entries."""
    number = await create(store)
    first = 2
    while first <= last:
        end = min(first + each - 1, last)
        await store.append(batch(number, first, [content(index) for index in range(first, end + 1)]))
        first = end + 1
    await store.archiver.settle()
    return number


async def counts(url: str, number: WorkerNumber) -> tuple[int, int]:
    """Rows of entries, and chunks."""
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetchval("SELECT count(*) FROM oplog WHERE worker = $1", number)
        chunks = await connection.fetchval("SELECT count(*) FROM oplog_archive WHERE worker = $1", number)
        return rows, chunks
    finally:
        await connection.close()


def shown(entries: list[StoredEntry]) -> list[tuple[int, bytes]]:
    return [(one.index, one.data) for one in entries]


async def test_old_entries_become_chunks(archiving: PostgresOplogStore, database_url: str) -> None:
    short = await fill(archiving, 2 * KEEP - 1)
    assert await counts(database_url, short) == (2 * KEEP - 1, 0)
    long = await fill(archiving, 100)
    rows, chunks = await counts(database_url, long)
    assert rows <= 2 * KEEP + 1
    assert chunks >= 1
    assert shown(await archiving.read(long, 2, 1000)) == [(index, content(index)) for index in range(2, 101)]
    await archiving.delete_worker(long)
    assert await counts(database_url, long) == (0, 0)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    first=st.integers(1, 110),
    count=st.integers(0, 120),
    max_bytes=st.one_of(st.none(), st.integers(1, 5 * LARGE)),
)
async def test_readers_notice_nothing(
    archiving: PostgresOplogStore,
    database: Database,
    worker_of_a_hundred: WorkerNumber,
    first: int,
    count: int,
    max_bytes: int | None,
) -> None:
    plain = PostgresOplogStore(database, PostgresBlobStore(database))
    read = await plain.read(worker_of_a_hundred, first, count, max_bytes)
    assert read == await archiving.read(worker_of_a_hundred, first, count, max_bytes)
    expected = range(first, min(first + count, 101))
    assert [one.index for one in read] == list(expected)[: len(read)]
    if max_bytes is None:
        assert len(read) == len(expected)
    elif expected:
        # The page ends behind the entry that reaches the limit, and not before.
        assert read
        assert sum(len(one.data) for one in read[:-1]) < max_bytes
        assert len(read) == len(expected) or sum(len(one.data) for one in read) >= max_bytes


@pytest_asyncio.fixture
async def worker_of_a_hundred(archiving: PostgresOplogStore) -> WorkerNumber:
    """A worker with 100 entries, most of them archived."""
    return await fill(archiving, 100)


@pytest.mark.parametrize("cut_off", [1, 2, 30, 70, 95, 100])
async def test_a_copy_has_what_its_original_had(
    archiving: PostgresOplogStore, worker_of_a_hundred: WorkerNumber, cut_off: int
) -> None:
    copy = await archiving.fork_worker(
        worker_of_a_hundred, cut_off, new_worker(), entry(b"create", kind=1), [entry(b"tail")], columns(cut_off + 1)
    )
    expected = [(index, content(index)) for index in range(2, cut_off + 1)]
    assert shown(await archiving.read(copy, 2, 1000)) == [*expected, (cut_off + 1, b"tail")]
    await archiving.append(batch(copy, cut_off + 2, [b"more"]))
    await archiving.archiver.archive(copy)
    assert shown(await archiving.read(copy, 2, 1000))[-2:] == [(cut_off + 1, b"tail"), (cut_off + 2, b"more")]


async def test_the_place_of_an_archived_entry_stays_taken(
    archiving: PostgresOplogStore, worker_of_a_hundred: WorkerNumber
) -> None:
    for index in (2, 50, 100):
        with pytest.raises(OplogFenced):
            await archiving.append(batch(worker_of_a_hundred, index, [b"usurper"]))
    await archiving.append(batch(worker_of_a_hundred, 101, [b"owner"]))


async def test_reading_while_entries_are_moved(archiving: PostgresOplogStore) -> None:
    number = await create(archiving)
    ended = asyncio.Event()

    async def write() -> None:
        for index in range(2, 400):
            await archiving.append(batch(number, index, [content(index)]))
        ended.set()

    async def read() -> None:
        while not ended.is_set():
            entries = await archiving.read(number, 2, 1000)
            assert shown(entries) == [(index, content(index)) for index in range(2, len(entries) + 2)]

    async with asyncio.TaskGroup() as group:
        group.create_task(write())
        group.create_task(read())
    await archiving.archiver.settle()
    assert len(await archiving.read(number, 1, 1000)) == 399
