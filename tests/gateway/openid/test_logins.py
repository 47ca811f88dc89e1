"""Whole logins: a browser, an API with a security scheme, and a provider, over real sockets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api.server import JSON, Client, ServerThread
from tests.gateway.classic.conftest import route
from tests.gateway.openid.browser import CookieBrowser
from tests.gateway.openid.protected import SCHEMES, Protected
from tests.gateway.openid.provider import CLIENT_ID, CLIENT_SECRET, LocalProvider


def test_a_login_leads_back_to_what_was_asked_for(
    server: ServerThread, client: Client, provider: LocalProvider
) -> None:
    """Once; afterwards the cookies are enough, and nobody else's are."""
    protected = Protected(server, client, provider, "once")
    browser = CookieBrowser()
    away = browser.get(protected.page(), follow=False)
    assert away.status == 302
    assert away.url.startswith(f"{provider.issuer}/authorize?")
    assert CLIENT_SECRET not in away.url
    page = browser.get(protected.page())
    assert (page.status, page.body, page.url) == (200, b"ann ann@example.com", protected.page())
    assert {"access_token", "id_token", "session_id"} <= browser.cookies[protected.host].keys()
    provider.status = 500
    assert browser.get(protected.page("b"), follow=False).status == 200
    assert CookieBrowser().get(protected.page(), follow=False).status == 302
    forged = CookieBrowser()
    forged.cookies[protected.host] = {**browser.cookies[protected.host], "id_token": "a.b.c"}
    refused = forged.get(protected.page(), follow=False)
    assert (refused.status, refused.body) == (401, b"Invalid token")


def test_a_state_is_taken_once_and_from_its_browser(
    server: ServerThread, client: Client, provider: LocalProvider
) -> None:
    """Nobody can finish another's login, nor one that was finished."""
    protected = Protected(server, client, provider, "state")
    provider.keeps_codes = True
    browser = CookieBrowser()
    away = browser.get(protected.page(), follow=False)
    back = browser.get(away.url, follow=False)
    assert back.url.startswith(protected.callback)
    stranger = CookieBrowser().get(back.url, follow=False)
    assert (stranger.status, stranger.cookies_set) == (401, [])
    cookies = dict(browser.cookies[protected.host])
    assert browser.get(back.url, follow=False).status == 302
    assert browser.get(protected.page(), follow=False).status == 200
    # Not even by a browser that has kept what it was told to forget, at a provider that takes a code twice.
    browser.cookies[protected.host] = cookies
    again = browser.get(back.url, follow=False)
    assert (again.status, again.body) == (401, b"This login was not begun here, or has been finished")
    for query in ("", "?state=x", "?code=x", "?state=&code=", "?state=%00&code=x", "?error=access_denied&state=x"):
        refused = browser.get(f"{protected.callback}{query}", follow=False)
        assert (refused.status, refused.cookies_set) == (401, []), query


BAD: list[tuple[str, dict[str, Any]]] = [
    ("nonce", {"claims": {"nonce": "another"}}),
    ("audience", {"claims": {"aud": "somebody-else"}}),
    ("audiences", {"claims": {"aud": [CLIENT_ID, "somebody-else"]}}),
    ("issuer", {"claims": {"iss": "https://evil.example"}}),
    ("expired", {"claims": {"exp": 1_000_000}}),
    ("future", {"claims": {"iat": 9_999_999_999}}),
    ("nobody", {"claims": {"sub": ""}}),
    ("no-expiry", {"left_out": ("exp",)}),
    ("no-nonce", {"left_out": ("nonce",)}),
    ("unsigned", {"unsigned": True}),
    ("keys", {"shown_keys": False}),
]


@pytest.mark.parametrize(("name", "wrong"), BAD, ids=[name for name, _ in BAD])
def test_a_token_that_is_wrong_logs_nobody_in(
    server: ServerThread, client: Client, provider: LocalProvider, name: str, wrong: dict[str, Any]
) -> None:
    """Whatever is wrong with it."""
    protected = Protected(server, client, provider, f"bad-{name}")
    for attribute, value in wrong.items():
        setattr(provider, attribute, value)
    browser = CookieBrowser()
    page = browser.get(protected.page())
    assert page.status == 401, page.body
    assert b"The provider's answer cannot be used" in page.body
    assert "session_id" not in browser.cookies[protected.host]


def test_keys_may_change_and_be_of_other_kinds(server: ServerThread, client: Client, provider: LocalProvider) -> None:
    """A key that is not known has the keys asked for again."""
    protected = Protected(server, client, provider, "keys")
    provider.algorithm = "ES256"
    assert CookieBrowser().get(protected.page()).status == 200
    provider.rotate()
    provider.algorithm = "PS256"
    assert CookieBrowser().get(protected.page()).status == 200


