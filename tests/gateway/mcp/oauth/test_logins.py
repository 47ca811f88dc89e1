"""Logins at an MCP domain, step by step over real sockets, and all that must not lead to a token."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, urlsplit

import asyncpg
import pytest
from pydantic import SecretStr

from golem_server.settings import Settings
from tests.api.server import ServerThread
from tests.gateway.mcp.endpoints import ACCEPT, INITIALIZE
from tests.gateway.mcp.oauth.assistant import CALLED_BACK, Assistant, allow, asked_form, parameters
from tests.gateway.openid.browser import CookieBrowser
from tests.gateway.openid.provider import CLIENT_SECRET, LocalProvider


def test_a_client_gets_in(assistant: Assistant, provider: LocalProvider) -> None:
    """With the provider's ID token, for a code that a person has brought back."""
    initialize = json.dumps(INITIALIZE).encode()
    assert assistant.send("POST", "/mcp", initialize, ACCEPT).status == 401
    browser = CookieBrowser()
    back = allow(browser, assistant.page(), CALLED_BACK)
    brought = parameters(back)
    assert (brought["state"], brought["iss"]) == ("the state", f"http://{assistant.host}")
    assert brought.keys() == {"code", "state", "iss"}
    # Nothing of the login is left in the browser but that it was asked.
    assert browser.cookies[assistant.host].keys() == {"golem_mcp_consent"}
    token = assistant.fetch(brought["code"])
    assert (token.headers["cache-control"], token.json["token_type"]) == ("no-store", "Bearer")
    assert token.json.keys() == {"access_token", "token_type", "expires_in"}
    assert 200 < token.json["expires_in"] <= 300
    bearer = {**ACCEPT, "authorization": f"Bearer {token.json['access_token']}"}
    assert assistant.send("POST", "/mcp", initialize, bearer).status == 200


def test_a_code_is_good_once_and_for_its_client_alone(assistant: Assistant) -> None:
    """Whoever shows it uses it up."""
    wrong: list[dict[str, str]] = [
        {"code_verifier": "v" * 43},
        {"code_verifier": "ä"},
        {"client_id": Assistant(assistant.port, assistant.host).registered().client_id + "x"},
        {"client_id": Assistant(assistant.port, assistant.host, name="Other").registered().client_id},
        {"redirect_uri": "http://127.0.0.1:4712/done"},
    ]
    for change in wrong:
        code = assistant.code()
        for refused in (assistant.fetch(code, **change), assistant.fetch(code)):
            assert (refused.status, refused.json["error"]) == (400, "invalid_grant"), change
    code = assistant.code()
    assert assistant.fetch(code).status == 200
    for unknown in (code, "x", "\0", "ä"):
        again = assistant.fetch(unknown)
        assert (again.status, again.json["error"], again.headers["cache-control"]) == (400, "invalid_grant", "no-store")


async def kept_code(database_url: str, code: str) -> bytes:
    """What the database has of a code."""
    connection = await asyncpg.connect(database_url)
    try:
        row = await connection.fetchrow(
            "SELECT * FROM authorization_codes WHERE code_hash = $1", hashlib.sha256(code.encode()).digest()
        )
    finally:
        await connection.close()
    assert row is not None
    return b" ".join(value for value in row.values() if isinstance(value, bytes))


def test_a_code_is_taken_by_every_server_and_readable_by_none(
    server: ServerThread, assistant: Assistant, tmp_path: Path
) -> None:
    """The database has neither the code nor the token."""
    settings = Settings(port=0, data_directory=tmp_path, database_url=SecretStr(server.database_url))
    with ServerThread(settings) as other:
        code = assistant.code()
        kept = asyncio.run(kept_code(server.database_url, code))
        token = replace(assistant, port=other.mcp_port).fetch(code)
        assert token.status == 200
    secrets = [code, token.json["access_token"], *token.json["access_token"].split(".")]
    assert not any(each.encode() in kept for each in secrets)
    assert assistant.fetch(code).json["error"] == "invalid_grant"


def test_a_long_token_is_handed_over(assistant: Assistant, provider: LocalProvider) -> None:
    """Any that is believed."""
    provider.claims = {"groups": "g" * 45_000}
    code = assistant.code()
    provider.claims = {}
    assert len(assistant.fetch(code).ok()["access_token"]) > 60_000


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"grant_type": "refresh_token"}, "unsupported_grant_type"),
        ({"grant_type": ""}, "invalid_request"),
        ({"code": ""}, "invalid_request"),
        ({"code_verifier": ""}, "invalid_request"),
        ({"redirect_uri": ""}, "invalid_request"),
        ({"client_id": ""}, "invalid_request"),
    ],
)
def test_a_token_is_asked_for_completely(assistant: Assistant, changes: dict[str, str], code: str) -> None:
    """By RFC 6749, section 5.2."""
    refused = assistant.fetch("x", **changes)
    assert (refused.status, refused.json["error"]) == (400, code)


