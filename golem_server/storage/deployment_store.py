"""Deployments of environments, and which of them is current."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Executable, Row, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from golem_server.model.environment_deployments import CurrentDeployment, DeploymentContents, EnvironmentDeployment
from golem_server.model.ids import ComponentId, EnvironmentId, Revision
from golem_server.storage.database import Database
from golem_server.storage.gateway_generation import count_change
from golem_server.storage.tables import current_deployments, environment_deployments

_deployments = environment_deployments.c
_current = current_deployments.c


class PostgresDeploymentStore:
    """Implements `registry.deployment_ports.DeploymentStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def current_deployment(self, environment_id: EnvironmentId) -> CurrentDeployment | None:
        """What is served, or None where nothing has been deployed."""
        rows = await self._rows(
            select(environment_deployments, _current.switches)
            .join(
                current_deployments,
                (_current.environment_id == _deployments.environment_id) & (_current.revision == _deployments.revision),
            )
            .where(_deployments.environment_id == environment_id)
        )
        return CurrentDeployment(rows[0].switches, _deployment(rows[0])) if rows else None

    async def find_deployment(self, environment_id: EnvironmentId, revision: int) -> EnvironmentDeployment | None:
        """A deployment, or None."""
        rows = await self._rows(
            select(environment_deployments).where(
                _deployments.environment_id == environment_id, _deployments.revision == revision
            )
        )
        return _deployment(rows[0]) if rows else None

    async def list_deployments(self, environment_id: EnvironmentId) -> list[EnvironmentDeployment]:
        """All deployments of an environment, in their order."""
        rows = await self._rows(
            select(environment_deployments)
            .where(_deployments.environment_id == environment_id)
            .order_by(_deployments.revision)
        )
        return [_deployment(row) for row in rows]

    async def deploy(
        self,
        environment_id: EnvironmentId,
        switches: int | None,
        version: str,
        hash_: str,
        contents: DeploymentContents,
        now: int,
    ) -> CurrentDeployment | None:
        """Write the next deployment and make it current. None, and nothing written, if another one was made current
        since `switches`, which is None where nothing has been deployed."""
        async with self._database.begin() as connection:
            # The row that counts changes is what deployments of all environments wait for one another at.
            await count_change(connection)
            last = await connection.scalar(
                select(func.max(_deployments.revision)).where(_deployments.environment_id == environment_id)
            )
            revision = 0 if last is None else int(last) + 1
            await connection.execute(
                insert(environment_deployments).values(
                    environment_id=environment_id,
                    revision=revision,
                    version=version.encode("utf-8", "surrogatepass"),
                    hash=hash_,
                    contents=_encoded(contents),
                    created_at=now,
                )
            )
            now_current = await self._switch(connection, environment_id, switches, revision)
            if now_current is None:
                await connection.rollback()
                return None
            deployment = EnvironmentDeployment(environment_id, revision, version, hash_, contents, now)
            return CurrentDeployment(now_current, deployment)

    async def make_current(self, environment_id: EnvironmentId, switches: int, revision: int) -> int | None:
        """Make an earlier deployment current again; returns the new count of switches.

        None, and nothing written, if another one was made current since `switches`.
        """
        async with self._database.begin() as connection:
            await count_change(connection)
            return await self._switch(connection, environment_id, switches, revision)

    async def _switch(
        self, connection: AsyncConnection, environment_id: EnvironmentId, switches: int | None, revision: int
    ) -> int | None:
        if switches is None:
            first = insert(current_deployments).values(environment_id=environment_id, switches=0, revision=revision)
            done = await connection.execute(first.on_conflict_do_nothing())
            return 0 if done.rowcount == 1 else None
        done = await connection.execute(
            update(current_deployments)
            .where(_current.environment_id == environment_id, _current.switches == switches)
            .values(switches=switches + 1, revision=revision)
        )
        return switches + 1 if done.rowcount == 1 else None

    async def _rows(self, query: Executable) -> list[Row[*tuple[Any, ...]]]:
        async def fetch(connection: AsyncConnection) -> list[Row[*tuple[Any, ...]]]:
            return list(await connection.execute(query))

        return await self._database.run_core(fetch)


def _encoded(contents: DeploymentContents) -> bytes:
    parts = (contents.components, contents.http_apis, contents.mcp_endpoints)
    return msgspec.msgpack.encode([[(each.bytes, revision) for each, revision in part] for part in parts])


def _deployment(row: Row[*tuple[Any, ...]]) -> EnvironmentDeployment:
    components, http_apis, mcp_endpoints = msgspec.msgpack.decode(row.contents)
    return EnvironmentDeployment(
        environment_id=EnvironmentId(row.environment_id),
        revision=row.revision,
        version=row.version.decode("utf-8", "surrogatepass"),
        hash=row.hash,
        contents=DeploymentContents(
            components=tuple((ComponentId(UUID(bytes=each)), Revision(revision)) for each, revision in components),
            http_apis=tuple((UUID(bytes=each), revision) for each, revision in http_apis),
            mcp_endpoints=tuple((UUID(bytes=each), revision) for each, revision in mcp_endpoints),
        ),
        created_at=row.created_at,
    )
