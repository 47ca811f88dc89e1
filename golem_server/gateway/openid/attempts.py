"""Logins that have begun and not ended, kept by the browsers that began them.

A browser goes to the provider with a state, and keeps a cookie that belongs to this state alone: what it had asked for,
signed. Without the cookie the state is worth nothing, so that nobody can make another one's browser log in as himself;
several logins of one browser are in nobody's way. Since anybody can begin a login, the server itself keeps nothing of
it: nonce and verifier follow from the state and a key that only the servers on one database know.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from uuid import UUID

from golem_server.model.security_schemes import SecurityScheme

KEY_NAME = "openid-logins"
"""The name of the key among the database's secrets."""

ATTEMPT_MS = 10 * 60 * 1000
MAX_TARGET = 2_500
"""Bytes of what a browser may have asked for: a cookie has 4,096 at most, and this is three quarters of its value."""

MAX_OPEN = 8
"""Logins that one browser has open; its next one forgets the oldest."""

_MAX_BYTES = 8_192
"""Of the cookies of all these logins, which come with each request."""

_COOKIE = "golem_login_"
_HOST = "__Host-"
_HASH = 32


@dataclass(frozen=True, slots=True)
class Attempt:
    """A login that has begun; `target` is where it leads in the end, `expires_at` in milliseconds since the epoch."""

    state: str = field(repr=False)
    scheme: UUID
    target: str
    expires_at: int


class Attempts:
    """Signs what browsers keep. `key` is the same for all servers on a database."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def begin(self, scheme: SecurityScheme, target: str, now: int) -> Attempt:
        """A new login at a time in milliseconds since the epoch."""
        return Attempt(secrets.token_urlsafe(32), scheme.id, target, now + ATTEMPT_MS)

    def derived(self, attempt: Attempt, purpose: str) -> bytes:
        """32 bytes for a purpose, which nobody else can find out, and which this login always has."""
        return self._signed(purpose, attempt.state, b"")

    def remember(self, attempt: Attempt, scheme: SecurityScheme, cookies: Mapping[str, str]) -> list[tuple[str, str]]:
        """The headers with which a browser that has these cookies keeps a login."""
        content = attempt.scheme.bytes + attempt.target.encode("utf-8", "surrogatepass")
        # The time stands in front, where it tells the oldest cookie.
        signed = b"%d." % attempt.expires_at + _encoded(content)
        value = signed + b"." + _encoded(self._signed("cookie", attempt.state, signed))
        attributes = f"Path=/; HttpOnly; SameSite=Lax; Max-Age={ATTEMPT_MS // 1000}{_secure(scheme)}"
        name = _name(attempt.state, scheme)
        room = _MAX_BYTES - len(name) - len(value)
        given = sorted(
            (item for item in cookies.items() if item[0].removeprefix(_HOST).startswith(_COOKIE)),
            key=lambda item: item[1],
        )
        forgotten: list[tuple[str, str]] = []
        while len(given) >= MAX_OPEN or sum(len(name) + len(text) for name, text in given) > room:
            forgotten.append(_forget(given.pop(0)[0], scheme))
        return [("set-cookie", f"{name}={value.decode()}; {attributes}"), *forgotten]

    def forget(self, attempt: Attempt, scheme: SecurityScheme) -> tuple[str, str]:
        """The header with which a browser forgets a login."""
        return _forget(_name(attempt.state, scheme), scheme)

    def find(self, state: str, scheme: SecurityScheme, cookies: Mapping[str, str], now: int) -> Attempt | None:
        """The login of a state that a browser with these cookies has begun, whatever its scheme; None if it has not."""
        signed, _, code = cookies.get(_name(state, scheme), "").rpartition(".")
        expires_at, _, encoded = signed.partition(".")
        expected = _encoded(self._signed("cookie", state, signed.encode()))
        if not hmac.compare_digest(expected, code.encode()) or int(expires_at) < now:
            return None
        content = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
        return Attempt(state, UUID(bytes=content[:16]), content[16:].decode("utf-8", "surrogatepass"), int(expires_at))

    def _signed(self, purpose: str, state: str, content: bytes) -> bytes:
        # All of it has one length but the last, so that no two can be taken for one another.
        return hmac.digest(self._key, _hashed(purpose) + _hashed(state) + content, "sha256")


def _name(state: str, scheme: SecurityScheme) -> str:
    """The name of a state's cookie. Browsers take the prefix from this very host alone, and with TLS."""
    return f"{_HOST if _secure(scheme) else ''}{_COOKIE}{_hashed(state).hex()[:_HASH]}"


def _forget(name: str, scheme: SecurityScheme) -> tuple[str, str]:
    return "set-cookie", f"{name}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0{_secure(scheme)}"


def _secure(scheme: SecurityScheme) -> str:
    return "; Secure" if scheme.redirect_url.startswith("https:") else ""


def _hashed(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()


def _encoded(content: bytes) -> bytes:
    return urlsafe_b64encode(content).rstrip(b"=")
