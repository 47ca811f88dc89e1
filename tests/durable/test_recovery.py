"""What the start of a server brings back, what leaves memory in between, and what a store that goes away does."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from golem_server.durable.unloading import CHECK_EVERY
from golem_server.model.errors import OplogFenced, Unavailable
from golem_server.model.oplog import InvocationStarted
from golem_server.model.workers import OplogBatch, WorkerStatus
from tests.durable.conftest import OpenScripted
from tests.durable.scripted import Scripted, quick
from tests.host.memory_store import MemoryOplogStore


class FailingStore(MemoryOplogStore):
    """A store that can go away: before it has written a batch, or after, so that nobody knows."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.lose_answer = False

    async def append(self, batch: OplogBatch) -> None:
        """Fail as told."""
        if self.lose_answer:
            self.lose_answer = False
            await super().append(batch)
            raise Unavailable("connection lost")
        if self.away:
            raise Unavailable("no connection")
        await super().append(batch)


async def test_a_start_recovers_what_was_running_and_what_was_queued(either: Scripted) -> None:
    running, queued = either.other("running"), either.other("queued")
    either.begin("random", ("gate", 1), worker=running, key="a")
    await either.outside.until("gate 1")
    await either.world.until_written(running, InvocationStarted)
    either.begin(("gate", 2), worker=queued)
    await either.outside.until("gate 2")
    await either.send(("effect", 1), worker=queued, key="b")
    await either.run(worker=either.other("idle"))
    await either.world.crash()
    await either.outside.until("gate 1", 2)
    await either.outside.until("gate 2", 2)
    either.outside.open(1)
    either.outside.open(2)
    await either.outside.until("effect 1")
    await either.run(worker=running, key="a")
    assert either.other("idle") not in either.world.executor._workers  # pyright: ignore[reportPrivateUsage]


async def test_a_start_leaves_an_interrupted_worker_alone_with_all_that_it_has_queued(either: Scripted) -> None:
    either.begin(("gate", 1))
    await either.outside.until("gate 1")
    await either.send(("effect", 1), key="b")
    await either.interrupt()
    await either.world.crash()
    await either.run(worker=either.other("another"))
    assert await either.status() is WorkerStatus.INTERRUPTED
    assert either.worker not in either.world.executor._workers  # pyright: ignore[reportPrivateUsage]
    assert not either.outside.effects


async def test_one_worker_that_cannot_be_started_does_not_stop_the_others(open_scripted: OpenScripted) -> None:
    store = MemoryOplogStore()
    scripted = await open_scripted(store)
    workers = [scripted.other(f"r-{number}") for number in range(5)]
    for number, worker in enumerate(workers, 1):
        scripted.begin("random", ("gate", 1), worker=worker, key="a")
        await scripted.outside.until("gate 1", number)
        await scripted.world.until_written(worker, InvocationStarted)
    await scripted.world.crash(start=False)
    rows = store._workers  # pyright: ignore[reportPrivateUsage]
    numbers = list(rows)
    row = rows[numbers[0]]
    unknown_revision = msgspec.structs.replace(row.columns, component_revision=7)
    rows[numbers[0]] = msgspec.structs.replace(row, columns=unknown_revision)
    store._entries[numbers[1]].clear()  # pyright: ignore[reportPrivateUsage]
    await scripted.world.crash()
    await scripted.outside.until("gate 1", 5 + 3)
    scripted.outside.open(1)
    assert len(await asyncio.gather(*(scripted.run(worker=worker, key="a") for worker in workers[2:]))) == 3


async def test_idle_workers_leave_memory_when_there_is_too_little_and_come_back_unnoticed(
    open_scripted: OpenScripted,
) -> None:
    scripted = await open_scripted(settings=quick(memory_budget=1))
    workers = [scripted.other(f"w-{number}") for number in range(CHECK_EVERY)]
    before = [await scripted.run("random", ("file", 1), worker=worker, key="a") for worker in workers]
    here = scripted.world.executor._workers  # pyright: ignore[reportPrivateUsage]
    gone = [worker for worker in workers if worker not in here]
    assert gone == workers[: len(gone)]
    assert gone
    for worker, result in zip(workers, before, strict=True):
        assert await scripted.hash(worker) == result
        assert await scripted.run(worker=worker, key="a") == result
    for _ in range(20 * CHECK_EVERY):
        await scripted.run(worker=workers[-1])
    assert len(here) <= CHECK_EVERY // 4


