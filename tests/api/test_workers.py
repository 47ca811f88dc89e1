"""Workers: launch, list, look at, interrupt, resume, delete, complete promises."""

from __future__ import annotations

from typing import cast
from uuid import uuid4

import pytest

from tests.api.server import JSON, Client
from tests.guests import build


@pytest.fixture
def worker(component: str) -> str:
    """The path of a worker that does not exist yet."""
    return f"{component}/workers/w-{uuid4()}"


def test_a_launched_worker_has_what_it_was_given(client: Client, component: str) -> None:
    request = {"name": f"w-{uuid4()}", "args": ["a", ""], "env": {"A": "1"}, "configVars": [], "config": None}
    created = client.post(f"{component}/workers", request).ok()
    component_id = component.rpartition("/")[2]
    assert created == {
        "componentId": component_id,
        "workerName": request["name"],
        "workerId": {"componentId": component_id, "workerName": request["name"]},
        "agentId": {"componentId": component_id, "agentId": request["name"]},
        "componentVersion": 0,
        "componentRevision": 0,
    }
    metadata = client.get(f"{component}/workers/{request['name']}").ok()
    assert metadata["args"] == ["a", ""]
    assert metadata["env"] == {"A": "1"}
    assert metadata["status"] == "Idle"
    assert metadata["lastError"] is None
    again = client.post(f"{component}/workers", request).refused(409, "already exists")
    assert again["golemError"]["workerId"] == created["workerId"]


@pytest.mark.parametrize(
    ("given", "variables"),
    [
        ({"configVars": [{"key": "b", "value": "1"}, {"key": "a", "value": "\0"}]}, {"b": "1", "a": "\0"}),
        ({"configVars": {"k": "v"}}, {"k": "v"}),
        (
            {"config": [{"path": ["a", "b"], "value": "text"}, {"path": ["c"], "value": {"x": [1, "ü"]}}]},
            {"a.b": "text", "c": '{"x":[1,"ü"]}'},
        ),
    ],
)
def test_configuration_variables_are_kept(
    client: Client, component: str, given: dict[str, object], variables: dict[str, str]
) -> None:
    name = f"w-{uuid4()}"
    client.post(f"{component}/workers", {"name": name, **given}).ok()
    shown = [{"key": key, "value": value} for key, value in variables.items()]
    assert client.get(f"{component}/workers/{name}").ok()["wasiConfigVars"] == shown
    first = client.get(f"{component}/workers/{name}/oplog?from=1&count=1").ok()["entries"][0]
    assert first["entry"]["wasiConfigVars"] == shown


@pytest.mark.parametrize(
    "request_",
    [
        {},
        cast("list[object]", []),
        {"name": 1},
        {"name": "a b"},
        {"name": ""},
        {"name": "w", "args": "x"},
        {"name": "w", "args": ["\0"]},
        {"name": "w", "env": {"A": 1}},
        {"name": "w", "env": {"": "1"}},
        {"name": "w", "configVars": [{"key": "k"}]},
        {"name": "w", "configVars": {"k": 1}},
        {"name": "w", "configVars": {"": "v"}},
        {"name": "w", "configVars": {f"k{n}": "v" for n in range(1001)}},
        {"name": "w", "config": [{"path": [""], "value": 1}]},
        {"name": "w", "config": {"k": "v"}},
        {"name": "\ud800"},
    ],
)
def test_a_wrong_launch_is_refused(client: Client, component: str, request_: object) -> None:
    client.post(f"{component}/workers", request_).refused(400)


def test_pages_follow_the_order_of_creation_whatever_comes_and_goes(client: Client) -> None:
    component = client.component()
    path = f"{component}/workers"
    assert client.get(path).ok() == {"workers": []}
    for number in range(5):
        client.post(path, {"name": f"w{number}"}).ok()
    first = client.get(f"{path}?count=2").ok()
    client.send("DELETE", f"{path}/w0").ok()
    client.post(path, {"name": "w5"}).ok()
    second = client.get(f"{path}?count=2&cursor={first['cursor']}").ok()
    third = client.get(f"{path}?count=2&cursor={second['cursor']}").ok()
    pages = [[worker["workerId"]["workerName"] for worker in page["workers"]] for page in (first, second, third)]
    assert pages == [["w0", "w1"], ["w2", "w3"], ["w4", "w5"]]
    assert "cursor" not in third
    whole = client.get(f"{path}?precise=true").ok()
    assert len(whole["workers"]) == 5
    assert "cursor" not in whole


