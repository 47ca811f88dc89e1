"""Logins that have only begun: they belong to one browser, are in nobody's way, and leave nothing on the server."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import asyncpg

from golem_server.gateway.openid.attempts import ATTEMPT_MS, MAX_OPEN, MAX_TARGET, Attempts
from golem_server.storage.embedded import EmbeddedPostgres
from tests.api.server import Client, ServerThread
from tests.gateway.code_first.declared_agents import security_scheme
from tests.gateway.openid.browser import CookieBrowser, Page
from tests.gateway.openid.protected import Protected
from tests.gateway.openid.provider import LocalProvider
from tests.postgres import url_of

NOW = 1_800_000_000_000
SCHEME = security_scheme("s")


def login_cookies(browser: CookieBrowser, protected: Protected) -> dict[str, str]:
    """What a browser keeps of logins that it has begun."""
    return {name: value for name, value in browser.cookies[protected.host].items() if name.startswith("golem_login_")}


def sent_away(browser: CookieBrowser, protected: Protected, x: str) -> Page:
    """Where the provider sends a browser back to that has asked for a page."""
    return browser.get(browser.get(protected.page(x), follow=False).url, follow=False)


def test_two_tabs_log_in_at_once(server: ServerThread, client: Client, provider: LocalProvider) -> None:
    """Each comes to what it has asked for, in whatever order they come back."""
    protected = Protected(server, client, provider, "tabs")
    browser = CookieBrowser()
    backs = {x: sent_away(browser, protected, x) for x in ("a", "b", "c")}
    for x in ("b", "a", "c"):
        done = browser.get(backs[x].url, follow=False)
        assert (done.status, done.url) == (302, f"/tabs/{x}?q=1%202")
    assert login_cookies(browser, protected) == {}
    assert browser.get(protected.page(), follow=False).status == 200


def test_nobody_logs_another_browser_in(server: ServerThread, client: Client, provider: LocalProvider) -> None:
    """Not even one that has begun a login itself: a cookie belongs to its state."""
    protected = Protected(server, client, provider, "forced")
    attacker, victim = CookieBrowser(), CookieBrowser()
    back = sent_away(attacker, protected, "a")
    ((name, _),) = login_cookies(attacker, protected).items()
    sent_away(victim, protected, "a")
    ((_, own),) = login_cookies(victim, protected).items()
    for value in (None, own):
        if value is not None:
            victim.cookies[protected.host][name] = value
        refused = victim.get(back.url, follow=False)
        assert (refused.status, refused.cookies_set) == (401, [])
    assert attacker.get(back.url, follow=False).status == 302


async def test_a_login_that_has_only_begun_leaves_nothing_behind(
    server: ServerThread, client: Client, provider: LocalProvider, postgres: EmbeddedPostgres
) -> None:
    """Anybody can begin one, as often as he likes."""
    protected = Protected(server, client, provider, "nothing")
    connection = await asyncpg.connect(url_of(postgres.url, "openid"))

    async def rows() -> int:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE tablename LIKE 'login%'")
        return sum([await connection.fetchval(f"SELECT count(*) FROM {each['tablename']}") for each in tables])

    before = await rows()
    for _ in range(20):
        assert CookieBrowser().get(protected.page(), follow=False).status == 302
    assert await rows() == before
    await connection.close()


async def test_the_database_tells_nobody_how_to_log_in(
    server: ServerThread, client: Client, provider: LocalProvider, postgres: EmbeddedPostgres
) -> None:
    """It has hashes of what browsers have."""
    protected = Protected(server, client, provider, "hashes")
    browser = CookieBrowser()
    away = browser.get(protected.page(), follow=False)
    (state,) = parse_qs(urlsplit(away.url).query)["state"]
    assert browser.get(browser.get(away.url, follow=False).url).status == 200
    cookies = browser.cookies[protected.host]
    connection = await asyncpg.connect(url_of(postgres.url, "openid"))
    stored = b"".join(
        value if isinstance(value, bytes) else str(value).encode()
        for row in await connection.fetch("SELECT * FROM login_sessions")
        for value in row.values()
    )
    await connection.close()
    assert b"ann@example.com" in stored
    for secret in (state, cookies["session_id"], cookies["id_token"]):
        assert secret.encode() not in stored


def test_a_browser_keeps_a_bounded_number_of_logins(
    server: ServerThread, client: Client, provider: LocalProvider
) -> None:
    """A page may ask for many things at once; the newest logins are those that somebody sees."""
    protected = Protected(server, client, provider, "many")
    browser = CookieBrowser()
    backs = [sent_away(browser, protected, str(at)) for at in range(3 * MAX_OPEN)]
    assert len(login_cookies(browser, protected)) == MAX_OPEN
    assert browser.get(backs[-1].url).status == 200
    last = backs[0]
    for _ in range(10):
        last = sent_away(browser, protected, "x" * 2_000)
        kept = login_cookies(browser, protected)
        assert sum(len(name) + len(value) for name, value in kept.items()) <= 8_192
        assert max(len(name) + len(value) for name, value in kept.items()) < 4_000
    assert browser.get(last.url).status == 200


def test_what_a_page_fetches_begins_no_login(server: ServerThread, client: Client, provider: LocalProvider) -> None:
    """Nobody sees it, and a page that fetches much would push those aside that somebody does see."""
    protected = Protected(server, client, provider, "fetched")
    browser = CookieBrowser()
    for mode in ("cors", "no-cors", "same-origin", "websocket"):
        page = browser.get(protected.page(), follow=False, mode=mode)
        assert (page.status, page.cookies_set) == (302, [])


def test_what_is_too_long_for_a_cookie_is_left_out(
    server: ServerThread, client: Client, provider: LocalProvider
) -> None:
    """The query first, then the path: half of either would be another one."""
    protected = Protected(server, client, provider, "long")
    path, long = "a" * 1_000, "b" * MAX_TARGET
    for asked, target in ((f"{path}?q=1", f"/long/{path}?q=1"), (f"a?q={long}", "/long/a"), (f"{long}?q=1", "/")):
        browser = CookieBrowser()
        back = browser.get(browser.get(f"{protected.url}/long/{asked}", follow=False).url, follow=False)
        assert browser.get(back.url, follow=False).url == target


def kept(headers: list[tuple[str, str]]) -> dict[str, str]:
    """The cookies that these headers set."""
    found = [re.fullmatch(r"([^=]+)=([^;]*);.*", value) for name, value in headers if name == "set-cookie"]
    return {match[1]: match[2] for match in found if match is not None}


def test_a_login_is_as_it_began_and_ends_in_time() -> None:
    """Whatever a browser makes of its cookie is no login."""
    attempts = Attempts(bytes(32))
    attempt = attempts.begin(SCHEME, "/a?b=ä", NOW)
    ((name, value),) = kept(attempts.remember(attempt, SCHEME, {})).items()
    assert attempts.find(attempt.state, SCHEME, {name: value}, NOW + ATTEMPT_MS) == attempt
    assert attempts.find(attempt.state, SCHEME, {name: value}, NOW + ATTEMPT_MS + 1) is None
    assert attempts.find("another", SCHEME, {name: value}, NOW) is None
    assert Attempts(b"other").find(attempt.state, SCHEME, {name: value}, NOW) is None
    for at in range(len(value)):
        for character in ("A", "1", ".", "", "ä"):
            changed = value[:at] + character + value[at + 1 :]
            assert changed == value or attempts.find(attempt.state, SCHEME, {name: changed}, NOW) is None
    assert (
        len({attempts.derived(each, purpose) for each in (attempt, replace(attempt, state="x")) for purpose in "nv"})
        == 4
    )


def test_with_tls_a_cookie_is_of_this_very_host() -> None:
    """A neighbour below the same domain cannot set it, and so have a browser finish his own login."""
    attempts = Attempts(bytes(32))
    attempt = attempts.begin(SCHEME, "/", NOW)
    ((_, cookie),) = attempts.remember(attempt, SCHEME, {})
    assert cookie.startswith("__Host-golem_login_")
    assert cookie.endswith("; Path=/; HttpOnly; SameSite=Lax; Max-Age=600; Secure")
    assert attempts.forget(attempt, SCHEME)[1].startswith(cookie.partition("=")[0] + "=; Path=/;")
