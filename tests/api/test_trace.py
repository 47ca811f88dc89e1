"""A trace passes through: from the request's headers into the worker, its oplog, and out with its own requests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.api.server import Client
from tests.guests import build

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
CRASH = "golem:it/crash"


class Echo(ThreadingHTTPServer):
    """Answers every POST and keeps the headers of all."""

    def __init__(self) -> None:
        seen: list[dict[str, str]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                seen.append({name.lower(): value for name, value in self.headers.items()})
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                return

        super().__init__(("127.0.0.1", 0), Handler)
        self.seen = seen


@pytest.fixture
def echo() -> Iterator[Echo]:
    with Echo() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def entries(client: Client, worker: str, kind: str) -> list[Any]:
    page = client.get(f"{worker}/oplog?from=1&count=100").ok()
    return [item["entry"] for item in page["entries"] if item["entry"]["type"] == kind]


def step(client: Client, worker: str, echo: Echo, headers: dict[str, str]) -> None:
    path = f"{worker}/invoke-and-await?function={CRASH}.{{step}}"
    client.post(path, {"params": [1, f"127.0.0.1:{echo.server_port}"]}, headers).ok()


def test_a_trace_passes_through(client: Client, echo: Echo) -> None:
    worker = f"/v1/components/{client.create(build('crash'))['id']}/workers/w"
    step(client, worker, echo, {"traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": "a=1,b=2"})
    (started,) = entries(client, worker, "ExportedFunctionInvoked")
    assert (started["traceId"], started["traceStates"]) == (TRACE, ["a=1", "b=2"])
    own, caller = started["invocationContext"][0]
    assert caller == {"type": "ExternalSpan", "spanId": CALLER}
    assert (own["type"], own["parentId"], own["start"]) == ("LocalSpan", CALLER, started["timestamp"])
    attributes = {item["key"]: item["value"]["value"] for item in own["attributes"]}
    assert attributes["name"] == "invoke-exported-function"
    assert attributes["idempotency_key"] == started["idempotencyKey"]
    (span,) = entries(client, worker, "StartSpan")
    assert span["parentId"] == own["spanId"]
    (finish,) = entries(client, worker, "FinishSpan")
    assert finish["spanId"] == span["spanId"]
    (seen,) = echo.seen
    assert seen["traceparent"] == f"00-{TRACE}-{span['spanId']}-00"
    assert seen["tracestate"] == "a=1,b=2"


@pytest.mark.parametrize("headers", [{}, {"traceparent": "00-nonsense"}], ids=["none", "nonsense"])
def test_without_a_trace_each_invocation_begins_one(client: Client, echo: Echo, headers: dict[str, str]) -> None:
    worker = f"/v1/components/{client.create(build('crash'))['id']}/workers/w"
    step(client, worker, echo, headers)
    step(client, worker, echo, headers)
    first, second = entries(client, worker, "ExportedFunctionInvoked")
    assert len({first["traceId"], second["traceId"]}) == 2
    own, root = first["invocationContext"][0]
    assert own["parentId"] == root["spanId"]
    assert root["parentId"] is None
    assert [seen["traceparent"].split("-")[1] for seen in echo.seen] == [first["traceId"], second["traceId"]]
