"""Which plugins a revision has installed: what a client asks for, checked against the grants of the environment.

Changes are made one after the other to what the revision before had (reference: rest-api, sections 8 and 9).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

from golem_server.model.errors import Conflict, InvalidInput, NotFound
from golem_server.model.ids import ComponentId, EnvironmentId
from golem_server.model.plugins import (
    ComponentTransformerSpec,
    ComposedSpec,
    InstalledPlugin,
    OplogProcessorSpec,
    PluginChange,
    PluginGrant,
)
from golem_server.registry.plugins import Plugins

RESERVED_PARAMETERS = ("component", "metadata")
"""Names of the parts that a component transformer is sent besides its parameters."""


async def changed_installations(
    plugins: Plugins,
    environment_id: EnvironmentId,
    component_id: ComponentId | None,
    before: Iterable[InstalledPlugin],
    changes: Sequence[PluginChange],
) -> list[InstalledPlugin]:
    """The installations of the new revision, by priority. `component_id` is None for a component that is being made.

    Raises InvalidInput for a plugin that the environment was not granted, that is not for this component, that is
    installed twice or is not installed; and Conflict for two plugins of one priority.
    """
    installed = {plugin.grant_id: plugin for plugin in before}
    for change in changes:
        if change.kind == "install":
            if change.grant_id in installed:
                raise InvalidInput(f"Plugin {change.grant_id} is installed already")
            grant = await _granted(plugins, environment_id, change)
            installed[change.grant_id] = _installation(grant, component_id, change)
            continue
        found = installed.get(change.grant_id)
        if found is None:
            raise InvalidInput(f"Plugin {change.grant_id} is not installed", code="ENVIRONMENT_PLUGIN_NOT_FOUND")
        if change.kind == "uninstall":
            del installed[change.grant_id]
        else:
            installed[change.grant_id] = replace(
                found,
                priority=found.priority if change.priority is None else change.priority,
                parameters=found.parameters if change.parameters is None else change.parameters,
            )
    ordered = sorted(installed.values(), key=lambda plugin: plugin.priority)
    refuse_equal_priorities(ordered)
    return ordered


def refuse_equal_priorities(ordered: Iterable[InstalledPlugin]) -> None:
    """Raise Conflict where two plugins of those, by priority, have the same."""
    for first, second in pairwise(ordered):
        if first.priority == second.priority:
            raise Conflict(
                f"Plugins {first.name} and {second.name} have the same priority {first.priority}",
                code="PLUGIN_PRIORITY_CONFLICT",
            )


async def _granted(plugins: Plugins, environment_id: EnvironmentId, change: PluginChange) -> PluginGrant:
    try:
        grant = await plugins.find_grant(change.grant_id)
    except NotFound as error:
        raise InvalidInput(error.message, code="ENVIRONMENT_PLUGIN_NOT_FOUND") from None
    if grant.environment_id != environment_id:
        raise InvalidInput(
            f"Environment plugin not found for id {change.grant_id}", code="ENVIRONMENT_PLUGIN_NOT_FOUND"
        )
    return grant


def _installation(grant: PluginGrant, component_id: ComponentId | None, change: PluginChange) -> InstalledPlugin:
    plugin = grant.plugin
    if plugin.scope_component is not None and plugin.scope_component != component_id:
        raise InvalidInput(f"Plugin {plugin.name} may only be installed on component {plugin.scope_component}")
    parameters = dict(change.parameters or {})
    if isinstance(plugin.spec, ComponentTransformerSpec):
        reserved = next((name for name in RESERVED_PARAMETERS if name in parameters), None)
        if reserved is not None:
            raise InvalidInput(f"A parameter of a component transformer cannot be called {reserved}")
    return InstalledPlugin(
        grant_id=grant.id,
        plugin_id=plugin.id,
        name=plugin.name,
        version=plugin.version,
        priority=change.priority or 0,
        parameters=parameters,
        processor=plugin.spec if isinstance(plugin.spec, OplogProcessorSpec) else None,
        composed=plugin.spec if isinstance(plugin.spec, ComposedSpec) else None,
        transform_url=plugin.spec.transform_url if isinstance(plugin.spec, ComponentTransformerSpec) else None,
    )
