"""Secrets that all servers on a database share, drawn by the first one that asks."""

from __future__ import annotations

import secrets

from golem_server.storage.database import Database

_ADD = "INSERT INTO server_secrets (name, secret) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING"
_FIND = "SELECT secret FROM server_secrets WHERE name = $1"


class PostgresSecretStore:
    """Secrets in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def secret(self, name: str) -> bytes:
        """The secret of that name, 32 bytes that never change. Raises Unavailable."""
        async with self._database.connection() as connection:
            await connection.execute(_ADD, name, secrets.token_bytes(32))
            found: bytes = await connection.fetchval(_FIND, name)
            return found
