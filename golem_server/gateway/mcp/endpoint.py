"""The MCP endpoint as an ASGI application: `/mcp` at every host, over streamable HTTP.

The host decides what is offered, as for deployed HTTP APIs. A domain without a deployment offers nothing, and says so
to those who initialize; a domain whose agents have a security scheme is closed to callers without a token of its
provider, and tells them how to get one (oauth/; reference: gateway, section 3.8).
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.middleware.cors import CORSMiddleware

from golem_server.asgi import ClientLeft, Receive, Scope, Send
from golem_server.gateway.mcp.authentication import BearerTokens
from golem_server.gateway.mcp.catalogue import Catalogue
from golem_server.gateway.mcp.domains import McpDomains
from golem_server.gateway.mcp.oauth.authorization import MAX_BODY, PAGES, Authorization
from golem_server.gateway.mcp.protocol import CATALOGUE, McpProtocol
from golem_server.gateway.requests import GatewayRequest
from golem_server.gateway.responses import GatewayResponse, json_response, send_response
from golem_server.model.errors import Unavailable

PATH = "/mcp"

_METHODS = ("GET", "POST", "DELETE", "OPTIONS")
_REQUEST_HEADERS = (
    "Content-Type",
    "Authorization",
    "Mcp-Session-Id",
    "Accept",
    "Last-Event-ID",
    # Clients of later versions of the protocol than 2025-03-26 send it with every request.
    "Mcp-Protocol-Version",
)


class McpEndpoint:
    """Answers at the port of MCP while `running`. `max_body` bounds the bodies of MCP's own requests."""

    def __init__(
        self,
        domains: McpDomains,
        protocol: McpProtocol,
        max_body: int,
        tokens: BearerTokens,
        authorization: Authorization,
    ) -> None:
        # Each session is a line for it at info, with its id.
        logging.getLogger("mcp").setLevel(logging.WARNING)
        self._domains = domains
        self._tokens = tokens
        self._authorization = authorization
        self._max_body = max_body
        self._sessions = StreamableHTTPSessionManager(protocol.server(), max_request_body_size=max_body)
        self._with_cors = CORSMiddleware(
            self._answer,
            allow_origins=["*"],
            allow_methods=_METHODS,
            allow_headers=_REQUEST_HEADERS,
            expose_headers=["Mcp-Session-Id", "WWW-Authenticate"],
        )

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Keep sessions; they end with it. Can be entered once."""
        async with self._sessions.run():
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "MCP has no websockets"})
        elif scope["type"] == "http":
            path = GatewayRequest.of(scope, receive, 0).path.rstrip("/")
            await (self._answer if path in PAGES else self._with_cors)(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = GatewayRequest.of(scope, receive, self._max_body)
        try:
            response = await self._response(request, scope)
        except Unavailable as error:
            response = json_response(503, {"error": error.message})
            response.headers.append(("retry-after", "1"))
        except ClientLeft:
            return
        if response is not None:
            await send_response(response, request.method, send)
        else:
            await self._sessions.handle_request(scope, receive, send)

    async def _response(self, request: GatewayRequest, scope: Scope) -> GatewayResponse | None:
        """The response to all but admitted requests of MCP, whose scope gets the catalogue of its domain."""
        path = request.path.rstrip("/")
        belongs_to_login = self._authorization.answers(path)
        if path != PATH and not belongs_to_login:
            return json_response(404, {"error": f"There is nothing at this path: MCP is at {PATH}"})
        catalogue = await self._domains.find(request.forwarded_host, request.host)
        if belongs_to_login:
            request.max_body = MAX_BODY
            return await self._authorization.answer(path, request, catalogue)
        scope[CATALOGUE] = catalogue
        return await self._authenticate(request, catalogue)

    async def _authenticate(self, request: GatewayRequest, catalogue: Catalogue) -> GatewayResponse | None:
        """Why the caller is not let in."""
        environment_id = catalogue.environment_id
        if not catalogue.schemes or environment_id is None:
            return None
        if len(catalogue.schemes) > 1:
            return json_response(500, {"error": "The agents of this domain have different security schemes"})
        kind, _, token = (request.header("authorization") or "").partition(" ")
        (scheme,) = catalogue.schemes
        if kind.lower() == "bearer" and await self._tokens.accepts(environment_id, scheme, token.strip()):
            return None
        response = json_response(401, {"error": "Send a token of the API's provider as Authorization: Bearer"})
        response.headers.append(("www-authenticate", await self._authorization.challenge(request, catalogue)))
        return response
