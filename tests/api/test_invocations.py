"""Invoking: results and errors, exact values, idempotency keys, names of workers and functions, limits."""

from __future__ import annotations

import json
from uuid import UUID, uuid4

import pytest

from tests.api.conftest import BODY_LIMIT, PENDING_LIMIT
from tests.api.guest import function
from tests.api.server import JSON, Client, worker_path


@pytest.fixture
def worker(component: str) -> str:
    """The path of a worker that does not exist yet."""
    return f"{component}/workers/w-{uuid4()}"


def test_the_result_comes_with_its_type_and_the_worker_comes_to_life(client: Client, worker: str) -> None:
    assert client.get(worker).status == 404
    assert client.call(worker, "increment").ok() == {"result": {"typ": {"type": "U64"}, "value": 1}}
    assert client.call(worker, "increment").ok()["result"]["value"] == 2
    assert client.get(worker).ok()["status"] == "Idle"


def test_a_function_without_a_result_gives_null(client: Client, worker: str) -> None:
    assert client.call(worker, "nothing").ok() == {"result": None}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("echo-u64", 0),
        ("echo-u64", 2**53 + 1),
        ("echo-u64", 2**64 - 1),
        ("echo-s64", -(2**63)),
        ("echo-s64", -9007199254740993),
        ("echo-f64", 0.1),
        ("echo-f64", 1e300),
        ("echo-f64", "NaN"),
        ("echo-f64", "-Infinity"),
        ("echo-text", ""),
        ("echo-text", "snow ☃ and \U0001f600 \0"),
    ],
)
def test_values_come_back_exactly(client: Client, component: str, name: str, value: object) -> None:
    answer = client.call(f"{component}/workers/echo", name, value)
    assert answer.ok()["result"]["value"] == value
    # Not as a float that only looks equal.
    assert answer.body.endswith(b'"value":' + json.dumps(value, ensure_ascii=False).encode() + b"}}") or isinstance(
        value, float | str
    )


@pytest.mark.parametrize(
    "params",
    [[7], [{"value": 7}], [{"typ": {"type": "U64"}, "value": 7}]],
    ids=["bare", "wrapped", "annotated"],
)
def test_parameters_are_taken_in_all_three_forms(client: Client, component: str, params: list[object]) -> None:
    assert client.call(f"{component}/workers/echo", "echo-u64", *params).ok()["result"]["value"] == 7


@pytest.mark.parametrize(
    ("name", "params", "text"),
    [
        ("echo-u64", [], "expected 1, got 0 parameters"),
        ("echo-u64", [1, 2], "expected 1, got 2 parameters"),
        ("echo-u64", [-1], "params[0]"),
        ("echo-u64", [2**64], "params[0]"),
        ("echo-u64", ["1"], "params[0]: expected u64, got string"),
        ("echo-u64", [{"typ": {"type": "U65"}, "value": 1}], 'unknown type "U65"'),
        ("total", [[[1, 2.5], [1, "x"]]], "params[0][1][1]: expected f64, got string"),
        ("missing", [], f"Can't find exported function in component ({function('missing')})"),
        ("in valid", [], "Invalid function name"),
    ],
)
def test_a_wrong_call_is_refused_and_leaves_no_trace(
    client: Client, worker: str, name: str, params: list[object], text: str
) -> None:
    client.call(worker, name, *params).refused(400, text, "VALIDATION_ERROR")
    assert client.get(worker).status == 404
    client.call(worker, "increment").ok()
    before = client.get(f"{worker}/oplog").ok()["lastIndex"]
    client.call(worker, name, *params).refused(400, text)
    assert client.get(f"{worker}/oplog").ok()["lastIndex"] == before


def test_a_mixture_of_typed_and_untyped_parameters_is_refused(client: Client, worker: str) -> None:
    params = [{"typ": {"type": "U64"}, "value": 7}, 7]
    client.call(worker, "echo-u64", *params).refused(400, "Some parameters have types specified")


def test_the_same_key_gives_the_same_result_without_running_again(client: Client, worker: str) -> None:
    assert client.call(worker, "increment", key="k").ok() == client.call(worker, "increment", key="k").ok()
    assert client.call(worker, "increment").ok()["result"]["value"] == 2


def test_invoke_answers_before_the_result_and_runs_in_order(client: Client, worker: str) -> None:
    assert client.invoke(f"{worker}/invoke", "increment").ok() == {}
    assert client.invoke(f"{worker}/invoke", "increment", key="second").ok() == {}
    assert client.call(worker, "increment").ok()["result"]["value"] == 3
    assert client.call(worker, "increment", key="second").ok()["result"]["value"] == 2


def test_a_trap_is_told_with_its_cause_and_the_worker_stays_failed(client: Client, worker: str) -> None:
    error = client.call(worker, "fail").refused(500, "Invocation Failed", "INTERNAL_AGENT_EXECUTION_FAILED")
    assert error["golemError"]["type"] == "RuntimeError"
    assert error["workerError"]["stderr"] == ""
    assert "unreachable" in error["workerError"]["cause"]
    error = client.call(worker, "increment").refused(500, "Previous Invocation Failed")
    assert error["golemError"]["type"] == "PreviousInvocationFailed"
    metadata = client.get(worker).ok()
    assert metadata["status"] == "Failed"
    assert "unreachable" in metadata["lastError"]


