"""What a person has agreed to: a form that only the browser can send back that it was shown in.

The page holds the client's request, sealed for a cookie of this browser. Another site can make a browser send a form,
but has no seal for its cookie; who has a seal of his own, has it for his own cookie.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping

from golem_server.gateway.mcp.oauth.authorization_requests import REQUEST_SECONDS, AuthorizationRequest
from golem_server.gateway.mcp.oauth.domains import ProtectedDomain
from golem_server.gateway.mcp.oauth.seals import Seals

_COOKIE = "golem_mcp_consent"
_BROWSER = re.compile(r"[A-Za-z0-9_-]{43}")
_PURPOSE = "consent"


class Consents:
    """Seals requests for browsers."""

    def __init__(self, seals: Seals) -> None:
        self._seals = seals

    def ask(
        self, domain: ProtectedDomain, request: AuthorizationRequest, cookies: Mapping[str, str]
    ) -> tuple[str, tuple[str, str]]:
        """What a form must bring back, and the header with which the browser keeps its cookie."""
        # A cookie that is there already is kept, so that pages in several tabs stay good.
        browser = _browser(domain, cookies) or secrets.token_urlsafe(32)
        secure = "; Secure" if domain.secure else ""
        cookie = f"{_name(domain)}={browser}; Path=/; HttpOnly; SameSite=Lax; Max-Age={REQUEST_SECONDS}{secure}"
        return self._seals.seal(_PURPOSE, _context(domain, browser), request), ("set-cookie", cookie)

    def take(
        self, domain: ProtectedDomain, sealed: str, cookies: Mapping[str, str], now: int
    ) -> AuthorizationRequest | None:
        """The request that a form brings back at a time in seconds; None if this browser was not asked, or long ago."""
        browser = _browser(domain, cookies)
        if browser is None:
            return None
        request = self._seals.open(_PURPOSE, _context(domain, browser), sealed, AuthorizationRequest)
        return request if request is not None and request.expires_at >= now else None


def _name(domain: ProtectedDomain) -> str:
    """Browsers take the prefix from this very host alone, and with TLS."""
    return f"__Host-{_COOKIE}" if domain.secure else _COOKIE


def _browser(domain: ProtectedDomain, cookies: Mapping[str, str]) -> str | None:
    browser = cookies.get(_name(domain), "")
    return browser if _BROWSER.fullmatch(browser) else None


def _context(domain: ProtectedDomain, browser: str) -> str:
    # The browser's part has one length, so that the domain's end is known.
    return f"{domain.domain} {browser}"
