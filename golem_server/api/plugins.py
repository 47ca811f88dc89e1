"""The plugin routes of the contract, and the grants to environments (reference: rest-api, section 9)."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from golem_server.api.authentication import Caller, authenticated
from golem_server.api.dialects import CliDialect
from golem_server.api.json_bodies import JsonReader, json_response
from golem_server.api.paths import EnvironmentPath, parse_uuid, visible_component
from golem_server.api.plugin_json import PluginRequest, grant_to_json, plugin_request, plugin_to_json, simple_spec
from golem_server.api.services import ApiServices, services_of
from golem_server.api.uploads import received_form
from golem_server.model.errors import InvalidInput, NotFound
from golem_server.model.ids import AccountId
from golem_server.model.plugins import OplogProcessorSpec, Plugin, PluginGrant, PluginGrantId, PluginId, PluginSpec
from golem_server.registry.plugins import NO_PROCESSOR

router = APIRouter(tags=["Plugin"], dependencies=[Depends(authenticated)])

FORM = b"multipart/form-data"


class GrantRequest(msgspec.Struct, rename="camel"):
    """Which plugin the environment is to have."""

    plugin_registration_id: UUID


_grant_request = msgspec.json.Decoder(GrantRequest)


async def _account(request: Request, caller: Caller) -> AccountId:
    """An account that the caller may act for. What is no id names no account, either."""
    try:
        account_id = AccountId(parse_uuid("account_id", request.path_params["account_id"]))
    except InvalidInput:
        raise NotFound("Account not found", code="ACCOUNT_NOT_FOUND") from None
    if not caller.may_act_for(account_id):
        raise NotFound(f"Account {account_id} not found", code="ACCOUNT_NOT_FOUND")
    return account_id


async def _plugin(request: Request, caller: Caller) -> Plugin:
    """A plugin that the caller may see."""
    plugin_id = PluginId(parse_uuid("plugin_id", request.path_params["plugin_id"]))
    plugin = await services_of(request).plugins.plugin(plugin_id)
    if not caller.may_act_for(plugin.account_id):
        raise NotFound(f"Registered plugin not found for id {plugin_id}", code="PLUGIN_REGISTRATION_NOT_FOUND")
    return plugin


async def _grant(request: Request, caller: Caller) -> PluginGrant:
    """A grant to an environment that the caller may see."""
    services = services_of(request)
    grant_id = PluginGrantId(parse_uuid("grant_id", request.path_params["grant_id"]))
    grant = await services.plugins.find_grant(grant_id)
    owned = await services.accounts.environment(grant.environment_id)
    if not caller.may_act_for(owned.application.account_id):
        raise NotFound(f"Environment plugin not found for id {grant_id}", code="RESOURCE_NOT_FOUND")
    return grant


AccountPath = Annotated[AccountId, Depends(_account)]
PluginPath = Annotated[Plugin, Depends(_plugin)]
GrantPath = Annotated[PluginGrant, Depends(_grant)]


@router.get("/v1/accounts/{account_id}/plugins", operation_id="listPlugins")
async def list_plugins(request: Request, account_id: AccountPath, cli: CliDialect) -> Response:
    """The plugins of an account; the official client knows oplog processors alone."""
    plugins = await services_of(request).plugins.list(account_id)
    if not cli:
        return json_response([plugin_to_json(plugin) for plugin in plugins])
    known = [plugin_to_json(plugin) for plugin in plugins if isinstance(plugin.spec, OplogProcessorSpec)]
    return json_response({"values": known})


@router.post("/v1/accounts/{account_id}/plugins", operation_id="createPlugin")
async def create_plugin(request: Request, account_id: AccountPath, caller: Caller) -> Response:
    """Register a plugin: as JSON, or as a form with `metadata` and `pluginWasm` for those that bring a binary."""
    services = services_of(request)
    reader = _reader(services)
    if not _is_form(request):
        wanted = await reader.read(request.receive, request.scope["headers"], plugin_request)
        spec = simple_spec(wanted.wanted_spec())
        if spec is None:
            raise InvalidInput("Required wasm file missing: send a form with the parts `metadata` and `pluginWasm`")
        return await _registered(services, account_id, caller, wanted, spec)
    async with received_form(request, services, ("pluginWasm",)) as form:
        metadata = form.fields.get("metadata")
        if metadata is None:
            raise InvalidInput("parse multipart error: part `metadata` is missing")
        wanted = reader.decode(metadata, plugin_request)
        spec = simple_spec(wanted.wanted_spec())
        if spec is None:
            if "pluginWasm" not in form.files:
                raise InvalidInput("Required wasm file missing: part `pluginWasm`")
            spec = await services.plugins.composed_spec(wanted.wanted_spec().type, form.file("pluginWasm"))
        return await _registered(services, account_id, caller, wanted, spec)


async def _registered(
    services: ApiServices, account_id: AccountId, caller: Caller, wanted: PluginRequest, spec: PluginSpec
) -> Response:
    description = wanted.described()
    if description.scope_component is not None:
        await visible_component(services, description.scope_component, caller)
    if isinstance(spec, OplogProcessorSpec) and not await _may_see(services, spec, caller):
        raise InvalidInput(NO_PROCESSOR, code="OPLOG_PROCESSOR_COMPONENT_NOT_FOUND")
    return json_response(plugin_to_json(await services.plugins.register(account_id, description, spec)))


@router.get("/v1/plugins/{plugin_id}", operation_id="getPlugin")
async def get_plugin(plugin: PluginPath) -> Response:
    """A plugin."""
    return json_response(plugin_to_json(plugin))


@router.delete("/v1/plugins/{plugin_id}", operation_id="deletePlugin")
async def delete_plugin(request: Request, plugin: PluginPath) -> Response:
    """Delete a plugin; what has it installed goes on working."""
    return json_response(plugin_to_json(await services_of(request).plugins.delete(plugin.id)))


@router.get("/v1/envs/{environment_id}/plugins", operation_id="listEnvironmentPlugins")
async def list_grants(request: Request, environment_id: EnvironmentPath) -> Response:
    """The plugins that components of the environment may have."""
    services = services_of(request)
    grants = await services.plugins.grants(environment_id)
    owners = {owner: await services.accounts.account(owner) for owner in {grant.plugin.account_id for grant in grants}}
    return json_response({"values": [grant_to_json(grant, owners[grant.plugin.account_id]) for grant in grants]})


@router.post("/v1/envs/{environment_id}/plugins", operation_id="grantPlugin")
async def create_grant(request: Request, environment_id: EnvironmentPath, caller: Caller) -> Response:
    """Let components of the environment have a plugin."""
    services = services_of(request)
    wanted = await _reader(services).read(request.receive, request.scope["headers"], _grant_request)
    plugin_id = PluginId(wanted.plugin_registration_id)
    plugin = await services.plugins.plugin(plugin_id)
    if not caller.may_act_for(plugin.account_id):
        raise NotFound(f"Registered plugin not found for id {plugin_id}", code="PLUGIN_REGISTRATION_NOT_FOUND")
    grant = await services.plugins.grant(environment_id, plugin)
    return json_response(grant_to_json(grant, await services.accounts.account(plugin.account_id)))


@router.get("/v1/environment-plugins/{grant_id}", operation_id="getEnvironmentPlugin")
async def get_grant(request: Request, grant: GrantPath) -> Response:
    """A plugin that an environment may use."""
    owner = await services_of(request).accounts.account(grant.plugin.account_id)
    return json_response(grant_to_json(grant, owner))


@router.delete("/v1/environment-plugins/{grant_id}", operation_id="revokePlugin")
async def delete_grant(request: Request, grant: GrantPath) -> Response:
    """Let no more components of the environment have it; those that have it keep it."""
    await services_of(request).plugins.revoke(grant.id)
    return Response(status_code=204)


async def _may_see(services: ApiServices, spec: OplogProcessorSpec, caller: Caller) -> bool:
    try:
        await visible_component(services, spec.component_id, caller)
    except NotFound:
        return False
    return True


def _is_form(request: Request) -> bool:
    headers: list[tuple[bytes, bytes]] = request.scope["headers"]
    return any(name == b"content-type" and value.lower().startswith(FORM) for name, value in headers)


def _reader(services: ApiServices) -> JsonReader:
    limits = services.settings.limits.request
    return JsonReader(limits.json_body, limits.json_depth)
