"""HTTP APIs of agents at domains, as they are staged (reference: cli-1.5, section 6)."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from golem_server.api.at_domains import (
    CurrentRevision,
    Revision,
    at_domain,
    common_json,
    id_of,
    may_see,
    reader,
    revision_of,
)
from golem_server.api.authentication import Caller, authenticated
from golem_server.api.json_bodies import json_response
from golem_server.api.paths import EnvironmentPath
from golem_server.api.services import services_of
from golem_server.model.environment_deployments import DomainUse
from golem_server.model.http_api_deployment_json import (
    http_agents_from_json,
    http_agents_to_json,
)
from golem_server.model.http_api_deployments import HttpApiDeployment
from golem_server.registry.domains import unknown_deployment

router = APIRouter(tags=["HttpApiDeployment"], dependencies=[Depends(authenticated)])


class HttpApiCreation(msgspec.Struct, rename="camel"):
    """A new HTTP API."""

    domain: str
    agents: dict[str, dict[str, Any]]
    webhooks_prefix: str = "/webhooks/"
    openapi_endpoint_prefix: str = "/"


class HttpApiUpdate(msgspec.Struct, rename="camel"):
    """What is to change of an HTTP API; the first prefix is called otherwise than when it is created."""

    current_revision: Revision
    agents: dict[str, dict[str, Any]] | None = None
    webhook_prefix: str | None = None
    webhooks_prefix: str | None = None
    openapi_endpoint_prefix: str | None = None


_creation = msgspec.json.Decoder(HttpApiCreation)
_update = msgspec.json.Decoder(HttpApiUpdate)


async def _http_api(request: Request, caller: Caller) -> HttpApiDeployment:
    deployment = await services_of(request).domains.http_api(id_of(request))
    if not await may_see(request, caller, deployment.environment_id):
        raise unknown_deployment(DomainUse.HTTP_API, deployment.id)
    return deployment


HttpApiPath = Annotated[HttpApiDeployment, Depends(_http_api)]


@router.get("/v1/envs/{environment_id}/http-api-deployments", operation_id="listHttpApiDeployments")
async def list_http_apis(request: Request, environment_id: EnvironmentPath) -> Response:
    """What is staged in an environment."""
    listed = await services_of(request).domains.http_apis(environment_id)
    return json_response({"values": list(map(http_api_to_json, listed))})


@router.post("/v1/envs/{environment_id}/http-api-deployments", operation_id="createHttpApiDeployment")
async def create_http_api(request: Request, environment_id: EnvironmentPath) -> Response:
    """Stage an HTTP API."""
    wanted = await reader(request).read(request.receive, request.scope["headers"], _creation)
    agents = http_agents_from_json(wanted.agents)
    made = await services_of(request).domains.create_http_api(
        environment_id, wanted.domain, agents, wanted.webhooks_prefix, wanted.openapi_endpoint_prefix
    )
    return json_response(http_api_to_json(made))


@router.get("/v1/envs/{environment_id}/http-api-deployments/{domain}", operation_id="getHttpApiDeploymentInEnvironment")
async def get_http_api_at(request: Request, environment_id: EnvironmentPath) -> Response:
    """What is staged at a domain."""
    listed = await services_of(request).domains.http_apis(environment_id)
    return json_response(http_api_to_json(at_domain(request, listed, DomainUse.HTTP_API)))


@router.get("/v1/http-api-deployments/{id}", operation_id="getHttpApiDeployment")
async def get_http_api(deployment: HttpApiPath) -> Response:
    """An HTTP API."""
    return json_response(http_api_to_json(deployment))


@router.get("/v1/http-api-deployment/{id}/revisions/{revision}", operation_id="getHttpApiDeploymentRevision")
async def get_http_api_revision(request: Request, caller: Caller) -> Response:
    """One revision of an HTTP API, also of a deleted one."""
    found = await services_of(request).domains.http_api(id_of(request), revision_of(request))
    if not await may_see(request, caller, found.environment_id):
        raise unknown_deployment(DomainUse.HTTP_API, found.id)
    return json_response(http_api_to_json(found))


@router.patch("/v1/http-api-deployments/{id}", operation_id="updateHttpApiDeployment")
async def update_http_api(request: Request, deployment: HttpApiPath) -> Response:
    """Stage a change."""
    wanted = await reader(request).read(request.receive, request.scope["headers"], _update)
    changed = await services_of(request).domains.change_http_api(
        deployment.id,
        wanted.current_revision,
        None if wanted.agents is None else http_agents_from_json(wanted.agents),
        wanted.webhook_prefix if wanted.webhooks_prefix is None else wanted.webhooks_prefix,
        wanted.openapi_endpoint_prefix,
    )
    return json_response(http_api_to_json(changed))


@router.delete("/v1/http-api-deployments/{id}", operation_id="deleteHttpApiDeployment")
async def delete_http_api(request: Request, deployment: HttpApiPath, current_revision: CurrentRevision) -> Response:
    """Stage its end."""
    await services_of(request).domains.delete(DomainUse.HTTP_API, deployment.id, current_revision)
    return Response(status_code=204)


def http_api_to_json(deployment: HttpApiDeployment) -> dict[str, Any]:
    """An HTTP API."""
    return {
        **common_json(deployment),
        "agents": http_agents_to_json(deployment.agents),
        "webhooksPrefix": deployment.webhooks_prefix,
        "openapiEndpointPrefix": deployment.openapi_endpoint_prefix,
    }
