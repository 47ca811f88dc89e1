"""golem:quota: what becomes of a guest that reserves, live, throttled, and after a restart."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from golem_server.durable.signals import GuestError, PermanentFailure, SuspendWorker
from golem_server.host import golem_quota
from golem_server.host.quota_ledger import QuotaLedger
from golem_server.model.ids import WorkerNumber
from golem_server.model.oplog import Category
from golem_server.model.quota import QuotaAnswer
from golem_server.model.types import Value
from tests.host.host_worker import ENVIRONMENT_ID, START_NS, HostWorker

QUOTA = "golem:quota/types"


class MemoryAccount:
    """Ten of everything, which come back when they are committed; `answer` is what follows when there are none."""

    def __init__(self) -> None:
        self.held: dict[UUID, int] = {}
        self.committed: list[int] = []
        self.asked = 0
        self.left = 10
        self.answer = QuotaAnswer(False)
        self.give_after: int | None = None

    async def reserve(
        self, environment_id: UUID, name: str, reservation: UUID, worker: WorkerNumber, amount: int, now: int
    ) -> QuotaAnswer:
        """Once for each key."""
        assert (environment_id, name) == (ENVIRONMENT_ID, "tokens")
        self.asked += 1
        if self.asked == self.give_after:
            self.left += amount
        if reservation not in self.held:
            if amount > self.left:
                return self.answer
            self.left -= amount
            self.held[reservation] = amount
        return QuotaAnswer(True)

    async def commit(self, reservation: UUID, used: int, now: int) -> None:
        """Give back."""
        if reservation in self.held:
            self.left += self.held.pop(reservation)
            self.committed.append(used)


async def new_worker(tmp_path: Path) -> tuple[HostWorker, MemoryAccount, QuotaLedger]:
    account = MemoryAccount()
    ledger = QuotaLedger(account)
    worker = await HostWorker.create(tmp_path, golem_quota.INTERFACES, services={QuotaLedger: ledger})
    return worker, account, ledger


async def token(worker: HostWorker, expected: int = 5) -> int:
    return await worker.call(QUOTA, "[constructor]quota-token", "tokens", expected)


async def reserve(worker: HostWorker, handle: int, amount: int) -> Value:
    return await worker.call(QUOTA, "[method]quota-token.reserve", handle, amount)


async def record(worker: HostWorker, handle: int) -> Any:
    return await worker.call(QUOTA, "[method]quota-token.to-record", handle)


async def test_reserving_and_committing_are_recorded_and_happen_once(tmp_path: Path) -> None:
    worker, account, _ = await new_worker(tmp_path)

    async def guest() -> list[Value]:
        handle = await token(worker)
        case, reservation = await reserve(worker, handle, 7)
        assert case == "ok"
        refused = await reserve(worker, handle, 7)
        await worker.call(QUOTA, "[static]reservation.commit", reservation, 4)
        return [handle, reservation, refused, await record(worker, handle)]

    account.answer = QuotaAnswer(False, "reject", 5)
    first = await guest()
    assert first[2] == ("err", {"estimated-wait-nanos": 5})
    assert account.committed == [4]
    calls = await worker.host_calls()
    assert [(call.function, call.category) for call in calls] == [
        ("golem::quota::quota-token::[constructor]quota-token", Category.WRITE_LOCAL),
        ("golem::quota::quota-token::reserve", Category.WRITE_REMOTE),
        ("golem::quota::quota-token::reserve", Category.WRITE_REMOTE),
        ("golem::quota::reservation::commit", Category.WRITE_REMOTE),
    ]
    worker.clock.advance(100)
    await worker.replay()
    assert await guest() == first
    assert (account.committed, account.asked) == ([4], 2)


async def test_a_reservation_that_was_not_recorded_is_found_again(tmp_path: Path) -> None:
    worker, account, _ = await new_worker(tmp_path)
    await reserve(worker, await token(worker), 7)
    length = len(await worker.entries())
    worker.store.cut(worker.number, length - 1)
    await worker.replay(keep_buffered=False)
    assert (await reserve(worker, await token(worker), 7))[0] == "ok"
    assert account.left == 3


async def test_a_dropped_reservation_is_given_back(tmp_path: Path) -> None:
    worker, account, ledger = await new_worker(tmp_path)
    _, reservation = await reserve(worker, await token(worker), 7)
    worker.context.resource_dropped(reservation)
    await ledger.close()
    assert (account.left, account.committed) == (10, [0])


async def test_a_short_wait_passes_in_memory(tmp_path: Path) -> None:
    worker, account, _ = await new_worker(tmp_path)
    account.answer, account.give_after = QuotaAnswer(False, "throttle", 3_000_000_000), 3
    assert (await reserve(worker, await token(worker), 11))[0] == "ok"
    assert worker.clock.nanoseconds == START_NS + 6_000_000_000


async def test_a_long_wait_leaves_memory_and_goes_on_later(tmp_path: Path) -> None:
    worker, account, _ = await new_worker(tmp_path)
    account.answer = QuotaAnswer(False, "throttle", 60_000_000_000)
    with pytest.raises(SuspendWorker) as suspended:
        await reserve(worker, await token(worker), 11)
    assert suspended.value.wake_at == (START_NS + 60_000_000_000) // 1_000_000
    account.left = 11
    worker.clock.advance(60)
    await worker.replay()
    assert (await reserve(worker, await token(worker), 11))[0] == "ok"


async def test_where_nobody_knows_how_long_it_asks_now_and_then(tmp_path: Path) -> None:
    worker, account, _ = await new_worker(tmp_path)
    account.answer = QuotaAnswer(False, "throttle")
    with pytest.raises(SuspendWorker):
        await reserve(worker, await token(worker), 11)
    assert account.asked == 6


async def test_without_idempotence_the_wait_is_in_memory(tmp_path: Path) -> None:
    worker, account, _ = await new_worker(tmp_path)
    worker.context.assume_idempotence = False
    account.answer, account.give_after = QuotaAnswer(False, "throttle", 60_000_000_000), 5
    assert (await reserve(worker, await token(worker), 11))[0] == "ok"


async def test_a_guest_can_be_terminated(tmp_path: Path) -> None:
    worker, account, _ = await new_worker(tmp_path)
    account.answer = QuotaAnswer(False, "terminate")
    with pytest.raises(PermanentFailure, match="tokens"):
        await reserve(worker, await token(worker), 11)


async def test_tokens_are_split_merged_and_sent(tmp_path: Path) -> None:
    worker, _, _ = await new_worker(tmp_path)
    parent = await token(worker, 10)
    child = await worker.call(QUOTA, "[method]quota-token.split", parent, 4)
    assert (await record(worker, child))["expected-use"] == 4
    sent = {**await record(worker, parent), "last-credit": -9}
    received = await worker.call(QUOTA, "[static]quota-token.from-record", sent)
    part = await worker.call(QUOTA, "[method]quota-token.split", received, 4)
    assert [(await record(worker, each))["last-credit"] for each in (received, part)] == [-3, -6]
    await worker.call(QUOTA, "[method]quota-token.merge", received, part)
    assert await record(worker, received) == sent
    for wrong in (("split", parent, 7), ("merge", parent, parent)):
        with pytest.raises(GuestError, match="cannot"):
            await worker.call(QUOTA, f"[method]quota-token.{wrong[0]}", *wrong[1:])
    other = await worker.call(QUOTA, "[constructor]quota-token", "other", 1)
    with pytest.raises(GuestError, match="different resources"):
        await worker.call(QUOTA, "[method]quota-token.merge", parent, other)
    forged = {**sent, "environment-id": {"uuid": {"high-bits": 1, "low-bits": 1}}}
    with pytest.raises(GuestError, match="another environment"):
        await worker.call(QUOTA, "[static]quota-token.from-record", forged)
