"""A server that keeps guests on the public Internet stays there itself, but for the providers that it is told of."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import SecretStr

from golem_server.network_rules import NetworkAccess, parse_network_rule
from golem_server.settings import NetworkSettings, Settings
from golem_server.storage.embedded import EmbeddedPostgres
from tests.api.server import Client, ServerThread
from tests.gateway.openid.provider import CLIENT_ID, CLIENT_SECRET, LocalProvider
from tests.postgres import execute, url_of


@pytest.mark.parametrize("access", [NetworkAccess.PUBLIC, NetworkAccess.LISTED])
def test_a_local_provider_must_be_named(
    postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory, access: NetworkAccess
) -> None:
    """The name of the setting stands in the refusal."""
    database = f"provider_policy_{access}"
    asyncio.run(execute(postgres.url, f"CREATE DATABASE {database} TEMPLATE template_migrated"))
    with LocalProvider() as named, LocalProvider() as other:
        rule = parse_network_rule(named.issuer.removeprefix("http://"))
        settings = Settings(
            port=0,
            data_directory=tmp_path_factory.mktemp("data"),
            database_url=SecretStr(url_of(postgres.url, database)),
            network=NetworkSettings(access=access, providers=(rule,)),
        )
        with ServerThread(settings) as server:
            client = Client(server.port)
            client.post("/v1/api/security", scheme(named)).ok()
            client.post("/v1/api/security", scheme(other)).refused(
                400,
                f"The provider at {other.issuer} cannot be used: this server may not ask 127.0.0.1:"
                " the setting network.providers can allow it",
            )
        assert not other.asked


def scheme(provider: LocalProvider) -> dict[str, Any]:
    """A security scheme at a provider."""
    return {
        "providerType": "custom",
        "issuerUrl": provider.issuer,
        "schemeIdentifier": "local",
        "clientId": CLIENT_ID,
        "clientSecret": CLIENT_SECRET,
        "redirectUrl": "https://local.example.com/back",
        "scopes": [],
    }
