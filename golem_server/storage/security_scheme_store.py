"""Security schemes of environments."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Executable, Row, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from golem_server.model.ids import EnvironmentId
from golem_server.model.security_schemes import SecurityScheme
from golem_server.storage.database import Database
from golem_server.storage.gateway_generation import count_change
from golem_server.storage.tables import security_schemes

_schemes = security_schemes.c


class PostgresSecuritySchemeStore:
    """Implements `registry.security_schemes.SecuritySchemeStore`. Each change is one of what gateways serve."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_scheme(self, scheme: SecurityScheme) -> bool:
        """Write a scheme. False, and nothing written, if its name or its redirect URL is taken."""
        async with self._database.begin() as connection:
            await count_change(connection)
            done = await connection.execute(insert(security_schemes).values(**_values(scheme)).on_conflict_do_nothing())
            return done.rowcount == 1

    async def find_scheme(self, scheme_id: UUID) -> SecurityScheme | None:
        """A scheme, or None."""
        rows = await self._rows(select(security_schemes).where(_schemes.id == scheme_id))
        return _scheme(rows[0]) if rows else None

    async def list_schemes(self, environment_id: EnvironmentId) -> list[SecurityScheme]:
        """The schemes of an environment, by name."""
        query = select(security_schemes).where(_schemes.environment_id == environment_id).order_by(_schemes.name)
        return [_scheme(row) for row in await self._rows(query)]

    async def replace_scheme(self, scheme: SecurityScheme) -> bool | None:
        """Replace the scheme whose revision is one less. False if it is not there, None if its URL is taken."""
        statement = (
            update(security_schemes)
            .where(_schemes.id == scheme.id, _schemes.revision == scheme.revision - 1)
            .values(**_values(scheme))
        )
        try:
            async with self._database.begin() as connection:
                await count_change(connection)
                return (await connection.execute(statement)).rowcount == 1
        except IntegrityError:
            return None

    async def delete_scheme(self, scheme_id: UUID, revision: int) -> bool:
        """Remove a scheme that still has this revision, with everybody's logins. False if it has not."""
        async with self._database.begin() as connection:
            await count_change(connection)
            done = await connection.execute(
                delete(security_schemes).where(_schemes.id == scheme_id, _schemes.revision == revision)
            )
            return done.rowcount == 1

    async def _rows(self, query: Executable) -> list[Row[*tuple[Any, ...]]]:
        async def fetch(connection: AsyncConnection) -> list[Row[*tuple[Any, ...]]]:
            return list(await connection.execute(query))

        return await self._database.run_core(fetch)


def _values(scheme: SecurityScheme) -> dict[str, Any]:
    return {
        "id": scheme.id,
        "revision": scheme.revision,
        "environment_id": scheme.environment_id,
        "name": scheme.name,
        "provider": scheme.provider,
        "custom_provider": scheme.custom_provider,
        "issuer_url": scheme.issuer_url,
        "client_id": scheme.client_id,
        "client_secret": scheme.client_secret,
        "redirect_url": scheme.redirect_url,
        "scopes": msgspec.msgpack.encode(scheme.scopes),
    }


def _scheme(row: Row[*tuple[Any, ...]]) -> SecurityScheme:
    return SecurityScheme(
        id=row.id,
        revision=row.revision,
        environment_id=EnvironmentId(row.environment_id),
        name=row.name,
        provider=row.provider,
        custom_provider=row.custom_provider,
        issuer_url=row.issuer_url,
        client_id=row.client_id,
        client_secret=row.client_secret,
        redirect_url=row.redirect_url,
        scopes=tuple(msgspec.msgpack.decode(row.scopes)),
    )
