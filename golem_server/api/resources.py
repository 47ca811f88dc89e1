"""Resources that environments have a limited amount of (reference: cli-1.5, sections 6 and 7)."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from golem_server.api.authentication import Caller, authenticated
from golem_server.api.json_bodies import JsonReader, json_response
from golem_server.api.paths import EnvironmentPath, decode_segment, parse_uuid
from golem_server.api.services import services_of
from golem_server.model.quota import RATE, ResourceDefinition, ResourceDefinitionId, ResourceLimit
from golem_server.registry.resources import ResourceTerms, unknown_resource

router = APIRouter(tags=["Resources"], dependencies=[Depends(authenticated)])


class RateLimit(msgspec.Struct, tag="Rate"):
    """`value` more every `period`, and never more than `max`."""

    value: int
    period: str
    max: int


class CapacityLimit(msgspec.Struct, tag="Capacity"):
    """An amount that is used up."""

    value: int


class ConcurrencyLimit(msgspec.Struct, tag="Concurrency"):
    """An amount that comes back."""

    value: int


class ResourceCreation(msgspec.Struct, rename="camel"):
    """A new resource."""

    name: str
    limit: RateLimit | CapacityLimit | ConcurrencyLimit
    enforcement_action: str
    unit: str
    units: str


class ResourceUpdate(msgspec.Struct, rename="camel"):
    """What is to change of a resource."""

    current_revision: int
    limit: RateLimit | CapacityLimit | ConcurrencyLimit | None = None
    enforcement_action: str | None = None
    unit: str | None = None
    units: str | None = None


_creation = msgspec.json.Decoder(ResourceCreation)
_update = msgspec.json.Decoder(ResourceUpdate)


async def _resource(request: Request, caller: Caller) -> ResourceDefinition:
    """A resource that the caller may see."""
    services = services_of(request)
    resource = ResourceDefinitionId(parse_uuid("resource_id", request.path_params["resource_id"]))
    definition = await services.resources.resource(resource)
    owned = await services.accounts.environment(definition.environment_id)
    if not caller.may_act_for(owned.application.account_id):
        raise unknown_resource(resource)
    return definition


ResourcePath = Annotated[ResourceDefinition, Depends(_resource)]


@router.get("/v1/envs/{environment_id}/resources", operation_id="listResources")
async def list_resources(request: Request, environment_id: EnvironmentPath) -> Response:
    """The resources of an environment, by name."""
    listed = await services_of(request).resources.list(environment_id)
    return json_response({"values": [resource_to_json(definition) for definition in listed]})


@router.post("/v1/envs/{environment_id}/resources", operation_id="createResource")
async def create_resource(request: Request, environment_id: EnvironmentPath) -> Response:
    """Define a resource."""
    wanted = await _reader(request).read(request.receive, request.scope["headers"], _creation)
    terms = ResourceTerms(enforcement=wanted.enforcement_action, unit=wanted.unit, units=wanted.units)
    resources = services_of(request).resources
    return json_response(
        resource_to_json(await resources.define(environment_id, wanted.name, _limit(wanted.limit), terms))
    )


@router.get("/v1/envs/{environment_id}/resources/{resource_name}", operation_id="getResourceByName")
async def get_resource_by_name(request: Request, environment_id: EnvironmentPath) -> Response:
    """A resource by its name."""
    name = decode_segment("resource_name", request.path_params["resource_name"])
    return json_response(resource_to_json(await services_of(request).resources.named(environment_id, name)))


@router.get("/v1/resources/{resource_id}", operation_id="getResource")
async def get_resource(definition: ResourcePath) -> Response:
    """A resource."""
    return json_response(resource_to_json(definition))


@router.patch("/v1/resources/{resource_id}", operation_id="updateResource")
async def update_resource(request: Request, definition: ResourcePath) -> Response:
    """Change a resource; running workers notice with their next reservation."""
    wanted = await _reader(request).read(request.receive, request.scope["headers"], _update)
    terms = ResourceTerms(
        limit=None if wanted.limit is None else _limit(wanted.limit),
        enforcement=wanted.enforcement_action,
        unit=wanted.unit,
        units=wanted.units,
    )
    changed = await services_of(request).resources.change(definition.id, wanted.current_revision, terms)
    return json_response(resource_to_json(changed))


@router.delete("/v1/resources/{resource_id}", operation_id="deleteResource")
async def delete_resource(
    request: Request, definition: ResourcePath, current_revision: Annotated[int, Query(ge=0, le=(1 << 63) - 1)]
) -> Response:
    """Delete a resource: what is not defined is not limited."""
    await services_of(request).resources.delete(definition.id, current_revision)
    return Response(status_code=204)


def resource_to_json(definition: ResourceDefinition) -> dict[str, Any]:
    """A resource."""
    limit = definition.limit
    rate = {"period": limit.period, "max": limit.max} if limit.kind == RATE else {}
    return {
        "id": str(definition.id),
        "revision": definition.revision,
        "environmentId": str(definition.environment_id),
        "name": definition.name,
        "limit": {"type": limit.kind, "value": limit.value, **rate},
        "enforcementAction": definition.enforcement,
        "unit": definition.unit,
        "units": definition.units,
    }


def _limit(limit: RateLimit | CapacityLimit | ConcurrencyLimit) -> ResourceLimit:
    if isinstance(limit, RateLimit):
        return ResourceLimit(RATE, limit.value, limit.period, limit.max)
    return ResourceLimit(type(limit).__name__.removesuffix("Limit"), limit.value)


def _reader(request: Request) -> JsonReader:
    limits = services_of(request).settings.limits.request
    return JsonReader(limits.json_body, limits.json_depth)
