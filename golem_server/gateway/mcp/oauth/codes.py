"""Codes, for which clients get the ID tokens of those who have logged in for them.

A code is good for a minute, once, and for the client that began the login. The token waits in the database, encrypted
with a key that follows from the code: who reads the database has neither. Whoever shows a code uses it up, also if he
may not have the token.
"""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Protocol
from uuid import UUID

import msgspec
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from golem_server.gateway.mcp.oauth.seals import Seals
from golem_server.model.logins import AuthorizationCode

CODE_MS = 60 * 1000

_HEADER = {"alg": "dir", "enc": "A256GCM"}
_PURPOSE = "code"


class _Registry(jwe.JWERegistry):
    """Has room for every ID token that is believed (id_tokens.py)."""

    max_ciphertext_length = 128 << 10


_REGISTRY = _Registry(algorithms=list(_HEADER.values()))


class CodeStore(Protocol):
    """Where codes are kept. All methods raise Unavailable while the database cannot be reached."""

    async def add_code(self, code: AuthorizationCode) -> bool:
        """Remember a code. False if its scheme is not there any more."""
        ...

    async def take_code(self, code_hash: bytes, now: int) -> AuthorizationCode | None:
        """The code with this hash, which is forgotten; None if there is none, or if it has expired at this time."""
        ...


class Grant(msgspec.Struct, frozen=True, array_like=True):
    """A token, and who may fetch it: a client's hash, the challenge of its verifier, where the code was sent to.

    `expires_at` is that of the token, in seconds since the epoch.
    """

    domain: str
    client: str
    redirect_uri: str
    challenge: str
    id_token: str
    expires_at: float

    def belongs_to(self, domain: str, client: str, redirect_uri: str, verifier: str) -> bool:
        """Whether it is this client that fetches it (RFC 6749, section 4.1.3; RFC 7636, section 4.6)."""
        return (
            self.domain == domain
            and self.client == client
            and self.redirect_uri == redirect_uri
            and hmac.compare_digest(self.challenge, challenge_of(verifier))
        )


class Codes:
    """The codes of all domains."""

    def __init__(self, store: CodeStore, seals: Seals) -> None:
        self._store = store
        self._seals = seals

    async def issue(self, scheme: UUID, grant: Grant, now: int) -> str | None:
        """A code for a token of a scheme's provider; None if the scheme is not there any more.

        `now` is in milliseconds since the epoch.
        """
        code = secrets.token_urlsafe(32)
        content = jwe.encrypt_compact(_HEADER, msgspec.msgpack.encode(grant), self._key(code), registry=_REGISTRY)
        kept = AuthorizationCode(_hashed(code), scheme, content.encode(), now + CODE_MS)
        return code if await self._store.add_code(kept) else None

    async def redeem(self, scheme: UUID, code: str, now: int) -> Grant | None:
        """What a code is for, which is used up by it; None if it is for nothing, or of another scheme."""
        kept = await self._store.take_code(_hashed(code), now)
        if kept is None or kept.scheme != scheme:
            return None
        try:
            content = jwe.decrypt_compact(kept.content, self._key(code), registry=_REGISTRY).plaintext
        except (JoseError, ValueError):
            return None
        return None if content is None else msgspec.msgpack.decode(content, type=Grant)

    def _key(self, code: str) -> OctKey:
        return OctKey.import_key(self._seals.derived(_PURPOSE, code))


def challenge_of(verifier: str) -> str:
    """The challenge of a verifier by S256 (RFC 7636, section 4.2)."""
    return urlsafe_b64encode(_hashed(verifier)).rstrip(b"=").decode()


def _hashed(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()
