"""Values of guests: what breaks off leaves no blob for ever, and writes of one place happen once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from golem_server.model.errors import InvalidInput, NotFound
from golem_server.model.ids import WorkerNumber
from golem_server.model.stored_values import KeptValue, StoredValue, WritePlace
from golem_server.storage.blob_store import PostgresBlobStore
from golem_server.storage.database import Database
from golem_server.storage.key_value_store import PostgresKeyValueStore
from golem_server.storage.object_store import PostgresObjectStore
from golem_server.storage.oplog_store import PostgresOplogStore
from golem_server.storage.value_contents import INLINE_BYTES, PostgresValueContents
from tests.storage.batches import columns, create, entry, new_worker

HERE = UUID(int=1)
LARGE = b"large" * 50_000


@pytest.fixture
def contents(database: Database, blobs: PostgresBlobStore) -> PostgresValueContents:
    """The contents of values."""
    return PostgresValueContents(database, blobs)


async def namespaces(database: Database) -> set[str]:
    """Where there are blobs."""
    async with database.connection() as connection:
        return {row[0] for row in await connection.fetch("SELECT namespace FROM blobs")}


async def test_small_values_lie_in_their_row(contents: PostgresValueContents, database: Database) -> None:
    for size in (0, 1, INLINE_BYTES):
        assert await contents.write(size, [b"x" * size]) == StoredValue(size=size, data=b"x" * size)
    assert await namespaces(database) == set()
    large = await contents.write(INLINE_BYTES + 1, [b"x" * INLINE_BYTES, b"x"])
    assert large.data is None
    assert large.size == INLINE_BYTES + 1


async def test_blobs_without_a_row_are_swept(contents: PostgresValueContents, database: Database) -> None:
    key_values, objects = PostgresKeyValueStore(database), PostgresObjectStore(database)
    lost, entry, thing = [await contents.write(len(LARGE), [LARGE]) for _ in range(3)]
    await key_values.set(HERE, "bucket", {"key": entry})
    await objects.create_container(HERE, "container", 1)
    await objects.put(HERE, "container", "object", 1, thing)
    await contents.keep(WorkerNumber(1), entry, 0, len(LARGE))
    await contents.delete_unused()
    assert lost.namespace in await namespaces(database)
    await contents.delete_unused(timedelta(0))
    assert await namespaces(database) == {entry.namespace, thing.namespace, "oplog/1"}


async def test_replaced_values_leave_nothing(contents: PostgresValueContents, database: Database) -> None:
    store = PostgresKeyValueStore(database)
    for _ in range(3):
        values = {key: await contents.write(len(LARGE), [LARGE]) for key in "ab"}
        await store.set(HERE, "bucket", values)
        # A statement whose outcome was not known is repeated.
        await store.set(HERE, "bucket", values)
        assert await namespaces(database) == {value.namespace for value in values.values()}
    many = [{"a": await contents.write(len(LARGE), [LARGE])} for _ in range(5)]
    await asyncio.gather(*(store.set(HERE, "bucket", values) for values in many))
    kept = await store.get(HERE, "bucket", ["a", "b"])
    assert await namespaces(database) == {value.namespace for value in kept.values()}
    await store.delete(HERE, "bucket", ["a", "b"])
    assert await namespaces(database) == set()


async def test_a_worker_keeps_what_it_read_until_it_is_deleted(
    contents: PostgresValueContents, store: PostgresOplogStore, database: Database
) -> None:
    number = await create(store)
    value = await contents.write(len(LARGE), [LARGE])
    kept = [await contents.keep(number, value, begin, end) for begin, end in [(0, len(LARGE)), (5, 100_000)]]
    assert await contents.keep(number, value, 5, 10) == LARGE[5:10]
    await PostgresKeyValueStore(database).increment(HERE, "bucket", "n", 1, WritePlace(number, 1, 0))
    async with database.connection() as connection:
        await connection.execute("DELETE FROM blobs WHERE namespace = $1", value.namespace)
    with pytest.raises(NotFound):
        await contents.keep(number, value, 1, len(LARGE))
    for each, expected in zip(kept, (LARGE, LARGE[5:100_000]), strict=True):
        assert isinstance(each, KeptValue)
        assert await contents.part(number, each, 7) == expected[7:]
    await store.delete_worker(number)
    assert await namespaces(database) == set()
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM guest_writes") == 0


async def test_the_copy_of_a_worker_has_what_the_worker_read(
    contents: PostgresValueContents, store: PostgresOplogStore
) -> None:
    number = await create(store)
    value = await contents.write(len(LARGE), [LARGE])
    kept = await contents.keep(number, value, 0, len(LARGE))
    assert isinstance(kept, KeptValue)
    copy = await store.fork_worker(number, 1, new_worker(), entry(b"create", kind=1), [], columns(1))
    await store.delete_worker(number)
    assert await contents.part(copy, kept, 0) == LARGE


async def test_a_write_happens_once_for_a_place(database: Database) -> None:
    store = PostgresKeyValueStore(database)
    for place in [(1, 5, 0), (1, 5, 0), (2, 5, 0), (1, 6, 0), (1, 6, 0), (1, 6, 7)]:
        await store.increment(HERE, "bucket", "n", 1, WritePlace(WorkerNumber(place[0]), *place[1:]))
    assert (await store.get(HERE, "bucket", ["n"]))["n"].data == b"4"
    # What fails is not taken for done.
    await store.set(HERE, "bucket", {"n": StoredValue(size=1, data=b"x")})
    for _ in range(2):
        with pytest.raises(InvalidInput):
            await store.increment(HERE, "bucket", "n", 1, WritePlace(WorkerNumber(3), 1, 0))
