"""Workers and oplogs: what is written is read back, and nobody writes twice to one place."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from golem_server.model.errors import InternalBug, OplogFenced, Unavailable, WorkerAlreadyExists
from golem_server.model.ids import ComponentId, WorkerId, WorkerNumber
from golem_server.model.workers import StoredWorker, WorkerStatus
from golem_server.storage.blob_store import PostgresBlobStore
from golem_server.storage.database import Database
from golem_server.storage.oplog_store import PostgresOplogStore
from golem_server.storage.promise_store import PostgresPromiseStore
from tests.storage.batches import COMPONENT, batch, columns, create, data_of, entry, new_worker


async def test_created_worker_is_found_with_all_that_it_was_given(store: PostgresOplogStore) -> None:
    worker = new_worker("first")
    number = await store.create_worker(worker, entry(b"create", kind=1), columns(1, wake_at=5))
    assert await store.find_worker(worker.worker_id) == StoredWorker(
        number=number, worker=worker, columns=columns(1, wake_at=5)
    )
    assert await data_of(store, number) == [b"create"]


async def test_worker_of_unknown_or_impossible_name_is_not_found(store: PostgresOplogStore) -> None:
    for name in ("nobody", "nul\0", "\ud800"):
        assert await store.find_worker(WorkerId(COMPONENT, name)) is None


async def test_second_worker_of_a_name_is_refused(store: PostgresOplogStore) -> None:
    await create(store, "twin")
    with pytest.raises(WorkerAlreadyExists):
        await create(store, "twin")


async def test_append_is_read_back_and_moves_the_row(store: PostgresOplogStore) -> None:
    number = await create(store, "mover")
    after = columns(3, status=WorkerStatus.SUSPENDED, pending_count=2, wake_at=77, record=b"new")
    await store.append(batch(number, 2, [b"two", b""], after))
    assert await data_of(store, number) == [b"create", b"two", b""]
    found = await store.find_worker(WorkerId(COMPONENT, "mover"))
    assert found is not None
    assert found.columns == after


async def test_read_gives_a_part_in_order(store: PostgresOplogStore) -> None:
    number = await create(store)
    await store.append(batch(number, 2, [str(index).encode() for index in range(2, 101)]))
    part = await store.read(number, 40, 3)
    assert [(one.index, one.data) for one in part] == [(40, b"40"), (41, b"41"), (42, b"42")]
    assert await store.read(number, 101, 5) == []


@pytest.mark.parametrize("first_index", [1, 3])
async def test_batch_that_does_not_follow_is_fenced_and_writes_nothing(
    store: PostgresOplogStore, first_index: int
) -> None:
    number = await create(store)
    with pytest.raises(OplogFenced):
        await store.append(batch(number, first_index, [b"x"]))
    assert await data_of(store, number) == [b"create"]


async def test_batch_of_a_worker_that_is_gone_is_fenced(store: PostgresOplogStore) -> None:
    with pytest.raises(OplogFenced):
        await store.append(batch(WorkerNumber(4711), 2))


async def test_taken_index_is_fenced_even_where_the_row_does_not_know_of_it(
    store: PostgresOplogStore, database: Database
) -> None:
    number, other = await create(store), await create(store)
    async with database.connection() as connection:
        await connection.execute(
            "INSERT INTO oplog (worker, index, kind, timestamp, data) VALUES ($1, 2, 2, 0, '')", number
        )
    outcomes = await asyncio.gather(
        store.append(batch(number, 2, [b"x"])), store.append(batch(other, 2, [b"y"])), return_exceptions=True
    )
    assert isinstance(outcomes[0], OplogFenced)
    assert outcomes[1] is None
    assert await data_of(store, other) == [b"create", b"y"]


async def test_columns_that_contradict_the_entries_are_a_bug(store: PostgresOplogStore) -> None:
    number = await create(store)
    with pytest.raises(InternalBug):
        await store.append(batch(number, 2, [b"x"], columns(5)))


async def test_conflict_of_one_batch_leaves_the_others_of_its_group(store: PostgresOplogStore) -> None:
    numbers = [await create(store) for _ in range(20)]
    first = store.append(batch(numbers[0], 2, [b"busy"]))
    rest = [store.append(batch(number, 9 if place == 7 else 2, [b"x"])) for place, number in enumerate(numbers[1:])]
    outcomes = await asyncio.gather(first, *rest, return_exceptions=True)
    assert [place for place, outcome in enumerate(outcomes) if outcome is not None] == [8]
    assert isinstance(outcomes[8], OplogFenced)
    assert await data_of(store, numbers[8]) == [b"create"]
    assert await data_of(store, numbers[9]) == [b"create", b"x"]


async def test_value_that_the_database_cannot_hold_fails_its_batch_alone(store: PostgresOplogStore) -> None:
    number, other = await create(store), await create(store)
    outcomes = await asyncio.gather(
        store.append(batch(number, 2, [b"x"], columns(2, wake_at=1 << 70))),
        store.append(batch(other, 2, [b"y"])),
        return_exceptions=True,
    )
    assert isinstance(outcomes[0], Exception)
    assert not isinstance(outcomes[0], Unavailable)
    assert outcomes[1] is None


async def test_batches_of_one_worker_that_wait_together_are_written_in_order(store: PostgresOplogStore) -> None:
    number = await create(store)
    await asyncio.gather(*(store.append(batch(number, index, [str(index).encode()])) for index in range(2, 30)))
    assert await data_of(store, number) == [b"create", *(str(index).encode() for index in range(2, 30))]


async def test_batches_that_wait_together_share_a_commit(database: Database, blobs: PostgresBlobStore) -> None:
    commits: list[tuple[int, int]] = []

    def on_commit(batches: int, entries: int, seconds: float) -> None:
        assert seconds > 0
        commits.append((batches, entries))

    store = PostgresOplogStore(database, blobs, on_commit=on_commit)
    await store.open()
    numbers = [await create(store) for _ in range(50)]
    await asyncio.gather(*(store.append(batch(number, 2, [b"x", b"y"])) for number in numbers))
    await store.close()
    assert sum(batches for batches, _ in commits) == 50
    assert sum(entries for _, entries in commits) == 100
    assert len(commits) <= 3


async def test_two_owners_of_one_worker_exactly_one_wins(database: Database, blobs: PostgresBlobStore) -> None:
    stores = [PostgresOplogStore(database, blobs) for _ in range(2)]
    for store in stores:
        await store.open()
    numbers = [await create(stores[0]) for _ in range(10)]

    async def fight(owner: int, number: WorkerNumber) -> int:
        """How many batches the owner writes before it is fenced."""
        written = 0
        try:
            for index in range(2, 30):
                await stores[owner].append(batch(number, index, [b"%d" % owner]))
                written += 1
        except OplogFenced:
            pass
        return written

    won = await asyncio.gather(*(fight(owner, number) for number in numbers for owner in (0, 1)))
    for place, number in enumerate(numbers):
        data = await data_of(stores[0], number)
        assert len(data) == 29
        assert (data.count(b"0"), data.count(b"1")) == (won[2 * place], won[2 * place + 1])
        # Whoever lost once wrote no more: one owner's entries stand before the other's.
        assert data[1:] == sorted(data[1:]) or data[1:] == sorted(data[1:], reverse=True)
    for store in stores:
        await store.close()


async def test_cancelled_append_is_written_and_the_writer_goes_on(store: PostgresOplogStore) -> None:
    numbers = [await create(store) for _ in range(3)]
    tasks = [asyncio.create_task(store.append(batch(number, 2, [b"x"]))) for number in numbers]
    await asyncio.sleep(0)
    tasks[1].cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(outcomes[1], asyncio.CancelledError)
    await store.append(batch(numbers[0], 3, [b"y"]))
    assert await data_of(store, numbers[1]) == [b"create", b"x"]


async def test_large_entries_go_out_of_line_and_come_back(
    store: PostgresOplogStore, database: Database, blobs: PostgresBlobStore
) -> None:
    number = await create(store)
    large, huge = b"L" * (64 * 1024 + 1), bytes(range(256)) * 12_000
    await store.append(batch(number, 2, [b"small", large, huge, large]))
    assert await data_of(store, number) == [b"create", b"small", large, huge, large]
    async with database.connection() as connection:
        assert await connection.fetchval("SELECT max(length(data)) FROM oplog") == 6
        assert await connection.fetchval("SELECT count(*) FROM blobs WHERE namespace = $1", f"oplog/{number}") == 2


async def test_deleted_worker_leaves_nothing(
    store: PostgresOplogStore, database: Database, blobs: PostgresBlobStore
) -> None:
    number = await create(store, "gone")
    await store.append(batch(number, 2, [b"L" * 3_000_000]))
    assert await PostgresPromiseStore(database).complete(number, 2, b"data")
    await store.delete_worker(number)
    await store.delete_worker(number)
    with pytest.raises(OplogFenced):
        await store.append(batch(number, 3, [b"late" * 100_000]))
    async with database.connection() as connection:
        for table in ("workers", "oplog", "promises", "blobs", "blob_chunks"):
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0, table
    assert await create(store, "gone") != number


async def test_workers_are_listed_in_pages_by_component(store: PostgresOplogStore) -> None:
    numbers = [await create(store) for _ in range(5)]
    other = ComponentId(new_worker().environment_id)
    await store.create_worker(new_worker("elsewhere", other), entry(kind=1), columns(1))
    first = await store.list_workers(COMPONENT, None, 3)
    assert [worker.number for worker in first.workers] == numbers[:3]
    assert first.next == numbers[2]
    second = await store.list_workers(COMPONENT, first.next, 3)
    assert [worker.number for worker in second.workers] == numbers[3:]
    assert second.next is None
    exact = await store.list_workers(COMPONENT, None, 5)
    assert exact.next is None


async def test_recovery_finds_who_was_at_work(store: PostgresOplogStore) -> None:
    expected: list[WorkerNumber] = []
    for status in WorkerStatus:
        for pending in (0, 2):
            number = await create(store)
            await store.append(batch(number, 2, [b"x"], columns(2, status=status, pending_count=pending)))
            if status in (WorkerStatus.RUNNING, WorkerStatus.RETRYING) or pending:
                expected.append(number)
    page = await store.workers_to_recover(None, 4)
    assert [worker.number for worker in page.workers] == expected[:4]
    page = await store.workers_to_recover(page.next, 100)
    assert [worker.number for worker in page.workers] == expected[4:]
    assert page.next is None


async def test_timers_are_found_the_earliest_first(store: PostgresOplogStore) -> None:
    assert await store.next_wake() is None
    numbers: dict[int, WorkerNumber] = {}
    for wake_at in (300, 100, 200):
        numbers[wake_at] = await create(store)
        await store.append(batch(numbers[wake_at], 2, [b"x"], columns(2, wake_at=wake_at)))
    assert await store.next_wake() == 100
    due = await store.workers_to_wake(200, 10)
    assert [worker.number for worker in due] == [numbers[100], numbers[200]]
    assert [worker.columns.wake_at for worker in await store.workers_to_wake(1000, 1)] == [100]


async def test_append_after_close_is_refused(database: Database, blobs: PostgresBlobStore) -> None:
    store = PostgresOplogStore(database, blobs, writers=2)
    await store.open()
    number = await create(store)
    await store.close()
    with pytest.raises(Unavailable):
        await store.append(batch(number, 2))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.binary(max_size=300), min_size=1, max_size=8), max_size=8), st.integers(0, 200))
async def test_any_oplog_is_read_back_as_it_was_written(
    database: Database, blobs: PostgresBlobStore, batches: list[list[bytes]], inline_bytes: int
) -> None:
    store = PostgresOplogStore(database, blobs, writers=2, inline_bytes=inline_bytes)
    await store.open()
    try:
        number = await create(store)
        written = [b"create"]
        for data in batches:
            await store.append(batch(number, len(written) + 1, data))
            written += data
        assert await data_of(store, number) == written
    finally:
        await store.close()


async def test_a_page_ends_where_it_has_enough_bytes(store: PostgresOplogStore) -> None:
    number = await create(store)
    sizes = [10, 30_000, 200_000, 5, 70_000, 20, 30]
    await store.append(batch(number, 2, [bytes([size % 251]) * size for size in sizes]))
    for limit, expected in ((1, 1), (10, 1), (11, 2), (30_010, 2), (30_011, 3), (10**9, 7)):
        page = await store.read(number, 2, 100, limit)
        assert [len(entry.data) for entry in page] == sizes[:expected], limit
    assert len(await store.read(number, 2, 3, 10**9)) == 3
    assert await store.read(number, 9, 100, 1) == []
