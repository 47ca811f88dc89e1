"""The gateway as an ASGI application: the site of a request's host answers, and whatever happens the caller is told.

Nothing of the server's inside is in an answer: what nobody foresaw is logged and counted, and the caller gets 500
(reference: gateway, section 1.14).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus

from golem_server.asgi import BodyTooLarge, ClientLeft, Receive, Scope, Send
from golem_server.gateway.failures import RequestFailed
from golem_server.gateway.requests import GatewayRequest
from golem_server.gateway.responses import GatewayResponse, ResponseRefused, send_response, text_response
from golem_server.gateway.sites import Site, Sites
from golem_server.model.errors import (
    Conflict,
    GolemError,
    InvalidInput,
    NotFound,
    TooManyPending,
    Unavailable,
    WorkerError,
)

_log = logging.getLogger(__name__)

_STATUS: tuple[tuple[type[GolemError], HTTPStatus], ...] = (
    (NotFound, HTTPStatus.NOT_FOUND),
    (InvalidInput, HTTPStatus.BAD_REQUEST),
    (Conflict, HTTPStatus.CONFLICT),
    (TooManyPending, HTTPStatus.TOO_MANY_REQUESTS),
    (Unavailable, HTTPStatus.SERVICE_UNAVAILABLE),
    (WorkerError, HTTPStatus.INTERNAL_SERVER_ERROR),
    (GolemError, HTTPStatus.INTERNAL_SERVER_ERROR),
)


class Gateway:
    """Answers requests to deployed APIs. `count_error` counts what nobody foresaw."""

    def __init__(self, sites: Sites, max_body: int, count_error: Callable[[str], None]) -> None:
        self.sites = sites
        self._max_body = max_body
        self._count_error = count_error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, whatever its host."""
        request = GatewayRequest.of(scope, receive, self._max_body)
        try:
            site = await self._site(request)
        except Unavailable as error:
            await send_response(_failure(error), request.method, send)
            return
        if request.host is None:
            await send_response(text_response(400, "No host header provided"), request.method, send)
        elif site is None:
            await send_response(text_response(404, "Route not found"), request.method, send)
        else:
            await self.answer(site, request, send)

    async def _site(self, request: GatewayRequest) -> Site | None:
        """The site of the host that a proxy was asked for, else of the host that it, or the caller, asks for."""
        for host in (request.forwarded_host, request.host):
            site = None if host is None else await self.sites.find(host)
            if site is not None:
                return site
        return None

    async def serve(self, site: Site, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request to a site that was found."""
        await self.answer(site, GatewayRequest.of(scope, receive, self._max_body), send)

    async def answer(self, site: Site, request: GatewayRequest, send: Send) -> None:
        """Let a site answer a request, and send what comes of it."""
        try:
            response = await self._response(site, request)
            await send_response(response, request.method, send)
        except ClientLeft:
            return
        except ResponseRefused as refused:
            await send_response(text_response(500, str(refused)), request.method, send)

    async def _response(self, site: Site, request: GatewayRequest) -> GatewayResponse:
        try:
            return await site.answer(request)
        except RequestFailed as failure:
            return failure.response()
        except BodyTooLarge as error:
            return text_response(413, str(error))
        except GolemError as error:
            return _failure(error)
        except ClientLeft:
            raise
        except Exception as error:
            self._count_error("gateway")
            _log.error("a request to a deployed API failed", exc_info=error)
            return text_response(500, "Internal error")


def _failure(error: GolemError) -> GatewayResponse:
    status = next(status for kind, status in _STATUS if isinstance(error, kind))
    response = text_response(status, error.message)
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        response.headers.append(("retry-after", "1"))
    return response