def test_forms_that_are_none(assistant: Assistant) -> None:
    """Are told, and bodies are bounded."""
    form = {"content-type": "application/x-www-form-urlencoded"}
    for body, headers in ((b"{}", {"content-type": "application/json"}), (b"a=1&a=2", form), (b"%FF=1", form)):
        refused = assistant.send("POST", "/mcp/oauth/token", body, headers)
        assert (refused.status, refused.json["error"]) == (400, "invalid_request")
    for path in ("/mcp/oauth/token", "/mcp/oauth/register", "/mcp/oauth/authorize"):
        assert assistant.send("POST", path, b"a=" + b"b" * 70_000, form).status == 413
    assert assistant.send("GET", "/mcp/oauth/token").headers["allow"] == "POST"


def test_a_person_is_told_and_goes_nowhere_else(assistant: Assistant) -> None:
    """Where the client or its redirect URI is not what was registered."""
    other = Assistant(assistant.port, assistant.host, "https://evil.example/done").registered()
    elsewhere = Assistant(assistant.port, "tls.example.com").registered()
    header, payload, signature = assistant.client_id.split(".")
    forged = f"{header}.{other.client_id.split('.')[1]}.{signature}"
    unsigned = f"eyJhbGciOiJub25lIn0.{payload}."
    wrong: list[dict[str, str | None]] = [
        {"client_id": None},
        {"client_id": "x"},
        {"client_id": forged, "redirect_uri": other.redirect_uri},
        {"client_id": unsigned},
        {"client_id": elsewhere.client_id},
        {"redirect_uri": None},
        {"redirect_uri": "https://evil.example/done"},
        {"redirect_uri": "http://127.0.0.1:4711/done/more"},
        {"redirect_uri": "http://127.0.0.1:4711/done?more=1"},
        {"redirect_uri": "http://localhost:4711/done"},
        {"redirect_uri": "https://127.0.0.1:4711/done"},
        {"redirect_uri": "http://127.0.0.1:4711@evil.example/done"},
        {"redirect_uri": "http://127.0.0.1:4711\\@evil.example/done"},
    ]
    for change in wrong:
        page = CookieBrowser().get(assistant.page(**change), follow=False)
        assert (page.status, "location" in page.headers, page.cookies_set) == (400, False, []), change
    twice = CookieBrowser().get(f"{assistant.page()}&redirect_uri={quote(CALLED_BACK)}", follow=False)
    assert (twice.status, b"redirect_uri comes twice" in twice.body) == (400, True)


def test_a_client_on_this_machine_may_take_another_port(assistant: Assistant) -> None:
    """RFC 8252, section 7.3."""
    assistant.redirect_uri = "http://127.0.0.1:53211/done"
    assert assistant.fetch(assistant.code()).status == 200


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"resource": "https://other.example/mcp"}, "invalid_target"),
        ({"state": "ä"}, "invalid_request"),
        ({"state": "s" * 1_001}, "invalid_request"),
        ({"state": '"' * 1_000}, "invalid_request"),
    ],
)
def test_a_client_is_told(assistant: Assistant, changes: dict[str, str | None], code: str) -> None:
    """What else is wrong with its request, before anybody is asked."""
    page = CookieBrowser().get(assistant.page(**changes), follow=False)
    assert page.url.startswith(f"{CALLED_BACK}?")
    told = parameters(page)
    state = changes.get("state", "the state")
    assert (told["error"], told.get("state")) == (code, state if state in ("the state", '"' * 1_000) else None)
    assert page.cookies_set == []


def test_what_a_client_may_say_besides(assistant: Assistant) -> None:
    """Its resource, scopes, no state, and a long one."""
    for resource in (
        f"http://{assistant.host}/mcp",
        f"http://{assistant.host}/",
        f"http://{assistant.host.upper()}/mcp/",
    ):
        back = allow(CookieBrowser(), assistant.page(resource=resource, scope="openid email", state=None), CALLED_BACK)
        assert parameters(back).keys() == {"code", "iss"}
    state = "s" * 900 + " &=%"
    assert parameters(allow(CookieBrowser(), assistant.page(state=state), CALLED_BACK))["state"] == state


