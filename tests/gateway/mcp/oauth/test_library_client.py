"""The client of the `mcp` library finds its way in by itself: from 401 to a called tool."""

from __future__ import annotations

import asyncio

from mcp import ClientSession
from mcp.client.auth import OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthClientMetadata, OAuthToken
from pydantic import AnyUrl

from tests.api.server import ServerThread
from tests.gateway.mcp.oauth.assistant import CALLED_BACK, allow, parameters
from tests.gateway.openid.browser import CookieBrowser, Page


class Memory:
    """What a client keeps."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None
        self.client: OAuthClientInformationFull | None = None

    async def get_tokens(self) -> OAuthToken | None:
        """Nothing at first."""
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """After the login."""
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """Nothing at first."""
        return self.client

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """After the registration."""
        self.client = client_info


async def test_the_library_logs_in_by_itself(server: ServerThread) -> None:
    """All that it is told is the endpoint's URL; the person only allows it."""
    url = f"http://localhost:{server.mcp_port}/mcp"
    sent: list[Page] = []

    async def send_person(address: str) -> None:
        sent.append(await asyncio.to_thread(allow, CookieBrowser(), address, CALLED_BACK))

    async def came_back() -> AuthorizationCodeResult:
        return AuthorizationCodeResult.model_validate(parameters(sent[-1]))

    memory = Memory()
    metadata = OAuthClientMetadata(redirect_uris=[AnyUrl(CALLED_BACK)], client_name="Library")
    login = OAuthClientProvider(url, metadata, memory, send_person, came_back)
    for expected in (1.0, 2.0):
        async with (
            create_mcp_http_client(auth=login) as http,
            streamable_http_client(url, http_client=http) as (read, write, *_),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            result = await session.call_tool("CounterAgent-add", {"name": "library", "n": 1})
            assert result.structured_content == {"returnValue": expected}
    # Once is enough while the token lasts.
    assert len(sent) == 1
    assert memory.tokens is not None
    assert memory.tokens.expires_in is not None
    assert 200 < memory.tokens.expires_in <= 300
    assert memory.client is not None
    assert memory.client.token_endpoint_auth_method == "none"
