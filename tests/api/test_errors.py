"""Every class of errors has its status and body; what nobody foresaw is told as little as possible."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, cast
from uuid import UUID

import pytest

from golem_server.api.application import Application, build_application
from golem_server.api.errors import UnsupportedMediaType, answer_of
from golem_server.api.services import ApiServices
from golem_server.model import errors
from golem_server.model.ids import ComponentId, WorkerId
from golem_server.telemetry import Metrics
from tests.api.server import COMPONENTS, Client

WORKER = WorkerId(ComponentId(UUID(int=1)), "w")
WORKER_JSON = {"componentId": str(UUID(int=1)), "workerName": "w"}

CASES: list[tuple[errors.GolemError, int, dict[str, Any] | None]] = [
    (errors.GolemError("m"), 500, {"type": "Unknown", "details": "m"}),
    (errors.InvalidInput("m"), 400, None),
    (errors.Unauthorized("m"), 401, None),
    (errors.Forbidden("m"), 403, None),
    (errors.NotFound("m"), 404, None),
    (errors.WorkerNotFound(WORKER), 404, None),
    (errors.Conflict("m"), 409, None),
    (errors.WorkerAlreadyExists(WORKER), 409, {"type": "WorkerAlreadyExists", "workerId": WORKER_JSON}),
    (errors.TooLarge("m"), 413, None),
    (UnsupportedMediaType("m"), 415, None),
    (errors.LimitExceeded("m"), 422, None),
    (errors.TooManyPending("m"), 429, None),
    (errors.Unavailable("m"), 503, None),
    (errors.OplogFenced("m"), 503, None),
    (errors.WorkerError("m"), 500, {"type": "Unknown", "details": "m"}),
    (errors.InvocationFailed("trap"), 500, {"type": "RuntimeError", "details": "trap"}),
    (errors.InvocationFailed("trap", "oh\n"), 500, {"type": "RuntimeError", "details": "trap\n\noh\n"}),
    (errors.PreviousInvocationFailed("trap", "oh"), 500, {"type": "PreviousInvocationFailed", "details": "trap"}),
    (errors.PreviousInvocationExited(), 500, {"type": "PreviousInvocationExited"}),
    (errors.WorkerExited(), 500, {"type": "RuntimeError", "details": "Process exited"}),
    (errors.WorkerInterrupted(), 500, {"type": "Interrupted", "recoverImmediately": False}),
    (errors.WorkerDeleted(), 500, {"type": "Unknown", "details": "Worker is being deleted"}),
    (
        errors.WorkerCreationFailed(WORKER, "why"),
        500,
        {"type": "WorkerCreationFailed", "workerId": WORKER_JSON, "details": "why"},
    ),
    (
        errors.FailedToResumeWorker(WORKER, "why"),
        500,
        {"type": "FailedToResumeWorker", "workerId": WORKER_JSON, "reason": {"type": "Unknown", "details": "why"}},
    ),
    (errors.UnexpectedOplogEntry("A", "B"), 500, {"type": "UnexpectedOplogEntry", "expected": "A", "got": "B"}),
    (errors.InvalidWorkerRequest("why"), 400, {"type": "InvalidRequest", "details": "why"}),
]


@pytest.mark.parametrize(("error", "status", "golem_error"), CASES, ids=lambda case: type(case).__name__)
def test_each_error_has_its_status_and_body(
    error: errors.GolemError, status: int, golem_error: dict[str, Any] | None
) -> None:
    answer = answer_of(error)
    assert answer is not None
    body = json.loads(answer.body)
    assert answer.status == status
    assert (body["error"], body["code"]) == (error.message, error.code)
    assert body.get("golemError") == golem_error
    assert ("workerError" in body) == (status == 500)
    assert ("errors" in body) == (status == 400)
    assert ("retry-after" in answer.headers) == (status in (429, 503))


def test_the_table_above_knows_all_errors() -> None:
    def family(base: type[errors.GolemError]) -> set[type[errors.GolemError]]:
        return {base}.union(*(family(each) for each in base.__subclasses__()))

    ours = {each for each in family(errors.GolemError) if each.__module__ == errors.__name__}
    assert ours <= {type(error) for error, _, _ in CASES}


def test_several_faults_are_told_one_by_one() -> None:
    answer = answer_of(errors.InvalidInput("a, b", details=["a", "b"]))
    assert answer is not None
    assert json.loads(answer.body) == {"error": "a, b", "errors": ["a", "b"], "code": "VALIDATION_ERROR"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v1/nothing", 404),
        ("GET", COMPONENTS + "/", 404),
        ("PUT", COMPONENTS, 405),
        ("HEAD", COMPONENTS, 405),
        ("GET", "/v1/components//workers/w", 404),
    ],
)
def test_what_no_route_takes_is_answered_in_json(client: Client, method: str, path: str, status: int) -> None:
    answer = client.send(method, path)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/json"
    assert method == "HEAD" or answer.json["error"]


def test_pages_of_other_sites_may_call_with_credentials(client: Client) -> None:
    asked = {"origin": "https://elsewhere.example", "access-control-request-method": "POST"}
    answer = client.send(
        "OPTIONS", f"{COMPONENTS}", headers={**asked, "access-control-request-headers": "authorization"}
    )
    assert answer.status == 200
    assert answer.headers["access-control-allow-origin"] == "https://elsewhere.example"
    assert answer.headers["access-control-allow-credentials"] == "true"
    for path in (COMPONENTS, "/v1/nothing"):
        answer = client.get(path, origin="https://elsewhere.example")
        assert answer.headers["access-control-allow-origin"] == "https://elsewhere.example"


class BrokenTokens:
    """Fails in a way that nobody foresaw."""

    async def authenticate(self, _secret: str | None) -> object:
        raise ZeroDivisionError("a secret detail")


async def ask(application: Application, method: str, path: str) -> tuple[int, bytes]:
    """One request, without a server."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "headers": [],
    }
    await application(scope, receive, send)
    return sent[0]["status"], sent[1]["body"]


@pytest.mark.parametrize("path", [COMPONENTS, f"/v1/components/{UUID(int=1)}/workers/w/invoke"])
async def test_an_unforeseen_error_is_logged_and_counted_and_tells_nothing(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = Metrics()
    services = cast(ApiServices, type("Services", (), {"tokens": BrokenTokens(), "metrics": metrics}))

    @asynccontextmanager
    async def open_services() -> AsyncGenerator[ApiServices]:
        yield services

    application = build_application(open_services)
    application.framework.state.services = services
    with caplog.at_level(logging.ERROR):
        status, body = await ask(application, "POST", path)
    assert (status, json.loads(body)) == (500, {"error": "Internal error", "code": "INTERNAL_UNKNOWN"})
    assert any(record.exc_info and "a secret detail" in str(record.exc_info[1]) for record in caplog.records)
    assert b'golem_errors_total{kind="request"} 1.0' in metrics.render()
