"""MCP endpoints of agents at domains, as they are staged (reference: cli-1.5, section 6)."""

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
    mcp_agents_from_json,
    mcp_agents_to_json,
)
from golem_server.model.http_api_deployments import McpDeployment
from golem_server.registry.domains import unknown_deployment

router = APIRouter(tags=["McpDeployment"], dependencies=[Depends(authenticated)])


class McpCreation(msgspec.Struct):
    """A new MCP endpoint."""

    domain: str
    agents: dict[str, dict[str, Any]]


class McpUpdate(msgspec.Struct, rename="camel"):
    """What is to change of an MCP endpoint."""

    current_revision: Revision
    agents: dict[str, dict[str, Any]] | None = None


_creation = msgspec.json.Decoder(McpCreation)
_update = msgspec.json.Decoder(McpUpdate)


async def _mcp(request: Request, caller: Caller) -> McpDeployment:
    deployment = await services_of(request).domains.mcp(id_of(request))
    if not await may_see(request, caller, deployment.environment_id):
        raise unknown_deployment(DomainUse.MCP, deployment.id)
    return deployment


McpPath = Annotated[McpDeployment, Depends(_mcp)]


@router.get("/v1/envs/{environment_id}/mcp-deployments", operation_id="listMcpDeployments")
async def list_mcp(request: Request, environment_id: EnvironmentPath) -> Response:
    """What is staged in an environment."""
    listed = await services_of(request).domains.mcp_endpoints(environment_id)
    return json_response({"values": list(map(mcp_to_json, listed))})


@router.post("/v1/envs/{environment_id}/mcp-deployments", operation_id="createMcpDeployment")
async def create_mcp(request: Request, environment_id: EnvironmentPath) -> Response:
    """Stage an MCP endpoint."""
    wanted = await reader(request).read(request.receive, request.scope["headers"], _creation)
    agents = mcp_agents_from_json(wanted.agents)
    return json_response(
        mcp_to_json(await services_of(request).domains.create_mcp(environment_id, wanted.domain, agents))
    )


@router.get("/v1/envs/{environment_id}/mcp-deployments/{domain}", operation_id="getMcpDeploymentInEnvironment")
async def get_mcp_at(request: Request, environment_id: EnvironmentPath) -> Response:
    """What is staged at a domain."""
    listed = await services_of(request).domains.mcp_endpoints(environment_id)
    return json_response(mcp_to_json(at_domain(request, listed, DomainUse.MCP)))


@router.get("/v1/mcp-deployments/{id}", operation_id="getMcpDeployment")
async def get_mcp(deployment: McpPath) -> Response:
    """An MCP endpoint."""
    return json_response(mcp_to_json(deployment))


@router.get("/v1/mcp-deployment/{id}/revisions/{revision}", operation_id="getMcpDeploymentRevision")
async def get_mcp_revision(request: Request, caller: Caller) -> Response:
    """One revision of an MCP endpoint, also of a deleted one."""
    found = await services_of(request).domains.mcp(id_of(request), revision_of(request))
    if not await may_see(request, caller, found.environment_id):
        raise unknown_deployment(DomainUse.MCP, found.id)
    return json_response(mcp_to_json(found))


@router.patch("/v1/mcp-deployments/{id}", operation_id="updateMcpDeployment")
async def update_mcp(request: Request, deployment: McpPath) -> Response:
    """Stage a change."""
    wanted = await reader(request).read(request.receive, request.scope["headers"], _update)
    agents = None if wanted.agents is None else mcp_agents_from_json(wanted.agents)
    changed = await services_of(request).domains.change_mcp(deployment.id, wanted.current_revision, agents)
    return json_response(mcp_to_json(changed))


@router.delete("/v1/mcp-deployments/{id}", operation_id="deleteMcpDeployment")
async def delete_mcp(request: Request, deployment: McpPath, current_revision: CurrentRevision) -> Response:
    """Stage its end."""
    await services_of(request).domains.delete(DomainUse.MCP, deployment.id, current_revision)
    return Response(status_code=204)


def mcp_to_json(deployment: McpDeployment) -> dict[str, Any]:
    """An MCP endpoint."""
    return {**common_json(deployment), "agents": mcp_agents_to_json(deployment.agents)}
