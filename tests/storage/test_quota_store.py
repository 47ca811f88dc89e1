"""Quotas: nothing is given twice, whoever asks at the same time and whatever is repeated."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from uuid import UUID, uuid4

import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from golem_server.clock import SystemClock
from golem_server.model.ids import WorkerNumber
from golem_server.model.quota import (
    PERIODS,
    QuotaLevel,
    ResourceDefinition,
    ResourceDefinitionId,
    ResourceLimit,
)
from golem_server.registry.accounts import DEFAULT_ENVIRONMENT_ID, Accounts
from golem_server.storage.database import Database
from golem_server.storage.oplog_store import PostgresOplogStore
from golem_server.storage.quota_store import PostgresQuotaStore
from golem_server.storage.registry_store import PostgresRegistryStore
from tests.storage.batches import create

RATE = ResourceLimit("Rate", 10, "minute", 25)
CAPACITY = ResourceLimit("Capacity", 100)
CONCURRENCY = ResourceLimit("Concurrency", 3)
NOW = 1_700_000_000_000


class Account:
    """One resource as one worker uses it."""

    def __init__(self, store: PostgresQuotaStore, worker: WorkerNumber) -> None:
        self.store = store
        self.worker = worker
        self.name = f"r-{uuid4()}"
        self.definition: ResourceDefinition

    async def define(self, limit: ResourceLimit, enforcement: str = "reject") -> None:
        """Define the resource."""
        self.definition = ResourceDefinition(
            id=ResourceDefinitionId(uuid4()),
            revision=0,
            environment_id=DEFAULT_ENVIRONMENT_ID,
            name=self.name,
            limit=limit,
            enforcement=enforcement,
            unit="",
            units="",
        )
        assert await self.store.add_resource(self.definition, NOW)

    async def reserve(self, amount: int, *, key: UUID | None = None, after: int = 0) -> UUID | int | None:
        """The reservation, or how many seconds to wait (None: nobody knows)."""
        wanted = key or uuid4()
        answer = await self.store.reserve(
            DEFAULT_ENVIRONMENT_ID, self.name, wanted, self.worker, amount, NOW + after * 1000
        )
        if answer.granted:
            return wanted
        return None if answer.wait_ns is None else answer.wait_ns // 10**9

    async def commit(self, reservation: object, used: int) -> None:
        """End a reservation."""
        assert isinstance(reservation, UUID)
        await self.store.commit(reservation, used, NOW)


@pytest_asyncio.fixture
async def account(store: PostgresOplogStore, database: Database) -> Account:
    """A resource that is not defined yet."""
    await Accounts(PostgresRegistryStore(database), SystemClock()).create_defaults()
    return Account(PostgresQuotaStore(database), await create(store))


async def test_what_is_not_defined_is_not_limited(account: Account) -> None:
    assert isinstance(await account.reserve(1 << 63), UUID)


async def test_a_rate_fills_up_period_by_period(account: Account) -> None:
    await account.define(RATE)
    first = await account.reserve(20)
    assert await account.reserve(6) == 60
    await account.commit(first, 15)
    assert isinstance(await account.reserve(10), UUID)
    assert await account.reserve(5, after=59) == 1
    assert isinstance(await account.reserve(5, after=60), UUID)
    assert await account.reserve(26) is None


async def test_what_was_used_beyond_the_reservation_is_missed_later(account: Account) -> None:
    await account.define(RATE)
    await account.commit(await account.reserve(1), 30)
    assert await account.reserve(1) == 60
    assert isinstance(await account.reserve(1, after=60), UUID)


async def test_a_capacity_is_used_up(account: Account) -> None:
    await account.define(CAPACITY)
    await account.commit(await account.reserve(60), 50)
    assert await account.reserve(51) is None
    assert isinstance(await account.reserve(50), UUID)
    assert await account.reserve(1, after=10**6) is None


async def test_a_concurrency_comes_back(account: Account) -> None:
    await account.define(CONCURRENCY)
    held = [await account.reserve(1) for _ in range(3)]
    assert await account.reserve(1) is None
    await account.commit(held[0], 1)
    assert isinstance(await account.reserve(1), UUID)


async def test_the_same_call_gets_the_same_reservation_and_ends_it_once(account: Account) -> None:
    await account.define(CAPACITY)
    key = uuid4()
    assert [await account.reserve(100, key=key) for _ in range(3)] == [key] * 3
    for _ in range(2):
        await account.commit(key, 40)
    assert isinstance(await account.reserve(60), UUID)
    assert await account.reserve(1) is None


async def test_many_at_the_same_time_never_get_more_than_there_is(account: Account) -> None:
    await account.define(CAPACITY)
    answers = await asyncio.gather(*(account.reserve(7) for _ in range(30)))
    assert sum(isinstance(answer, UUID) for answer in answers) == 14


async def test_a_deleted_worker_gives_back_what_it_holds(account: Account, store: PostgresOplogStore) -> None:
    await account.define(CONCURRENCY)
    other = await create(store)
    await account.store.reserve(DEFAULT_ENVIRONMENT_ID, account.name, uuid4(), other, 3, NOW)
    assert await account.reserve(1) is None
    await store.delete_worker(other)
    assert isinstance(await account.reserve(3), UUID)


async def test_a_changed_limit_counts_at_once_and_a_deleted_one_no_more(account: Account) -> None:
    await account.define(CAPACITY)
    await account.commit(await account.reserve(100), 100)
    changed = replace(account.definition, limit=ResourceLimit("Capacity", 150))
    assert await account.store.update_resource(changed)
    assert not await account.store.update_resource(changed)
    assert isinstance(await account.reserve(50), UUID)
    assert await account.reserve(1) is None
    assert not await account.store.delete_resource(account.definition.id, 0)
    assert await account.store.delete_resource(account.definition.id, 1)
    assert isinstance(await account.reserve(1000), UUID)
    assert await account.store.find_resource(account.definition.id) is None


@given(
    st.integers(1, 50),
    st.integers(0, 100),
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 60)), max_size=12),
)
def test_a_bucket_is_what_counting_each_period_gives(value: int, most: int, steps: list[tuple[int, int]]) -> None:
    limit = ResourceLimit("Rate", value, "second", most)
    level, now, naive, filled = QuotaLevel(0, NOW), NOW, most, NOW
    for seconds, used in steps:
        now += seconds * 700
        while filled + PERIODS["second"] <= now:
            filled += PERIODS["second"]
            naive = min(naive + value, most)
        level = level.at(limit, now)
        assert level.available(limit, 0) == naive
        naive -= used
        level = level.after_use(limit, used)
        wait = level.wait_ns(limit, 0, min(most, 1), now)
        assert wait is not None
        later = level.at(limit, now + wait // 1_000_000)
        assert later.available(limit, 0) >= min(most, 1)
