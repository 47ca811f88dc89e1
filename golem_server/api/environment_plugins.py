"""Plugins of a whole environment: installed on all its components, also on those to come.

The routes are those of a component (reference: rest-api, section 9, Installing), under the environment's grants.
"""

from __future__ import annotations

from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from golem_server.api.authentication import Caller, authenticated
from golem_server.api.component_plugins import NamedInstallation, Priority, named_installation
from golem_server.api.json_bodies import empty_response, json_response
from golem_server.api.paths import EnvironmentPath, parse_uuid
from golem_server.api.services import services_of
from golem_server.api.workers import Reader
from golem_server.model.errors import InvalidInput
from golem_server.model.plugins import PluginChange, PluginGrantId

router = APIRouter(tags=["Plugin"], dependencies=[Depends(authenticated)])

_INSTALLS = "/v1/envs/{environment_id}/plugins/installs"


class EnvironmentInstallation(msgspec.Struct, rename="camel"):
    """A plugin for all components: by its name and version, or by the environment's grant."""

    name: str | None = None
    version: str | None = None
    environment_plugin_grant_id: UUID | None = None
    priority: Priority = 0
    parameters: dict[str, str] = {}


_wanted = msgspec.json.Decoder(EnvironmentInstallation)


@router.get(_INSTALLS, operation_id="getEnvironmentInstallations")
async def installations(request: Request, environment_id: EnvironmentPath) -> Response:
    """What all components of the environment have installed."""
    installed = await services_of(request).environment_plugins.installed(environment_id)
    return json_response([plugin.to_json() for plugin in installed])


@router.post(_INSTALLS, operation_id="installEnvironmentPlugin")
async def install(request: Request, environment_id: EnvironmentPath, caller: Caller, reader: Reader) -> Response:
    """Install a plugin on all components: a new revision of each."""
    services = services_of(request)
    wanted = await reader.read(request.receive, request.scope["headers"], _wanted)
    if wanted.environment_plugin_grant_id is not None:
        change = PluginChange(
            kind="install",
            grant_id=PluginGrantId(wanted.environment_plugin_grant_id),
            priority=wanted.priority,
            parameters=wanted.parameters,
        )
    elif wanted.name is not None and wanted.version is not None:
        named = NamedInstallation(wanted.name, wanted.version, wanted.priority, wanted.parameters)
        change = await named_installation(services, environment_id, named)
    else:
        raise InvalidInput(
            "parse request payload error: say which plugin, by `name` and `version` or by `environmentPluginGrantId`"
        )
    installed = await services.environment_plugins.install(environment_id, change, caller.account_id)
    return json_response(installed.to_json())


@router.delete(f"{_INSTALLS}/{{installation_id}}", operation_id="uninstallEnvironmentPlugin")
async def uninstall(request: Request, environment_id: EnvironmentPath, caller: Caller) -> Response:
    """Take a plugin off all components that have it from the environment: a new revision of each."""
    grant_id = PluginGrantId(parse_uuid("installation_id", request.path_params["installation_id"]))
    await services_of(request).environment_plugins.uninstall(environment_id, grant_id, caller.account_id)
    return empty_response()
