"""One server process for the tests of a file; each takes agents of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from golem_server.storage.embedded import EmbeddedPostgres
from tests.agents.agent_server import AgentServer
from tests.guests import typescript
from tests.postgres import execute, url_of


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[AgentServer]:
    """The server, on a database of its own, with both components."""
    name = f"agents_{request.path.stem}"
    await asyncio.to_thread(
        lambda: asyncio.run(execute(postgres.url, f"CREATE DATABASE {name} TEMPLATE template_migrated"))
    )
    async with AgentServer(url_of(postgres.url, name), tmp_path_factory.mktemp("agents")) as server:
        for component in ("counter", "shop"):
            status, created = await server.create_component(component, typescript.build(component))
            assert status == 200, created
        yield server
