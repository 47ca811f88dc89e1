"""The MCP endpoint as an ASGI application: `/mcp` at every host, over streamable HTTP.

The host decides what is offered, as for deployed HTTP APIs. A domain without a deployment offers nothing, and says so
to those who initialize; a domain whose agents have a security scheme is closed to callers without a token of its
provider, and tells them how to get one (oauth/; reference: gateway, section 3.8).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from sse_starlette.sse import AppStatus
from starlette.middleware.cors import CORSMiddleware

from golem_server.asgi import ClientLeft, Message, Receive, Scope, Send
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
        # It would cut off every answer half a second after a stop signal, those to calls in progress too.
        AppStatus.disable_automatic_graceful_drain()
        self._stopping = asyncio.Event()
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
        """Keep sessions; they end with it. Can be entered once, and left by any task."""
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        closing = asyncio.Event()

        async def keep() -> None:
            # The sessions' task group can be left only by the task that has entered it.
            async with self._sessions.run():
                opened.set_result(None)
                await closing.wait()

        keeper = asyncio.create_task(keep())
        try:
            await asyncio.wait((keeper, opened), return_when=asyncio.FIRST_COMPLETED)
            if keeper.done():
                await keeper
            yield
        finally:
            closing.set()
            await keeper

    def stopping(self) -> None:
        """The server begins to stop: end the streams over which clients only wait to be told something."""
        self._stopping.set()

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
        elif request.method == "GET":
            await self._listen(scope, receive, send)
        else:
            await self._sessions.handle_request(scope, receive, send)

    async def _listen(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a client that waits to be told something, until it leaves or the server stops."""
        begun = ended = False

        async def watch(message: Message) -> None:
            nonlocal begun, ended
            begun = True
            ended = message["type"] == "http.response.body" and not message.get("more_body", False)
            await send(message)

        async def leave() -> Message:
            heard, stopped = asyncio.ensure_future(receive()), asyncio.ensure_future(self._stopping.wait())
            try:
                await asyncio.wait((heard, stopped), return_when=asyncio.FIRST_COMPLETED)
                return heard.result() if heard.done() else {"type": "http.disconnect"}
            finally:
                heard.cancel()
                stopped.cancel()

        await self._sessions.handle_request(scope, leave, watch)
        if begun and not ended:
            # The library does not end what it sends to a client that it believes to have left.
            await send({"type": "http.response.body", "body": b""})

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
