"""A login: to the provider and back, and the session that comes of it.

Where it leads afterwards is what the browser had asked for, never what a query says (attempts.py).
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from typing import Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import UUID

from golem_server.clock import Clock
from golem_server.gateway.openid.attempts import MAX_TARGET, Attempt, Attempts
from golem_server.gateway.openid.id_tokens import InvalidToken, checked_claims
from golem_server.gateway.openid.provider import Providers
from golem_server.gateway.openid.provider_client import ProviderFailed
from golem_server.gateway.requests import GatewayRequest
from golem_server.gateway.responses import GatewayResponse
from golem_server.model.errors import Unavailable
from golem_server.model.logins import LoginSession
from golem_server.model.security_schemes import SecurityScheme

PURGE_SECONDS = 60.0

_log = logging.getLogger(__name__)


class LoginStore(Protocol):
    """Where logins are kept. All methods raise Unavailable while the database cannot be reached."""

    async def add_session(self, session: LoginSession, state: str | None = None) -> bool:
        """Remember that somebody is logged in. False if there is a session that this login's state led to already."""
        ...

    async def find_session(self, session_id: str, now: int) -> LoginSession | None:
        """A session that has not expired at this time, or None."""
        ...

    async def purge(self, now: int) -> None:
        """Forget the sessions that have expired at this time."""
        ...


class LoginFailed(Exception):
    """A login came to nothing. `reason` is one of UNKNOWN_STATE, OTHER_SCHEME, NO_TOKENS, MALFORMED."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Finished:
    """Somebody has logged in: his session and tokens, and the path that he had asked for.

    `forget` is the header with which his browser forgets that he wanted to.
    """

    session: LoginSession
    id_token: str = field(repr=False)
    access_token: str = field(repr=False)
    target: str
    forget: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Begun:
    """A login that a browser has begun: where it leads, and the header with which the browser forgets it."""

    target: str
    forget: tuple[str, str]


class Logins:
    """Logins at all schemes."""

    def __init__(self, store: LoginStore, providers: Providers, attempts: Attempts, clock: Clock) -> None:
        self._store = store
        self._providers = providers
        self._attempts = attempts
        self._clock = clock

    async def begin(
        self, request: GatewayRequest, scheme: SecurityScheme, target: str | None = None
    ) -> GatewayResponse:
        """The response that sends a browser to the provider; `target` is by default what it asks for now.

        Raises ProviderFailed, and LoginFailed for a target of more than `attempts.MAX_TARGET` bytes.
        """
        if target is not None and len(target.encode()) > MAX_TARGET:
            raise LoginFailed("MALFORMED", f"What is asked for has more than {MAX_TARGET} bytes")
        metadata = await self._providers.metadata(scheme.issuer_url)
        attempt = self._attempts.begin(scheme, _asked(request) if target is None else target, self.now)
        asked = {
            "response_type": "code",
            "client_id": scheme.client_id,
            "redirect_uri": scheme.redirect_url,
            "scope": " ".join(dict.fromkeys(("openid", *scheme.scopes))),
            "state": attempt.state,
            "nonce": self._derived(attempt, "nonce"),
        }
        if metadata.supports_pkce:
            verifier = self._derived(attempt, "verifier")
            challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
            asked |= {"code_challenge": challenge, "code_challenge_method": "S256"}
        separator = "&" if "?" in metadata.authorization_endpoint else "?"
        # What a page fetches cannot log anybody in, and must not take the place of a login that somebody sees.
        seen = request.header("sec-fetch-mode") in (None, "navigate")
        return GatewayResponse(
            302,
            [
                ("location", f"{metadata.authorization_endpoint}{separator}{urlencode(asked)}"),
                *(self._attempts.remember(attempt, scheme, cookies_of(request)) if seen else ()),
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
        attempt = self._attempts.find(state, scheme, cookies_of(request), self.now)
        if attempt is None:
            raise _unknown_state()
        if attempt.scheme != scheme.id:
            raise LoginFailed("OTHER_SCHEME", "This login was begun with another security scheme")
        try:
            tokens = await self._providers.exchange(scheme, code, self._derived(attempt, "verifier"))
            id_token = tokens.get("id_token")
            if not isinstance(id_token, str):
                raise LoginFailed("NO_TOKENS", "The provider gave no ID token")
            metadata = await self._providers.metadata(scheme.issuer_url)
            nonce = self._derived(attempt, "nonce")
            claims = await checked_claims(self._providers, metadata, id_token, scheme.client_id, nonce, self.now / 1000)
        except (ProviderFailed, InvalidToken) as error:
            raise LoginFailed("NO_TOKENS", f"The provider's answer cannot be used: {error}") from None
        session = LoginSession(
            id=str(_time_ordered_uuid(self.now)),
            scheme=scheme.id,
            token_hash=token_hash(id_token),
            claims=claims,
            expires_at=self.now + session_ms,
        )
        if not await self._store.add_session(session, attempt.state):
            raise _unknown_state()
        access_token = tokens.get("access_token")
        return Finished(
            session,
            id_token,
            access_token if isinstance(access_token, str) else "",
            attempt.target,
            self._attempts.forget(attempt, scheme),
        )

    def begun(self, request: GatewayRequest, scheme: SecurityScheme) -> Begun | None:
        """The login from which a browser comes back to a scheme, however it went; None if it has begun none."""
        state = dict(parse_qsl(request.query, keep_blank_values=True)).get("state")
        attempt = None if not state else self._attempts.find(state, scheme, cookies_of(request), self.now)
        if attempt is None or attempt.scheme != scheme.id:
            return None
        return Begun(attempt.target, self._attempts.forget(attempt, scheme))

    async def session(self, session_id: str, scheme: SecurityScheme) -> LoginSession | None:
        """The session of a cookie, if it is one of this scheme."""
        if not (session_id.isascii() and session_id.isprintable()) or len(session_id) > 100:
            return None
        found = await self._store.find_session(session_id, self.now)
        return found if found is not None and found.scheme == scheme.id else None

    async def purge(self) -> None:
        """Forget sessions that have expired, once a minute and for ever."""
        while True:
            try:
                await self._store.purge(self.now)
            except Unavailable as error:
                _log.warning("cannot forget logins that have expired: %s", error)
            await asyncio.sleep(PURGE_SECONDS)

    def _derived(self, attempt: Attempt, purpose: str) -> str:
        return urlsafe_b64encode(self._attempts.derived(attempt, purpose)).rstrip(b"=").decode()

    @property
    def now(self) -> int:
        """Milliseconds since the epoch."""
        return self._clock.now_ns() // 1_000_000


def local_path(target: str) -> str:
    """A path of this site, whatever the text: a browser takes `//host` for another one, and passes over controls."""
    return "/" + "".join(character for character in target if " " < character != "\x7f").lstrip("/\\")


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


def _asked(request: GatewayRequest) -> str:
    """What a browser asks for, as far as it can be kept."""
    fits = [each for each in (request.path_and_query, request.path) if len(each.encode()) <= MAX_TARGET]
    return fits[0] if fits else "/"


def _unknown_state() -> LoginFailed:
    return LoginFailed("UNKNOWN_STATE", "This login was not begun here, or has been finished")


def _time_ordered_uuid(now: int) -> UUID:
    """A UUID of version 7 (RFC 9562): 74 random bits behind the time."""
    number = (now & ((1 << 48) - 1)) << 80 | secrets.randbits(80)
    number = number & ~(0xF << 76) | 7 << 76
    return UUID(int=number & ~(0x3 << 62) | 0x2 << 62)
