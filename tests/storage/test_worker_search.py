"""Whatever the condition, the database finds the workers that it holds for."""

from __future__ import annotations

from uuid import UUID, uuid4

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from golem_server.model.ids import ComponentId, WorkerId
from golem_server.model.oplog import EncodedEntry
from golem_server.model.worker_filters import (
    AllOf,
    AnyOf,
    Comparator,
    Field,
    FieldIs,
    NameIs,
    NotThat,
    TextComparator,
    VariableIs,
    Variables,
    WorkerFilter,
    matches,
)
from golem_server.model.workers import NewWorker, StatusColumns, StoredWorker, WorkerStatus
from golem_server.storage.blob_store import PostgresBlobStore
from golem_server.storage.database import Database
from golem_server.storage.oplog_store import PostgresOplogStore

NAMES = st.sampled_from(["a", "ab", "b%", "B_", "ü\\", "%", ""])
TEXTS = st.sampled_from(["", "a", "b", "ab", "x\0", "%", "_", "\\"])
LEAVES: st.SearchStrategy[WorkerFilter] = (
    st.builds(NameIs, st.sampled_from(TextComparator), NAMES | TEXTS)
    | st.builds(FieldIs, st.sampled_from(Field), st.sampled_from(Comparator), st.integers(0, 4))
    | st.builds(VariableIs, st.sampled_from(Variables), TEXTS, st.sampled_from(TextComparator), TEXTS)
)


def _combined(inner: st.SearchStrategy[WorkerFilter]) -> st.SearchStrategy[WorkerFilter]:
    lists = st.lists(inner, max_size=3).map(tuple)
    return st.builds(AllOf, lists) | st.builds(AnyOf, lists) | st.builds(NotThat, inner)


FILTERS = st.recursive(LEAVES, _combined, max_leaves=6)
VARIABLES = st.dictionaries(TEXTS, TEXTS, max_size=3)
WORKERS = st.lists(
    st.tuples(NAMES.filter(bool), st.sampled_from(WorkerStatus), st.integers(0, 3), VARIABLES, VARIABLES),
    max_size=6,
    unique_by=lambda worker: worker[0],
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(workers=WORKERS, condition=FILTERS, count=st.integers(1, 3))
async def test_the_database_finds_what_matches(
    database: Database,
    workers: list[tuple[str, WorkerStatus, int, dict[str, str], dict[str, str]]],
    condition: WorkerFilter,
    count: int,
) -> None:
    store = PostgresOplogStore(database, PostgresBlobStore(database))
    component = ComponentId(uuid4())
    expected: list[str] = []
    for name, status, number, environment, config in workers:
        worker = NewWorker(
            worker_id=WorkerId(component, name),
            environment_id=UUID(int=1),
            created_by=UUID(int=2),
            created_at=number,
            arguments=[],
            environment=environment,
            config=config,
        )
        columns = StatusColumns(
            status=status,
            last_index=1,
            component_revision=number,
            retry_count=0,
            pending_count=0,
            wake_at=None,
            record=b"",
        )
        given_number = await store.create_worker(worker, EncodedEntry(1, 0, b""), columns)
        if matches(condition, StoredWorker(number=given_number, worker=worker, columns=columns)):
            expected.append(name)
    found: list[str] = []
    after = None
    while True:
        page = await store.list_workers(component, after, count, condition)
        assert len(page.workers) == count or page.next is None
        found += [stored.worker.worker_id.name for stored in page.workers]
        after = page.next
        if after is None:
            break
    assert found == expected
