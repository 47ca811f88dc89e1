"""Logins at APIs of definitions: three cookies, and claims for `request.auth` (reference: gateway, section 1.12)."""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from golem_server.gateway.classic.api_site import Callbacks
from golem_server.gateway.classic.path_patterns import request_segments
from golem_server.gateway.failures import RequestFailed
from golem_server.gateway.openid.login import LoginFailed, Logins, cookies_of, local_path, redirect_path, token_hash
from golem_server.gateway.openid.provider_client import ProviderFailed
from golem_server.gateway.requests import GatewayRequest
from golem_server.gateway.responses import GatewayResponse
from golem_server.model.errors import NotFound
from golem_server.model.ids import EnvironmentId
from golem_server.model.security_schemes import SecurityScheme
from golem_server.registry.security_schemes import SecuritySchemes

SESSION_MS = 60 * 60 * 1000
_COOKIE_VALUE = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]{1,4000}")
"""What a cookie may have (RFC 6265, section 4.1.1), and browsers keep with its name."""


class ClassicLogin:
    """Implements `classic.api_site.Login`."""

    def __init__(self, schemes: SecuritySchemes, logins: Logins) -> None:
        self._schemes = schemes
        self._logins = logins

    async def claims(
        self, request: GatewayRequest, environment_id: EnvironmentId, scheme: str
    ) -> Mapping[str, Any] | GatewayResponse:
        """The claims of the caller's ID token, or the response that lets the caller log in. Raises RequestFailed."""
        known = await self._known(environment_id, scheme)
        cookies = cookies_of(request)
        session_id, token = cookies.get("session_id"), cookies.get("id_token")
        if session_id and token:
            session = await self._logins.session(session_id, known)
            if session is not None:
                # The signature was checked when the session began; what matters is that it is the same token.
                if not hmac.compare_digest(session.token_hash, token_hash(token)):
                    raise RequestFailed(401, "Invalid token")
                expires = session.claims.get("exp", 0)
                if expires * 1000 > self._logins.now:
                    return session.claims
        try:
            return await self._logins.begin(request, known)
        except ProviderFailed as error:
            raise RequestFailed(401, f"Nobody can log in, for the provider cannot be used: {error}") from None

    async def callbacks(self, environment_id: EnvironmentId, host: str, schemes: Collection[str]) -> Callbacks:
        """Where the providers of these schemes send callers back to at a host."""
        known = [each for each in await self._schemes.list(environment_id) if each.name in schemes]
        # Schemes of several hosts may come back at the same path: those of this one take it.
        known.sort(key=lambda each: urlsplit(each.redirect_url).netloc == host)
        return {tuple(request_segments(redirect_path(each)) or ()): each.name for each in known}

    async def take_back(self, request: GatewayRequest, environment_id: EnvironmentId, scheme: str) -> GatewayResponse:
        """The response to a caller whom the provider of a scheme sends back. Raises RequestFailed."""
        return await self._finish(request, await self._known(environment_id, scheme))

    async def _known(self, environment_id: EnvironmentId, scheme: str) -> SecurityScheme:
        try:
            return await self._schemes.named(environment_id, scheme)
        except NotFound:
            raise RequestFailed(401, "The security scheme of this route does not exist any more") from None

    async def _finish(self, request: GatewayRequest, scheme: SecurityScheme) -> GatewayResponse:
        try:
            finished = await self._logins.finish(request, scheme, SESSION_MS)
        except LoginFailed as failure:
            raise RequestFailed(401, str(failure)) from None
        if not _COOKIE_VALUE.fullmatch(finished.id_token):
            # A browser would not keep it, and go to the provider again for ever.
            size = len(finished.id_token)
            raise RequestFailed(401, f"The ID token of {size} characters fits into no cookie: ask for fewer scopes")
        cookies = {"id_token": finished.id_token, "session_id": finished.session.id}
        if _COOKIE_VALUE.fullmatch(finished.access_token):
            cookies["access_token"] = finished.access_token
        attributes = "HttpOnly; Secure; Path=/; SameSite=None"
        if scheme.redirect_url.startswith("http:"):
            # A browser takes no secure cookie without TLS, which schemes have to do without on this machine alone.
            attributes = "HttpOnly; Path=/; SameSite=Lax"
        return GatewayResponse(
            302,
            [
                ("location", local_path(finished.target)),
                *(("set-cookie", f"{name}={value}; {attributes}") for name, value in cookies.items()),
                finished.forget,
                ("cache-control", "no-store"),
            ],
        )
