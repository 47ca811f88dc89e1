"""The bindings for whole requests, for files and for preflights, over a real socket."""

from __future__ import annotations

import json
from typing import Any

import pytest
from wasmtime import wat2wasm

from tests.api.server import Client, ServerThread
from tests.api.test_worker_files import zipped
from tests.gateway.classic.conftest import BODY_LIMIT, Api, route
from tests.guests import build
from tests.guests.http_server import HTTP_SERVER

FILES = "golem:it/files"


@pytest.fixture(scope="module")
def handler(server: ServerThread, client: Client) -> Api:
    """Everything below /h goes to a guest that handles HTTP."""
    name = client.create(bytes(wat2wasm(HTTP_SERVER)))["componentName"]
    named = {"component": name, "bindingType": "http-handler", "workerName": '"w-${request.headers.x-worker}"'}
    return Api(server, client, [route(method, "/h/{+rest}", **named) for method in ("Post", "Put", "Get")])


def test_a_request_goes_to_the_worker_as_it_is(handler: Api) -> None:
    """The guest counts its requests and answers with the body that it got."""
    first = handler.call("POST", "/h/a?b=c", raw=b"one", headers={"x-worker": "a"})
    assert (first.status, first.body) == (201, b"one")
    second = handler.call("PUT", "/h/x/y", raw=b"two", headers={"x-worker": "a"})
    assert (second.status, second.body) == (202, b"two")


def test_a_repeated_request_with_a_key_is_not_run_again(handler: Api) -> None:
    """The answer of the first one comes again."""
    keyed = {"x-worker": "keyed", "idempotency-key": "k"}
    for _ in range(2):
        assert handler.call("POST", "/h/a", raw=b"one", headers=keyed).status == 201
    assert handler.call("POST", "/h/a", raw=b"one", headers={"x-worker": "keyed"}).status == 202


def test_a_handler_s_body_is_bounded(handler: Api) -> None:
    """The limit holds before the worker sees anything."""
    too_large = handler.call("POST", "/h/a", raw=b"x" * (BODY_LIMIT + 1), headers={"x-worker": "large"})
    assert too_large.status == 413
    assert handler.call("POST", "/h/a", raw=b"x", headers={"x-worker": "large"}).status == 201


def test_a_component_that_handles_nothing_is_refused(client: Client) -> None:
    """Which can be told when the definition is written."""
    name = client.create()["componentName"]
    routes = [route("Get", "/", component=name, bindingType="http-handler")]
    client.post("/v1/api/definitions", {"id": "no-handler", "version": "1", "routes": routes}).refused(
        400, "Error in endpoint GET /: "
    )


@pytest.fixture(scope="module")
def files(server: ServerThread, client: Client) -> Api:
    """A worker's files, by name and by what a script says of them."""
    permissions = {"values": [{"path": "/own.txt", "permissions": "read-write"}]}
    parts = {
        "name": "gateway-files",
        "component": build("files"),
        "files": zipped(data__page_html="<p>hi</p>", own_txt="own", big_bin=bytes(300_000)),
        "filesPermissions": json.dumps(permissions),
    }
    client.form("POST", "/v1/envs/784fc8da-0283-4042-baba-f0b13bb101d2/components", parts).ok()

    def served(path: str, response: str, worker: str = '"shelf"') -> Any:
        return route("Get", path, response, component="gateway-files", bindingType="file-server", workerName=worker)

    append = '{FILES}.{append}("own.txt", request.body)'.replace("{FILES}", FILES)
    return Api(
        server,
        client,
        [
            served("/files/{+file}", "request.path.file"),
            served("/described", '{file-path: "/data/page.html", status: 203, headers: {Content-Type: "text/x-page"}}'),
            served("/number", "let x: u32 = 1; x"),
            served("/refused", 'let r: result<string, string> = err("no such shelf"); r'),
            route("Post", "/append", f"let r = {append}; 1", component="gateway-files", workerName='"shelf"'),
        ],
    )


def test_files_that_are_fixed_and_files_that_change(files: Api) -> None:
    """A fixed file needs no worker; another one is read between the worker's invocations."""
    page = files.call("GET", "/files/data/page.html")
    assert (page.status, page.body, page.headers["content-type"]) == (200, b"<p>hi</p>", "text/html")
    assert files.call("GET", "/files/own.txt").body == b"own"
    assert files.call("POST", "/append", " and more").status == 200
    assert files.call("GET", "/files/own.txt").body == b"own and more"
    big = files.call("GET", "/files/big.bin")
    assert (len(big.body), big.headers["content-type"]) == (300_000, "application/octet-stream")


