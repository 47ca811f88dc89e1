"""One server for all tests of the API, with small limits, and callers of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from golem_server.quantities import Size
from golem_server.settings import Limits, RequestLimits, Settings, WorkerLimits
from golem_server.storage.embedded import EmbeddedPostgres
from tests.api.server import Client, ServerThread
from tests.postgres import execute, url_of

UPLOAD_LIMIT = 1 << 20
BODY_LIMIT = 64 << 10
DISK_LIMIT = Size(64 << 20)
PENDING_LIMIT = 4


@pytest.fixture(scope="session")
def server(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerThread]:
    """The server, on a database of its own."""
    asyncio.run(execute(postgres.url, "CREATE DATABASE api TEMPLATE template_migrated"))
    settings = Settings(
        port=0,
        data_directory=tmp_path_factory.mktemp("data"),
        database_url=SecretStr(url_of(postgres.url, "api")),
        limits=Limits(
            worker=WorkerLimits(pending_invocations=PENDING_LIMIT, disk=DISK_LIMIT),
            request=RequestLimits.model_validate({"component_upload": UPLOAD_LIMIT, "json_body": BODY_LIMIT}),
        ),
    )
    with ServerThread(settings) as thread:
        yield thread


@pytest.fixture(scope="session")
def client(server: ServerThread) -> Client:
    """A caller with the local token."""
    return Client(server.port)


@pytest.fixture(scope="session")
def component(client: Client) -> str:
    """The path of a component that tests share; each takes worker names of its own."""
    return client.component()
