"""Logins at security schemes: attempts that are open, and sessions. What has expired goes with the next attempt."""

from __future__ import annotations

import msgspec

from golem_server.model.logins import LoginAttempt, LoginSession
from golem_server.storage.database import Database

_PURGE = (
    "WITH gone AS (DELETE FROM login_attempts WHERE expires_at < $1) DELETE FROM login_sessions WHERE expires_at < $1"
)
_ADD_ATTEMPT = (
    "INSERT INTO login_attempts (state, scheme, nonce, verifier, browser, target, expires_at)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7)"
)
_TAKE_ATTEMPT = (
    "DELETE FROM login_attempts WHERE state = $1 RETURNING scheme, nonce, verifier, browser, target, expires_at"
)
_ADD_SESSION = "INSERT INTO login_sessions (id, scheme, token_hash, claims, expires_at) VALUES ($1, $2, $3, $4, $5)"
_FIND_SESSION = "SELECT scheme, token_hash, claims, expires_at FROM login_sessions WHERE id = $1 AND expires_at >= $2"


class PostgresLoginStore:
    """Implements `gateway.openid.login.LoginStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_attempt(self, attempt: LoginAttempt, now: int) -> None:
        """Remember an attempt, and forget everything that has expired at this time."""
        async with self._database.connection() as connection:
            await connection.execute(_PURGE, now)
            await connection.execute(
                _ADD_ATTEMPT,
                attempt.state,
                attempt.scheme,
                attempt.nonce,
                attempt.verifier,
                attempt.browser,
                attempt.target.encode(),
                attempt.expires_at,
            )

    async def take_attempt(self, state: str) -> LoginAttempt | None:
        """The attempt of a state, which is there no more afterwards; None if there is none."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_TAKE_ATTEMPT, state)
        if row is None:
            return None
        scheme, nonce, verifier, browser, target, expires_at = row
        return LoginAttempt(state, scheme, nonce, verifier, browser, target.decode(), expires_at)

    async def add_session(self, session: LoginSession) -> None:
        """Remember that somebody is logged in."""
        async with self._database.connection() as connection:
            await connection.execute(
                _ADD_SESSION,
                session.id,
                session.scheme,
                session.token_hash,
                msgspec.json.encode(session.claims),
                session.expires_at,
            )

    async def find_session(self, session_id: str, now: int) -> LoginSession | None:
        """A session that has not expired at this time, or None."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_FIND_SESSION, session_id, now)
        if row is None:
            return None
        scheme, token_hash, claims, expires_at = row
        return LoginSession(session_id, scheme, token_hash, msgspec.json.decode(claims), expires_at)
