"""A client of MCP that logs in by hand, step by step, and the person before its browser."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from golem_server.gateway.mcp.oauth.codes import challenge_of
from tests.api.server import JSON, Answer, Client
from tests.gateway.openid.browser import CookieBrowser, Page

CALLED_BACK = "http://127.0.0.1:4711/done"
FORM = {"content-type": "application/x-www-form-urlencoded"}


@dataclass
class Assistant:
    """The client, at a domain; it is reached at a port of this machine, and sends its requests to the host."""

    port: int
    host: str
    redirect_uri: str = CALLED_BACK
    name: str = "Helper"
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    client_id: str = ""

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """A request to the domain."""
        return Client(self.port, None).send(method, path, body, {"host": self.host, **(headers or {})})

    def register(self, **more: Any) -> Answer:
        """Register."""
        content = {"redirect_uris": [self.redirect_uri], "client_name": self.name, **more}
        return self.send("POST", "/mcp/oauth/register", json.dumps(content).encode(), JSON)

    def registered(self) -> Assistant:
        """Itself, after it has registered."""
        answer = self.register()
        assert answer.status == 201, answer.body
        self.client_id = answer.json["client_id"]
        return self

    def page(self, **changes: str | None) -> str:
        """Where it sends a person; None leaves a parameter out."""
        asked = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "code_challenge": challenge_of(self.verifier),
            "code_challenge_method": "S256",
            "state": "the state",
            **changes,
        }
        given = {name: value for name, value in asked.items() if value is not None}
        return f"http://{self.host}/mcp/oauth/authorize?{urlencode(given)}"

    def fetch(self, code: str, /, **changes: str) -> Answer:
        """What it gets for a code."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "client_id": self.client_id,
            "code_verifier": self.verifier,
            **changes,
        }
        return self.send("POST", "/mcp/oauth/token", urlencode(form).encode(), FORM)

    def code(self, **changes: str | None) -> str:
        """A code that a person has got for it."""
        back = allow(CookieBrowser(), self.page(**changes), self.redirect_uri)
        return parameters(back)["code"]


def asked_form(page: Page) -> dict[str, str]:
    """What the form of a consent page brings back, without the decision."""
    assert page.status == 200, page.body
    found = re.search(r'<input type="hidden" name="request" value="([^"]*)">', page.body.decode())
    assert found is not None
    return {"request": unescape(found.group(1))}


def allow(browser: CookieBrowser, url: str, until: str, decision: str = "allow") -> Page:
    """Where a person ends up who is sent to a URL, and allows it, or not."""
    parts = urlsplit(url)
    form = {**asked_form(browser.get(url)), "decision": decision}
    return browser.post(f"{parts.scheme}://{parts.netloc}{parts.path}", form, until=until)


def parameters(page: Page) -> dict[str, str]:
    """What a person brings back to the client."""
    assert page.status == 302, page.body
    return dict(parse_qsl(urlsplit(page.url).query))
