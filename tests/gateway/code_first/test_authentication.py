"""Who calls is what the agent is told (reference: gateway, section 3.6)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from golem_server.gateway.requests import GatewayRequest
from golem_server.gateway.responses import GatewayResponse, text_response
from golem_server.model.http_api_deployments import NamedSecurityScheme, TestSessionHeader
from golem_server.model.ids import EnvironmentId, WorkerId
from golem_server.model.oplog import InvocationStarted
from golem_server.model.security_schemes import SecurityScheme
from golem_server.model.types import Value
from golem_server.registry.accounts import DEFAULT_ENVIRONMENT_ID
from tests.gateway.code_first.called_site import CalledSite
from tests.gateway.code_first.declared_agents import security_scheme

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(900)]

WHO = "/shops/{}/whoami"


def closed(type_: dict[str, Any]) -> None:
    """Let callers of all endpoints be known, but for the list of items."""
    type_["httpMount"]["authDetails"] = {"required": True}
    for method in type_["methods"]:
        if method["name"] == "list":
            method["httpEndpoint"][0]["authDetails"] = {"required": False}


@pytest.fixture
def tested(shop: CalledSite) -> CalledSite:
    """The shop for callers that name themselves."""
    return shop.with_changes(closed, security=TestSessionHeader("X-Test-Session"))


async def principal_of(site: CalledSite, name: str) -> Value:
    """The caller of the last invocation of a catalog."""
    worker_id = WorkerId(site.api.agents["CatalogAgent"].component_id, f'CatalogAgent("{name}")')
    part = await site.services.executor.oplog(worker_id, 1, 100)
    started = [entry.invocation for _, entry in part.entries if isinstance(entry, InvocationStarted)]
    return started[-1].parameters[2]


async def test_nobody_is_asked_where_nobody_needs_to_be_known(shop: CalledSite, tested: CalledSite) -> None:
    assert (await shop.call("GET", WHO.format("open"))).json == "anonymous"
    assert (await tested.call("GET", "/shops/open/items")).json == []
    assert (await principal_of(shop, "open"))[0] == "anonymous"


async def test_a_test_says_who_calls(tested: CalledSite) -> None:
    session = {"subject": "ann", "email": "ann@example.org", "email_verified": True, "scopes": ["openid", "email"]}
    answer = await tested.call("GET", WHO.format("tested"), headers={"X-Test-Session": json.dumps(session)})
    assert answer.json == "oidc"
    case, principal = await principal_of(tested, "tested")
    claims = json.loads(principal.pop("claims"))
    assert case == "oidc"
    assert principal == {
        "sub": "ann",
        "issuer": "http://test-idp.com",
        "email": "ann@example.org",
        "name": None,
        "email-verified": True,
        "given-name": None,
        "family-name": None,
        "picture": None,
        "preferred-username": None,
    }
    assert claims.pop("exp") - claims.pop("iat") == 8 * 3600
    assert claims == {
        "sub": "ann",
        "iss": "http://test-idp.com",
        "scope": "openid email",
        "email": "ann@example.org",
        "email_verified": True,
    }
    await tested.call("GET", WHO.format("tested"), headers={"X-Test-Session": "{}"})
    assert (await principal_of(tested, "tested"))[1]["sub"] == "test-user"


async def test_a_caller_that_does_not_say_who_it_is_gets_nowhere(tested: CalledSite) -> None:
    missing = await tested.call("GET", WHO.format("closed"))
    assert (missing.status, missing.body) == (401, b"")
    for wrong in ("", "ann", "[]", '{"subject": 1}', '{"expires_at": "soon"}'):
        answer = await tested.call("GET", WHO.format("closed"), headers={"X-Test-Session": wrong})
        assert (answer.status, answer.json["code"]) == (400, "REQUEST_VALUE_PARSING_FAILED")
    over = json.dumps({"expires_at": "2020-01-01T00:00:00Z"})
    assert (await tested.call("GET", WHO.format("closed"), headers={"X-Test-Session": over})).status == 401
    worker_id = WorkerId(tested.api.agents["CatalogAgent"].component_id, 'CatalogAgent("closed")')
    assert not await tested.services.executor.exists(worker_id)


class Provider:
    """Logs everybody in who says so."""

    async def schemes(self, environment_id: EnvironmentId) -> Mapping[str, SecurityScheme]:
        """One scheme."""
        assert environment_id == DEFAULT_ENVIRONMENT_ID
        return {"provider": security_scheme("provider")}

    async def authenticate(
        self, request: GatewayRequest, environment_id: EnvironmentId, scheme: str
    ) -> Value | GatewayResponse:
        """A caller with a cookie, or the way to get one."""
        assert (environment_id, scheme) == (DEFAULT_ENVIRONMENT_ID, "provider")
        if request.header("cookie") is None:
            return GatewayResponse(302, [("location", "https://provider.example/login")])
        names = ("email", "name", "email-verified", "given-name", "family-name", "picture", "preferred-username")
        return "oidc", {"sub": "bob", "issuer": "https://provider.example", "claims": "{}", **dict.fromkeys(names)}

    async def take_back(self, request: GatewayRequest, environment_id: EnvironmentId, scheme: str) -> GatewayResponse:
        """Where the provider sends callers to."""
        return text_response(200, f"{environment_id} {scheme} {request.query}")


async def test_callers_log_in_at_the_provider_of_a_scheme(shop: CalledSite) -> None:
    site = shop.with_changes(closed, security=NamedSecurityScheme("provider"), logins=Provider())
    sent_away = await site.call("GET", WHO.format("provided"))
    assert (sent_away.status, sent_away.headers["location"]) == (302, "https://provider.example/login")
    taken_back = await site.call("GET", "/auth/callback?code=c")
    assert taken_back.body.decode() == f"{DEFAULT_ENVIRONMENT_ID} provider code=c"
    assert (await site.call("GET", WHO.format("provided"), headers={"Cookie": "s"})).json == "oidc"
    assert (await principal_of(site, "provided"))[1]["sub"] == "bob"


async def test_routes_behind_a_scheme_that_is_gone_are_not_there(shop: CalledSite) -> None:
    site = shop.with_changes(closed, security=NamedSecurityScheme("gone"), logins=Provider())
    assert (await site.call("GET", WHO.format("gone"))).json["code"] == "ROUTE_NOT_FOUND"
    assert (await site.call("GET", "/shops/gone/items")).json == []
