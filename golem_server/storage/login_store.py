"""Who is logged in. Sessions are found by hashes of what the browsers have: to read the database logs nobody in."""

from __future__ import annotations

from hashlib import sha256

import msgspec

from golem_server.model.logins import LoginSession
from golem_server.storage.database import Database

_PURGE = "DELETE FROM login_sessions WHERE expires_at < $1"
_ADD_SESSION = (
    "INSERT INTO login_sessions (id, scheme, token_hash, claims, expires_at, state) VALUES ($1, $2, $3, $4, $5, $6)"
    " ON CONFLICT (state) DO NOTHING RETURNING id"
)
_FIND_SESSION = "SELECT scheme, token_hash, claims, expires_at FROM login_sessions WHERE id = $1 AND expires_at >= $2"


class PostgresLoginStore:
    """Implements `gateway.openid.login.LoginStore`."""

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

    async def purge(self, now: int) -> None:
        """Forget the sessions that have expired at this time."""
        async with self._database.connection() as connection:
            await connection.execute(_PURGE, now)


def _hashed(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()