def test_a_full_queue_is_refused_and_an_interrupt_ends_the_wait(client: Client, worker: str) -> None:
    client.call(worker, "nothing").ok()
    for _ in range(PENDING_LIMIT + 1):
        client.invoke(f"{worker}/invoke", "spin").ok()
        while client.get(worker).ok()["status"] != "Running":
            pass
    answer = client.invoke(f"{worker}/invoke", "spin")
    answer.refused(429, "pending invocations", "LIMIT_EXCEEDED")
    assert answer.headers["retry-after"] == "1"
    assert client.post(f"{worker}/interrupt", {}).ok() == {}
    assert client.get(worker).ok()["status"] == "Interrupted"
    assert client.send("DELETE", worker).ok() == {}


@pytest.mark.parametrize("name", ["a/b", "a%2Fb", "tab\there", "new\nline", "-dash", "x" * 513, "\x01", " ", "%FF"])
def test_a_name_that_no_worker_can_have_is_refused(client: Client, component: str, name: str) -> None:
    path = f"{component}/workers/{name}" if name.startswith("%") else worker_path(component, name)
    text = "expected UTF-8" if name == "%FF" else ""
    if name == "a%2Fb":
        path = f"{component}/workers/a%2Fb"
    client.call(path, "increment").refused(400, text)
    client.get(path).refused(400, text)
    client.post(f"{component}/workers", {"name": name}).refused(400) if name not in ("a%2Fb", "%FF") else None


@pytest.mark.parametrize("name", ["Zürich", "日本", "a+b", "%2F", "q?x=1#y", 'a("b")', "x" * 512, "invoke", "..."])
def test_odd_names_are_names_like_others(client: Client, component: str, name: str) -> None:
    path = worker_path(component, name)
    assert client.call(path, "increment").ok()["result"]["value"] == 1
    metadata = client.get(path).ok()
    assert metadata["workerId"] == {"componentId": component.rpartition("/")[2], "workerName": name}
    assert client.send("DELETE", path).ok() == {}


def test_a_resolved_function_can_be_named_without_its_braces_encoded(client: Client, worker: str) -> None:
    path = f"{worker}/invoke-and-await?x=1&function=golem:it/api.{{increment}}"
    assert client.post(path, {"params": []}).ok()["result"]["value"] == 1


def test_a_body_may_leave_params_out(client: Client, worker: str) -> None:
    path = f"{worker}/invoke-and-await?function=golem:it/api.{{increment}}"
    assert client.post(path, {"extra": 1}).ok()["result"]["value"] == 1
    assert client.post(path, {"params": None}).ok()["result"]["value"] == 2


@pytest.mark.parametrize(
    ("body", "headers", "status", "text"),
    [
        (b"", JSON, 400, "parse request payload error"),
        (b"[]", JSON, 400, "parse request payload error"),
        (b'{"params":', JSON, 400, "parse request payload error"),
        (b'{"params":{}}', JSON, 400, "$.params"),
        (b'{"params":["\xff"]}', JSON, 400, "parse request payload error"),
        (b'{"params":[1e400]}', JSON, 400, "parse request payload error"),
        (b'{"params":[' + b"[" * 100 + b"]" * 100 + b"]}", JSON, 400, "nested deeper than 64"),
        (b'{"params":[' + b"[" * 20_000 + b"]" * 20_000 + b"]}", JSON, 400, "nested deeper than 64"),
        (b'{"params":["' + b"x" * BODY_LIMIT + b'"]}', JSON, 413, "larger than"),
        (b'{"params":[]}', {}, 415, "application/json"),
        (b'{"params":[]}', {"content-type": "text/plain"}, 415, "text/plain"),
    ],
)
def test_a_bad_body_is_refused(
    client: Client, worker: str, body: bytes, headers: dict[str, str], status: int, text: str
) -> None:
    path = f"{worker}/invoke-and-await?function=golem:it/api.{{increment}}"
    client.send("POST", path, body, headers).refused(status, text)


def test_many_brackets_side_by_side_are_not_depth(client: Client, component: str) -> None:
    items = [[n, n / 2] for n in range(500)]
    assert client.call(f"{component}/workers/echo", "total", items).ok()["result"]["value"] == 500


def test_the_function_must_be_named(client: Client, worker: str) -> None:
    client.post(f"{worker}/invoke-and-await", {}).refused(400, "failed to parse parameter `function`")
    client.post(f"{worker}/invoke?function=%FF", {}).refused(400, "failed to parse parameter `function`")


def test_a_key_of_another_function_is_a_conflict(client: Client, worker: str) -> None:
    client.call(worker, "nothing", key="k").ok()
    client.call(worker, "total", [], key="k")
    client.call(worker, "echo-text", "x", key="t").ok()
    assert client.call(worker, "echo-text", "other", key="t").ok()["result"]["value"] == "x"


def test_the_answer_to_another_method_says_what_is_allowed(client: Client, worker: str) -> None:
    answer = client.get(f"{worker}/invoke-and-await?function=x")
    answer.refused(405)
    assert answer.headers["allow"] == "POST"


def test_a_page_of_another_site_may_invoke(client: Client, worker: str) -> None:
    path = f"{worker}/invoke-and-await?function=golem:it/api.{{increment}}"
    answer = client.post(path, {}, {"origin": "https://elsewhere.example"})
    assert answer.ok()["result"]["value"] == 1
    assert answer.headers["access-control-allow-origin"] == "https://elsewhere.example"


def test_an_invocation_without_a_key_gets_a_random_one(client: Client, worker: str) -> None:
    for _ in range(20):
        client.call(worker, "increment").ok()
    entries = [item["entry"] for item in client.get(f"{worker}/oplog").ok()["entries"]]
    keys = [entry["idempotencyKey"] for entry in entries if entry["type"] == "ExportedFunctionInvoked"]
    assert len(set(keys)) == 20
    assert all(UUID(key).version == 4 and str(UUID(key)) == key for key in keys)