async def test_a_busy_worker_never_leaves_memory(open_scripted: OpenScripted) -> None:
    scripted = await open_scripted(settings=quick(memory_budget=1))
    call = scripted.begin(("gate", 1), "random")
    await scripted.outside.until("gate 1")
    for _ in range(2 * CHECK_EVERY):
        await scripted.run(worker=scripted.other("w-2"))
    scripted.outside.open(1)
    await call
    assert (await scripted.kinds()).count("InvocationStarted") == 1
    assert scripted.outside._at["gate 1"] == 1  # pyright: ignore[reportPrivateUsage]


async def test_a_store_that_is_away_fails_the_caller_and_loses_nothing_acknowledged(
    open_scripted: OpenScripted,
) -> None:
    store = FailingStore()
    scripted = await open_scripted(store)
    first = await scripted.run("random", ("effect", 1), key="a")
    store.away = True
    with pytest.raises(Unavailable):
        await scripted.run("random", ("effect", 2), key="b")
    with pytest.raises(Unavailable):
        await scripted.send("random", key="c")
    assert 2 not in scripted.outside.effects
    store.away = False
    assert await scripted.hash() == first
    assert await scripted.run(key="a") == first
    assert await scripted.run(("effect", 2), key="b") is not None
    assert scripted.outside.effects == {1: 1, 2: 1}
    await scripted.check_record()


async def test_a_commit_whose_answer_was_lost_counts_once(open_scripted: OpenScripted) -> None:
    store = FailingStore()
    scripted = await open_scripted(store)
    await scripted.run()
    store.lose_answer = True
    with pytest.raises(Unavailable):
        await scripted.run("random", key="a")
    result = await scripted.run("random", key="a")
    assert await scripted.hash() == result
    entries = await scripted.entries()
    keys = [entry.invocation.idempotency_key for entry in entries if isinstance(entry, InvocationStarted)]
    assert keys.count("a") == 1


async def test_a_worker_in_the_middle_of_its_work_goes_on_when_the_store_is_back(open_scripted: OpenScripted) -> None:
    store = FailingStore()
    scripted = await open_scripted(store)
    call = scripted.begin(("effect", 1), ("gate", 1), ("effect", 2), key="a")
    await scripted.outside.until("gate 1")
    store.away = True
    scripted.outside.open(1)
    with pytest.raises(Unavailable):
        await call
    assert scripted.outside.effects == {1: 1}
    store.away = False
    await scripted.outside.until("effect 2")
    assert await scripted.run(key="a") is not None
    assert scripted.outside.effects == {1: 1, 2: 1}


async def test_a_guest_that_waits_does_not_keep_a_lost_oplog_in_memory(open_scripted: OpenScripted) -> None:
    store = FailingStore()
    scripted = await open_scripted(store)
    scripted.begin(("gate", 1), key="a")
    await scripted.outside.until("gate 1")
    await scripted.until_written(InvocationStarted)
    store.away = True
    with pytest.raises(Unavailable):
        await scripted.send(("effect", 1), key="b")
    store.away = False
    await scripted.outside.until("gate 1", 2)
    await scripted.send(("effect", 1), key="b")
    scripted.outside.open(1)
    await scripted.outside.until("effect 1")


async def test_two_servers_that_fight_over_a_worker_agree_and_exactly_one_wins_each_index(
    open_stored: OpenScripted,
) -> None:
    first = await open_stored("one")
    second = await open_stored("two", component=first.component, beyond=first.outside)
    acknowledged: dict[str, object] = {}
    lost = 0
    for round_ in range(30):
        calls = {
            f"{round_}-{name}": side.begin("random", key=f"{round_}-{name}")
            for name, side in (("one", first), ("two", second))
        }
        for key, result in zip(calls, await asyncio.gather(*calls.values(), return_exceptions=True), strict=True):
            if isinstance(result, BaseException):
                assert isinstance(result, OplogFenced)
                lost += 1
            else:
                acknowledged[key] = result
    assert lost
    assert len(acknowledged) >= 30
    for side in (first, second):
        await side.world.crash()
        for key, result in acknowledged.items():
            assert await side.run(key=key) == result
    entries = await first.entries()
    keys = [entry.invocation.idempotency_key for entry in entries if isinstance(entry, InvocationStarted)]
    assert len(keys) == len(set(keys))
    assert set(acknowledged) <= set(keys)
    await first.check_record()
