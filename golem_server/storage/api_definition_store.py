"""Definitions of HTTP APIs and the sites where they are deployed.

Every change waits for the one before it (`gateway_generation` has one row), so that what a transaction reads is what
it changes: a definition that a site has cannot be changed or deleted at the same moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Executable, Row, and_, delete, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from golem_server.model.api_definition_json import route_from_json, route_to_json
from golem_server.model.api_definitions import ApiDefinition, ApiDeployment, DefinitionKey, Site, StoredDefinition
from golem_server.model.ids import EnvironmentId
from golem_server.storage.database import Database
from golem_server.storage.gateway_generation import count_change
from golem_server.storage.tables import api_definitions, api_deployments


class PostgresApiDefinitionStore:
    """Implements `registry.ports.ApiDefinitionStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_definition(self, environment_id: EnvironmentId, stored: StoredDefinition) -> bool:
        """Write a definition. False, and nothing written, if there is one of that id and version."""
        definition = stored.definition
        values = {
            "environment_id": environment_id,
            "id": definition.key.id,
            "version": definition.key.version,
            "revision": 0,
            "draft": definition.draft,
            "content": _content(stored),
            "created_at": definition.created_at,
        }
        async with self._database.begin() as connection:
            done = await connection.execute(insert(api_definitions).values(**values).on_conflict_do_nothing())
            return done.rowcount == 1

    async def replace_definition(self, environment_id: EnvironmentId, stored: StoredDefinition) -> bool:
        """Replace a draft, keeping the time of its creation. False if it is not there or no draft any more."""
        definition = stored.definition
        statement = (
            update(api_definitions)
            .where(_is(environment_id, definition.key), api_definitions.c.draft)
            .values(revision=api_definitions.c.revision + 1, draft=definition.draft, content=_content(stored))
        )
        async with self._database.begin() as connection:
            return (await connection.execute(statement)).rowcount == 1

    async def find_definition(self, environment_id: EnvironmentId, key: DefinitionKey) -> StoredDefinition | None:
        """A definition, or None."""
        rows = await self._rows(select(api_definitions).where(_is(environment_id, key)))
        return _stored(rows[0]) if rows else None

    async def list_definitions(self, environment_id: EnvironmentId, id_: str | None) -> list[StoredDefinition]:
        """The definitions of an environment, or those with one id, by id and version (bytewise)."""
        query = select(api_definitions).where(api_definitions.c.environment_id == environment_id)
        if id_ is not None:
            query = query.where(api_definitions.c.id == id_)
        rows = await self._rows(query.order_by(api_definitions.c.id, api_definitions.c.version))
        return [_stored(row) for row in rows]

    async def delete_definition(self, environment_id: EnvironmentId, key: DefinitionKey) -> list[str] | None:
        """Delete a definition. Returns the sites that have it, and keep it, or None if it is not there."""
        async with self._database.begin() as connection:
            await count_change(connection)
            sites = [row.site for row in await connection.execute(_sites_of(environment_id, key))]
            if sites:
                return sorted(sites)
            deleted = await connection.execute(delete(api_definitions).where(_is(environment_id, key)))
            return [] if deleted.rowcount else None

    async def definitions_at(self, site: str) -> tuple[EnvironmentId, list[StoredDefinition]] | None:
        """The definitions at a site in the order in which they came there, with their environment; None for none."""
        rows = await self._rows(
            select(api_definitions)
            .join(api_deployments, _joined())
            .where(api_deployments.c.site == site)
            .order_by(
                api_deployments.c.created_at, api_deployments.c.definition_id, api_deployments.c.definition_version
            )
        )
        return (EnvironmentId(rows[0].environment_id), [_stored(row) for row in rows]) if rows else None

    async def deployed_definitions(self, environment_id: EnvironmentId) -> list[StoredDefinition]:
        """The definitions of an environment that some site has."""
        deployed = select(api_deployments.c.site).where(_joined()).exists()
        rows = await self._rows(
            select(api_definitions).where(api_definitions.c.environment_id == environment_id, deployed)
        )
        return [_stored(row) for row in rows]

    async def deploy(
        self,
        environment_id: EnvironmentId,
        site: Site,
        definitions: Sequence[StoredDefinition],
        present: Sequence[StoredDefinition],
        now: int,
    ) -> bool:
        """Add definitions to a site that has those in `present`, and make them final.

        False, and nothing written, if the site or one of the definitions has changed since they were read.
        """
        async with self._database.begin() as connection:
            await count_change(connection)
            at_site = await connection.execute(
                select(api_deployments.c.definition_id, api_deployments.c.definition_version).where(
                    api_deployments.c.site == str(site)
                )
            )
            if {tuple(row) for row in at_site} != {tuple(each.definition.key) for each in present}:
                return False
            for each in definitions:
                key = each.definition.key
                final = (
                    update(api_definitions)
                    .where(_is(environment_id, key), api_definitions.c.revision == each.revision)
                    .values(draft=False)
                )
                if (await connection.execute(final)).rowcount != 1:
                    await connection.rollback()
                    return False
                await connection.execute(
                    insert(api_deployments).values(
                        site=str(site),
                        definition_id=key.id,
                        definition_version=key.version,
                        environment_id=environment_id,
                        host=site.host,
                        subdomain=site.subdomain,
                        created_at=now,
                    )
                )
            return True

    async def list_deployments(self, environment_id: EnvironmentId, id_: str | None) -> list[ApiDeployment]:
        """The sites of an environment by name, or those that have definitions with an id, with these alone."""
        where = api_deployments.c.environment_id == environment_id
        if id_ is not None:
            where = and_(where, api_deployments.c.definition_id == id_)
        return await self._deployments(where)

    async def find_deployment(self, environment_id: EnvironmentId, site: str) -> ApiDeployment | None:
        """What is at a site, or None."""
        found = await self._deployments(
            and_(api_deployments.c.environment_id == environment_id, api_deployments.c.site == site)
        )
        return found[0] if found else None

    async def undeploy(self, environment_id: EnvironmentId, site: str, key: DefinitionKey | None) -> int:
        """Take one definition, or all, from a site; returns how many. One that no site has becomes a draft again."""
        where = and_(api_deployments.c.environment_id == environment_id, api_deployments.c.site == site)
        if key is not None:
            where = and_(
                where,
                api_deployments.c.definition_id == key.id,
                api_deployments.c.definition_version == key.version,
            )
        async with self._database.begin() as connection:
            await count_change(connection)
            removed = (
                await connection.execute(
                    delete(api_deployments)
                    .where(where)
                    .returning(api_deployments.c.definition_id, api_deployments.c.definition_version)
                )
            ).all()
            for row in removed:
                gone = DefinitionKey(*row)
                elsewhere = await connection.execute(_sites_of(environment_id, gone).limit(1))
                if elsewhere.first() is None:
                    await connection.execute(
                        update(api_definitions).where(_is(environment_id, gone)).values(draft=True)
                    )
            return len(removed)

    async def _deployments(self, where: ColumnElement[bool]) -> list[ApiDeployment]:
        rows = await self._rows(
            select(api_deployments)
            .where(where)
            .order_by(api_deployments.c.site, api_deployments.c.definition_id, api_deployments.c.definition_version)
        )
        return [_deployment(list(group)) for _, group in groupby(rows, key=lambda row: row.site)]

    async def _rows(self, query: Executable) -> list[Row[*tuple[Any, ...]]]:
        async def fetch(connection: AsyncConnection) -> list[Row[*tuple[Any, ...]]]:
            return list(await connection.execute(query))

        return await self._database.run_core(fetch)


def _is(environment_id: EnvironmentId, key: DefinitionKey) -> ColumnElement[bool]:
    table = api_definitions.c
    return and_(table.environment_id == environment_id, table.id == key.id, table.version == key.version)


def _joined() -> ColumnElement[bool]:
    there, here = api_deployments.c, api_definitions.c
    return tuple_(here.environment_id, here.id, here.version) == tuple_(
        there.environment_id, there.definition_id, there.definition_version
    )


def _sites_of(environment_id: EnvironmentId, key: DefinitionKey) -> Any:
    table = api_deployments.c
    return select(table.site).where(
        table.environment_id == environment_id, table.definition_id == key.id, table.definition_version == key.version
    )


def _content(stored: StoredDefinition) -> bytes:
    routes = [route_to_json(route) for route in stored.definition.routes]
    return msgspec.msgpack.encode({"routes": routes, "facts": stored.facts, "uses": stored.uses})


def _stored(row: Row[*tuple[Any, ...]]) -> StoredDefinition:
    content: dict[str, Any] = msgspec.msgpack.decode(row.content)
    definition = ApiDefinition(
        key=DefinitionKey(row.id, row.version),
        draft=row.draft,
        routes=tuple(route_from_json(route, "route") for route in content["routes"]),
        created_at=row.created_at,
    )
    return StoredDefinition(definition, tuple(content["facts"]), content["uses"], row.revision)


def _deployment(rows: Sequence[Row[*tuple[Any, ...]]]) -> ApiDeployment:
    return ApiDeployment(
        site=Site(rows[0].host, rows[0].subdomain),
        definitions=tuple(DefinitionKey(row.definition_id, row.definition_version) for row in rows),
        created_at=min(row.created_at for row in rows),
    )
