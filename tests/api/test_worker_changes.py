"""Update, revert, fork, cancellation and filters over HTTP, in every spelling that clients use."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from tests.api.guest import guest
from tests.api.server import Client, worker_path


def revise(client: Client, component: str, note: str) -> int:
    """A new revision that differs in nothing a worker could notice."""
    answer = client.form("PATCH", component, {"component": guest(note)}).ok()
    revision: int = answer["componentRevision"] if "componentRevision" in answer else answer["revision"]
    return revision


@pytest.fixture
def own(client: Client) -> str:
    """The path of a component of the test's own."""
    return client.component()


@pytest.mark.parametrize(("mode", "field"), [("Automatic", "targetVersion"), ("automatic", "targetRevision")])
def test_an_automatic_update(client: Client, own: str, mode: str, field: str) -> None:
    worker = worker_path(own, "w")
    assert client.call(worker, "increment").ok()["result"]["value"] == 1
    target = revise(client, own, "second")
    assert client.post(f"{worker}/update", {"mode": mode, field: target, "disableWakeup": False}).ok() == {}
    assert client.call(worker, "increment").ok()["result"]["value"] == 2
    metadata = client.get(worker).ok()
    assert metadata["componentVersion"] == metadata["componentRevision"] == target
    (update,) = metadata["updates"]
    assert update == {
        "type": "SuccessfulUpdate",
        "timestamp": update["timestamp"],
        "targetVersion": target,
        "targetRevision": target,
    }
    client.post(f"{worker}/update", {"mode": mode, field: target}).refused(400, "already at the target version")


def test_a_manual_update_that_fails_says_why(client: Client, own: str) -> None:
    worker = worker_path(own, "w")
    client.call(worker, "increment").ok()
    target = revise(client, own, "second")
    assert client.post(f"{worker}/update", {"mode": "Manual", "targetVersion": target}).ok() == {}
    assert client.call(worker, "increment").ok()["result"]["value"] == 2
    (update,) = client.get(worker).ok()["updates"]
    assert update["type"] == "FailedUpdate"
    assert update["details"].endswith("save-snapshot is not exported")
    entries = [item["entry"] for item in client.get(f"{worker}/oplog?from=1&count=100").ok()["entries"]]
    pending = [entry for entry in entries if entry["type"] in ("PendingWorkerInvocation", "PendingAgentInvocation")]
    assert pending[0]["invocation"] == {"type": "ManualUpdate", "targetRevision": target}
    assert any(entry["type"] == "FailedUpdate" for entry in entries)


def test_an_unknown_target_fails_the_update_and_not_the_call(client: Client, own: str) -> None:
    worker = worker_path(own, "w")
    client.call(worker, "increment").ok()
    assert client.post(f"{worker}/update", {"mode": "automatic", "targetRevision": 99}).ok() == {}
    assert client.call(worker, "increment").ok()["result"]["value"] == 2
    assert [update["type"] for update in client.get(worker).ok()["updates"]] == ["FailedUpdate"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"mode": "sideways", "targetVersion": 1}, "unknown update mode 'sideways', expected automatic or manual"),
        ({"mode": "Automatic"}, "targetRevision or targetVersion is missing"),
        ({"mode": "Automatic", "targetVersion": -1}, "parse request payload error"),
    ],
)
def test_updates_that_make_no_sense(client: Client, component: str, body: Any, reason: str) -> None:
    client.post(f"{component}/workers/w/update", body).refused(400, reason)


def test_only_workers_that_exist_are_changed(client: Client, component: str) -> None:
    worker = worker_path(component, "nobody")
    client.post(f"{worker}/update", {"mode": "Automatic", "targetVersion": 1}).refused(404, "Worker not found")
    client.post(f"{worker}/revert", {"type": "RevertLastInvocations", "numberOfInvocations": 1}).refused(404)
    target = {"componentId": component.rpartition("/")[2], "workerName": "copy"}
    client.post(f"{worker}/fork", {"targetWorkerId": target, "oplogIndexCutoff": 2}).refused(404)
    client.send("DELETE", f"{worker}/invocations/k").refused(404)


