"""The MCP endpoint, made when the first request for it comes.

The library of the protocol takes a good part of a second to import and some memory to keep, which a server whose agents
nobody asks for over MCP need not spend, and no start need wait for. Nothing but this file imports what imports it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from golem_server.asgi import Receive, Scope, Send
from golem_server.clock import Clock
from golem_server.gateway.mcp.authentication import BearerTokens
from golem_server.gateway.mcp.calls import McpCalls
from golem_server.gateway.mcp.deployed import DeployedMcps
from golem_server.gateway.mcp.oauth.authorization import Authorization
from golem_server.gateway.sites import Generation

if TYPE_CHECKING:
    from golem_server.gateway.mcp.endpoint import McpEndpoint


@dataclass(frozen=True, slots=True)
class McpServices:
    """What the endpoint is made of."""

    source: DeployedMcps
    generation: Generation
    clock: Clock
    calls: McpCalls
    count_error: Callable[[str], None]
    max_body: int
    tokens: BearerTokens
    authorization: Authorization


class LateMcpEndpoint:
    """Answers at the port of MCP while `running`."""

    def __init__(self, services: McpServices) -> None:
        self._services = services
        self._making = asyncio.Lock()
        self._endpoint: McpEndpoint | None = None
        self._stack: AsyncExitStack | None = None

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Keep sessions, if there are any; they end with it. Can be entered once."""
        async with AsyncExitStack() as self._stack:
            yield

    def stopping(self) -> None:
        """The server begins to stop: end the streams over which clients only wait to be told something."""
        if self._endpoint is not None:
            self._endpoint.stopping()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        endpoint = self._endpoint or await self._make()
        await endpoint(scope, receive, send)

    async def _make(self) -> McpEndpoint:
        """The endpoint; the first of several that ask at once makes it."""
        assert self._stack is not None
        async with self._making:
            if self._endpoint is None:
                endpoint = await asyncio.to_thread(_endpoint, self._services)
                await self._stack.enter_async_context(endpoint.running())
                self._endpoint = endpoint
            return self._endpoint


def _endpoint(services: McpServices) -> McpEndpoint:
    """Import what there is to import, which takes its time."""
    from golem_server.gateway.mcp.domains import McpDomains
    from golem_server.gateway.mcp.endpoint import McpEndpoint
    from golem_server.gateway.mcp.protocol import McpProtocol

    return McpEndpoint(
        McpDomains(services.source, services.generation, services.clock),
        McpProtocol(services.calls, services.count_error),
        services.max_body,
        services.tokens,
        services.authorization,
    )
