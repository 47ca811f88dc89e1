"""The default binding over a real socket: requests become calls of workers, and results responses."""

from __future__ import annotations

import json
import socket

import pytest

from tests.api.guest import API
from tests.api.server import Client, ServerThread
from tests.gateway.classic.conftest import BODY_LIMIT, Api, route

QUERY = "let n: u8 = request.query.n; let f: bool = request.query.flag; {body: {n: n, f: f}}"
BYTES = 'let x: list<u8> = [104, 105]; {headers: {Content-Type: "text/plain"}, body: x}'
EVIL = '{headers: {X-Evil: request.headers.x-evil, Connection: "upgrade", Content-Length: "5"}, body: "fine"}'
SPLIT = """{headers: {X-Evil: "a
Set-Cookie: b"}, body: "x"}"""
NAMED = '"w-${request.path.name}"'


@pytest.fixture(scope="module")
def api(server: ServerThread, client: Client) -> Api:
    """Routes in front of the tests' guest."""
    name = client.create()["componentName"]
    call = f"{API}.{{increment}}()"

    def bound(method: str, path: str, response: str, **binding: str) -> dict[str, object]:
        return route(method, path, response, component=name, **{"workerName": NAMED, **binding})

    return Api(
        server,
        client,
        [
            bound("Post", "/count/{name}", f"let n = {call}; {{status: 201, headers: {{X-Count: n}}, body: n}}"),
            bound("Post", "/twice/{name}", f"let a = {call}; let b = {call}; {{body: [a, b]}}"),
            bound("Get", "/text/{name}", f'let t = {API}.{{echo-text}}("hi ${{request.path.name}}"); t'),
            bound("Post", "/sum/{name}", f"let items: list<tuple<u32, f64>> = request.body; {API}.{{total}}(items)"),
            bound("Get", "/query/{name}?{n}&{flag}", QUERY),
            bound("Get", "/header/{name}", "request.headers.X-Asked"),
            bound("Post", "/fail/{name}", f"{API}.{{fail}}()"),
            bound("Post", "/nothing/{name}", f"{API}.{{nothing}}()"),
            bound("Get", "/rest/{name}/{+more}", "request.path.more"),
            bound("Get", "/option/{name}", "let x: option<string> = none; {body: x}"),
            bound("Get", "/bytes/{name}", BYTES),
            bound("Get", "/evil/{name}", EVIL),
            bound("Get", "/split/{name}", SPLIT),
            bound("Get", "/status/{name}?{s}", 'let s: u32 = request.query.s; {status: s, body: "x"}'),
        ],
    )


def test_a_result_becomes_a_response(api: Api) -> None:
    """Status, headers and body are what the script says."""
    answer = api.call("POST", "/count/a")
    assert (answer.status, answer.json, answer.headers["x-count"]) == (201, 1, "1")
    assert api.call("POST", "/count/a").json == 2
    assert api.call("POST", "/count/b").json == 1


def test_the_same_key_gives_the_same_answers(api: Api) -> None:
    """Each call of a script has a key of its own, made of the request's."""
    key = {"idempotency-key": "k1"}
    assert api.call("POST", "/twice/keyed", headers=key).json == [1, 2]
    assert api.call("POST", "/twice/keyed", headers=key).json == [1, 2]
    assert api.call("POST", "/twice/keyed").json == [3, 4]


def test_the_api_port_answers_for_deployed_hosts(api: Api) -> None:
    """By its Host header a deployed API is found there too, and the API itself under the machine's own names."""
    answer = api.at_api_port.send("POST", "/count/by-host", headers={"host": api.host})
    assert (answer.status, answer.json) == (201, 1)
    assert api.at_api_port.send("GET", "/healthcheck", headers={"host": "other.example.com"}).status == 200
    assert api.deployed.send("GET", "/healthcheck", headers={"host": "other.example.com"}).status == 404


def test_parts_of_a_request_have_types(api: Api) -> None:
    """What does not fit is refused with a text that names it."""
    assert api.call("GET", "/query/a?n=7&flag=true").json == {"n": 7, "f": True}
    refused = api.call("GET", "/query/a?n=300&flag=true")
    assert (refused.status, refused.body) == (
        400,
        b"invalid http request query. Invalid value for key n. Expected number, Found 300",
    )
    assert api.call("GET", "/query/a?n=1").body == b"invalid http request query. Missing query parameter: flag"
    assert api.call("GET", "/header/a").body == b"invalid http request header. missing header: X-Asked"
    assert api.call("GET", "/header/a", headers={"x-asked": "yes"}).body == b"yes"


