"""A server with agents at MCP domains: closed ones, whose callers log in at a local provider, and an open one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from golem_server.settings import Settings
from golem_server.storage.embedded import EmbeddedPostgres
from tests.api.server import Client, ServerThread
from tests.gateway.mcp.endpoints import ENVIRONMENT, deploy
from tests.gateway.mcp.oauth.assistant import Assistant
from tests.gateway.openid.provider import CLIENT_ID, CLIENT_SECRET, LocalProvider
from tests.guests import typescript
from tests.guests.languages import share_code
from tests.postgres import execute, url_of

OPEN, TLS, ASTRAY = "open.example.com", "tls.example.com", "astray.example.com"


@pytest.fixture(scope="session")
def provider() -> Iterator[LocalProvider]:
    """The provider."""
    with LocalProvider() as provider:
        yield provider


@pytest.fixture(scope="session")
def server(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory, provider: LocalProvider
) -> Iterator[ServerThread]:
    """The server, on a database of its own."""
    asyncio.run(execute(postgres.url, "CREATE DATABASE mcp_logins TEMPLATE template_migrated"))
    data = tmp_path_factory.mktemp("data")
    share_code(data)
    settings = Settings(port=0, data_directory=data, database_url=SecretStr(url_of(postgres.url, "mcp_logins")))
    with ServerThread(settings) as thread:
        client = Client(thread.port)
        client.create(typescript.build("counter"), "agents:counter")
        domain = f"localhost:{thread.mcp_port}"
        add_scheme(client, provider, "staff", f"http://{domain}/mcp/oauth/callback")
        add_scheme(client, provider, "tls", f"https://{TLS}/mcp/oauth/callback")
        add_scheme(client, provider, "astray", "https://elsewhere.example.com/mcp/oauth/callback")
        for each, scheme in ((domain, "staff"), (TLS, "tls"), (ASTRAY, "astray"), (OPEN, None)):
            deploy(client, each, {"CounterAgent": {"securityScheme": scheme}})
        yield thread


@pytest.fixture
def assistant(server: ServerThread) -> Assistant:
    """A client that has registered."""
    return Assistant(server.mcp_port, f"localhost:{server.mcp_port}").registered()


def add_scheme(client: Client, provider: LocalProvider, name: str, redirect_url: str) -> dict[str, Any]:
    """A security scheme of the provider."""
    scheme: dict[str, Any] = {
        "name": name,
        "providerType": {"type": "Custom", "name": "ours", "issuerUrl": provider.issuer},
        "clientId": CLIENT_ID,
        "clientSecret": CLIENT_SECRET,
        "redirectUrl": redirect_url,
        "scopes": ["email"],
    }
    return client.post(f"{ENVIRONMENT}/security-schemes", scheme).ok()
