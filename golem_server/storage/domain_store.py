"""Registered domains, and the revisions of what environments want at them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import Executable, Row, delete, select
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from golem_server.model.environment_deployments import DomainDeployment, DomainRegistration, DomainUse
from golem_server.model.ids import EnvironmentId
from golem_server.storage.database import Database
from golem_server.storage.gateway_generation import count_change
from golem_server.storage.tables import domain_deployments, domain_registrations

_revisions = domain_deployments.c


class PostgresDomainStore:
    """Implements `registry.deployment_ports.DomainStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_domain(self, registration: DomainRegistration) -> bool:
        """Write a registration. False, and nothing written, if somebody has the domain."""
        values = {
            "id": registration.id,
            "environment_id": registration.environment_id,
            "domain": registration.domain,
        }
        async with self._database.begin() as connection:
            await count_change(connection)
            done = await connection.execute(insert(domain_registrations).values(**values).on_conflict_do_nothing())
            return done.rowcount == 1

    async def find_domain(self, registration_id: UUID) -> DomainRegistration | None:
        """A registration, or None."""
        rows = await self._rows(select(domain_registrations).where(domain_registrations.c.id == registration_id))
        return _registration(rows[0]) if rows else None

    async def owner_of_domain(self, domain: str) -> EnvironmentId | None:
        """The environment that has a domain, or None."""
        query = select(domain_registrations.c.environment_id).where(domain_registrations.c.domain == domain)
        rows = await self._rows(query)
        return EnvironmentId(rows[0].environment_id) if rows else None

    async def list_domains(self, environment_id: EnvironmentId) -> list[DomainRegistration]:
        """The domains of an environment, by name."""
        table = domain_registrations.c
        query = select(domain_registrations).where(table.environment_id == environment_id).order_by(table.domain)
        return [_registration(row) for row in await self._rows(query)]

    async def delete_domain(self, registration_id: UUID) -> bool:
        """Give a domain back. False if it is not registered."""
        async with self._database.begin() as connection:
            await count_change(connection)
            done = await connection.execute(
                delete(domain_registrations).where(domain_registrations.c.id == registration_id)
            )
            return done.rowcount == 1

    async def add_revision(self, deployment: DomainDeployment) -> bool:
        """Write a revision. False, and nothing written, if there is one of that number."""
        values = {
            "id": deployment.id,
            "revision": deployment.revision,
            "use": int(deployment.use),
            "environment_id": deployment.environment_id,
            "domain": deployment.domain,
            "content": deployment.content,
            "hash": deployment.hash,
            "deleted": deployment.deleted,
            "created_at": deployment.created_at,
        }
        async with self._database.begin() as connection:
            done = await connection.execute(insert(domain_deployments).values(**values).on_conflict_do_nothing())
            return done.rowcount == 1

    async def find_revision(self, use: DomainUse, deployment_id: UUID, revision: int) -> DomainDeployment | None:
        """One revision, also of what is deleted."""
        rows = await self._rows(
            select(domain_deployments).where(
                _revisions.use == int(use), _revisions.id == deployment_id, _revisions.revision == revision
            )
        )
        return _deployment(rows[0]) if rows else None

    async def find_latest(self, use: DomainUse, deployment_id: UUID) -> DomainDeployment | None:
        """The last revision, which may be a deletion."""
        rows = await self._rows(
            select(domain_deployments)
            .where(_revisions.use == int(use), _revisions.id == deployment_id)
            .order_by(_revisions.revision.desc())
            .limit(1)
        )
        return _deployment(rows[0]) if rows else None

    async def find_latest_at(
        self, use: DomainUse, environment_id: EnvironmentId, domain: str
    ) -> DomainDeployment | None:
        """The last revision of what an environment wants at a domain; it may be a deletion."""
        rows = await self._rows(
            select(domain_deployments)
            .where(_revisions.use == int(use), _revisions.environment_id == environment_id, _revisions.domain == domain)
            .order_by(_revisions.revision.desc())
            .limit(1)
        )
        return _deployment(rows[0]) if rows else None

    async def list_latest(self, use: DomainUse, environment_id: EnvironmentId) -> list[DomainDeployment]:
        """The last revisions of an environment by domain, without what is deleted."""
        rows = await self._rows(
            select(domain_deployments)
            .ext(distinct_on(_revisions.domain))
            .where(_revisions.use == int(use), _revisions.environment_id == environment_id)
            .order_by(_revisions.domain, _revisions.revision.desc())
        )
        return [each for each in map(_deployment, rows) if not each.deleted]

    async def _rows(self, query: Executable) -> list[Row[*tuple[Any, ...]]]:
        async def fetch(connection: AsyncConnection) -> list[Row[*tuple[Any, ...]]]:
            return list(await connection.execute(query))

        return await self._database.run_core(fetch)


def _registration(row: Row[*tuple[Any, ...]]) -> DomainRegistration:
    return DomainRegistration(row.id, EnvironmentId(row.environment_id), row.domain)


def _deployment(row: Row[*tuple[Any, ...]]) -> DomainDeployment:
    return DomainDeployment(
        use=DomainUse(row.use),
        id=row.id,
        revision=row.revision,
        environment_id=EnvironmentId(row.environment_id),
        domain=row.domain,
        content=row.content,
        hash=row.hash,
        created_at=row.created_at,
        deleted=row.deleted,
    )
