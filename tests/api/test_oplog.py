"""The oplog as JSON: pages, both sets of words, and every kind of entry."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import pytest

from golem_server.api.json_bodies import json_response
from golem_server.api.oplog_json import OplogJson, inferred
from golem_server.model import oplog
from golem_server.model.function_names import FunctionResolver
from golem_server.model.ids import ComponentId, WorkerId
from golem_server.model.json_types import type_from_json
from golem_server.model.json_values import annotated_from_json
from golem_server.model.retry_policy import CountBox, Exponential, NamedRetryPolicy
from golem_server.model.retry_predicate import Compare
from golem_server.model.types import ComponentType, FunctionType, InterfaceType, Parameter, Primitive, Value
from tests.api.guest import function
from tests.api.server import Client

WORKER = WorkerId(ComponentId(UUID(int=1)), "w")
ADD = "ns:p/i.{add}"
NAMED = NamedRetryPolicy("n", 7, Compare("eq", "verb", "trap"), CountBox(2, Exponential(5_000_000, 2.0)))
INVOCATION = oplog.Invocation("key", ADD, [2**64 - 1])
PLUGIN = UUID(int=7)
AT = 1767225600123


def resolver() -> FunctionResolver:
    """A component with one function `add: func(n: u64) -> u64`."""
    signature = FunctionType((Parameter("n", Primitive.U64),), Primitive.U64)
    return FunctionResolver(
        ComponentType(
            imports={},
            imported_functions={},
            exports={"ns:p/i": InterfaceType("ns:p/i", {"add": signature}, {})},
            exported_functions={},
        )
    )


ENTRIES: list[tuple[oplog.Entry, str, str, dict[str, Any]]] = [
    (
        oplog.HostCall(
            timestamp=AT, function="f", request={"n": 1}, response=("ok", b"\x01"), category=oplog.Category.READ_REMOTE
        ),
        "ImportedFunctionInvoked",
        "HostCall",
        {"functionName": "f", "durableFunctionType": {"type": "ReadRemote"}},
    ),
    (
        oplog.HostCall(timestamp=AT, function="f", request=None, response=None, category=5, begin_index=4),
        "ImportedFunctionInvoked",
        "HostCall",
        {"durableFunctionType": {"type": "WriteRemoteBatched", "index": 4}},
    ),
    (oplog.Suspend(timestamp=AT), "Suspend", "Suspend", {}),
    (
        oplog.Error(timestamp=AT, error_kind=2, message="m", retry_from=3),
        "Error",
        "Error",
        {"error": "m", "retryFrom": 3},
    ),
    (oplog.NoOp(timestamp=AT), "NoOp", "NoOp", {}),
    (oplog.Jump(timestamp=AT, jump=oplog.Region(2, 4)), "Jump", "Jump", {"jump": {"start": 2, "end": 4}}),
    (oplog.Interrupted(timestamp=AT), "Interrupted", "Interrupted", {}),
    (oplog.Exited(timestamp=AT), "Exited", "Exited", {}),
    (oplog.BeginAtomicRegion(timestamp=AT), "BeginAtomicRegion", "BeginAtomicRegion", {}),
    (oplog.EndAtomicRegion(timestamp=AT, begin_index=2), "EndAtomicRegion", "EndAtomicRegion", {"beginIndex": 2}),
    (oplog.BeginRemoteWrite(timestamp=AT), "BeginRemoteWrite", "BeginRemoteWrite", {}),
    (oplog.EndRemoteWrite(timestamp=AT, begin_index=2), "EndRemoteWrite", "EndRemoteWrite", {"beginIndex": 2}),
    (
        oplog.PendingUpdate(timestamp=AT, target_revision=2),
        "PendingUpdate",
        "PendingUpdate",
        {"targetRevision": 2, "description": {"type": "Automatic"}},
    ),
    (
        oplog.SuccessfulUpdate(timestamp=AT, target_revision=2, new_component_size=9, new_active_plugins=[PLUGIN]),
        "SuccessfulUpdate",
        "SuccessfulUpdate",
        {"targetRevision": 2, "newComponentSize": 9, "newActivePlugins": [str(PLUGIN)]},
    ),
    (
        oplog.FailedUpdate(timestamp=AT, target_revision=2),
        "FailedUpdate",
        "FailedUpdate",
        {"targetRevision": 2, "details": None},
    ),
    (oplog.GrowMemory(timestamp=AT, delta=65536), "GrowMemory", "GrowMemory", {"delta": 65536}),
    (
        oplog.FilesystemStorageUsageUpdate(timestamp=AT, delta=-5),
        "FilesystemStorageUsageUpdate",
        "FilesystemStorageUsageUpdate",
        {"delta": -5},
    ),
    (
        oplog.CreateResource(timestamp=AT, id=1, name="n", owner="o"),
        "CreateResource",
        "CreateResource",
        {"id": 1, "name": "n", "owner": "o"},
    ),
    (
        oplog.DropResource(timestamp=AT, id=1, name="n", owner="o"),
        "DropResource",
        "DropResource",
        {"id": 1, "name": "n", "owner": "o"},
    ),
    (
        oplog.Log(timestamp=AT, level=oplog.LogLevel.STDOUT, context="", message="hi\n"),
        "Log",
        "Log",
        {"level": "Stdout", "context": "", "message": "hi\n"},
    ),
    (oplog.Restart(timestamp=AT), "Restart", "Restart", {}),
    (oplog.ActivatePlugin(timestamp=AT, plugin=PLUGIN), "ActivatePlugin", "ActivatePlugin", {"plugin": str(PLUGIN)}),
    (
        oplog.DeactivatePlugin(timestamp=AT, plugin=PLUGIN),
        "DeactivatePlugin",
        "DeactivatePlugin",
        {"plugin": str(PLUGIN)},
    ),
    (
        oplog.Revert(timestamp=AT, dropped_region=oplog.Region(2, 4)),
        "Revert",
        "Revert",
        {"droppedRegion": {"start": 2, "end": 4}},
    ),
    (
        oplog.CancelPendingInvocation(timestamp=AT, idempotency_key="k"),
        "CancelPendingInvocation",
        "CancelPendingInvocation",
        {"idempotencyKey": "k"},
    ),
    (
        oplog.StartSpan(timestamp=AT, span_id="s", attributes={"a": "b"}),
        "StartSpan",
        "StartSpan",
        {"spanId": "s", "parentId": None, "attributes": [{"key": "a", "value": {"type": "String", "value": "b"}}]},
    ),
    (oplog.FinishSpan(timestamp=AT, span_id="s"), "FinishSpan", "FinishSpan", {"spanId": "s"}),
    (
        oplog.SetSpanAttribute(timestamp=AT, span_id="s", key="k", value="v"),
        "SetSpanAttribute",
        "SetSpanAttribute",
        {"spanId": "s", "key": "k", "value": {"type": "String", "value": "v"}},
    ),
    (
        oplog.ChangePersistenceLevel(timestamp=AT, persistence_level=0),
        "ChangePersistenceLevel",
        "ChangePersistenceLevel",
        {"persistenceLevel": {"type": "PersistNothing"}},
    ),
    (
        oplog.BeginRemoteTransaction(timestamp=AT, transaction_id="t"),
        "BeginRemoteTransaction",
        "BeginRemoteTransaction",
        {"transactionId": "t"},
    ),
    *[
        (kind(timestamp=AT, begin_index=2), kind.__name__, kind.__name__, {"beginIndex": 2})
        for kind in (
            oplog.PreCommitRemoteTransaction,
            oplog.PreRollbackRemoteTransaction,
            oplog.CommittedRemoteTransaction,
            oplog.RolledBackRemoteTransaction,
        )
    ],
    (oplog.Snapshot(timestamp=AT, data=b"\x01"), "Snapshot", "Snapshot", {}),
    (
        oplog.OplogProcessorCheckpoint(
            timestamp=AT, plugin=PLUGIN, target_worker="x", confirmed_up_to=1, sending_up_to=2, last_batch_start=1
        ),
        "OplogProcessorCheckpoint",
        "OplogProcessorCheckpoint",
        {"confirmedUpTo": 1, "sendingUpTo": 2},
    ),
    (
        oplog.ChangeRetryPolicy(timestamp=AT, policy=oplog.RetryPolicy()),
        "ChangeRetryPolicy",
        "SetRetryPolicy",
        {
            "newPolicy": {
                "maxAttempts": 3,
                "minDelay": "100ms",
                "maxDelay": "1000ms",
                "multiplier": 3.0,
                "maxJitterFactor": 0.15,
            }
        },
    ),
    (
        oplog.SetRetryPolicy(timestamp=AT, policy=NAMED),
        "SetRetryPolicy",
        "SetRetryPolicy",
        {
            "policy": {
                "name": "n",
                "priority": 7,
                "predicate": {"type": "PropEq", "property": "verb", "value": {"type": "Text", "value": "trap"}},
                "policy": {
                    "type": "CountBox",
                    "maxRetries": 2,
                    "inner": {"type": "Exponential", "baseDelayMs": 5, "factor": 2.0},
                },
            }
        },
    ),
    (oplog.RemoveRetryPolicy(timestamp=AT, name="n"), "RemoveRetryPolicy", "RemoveRetryPolicy", {"name": "n"}),
    (
        oplog.Create(
            timestamp=AT,
            component_id=WORKER.component_id,
            name="w",
            component_revision=2,
            environment_id=UUID(int=2),
            created_by=UUID(int=3),
            instance_id=UUID(int=4),
            arguments=["a"],
            environment={"A": "1"},
            component_size=5,
        ),
        "Create",
        "Create",
        {"componentRevision": 2, "componentVersion": 2, "args": ["a"], "env": {"A": "1"}, "componentSize": 5},
    ),
    (
        oplog.InvocationStarted(timestamp=AT, invocation=INVOCATION),
        "ExportedFunctionInvoked",
        "AgentInvocationStarted",
        {},
    ),
    (
        oplog.InvocationFinished(timestamp=AT, result=3, component_revision=0),
        "ExportedFunctionCompleted",
        "AgentInvocationFinished",
        {"consumedFuel": 0},
    ),
    (
        oplog.PendingInvocation(timestamp=AT, invocation=INVOCATION),
        "PendingWorkerInvocation",
        "PendingAgentInvocation",
        {},
    ),
]


@pytest.mark.parametrize(("entry", "name", "cli_name", "fields"), ENTRIES, ids=lambda value: type(value).__name__)
def test_each_kind_of_entry_has_its_json_in_both_sets_of_words(
    entry: oplog.Entry, name: str, cli_name: str, fields: dict[str, Any]
) -> None:
    for cli, expected in ((False, name), (True, cli_name)):
        shown = json.loads(bytes(json_response(OplogJson(WORKER, resolver(), cli).entry(entry)).body))
        assert shown["type"] == expected
        assert shown["timestamp"] == "2026-01-01T00:00:00.123Z"
        assert fields.items() <= shown.items()


def test_no_kind_of_entry_was_forgotten() -> None:
    assert {type(entry) for entry, _, _, _ in ENTRIES} == set(oplog.ENTRY_TYPES.values())


def test_an_invocation_is_shown_with_the_types_of_its_function() -> None:
    typed = {"typ": {"type": "U64"}, "value": 2**64 - 1}
    started = oplog.InvocationStarted(timestamp=AT, invocation=INVOCATION)
    finished = oplog.InvocationFinished(timestamp=AT, result=3, component_revision=0)
    writer = OplogJson(WORKER, resolver())
    assert writer.entry(started)["request"] == [typed]
    assert writer.entry(finished)["response"] == {"typ": {"type": "U64"}, "value": 3}
    assert OplogJson(WORKER, resolver(), running=ADD).entry(finished)["response"]["value"] == 3
    cli = OplogJson(WORKER, resolver(), cli=True)
    assert cli.entry(started)["invocation"]["functionInput"]["elements"] == [{"type": "ComponentModel", "value": typed}]
    assert cli.entry(finished)["result"]["output"]["elements"][0]["value"]["value"] == 3


def test_what_no_longer_fits_its_function_is_shown_as_it_is() -> None:
    other = oplog.Invocation("key", ADD, [["a"], 1])
    started = oplog.InvocationStarted(timestamp=AT, invocation=other)
    assert [item["value"] for item in OplogJson(WORKER, resolver()).entry(started)["request"]] == [["a"], 1]
    gone = oplog.InvocationStarted(timestamp=AT, invocation=oplog.Invocation("key", "gone", [1]))
    assert OplogJson(WORKER, resolver()).entry(gone)["request"][0]["value"] == 1


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -1,
        2**64 - 1,
        1.5,
        float("inf"),
        "x",
        b"\x00\xff",
        [],
        [1, 2],
        [1, "a"],
        ("ok", None),
        {"a": [b""]},
    ],
)
def test_an_inferred_type_fits_its_value(value: Value) -> None:
    shown = inferred(value)
    type_from_json(shown["typ"])
    annotated_from_json(shown)
    json_response(shown)


def test_pages_follow_one_another_and_end_with_an_empty_one(client: Client, component: str) -> None:
    worker = f"{component}/workers/w-{uuid4()}"
    for number in range(3):
        client.call(worker, "echo-u64", number, key=f"k{number}").ok()
    first = client.get(f"{worker}/oplog?count=4").ok()
    assert [item["oplogIndex"] for item in first["entries"]] == [1, 2, 3, 4]
    assert (first["firstIndexInChunk"], first["lastIndex"]) == (1, 7)
    assert first["next"] == {"nextOplogIndex": 5, "currentComponentVersion": 0, "currentComponentRevision": 0}
    second = client.get(f"{worker}/oplog?count=4&cursor=5-0").ok()
    assert client.get(f"{worker}/oplog?from=5").ok()["entries"] == second["entries"]
    # The page begins within an invocation; the type of its result is found all the same.
    completed = second["entries"][0]["entry"]
    assert completed["response"] == {"typ": {"type": "U64"}, "value": 1}
    assert second["entries"][1]["entry"]["functionName"] == function("echo-u64")
    assert second["entries"][1]["entry"]["idempotencyKey"] == "k2"
    last = client.get(f"{worker}/oplog?from=8").ok()
    assert (last["entries"], last["next"], last["lastIndex"]) == ([], None, 7)
    assert client.get(f"{worker}/oplog?from={2**63 - 1}").ok()["entries"] == []
    assert client.get(f"{worker}/oplog?count=100000").ok()["lastIndex"] == 7
    for item in client.get(f"{worker}/oplog", x_golem_cli_version="1.5.9").ok()["entries"]:
        assert item["entry"]["type"] in ("Create", "AgentInvocationStarted", "AgentInvocationFinished")


@pytest.mark.parametrize(
    "query",
    [
        "count=0",
        "count=x",
        "from=-1",
        f"from={2**63}",
        "cursor=5",
        "cursor=a-b",
        "from=1&query=x",
        "query=(",
        "query=%2F(%2F",
    ],
)
def test_a_wrong_question_for_the_oplog_is_refused(client: Client, component: str, query: str) -> None:
    client.call(f"{component}/workers/oplog", "nothing").ok()
    client.get(f"{component}/workers/oplog/oplog?{query}").refused(400)


def test_the_oplog_of_an_unknown_worker_is_not_found(client: Client, component: str) -> None:
    client.get(f"{component}/workers/unknown/oplog").refused(404, "Worker not found", "AGENT_NOT_FOUND")


def test_an_oplog_is_searched(client: Client, component: str) -> None:
    worker = f"{component}/workers/searched-{uuid4()}"
    for number in range(5):
        client.call(worker, "echo-u64", number, key=f"number-{number}").ok()
    client.call(worker, "nothing", key="other").ok()

    def search(query: str, **more: str) -> Any:
        return client.get(f"{worker}/oplog?{urlencode({'count': 3, 'query': query, **more})}").ok()

    page = search("invoke AND NOT other number")
    keys = [item["entry"]["idempotencyKey"] for item in page["entries"]]
    assert keys == ["number-0", "number-1", "number-2"]
    following = page["next"]
    cursor = f"{following['nextOplogIndex']}-{following['currentComponentVersion']}"
    rest = search("invoke AND NOT other number", cursor=cursor)
    assert [item["entry"]["idempotencyKey"] for item in rest["entries"]] == ["number-3", "number-4"]
    assert search("no-such-thing")["next"] is None
    (created,) = search("create")["entries"]
    assert created["oplogIndex"] == 1
