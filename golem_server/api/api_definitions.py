"""Definitions of HTTP APIs, and their deployments at sites (reference: rest-api, section 9; gateway, section 1).

They belong to the default environment: these operations name none. Both forms of a deployment are taken on both
paths, one definition as in the contract and a list as in Golem 1.2.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from golem_server.api.authentication import Caller, authenticated
from golem_server.api.json_bodies import JsonReader, json_response
from golem_server.api.paths import decode_segment
from golem_server.api.services import services_of
from golem_server.api.timestamps import timestamp_of_milliseconds
from golem_server.api.yaml_bodies import YAML_TYPES, read_json_or_yaml, yaml_text
from golem_server.model.api_definition_json import definition_from_json, definition_to_json
from golem_server.model.api_definitions import ApiDeployment, DefinitionKey, Site, StoredDefinition
from golem_server.model.errors import Forbidden, InvalidInput
from golem_server.model.ids import EnvironmentId
from golem_server.model.openapi_export import openapi_of
from golem_server.model.openapi_import import definition_from_openapi
from golem_server.registry.accounts import DEFAULT_ENVIRONMENT_ID

router = APIRouter(tags=["ApiDefinition"], dependencies=[Depends(authenticated)])


class DefinitionReference(msgspec.Struct):
    """One definition to deploy."""

    id: str
    version: str


class SiteBody(msgspec.Struct):
    """Where to deploy."""

    host: str
    subdomain: str | None = None


class DeploymentBody(msgspec.Struct, rename="camel"):
    """What to deploy: one definition by `apiDefinitionId` and `version`, or several by `apiDefinitions`."""

    site: SiteBody
    api_definition_id: str | None = None
    version: str | None = None
    api_definitions: list[DefinitionReference] | None = None


_deployment = msgspec.json.Decoder(DeploymentBody)


async def _environment(request: Request, caller: Caller) -> EnvironmentId:
    """The environment that definitions belong to, for those who may change it."""
    owned = await services_of(request).accounts.environment(DEFAULT_ENVIRONMENT_ID)
    if not caller.may_act_for(owned.application.account_id):
        raise Forbidden("API definitions belong to the default environment, which is another account's")
    return DEFAULT_ENVIRONMENT_ID


def _key(request: Request) -> DefinitionKey:
    parameters = request.path_params
    return DefinitionKey(decode_segment("id", parameters["id"]), decode_segment("version", parameters["version"]))


def _site(request: Request) -> str:
    return _searchable(decode_segment("site", request.path_params["site"]))


def _searchable(text: str) -> str:
    """A text that the database takes as a question. Raises InvalidInput."""
    if "\0" in text or any(0xD800 <= ord(character) <= 0xDFFF for character in text):
        raise InvalidInput("the name has a character that is not allowed")
    return text


Environment = Annotated[EnvironmentId, Depends(_environment)]
Key = Annotated[DefinitionKey, Depends(_key)]
SiteName = Annotated[str, Depends(_site)]
IdFilter = Annotated[str | None, Query(alias="api-definition-id")]


@router.get("/v1/api/definitions", operation_id="listApiDefinitions")
async def list_definitions(request: Request, environment: Environment, id_: IdFilter = None) -> Response:
    """All definitions, or all versions of one id."""
    wanted = None if id_ is None else _searchable(id_)
    return json_response(list(map(_to_json, await services_of(request).definitions.list(environment, wanted))))


@router.post("/v1/api/definitions", operation_id="createApiDefinition")
async def create_definition(request: Request, environment: Environment) -> Response:
    """Write a new definition."""
    definition = definition_from_json(await read_json_or_yaml(request))
    return json_response(_to_json(await services_of(request).definitions.create(environment, definition)))


@router.put("/v1/api/definitions/import", operation_id="importApiDefinition")
async def import_definition(request: Request, environment: Environment) -> Response:
    """Write a new definition, a draft, from an OpenAPI document with Golem's extensions."""
    definition = definition_from_openapi(await read_json_or_yaml(request))
    return json_response(_to_json(await services_of(request).definitions.create(environment, definition)))


@router.get("/v1/api/definitions/{id}/{version}/openapi", operation_id="exportApiDefinition")
async def export_definition(request: Request, environment: Environment, key: Key) -> Response:
    """A definition as an OpenAPI document, which can be imported again; as YAML if that is what is accepted."""
    document = openapi_of(await services_of(request).definitions.find(environment, _checked(key)))
    if any(name in request.headers.get("accept", "") for name in YAML_TYPES):
        return Response(yaml_text(document), media_type="application/yaml")
    return json_response(document)


