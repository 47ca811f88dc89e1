"""A login at an HTTP API of agents: the agent sees who calls."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from golem_server.registry.accounts import DEFAULT_ENVIRONMENT_ID
from golem_server.settings import Settings
from golem_server.storage.embedded import EmbeddedPostgres
from tests.api.server import COMPONENTS, JSON, Client, ServerThread
from tests.gateway.openid.browser import CookieBrowser
from tests.gateway.openid.provider import CLIENT_ID, CLIENT_SECRET, LocalProvider
from tests.guests import typescript
from tests.guests.languages import share_code
from tests.postgres import execute, url_of

ENVIRONMENT = f"/v1/envs/{DEFAULT_ENVIRONMENT_ID}"
CALLBACK = "/auth/callback"


@pytest.fixture(scope="module")
def server(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerThread]:
    """The server, on a database of its own."""
    asyncio.run(execute(postgres.url, "CREATE DATABASE agent_logins TEMPLATE template_migrated"))
    data = tmp_path_factory.mktemp("data")
    share_code(data)
    settings = Settings(port=0, data_directory=data, database_url=SecretStr(url_of(postgres.url, "agent_logins")))
    with ServerThread(settings) as thread:
        yield thread


@pytest.fixture(scope="module")
def provider() -> Iterator[LocalProvider]:
    """The provider."""
    with LocalProvider() as provider:
        yield provider


@pytest.fixture(scope="module")
def shop(server: ServerThread, provider: LocalProvider) -> str:
    """The URL of a shop whose callers must be known."""
    client = Client(server.port)
    domain = f"localhost:{server.deployed_port}"
    wasm = typescript.build("shop")
    types: list[dict[str, Any]] = client.create(wasm, "found:types")["metadata"]["agentTypes"]
    for type_ in types:
        if type_["typeName"] == "CatalogAgent":
            type_["httpMount"]["authDetails"] = {"required": True}
    client.send("DELETE", next_path(client, "found:types"))
    metadata: dict[str, Any] = {"componentName": "agents:shop", "agentTypes": types, "agentTypeProvisionConfigs": {}}
    client.form("POST", COMPONENTS, {"metadata": json.dumps(metadata), "componentWasm": wasm}).ok()
    scheme: dict[str, Any] = {
        "name": "staff",
        "providerType": {"type": "Custom", "name": "ours", "issuerUrl": provider.issuer},
        "clientId": CLIENT_ID,
        "clientSecret": CLIENT_SECRET,
        "redirectUrl": f"http://{domain}{CALLBACK}",
        "scopes": ["email"],
    }
    client.post(f"{ENVIRONMENT}/security-schemes", scheme).ok()
    client.post(f"{ENVIRONMENT}/domain-registrations", {"domain": domain}).ok()
    agents = {"CatalogAgent": {"security": {"type": "SecurityScheme", "securityScheme": "staff"}}}
    client.post(f"{ENVIRONMENT}/http-api-deployments", {"domain": domain, "agents": agents}).ok()
    plan = client.get(f"{ENVIRONMENT}/plan").ok()
    client.post(f"{ENVIRONMENT}/deployments", {"expectedDeploymentHash": plan["deploymentHash"]}).ok()
    return f"http://{domain}"


def next_path(client: Client, name: str) -> str:
    """The path of the component of a name."""
    return f"/v1/components/{client.get(f'{COMPONENTS}/{name}').ok()['componentId']}"


def test_an_agent_sees_who_calls(shop: str, provider: LocalProvider) -> None:
    """After a login, which lasts as long as its cookie."""
    browser = CookieBrowser()
    away = browser.get(f"{shop}/shops/s/whoami", follow=False)
    assert (away.status, away.url.startswith(f"{provider.issuer}/authorize?")) == (302, True)
    page = browser.get(f"{shop}/shops/s/whoami")
    assert (page.status, page.body, page.url) == (200, b'"oidc"', f"{shop}/shops/s/whoami")
    (cookie,) = [each for each in browser.cookies[shop.removeprefix("http://")] if each == "golem_session_id"]
    again = CookieBrowser()
    again.cookies = {shop.removeprefix("http://"): {cookie: browser.cookies[shop.removeprefix("http://")][cookie]}}
    assert again.get(f"{shop}/shops/s/whoami", follow=False).status == 200
    again.cookies = {shop.removeprefix("http://"): {cookie: "0195f000-0000-7000-8000-000000000000"}}
    assert again.get(f"{shop}/shops/s/whoami", follow=False).status == 302


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [("", 400, "REQUEST_MISSING_VALUE"), ("?state=x&code=y", 403, "UNKNOWN_OIDC_STATE")],
)
def test_who_was_not_sent_away_cannot_come_back(shop: str, query: str, status: int, code: str) -> None:
    """With the error codes of Golem."""
    page = CookieBrowser().get(f"{shop}{CALLBACK}{query}", follow=False)
    assert (page.status, json.loads(page.body)["code"], page.cookies_set) == (status, code, [])


def test_a_token_that_is_wrong_logs_nobody_in(shop: str, provider: LocalProvider) -> None:
    """The exchange has failed, then."""
    provider.claims = {"nonce": "another"}
    page = CookieBrowser().get(f"{shop}/shops/s/whoami")
    assert (page.status, json.loads(page.body)["code"]) == (403, "OIDC_TOKEN_EXCHANGE_FAILED")
    provider.claims = {}


def test_a_provider_that_cannot_exchange_codes_is_told(
    server: ServerThread, shop: str, provider: LocalProvider
) -> None:
    """It is the scheme's fault, and no error of the server."""
    client = Client(server.port)
    (scheme,) = client.get(f"{ENVIRONMENT}/security-schemes").ok()["values"]

    def at(issuer: str, revision: int) -> None:
        custom = {"type": "Custom", "name": "ours", "issuerUrl": issuer}
        change = json.dumps({"currentRevision": revision, "providerType": custom}).encode()
        client.send("PATCH", f"/v1/security-schemes/{scheme['id']}", change, JSON).ok()

    with LocalProvider() as other:
        other.metadata = {"token_endpoint": None}
        at(other.issuer, 0)
        page = CookieBrowser().get(f"{shop}/shops/s/whoami", follow=False)
        at(provider.issuer, 1)
    told = json.loads(page.body)
    assert (page.status, told["code"]) == (401, "OIDC_PROVIDER_UNUSABLE")
    assert "its metadata has no token_endpoint" in told["error"]
