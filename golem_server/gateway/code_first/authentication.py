"""Who calls: nobody in particular, somebody whom a provider has logged in, or whoever a test says it is.

The answer is the `principal` that the agent sees (reference: gateway, section 3.6).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Protocol

import msgspec

from golem_server.clock import Clock
from golem_server.gateway.code_first.failures import RequestFailure
from golem_server.gateway.requests import GatewayRequest
from golem_server.gateway.responses import GatewayResponse
from golem_server.model.http_api_deployments import AgentSecurity, TestSessionHeader
from golem_server.model.ids import EnvironmentId
from golem_server.model.principals import ANONYMOUS
from golem_server.model.security_schemes import SecurityScheme
from golem_server.model.types import Value

TEST_SESSION_LASTS = timedelta(hours=8)


class Logins(Protocol):
    """Logs callers in at the providers of security schemes."""

    async def schemes(self, environment_id: EnvironmentId) -> Mapping[str, SecurityScheme]:
        """The security schemes of an environment by name."""
        ...

    async def authenticate(
        self, request: GatewayRequest, environment_id: EnvironmentId, scheme: str
    ) -> Value | GatewayResponse:
        """The `principal` of a caller who is logged in, or the response that leads there one who is not."""
        ...

    async def take_back(self, request: GatewayRequest, environment_id: EnvironmentId, scheme: str) -> GatewayResponse:
        """The response to a caller whom the provider sends back."""
        ...


class NoLogins:
    """No security schemes."""

    async def schemes(self, environment_id: EnvironmentId) -> Mapping[str, SecurityScheme]:
        """None."""
        return {}

    async def authenticate(
        self, request: GatewayRequest, environment_id: EnvironmentId, scheme: str
    ) -> Value | GatewayResponse:
        """Nobody."""
        return GatewayResponse(401)

    async def take_back(self, request: GatewayRequest, environment_id: EnvironmentId, scheme: str) -> GatewayResponse:
        """Nobody was sent away."""
        return GatewayResponse(401)


class Callers:
    """Finds out who sends requests to the routes of one environment."""

    def __init__(self, environment_id: EnvironmentId, logins: Logins, clock: Clock) -> None:
        self._environment_id = environment_id
        self._logins = logins
        self._clock = clock

    async def principal(self, request: GatewayRequest, security: AgentSecurity) -> Value | GatewayResponse:
        """The caller as the agent sees it, or the response that ends the request. Raises RequestFailure."""
        if security is None:
            return ANONYMOUS
        if not isinstance(security, TestSessionHeader):
            return await self._logins.authenticate(request, self._environment_id, security.name)
        header = request.header(security.header_name.lower())
        return GatewayResponse(401) if header is None else _test_principal(header, self._clock.now())

    async def take_back(self, request: GatewayRequest, scheme: str) -> GatewayResponse:
        """The response to a caller whom a provider sends back."""
        return await self._logins.take_back(request, self._environment_id, scheme)


class _TestSession(msgspec.Struct):
    """What a test may say of the caller."""

    subject: str = "test-user"
    issuer: str = "http://test-idp.com"
    email: str | None = None
    name: str | None = None
    email_verified: bool | None = None
    given_name: str | None = None
    family_name: str | None = None
    picture: str | None = None
    preferred_username: str | None = None
    scopes: list[str] = []
    issued_at: datetime | None = None
    expires_at: datetime | None = None


_OPTIONAL_CLAIMS = ("email", "name", "email_verified", "given_name", "family_name", "picture", "preferred_username")


def _test_principal(header: str, now: datetime) -> Value | GatewayResponse:
    try:
        session = msgspec.json.decode(header.encode("latin-1"), type=_TestSession)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RequestFailure(400, "REQUEST_VALUE_PARSING_FAILED", f"test session header: {error}") from None
    issued_at = _aware(session.issued_at or now)
    expires_at = _aware(session.expires_at or issued_at + TEST_SESSION_LASTS)
    if expires_at <= now:
        return GatewayResponse(401)
    given = {name: getattr(session, name) for name in _OPTIONAL_CLAIMS}
    claims = {
        "sub": session.subject,
        "iss": session.issuer,
        "iat": int(issued_at.timestamp()),
        "exp": int(expires_at.timestamp()),
        **({"scope": " ".join(session.scopes)} if session.scopes else {}),
        **{name: value for name, value in given.items() if value is not None},
    }
    return (
        "oidc",
        {
            "sub": session.subject,
            "issuer": session.issuer,
            **{name.replace("_", "-"): value for name, value in given.items()},
            "claims": msgspec.json.encode(claims).decode(),
        },
    )


def _aware(time: datetime) -> datetime:
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)
