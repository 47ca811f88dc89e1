"""Where a login leads: to the provider, back, and to what was asked for, never in circles and never elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.api.server import Client, ServerThread
from tests.gateway.openid.browser import CookieBrowser
from tests.gateway.openid.protected import Protected
from tests.gateway.openid.provider import LocalProvider


@pytest.fixture(scope="module")
def everything(server: ServerThread, client: Client) -> Iterator[Protected]:
    """A site on which every path needs a login, the one included at which callers come back."""
    with LocalProvider() as provider:
        yield Protected(server, client, provider, "everything", path="/{+rest}", host="127.0.0.1")


def test_a_route_that_takes_every_path_leaves_the_way_back_alone(everything: Protected) -> None:
    """Otherwise it would send those who come back away again, for ever."""
    browser = CookieBrowser()
    page = browser.get(f"{everything.url}/a/b?q=1")
    assert (page.status, page.body, page.url) == (200, b"ann ann@example.com", f"{everything.url}/a/b?q=1")
    # Only GET is the provider's: nothing else comes back at that path.
    assert CookieBrowser().get(everything.callback, follow=False).status == 401


@pytest.mark.parametrize("path", ["//evil.example/x", "/\\evil.example", "///evil.example", "/\\/evil.example?a=//b"])
def test_a_login_never_leads_away_from_the_site(everything: Protected, path: str) -> None:
    """A browser takes what begins with two slashes, in whatever direction, for another host."""
    browser = CookieBrowser()
    away = browser.get(everything.url + path, follow=False)
    back = browser.get(away.url, follow=False)
    done = browser.get(back.url, follow=False)
    assert done.status == 302, done.body
    assert re.fullmatch(r"/[^/\\].*", done.url), done.url
