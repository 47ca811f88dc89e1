"""Agents over MCP: a real client, over a real socket, against agents of the TypeScript SDK."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp import ClientSession, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp.types import TextContent, TextResourceContents
from pydantic import SecretStr

from golem_server.settings import Settings
from golem_server.storage.embedded import EmbeddedPostgres
from tests.api.server import Client, ServerThread
from tests.gateway.mcp.endpoints import ENVIRONMENT, INITIALIZE, deploy, post
from tests.gateway.openid.provider import CLIENT_ID, CLIENT_SECRET, LocalProvider
from tests.guests import typescript
from tests.guests.languages import share_code
from tests.postgres import execute, url_of


@pytest.fixture(scope="module")
def server(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerThread]:
    """The server, on a database of its own, with agents of all kinds deployed at its own host."""
    asyncio.run(execute(postgres.url, "CREATE DATABASE mcp TEMPLATE template_migrated"))
    data = tmp_path_factory.mktemp("data")
    share_code(data)
    settings = Settings(port=0, data_directory=data, database_url=SecretStr(url_of(postgres.url, "mcp")))
    with ServerThread(settings) as thread:
        client = Client(thread.port)
        for name in ("counter", "shop"):
            client.create(typescript.build(name), f"agents:{name}")
        agents: dict[str, Any] = {"CounterAgent": {}, "CatalogAgent": {}, "CourierAgent": {}}
        deploy(client, f"localhost:{thread.mcp_port}", agents)
        yield thread


@asynccontextmanager
async def session(server: ServerThread) -> AsyncGenerator[ClientSession]:
    """A session that has been initialized."""
    url = f"http://localhost:{server.mcp_port}/mcp"
    async with streamable_http_client(url) as (read, write, *_), ClientSession(read, write) as made:
        await made.initialize()
        yield made


def text_of(content: Any) -> str:
    """The text of a content."""
    assert isinstance(content, TextContent | TextResourceContents)
    return content.text


async def test_methods_with_parameters_are_tools(server: ServerThread) -> None:
    """Their arguments are the constructor's and the method's together, and their results keep their types."""
    async with session(server) as mcp:
        tools = {tool.name: tool for tool in (await mcp.list_tools()).tools}
        add = tools["CounterAgent-add"]
        assert add.input_schema["required"] == ["name", "n"]
        assert add.output_schema is not None
        for expected in (2.5, 5.0):
            result = await mcp.call_tool("CounterAgent-add", {"name": "tool", "n": 2.5})
            assert result.structured_content == {"returnValue": expected}
            assert json.loads(text_of(result.content[0])) == {"returnValue": expected}
        item: dict[str, Any] = {
            "sku": "b",
            "title": "Book",
            "priceCents": 5,
            "category": "book",
            "tags": [],
            "inStock": True,
        }
        put = await mcp.call_tool("CatalogAgent-put", {"shop": "s", "sku": "b", "item": item})
        assert put.structured_content is not None
        assert put.structured_content["returnValue"]["title"] == "Book"


async def test_methods_without_parameters_are_resources(server: ServerThread) -> None:
    """The constructor's parameters stand in their URI."""
    async with session(server) as mcp:
        templates = {each.uri_template for each in (await mcp.list_resource_templates()).resource_templates}
        assert "golem://CounterAgent/value/{name}" in templates
        await mcp.call_tool("CounterAgent-add", {"name": "a b/c", "n": 3})
        read = await mcp.read_resource("golem://CounterAgent/value/a%20b%2Fc")
        assert json.loads(text_of(read.contents[0])) == 3
        with pytest.raises(MCPError, match="no resource"):
            await mcp.read_resource("golem://CounterAgent/none/a")


async def test_hints_are_prompts(server: ServerThread) -> None:
    """Of types and of methods."""
    async with session(server) as mcp:
        prompts = {prompt.name for prompt in (await mcp.list_prompts()).prompts}
        assert {"CounterAgent", "CounterAgent-increment"} <= prompts
        got = await mcp.get_prompt("CounterAgent-increment")
        assert text_of(got.messages[0].content) == "Count one more"


async def test_what_is_wrong_is_told(server: ServerThread) -> None:
    """Arguments by their names; unknown tools; nothing of the server's inside."""
    async with session(server) as mcp:
        wrong: list[tuple[str, dict[str, Any], str]] = [
            ("CounterAgent-add", {"name": "x"}, "n: is missing"),
            ("CounterAgent-add", {"name": 1, "n": 1}, "name: expected string"),
            ("CounterAgent-none", {}, "no tool"),
        ]
        for name, arguments, reason in wrong:
            with pytest.raises(MCPError, match=reason):
                await mcp.call_tool(name, arguments)


def test_a_domain_without_a_deployment_offers_nothing(server: ServerThread) -> None:
    """And says so to those who initialize."""
    status, headers, body = post(server, "nothing.example.com", INITIALIZE)
    assert (status, "mcp-session-id" in headers) == (200, True)
    assert b'"protocolVersion":"2025-03-26"' in body.replace(b" ", b"")


def test_other_paths_and_bad_requests(server: ServerThread) -> None:
    """Are answered in JSON, never with 500."""
    elsewhere = Client(server.mcp_port, None).send("GET", "/")
    assert (elsewhere.status, "MCP is at /mcp" in elsewhere.json["error"]) == (404, True)
    wrong: list[Any] = [[], {}, {"jsonrpc": "2.0"}, "x"]
    for content in wrong:
        status, _, _ = post(server, f"localhost:{server.mcp_port}", content)
        assert 400 <= status < 500
    status, _, _ = post(server, f"localhost:{server.mcp_port}", {**INITIALIZE, "method": "tools/list"})
    assert status == 400


def test_pages_may_ask(server: ServerThread) -> None:
    """From wherever they are."""
    asked = {"origin": "https://x.example", "access-control-request-method": "POST"}
    answer = Client(server.mcp_port, None).send("OPTIONS", "/mcp", headers=asked)
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, "*")


def test_a_scheme_demands_a_token(server: ServerThread) -> None:
    """One that its provider has made, for its client."""
    client = Client(server.port)
    with LocalProvider() as provider:
        scheme: dict[str, Any] = {
            "name": "mcp",
            "providerType": {"type": "Custom", "name": "ours", "issuerUrl": provider.issuer},
            "clientId": CLIENT_ID,
            "clientSecret": CLIENT_SECRET,
            "redirectUrl": "http://localhost:1/mcp/oauth/callback",
            "scopes": [],
        }
        client.post(f"{ENVIRONMENT}/security-schemes", scheme).ok()
        deploy(client, "closed.example.com", {"CounterAgent": {"securityScheme": "mcp"}})
        status, headers, _ = post(server, "closed.example.com", INITIALIZE)
        metadata = "http://closed.example.com/.well-known/oauth-protected-resource"
        assert (status, headers["www-authenticate"]) == (401, f'Bearer realm="mcp", resource_metadata="{metadata}"')
        good = provider.token("n")
        assert post(server, "closed.example.com", INITIALIZE, authorization=f"Bearer {good}")[0] == 200
        provider.claims = {"aud": "somebody-else"}
        for bad in (provider.token("n"), "x", "a.b.c"):
            assert post(server, "closed.example.com", INITIALIZE, authorization=f"Bearer {bad}")[0] == 401
