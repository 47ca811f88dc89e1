"""Plugins that are installed on a whole environment: each of its components has them, those to come as well.

An installation is a row of its own, and part of each component like any other plugin: every component gets a revision
with it. Workers that are there already keep theirs, until they are updated. Whoever installs or uninstalls again what
was cut off half-way finishes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from golem_server.model.errors import Conflict, InvalidInput, NotFound
from golem_server.model.ids import AccountId, EnvironmentId
from golem_server.model.plugins import InstalledPlugin, PluginChange, PluginGrantId
from golem_server.registry.components import Components, RegisteredComponent
from golem_server.registry.installations import changed_installations, refuse_equal_priorities
from golem_server.registry.plugins import Plugins
from golem_server.registry.ports import PluginStore

_ATTEMPTS = 5
"""How often a component is tried that others change at the same time."""

_Wanted = Callable[[RegisteredComponent], list[InstalledPlugin] | None]


class EnvironmentPlugins:
    """The installations of all environments."""

    def __init__(self, store: PluginStore, plugins: Plugins, components: Components) -> None:
        self._store = store
        self._plugins = plugins
        self._components = components

    async def installed(self, environment_id: EnvironmentId) -> list[InstalledPlugin]:
        """What is installed on the environment, by priority."""
        return await self._store.list_environment_plugins(environment_id)

    async def install(self, environment_id: EnvironmentId, change: PluginChange, by: AccountId) -> InstalledPlugin:
        """Install a plugin on the environment and its components. A component that has it of its own keeps that.

        Raises InvalidInput for a plugin that the environment was not granted, that is for one component only, or that
        is installed otherwise; and Conflict for a priority that is taken, also on a component. Nothing is done then.
        """
        before = await self.installed(environment_id)
        present = next((plugin for plugin in before if plugin.grant_id == change.grant_id), None)
        others = [plugin for plugin in before if plugin is not present]
        after = await changed_installations(self._plugins, environment_id, None, others, [change])
        found = next(plugin for plugin in after if plugin.grant_id == change.grant_id)
        installation = replace(found, from_environment=True)
        if present not in (None, installation):
            raise InvalidInput(f"Plugin {change.grant_id} is installed on the environment already, in another way")

        def wanted(component: RegisteredComponent) -> list[InstalledPlugin] | None:
            return _with(component, [installation])

        for component in await self._components.list(environment_id):
            wanted(component)
        if present is None and not await self._store.add_environment_plugin(environment_id, installation):
            raise Conflict("The environment's plugins were changed at the same time; try again")
        await self._revise_all(environment_id, wanted, by)
        return installation

    async def uninstall(self, environment_id: EnvironmentId, grant_id: PluginGrantId, by: AccountId) -> None:
        """Take a plugin off the environment and off the components that have it from there. Raises NotFound."""

        def wanted(component: RegisteredComponent) -> list[InstalledPlugin] | None:
            kept = [each for each in component.plugins if each.grant_id != grant_id or not each.from_environment]
            return kept if len(kept) < len(component.plugins) else None

        removed = await self._store.delete_environment_plugin(environment_id, grant_id)
        revised = await self._revise_all(environment_id, wanted, by)
        if not removed and not revised:
            raise NotFound(f"Plugin installation not found: {grant_id}")

    async def complete(self, component: RegisteredComponent, by: AccountId) -> RegisteredComponent:
        """A component that has just been made, with what was installed on its environment meanwhile."""
        installed = await self.installed(component.environment_id)
        return await self._revised(component, lambda latest: _with(latest, installed), by)

    async def _revise_all(self, environment_id: EnvironmentId, wanted: _Wanted, by: AccountId) -> int:
        """Revise what is not as it should be; how many components that were."""
        revised = 0
        for component in await self._components.list(environment_id):
            revised += await self._revised(component, wanted, by) is not component
        return revised

    async def _revised(self, component: RegisteredComponent, wanted: _Wanted, by: AccountId) -> RegisteredComponent:
        """The component as it should be, with a revision more unless it is."""
        for _ in range(_ATTEMPTS):
            plugins = wanted(component)
            if plugins is None:
                return component
            try:
                return await self._components.update(
                    component.component_id, by, plugins=plugins, current_revision=component.revision
                )
            except Conflict:
                found = await self._components.list(component.environment_id)
                latest = next((each for each in found if each.component_id == component.component_id), None)
                if latest is None:
                    return component
                if latest.revision == component.revision:
                    raise
                component = latest
        raise Conflict(f"Component {component.name} is changed all the time by others; try again")


def _with(component: RegisteredComponent, installed: Sequence[InstalledPlugin]) -> list[InstalledPlugin] | None:
    """The component's plugins with these, None where it has them. Raises Conflict for two of one priority."""
    present = {plugin.grant_id for plugin in component.plugins}
    missing = [
        plugin
        for plugin in installed
        if plugin.grant_id not in present
        and (plugin.processor is None or plugin.processor.component_id != component.component_id)
    ]
    if not missing:
        return None
    ordered = sorted((*component.plugins, *missing), key=lambda plugin: plugin.priority)
    try:
        refuse_equal_priorities(ordered)
    except Conflict as error:
        raise Conflict(f"Component {component.name}: {error.message}", code=error.code) from None
    return ordered