@pytest.mark.parametrize("kind", ["RevertLastInvocations", "revertLastInvocations"])
def test_reverts(client: Client, own: str, kind: str) -> None:
    worker = worker_path(own, "w")
    for _ in range(3):
        client.call(worker, "increment").ok()
    assert client.post(f"{worker}/revert", {"type": kind, "numberOfInvocations": 2}).ok() == {}
    metadata = client.get(worker).ok()
    assert len(metadata["deletedRegions"]) == 1
    assert metadata["skippedRegions"] == metadata["deletedRegions"]
    assert client.call(worker, "increment").ok()["result"]["value"] == 2
    assert client.post(f"{worker}/revert", {"type": "RevertToOplogIndex", "lastOplogIndex": 1}).ok() == {}
    assert client.call(worker, "increment").ok()["result"]["value"] == 1
    client.post(f"{worker}/revert", {"type": "RevertToOplogIndex", "lastOplogIndex": 0}).refused(
        400, "Cannot revert a worker before the create oplog index"
    )
    client.post(f"{worker}/revert", {"type": kind}).refused(400, "numberOfInvocations")


def test_forks(client: Client, own: str) -> None:
    worker, copy = worker_path(own, "w"), worker_path(own, "copy")
    for _ in range(2):
        client.call(worker, "increment").ok()
    component_id = own.rpartition("/")[2]
    target = {"componentId": component_id, "workerName": "copy"}
    assert client.post(f"{worker}/fork", {"targetWorkerId": target, "oplogIndexCutoff": 3}).ok() == {}
    assert client.call(copy, "increment").ok()["result"]["value"] == 2
    client.post(f"{worker}/fork", {"targetWorkerId": target, "oplogIndexCutoff": 3}).refused(409, "already exists")
    newer = {"componentId": component_id, "agentId": "second"}
    assert client.post(f"{worker}/fork", {"targetAgentId": newer, "oplogIndexCutoff": 5}).ok() == {}
    assert client.call(worker_path(own, "second"), "increment").ok()["result"]["value"] == 3
    client.post(f"{worker}/fork", {"targetAgentId": newer, "oplogIndexCutoff": 1}).refused(409)
    newer["agentId"] = "third"
    client.post(f"{worker}/fork", {"targetAgentId": newer, "oplogIndexCutoff": 1}).refused(400, "must be at least 2")
    client.post(f"{worker}/fork", {"oplogIndexCutoff": 2}).refused(400, "is missing")


def test_a_pending_invocation_is_cancelled_by_its_key(client: Client, own: str) -> None:
    worker = worker_path(own, "w")
    client.invoke(f"{worker}/invoke", "spin", key="running").ok()
    client.invoke(f"{worker}/invoke", "increment", key="a key/with %").ok()
    path = f"{worker}/invocations/{quote('a key/with %', safe='')}"
    assert client.send("DELETE", path).ok() == {"canceled": True}
    client.send("DELETE", path).refused(400, "Invalid request: Invocation not found")
    client.post(f"{worker}/interrupt", {}).ok()
    client.send("DELETE", worker).ok()
    client.call(worker, "increment", key="done").ok()
    assert client.send("DELETE", f"{worker}/invocations/done").ok() == {"canceled": False}


def test_an_invocation_is_asked_for_by_its_key(client: Client, own: str) -> None:
    worker = worker_path(own, "w")
    client.call(worker, "increment", key="done").ok()
    client.invoke(f"{worker}/invoke", "spin", key="running").ok()
    client.invoke(f"{worker}/invoke", "increment", key="a key/with %").ok()
    for key, status in (("done", "Complete"), ("running", "Running"), ("a key/with %", "Pending")):
        answer = client.get(f"{worker}/invocations/{quote(key, safe='')}").ok()
        assert answer == {"idempotencyKey": key, "status": status}
    client.get(f"{worker}/invocations/none").refused(404, "Invocation not found")
    client.get(f"{worker_path(own, 'nobody')}/invocations/done").refused(404, "Worker not found")
    client.post(f"{worker}/interrupt", {}).ok()
    assert client.get(f"{worker}/invocations/running").ok()["status"] == "Running"
    assert client.get(worker).ok()["status"] == "Interrupted"
    failing = worker_path(own, "failing")
    client.call(failing, "fail", key="bad").refused(500)
    assert client.get(f"{failing}/invocations/bad").ok()["status"] == "Failed"