def test_the_command_line_gets_its_form_of_cursor(client: Client) -> None:
    path = f"{client.component()}/workers"
    for number in range(2):
        client.post(path, {"name": f"w{number}"}).ok()
    cursor = client.get(f"{path}?count=1", x_golem_cli_version="1.5.9").ok()["cursor"]
    assert cursor["layer"] == 0
    last = client.get(f"{path}?count=1&cursor=0/{cursor['cursor']}", x_golem_cli_version="1.5.9").ok()
    assert (len(last["workers"]), last["cursor"]) == (1, None)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("cursor=1", "Invalid cursor, must have 'layer/cursor' format"),
        ("cursor=0/x", "Invalid cursor"),
        ("cursor=0/-1", "Invalid cursor"),
        ("cursor=0/99999999999999999999", "Invalid cursor"),
        ("count=0", "`count`"),
        ("count=x", "`count`"),
        ("count=99999999999999999999", "`count`"),
        ("precise=perhaps", "`precise`"),
        ("filter=name%20near%20a", "Unknown String Filter Comparator: near"),
        ("filter=nothing", "Invalid filter"),
    ],
)
def test_a_wrong_question_for_workers_is_refused(client: Client, component: str, query: str, text: str) -> None:
    client.get(f"{component}/workers?{query}").refused(400, text)


def test_an_interrupted_worker_resumes_and_an_unknown_one_does_not(client: Client, worker: str) -> None:
    client.post(f"{worker}/resume", {}).refused(404, "Worker not found", "AGENT_NOT_FOUND")
    assert client.post(f"{worker}/interrupt", {}).ok() == {}
    client.invoke(f"{worker}/invoke", "spin").ok()
    while client.get(worker).ok()["status"] != "Running":
        pass
    error = client.post(f"{worker}/resume", {}).refused(400, "is not suspended, interrupted or idle")
    assert error["golemError"]["type"] == "InvalidRequest"
    client.send("POST", f"{worker}/interrupt?recovery-immediately=perhaps").refused(400, "recovery-immediately")
    assert client.send("POST", f"{worker}/interrupt").ok() == {}
    assert client.get(worker).ok()["status"] == "Interrupted"
    assert client.send("POST", f"{worker}/resume").ok() == {}
    assert client.send("DELETE", worker).ok() == {}
    client.get(worker).refused(404, "Worker not found")
    assert client.send("DELETE", worker).ok() == {}


def test_a_simulated_crash_loses_nothing(client: Client, worker: str) -> None:
    client.call(worker, "increment").ok()
    assert client.send("POST", f"{worker}/interrupt?recovery-immediately=true").ok() == {}
    assert client.call(worker, "increment").ok()["result"]["value"] == 2


def test_a_promise_is_completed_once_and_its_worker_goes_on(client: Client) -> None:
    component = f"/v1/components/{client.create(build('promiser'))['id']}"
    worker = f"{component}/workers/p"
    client.post(f"{worker}/complete", {"oplogIdx": 2, "data": []}).refused(404, "Worker not found")
    made = client.invoke(f"{worker}/invoke-and-await", "create", interface="golem:it/promiser").ok()
    index = made["result"]["value"][3]
    client.invoke(f"{worker}/invoke", "await", interface="golem:it/promiser", key="waiting").ok()
    client.post(f"{worker}/complete", {"oplogIdx": index + 90, "data": []}).refused(404, "Promise not found")
    assert client.post(f"{worker}/complete", {"oplogIdx": index, "data": [1, 255]}).ok() is True
    assert client.post(f"{worker}/complete", {"oplogIdx": index, "data": []}).ok() is False
    waited = client.invoke(f"{worker}/invoke-and-await", "await", interface="golem:it/promiser", key="waiting").ok()
    assert waited["result"] == {"typ": {"type": "List", "inner": {"type": "U8"}}, "value": [1, 255]}


@pytest.mark.parametrize(
    "completion",
    ['{"oplogIdx":0,"data":[]}', '{"oplogIdx":1,"data":[256]}', f'{{"oplogIdx":{1 << 63},"data":[]}}', "{}"],
)
def test_a_wrong_completion_is_refused(client: Client, worker: str, completion: str) -> None:
    client.send("POST", f"{worker}/complete", completion.encode(), JSON).refused(400)
    client.send("POST", f"{worker}/complete", completion.encode(), {"content-type": "text/plain"}).refused(415)
