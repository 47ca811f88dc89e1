"""The status is a fold over the oplog: kept entry by entry it is what folding again gives (invariant 1)."""

from __future__ import annotations

import asyncio
from typing import TypeAlias
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from golem_server.durable.oplog import WorkerOplog
from golem_server.model.oplog import (
    BeginAtomicRegion,
    CancelPendingInvocation,
    ChangePersistenceLevel,
    ChangeRetryPolicy,
    Create,
    CreateResource,
    DropResource,
    Entry,
    Error,
    Exited,
    FailedUpdate,
    GrowMemory,
    HostCall,
    Interrupted,
    Invocation,
    InvocationFinished,
    InvocationStarted,
    Log,
    NoOp,
    PendingInvocation,
    PendingUpdate,
    RetryPolicy,
    Snapshot,
    SuccessfulUpdate,
    Suspend,
    encode_entry,
)
from golem_server.model.status import decode_status, fold
from golem_server.model.workers import NewWorker
from tests.host.host_worker import ACCOUNT_ID, ENVIRONMENT_ID, WORKER_ID
from tests.host.memory_store import MemoryOplogStore

KEYS = st.sampled_from(["a", "b", "c"])
NUMBERS = st.integers(1, 3)

CREATE = Create(
    timestamp=0,
    component_id=WORKER_ID.component_id,
    name=WORKER_ID.name,
    component_revision=0,
    environment_id=ENVIRONMENT_ID,
    created_by=ACCOUNT_ID,
    instance_id=UUID(int=1),
)


def entry(number: int, key: str) -> list[Entry]:
    """Entries of all kinds that change a status."""
    invocation = Invocation(key, "run", [])
    return [
        HostCall(timestamp=1, function="f", request=None, response=number, category=1),
        InvocationStarted(timestamp=1, invocation=invocation),
        InvocationFinished(timestamp=1, result=number, component_revision=0),
        PendingInvocation(timestamp=1, invocation=invocation),
        CancelPendingInvocation(timestamp=1, idempotency_key=key),
        Suspend(timestamp=1),
        Interrupted(timestamp=1),
        Exited(timestamp=1),
        Error(timestamp=1, error_kind=number, message=key, retry_from=number, retriable=number > 1),
        NoOp(timestamp=1),
        BeginAtomicRegion(timestamp=1),
        Log(timestamp=1, level=number, context="", message=key),
        GrowMemory(timestamp=1, delta=number),
        CreateResource(timestamp=1, id=number, name="cart", owner="it"),
        DropResource(timestamp=1, id=number, name="cart", owner="it"),
        ChangePersistenceLevel(timestamp=1, persistence_level=number - 1),
        ChangeRetryPolicy(timestamp=1, policy=RetryPolicy(max_attempts=number)),
        PendingUpdate(timestamp=1, target_revision=number),
        SuccessfulUpdate(timestamp=1, target_revision=number, new_component_size=number),
        FailedUpdate(timestamp=1, target_revision=number),
        PendingInvocation(timestamp=1, invocation=Invocation(f"update-{key}", "", [], update_to=number)),
        CancelPendingInvocation(timestamp=1, idempotency_key=f"update-{key}"),
        PendingUpdate(timestamp=1, target_revision=number, snapshot=key.encode()),
        SuccessfulUpdate(timestamp=1, target_revision=number, new_component_size=number, position=number),
        Snapshot(timestamp=1, data=key.encode()),
    ]


Drop: TypeAlias = tuple[str, float]
"""A jump or revert, and how far back it goes."""

ENTRIES: st.SearchStrategy[Entry | Drop] = st.tuples(NUMBERS, KEYS, st.integers(0, 24)).map(
    lambda drawn: entry(drawn[0], drawn[1])[drawn[2]]
)
DROPS: st.SearchStrategy[Entry | Drop] = st.tuples(st.sampled_from(["jump", "revert"]), st.floats(0, 1))
STEPS = st.lists(ENTRIES | DROPS, min_size=1, max_size=25)


@given(steps=STEPS)
def test_the_record_kept_entry_by_entry_is_the_fold_of_every_prefix(
    steps: list[Entry | Drop],
) -> None:
    async def check() -> None:
        store = MemoryOplogStore()
        record = fold([(1, CREATE)])
        number = await store.create_worker(
            NewWorker(
                worker_id=WORKER_ID,
                environment_id=ENVIRONMENT_ID,
                created_by=ACCOUNT_ID,
                created_at=0,
                arguments=[],
                environment={},
            ),
            encode_entry(CREATE),
            record.columns(None),
        )
        oplog = WorkerOplog(store, number, record)
        for step in steps:
            if isinstance(step, Entry):
                oplog.append(step)
                await oplog.commit()
            else:
                kind, place = step
                start = 2 + round(place * (oplog.last_index - 1))
                await (oplog.jump(start, 1) if kind == "jump" else oplog.revert(start, 1))
            entries = store.entries(number)
            assert oplog.status == fold(enumerate(entries, 1))
            stored = await store.find_worker(WORKER_ID)
            assert stored is not None
            assert decode_status(stored.columns.record) == oplog.status
            assert stored.columns.last_index == len(entries)

    asyncio.run(check())
