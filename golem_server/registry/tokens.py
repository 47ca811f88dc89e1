"""Tokens: random secrets of which only the hash is kept, and who they stand for.

Two tokens are in no table: the well-known one of a local Golem, which works only where it is allowed at construction,
and one that the settings may name. Both stand for the default account.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import uuid4

from golem_server.clock import Clock
from golem_server.model.errors import Unauthorized
from golem_server.model.ids import AccountId, TokenId
from golem_server.model.registry import Token
from golem_server.registry.access import ADMIN, AccountContext
from golem_server.registry.accounts import DEFAULT_ACCOUNT_ID
from golem_server.registry.ports import AccountStore

LOCAL_TOKEN = "5c832d93-ff85-4a8f-9803-513950fdfdb1"
"""The token of the clients' local profile. Everybody knows it (reference: rest-api, section 1)."""

_WELL_FORMED = re.compile(r"[A-Za-z0-9_-]{16,1000}")
_SECRET_BYTES = 32
_MAX_CACHED = 10_000


@dataclass(frozen=True, slots=True)
class _Known:
    """An answer that holds until `fresh_until` (monotonic seconds), and never at or after the token's expiry."""

    context: AccountContext
    token_id: TokenId
    fresh_until: float
    expires_at: datetime | None


class Tokens:
    """Issues tokens and tells whose they are."""

    def __init__(
        self,
        store: AccountStore,
        clock: Clock,
        *,
        allow_local_token: bool,
        configured_token: str | None = None,
        remember: timedelta = timedelta(seconds=10),
    ) -> None:
        """`remember` is how long an answer is used again: so long does a token go on that another server revoked."""
        self._store = store
        self._clock = clock
        self._remember = remember.total_seconds()
        self._known: dict[bytes, _Known] = {}
        built_in = [configured_token, LOCAL_TOKEN if allow_local_token else None]
        self._built_in: Sequence[bytes] = [_hash(secret) for secret in built_in if secret is not None]
        self._local_hash = _hash(LOCAL_TOKEN)

    async def authenticate(self, secret: str | None) -> AccountContext:
        """The account that the secret stands for; without a query if it was asked for lately.

        Raises Unauthorized if the secret is missing, malformed, unknown or expired.
        """
        if secret is None or not _WELL_FORMED.fullmatch(secret):
            raise Unauthorized("authorization error")
        secret_hash = _hash(secret)
        known = self._known.get(secret_hash)
        if known is None or self._clock.monotonic() >= known.fresh_until:
            known = await self._look_up(secret_hash)
        if known.expires_at is not None and known.expires_at <= self._clock.now():
            raise _unknown()
        return known.context

    async def _look_up(self, secret_hash: bytes) -> _Known:
        fresh_until = self._clock.monotonic() + self._remember
        known = self._built_in_token(secret_hash, fresh_until) or await self._stored_token(secret_hash, fresh_until)
        if len(self._known) >= _MAX_CACHED:
            self._known.clear()
        self._known[secret_hash] = known
        return known

    def _built_in_token(self, secret_hash: bytes, fresh_until: float) -> _Known | None:
        # All are compared, each in constant time, so that the time taken tells nothing.
        if any([hmac.compare_digest(secret_hash, built_in) for built_in in self._built_in]):
            return _Known(AccountContext(DEFAULT_ACCOUNT_ID, is_admin=True), TokenId(uuid4()), fresh_until, None)
        return None

    async def _stored_token(self, secret_hash: bytes, fresh_until: float) -> _Known:
        token = await self._store.find_token(secret_hash)
        if token is None or not hmac.compare_digest(token.secret_hash, secret_hash):
            raise _unknown()
        account = await self._store.find_account(token.account_id)
        if account is None or hmac.compare_digest(secret_hash, self._local_hash):
            raise _unknown()
        context = AccountContext(account.id, is_admin=account.role == ADMIN)
        return _Known(context, token.id, fresh_until, token.expires_at)

    async def create(self, account_id: AccountId, expires_at: datetime | None = None) -> tuple[Token, str]:
        """A new token of the account, and its secret, which is shown this once."""
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        token = Token(
            id=TokenId(uuid4()),
            account_id=account_id,
            secret_hash=_hash(secret),
            created_at=self._clock.now(),
            expires_at=expires_at,
        )
        await self._store.add_token(token)
        return token, secret

    async def revoke(self, token_id: TokenId) -> None:
        """Make the token useless: at once on this server, on others when what they remember has become old."""
        await self._store.delete_token(token_id)
        self._known = {key: known for key, known in self._known.items() if known.token_id != token_id}


def _hash(secret: str) -> bytes:
    # Fast on purpose: the secrets are random, so there is nothing to guess that a slow hash would protect.
    return sha256(secret.encode()).digest()


def _unknown() -> Unauthorized:
    return Unauthorized("Could not authenticate user using token")
