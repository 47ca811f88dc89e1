"""Plugins of one worker: activation and deactivation (reference: rest-api, section 5).

The contract names an installation by its id, the official client by its priority. And the installation on a component,
one at a time, as 1.2 has it; newer clients install with an upload.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from golem_server.api.authentication import Caller, authenticated
from golem_server.api.component_json import component_to_json
from golem_server.api.component_plugins import NamedInstallation, Priority, named_installation
from golem_server.api.json_bodies import empty_response, json_response
from golem_server.api.paths import ComponentPath, WorkerPath, parse_uuid
from golem_server.api.services import services_of
from golem_server.api.workers import Reader
from golem_server.model.errors import InvalidInput, NotFound
from golem_server.model.plugins import PluginChange, PluginGrantId
from golem_server.registry.installations import changed_installations

router = APIRouter(tags=["Plugin"], dependencies=[Depends(authenticated)])

_COMPONENT = "/v1/components/{component_id}"
_WORKER = f"{_COMPONENT}/workers/{{agent_name}}"

InstallationId = Annotated[str | None, Query(alias="plugin-installation-id")]
PluginPriority = Annotated[Priority | None, Query(alias="plugin-priority")]

_named = msgspec.json.Decoder(NamedInstallation)


@router.post(f"{_WORKER}/activate-plugin", operation_id="activatePlugin")
async def activate_plugin(
    request: Request, worker: WorkerPath, installation: InstallationId = None, priority: PluginPriority = None
) -> Response:
    """Let an oplog processor be told what the worker does from here on."""
    await services_of(request).executor.operations.set_plugin(worker, _meant(installation, priority), active=True)
    return empty_response()


@router.post(f"{_WORKER}/deactivate-plugin", operation_id="deactivatePlugin")
async def deactivate_plugin(
    request: Request, worker: WorkerPath, installation: InstallationId = None, priority: PluginPriority = None
) -> Response:
    """Let an oplog processor be told no more of the worker."""
    await services_of(request).executor.operations.set_plugin(worker, _meant(installation, priority), active=False)
    return empty_response()


@router.get(f"{_COMPONENT}/latest/plugins/installs", operation_id="getInstalledPlugins")
async def installations(component: ComponentPath) -> Response:
    """What the latest revision has installed."""
    return json_response([plugin.to_json() for plugin in component.plugins])


@router.post(f"{_COMPONENT}/latest/plugins/installs", operation_id="installPlugin")
async def install(request: Request, component: ComponentPath, caller: Caller, reader: Reader) -> Response:
    """Install a plugin on the component: a new revision."""
    services = services_of(request)
    wanted = await reader.read(request.receive, request.scope["headers"], _named)
    change = await named_installation(services, component.environment_id, wanted)
    return await _changed(request, component, caller, change)


@router.delete(f"{_COMPONENT}/latest/plugins/installs/{{installation_id}}", operation_id="uninstallPlugin")
async def uninstall(request: Request, component: ComponentPath, caller: Caller) -> Response:
    """Take a plugin off the component: a new revision."""
    grant_id = PluginGrantId(parse_uuid("installation_id", request.path_params["installation_id"]))
    if all(plugin.grant_id != grant_id for plugin in component.plugins):
        raise NotFound(f"Plugin installation not found: {grant_id}")
    return await _changed(request, component, caller, PluginChange(kind="uninstall", grant_id=grant_id))


async def _changed(request: Request, component: ComponentPath, caller: Caller, change: PluginChange) -> Response:
    services = services_of(request)
    plugins = await changed_installations(
        services.plugins, component.environment_id, component.component_id, component.plugins, [change]
    )
    updated = await services.components.update(
        component.component_id, caller.account_id, plugins=plugins, current_revision=component.revision
    )
    return json_response(component_to_json(updated))


def _meant(installation: str | None, priority: int | None) -> UUID | int:
    if installation is not None:
        return parse_uuid("plugin-installation-id", installation)
    if priority is None:
        raise InvalidInput("Say which plugin: `plugin-installation-id`, a UUID, or `plugin-priority`, a number")
    return priority