def test_schemes_of_an_environment(client: Client, provider: LocalProvider) -> None:
    """Created, changed and deleted; the secret goes in and never comes out."""
    custom = {"type": "Custom", "name": "ours", "issuerUrl": provider.issuer}
    body: dict[str, Any] = {
        "name": "of-env",
        "providerType": custom,
        "clientId": CLIENT_ID,
        "clientSecret": CLIENT_SECRET,
        "redirectUrl": "https://a.example.com/back",
        "scopes": ["openid"],
    }
    made = client.post(SCHEMES, body).ok()
    assert "clientSecret" not in made
    assert made["providerType"] == custom
    client.post(SCHEMES, {**body, "redirectUrl": "https://b.example.com"}).refused(
        409, code="SECURITY_SCHEME_ALREADY_EXISTS"
    )
    client.post(SCHEMES, {**body, "name": "other"}).refused(409, code="SECURITY_SCHEME_ALREADY_EXISTS")
    path = f"/v1/security-schemes/{made['id']}"
    change = json.dumps({"currentRevision": 0, "scopes": ["openid", "email"], "providerType": {"type": "Google"}})
    changed = client.send("PATCH", path, change.encode(), JSON).ok()
    assert (changed["revision"], changed["providerType"], changed["scopes"]) == (
        1, {"type": "Google"}, ["openid", "email"]
    )  # fmt: skip
    client.send("PATCH", path, change.encode(), JSON).refused(409, code="CONCURRENT_UPDATE")
    assert changed in client.get(SCHEMES).ok()["values"]
    assert client.get("/v1/api/security/of-env").ok()["providerType"] == "google"
    client.send("DELETE", f"{path}?current_revision=0").refused(409)
    assert client.send("DELETE", f"{path}?current_revision=1").ok() == changed
    client.get(path).refused(404, code="SECURITY_SCHEME_NOT_FOUND")
    client.get("/v1/api/security/of-env").refused(404, code="SECURITY_SCHEME_NOT_FOUND")


def test_a_provider_that_cannot_exchange_codes_is_told(
    server: ServerThread, client: Client, provider: LocalProvider
) -> None:
    """Facebook's metadata, for one, names no token endpoint."""
    provider.metadata = {"token_endpoint": None}
    reason = "its metadata has no token_endpoint, without which nobody can log in"
    body: dict[str, Any] = {
        "providerType": "custom",
        "issuerUrl": provider.issuer,
        "schemeIdentifier": "no-exchange",
        "clientId": CLIENT_ID,
        "clientSecret": CLIENT_SECRET,
        "redirectUrl": "https://no-exchange.example.com/back",
        "scopes": [],
    }
    client.post("/v1/api/security", body).refused(400, f"The provider at {provider.issuer} cannot be used: {reason}")
    protected = Protected(server, client, provider, "no-exchange", ask_provider=False)
    page = CookieBrowser().get(protected.page(), follow=False)
    told = f"Nobody can log in, for the provider cannot be used: {reason}"
    assert (page.status, page.body.decode()) == (401, told)


@pytest.mark.parametrize("token", ["a; Domain=example.com", "a\r\nset-cookie: b=c", 'a"b', "a,b", "ä", "a" * 5_000, 5])
def test_what_cannot_be_a_cookie_is_left_out(
    server: ServerThread, client: Client, provider: LocalProvider, token: object
) -> None:
    """Nobody needs the access token, and a provider must not set cookies of its own."""
    protected = Protected(server, client, provider, f"cookie-{abs(hash(token))}")
    provider.answer = {"access_token": token}
    browser = CookieBrowser()
    assert browser.get(protected.page()).status == 200
    assert browser.cookies[protected.host].keys() == {"id_token", "session_id"}


def test_an_id_token_that_no_browser_keeps_is_told(
    server: ServerThread, client: Client, provider: LocalProvider
) -> None:
    """The browser would go to the provider and back for ever."""
    protected = Protected(server, client, provider, "large")
    provider.claims = {"groups": "g" * 4_000}
    page = CookieBrowser().get(protected.page())
    assert page.status == 401
    assert b"fits into no cookie: ask for fewer scopes" in page.body


WRONG: list[dict[str, Any]] = [
    {"schemeIdentifier": "a b"},
    {"redirectUrl": "http://example.com/back"},
    {"redirectUrl": "https://user@example.com"},
    {"redirectUrl": "javascript:alert(1)"},
    {"issuerUrl": "http://10.0.0.1"},
    {"issuerUrl": "http://127.0.0.1:1"},
    {"providerType": "unknown", "issuerUrl": None},
    {"scopes": ["a b"]},
    {"scopes": "openid"},
    {"clientId": ""},
    {"clientSecret": None},
]


@pytest.mark.parametrize("change", WRONG)
def test_what_cannot_be_a_scheme(client: Client, provider: LocalProvider, change: dict[str, Any]) -> None:
    """Is told when it is created."""
    body: dict[str, Any] = {
        "providerType": "custom",
        "issuerUrl": provider.issuer,
        "schemeIdentifier": "wrong",
        "clientId": CLIENT_ID,
        "clientSecret": CLIENT_SECRET,
        "redirectUrl": "https://wrong.example.com/back",
        "scopes": [],
        **change,
    }
    client.post("/v1/api/security", body).refused(400)


def test_a_definition_needs_a_scheme_that_exists(client: Client) -> None:
    """And only routes with one know their callers."""
    routes = [route("Get", "/", "{status: 200}", component=client.create()["componentName"], security="none")]
    client.post("/v1/api/definitions", {"id": "no-scheme", "version": "1", "routes": routes}).refused(
        404, "Security scheme not found: none"
    )
