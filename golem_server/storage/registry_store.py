"""What the registry keeps: accounts, tokens, applications, environments, components and their revisions.

These queries are many and rare, so they are SQLAlchemy Core rather than text. Unique names are the database's own
affair (partial indexes over what is not deleted); the revisions of a component are numbered under a lock of its row.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import asyncpg
import msgspec
from sqlalchemy import ColumnElement, Executable, Row, Select, func, select, update
from sqlalchemy import Table as SqlTable
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from golem_server.model.ids import AccountId, ApplicationId, ComponentId, EnvironmentId, Revision, TokenId
from golem_server.model.registry import (
    Account,
    Application,
    Component,
    ComponentRevision,
    Environment,
    OwnedEnvironment,
    StoredComponent,
    Token,
)
from golem_server.storage.database import Database
from golem_server.storage.tables import accounts, applications, component_revisions, components, environments, tokens

_environment_decoder = msgspec.msgpack.Decoder(dict[str, str])

_COMPONENT_COLUMNS = (
    components.c.id,
    components.c.environment_id,
    components.c.name,
    components.c.created_at,
    component_revisions.c.revision,
    component_revisions.c.wasm_hash,
    component_revisions.c.size_bytes,
    component_revisions.c.metadata,
    component_revisions.c.environment,
    component_revisions.c.created_at.label("revised_at"),
    component_revisions.c.created_by,
)


class PostgresRegistryStore:
    """The registry's store in PostgreSQL. All methods raise Unavailable while the database cannot be reached."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_account(self, account: Account) -> None:
        """Write the account; nothing happens where one of that id exists."""
        await self._add(
            accounts,
            id=account.id,
            name=account.name,
            email=account.email,
            role=account.role,
            created_at=account.created_at,
        )

    async def find_account(self, account_id: AccountId) -> Account | None:
        """The account, or None, also for a deleted one."""
        return await self._account(accounts.c.id == account_id)

    async def find_account_by_email(self, email: str) -> Account | None:
        """The account with that address, in whatever case, or None. The oldest one, should there be several."""
        return await self._account(func.lower(accounts.c.email) == email.lower())

    async def _account(self, condition: ColumnElement[bool]) -> Account | None:
        query = select(accounts).where(condition, accounts.c.deleted_at.is_(None))
        row = await self._one(query.order_by(accounts.c.created_at).limit(1))
        if row is None:
            return None
        return Account(id=AccountId(row.id), name=row.name, email=row.email, role=row.role, created_at=row.created_at)

    async def add_token(self, token: Token) -> None:
        """Write the token; nothing happens where one of that secret exists."""
        await self._add(
            tokens,
            id=token.id,
            account_id=token.account_id,
            secret_hash=token.secret_hash,
            created_at=token.created_at,
            expires_at=token.expires_at,
        )

    async def find_token(self, secret_hash: bytes) -> Token | None:
        """The token with this hash, expired or not."""
        row = await self._one(select(tokens).where(tokens.c.secret_hash == secret_hash))
        if row is None:
            return None
        return Token(
            id=TokenId(row.id),
            account_id=AccountId(row.account_id),
            secret_hash=row.secret_hash,
            created_at=row.created_at,
            expires_at=row.expires_at,
        )

    async def delete_token(self, token_id: TokenId) -> None:
        """Remove the token. Nothing happens where there is none."""
        await self._execute(tokens.delete().where(tokens.c.id == token_id))

    async def add_application(self, application: Application) -> None:
        """Write the application; nothing happens where one of that id exists."""
        await self._add(
            applications,
            id=application.id,
            account_id=application.account_id,
            name=application.name,
            created_at=application.created_at,
        )

    async def add_environment(self, environment: Environment) -> None:
        """Write the environment; nothing happens where one of that id exists."""
        await self._add(
            environments,
            id=environment.id,
            application_id=environment.application_id,
            name=environment.name,
            created_at=environment.created_at,
        )

    async def find_environment(self, environment_id: EnvironmentId) -> OwnedEnvironment | None:
        """The environment and its application, or None, also for a deleted one."""
        return await self._environment(environments.c.id == environment_id)

    async def find_environment_by_name(
        self, owner: AccountId, application: str, environment: str
    ) -> OwnedEnvironment | None:
        """An account's environment by its name and that of its application, or None."""
        return await self._environment(
            (applications.c.account_id == owner)
            & (applications.c.name == application)
            & (environments.c.name == environment)
        )

    async def _environment(self, condition: ColumnElement[bool]) -> OwnedEnvironment | None:
        row = await self._one(
            select(
                environments.c.id,
                environments.c.name,
                environments.c.created_at,
                applications.c.id.label("application_id"),
                applications.c.account_id,
                applications.c.name.label("application_name"),
                applications.c.created_at.label("application_created_at"),
            )
            .join(applications, applications.c.id == environments.c.application_id)
            .where(
                condition,
                environments.c.deleted_at.is_(None),
                applications.c.deleted_at.is_(None),
            )
        )
        if row is None:
            return None
        application_id = ApplicationId(row.application_id)
        return OwnedEnvironment(
            Environment(
                id=EnvironmentId(row.id), application_id=application_id, name=row.name, created_at=row.created_at
            ),
            Application(
                id=application_id,
                account_id=AccountId(row.account_id),
                name=row.application_name,
                created_at=row.application_created_at,
            ),
        )

    async def add_component(self, component: Component, revision: ComponentRevision) -> bool:
        """Write a component with its first revision. False, and nothing written, if its name is taken."""
        try:
            async with self._database.begin() as connection:
                await connection.execute(
                    components.insert().values(
                        id=component.id,
                        environment_id=component.environment_id,
                        name=component.name,
                        created_at=component.created_at,
                    )
                )
                await connection.execute(component_revisions.insert().values(_revision_values(revision)))
        except IntegrityError as error:
            if _violated(error) == "components_name_key":
                return False
            raise
        return True

    async def add_revision(self, revision: ComponentRevision) -> bool:
        """Write the revision that follows the latest.

        False, and nothing written, if it does not follow (somebody was faster) or the component is deleted.
        """
        async with self._database.begin() as connection:
            if await _lock_latest(connection, revision.component_id) != revision.revision - 1:
                return False
            await connection.execute(component_revisions.insert().values(_revision_values(revision)))
        return True

    async def find_component(self, component_id: ComponentId) -> StoredComponent | None:
        """The component at its latest revision, or None, also for a deleted one."""
        return await self._component(
            _components().where(components.c.id == component_id, components.c.deleted_at.is_(None), _is_latest())
        )

    async def find_component_by_name(self, environment_id: EnvironmentId, name: str) -> StoredComponent | None:
        """The component of that name at its latest revision, or None."""
        return await self._component(
            _components().where(
                components.c.environment_id == environment_id,
                components.c.name == name,
                components.c.deleted_at.is_(None),
                _is_latest(),
            )
        )

    async def find_revision(self, component_id: ComponentId, revision: Revision) -> StoredComponent | None:
        """The component at one revision, also where it is deleted."""
        return await self._component(
            _components().where(components.c.id == component_id, component_revisions.c.revision == revision)
        )

    async def list_components(self, environment_id: EnvironmentId) -> list[StoredComponent]:
        """The components of an environment at their latest revisions, by name (bytewise)."""
        query = (
            _components()
            .where(components.c.environment_id == environment_id, components.c.deleted_at.is_(None), _is_latest())
            .order_by(components.c.name)
        )

        async def fetch(connection: AsyncConnection) -> list[StoredComponent]:
            return [_stored(row) for row in await connection.execute(query)]

        return await self._database.run_core(fetch)

    async def delete_component(self, component_id: ComponentId, latest: Revision | None, at: datetime) -> bool:
        """Mark the component deleted, which frees its name. False if it is not there or `latest` is not its latest."""
        async with self._database.begin() as connection:
            found = await _lock_latest(connection, component_id)
            if found is None or (latest is not None and found != latest):
                return False
            await connection.execute(update(components).where(components.c.id == component_id).values(deleted_at=at))
        return True

    async def _add(self, table: SqlTable, **values: Any) -> None:
        await self._execute(insert(table).values(**values).on_conflict_do_nothing())

    async def _execute(self, statement: Executable) -> None:
        """Run a statement that may be repeated."""

        async def execute(connection: AsyncConnection) -> None:
            await connection.execute(statement)

        await self._database.run_core(execute)

    async def _one(self, query: Select[*tuple[Any, ...]]) -> Row[*tuple[Any, ...]] | None:
        async def fetch(connection: AsyncConnection) -> Row[*tuple[Any, ...]] | None:
            return (await connection.execute(query)).one_or_none()

        return await self._database.run_core(fetch)

    async def _component(self, query: Select[*tuple[Any, ...]]) -> StoredComponent | None:
        row = await self._one(query)
        return None if row is None else _stored(row)


