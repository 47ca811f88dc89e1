"""Who is logged in, and the codes for which clients get tokens.

Both are found by hashes of what browsers and clients have: to read the database logs nobody in.
"""

from __future__ import annotations

from hashlib import sha256

import msgspec
from asyncpg import ForeignKeyViolationError

from golem_server.model.logins import AuthorizationCode, LoginSession
from golem_server.storage.database import Database

_PURGE = (
    "WITH codes AS (DELETE FROM authorization_codes WHERE expires_at < $1)"
    " DELETE FROM login_sessions WHERE expires_at < $1"
)
_ADD_SESSION = (
    "INSERT INTO login_sessions (id, scheme, token_hash, claims, expires_at, state) VALUES ($1, $2, $3, $4, $5, $6)"
    " ON CONFLICT (state) DO NOTHING RETURNING id"
)
_FIND_SESSION = "SELECT scheme, token_hash, claims, expires_at FROM login_sessions WHERE id = $1 AND expires_at >= $2"
_ADD_CODE = "INSERT INTO authorization_codes (code_hash, scheme, content, expires_at) VALUES ($1, $2, $3, $4)"
_TAKE_CODE = "DELETE FROM authorization_codes WHERE code_hash = $1 RETURNING scheme, content, expires_at"


class PostgresLoginStore:
    """Implements `gateway.openid.login.LoginStore` and `gateway.mcp.oauth.codes.CodeStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_session(self, session: LoginSession, state: str | None = None) -> bool:
        """Remember that somebody is logged in. False if there is a session that this login's state led to already."""
        async with self._database.connection() as connection:
            added = await connection.fetchval(
                _ADD_SESSION,
                _hashed(session.id),
                session.scheme,
                session.token_hash,
                msgspec.json.encode(session.claims),
                session.expires_at,
                None if state is None else _hashed(state),
            )
        return added is not None

    async def find_session(self, session_id: str, now: int) -> LoginSession | None:
        """A session that has not expired at this time, or None."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_FIND_SESSION, _hashed(session_id), now)
        if row is None:
            return None
        scheme, token_hash, claims, expires_at = row
        return LoginSession(session_id, scheme, token_hash, msgspec.json.decode(claims), expires_at)

    async def add_code(self, code: AuthorizationCode) -> bool:
        """Remember a code. False if its scheme is not there any more."""
        async with self._database.connection() as connection:
            try:
                await connection.execute(_ADD_CODE, code.code_hash, code.scheme, code.content, code.expires_at)
            except ForeignKeyViolationError:
                return False
        return True

    async def take_code(self, code_hash: bytes, now: int) -> AuthorizationCode | None:
        """The code with this hash, which is forgotten; None if there is none, or if it has expired at this time."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_TAKE_CODE, code_hash)
        if row is None or row["expires_at"] < now:
            return None
        scheme, content, expires_at = row
        return AuthorizationCode(code_hash, scheme, content, expires_at)

    async def purge(self, now: int) -> None:
        """Forget the sessions and the codes that have expired at this time."""
        async with self._database.connection() as connection:
            await connection.execute(_PURGE, now)


def _hashed(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()