def test_bodies_have_types(api: Api) -> None:
    """A JSON body is read as what the script wants of it."""
    assert api.call("POST", "/sum/a", [[1, 2.5], [2, 1]]).json == 2
    refused = api.call("POST", "/sum/a", [["x", 1]])
    assert refused.status == 400
    assert refused.body.decode() == (
        "invalid http request body\ninvalid value for key [0][0]: expected u32, found string\n"
        "expected request body: list<tuple<u32, f64>>"
    )
    assert b"Request body parse error" in api.call("POST", "/sum/a", raw=b"[1").body
    assert api.call("POST", "/sum/a", raw=b"[" * 1000 + b"]" * 1000).status == 400
    assert api.call("POST", "/sum/a", raw=b" " * (BODY_LIMIT + 1)).status == 413


@pytest.mark.parametrize(
    ("accept", "body", "content_type"),
    [
        (None, b"hi a", "application/json"),
        ("*/*", b'"hi a"', "application/json"),
        ("application/json", b'"hi a"', "application/json"),
        ("text/plain", b"hi a", "text/plain"),
        ("text/html,application/xhtml+xml", b"hi a", "text/html"),
    ],
)
def test_a_text_is_what_the_caller_accepts(api: Api, accept: str | None, body: bytes, content_type: str) -> None:
    """Raw, or as JSON where JSON is acceptable."""
    answer = api.call("GET", "/text/a", headers={} if accept is None else {"accept": accept})
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, body, content_type)


def test_what_cannot_be_carried_is_refused(api: Api) -> None:
    """A number is JSON or nothing."""
    answer = api.call("POST", "/count/x", headers={"accept": "text/plain"})
    assert (answer.status, answer.body) == (
        400,
        b"Failed to map input type u64 to any of the expected content types: text/plain",
    )
    assert api.call("GET", "/text/a", headers={"accept": "image/webp"}).status == 400


def test_values_without_a_body(api: Api) -> None:
    """A call that gives nothing is an empty answer; an absent option is null."""
    nothing = api.call("POST", "/nothing/a")
    assert (nothing.status, nothing.body, "content-type" in nothing.headers) == (200, b"", False)
    assert api.call("GET", "/option/a").body == b"null"


def test_bytes_and_remaining_segments(api: Api) -> None:
    """Bytes are sent as they are; a catch-all variable has the rest of the path, decoded."""
    answer = api.call("GET", "/bytes/a")
    assert (answer.body, answer.headers["content-type"]) == (b"hi", "text/plain")
    assert api.call("GET", "/rest/a/b/c%20d%2Fe", headers={"accept": "text/plain"}).body == b"b/c d/e"


def test_a_failed_worker_is_a_plain_500(api: Api) -> None:
    """The text says which function failed, and nothing of the server's inside."""
    answer = api.call("POST", "/fail/failing")
    assert answer.status == 500
    assert answer.body.startswith(b"failed to invoke function")
    assert b"Traceback" not in answer.body
    assert b".py" not in answer.body


def test_no_script_breaks_the_response(api: Api) -> None:
    """The length is the body's, and the headers of the connection are the server's."""
    answer = api.call("GET", "/evil/a", headers={"x-evil": "plain", "accept": "text/plain"})
    assert (answer.status, answer.body) == (200, b"fine")
    assert answer.headers["content-length"] == "4"
    assert answer.headers.get("connection") != "upgrade"
    split = api.call("GET", "/split/a", headers={"accept": "text/plain"})
    assert (split.status, "set-cookie" in split.headers) == (500, False)
    assert split.body == b"The response has a header with a character that is not allowed: X-Evil"


@pytest.mark.parametrize("status", ["100", "99", "600", "1000"])
def test_a_status_must_be_one(api: Api, status: str) -> None:
    """Anything else is an error of the script."""
    assert api.call("GET", f"/status/a?s={status}").status == 500


def test_statuses_and_methods(api: Api) -> None:
    """What no route has is not found; HEAD and OPTIONS are not made up."""
    assert api.call("GET", "/status/a?s=404", headers={"accept": "*/*"}).status == 404
    for method, path in (("GET", "/none"), ("HEAD", "/text/a"), ("OPTIONS", "/text/a"), ("GET", "/")):
        assert api.call(method, path).status == 404, (method, path)


def test_a_request_without_a_host(api: Api) -> None:
    """HTTP/1.0 has no Host header."""
    with socket.create_connection(("127.0.0.1", api.deployed.port)) as connection:
        connection.sendall(b"GET /text/a HTTP/1.0\r\n\r\n")
        connection.settimeout(10)
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert b" 400 " in answer.split(b"\r\n")[0]
    assert answer.endswith(b"No host header provided")


def test_the_definition_tells_what_was_understood(api: Api) -> None:
    """The resolved version, the types of the request and of the response."""
    shown = api.definition["routes"][0]
    assert shown["method"] == "Post"
    binding = shown["binding"]
    assert binding["component"]["version"] == 0
    assert binding["responseMappingOutput"]["analysedType"]["type"] == "Record"
    assert json.dumps(binding["workerNameInput"]["types"]).count('"name"') == 3
