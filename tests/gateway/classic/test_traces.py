"""The trace of a request: taken from its headers, forced by a script, or new, and recorded with what it calls."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.guest import API
from tests.api.server import Client, ServerThread
from tests.gateway.classic.conftest import Api, route

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
FORCED = '{trace_id: request.headers.x-trace, span_id: "00f067aa0ba902b7", team: "shop"}'


@pytest.fixture(scope="module")
def api(server: ServerThread, client: Client) -> Api:
    """A route that follows its caller, and one that says which trace it is in."""
    name = client.create()["componentName"]
    response = f"let n = {API}.{{increment}}(); {{body: n}}"
    bound = {"component": name, "workerName": '"${request.path.w}"'}
    wrong = "let n: u32 = 1; {trace_id: n}"
    return Api(
        server,
        client,
        [
            route("Get", "/plain/{w}", response, **bound),
            route("Get", "/forced/{w}", response, invocationContext=FORCED, **bound),
            route("Get", "/wrong/{w}", response, invocationContext=wrong, **bound),
        ],
    )


def recorded(api: Api, worker: str) -> Any:
    """The first invocation of a worker, as its oplog has it."""
    name = api.definition["routes"][0]["binding"]["component"]["name"]
    listed = api.client.get("/v1/envs/784fc8da-0283-4042-baba-f0b13bb101d2/components").ok()
    component = next(each["componentId"] for each in listed if each["componentName"] == name)
    entries = api.client.get(f"/v1/components/{component}/workers/{worker}/oplog").ok()["entries"]
    return next(each["entry"] for each in entries if each["entry"]["type"] == "ExportedFunctionInvoked")


def attributes(span: Any) -> dict[str, str]:
    """The attributes of a span."""
    return {each["key"]: each["value"]["value"] for each in span["attributes"]}


def test_the_callers_trace_goes_on(api: Api) -> None:
    """Its span is the parent of the gateway's, in which the invocation lies."""
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=1"}
    assert api.call("GET", "/plain/followed?x=1", headers=headers).status == 200
    invocation = recorded(api, "followed")
    assert (invocation["traceId"], invocation["traceStates"]) == (TRACE, ["vendor=1"])
    _, gateway, caller = invocation["invocationContext"][0]
    assert caller == {"type": "ExternalSpan", "spanId": PARENT}
    assert gateway["parentId"] == PARENT
    assert attributes(gateway) == {
        "request.method": "GET",
        "request.remote_addr": "127.0.0.1",
        "request.uri": "/plain/followed?x=1",
    }


def test_a_request_without_a_trace_has_one_of_its_own(api: Api) -> None:
    """Also where what the caller sent is none."""
    for worker, headers in (("alone", {}), ("broken", {"traceparent": "00-xyz"})):
        assert api.call("GET", f"/plain/{worker}", headers=headers).status == 200
        invocation = recorded(api, worker)
        assert len(invocation["traceId"]) == 32
        assert len(invocation["invocationContext"][0]) == 2


def test_a_script_may_say_which_trace(api: Api) -> None:
    """Its ids win over the headers', and whatever else it says is an attribute."""
    forced = "1" * 32
    headers = {"x-trace": forced, "traceparent": f"00-{TRACE}-{PARENT}-01"}
    assert api.call("GET", "/forced/forced", headers=headers).status == 200
    invocation = recorded(api, "forced")
    assert invocation["traceId"] == forced
    _, gateway = invocation["invocationContext"][0]
    assert gateway["spanId"] == "00f067aa0ba902b7"
    assert attributes(gateway)["team"] == "shop"


def test_what_is_no_trace_is_refused(api: Api) -> None:
    """The text says what is wrong."""
    refused = api.call("GET", "/forced/never", headers={"x-trace": "short"})
    assert (refused.status, refused.body) == (400, b"Invocation context: trace_id must be 32 hexadecimal digits")
    wrong = api.call("GET", "/wrong/never")
    assert (wrong.status, wrong.body) == (400, b"Invocation context values must be string")
