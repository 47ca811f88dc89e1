"""golem:api/oplog: what guests read is every entry, in the cases of their generation, and the same in replay."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given

from golem_server.durable.signals import GuestError
from golem_server.host import golem_oplog, wasi_clocks
from golem_server.host.golem_oplog import generation_of
from golem_server.host.golem_records import worker_id_record
from golem_server.host.oplog_invocations import recorded_value
from golem_server.host.oplog_records import Generation, PublicEntries
from golem_server.model import oplog
from golem_server.model.ids import WorkerId
from golem_server.model.inferred_values import inferred_type
from golem_server.model.types import (
    Case,
    FunctionType,
    ListType,
    OptionType,
    Primitive,
    RecordType,
    TupleType,
    Value,
    VariantType,
    WitType,
)
from golem_server.model.wit_values import value_and_type_value
from tests.api.test_oplog import AT, ENTRIES, WORKER, resolver
from tests.host.host_worker import WORKER_ID, HostWorker
from tests.model.test_retry_policy import VALUES

OPLOG = "golem:api/oplog"
INTERFACES = [*golem_oplog.INTERFACES, *wasi_clocks.INTERFACES]
HERE = worker_id_record(WORKER_ID)


def words(text: str) -> list[str]:
    """The words of a text."""
    return text.split()


U64_3 = {"nodes": [("prim-u64", 3)]}
CASES_1_5 = words("""create host-call agent-invocation-started agent-invocation-finished suspend error no-op jump
interrupted exited begin-atomic-region end-atomic-region begin-remote-write end-remote-write pending-agent-invocation
pending-update successful-update failed-update grow-memory filesystem-storage-usage-update create-resource drop-resource
log restart activate-plugin deactivate-plugin revert cancel-pending-invocation start-span finish-span set-span-attribute
change-persistence-level begin-remote-transaction pre-commit-remote-transaction pre-rollback-remote-transaction
committed-remote-transaction rolled-back-remote-transaction snapshot oplog-processor-checkpoint set-retry-policy
remove-retry-policy""")
CASES_1_3 = words("""create imported-function-invoked exported-function-invoked exported-function-completed suspend
error no-op jump interrupted exited change-retry-policy begin-atomic-region end-atomic-region begin-remote-write
end-remote-write pending-agent-invocation pending-update successful-update failed-update grow-memory create-resource
drop-resource log restart activate-plugin deactivate-plugin revert cancel-invocation start-span finish-span
set-span-attribute change-persistence-level begin-remote-transaction pre-commit-remote-transaction
pre-rollback-remote-transaction committed-remote-transaction rolled-back-remote-transaction""")
CASES_1_1 = [
    "pending-worker-invocation" if case == "pending-agent-invocation" else case
    for case in CASES_1_3
    if not case.endswith("transaction")
]
CASES: dict[Generation, list[str]] = {"1.5": CASES_1_5, "1.3": CASES_1_3, "1.1": CASES_1_1}


def get_next_type(cases: list[str], *, search: bool = False) -> FunctionType:
    """The type of `get-next` with entries of these cases."""
    entry: WitType = VariantType(tuple(Case(case, RecordType(())) for case in cases))
    return FunctionType((), OptionType(ListType(TupleType((Primitive.U64, entry)) if search else entry)))


@pytest.mark.parametrize("generation", get_args(Generation))
def test_the_generation_is_known_by_its_cases(generation: Generation) -> None:
    for search in (False, True):
        assert generation_of(get_next_type(CASES[generation], search=search)) == generation


@pytest.mark.parametrize("generation", get_args(Generation))
@pytest.mark.parametrize("entry", [entry for entry, *_ in ENTRIES], ids=lambda entry: type(entry).__name__)
def test_every_entry_has_a_case_of_the_generation(generation: Generation, entry: oplog.Entry) -> None:
    case, record = PublicEntries(generation, WORKER, resolver()).entry(entry)
    assert case in CASES[generation]
    assert record["timestamp"] == {"seconds": AT // 1000, "nanoseconds": 123_000_000}


def test_an_invocation_is_given_with_the_types_of_the_function() -> None:
    started = next(entry for entry, *_ in ENTRIES if isinstance(entry, oplog.InvocationStarted))
    finished = next(entry for entry, *_ in ENTRIES if isinstance(entry, oplog.InvocationFinished))
    writer = PublicEntries("1.5", WORKER, resolver())
    _, record = writer.entry(started)
    case, invocation = record["invocation"]
    assert (case, invocation["method-name"]) == ("agent-method-invocation", "ns:p/i.{add}")
    schema_case, ((name, (element, typ)),) = invocation["function-input"]["schema"]
    assert (schema_case, name, element) == ("tuple", "n", "component-model")
    assert typ["nodes"][0]["type"] == ("prim-u64-type", None)
    assert invocation["function-input"]["value"][1][0][1]["nodes"] == [("prim-u64", 2**64 - 1)]
    _, result = writer.entry(finished)
    case, outcome = result["result"]
    assert (case, outcome["output"]["value"]) == ("agent-method", ("tuple", [("component-model", U64_3)]))
    old = PublicEntries("1.3", WORKER, resolver())
    old.entry(started)
    assert value_and_type_value(old.entry(finished)[1]["response"]) == (Primitive.U64, 3)


@given(VALUES)
def test_a_value_without_a_type_gets_the_plainest(value: Any) -> None:
    for wrapped in (value, [value, value], {"field": value}, [value, None], None, b"bytes", 1.5):
        typ, plain = inferred_type(wrapped)
        found, read = value_and_type_value(recorded_value(wrapped))
        assert found == typ
        assert read == plain


def test_what_is_nested_for_ever_ends_as_text() -> None:
    nested: Value = "deep"
    for _ in range(200):
        nested = [nested]
    value_and_type_value(recorded_value(nested))


async def guest(worker: HostWorker, start: int, *, text: str | None = None) -> list[Value]:
    """All pages of a reader."""
    if text is None:
        handle = await worker.call(OPLOG, "[constructor]get-oplog", HERE, start)
        kind = "get-oplog"
    else:
        handle = await worker.call(OPLOG, "[constructor]search-oplog", HERE, text)
        kind = "search-oplog"
    pages: list[Value] = []
    while (page := await worker.call(OPLOG, f"[method]{kind}.get-next", handle)) is not None:
        pages.append(page)
    worker.context.resource_dropped(handle)
    return pages


async def test_an_oplog_is_read_in_pages_up_to_where_it_ended_and_again_in_replay(tmp_path: Path) -> None:
    worker = await HostWorker.create(tmp_path, INTERFACES)

    async def run() -> list[Value]:
        for _ in range(150):
            await worker.call("wasi:clocks/wall-clock", "now")
        seen = [await guest(worker, 1), await guest(worker, 140), await guest(worker, 1, text="wall_clock")]
        await worker.call("wasi:clocks/wall-clock", "now")
        return seen

    everything, rest, found = await run()
    assert [len(page) for page in everything] == [100, 52]
    assert [case for case, _ in everything[0][:3]] == ["create", "agent-invocation-started", "host-call"]
    # The first reader's own call is the only entry more.
    assert [len(page) for page in rest] == [14]
    assert [index for page in found for index, _ in page] == list(range(3, 153))
    assert await worker.call(OPLOG, "[constructor]get-oplog", HERE, 10_000) > 0
    await worker.replay()
    assert await run() == [everything, rest, found]


async def test_what_cannot_be_read_is_the_guests_error(tmp_path: Path) -> None:
    worker = await HostWorker.create(tmp_path, INTERFACES)
    unknown = worker_id_record(WorkerId(WORKER_ID.component_id, "nobody"))
    with pytest.raises(GuestError, match="not found"):
        await worker.call(OPLOG, "[constructor]get-oplog", unknown, 1)
    with pytest.raises(GuestError, match="Invalid query"):
        await worker.call(OPLOG, "[constructor]search-oplog", HERE, "(")
