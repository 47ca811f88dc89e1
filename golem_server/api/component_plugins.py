"""The plugins of an upload, in the words of all generations of clients (reference: rest-api, section 8; cli-1.5).

1.4 names the plugins of a component (`plugins`, `pluginUpdates`), 1.5 those of an agent type (`pluginInstallations`,
`pluginUpdates`). 1.2 installed one at a time, by its name and version.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from golem_server.api.services import ApiServices
from golem_server.model.errors import InvalidInput
from golem_server.model.ids import ComponentId, EnvironmentId
from golem_server.model.plugins import InstalledPlugin, PluginChange, PluginGrantId
from golem_server.registry.installations import changed_installations

Priority = Annotated[int, msgspec.Meta(ge=-(1 << 31), le=(1 << 31) - 1)]


class PluginInstallation(msgspec.Struct, rename="camel"):
    """A plugin that is to be installed."""

    environment_plugin_grant_id: UUID
    priority: Priority = 0
    parameters: dict[str, str] = {}

    def change(self) -> PluginChange:
        """The same as a change."""
        return PluginChange(
            kind="install",
            grant_id=PluginGrantId(self.environment_plugin_grant_id),
            priority=self.priority,
            parameters=self.parameters,
        )


class PluginUpdate(msgspec.Struct, rename="camel"):
    """A change of what is installed. 1.4 says `pluginPriority` for the plugin that is meant."""

    type: Literal["Install", "Update", "Uninstall"]
    environment_plugin_grant_id: UUID
    priority: Priority | None = None
    parameters: dict[str, str] | None = None
    new_priority: Priority | None = None
    new_parameters: dict[str, str] | None = None

    def change(self) -> PluginChange:
        """The same in the room's words."""
        grant_id = PluginGrantId(self.environment_plugin_grant_id)
        if self.type == "Install":
            return PluginChange(
                kind="install", grant_id=grant_id, priority=self.priority or 0, parameters=self.parameters or {}
            )
        if self.type == "Uninstall":
            return PluginChange(kind="uninstall", grant_id=grant_id)
        return PluginChange(
            kind="update", grant_id=grant_id, priority=self.new_priority, parameters=self.new_parameters
        )


class NamedInstallation(msgspec.Struct, rename="camel"):
    """A plugin that 1.2 installs on a component, by name and version."""

    name: str
    version: str
    priority: Priority = 0
    parameters: dict[str, str] = {}


async def installed_plugins(
    services: ApiServices,
    environment_id: EnvironmentId,
    component_id: ComponentId | None,
    before: Sequence[InstalledPlugin],
    installations: Sequence[PluginInstallation] | None,
    updates: Sequence[PluginUpdate] | None,
) -> list[InstalledPlugin] | None:
    """What is installed after this; None where nothing is said. Raises InvalidInput and Conflict."""
    changes = [each.change() for each in (*(installations or ()), *(updates or ()))]
    if not changes:
        return None
    return await changed_installations(services.plugins, environment_id, component_id, before, changes)


async def named_installation(
    services: ApiServices, environment_id: EnvironmentId, wanted: NamedInstallation
) -> PluginChange:
    """The change that 1.2 asks for: the plugin is granted to the environment, or this says how. Raises InvalidInput."""
    for grant in await services.plugins.grants(environment_id):
        if (grant.plugin.name, grant.plugin.version) == (wanted.name, wanted.version):
            return PluginChange(
                kind="install", grant_id=grant.id, priority=wanted.priority, parameters=wanted.parameters
            )
    raise InvalidInput(
        f"The environment has no plugin {wanted.name} of version {wanted.version}: "
        f"grant it with POST /v1/envs/{environment_id}/plugins",
        code="ENVIRONMENT_PLUGIN_NOT_FOUND",
    )
