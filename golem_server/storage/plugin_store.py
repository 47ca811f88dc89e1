"""Registered plugins, and the environments that they are granted to and installed on.

A deleted plugin keeps its row: what it is installed on goes on working. Its name and version are free again.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Executable, Row, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from golem_server.model.ids import AccountId, ComponentId, EnvironmentId
from golem_server.model.plugins import (
    ComponentTransformerSpec,
    ComposedSpec,
    InstalledPlugin,
    OplogProcessorSpec,
    Plugin,
    PluginGrant,
    PluginGrantId,
    PluginId,
    PluginSpec,
)
from golem_server.storage.database import Database
from golem_server.storage.tables import environment_plugins, plugin_grants, plugins

_SPECS: dict[int, type[PluginSpec]] = {0: ComponentTransformerSpec, 1: OplogProcessorSpec, 2: ComposedSpec}
_KINDS = {spec: kind for kind, spec in _SPECS.items()}


class PostgresPluginStore:
    """Implements `registry.ports.PluginStore`. All methods raise Unavailable while the database cannot be reached."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_plugin(self, plugin: Plugin) -> bool:
        """Write the plugin. False, and nothing written, if the account has one of that name and version."""
        values = {
            "id": plugin.id,
            "account_id": plugin.account_id,
            "name": plugin.name,
            "version": plugin.version,
            "description": plugin.description.encode(),
            "icon": plugin.icon,
            "homepage": plugin.homepage.encode(),
            "scope_component": plugin.scope_component,
            "spec_kind": _KINDS[type(plugin.spec)],
            "spec": msgspec.msgpack.encode(plugin.spec),
            "created_at": plugin.created_at,
        }
        statement = insert(plugins).values(**values).on_conflict_do_nothing()
        async with self._database.begin() as connection:
            return (await connection.execute(statement)).rowcount == 1

    async def find_plugin(self, plugin_id: PluginId) -> Plugin | None:
        """The plugin, or None, also for a deleted one."""
        rows = await self._rows(select(plugins).where(plugins.c.id == plugin_id, plugins.c.deleted_at.is_(None)))
        return _plugin(rows[0]) if rows else None

    async def list_plugins(self, account_id: AccountId) -> list[Plugin]:
        """The plugins of an account by name and version (bytewise)."""
        rows = await self._rows(
            select(plugins)
            .where(plugins.c.account_id == account_id, plugins.c.deleted_at.is_(None))
            .order_by(plugins.c.name, plugins.c.version)
        )
        return [_plugin(row) for row in rows]

    async def delete_plugin(self, plugin_id: PluginId, at: datetime) -> bool:
        """Mark the plugin deleted. False if it is not there."""
        statement = (
            update(plugins).where(plugins.c.id == plugin_id, plugins.c.deleted_at.is_(None)).values(deleted_at=at)
        )
        async with self._database.begin() as connection:
            return (await connection.execute(statement)).rowcount == 1

    async def add_grant(self, grant: PluginGrant) -> bool:
        """Write the grant. False, and nothing written, if the environment has the plugin already."""
        values = {"id": grant.id, "environment_id": grant.environment_id, "plugin_id": grant.plugin.id}
        async with self._database.begin() as connection:
            done = await connection.execute(insert(plugin_grants).values(**values).on_conflict_do_nothing())
            return done.rowcount == 1

    async def find_grant(self, grant_id: PluginGrantId) -> PluginGrant | None:
        """The grant, or None, also for a deleted one; that of a deleted plugin is found."""
        rows = await self._rows(_grants().where(plugin_grants.c.id == grant_id, plugin_grants.c.deleted_at.is_(None)))
        return _grant(rows[0]) if rows else None

    async def list_grants(self, environment_id: EnvironmentId) -> list[PluginGrant]:
        """The grants of an environment by the plugins' names and versions."""
        rows = await self._rows(
            _grants()
            .where(plugin_grants.c.environment_id == environment_id, plugin_grants.c.deleted_at.is_(None))
            .order_by(plugins.c.name, plugins.c.version)
        )
        return [_grant(row) for row in rows]

    async def delete_grant(self, grant_id: PluginGrantId, at: datetime) -> bool:
        """Take the grant back. False if it is not there."""
        statement = (
            update(plugin_grants)
            .where(plugin_grants.c.id == grant_id, plugin_grants.c.deleted_at.is_(None))
            .values(deleted_at=at)
        )
        async with self._database.begin() as connection:
            return (await connection.execute(statement)).rowcount == 1

    async def add_environment_plugin(self, environment_id: EnvironmentId, plugin: InstalledPlugin) -> bool:
        """Install a plugin on an environment. False, and nothing written, where the grant or the priority is taken."""
        values = {
            "environment_id": environment_id,
            "grant_id": plugin.grant_id,
            "priority": plugin.priority,
            "installation": msgspec.msgpack.encode(plugin.to_json()),
        }
        async with self._database.begin() as connection:
            done = await connection.execute(insert(environment_plugins).values(**values).on_conflict_do_nothing())
            return done.rowcount == 1

    async def list_environment_plugins(self, environment_id: EnvironmentId) -> list[InstalledPlugin]:
        """What is installed on an environment, by priority."""
        rows = await self._rows(
            select(environment_plugins.c.installation)
            .where(environment_plugins.c.environment_id == environment_id)
            .order_by(environment_plugins.c.priority)
        )
        return [InstalledPlugin.from_json(msgspec.msgpack.decode(row.installation)) for row in rows]

    async def delete_environment_plugin(self, environment_id: EnvironmentId, grant_id: PluginGrantId) -> bool:
        """Uninstall. False if it is not there."""
        statement = delete(environment_plugins).where(
            environment_plugins.c.environment_id == environment_id, environment_plugins.c.grant_id == grant_id
        )
        async with self._database.begin() as connection:
            return (await connection.execute(statement)).rowcount == 1

    async def _rows(self, query: Executable) -> list[Row[*tuple[Any, ...]]]:
        async def fetch(connection: AsyncConnection) -> list[Row[*tuple[Any, ...]]]:
            return list(await connection.execute(query))

        return await self._database.run_core(fetch)


def _grants() -> Any:
    return select(
        plugins, plugin_grants.c.id.label("grant_id"), plugin_grants.c.environment_id.label("environment_id")
    ).join(plugin_grants, plugin_grants.c.plugin_id == plugins.c.id)


def _plugin(row: Row[*tuple[Any, ...]]) -> Plugin:
    return Plugin(
        id=PluginId(row.id),
        account_id=AccountId(row.account_id),
        name=row.name,
        version=row.version,
        description=row.description.decode(),
        icon=row.icon,
        homepage=row.homepage.decode(),
        scope_component=None if row.scope_component is None else ComponentId(row.scope_component),
        spec=msgspec.msgpack.decode(row.spec, type=_SPECS[row.spec_kind]),
        created_at=row.created_at,
    )


def _grant(row: Row[*tuple[Any, ...]]) -> PluginGrant:
    return PluginGrant(
        id=PluginGrantId(row.grant_id), environment_id=EnvironmentId(row.environment_id), plugin=_plugin(row)
    )
