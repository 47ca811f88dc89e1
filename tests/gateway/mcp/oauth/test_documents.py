"""How clients find out where to log in, and how they register: the documents, and who gets none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mcp.shared.auth import OAuthMetadata, ProtectedResourceMetadata

from tests.api.server import JSON, Client, ServerThread
from tests.gateway.mcp.endpoints import ACCEPT, ENVIRONMENT, INITIALIZE
from tests.gateway.mcp.oauth.assistant import Assistant
from tests.gateway.mcp.oauth.conftest import ASTRAY, OPEN, TLS, add_scheme
from tests.gateway.openid.provider import LocalProvider

RESOURCE, SERVER = "/.well-known/oauth-protected-resource", "/.well-known/oauth-authorization-server"


def test_documents_say_where_to_go(server: ServerThread, assistant: Assistant) -> None:
    """By the names of RFC 9728 and RFC 8414; pages of other origins may read them."""
    origin = f"http://{assistant.host}"
    foreign = {"origin": "https://inspector.example"}
    for path in (RESOURCE, f"{RESOURCE}/mcp"):
        answer = assistant.send("GET", path, headers=foreign)
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, "*")
        ProtectedResourceMetadata.model_validate(answer.json)
        assert (answer.json["resource"], answer.json["authorization_servers"]) == (f"{origin}/mcp", [origin])
        assert answer.json["scopes_supported"] == ["openid", "email"]
    answer = assistant.send("GET", SERVER, headers=foreign)
    assert answer.headers["access-control-allow-origin"] == "*"
    metadata = OAuthMetadata.model_validate(answer.json)
    assert metadata.code_challenge_methods_supported == ["S256"]
    assert answer.json["issuer"] == origin
    for name in ("authorize", "token", "register"):
        endpoint = {"register": "registration_endpoint", "authorize": "authorization_endpoint"}.get(
            name, f"{name}_endpoint"
        )
        assert answer.json[endpoint] == f"{origin}/mcp/oauth/{name}"
    asked = {**foreign, "access-control-request-method": "POST", "access-control-request-headers": "content-type"}
    for path in ("/mcp/oauth/register", "/mcp/oauth/token"):
        preflight = assistant.send("OPTIONS", path, headers=asked)
        assert (preflight.status, preflight.headers["access-control-allow-origin"]) == (200, "*")


def test_browsers_that_come_with_tls(server: ServerThread) -> None:
    """As the redirect URL says, since a proxy in front takes it off."""
    assistant = Assistant(server.mcp_port, TLS).registered()
    closed = assistant.send("POST", "/mcp", json.dumps(INITIALIZE).encode(), {**ACCEPT, "authorization": "Bearer x"})
    expected = f'Bearer realm="mcp", resource_metadata="https://{TLS}{RESOURCE}"'
    assert (closed.status, closed.headers["www-authenticate"]) == (401, expected)
    assert assistant.send("GET", SERVER).json["issuer"] == f"https://{TLS}"
    path = assistant.page().removeprefix(f"http://{TLS}")
    cookie = assistant.send("GET", path).headers["set-cookie"]
    assert cookie.startswith("__Host-golem_mcp_consent=")
    assert cookie.endswith("; Secure")


@pytest.mark.parametrize("host", [OPEN, "nothing.example.com"])
def test_where_nobody_logs_in_there_is_nothing(server: ServerThread, host: str) -> None:
    """At a domain without a scheme, and at one without a deployment."""
    assistant = Assistant(server.mcp_port, host)
    paths = (RESOURCE, f"{RESOURCE}/mcp", SERVER, "/mcp/oauth/authorize", "/mcp/oauth/callback")
    for path in paths:
        assert assistant.send("GET", path).status == 404
    assert assistant.register().status == 404
    assert assistant.fetch("x").status == 404


def test_a_redirect_url_of_another_domain_is_told(server: ServerThread) -> None:
    """The provider would send people there."""
    assistant = Assistant(server.mcp_port, ASTRAY).registered()
    answer = assistant.send("GET", assistant.page().removeprefix(f"http://{ASTRAY}"))
    assert answer.status == 302
    assert "error=server_error" in answer.headers["location"]


def test_a_registration_is_answered(assistant: Assistant) -> None:
    """With what the client is now, whatever it has asked for."""
    answer = assistant.register(
        redirect_uris=["https://a.example/back?x=1", "http://localhost:1/", "http://[::1]/b"],
        token_endpoint_auth_method="client_secret_basic",
        grant_types=["authorization_code", "refresh_token"],
        scope="openid",
        client_name=None,
        logo_uri="x",
    )
    assert (answer.status, answer.headers["cache-control"]) == (201, "no-store")
    assert answer.json["redirect_uris"] == ["https://a.example/back?x=1", "http://localhost:1/", "http://[::1]/b"]
    assert answer.json["token_endpoint_auth_method"] == "none"
    assert answer.json["grant_types"] == ["authorization_code"]
    assert "client_secret" not in answer.json


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"redirect_uris": []}, "invalid_redirect_uri"),
    ({"redirect_uris": ["https://a.example"] * 11}, "invalid_redirect_uri"),
    ({"redirect_uris": [f"https://a.example/{'a' * 450}{n}" for n in range(5)]}, "invalid_redirect_uri"),
    ({"redirect_uris": [f"https://a.example/{'a' * 500}"]}, "invalid_redirect_uri"),
    ({"redirect_uris": [1]}, "invalid_client_metadata"),
    ({"redirect_uris": None}, "invalid_client_metadata"),
    ({"client_name": 1}, "invalid_client_metadata"),
    ({"grant_types": ["client_credentials"]}, "invalid_client_metadata"),
    ({"response_types": ["token"]}, "invalid_client_metadata"),
    *(
        ({"redirect_uris": [uri]}, "invalid_redirect_uri")
        for uri in (
            "http://a.example/back",
            "http://localhost.evil.example/",
            "http://127.0.0.1.evil.example/",
            "https://user@a.example/",
            "https://a.example\\@evil.example/",
            "https://a.example/#fragment",
            "https://a.example/ b",
            "https://a.example/<b>",
            "https://a.example:x/",
            "https://[::2]/",
            "https:///a",
            "https://ä.example/",
            "https://a%2eexample/",
            "HTTPS://a.example/",
            "javascript:alert(1)",
            "cursor://callback",
            "",
        )
    ),
]


@pytest.mark.parametrize(("changes", "code"), WRONG)
def test_what_cannot_be_a_client(assistant: Assistant, changes: dict[str, Any], code: str) -> None:
    """Is told, by RFC 7591, section 3.2.2."""
    refused = assistant.register(**changes)
    assert (refused.status, refused.json["error"]) == (400, code)


def test_a_registration_is_an_object(assistant: Assistant) -> None:
    """Any other body is refused."""
    for body in (b"", b"[]", b"x", b"\xff", b"[" * 5_000):
        refused = assistant.send("POST", "/mcp/oauth/register", body, JSON)
        assert (refused.status, refused.json["error"]) == (400, "invalid_client_metadata")


def test_a_deployment_needs_a_scheme_that_leads_back(server: ServerThread, provider: LocalProvider) -> None:
    """It is refused, with the reason, before anybody cannot log in."""
    client = Client(server.port)
    domain = "refused.example.com"
    add_scheme(client, provider, "elsewhere", f"https://{domain}/auth/callback")
    client.post(f"{ENVIRONMENT}/domain-registrations", {"domain": domain}).ok()
    content = {"domain": domain, "agents": {"CounterAgent": {"securityScheme": "elsewhere"}}}
    made = client.post(f"{ENVIRONMENT}/mcp-deployments", content).ok()

    def deploying() -> Any:
        plan = client.get(f"{ENVIRONMENT}/plan").ok()
        body = {"currentRevision": plan["currentRevision"], "expectedDeploymentHash": plan["deploymentHash"]}
        return client.post(f"{ENVIRONMENT}/deployments", body)

    deploying().refused(
        400,
        "the redirect URL of security scheme elsewhere must end in /mcp/oauth/callback",
        "DEPLOYMENT_VALIDATION_FAILED",
    )
    path = f"{ENVIRONMENT.partition('/envs')[0]}/mcp-deployments/{made['id']}"
    change = {"currentRevision": made["revision"], "agents": {"CounterAgent": {"securityScheme": "none"}}}
    made = client.send("PATCH", path, json.dumps(change).encode(), JSON).ok()
    deploying().refused(400, "security scheme none does not exist")
    client.send("DELETE", f"{path}?current_revision={made['revision']}")
