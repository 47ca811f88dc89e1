"""A server and a provider for logins at APIs of definitions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from golem_server.settings import Settings
from golem_server.storage.embedded import EmbeddedPostgres
from tests.api.server import Client, ServerThread
from tests.gateway.openid.provider import LocalProvider
from tests.postgres import execute, url_of


@pytest.fixture(scope="session")
def server(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerThread]:
    """The server, on a database of its own."""
    asyncio.run(execute(postgres.url, "CREATE DATABASE openid TEMPLATE template_migrated"))
    data = tmp_path_factory.mktemp("data")
    settings = Settings(port=0, data_directory=data, database_url=SecretStr(url_of(postgres.url, "openid")))
    with ServerThread(settings) as thread:
        yield thread


@pytest.fixture(scope="session")
def client(server: ServerThread) -> Client:
    """A caller of the API."""
    return Client(server.port)


@pytest.fixture
def provider() -> Iterator[LocalProvider]:
    """A provider that nobody has asked before."""
    with LocalProvider() as provider:
        yield provider
