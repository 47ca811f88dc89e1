"""Workers and batches as tests write them."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID, uuid4

from golem_server.model.ids import ComponentId, WorkerId, WorkerNumber
from golem_server.model.oplog import EncodedEntry
from golem_server.model.workers import NewWorker, OplogBatch, StatusColumns, WorkerStatus
from golem_server.storage.oplog_store import PostgresOplogStore

COMPONENT = ComponentId(UUID("00000000-0000-0000-0000-00000000c0c0"))
ENVIRONMENT = UUID("00000000-0000-0000-0000-00000000e0e0")
ACCOUNT = UUID("00000000-0000-0000-0000-00000000acc0")


def new_worker(name: str | None = None, component: ComponentId = COMPONENT) -> NewWorker:
    """A worker to create."""
    return NewWorker(
        worker_id=WorkerId(component, name or f"worker-{uuid4()}"),
        environment_id=ENVIRONMENT,
        created_by=ACCOUNT,
        created_at=1_700_000_000_000,
        arguments=["a\0b", "ü"],
        environment={"KEY": "value\0"},
    )


def columns(
    last_index: int,
    *,
    status: WorkerStatus = WorkerStatus.IDLE,
    pending_count: int = 0,
    wake_at: int | None = None,
    record: bytes = b"record",
) -> StatusColumns:
    """Status columns."""
    return StatusColumns(
        status=status,
        last_index=last_index,
        component_revision=3,
        retry_count=1,
        pending_count=pending_count,
        wake_at=wake_at,
        record=record,
    )


def entry(data: bytes = b"entry", kind: int = 2) -> EncodedEntry:
    """An entry."""
    return EncodedEntry(kind, 1_700_000_000_001, data)


def batch(
    number: WorkerNumber, first_index: int, data: Sequence[bytes] = (b"entry",), status: StatusColumns | None = None
) -> OplogBatch:
    """Entries with this data from the index on."""
    return OplogBatch(
        number=number,
        first_index=first_index,
        entries=[entry(one) for one in data],
        columns=status or columns(first_index + len(data) - 1),
    )


async def create(store: PostgresOplogStore, name: str | None = None) -> WorkerNumber:
    """A worker with its first entry."""
    return await store.create_worker(new_worker(name), entry(b"create", kind=1), columns(1))


async def data_of(store: PostgresOplogStore, number: WorkerNumber) -> list[bytes]:
    """All data of the worker's oplog; indexes are checked to be 1, 2, 3, ..."""
    entries = await store.read(number, 1, 1_000_000)
    assert [one.index for one in entries] == list(range(1, len(entries) + 1))
    return [one.data for one in entries]