# --- Filters


@pytest.fixture(scope="module")
def searched(client: Client) -> str:
    """The path of a component with workers of all sorts."""
    component = client.component()
    for name, env in (("alpha", {"A": "1", "B": "x_y"}), ("alps", {"A": "2"}), ("beta%", {})):
        client.post(f"{component}/workers", {"name": name, "env": env}).ok()
    revise(client, component, "second")
    client.call(worker_path(component, "gamma"), "fail")
    return component


def names(answer: Any) -> list[str]:
    """Who is in the answer."""
    return [worker["workerId"]["workerName"] for worker in answer["workers"]]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (["name = alpha"], ["alpha"]),
        (["name != alpha"], ["alps", "beta%", "gamma"]),
        (["name like p"], ["alpha", "alps"]),
        (["name notlike p"], ["beta%", "gamma"]),
        (["name StartsWith al"], ["alpha", "alps"]),
        (["name startswith beta%"], ["beta%"]),
        (["name startswith %"], []),
        (["status == failed"], ["gamma"]),
        (["status < Failed"], ["alpha", "alps", "beta%"]),
        (["version = 0"], ["alpha", "alps", "beta%"]),
        (["revision gt 0"], ["gamma"]),
        (["createdAt >= 2020-01-01T00:00:00Z", "name like m"], ["gamma"]),
        (["created_at lt 2020-01-01T00:00:00Z"], []),
        (["env.A = 1"], ["alpha"]),
        (["env.A != 1"], ["alps"]),
        (["env.B like _"], ["alpha"]),
        (["env.A eq 1", "env.A eq 2"], []),
        (["mode = durable", "name = alpha"], ["alpha"]),
        (["mode = ephemeral"], []),
    ],
)
def test_filters_of_three_words(client: Client, searched: str, filters: list[str], found: list[str]) -> None:
    query = urlencode([("filter", text) for text in filters])
    assert names(client.get(f"{searched}/workers?{query}").ok()) == found


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name = two words", "Invalid filter: name = two words"),
        ("colour = red", "Invalid filter: colour = red"),
        ("name > a", "Unknown String Filter Comparator: >"),
        ("version like 1", "Unknown Filter Comparator: like"),
        ("version = one", "Invalid filter value"),
        ("status = Sleepy", "Invalid filter value"),
        ("createdAt = yesterday", "Invalid filter value"),
    ],
)
def test_filters_that_are_none(client: Client, component: str, text: str, reason: str) -> None:
    client.get(f"{component}/workers?{urlencode({'filter': text})}").refused(400, reason, "INVALID_AGENT_FILTER")


def test_filters_as_trees_and_pages(client: Client, searched: str) -> None:
    condition = json.loads("""
        {"type": "And", "filters": [
            {"type": "Or", "filters": [
                {"type": "Name", "comparator": "StartsWith", "value": "al"},
                {"type": "Status", "comparator": "Equal", "value": "Failed"}]},
            {"type": "Not", "filter": {"type": "Env", "name": "A", "comparator": "Equal", "value": "2"}},
            {"type": "Revision", "comparator": "GreaterEqual", "value": 0},
            {"type": "CreatedAt", "comparator": "Greater", "value": "2020-01-01T00:00:00Z"},
            {"type": "And", "filters": []}]}""")
    path = f"{searched}/workers/find"
    first = client.post(path, {"filter": condition, "count": 1, "precise": True}).ok()
    assert names(first) == ["alpha"]
    assert first["cursor"]["layer"] == 0
    second = client.post(path, {"filter": condition, "count": 1, "cursor": first["cursor"]}).ok()
    assert names(second) == ["gamma"]
    assert second["cursor"] is None
    assert names(client.post(path, {}).ok()) == ["alpha", "alps", "beta%", "gamma"]
    client.post(path, {"filter": {"type": "Colour"}}).refused(400, "unknown type", "INVALID_AGENT_FILTER")
    client.post(path, {"filter": []}).refused(400, "expected an object", "INVALID_AGENT_FILTER")
