"""Scheduled invocations: in the order of their times, one for an id, none without a worker."""

from __future__ import annotations

from uuid import UUID, uuid4

import msgspec

from golem_server.model.ids import WorkerId, WorkerNumber
from golem_server.model.oplog import Invocation
from golem_server.model.scheduled import ScheduledInvocation
from golem_server.storage.database import Database
from golem_server.storage.oplog_store import PostgresOplogStore
from golem_server.storage.schedule_store import PostgresScheduleStore
from tests.storage.batches import COMPONENT, columns, entry, new_worker


async def worker(store: PostgresOplogStore, name: str) -> WorkerNumber:
    return await store.create_worker(new_worker(name), entry(), columns(1))


def scheduled(number: WorkerNumber, name: str, due_at: int, schedule_id: UUID | None = None) -> ScheduledInvocation:
    invocation = Invocation(str(due_at), "ns:p/i.{f}", [1, "two", [b"\0", None]], trace_id="ab")
    return ScheduledInvocation(
        id=schedule_id or uuid4(),
        due_at=due_at,
        worker_id=WorkerId(COMPONENT, name),
        number=number,
        invocation=invocation,
    )


async def test_what_is_due_comes_in_order_and_in_pages(store: PostgresOplogStore, database: Database) -> None:
    schedule = PostgresScheduleStore(database)
    number = await worker(store, "w")
    for due_at in (30, 10, 20, 10):
        await schedule.put(scheduled(number, "w", due_at))
    first = await schedule.due(25, 2)
    assert [item.due_at for item in first] == [10, 10]
    assert first[0].sequence < first[1].sequence
    rest = await schedule.due(25, 2, (first[1].due_at, first[1].sequence))
    assert [item.due_at for item in rest] == [20]
    assert rest[0] == msgspec.structs.replace(scheduled(number, "w", 20, rest[0].id), sequence=rest[0].sequence)
    assert await schedule.next_due(10) == 20
    assert await schedule.next_due(30) is None


async def test_an_id_written_again_is_one_row_in_its_place(store: PostgresOplogStore, database: Database) -> None:
    schedule = PostgresScheduleStore(database)
    number = await worker(store, "w")
    again = scheduled(number, "w", 10)
    await schedule.put(again)
    await schedule.put(scheduled(number, "w", 10))
    await schedule.put(again)
    first, _second = await schedule.due(10, 5)
    assert first.id == again.id
    await schedule.delete(again.id)
    await schedule.delete(again.id)
    assert len(await schedule.due(10, 5)) == 1


async def test_nothing_is_kept_for_a_deleted_worker(store: PostgresOplogStore, database: Database) -> None:
    schedule = PostgresScheduleStore(database)
    number = await worker(store, "w")
    await schedule.put(scheduled(number, "w", 10))
    await store.delete_worker(number)
    await schedule.put(scheduled(number, "w", 11))
    assert await schedule.due(100, 5) == []
