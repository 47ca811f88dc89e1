"""How the MCP endpoint begins and ends: late, by whatever task, and without being held up by those who only listen."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import aiohttp
from mcp.types import ListToolsResult

from golem_server.asgi import Receive, Scope, Send
from golem_server.clock import SystemClock
from golem_server.gateway.mcp.authentication import BearerTokens
from golem_server.gateway.mcp.calls import McpCalls
from golem_server.gateway.mcp.deployed import DeployedMcp
from golem_server.gateway.mcp.domains import McpDomains
from golem_server.gateway.mcp.endpoint import McpEndpoint
from golem_server.gateway.mcp.late_endpoint import LateMcpEndpoint, McpServices
from golem_server.gateway.mcp.oauth.authorization import Authorization
from golem_server.gateway.mcp.oauth.codes import CodeStore
from golem_server.gateway.mcp.oauth.seals import Seals
from golem_server.gateway.mcp.protocol import McpProtocol
from golem_server.gateway.openid.login import Logins
from golem_server.registry.security_schemes import SecuritySchemes
from golem_server.serving import address_of, listen, serve_application
from golem_server.settings import Settings
from tests.gateway.mcp.endpoints import ACCEPT, INITIALIZE

LISTS: dict[str, Any] = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
MAX_BODY = 1 << 20


class Nothing:
    """No domain has a deployment, and that never changes."""

    async def deployed_mcp(self, domain: str) -> DeployedMcp | None:
        """None."""
        return None

    async def current(self) -> int:
        """The only generation."""
        return 1


class Held(McpProtocol):
    """Lists tools when it is allowed to."""

    def __init__(self) -> None:
        super().__init__(NO_CALLS, print)
        self.arrived = asyncio.Event()
        self.release = asyncio.Event()

    async def list_tools(self, context: Any, _: Any) -> ListToolsResult:
        """None, late."""
        self.arrived.set()
        await self.release.wait()
        return ListToolsResult(tools=[])


NO_CALLS = cast(McpCalls, None)
NO_TOKENS = cast(BearerTokens, None)
NO_LOGINS = Authorization(
    cast(SecuritySchemes, None), cast(Logins, None), cast(CodeStore, None), Seals(b"k" * 32), SystemClock()
)
"""There is no agent that could be called, and nobody who logs in."""


def late_endpoint() -> LateMcpEndpoint:
    nothing = Nothing()
    return LateMcpEndpoint(
        McpServices(nothing, nothing, SystemClock(), NO_CALLS, print, MAX_BODY, NO_TOKENS, NO_LOGINS)
    )


@asynccontextmanager
async def served(
    endpoint: McpEndpoint | LateMcpEndpoint, folder: Path
) -> AsyncGenerator[tuple[aiohttp.ClientSession, asyncio.Task[None]]]:
    """A client with a session of MCP, and the task of a server that gives requests an hour when it stops."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await endpoint(scope, receive, send)
            return
        await receive()
        async with endpoint.running():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    settings = Settings.model_validate({"config_folder": folder, "port": 0, "stop_timeout": "1h"})
    listener = listen(settings)
    listener.listen()
    async with asyncio.TaskGroup() as tasks, aiohttp.ClientSession(address_of(listener), headers=ACCEPT) as client:
        serving = tasks.create_task(serve_application(application, settings, listener, stopping=endpoint.stopping))
        async with client.post("/mcp", json=INITIALIZE) as answer:
            client.headers["Mcp-Session-Id"] = answer.headers["mcp-session-id"]
        yield client, serving


async def test_a_stop_ends_the_streams_of_those_who_listen(tmp_path: Path) -> None:
    async with (
        served(late_endpoint(), tmp_path) as (client, serving),
        client.get("/mcp") as stream,
    ):
        assert (stream.status, stream.content_type) == (200, "text/event-stream")
        os.kill(os.getpid(), signal.SIGTERM)
        # Ended as a stream ends, not broken off.
        assert await stream.content.read() == b""
        await serving


async def test_a_stop_lets_calls_in_progress_end(tmp_path: Path) -> None:
    nothing, protocol = Nothing(), Held()
    endpoint = McpEndpoint(McpDomains(nothing, nothing, SystemClock()), protocol, MAX_BODY, NO_TOKENS, NO_LOGINS)
    async with served(endpoint, tmp_path) as (client, serving), client.get("/mcp") as stream:
        call = asyncio.ensure_future(client.post("/mcp", json=LISTS))
        await protocol.arrived.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        await stream.content.read()
        protocol.release.set()
        async with await call as answer:
            assert b'"tools":[]' in await answer.read()
        await serving


async def test_another_task_may_end_it(tmp_path: Path) -> None:
    """As fixtures of tests do, and whoever keeps it in a stack."""
    endpoint = late_endpoint()
    running = endpoint.running()
    await asyncio.create_task(running.__aenter__())
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Scope = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b"", "headers": []}
    await asyncio.create_task(endpoint(scope, receive, send))
    assert sent[0]["status"] == 404
    await asyncio.create_task(running.__aexit__(None, None, None))


def test_a_start_does_not_wait_for_the_library() -> None:
    """It is imported when somebody asks."""
    program = "import sys, golem_server.app; sys.exit('mcp' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
