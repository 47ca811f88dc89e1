"""Logins at HTTP APIs of agents: one cookie, and the caller as the agent sees it (reference: gateway, section 3.6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from golem_server.gateway.code_first.failures import RequestFailure
from golem_server.gateway.openid.login import LoginFailed, Logins, cookies_of, local_path
from golem_server.gateway.openid.provider_client import ProviderFailed
from golem_server.gateway.requests import GatewayRequest
from golem_server.gateway.responses import GatewayResponse
from golem_server.model.ids import EnvironmentId
from golem_server.model.security_schemes import SecurityScheme
from golem_server.model.types import Value
from golem_server.registry.security_schemes import SecuritySchemes

SESSION_SECONDS = 8 * 60 * 60
_COOKIE = "golem_session_id"
_TEXTS = ("email", "name", "given_name", "family_name", "picture", "preferred_username")
_FAILURES = {
    "MALFORMED": (400, "REQUEST_MISSING_VALUE"),
    "UNKNOWN_STATE": (403, "UNKNOWN_OIDC_STATE"),
    "OTHER_SCHEME": (409, "OIDC_SCHEME_MISMATCH"),
    "NO_TOKENS": (403, "OIDC_TOKEN_EXCHANGE_FAILED"),
}


class AgentLogins:
    """Implements `code_first.authentication.Logins`."""

    def __init__(self, schemes: SecuritySchemes, logins: Logins) -> None:
        self._schemes = schemes
        self._logins = logins

    async def schemes(self, environment_id: EnvironmentId) -> Mapping[str, SecurityScheme]:
        """The security schemes of an environment by name."""
        return {each.name: each for each in await self._schemes.list(environment_id)}

    async def authenticate(
        self, request: GatewayRequest, environment_id: EnvironmentId, scheme: str
    ) -> Value | GatewayResponse:
        """The `principal` of a caller who is logged in, or the response that leads there one who is not."""
        known = await self._schemes.named(environment_id, scheme)
        session_id = cookies_of(request).get(_COOKIE)
        session = None if session_id is None else await self._logins.session(session_id, known)
        if session is not None:
            return oidc_principal(session.claims)
        try:
            return await self._logins.begin(request, known)
        except ProviderFailed as error:
            raise RequestFailure(
                401, "OIDC_PROVIDER_UNUSABLE", f"Nobody can log in, for the provider cannot be used: {error}"
            ) from None

    async def take_back(self, request: GatewayRequest, environment_id: EnvironmentId, scheme: str) -> GatewayResponse:
        """The response to a caller whom the provider sends back. Raises RequestFailure."""
        known = await self._schemes.named(environment_id, scheme)
        try:
            finished = await self._logins.finish(request, known, SESSION_SECONDS * 1000)
        except LoginFailed as failure:
            status, code = _FAILURES[failure.reason]
            raise RequestFailure(status, code, str(failure)) from None
        secure = "; Secure" if known.redirect_url.startswith("https:") else ""
        attributes = f"HttpOnly; SameSite=Lax; Path=/; Max-Age={SESSION_SECONDS}{secure}"
        return GatewayResponse(
            302,
            [
                ("location", local_path(finished.target)),
                ("set-cookie", f"{_COOKIE}={finished.session.id}; {attributes}"),
                finished.forget,
                ("cache-control", "no-store"),
            ],
        )


def oidc_principal(claims: Mapping[str, Any]) -> Value:
    """Somebody whom a provider has logged in, as agents see him."""
    texts = {name: claims.get(name) for name in _TEXTS}
    verified = claims.get("email_verified")
    return (
        "oidc",
        {
            "sub": claims["sub"],
            "issuer": claims["iss"],
            "email-verified": verified if isinstance(verified, bool) else None,
            **{name.replace("_", "-"): text if isinstance(text, str) else None for name, text in texts.items()},
            "claims": msgspec.json.encode(claims).decode(),
        },
    )
