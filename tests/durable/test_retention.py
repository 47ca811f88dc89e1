"""What ephemeral workers leave behind is cleared away when its time is over, also after a restart."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from golem_server.durable.oplog import WorkerOplog
from golem_server.model.ids import ComponentId, WorkerId, WorkerNumber
from golem_server.model.oplog import (
    Create,
    Entry,
    Error,
    ErrorKind,
    Invocation,
    InvocationFinished,
    InvocationStarted,
    PendingInvocation,
    encode_entry,
)
from golem_server.model.status import fold
from golem_server.model.workers import NewWorker
from tests.durable.conftest import OpenScripted
from tests.host.memory_store import MemoryOplogStore

INVOCATION = Invocation("k", "run", [])
STARTED = InvocationStarted(timestamp=2, invocation=INVOCATION)
FINISHED = InvocationFinished(timestamp=3, result=None, component_revision=0)
FAILED = Error(timestamp=4, message="no", retry_from=1, retriable=False, error_kind=ErrorKind.UNKNOWN)
AGENT = WorkerId(ComponentId(UUID(int=1)), "w")


class Cleared(MemoryOplogStore):
    """Tells when a worker was deleted."""

    def __init__(self) -> None:
        super().__init__()
        self.cleared = asyncio.Event()

    async def delete_worker(self, number: WorkerNumber) -> None:
        """Delete it, and tell."""
        await super().delete_worker(number)
        self.cleared.set()


def create(worker_id: WorkerId, *, ephemeral: bool = True) -> Create:
    """The first entry of an agent."""
    return Create(
        timestamp=1,
        component_id=worker_id.component_id,
        name=worker_id.name,
        component_revision=0,
        environment_id=UUID(int=2),
        created_by=UUID(int=3),
        instance_id=UUID(int=4),
        agent_type="Agent",
        ephemeral=ephemeral,
    )


async def leave(
    store: MemoryOplogStore, worker_id: WorkerId, entries: list[Entry], wake_at: int | None = None
) -> WorkerNumber:
    """The row of an agent with these entries, which nobody has in memory."""
    worker = NewWorker(
        worker_id=worker_id,
        environment_id=UUID(int=2),
        created_by=UUID(int=3),
        created_at=1,
        arguments=[],
        environment={},
    )
    columns = fold(enumerate(entries, 1)).columns(wake_at)
    return await store.create_worker(worker, encode_entry(entries[0]), columns)


@pytest.mark.parametrize(
    ("entries", "ended"),
    [
        ([STARTED], False),
        ([STARTED, FINISHED], True),
        ([STARTED, FAILED], True),
        ([STARTED, FINISHED, PendingInvocation(timestamp=5, invocation=INVOCATION)], False),
        ([STARTED, FINISHED, STARTED], False),
    ],
    ids=["running", "finished", "failed", "asked again", "running again"],
)
@pytest.mark.parametrize("ephemeral", [True, False])
async def test_a_time_is_set_when_an_ephemeral_worker_has_ended(
    entries: list[Entry], ended: bool, ephemeral: bool
) -> None:
    store = MemoryOplogStore()
    first = create(AGENT, ephemeral=ephemeral)
    oplog = WorkerOplog(store, await leave(store, AGENT, [first]), fold([(1, first)]))
    oplog.kept_for = 1_000
    for entry in entries:
        oplog.append(entry)
    await oplog.commit()
    stored = await store.find_worker(AGENT)
    assert stored is not None
    assert stored.columns.wake_at == (entries[-1].timestamp + 1_000 if ended and ephemeral else None)


async def test_what_is_over_is_deleted_by_the_next_server(open_scripted: OpenScripted) -> None:
    store = Cleared()
    scripted = await open_scripted(store)
    old, new = scripted.other("old"), scripted.other("new")
    await leave(store, old, [create(old), STARTED, FINISHED], 1)
    await leave(store, new, [create(new), STARTED, FINISHED], 1 << 50)
    await scripted.world.crash()
    await store.cleared.wait()
    assert not await scripted.world.executor.exists(old)
    assert await scripted.world.executor.exists(new)
