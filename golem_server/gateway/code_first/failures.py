"""What a caller is told when a request comes to nothing: JSON with a stable code (reference: gateway, section 3.4).

400 is `{"code", "errors": [text]}`, everything else `{"code", "error"}`; a failed invocation adds as `workerError` what
the agent gave up with.
"""

from __future__ import annotations

import logging
from typing import Any

from golem_server.asgi import BodyTooLarge
from golem_server.gateway.responses import GatewayResponse, json_response
from golem_server.model.errors import (
    Conflict,
    GolemError,
    InvocationFailed,
    PreviousInvocationFailed,
    TooManyPending,
    Unavailable,
    WorkerError,
)

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 1


class RequestFailure(Exception):
    """A request cannot be answered as it is."""

    def __init__(self, status: int, code: str, *errors: str, more: dict[str, Any] | None = None) -> None:
        super().__init__("; ".join(errors))
        self.status = status
        self.code = code
        self.errors = errors
        self.more = more or {}

    def response(self) -> GatewayResponse:
        """The answer."""
        told = {"errors": list(self.errors)} if self.status == 400 else {"error": "; ".join(self.errors)}
        response = json_response(self.status, {"code": self.code, **told, **self.more})
        if self.status in (429, 503):
            response.headers.append(("retry-after", str(RETRY_AFTER_SECONDS)))
        return response


def route_not_found() -> RequestFailure:
    """Nothing is deployed at the domain, or nothing there takes the request: the same to somebody outside."""
    return RequestFailure(404, "ROUTE_NOT_FOUND", "Route not found")


def failure_of(error: Exception) -> RequestFailure:
    """What to tell of an error that came up while a request was answered; those that nobody foresaw are logged."""
    match error:
        case RequestFailure():
            return error
        case BodyTooLarge():
            return RequestFailure(413, "REQUEST_PAYLOAD_TOO_LARGE", str(error))
        case InvocationFailed() | PreviousInvocationFailed():
            return agent_failed(error.message, error.cause, error.stderr)
        case WorkerError():
            return agent_failed(error.message, error.message)
        case Unavailable():
            return RequestFailure(503, error.code, error.message)
        case TooManyPending():
            return RequestFailure(429, error.code, error.message)
        case Conflict():
            return RequestFailure(409, error.code, error.message)
        case GolemError():
            # The request was read and found right: what is wrong now is the deployment's.
            return RequestFailure(500, "INTERNAL_ROUTING_FAILURE", error.message)
        case _:
            log.error("a request failed", exc_info=error)
            return RequestFailure(500, "INTERNAL_UNKNOWN", "Internal error")


def agent_failed(message: str, cause: str, stderr: str = "") -> RequestFailure:
    """An invocation has failed, for whatever reason."""
    worker_error = {"cause": cause, "stderr": stderr}
    return RequestFailure(500, "INTERNAL_AGENT_EXECUTION_FAILED", message, more={"workerError": worker_error})
