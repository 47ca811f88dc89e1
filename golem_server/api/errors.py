"""Errors as answers: one table from the classes of errors to status codes, and one body that suits all clients.

The body is the superset of reference rest-api, section 2: `error` and `code` always, `errors` on 400, `golemError` and
`workerError` where something about a worker failed. No answer ever shows a traceback or the text of an unexpected
error: those are logged and counted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from golem_server.model.errors import (
    Conflict,
    FailedToResumeWorker,
    Forbidden,
    GolemError,
    InvalidInput,
    InvalidWorkerRequest,
    InvocationFailed,
    LimitExceeded,
    NotFound,
    PreviousInvocationExited,
    PreviousInvocationFailed,
    TooLarge,
    TooManyPending,
    Unauthorized,
    Unavailable,
    UnexpectedOplogEntry,
    WorkerAlreadyExists,
    WorkerCreationFailed,
    WorkerError,
    WorkerExited,
    WorkerInterrupted,
)
from golem_server.model.ids import WorkerId

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 1


class UnsupportedMediaType(GolemError):
    """The body has a content type that the operation does not take."""

    code = "VALIDATION_ERROR"


STATUS: dict[type[GolemError], int] = {
    InvalidInput: 400,
    Unauthorized: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    TooLarge: 413,
    UnsupportedMediaType: 415,
    LimitExceeded: 422,
    TooManyPending: 429,
    # Golem answers 500, which its own client takes for a fault that passes, and asks again.
    InvalidWorkerRequest: 400,
    WorkerError: 500,
    Unavailable: 503,
    GolemError: 500,
}
"""The status of each class of errors; a class that is not listed has that of its nearest base."""

_RETRY_LATER = frozenset({429, 503})

_FRAMEWORK_CODES = {404: "RESOURCE_NOT_FOUND", 413: "REQUEST_PAYLOAD_TOO_LARGE"}

_encode = msgspec.json.Encoder().encode


class ErrorAnswer(NamedTuple):
    """An error, ready to be sent."""

    status: int
    headers: dict[str, str]
    body: bytes

    def response(self) -> Response:
        """The answer as the framework sends it."""
        return Response(self.body, self.status, self.headers, "application/json")


def status_of(error: GolemError) -> int:
    """The status that tells of the error."""
    return next(STATUS[base] for base in type(error).__mro__ if base in STATUS)


def answer_of(error: Exception) -> ErrorAnswer | None:
    """The answer for an expected error; None for one that nobody foresaw, or that is a bug."""
    if isinstance(error, GolemError):
        status = status_of(error)
        headers: dict[str, str] = {}
        if status in _RETRY_LATER:
            headers["retry-after"] = str(RETRY_AFTER_SECONDS)
        elif status == 401:
            headers["www-authenticate"] = "Bearer"
        return ErrorAnswer(status, headers, _encode(_body(error, status)))
    if isinstance(error, RequestValidationError):
        return answer_of(_invalid_parameters(error))
    if isinstance(error, HTTPException):
        code = _FRAMEWORK_CODES.get(error.status_code, "VALIDATION_ERROR")
        body: dict[str, Any] = {"error": str(error.detail), "code": code}
        if error.status_code == 400:
            body["errors"] = [body["error"]]
        return ErrorAnswer(error.status_code, dict(error.headers or {}), _encode(body))
    if isinstance(error, ClientDisconnect):
        # Nobody is there to read it; what matters is that it does not count as a bug.
        return answer_of(InvalidInput("The request ended before its body did"))
    return None


def unexpected(error: Exception, count: Callable[[str], None]) -> ErrorAnswer:
    """The answer for an error that is a bug of ours; it is logged and counted here."""
    count("request")
    log.error("a request failed", exc_info=error)
    return ErrorAnswer(500, {}, b'{"error":"Internal error","code":"INTERNAL_UNKNOWN"}')


async def answer_error(request: Request, error: Exception) -> Response:
    """The framework's handler for all errors."""
    answer = answer_of(error) or unexpected(error, request.app.state.services.metrics.error)
    return answer.response()


def _invalid_parameters(error: RequestValidationError) -> InvalidInput:
    details = [
        f"failed to parse parameter `{'.'.join(map(str, fault['loc'][1:]))}`: {fault['msg']}"
        for fault in error.errors()
    ]
    return InvalidInput(", ".join(details), details=details)


def _body(error: GolemError, status: int) -> dict[str, Any]:
    body: dict[str, Any] = {"error": error.message, "code": error.code}
    if isinstance(error, InvalidInput):
        body["error"] = ", ".join(error.details) or error.message
        body["errors"] = list(error.details) or [error.message]
    elif status == 400:
        body["errors"] = [error.message]
    if isinstance(error, WorkerError):
        body["golemError"] = golem_error(error)
        if status == 500:
            body["workerError"] = None
        if isinstance(error, InvocationFailed | PreviousInvocationFailed):
            body["workerError"] = {"cause": error.cause, "stderr": error.stderr}
    elif isinstance(error, WorkerAlreadyExists):
        body["golemError"] = golem_error(error)
    elif status == 500:
        body["golemError"] = {"type": "Unknown", "details": error.message}
        body["workerError"] = None
    return body


def golem_error(error: GolemError) -> dict[str, Any]:
    """The error as older clients read it, tagged by `type`."""
    match error:
        case InvalidWorkerRequest():
            return {"type": "InvalidRequest", "details": error.details}
        case InvocationFailed():
            details = f"{error.cause}\n\n{error.stderr}" if error.stderr else error.cause
            return {"type": "RuntimeError", "details": details}
        case PreviousInvocationFailed():
            return {"type": "PreviousInvocationFailed", "details": error.cause}
        case PreviousInvocationExited():
            return {"type": "PreviousInvocationExited"}
        case WorkerExited():
            return {"type": "RuntimeError", "details": error.message.removeprefix("Runtime error: ")}
        case WorkerInterrupted():
            return {"type": "Interrupted", "recoverImmediately": False}
        case WorkerCreationFailed():
            return {"type": "WorkerCreationFailed", "workerId": _worker(error.worker_id), "details": error.details}
        case FailedToResumeWorker():
            reason = {"type": "Unknown", "details": error.reason}
            return {"type": "FailedToResumeWorker", "workerId": _worker(error.worker_id), "reason": reason}
        case UnexpectedOplogEntry():
            return {"type": "UnexpectedOplogEntry", "expected": error.expected, "got": error.got}
        case WorkerAlreadyExists():
            return {"type": "WorkerAlreadyExists", "workerId": _worker(error.worker_id)}
        case _:
            return {"type": "Unknown", "details": error.message}


def _worker(worker_id: object) -> dict[str, str]:
    if isinstance(worker_id, WorkerId):
        return {"componentId": str(worker_id.component_id), "workerName": worker_id.name}
    return {"workerName": str(worker_id)}