def test_the_page_of_consent(assistant: Assistant) -> None:
    """Shows who asks, as text, and stands in no frame."""
    assistant.name = '<img src=x onerror=alert(1)>"\u202e'
    page = CookieBrowser().get(assistant.registered().page(), follow=False)
    body = page.body.decode()
    assert "&lt;img src=x onerror=alert(1)&gt;&quot;</dd>" in body
    for shown in ("127.0.0.1:4711 (this computer)", "CounterAgent", assistant.host):
        assert f">{shown}<" in body
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert page.headers["x-frame-options"] == "DENY"
    (cookie,) = page.cookies_set
    assert "; HttpOnly; SameSite=Lax" in cookie
    # No other origin's script may read the seal.
    foreign = assistant.send("GET", urlsplit(assistant.page()).path, headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in foreign.headers


def test_consent_is_given_in_the_browser_that_was_asked(assistant: Assistant) -> None:
    """Not by a form that another site sends, nor with a seal of another browser."""
    url = f"http://{assistant.host}/mcp/oauth/authorize"
    browser, attacker = CookieBrowser(), CookieBrowser()
    form = {**asked_form(browser.get(assistant.page())), "decision": "allow"}
    seal_of_another = {**asked_form(attacker.get(assistant.page())), "decision": "allow"}
    tampered = {**form, "request": f"{form['request'][:-2]}AA"}
    for who, what in ((CookieBrowser(), form), (browser, seal_of_another), (browser, tampered), (browser, {})):
        refused = who.post(url, what, follow=False)
        assert (refused.status, refused.cookies_set) == (400, [])
    # Another page in the same browser does not disturb the first one.
    asked_form(browser.get(assistant.page()))
    assert parameters(browser.post(url, form, until=CALLED_BACK))["code"]


def test_a_person_may_refuse(assistant: Assistant, provider: LocalProvider) -> None:
    """The client is told, and the provider is never seen."""
    before = provider.asked["/authorize"]
    for decision in ("refuse", ""):
        told = parameters(allow(CookieBrowser(), assistant.page(), CALLED_BACK, decision))
        assert (told["error"], told["state"]) == ("access_denied", "the state")
    assert provider.asked["/authorize"] == before


def test_a_login_that_fails_is_told_the_client(assistant: Assistant, provider: LocalProvider) -> None:
    """In the browser that began it; another one learns nothing."""
    browser = CookieBrowser()
    url = f"http://{assistant.host}/mcp/oauth/authorize"
    form = {**asked_form(browser.get(assistant.page())), "decision": "allow"}
    away = browser.post(url, form, follow=False)
    assert away.url.startswith(f"{provider.issuer}/authorize?")
    assert CLIENT_SECRET not in away.url
    state = dict(part.split("=", 1) for part in urlsplit(away.url).query.split("&"))["state"]
    back = f"http://{assistant.host}/mcp/oauth/callback?error=access_denied&state={state}"
    stranger = CookieBrowser().get(back, follow=False)
    assert (stranger.status, "location" in stranger.headers) == (400, False)
    told = parameters(browser.get(back, follow=False))
    assert (told["error"], told["state"]) == ("access_denied", "the state")
    assert browser.get(back, follow=False).status == 400
    provider.claims = {"nonce": "another"}
    told = parameters(allow(CookieBrowser(), assistant.page(), CALLED_BACK))
    provider.claims = {}
    assert (told["error"], "code" in told) == ("server_error", False)


def test_a_state_of_the_provider_is_taken_once(assistant: Assistant, provider: LocalProvider) -> None:
    """Also from a browser that keeps what it was told to forget, at a provider that takes codes twice."""
    browser = CookieBrowser()
    form = {**asked_form(browser.get(assistant.page())), "decision": "allow"}
    callback = f"http://{assistant.host}/mcp/oauth/callback"
    back = browser.post(f"http://{assistant.host}/mcp/oauth/authorize", form, until=callback)
    cookies = dict(browser.cookies[assistant.host])
    provider.keeps_codes = True
    assert parameters(browser.get(back.url, follow=False))["code"]
    browser.cookies[assistant.host] = cookies
    again = browser.get(back.url, follow=False)
    provider.keeps_codes = False
    assert (again.status, b"has been finished" in again.body) == (400, True)
    for query in ("", "?state=x&code=y", "?code=x"):
        assert browser.get(f"{callback}{query}", follow=False).status == 400
