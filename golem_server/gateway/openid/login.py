"""A login: to the provider and back, and what is remembered meanwhile.

The browser goes away with a state, which comes back with it once, and with a cookie, so that nobody can make another
one's browser log in as himself. Where it goes afterwards is what it had asked for, kept here, never what a query says.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from typing import Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import UUID

from golem_server.clock import Clock
from golem_server.gateway.openid.id_tokens import InvalidToken, checked_claims
from golem_server.gateway.openid.provider import Providers
from golem_server.gateway.openid.provider_client import ProviderFailed
from golem_server.gateway.requests import GatewayRequest
from golem_server.gateway.responses import GatewayResponse
from golem_server.model.logins import LoginAttempt, LoginSession
from golem_server.model.security_schemes import SecurityScheme

ATTEMPT_MS = 10 * 60 * 1000
_COOKIE = "golem_login"
_MAX_TARGET = 4_096


class LoginStore(Protocol):
    """Where logins are kept. All methods raise Unavailable while the database cannot be reached."""

    async def add_attempt(self, attempt: LoginAttempt, now: int) -> None:
        """Remember an attempt, and forget everything that has expired at this time."""
        ...

    async def take_attempt(self, state: str) -> LoginAttempt | None:
        """The attempt of a state, which is there no more afterwards; None if there is none."""
        ...

    async def add_session(self, session: LoginSession) -> None:
        """Remember that somebody is logged in."""
        ...

    async def find_session(self, session_id: str, now: int) -> LoginSession | None:
        """A session that has not expired at this time, or None."""
        ...


class LoginFailed(Exception):
    """A login came to nothing. `reason` is one of UNKNOWN_STATE, OTHER_SCHEME, NO_TOKENS, MALFORMED."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Finished:
    """Somebody has logged in: his session and tokens, and the path that he had asked for."""

    session: LoginSession
    id_token: str
    access_token: str
    target: str


class Logins:
    """Logins at all schemes."""

    def __init__(self, store: LoginStore, providers: Providers, clock: Clock) -> None:
        self._store = store
        self._providers = providers
        self._clock = clock

    async def begin(self, request: GatewayRequest, scheme: SecurityScheme) -> GatewayResponse:
        """The response that sends a browser to the provider. Raises ProviderFailed."""
        metadata = await self._providers.metadata(scheme.issuer_url)
        state, nonce, browser, verifier = (secrets.token_urlsafe(32) for _ in range(4))
        target = request.path_and_query if len(request.path_and_query) <= _MAX_TARGET else request.path[:_MAX_TARGET]
        now = self.now
        attempt = LoginAttempt(state, scheme.id, nonce, verifier, _hashed(browser), target, now + ATTEMPT_MS)
        await self._store.add_attempt(attempt, now)
        asked = {
            "response_type": "code",
            "client_id": scheme.client_id,
            "redirect_uri": scheme.redirect_url,
            "scope": " ".join(dict.fromkeys(("openid", *scheme.scopes))),
            "state": state,
            "nonce": nonce,
        }
        if metadata.supports_pkce:
            challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
            asked |= {"code_challenge": challenge, "code_challenge_method": "S256"}
        separator = "&" if "?" in metadata.authorization_endpoint else "?"
        lasting = f"Max-Age={ATTEMPT_MS // 1000}"
        attributes = f"Path=/; HttpOnly; SameSite=Lax; {lasting}{_secure(scheme)}"
        return GatewayResponse(
            302,
            [
                ("location", f"{metadata.authorization_endpoint}{separator}{urlencode(asked)}"),
                ("set-cookie", f"{_COOKIE}={browser}; {attributes}"),
                ("cache-control", "no-store"),
            ],
        )

    async def finish(self, request: GatewayRequest, scheme: SecurityScheme, session_ms: int) -> Finished:
        """What a browser that comes back from the provider of a scheme has brought. Raises LoginFailed."""
        brought = dict(parse_qsl(request.query, keep_blank_values=True))
        state, code = brought.get("state"), brought.get("code")
        if not state or not code:
            refusal = brought.get("error", "")[:100]
            raise LoginFailed("MALFORMED", f"The provider sent no {'state' if not state else 'code'}: {refusal}")
        attempt = await self._store.take_attempt(state) if state.isascii() and state.isprintable() else None
        cookie = cookies_of(request).get(_COOKIE, "")
        if (
            attempt is None
            or attempt.expires_at < self.now
            or not hmac.compare_digest(_hashed(cookie), attempt.browser)
        ):
            raise LoginFailed("UNKNOWN_STATE", "This login was not begun here, or has been finished")
        if attempt.scheme != scheme.id:
            raise LoginFailed("OTHER_SCHEME", "This login was begun with another security scheme")
        try:
            tokens = await self._providers.exchange(scheme, code, attempt.verifier)
            id_token = tokens.get("id_token")
            if not isinstance(id_token, str):
                raise LoginFailed("NO_TOKENS", "The provider gave no ID token")
            metadata = await self._providers.metadata(scheme.issuer_url)
            claims = await checked_claims(
                self._providers, metadata, id_token, scheme.client_id, attempt.nonce, self.now / 1000
            )
        except (ProviderFailed, InvalidToken) as error:
            raise LoginFailed("NO_TOKENS", f"The provider's answer cannot be used: {error}") from None
        session = LoginSession(
            id=str(_time_ordered_uuid(self.now)),
            scheme=scheme.id,
            token_hash=token_hash(id_token),
            claims=claims,
            expires_at=self.now + session_ms,
        )
        await self._store.add_session(session)
        access_token = tokens.get("access_token")
        return Finished(session, id_token, access_token if isinstance(access_token, str) else "", attempt.target)

    async def session(self, session_id: str, scheme: SecurityScheme) -> LoginSession | None:
        """The session of a cookie, if it is one of this scheme."""
        if not (session_id.isascii() and session_id.isprintable()) or len(session_id) > 100:
            return None
        found = await self._store.find_session(session_id, self.now)
        return found if found is not None and found.scheme == scheme.id else None

    @property
    def now(self) -> int:
        """Milliseconds since the epoch."""
        return self._clock.now_ns() // 1_000_000


def local_path(target: str) -> str:
    """A path of this site, whatever the text: a browser takes `//host` for another one."""
    return "/" + target.lstrip("/\\")


def cookies_of(request: GatewayRequest) -> Mapping[str, str]:
    """The cookies of a request, those that can be read."""
    cookies: dict[str, str] = {}
    for header in request.header_values("cookie"):
        for part in header.split(";"):
            try:
                cookies |= {name: morsel.value for name, morsel in SimpleCookie(part).items()}
            except CookieError:
                continue
    return cookies


def token_hash(token: str) -> bytes:
    """What is kept of a token."""
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


def redirect_path(scheme: SecurityScheme) -> str:
    """The path at which the provider's callers come back."""
    return urlsplit(scheme.redirect_url).path or "/"


def _hashed(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _secure(scheme: SecurityScheme) -> str:
    return "; Secure" if scheme.redirect_url.startswith("https:") else ""


def _time_ordered_uuid(now: int) -> UUID:
    """A UUID of version 7 (RFC 9562): 74 random bits behind the time."""
    number = (now & ((1 << 48) - 1)) << 80 | secrets.randbits(80)
    number = number & ~(0xF << 76) | 7 << 76
    return UUID(int=number & ~(0x3 << 62) | 0x2 << 62)
