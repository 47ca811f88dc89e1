"""Raw oplog entries: they have the fields of golem:api@1.5, and enriched they are the public ones."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golem_server.host import golem_oplog
from golem_server.host.oplog_records import PublicEntries
from golem_server.host.raw_oplog import RawEntries, raw_entry
from golem_server.model import oplog
from golem_server.model import retry_policy as policies
from golem_server.model.function_names import FunctionResolver
from golem_server.model.ids import ComponentId, WorkerId
from golem_server.model.oplog import Entry, ErrorKind, Invocation, decode_entry, encode_entry
from golem_server.model.principals import ANONYMOUS, uuid_record
from golem_server.model.trace import SpanData
from golem_server.model.types import ComponentType, FunctionType, InterfaceType, Parameter, Primitive, Value
from golem_server.model.wit_values import value_and_type_record, value_and_type_value
from tests.api.test_oplog import AT, ENTRIES, INVOCATION, PLUGIN
from tests.host.called_workers import CalledWorkers
from tests.host.host_worker import ENVIRONMENT_ID, HostWorker
from tests.host.test_golem_agent import PHANTOM, SHOP, SHOP_COMPONENT, strings

OPLOG = "golem:api/oplog"
ENVIRONMENT = {"uuid": uuid_record(ENVIRONMENT_ID)}
PLAIN = WorkerId(ComponentId(UUID(int=1)), "w")
TILL = WorkerId(SHOP_COMPONENT, 'TillAgent("books")')
CATALOG = WorkerId(SHOP_COMPONENT, 'CatalogAgent("teas")')

PLAIN_COMPONENT = ComponentType(
    imports={},
    imported_functions={},
    exports={
        "ns:p/i": InterfaceType("ns:p/i", {"add": FunctionType((Parameter("n", Primitive.U64),), Primitive.U64)}, {})
    },
    exported_functions={},
)

NOTHING: tuple[str, ...] = ()
ONLY_INDEX = ("begin-index",)
INVOKED = ("idempotency-key", "payload", "trace-id", "trace-states", "invocation-context")
RESOURCE = ("id", "resource-type-id")
RAW_FIELDS: dict[str, tuple[str, ...]] = {
    "create": (
        "agent-id",
        "agent-mode",
        "component-revision",
        "env",
        "environment-id",
        "created-by",
        "parent",
        "component-size",
        "initial-total-linear-memory-size",
        "initial-active-plugins",
        "local-agent-config",
        "original-phantom-id",
        "instance-id",
    ),
    "host-call": ("function-name", "request", "response", "durable-function-type"),
    "agent-invocation-started": INVOKED,
    "agent-invocation-finished": ("result", "consumed-fuel", "component-revision"),
    "suspend": NOTHING,
    "error": ("error", "retry-from", "inside-atomic-region", "retry-policy-state"),
    "no-op": NOTHING,
    "jump": ("jump",),
    "interrupted": NOTHING,
    "exited": NOTHING,
    "begin-atomic-region": NOTHING,
    "end-atomic-region": ONLY_INDEX,
    "begin-remote-write": NOTHING,
    "end-remote-write": ONLY_INDEX,
    "pending-agent-invocation": INVOKED,
    "pending-update": ("description",),
    "successful-update": ("target-revision", "new-component-size", "new-active-plugins"),
    "failed-update": ("target-revision", "details"),
    "grow-memory": ("delta",),
    "filesystem-storage-usage-update": ("delta",),
    "create-resource": RESOURCE,
    "drop-resource": RESOURCE,
    "log": ("level", "context", "message"),
    "restart": NOTHING,
    "activate-plugin": ("plugin-grant-id",),
    "deactivate-plugin": ("plugin-grant-id",),
    "revert": ("dropped-region",),
    "cancel-pending-invocation": ("idempotency-key",),
    "start-span": ("span-id", "parent", "linked-context-id", "attributes"),
    "finish-span": ("span-id",),
    "set-span-attribute": ("span-id", "key", "value"),
    "change-persistence-level": ("persistence-level",),
    "begin-remote-transaction": ("transaction-id", "original-begin-index"),
    "pre-commit-remote-transaction": ONLY_INDEX,
    "pre-rollback-remote-transaction": ONLY_INDEX,
    "committed-remote-transaction": ONLY_INDEX,
    "rolled-back-remote-transaction": ONLY_INDEX,
    "snapshot": ("data", "mime-type"),
    "oplog-processor-checkpoint": (
        "plugin-grant-id",
        "target-agent-id",
        "confirmed-up-to",
        "sending-up-to",
        "last-batch-start",
    ),
    "set-retry-policy": ("policy",),
    "remove-retry-policy": ("name",),
}
"""What the cases of `oplog-entry` have besides the time."""

NOT_IN_1_5 = {"args", "config-vars", "new-policy", "retry-policy"}
"""What a public record has for older generations, and a raw one does not know."""

STATES: list[policies.RetryState] = [
    policies.Counter(3),
    policies.CountBoxState(2, policies.Wrapper(policies.Counter(1))),
    policies.AndThenState(policies.Terminal(), policies.Counter(1), on_right=True),
    policies.Pair(policies.Counter(1), policies.Terminal()),
]

OTHERS: list[Entry] = [
    *[oplog.Error(timestamp=AT, error_kind=3, message="Out of memory", retry_from=1)],
    *[oplog.Error(timestamp=AT, error_kind=4, message="Stack overflow", retry_from=1)],
    *[
        oplog.Error(timestamp=AT, error_kind=kind, message="m", retry_from=3, inside_atomic_region=True)
        for kind in ErrorKind
        if kind not in (ErrorKind.OUT_OF_MEMORY, ErrorKind.STACK_OVERFLOW)
    ],
    *[oplog.Error(timestamp=AT, error_kind=1, message="m", retry_from=3, retry_policy_state=state) for state in STATES],
    oplog.PendingUpdate(timestamp=AT, target_revision=2, snapshot=b"\x00s", mime_type="text/plain"),
    oplog.PendingInvocation(timestamp=AT, invocation=Invocation("k", "", [], update_to=4)),
    oplog.BeginRemoteTransaction(timestamp=AT, transaction_id="t", original_begin_index=9),
    oplog.HostCall(
        timestamp=AT,
        function="own",
        request=value_and_type_record("q", Primitive.STRING),
        response=value_and_type_record(7, Primitive.U8),
        category=4,
    ),
    oplog.InvocationStarted(
        timestamp=AT,
        invocation=Invocation(
            "key",
            "gone",
            [1],
            "7" * 32,
            ["a=b"],
            [SpanData("1" * 16, 5, {"a": "b"}, [SpanData("2" * 16, 4)]), SpanData("3" * 16, inherited=True)],
            "4" * 16,
        ),
    ),
    oplog.InvocationFinished(timestamp=AT, result=None, component_revision=0),
    *[oplog.Log(timestamp=AT, level=level, context="c", message="m") for level in oplog.LogLevel],
    *[oplog.ChangePersistenceLevel(timestamp=AT, persistence_level=level) for level in oplog.PersistenceLevel],
    *[
        oplog.HostCall(timestamp=AT, function="f", request=1, response=2, category=category)
        for category in oplog.Category
    ],
]

NO_TEA: Value = ("tuple", [("component-model", {"nodes": [("option-value", None)]})])
SNAPSHOT = {"payload": b"state", "mime-type": "text/plain"}
SPECIAL: list[tuple[str, str, list[Value], Value]] = [
    ("save-snapshot", "golem:api/save-snapshot@1.5.0.{save}", [], SNAPSHOT),
    ("load-snapshot", "golem:api/load-snapshot@1.5.0.{load}", [SNAPSHOT], ("ok", None)),
    ("load-snapshot", "golem:api/load-snapshot@1.1.0.{load}", [b"state"], ("err", "no")),
    ("process-oplog-entries", "golem:api/oplog-processor@1.5.0.{process}", [1, 2], ("ok", None)),
    ("process-oplog-entries", "golem:api/oplog-processor@1.5.0.{process}", [1, 2], ("err", "no")),
]


def stored(entry: Entry) -> Entry:
    """As it is read from the store."""
    encoded = encode_entry(entry)
    return decode_entry(encoded.kind, encoded.data)


def agent_entries(worker_id: WorkerId) -> list[Entry]:
    """The life of an agent with a configuration, whose name has a phantom id, and that an agent created."""
    agent = SHOP.agent(f"{worker_id.name}[{PHANTOM}]")
    entries: list[Entry] = [
        oplog.Create(
            timestamp=AT,
            component_id=worker_id.component_id,
            name=agent.name,
            component_revision=0,
            environment_id=ENVIRONMENT_ID,
            created_by=UUID(int=3),
            instance_id=UUID(int=4),
            environment={"A": "1", "B": "2"},
            parent=str(CATALOG),
            initial_active_plugins=[PLUGIN],
            agent_type=agent.type.name,
            agent_config=[
                oplog.ConfigEntry(["greeting"], {"type": "Option", "inner": {"type": "Str"}}, "hello"),
            ],
        ),
        oplog.PendingInvocation(timestamp=AT, invocation=agent.initialization(worker_id, ANONYMOUS)),
    ]
    calls = [(agent.initialization(worker_id, ANONYMOUS), ("ok", None))]
    if worker_id == CATALOG:
        calls.append((agent.call("find", strings("tea"), ANONYMOUS, "k"), ("ok", NO_TEA)))
    for invocation, result in calls:
        traced = msgspec.structs.replace(invocation, trace_id="7" * 32, span_id="4" * 16)
        entries.append(oplog.InvocationStarted(timestamp=AT, invocation=traced))
        entries.append(oplog.InvocationFinished(timestamp=AT, result=result, component_revision=0))
    return entries


async def enriched(files: Path, worker_id: WorkerId, raw: list[Value], environment: Value = ENVIRONMENT) -> Value:
    """What the host function makes of raw entries."""
    worker = await HostWorker.create(files, golem_oplog.INTERFACES)
    worker.workers.called = CalledWorkers(PLAIN_COMPONENT)
    worker.workers.called.agents = SHOP if worker_id.component_id == SHOP_COMPONENT else None
    agent_id = {"component-id": {"uuid": uuid_record(worker_id.component_id)}, "agent-id": worker_id.name}
    return await worker.call(OPLOG, "enrich-oplog-entries", environment, agent_id, list(enumerate(raw, 1)), 0)


def without_old_fields(public: Value) -> Value:
    case, record = public
    return case, {name: value for name, value in record.items() if name not in NOT_IN_1_5}


@pytest.mark.parametrize("entry", [*[entry for entry, *_ in ENTRIES], *OTHERS], ids=lambda entry: type(entry).__name__)
def test_every_raw_entry_is_enriched_to_the_public_one(entry: Entry) -> None:
    kept = stored(entry)
    public = PublicEntries("1.5", PLAIN, FunctionResolver(PLAIN_COMPONENT))
    writer = PublicEntries("1.5", PLAIN, FunctionResolver(PLAIN_COMPONENT))
    raw = raw_entry(PLAIN, kept)
    case, record = raw
    assert {"timestamp", *RAW_FIELDS[case]} <= record.keys()
    state, (found,) = golem_oplog.enriched(writer, [(1, raw)], None)
    assert state == "ok"
    assert without_old_fields(found) == without_old_fields(public.entry(kept))


def test_no_kind_of_entry_was_forgotten() -> None:
    cases = {raw_entry(PLAIN, entry)[0] for entry, *_ in ENTRIES}
    assert cases == RAW_FIELDS.keys()


@pytest.mark.parametrize("worker_id", [TILL, CATALOG], ids=str)
async def test_the_life_of_an_agent_is_enriched(tmp_path: Path, worker_id: WorkerId) -> None:
    entries = agent_entries(worker_id)
    if worker_id == CATALOG:
        entries[0] = msgspec.structs.replace(entries[0], agent_config=[])
    entries = list(map(stored, entries))
    public = PublicEntries("1.5", worker_id, FunctionResolver(PLAIN_COMPONENT), SHOP)
    shown = [public.entry(entry) for entry in entries]
    writer = RawEntries(worker_id)
    state, found = await enriched(tmp_path / "all", worker_id, [writer.entry(entry) for entry in entries])
    assert state == "ok"
    assert list(map(without_old_fields, found)) == list(map(without_old_fields, shown))
    created = shown[0][1]
    assert created["original-phantom-id"] == uuid_record(PHANTOM)
    assert created["parent"]["agent-id"] == CATALOG.name
    if worker_id == TILL:
        (config,) = created["local-agent-config"]
        assert (config["path"], value_and_type_value(config["value"])[1]) == (["greeting"], "hello")
    invocations = [record["invocation"][0] for case, record in shown if case.endswith("started")]
    results = [record["result"][0] for case, record in shown if case.endswith("finished")]
    assert invocations == ["agent-initialization", "agent-method-invocation"][: len(invocations)]
    assert results == ["agent-initialization", "agent-method"][: len(results)]
    # The end of an invocation is read alone as well, though its beginning was in an earlier batch.
    running = entries[-2]
    assert isinstance(running, oplog.InvocationStarted)
    alone = raw_entry(worker_id, entries[-1], running.invocation)
    _, (last,) = await enriched(tmp_path / "alone", worker_id, [alone])
    assert last == shown[-1]


def test_an_agents_method_has_its_values_and_their_schema() -> None:
    public = PublicEntries("1.5", CATALOG, None, SHOP)
    *_, started, finished = [public.entry(stored(entry)) for entry in agent_entries(CATALOG)[1:]]
    case, method = started[1]["invocation"]
    schema = SHOP.types["CatalogAgent"].method("find")
    assert schema is not None
    assert (case, method["method-name"]) == ("agent-method-invocation", "find")
    given = method["function-input"]
    assert given["schema"] == schema.input_schema.to_guest()
    schema.input_schema.check(given["value"])
    output = finished[1]["result"][1]["output"]
    assert output["schema"] == schema.output_schema.to_guest()
    own = method["invocation-context"][0][0][1]
    attributes = {attribute["key"]: attribute["value"][1] for attribute in own["attributes"]}
    assert attributes == {
        "name": "invoke-exported-function",
        "idempotency_key": "k",
        "function_name": "find",
        "invocation_kind": "AgentMethod",
        "agent_id": CATALOG.name,
        "agent_type": "CatalogAgent",
        "agent_parameters": '"teas"',
    }


@pytest.mark.parametrize(("case", "function", "parameters", "result"), SPECIAL, ids=lambda value: str(value)[:40])
async def test_functions_of_the_platform_are_told_apart(
    tmp_path: Path, case: str, function: str, parameters: list[Value], result: Value
) -> None:
    entries = [
        stored(oplog.InvocationStarted(timestamp=AT, invocation=Invocation("k", function, parameters))),
        stored(oplog.InvocationFinished(timestamp=AT, result=result, component_revision=0)),
    ]
    public = PublicEntries("1.5", PLAIN, None)
    shown = [public.entry(entry) for entry in entries]
    variant, output = shown[0][1]["invocation"], shown[1][1]["result"]
    assert (variant[0], output[0]) == (case, case)
    data = {"data": b"state", "mime-type": "text/plain" if "1.5.0" in function else "application/octet-stream"}
    expected: dict[str, Value] = {
        "save-snapshot": None,
        "load-snapshot": {"snapshot": data},
        "process-oplog-entries": {"idempotency-key": "k"},
    }
    assert variant[1] == expected[case]
    assert output[1] == ({"snapshot": data} if case == "save-snapshot" else {"error": result[1]})
    writer = RawEntries(PLAIN)
    assert await enriched(tmp_path, PLAIN, [writer.entry(entry) for entry in entries]) == ("ok", shown)


async def test_what_cannot_be_enriched_is_said(tmp_path: Path) -> None:
    plain = raw_entry(PLAIN, oplog.NoOp(timestamp=AT))
    other = {"uuid": uuid_record(UUID(int=9))}
    state, text = await enriched(tmp_path / "environment", PLAIN, [plain], other)
    assert (state, "not found in this environment" in text) == ("err", True)
    nowhere = WorkerId(ComponentId(UUID(int=0)), "w")
    state, text = await enriched(tmp_path / "component", nowhere, [plain])
    assert (state, "not found" in text) == ("err", True)
    case, record = raw_entry(PLAIN, oplog.PendingInvocation(timestamp=AT, invocation=INVOCATION))
    payload_id = {"payload-id": uuid_record(UUID(int=1)), "md5-hash": bytes(16)}
    elsewhere = (case, {**record, "payload": ("external", payload_id)})
    state, text = await enriched(tmp_path / "external", PLAIN, [elsewhere])
    assert (state, text) == ("err", "entry 1 cannot be read: there is no payload of this id")


INVOCATION_PARTS: list[Value] = ["k", "ns:p/i.{add}", "golem:agent/guest@1.5.0.{invoke}", [], ["a", ["b"]], 1]
PAYLOADS = st.one_of(
    st.binary(max_size=40),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(max_size=4)),
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.dictionaries(st.sampled_from(["value", "typ", "nodes", "payload", "x"]), inner, max_size=3),
        ),
        max_leaves=8,
    ).map(msgspec.msgpack.encode),
    st.lists(st.sampled_from(INVOCATION_PARTS), max_size=4).map(msgspec.msgpack.encode),
    st.just(b"\x91" * 5000),
)


@given(PAYLOADS)
def test_payloads_of_others_are_refused_or_shown(payload: bytes) -> None:
    """Whatever the bytes are: entries, or an error that says why not."""
    bytes_ = ("inline", payload)
    host_call = raw_entry(CATALOG, oplog.HostCall(timestamp=AT, function="f", request=1, response=2, category=1))
    started = raw_entry(CATALOG, oplog.InvocationStarted(timestamp=AT, invocation=INVOCATION))
    finished = raw_entry(CATALOG, oplog.InvocationFinished(timestamp=AT, result=1, component_revision=0))
    for (case, record), name in ((host_call, "request"), (started, "payload"), (finished, "result")):
        writer = PublicEntries("1.5", CATALOG, FunctionResolver(PLAIN_COMPONENT), SHOP)
        raw = (case, {**record, name: bytes_})
        state, answer = golem_oplog.enriched(writer, [(5, raw)], SHOP)
        assert state == "ok" or answer.startswith("entry 5 cannot be read: ")


def test_errors_without_a_text_are_those_whose_text_is_always_the_same() -> None:
    for kind in ErrorKind:
        _, record = raw_entry(PLAIN, oplog.Error(timestamp=AT, error_kind=kind, message="m", retry_from=1))
        assert record["error"][1] == (None if kind in (ErrorKind.OUT_OF_MEMORY, ErrorKind.STACK_OVERFLOW) else "m")