def _components() -> Select[*tuple[Any, ...]]:
    return select(*_COMPONENT_COLUMNS).join(component_revisions, component_revisions.c.component_id == components.c.id)


def _is_latest() -> Any:
    """The joined revision is the component's greatest."""
    others = component_revisions.alias("others")
    greatest = select(func.max(others.c.revision)).where(others.c.component_id == components.c.id)
    return component_revisions.c.revision == greatest.scalar_subquery()


async def _lock_latest(connection: AsyncConnection, component_id: ComponentId) -> int | None:
    """The latest revision of a component that is not deleted; nobody changes it before this transaction ends."""
    locked = await connection.scalar(
        select(components.c.id)
        .where(components.c.id == component_id, components.c.deleted_at.is_(None))
        .with_for_update()
    )
    if locked is None:
        return None
    return await connection.scalar(
        select(func.max(component_revisions.c.revision)).where(component_revisions.c.component_id == component_id)
    )


def _revision_values(revision: ComponentRevision) -> dict[str, Any]:
    return {
        "component_id": revision.component_id,
        "revision": revision.revision,
        "wasm_hash": revision.wasm_hash,
        "size_bytes": revision.size_bytes,
        "metadata": revision.metadata,
        "environment": msgspec.msgpack.encode(revision.environment),
        "created_at": revision.created_at,
        "created_by": revision.created_by,
    }


def _stored(row: Row[*tuple[Any, ...]]) -> StoredComponent:
    component_id = ComponentId(row.id)
    return StoredComponent(
        Component(
            id=component_id,
            environment_id=EnvironmentId(row.environment_id),
            name=row.name,
            created_at=row.created_at,
        ),
        ComponentRevision(
            component_id=component_id,
            revision=Revision(row.revision),
            wasm_hash=row.wasm_hash,
            size_bytes=row.size_bytes,
            metadata=row.metadata,
            environment=_environment_decoder.decode(row.environment),
            created_at=row.revised_at,
            created_by=AccountId(row.created_by),
        ),
    )


def _violated(error: IntegrityError) -> str | None:
    """The name of the violated constraint."""
    cause = error.orig.__cause__ if error.orig is not None else None
    return cause.constraint_name if isinstance(cause, asyncpg.IntegrityConstraintViolationError) else None
