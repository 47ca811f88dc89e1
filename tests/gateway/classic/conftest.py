"""One server for all tests of deployed API definitions, and a caller that names the host it wants."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from pydantic import SecretStr

from golem_server.settings import Limits, RequestLimits, Settings
from golem_server.storage.embedded import EmbeddedPostgres
from tests.api.server import Answer, Client, ServerThread
from tests.guests.languages import share_code
from tests.postgres import execute, url_of

BODY_LIMIT = 64 << 10

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def server(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerThread]:
    """The server, on a database of its own."""
    asyncio.run(execute(postgres.url, "CREATE DATABASE gateway TEMPLATE template_migrated"))
    data = tmp_path_factory.mktemp("data")
    share_code(data)
    settings = Settings(
        port=0,
        data_directory=data,
        database_url=SecretStr(url_of(postgres.url, "gateway")),
        limits=Limits(request=RequestLimits.model_validate({"deployed_api_body": BODY_LIMIT})),
    )
    with ServerThread(settings) as thread:
        yield thread


@pytest.fixture(scope="session")
def client(server: ServerThread) -> Client:
    """A caller of the API."""
    return Client(server.port)


class Api:
    """A definition at a site of its own, and what calls it."""

    def __init__(self, server: ServerThread, client: Client, routes: list[Any], host: str | None = None) -> None:
        self.client = client
        self.id = f"api-{next(_numbers)}"
        self.host = host or f"{self.id}.example.com"
        self.deployed = Client(server.deployed_port, None)
        self.at_api_port = Client(server.port, None)
        body = {"id": self.id, "version": "1", "routes": routes}
        self.definition = client.post("/v1/api/definitions", body).ok()
        site = {"site": {"host": self.host}, "apiDefinitionId": self.id, "version": "1"}
        client.post("/v1/api/deployments", site).ok()

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        *,
        raw: bytes | None = None,
    ) -> Answer:
        """One request to the port of deployed APIs."""
        content = raw if body is None else json.dumps(body).encode()
        return self.deployed.send(method, path, content, {"host": self.host, **(headers or {})})


def route(method: str, path: str, response: str | None = None, **binding: Any) -> dict[str, Any]:
    """A route as a client writes it; `component` by name alone."""
    if "component" in binding:
        binding["component"] = {"name": binding["component"]}
    given = {key: value for key, value in {"response": response, **binding}.items() if value is not None}
    security = given.pop("security", None)
    return {"method": method, "path": path, "binding": given, "security": security}