def test_a_script_may_say_more_of_a_file(files: Api) -> None:
    """Its status and content type."""
    answer = files.call("GET", "/described")
    assert (answer.status, answer.headers["content-type"]) == (203, "text/x-page")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/files/none.txt", 404),
        ("/files/data", 400),
        ("/files/../../etc/passwd", 404),
        ("/files/%2e%2e/%2e%2e/etc/passwd", 404),
        ("/files/..%2f..%2fetc%2fpasswd", 404),
        ("/files/a%00b", 404),
        ("/number", 400),
        ("/refused", 400),
    ],
)
def test_what_is_no_file_of_the_worker(files: Api, path: str, status: int) -> None:
    """No path leads out of the worker's folder."""
    answer = files.call("GET", path)
    assert answer.status == status, answer.body
    assert b"root:" not in answer.body


@pytest.fixture(scope="module")
def cross_origin(server: ServerThread, client: Client) -> Api:
    """Routes with rules for other origins, and one without."""
    name = client.create()["componentName"]
    policy = '{Access-Control-Allow-Origin: "https://shop.example, https://*.test.example", Access-Control-Max-Age: 60}'
    get = {"component": name, "workerName": '"w"'}
    return Api(
        server,
        client,
        [
            route("Options", "/a/{x}", policy, bindingType="cors-preflight"),
            route("Get", "/a/{y}", '{body: "fine"}', **get),
            route("Post", "/a/{y}", "let n: u32 = request.body; {body: n}", **get),
            route("Options", "/any", bindingType="cors-preflight"),
            route("Get", "/any", '{body: "fine"}', **get),
            route("Get", "/none", '{body: "fine"}', **get),
        ],
    )


def test_preflights_say_what_is_configured(cross_origin: Api) -> None:
    """With the defaults, and with a list of origins, of which a browser gets its own."""
    answer = cross_origin.call("OPTIONS", "/any", headers={"origin": "https://x.example"})
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-methods"] == "GET, POST, PUT, DELETE, OPTIONS"
    assert answer.headers["access-control-allow-headers"] == "Content-Type, Authorization"
    listed = cross_origin.call("OPTIONS", "/a/1", headers={"origin": "https://b.test.example"})
    assert listed.headers["access-control-allow-origin"] == "https://b.test.example"
    assert listed.headers["access-control-max-age"] == "60"


def test_requests_from_other_origins_are_held_to_it(cross_origin: Api) -> None:
    """Those that are not allowed are refused; the others get the headers, also with an error."""
    refused = cross_origin.call("GET", "/a/1", headers={"origin": "https://evil.example"})
    assert (refused.status, refused.body) == (403, b"CORS Error: Origin not allowed")
    assert "access-control-allow-origin" not in refused.headers
    allowed = cross_origin.call("GET", "/a/1", headers={"origin": "https://shop.example"})
    assert allowed.status == 200
    assert allowed.headers["access-control-allow-origin"] == "https://shop.example"
    failed = cross_origin.call("POST", "/a/1", "x", headers={"origin": "https://shop.example"})
    assert (failed.status, failed.headers["access-control-allow-origin"]) == (400, "https://shop.example")
    assert cross_origin.call("GET", "/a/1").headers.get("access-control-allow-origin") is None
    assert cross_origin.call("GET", "/none", headers={"origin": "https://evil.example"}).status == 200
    assert (
        cross_origin.call("GET", "/any", headers={"origin": "https://x"}).headers["access-control-allow-origin"] == "*"
    )


@pytest.mark.parametrize(
    ("method", "response", "reason"),
    [
        ("Get", None, "must be on an OPTIONS route"),
        ("Options", '{X-Other: "a"}', "X-Other is no header of a preflight"),
        ("Options", '"a"', "must be a record"),
        ("Options", '{Access-Control-Max-Age: "soon"}', "must be a number of seconds"),
        ("Options", "{Access-Control-Allow-Origin: request.path.x}", "Invalid rib"),
    ],
)
def test_rules_that_cannot_be(client: Client, method: str, response: str | None, reason: str) -> None:
    """Are refused when the definition is written."""
    routes = [route(method, "/x/{x}", response, bindingType="cors-preflight")]
    answer = client.post("/v1/api/definitions", {"id": "no-cors", "version": "1", "routes": routes})
    if reason == "Invalid rib":
        answer.refused(400, "Error in endpoint OPTIONS /x/{x}")
    else:
        answer.refused(400, reason)
