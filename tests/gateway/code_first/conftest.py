"""A whole server in the test's process, with the agents of the shop, and sites that are asked without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from pydantic import SecretStr

from golem_server.api.services import ApiServices
from golem_server.app import running
from golem_server.registry.accounts import DEFAULT_ACCOUNT_ID, DEFAULT_ENVIRONMENT_ID
from golem_server.settings import Settings
from golem_server.storage.embedded import EmbeddedPostgres
from golem_server.telemetry import Metrics
from tests.gateway.code_first.called_site import CalledSite
from tests.guests import typescript
from tests.guests.languages import share_code
from tests.postgres import execute, url_of


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def shop(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[CalledSite]:
    """The agents of the shop and the counter at one domain. Tests take shops of their own."""
    await execute(postgres.url, "CREATE DATABASE code_first TEMPLATE template_migrated")
    data = tmp_path_factory.mktemp("code-first")
    share_code(data)
    settings = Settings(data_directory=data, database_url=SecretStr(url_of(postgres.url, "code_first")))
    ready: asyncio.Future[ApiServices] = asyncio.get_running_loop().create_future()
    done = asyncio.Event()

    async def serve() -> None:
        # A server begins and ends in one task, which those that set a fixture up and take it down are not.
        async with running(settings, Metrics()) as services:
            ready.set_result(services)
            await done.wait()

    serving = asyncio.create_task(serve())
    await asyncio.wait({serving, ready}, return_when=asyncio.FIRST_COMPLETED)
    if serving.done():
        await serving
    services = ready.result()
    for name in ("shop", "counter"):
        wasm = await asyncio.to_thread(typescript.build, name)
        await services.components.create(DEFAULT_ENVIRONMENT_ID, name, wasm, DEFAULT_ACCOUNT_ID)
    yield CalledSite(services, await services.directory.types(DEFAULT_ENVIRONMENT_ID))
    done.set()
    await serving