@router.get("/v1/api/definitions/{id}/{version}", operation_id="getApiDefinition")
async def get_definition(request: Request, environment: Environment, key: Key) -> Response:
    """One definition."""
    return json_response(_to_json(await services_of(request).definitions.find(environment, _checked(key))))


@router.put("/v1/api/definitions/{id}/{version}", operation_id="updateApiDefinition")
async def update_definition(request: Request, environment: Environment, key: Key) -> Response:
    """Replace a draft."""
    definition = definition_from_json(await read_json_or_yaml(request), _checked(key))
    if definition.key.id != key.id:
        raise InvalidInput("Unmatched url and body ids.")
    if definition.key.version != key.version:
        raise InvalidInput("Unmatched url and body versions.")
    return json_response(_to_json(await services_of(request).definitions.update(environment, definition)))


@router.delete("/v1/api/definitions/{id}/{version}", operation_id="deleteApiDefinition")
async def delete_definition(request: Request, environment: Environment, key: Key) -> Response:
    """Delete a definition that no site has."""
    await services_of(request).definitions.delete(environment, _checked(key))
    return json_response("API definition deleted")


@router.get("/v1/api/deployments", operation_id="listApiDeployments")
async def list_deployments(request: Request, environment: Environment, id_: IdFilter = None) -> Response:
    """All sites, or those that have definitions with one id."""
    wanted = None if id_ is None else _searchable(id_)
    listed = await services_of(request).definitions.deployments(environment, wanted)
    return json_response(list(map(_deployment_to_json, listed)))


@router.post("/v1/api/deployments", operation_id="deployApiDefinition")
@router.post("/v1/api/deployments/deploy", operation_id="deployApiDefinitions")
async def deploy(request: Request, environment: Environment) -> Response:
    """Add definitions to a site."""
    limits = services_of(request).settings.limits.request
    reader = JsonReader(limits.json_body, limits.json_depth)
    wanted = await reader.read(request.receive, request.scope["headers"], _deployment)
    keys = [_checked(DefinitionKey(each.id, each.version)) for each in wanted.api_definitions or ()]
    if wanted.api_definition_id is not None or wanted.version is not None:
        if wanted.api_definition_id is None or wanted.version is None:
            raise InvalidInput("apiDefinitionId and version belong together")
        keys.append(_checked(DefinitionKey(wanted.api_definition_id, wanted.version)))
    site = Site(_searchable(wanted.site.host), wanted.site.subdomain and _searchable(wanted.site.subdomain))
    return json_response(_deployment_to_json(await services_of(request).definitions.deploy(environment, site, keys)))


@router.get("/v1/api/deployments/{site}", operation_id="getApiDeployment")
async def get_deployment(request: Request, environment: Environment, site: SiteName) -> Response:
    """What is at a site."""
    return json_response(_deployment_to_json(await services_of(request).definitions.deployment(environment, site)))


@router.delete("/v1/api/deployments/{site}", operation_id="deleteApiDeployment")
async def delete_deployment(request: Request, environment: Environment, site: SiteName) -> Response:
    """Take everything from a site."""
    await services_of(request).definitions.undeploy_site(environment, site)
    return json_response("API deployment deleted")


@router.delete("/v1/api/deployments/{site}/{id}/{version}", operation_id="undeployApiDefinition")
async def undeploy(request: Request, environment: Environment, site: SiteName, key: Key) -> Response:
    """Take one definition from a site."""
    await services_of(request).definitions.undeploy(environment, site, _checked(key))
    return json_response("API definition undeployed from site")


def _checked(key: DefinitionKey) -> DefinitionKey:
    return DefinitionKey(_searchable(key.id), _searchable(key.version))


def _to_json(stored: StoredDefinition) -> dict[str, Any]:
    return definition_to_json(stored, timestamp_of_milliseconds(stored.definition.created_at))


def _deployment_to_json(deployment: ApiDeployment) -> dict[str, Any]:
    site: dict[str, Any] = {"host": deployment.site.host}
    if deployment.site.subdomain is not None:
        site["subdomain"] = deployment.site.subdomain
    return {
        "apiDefinitions": [{"id": key.id, "version": key.version} for key in deployment.definitions],
        "site": site,
        "createdAt": timestamp_of_milliseconds(deployment.created_at),
    }
