"""Deployments of environments: plan, deploy, look into, go back (reference: cli-1.5, sections 3 and 6)."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from golem_server.api.at_domains import Revision, at_domain, reader, revision_of
from golem_server.api.authentication import authenticated
from golem_server.api.component_json import component_to_json
from golem_server.api.http_api_deployments import http_api_to_json
from golem_server.api.json_bodies import json_response
from golem_server.api.mcp_deployments import mcp_to_json
from golem_server.api.paths import EnvironmentPath, decode_segment
from golem_server.api.services import services_of
from golem_server.model.environment_deployments import CurrentDeployment, DomainUse, EnvironmentDeployment
from golem_server.model.errors import InvalidInput, NotFound
from golem_server.registry.agent_directory import RegisteredAgentType
from golem_server.registry.environment_deployments import Staged, hash_of

router = APIRouter(tags=["Deployment"], dependencies=[Depends(authenticated)])

_DEPLOYMENT = "/v1/envs/{environment_id}/deployments/{revision}"


class DeploymentCreation(msgspec.Struct, rename="camel"):
    """What the client believes to be deployed and staged."""

    expected_deployment_hash: str
    current_revision: Revision | None = None
    version: str = ""
    agent_secret_defaults: list[Any] = []
    quota_resource_defaults: list[Any] = []
    retry_policy_defaults: list[Any] = []


class DeploymentRollback(msgspec.Struct, rename="camel"):
    """Which deployment to go back to."""

    current_revision: Revision
    deployment_revision: Revision


_creation = msgspec.json.Decoder(DeploymentCreation)
_rollback = msgspec.json.Decoder(DeploymentRollback)


async def _deployment(request: Request, environment_id: EnvironmentPath) -> EnvironmentDeployment:
    return await services_of(request).deployments.deployment(environment_id, revision_of(request))


DeploymentPath = Annotated[EnvironmentDeployment, Depends(_deployment)]


@router.get("/v1/envs/{environment_id}/plan", operation_id="getEnvironmentDeploymentPlan")
async def plan(request: Request, environment_id: EnvironmentPath) -> Response:
    """What would be deployed now."""
    deployments = services_of(request).deployments
    current = await deployments.current(environment_id)
    switches = None if current is None else current.switches
    return json_response({"currentRevision": switches, **_staged(await deployments.plan(environment_id))})


@router.get("/v1/envs/{environment_id}/deployments", operation_id="listDeployments")
async def list_deployments(
    request: Request, environment_id: EnvironmentPath, version: Annotated[str | None, Query()] = None
) -> Response:
    """All deployments, or those of one version."""
    listed = await services_of(request).deployments.deployments(environment_id, version)
    return json_response({"values": list(map(_to_json, listed))})


@router.post("/v1/envs/{environment_id}/deployments", operation_id="deployEnvironment")
async def deploy(request: Request, environment_id: EnvironmentPath) -> Response:
    """Deploy what is staged."""
    wanted = await reader(request).read(request.receive, request.scope["headers"], _creation)
    for name in ("agent_secret_defaults", "quota_resource_defaults", "retry_policy_defaults"):
        if getattr(wanted, name):
            raise InvalidInput(f"This server takes no {name.replace('_', ' ')} with a deployment")
    deployed = await services_of(request).deployments.deploy(
        environment_id, wanted.current_revision, wanted.expected_deployment_hash, wanted.version
    )
    return json_response(_current_to_json(deployed))


@router.put("/v1/envs/{environment_id}/current-deployment", operation_id="rollbackEnvironment")
async def make_current(request: Request, environment_id: EnvironmentPath) -> Response:
    """Go back to an earlier deployment, or forth again."""
    wanted = await reader(request).read(request.receive, request.scope["headers"], _rollback)
    current = await services_of(request).deployments.make_current(
        environment_id, wanted.current_revision, wanted.deployment_revision
    )
    return json_response(_current_to_json(current))


@router.get(f"{_DEPLOYMENT}/summary", operation_id="getDeploymentSummary")
async def summary(request: Request, deployment: DeploymentPath) -> Response:
    """What a deployment consists of, with the hashes of it."""
    contents = await services_of(request).deployments.contents(deployment)
    return json_response({"deploymentRevision": deployment.revision, **_staged(contents)})


@router.get(f"{_DEPLOYMENT}/components", operation_id="getDeploymentComponents")
async def components(request: Request, deployment: DeploymentPath) -> Response:
    """The components of a deployment, at its revisions."""
    contents = await services_of(request).deployments.contents(deployment)
    return json_response({"values": list(map(component_to_json, contents.components))})


@router.get(f"{_DEPLOYMENT}/components/{{component_name}}", operation_id="getDeploymentComponent")
async def component(request: Request, deployment: DeploymentPath) -> Response:
    """One component of a deployment."""
    name = decode_segment("component_name", request.path_params["component_name"])
    contents = await services_of(request).deployments.contents(deployment)
    for each in contents.components:
        if each.name == name:
            return json_response(component_to_json(each))
    raise NotFound(
        f"Component {name[:200]} is not part of deployment {deployment.revision}", code="COMPONENT_NOT_FOUND"
    )


@router.get(f"{_DEPLOYMENT}/agent-types", operation_id="listDeploymentAgentTypes")
async def agent_types(request: Request, deployment: DeploymentPath) -> Response:
    """The agent types of a deployment."""
    contents = await services_of(request).deployments.contents(deployment)
    return json_response({"values": [_agent_type(contents, each) for each in contents.agents.values()]})


@router.get(f"{_DEPLOYMENT}/agent-types/{{agent_type_name}}", operation_id="getDeploymentAgentType")
async def agent_type(request: Request, deployment: DeploymentPath) -> Response:
    """One agent type of a deployment."""
    name = decode_segment("agent_type_name", request.path_params["agent_type_name"])
    contents = await services_of(request).deployments.contents(deployment)
    found = contents.agents.get(name)
    if found is None:
        raise NotFound(
            f"Agent type {name[:200]} is not part of deployment {deployment.revision}", code="AGENT_TYPE_NOT_FOUND"
        )
    return json_response(_agent_type(contents, found))


@router.get(f"{_DEPLOYMENT}/http-api-deployments", operation_id="listDeployedHttpApis")
async def http_apis(request: Request, deployment: DeploymentPath) -> Response:
    """The HTTP APIs of a deployment."""
    contents = await services_of(request).deployments.contents(deployment)
    return json_response({"values": list(map(http_api_to_json, contents.http_apis))})


@router.get(f"{_DEPLOYMENT}/http-api-deployments/{{domain}}", operation_id="getDeployedHttpApi")
async def http_api(request: Request, deployment: DeploymentPath) -> Response:
    """The HTTP API of a deployment at a domain."""
    contents = await services_of(request).deployments.contents(deployment)
    return json_response(http_api_to_json(at_domain(request, list(contents.http_apis), DomainUse.HTTP_API)))


@router.get(f"{_DEPLOYMENT}/mcp-deployments", operation_id="listDeployedMcpEndpoints")
async def mcp_endpoints(request: Request, deployment: DeploymentPath) -> Response:
    """The MCP endpoints of a deployment."""
    contents = await services_of(request).deployments.contents(deployment)
    return json_response({"values": list(map(mcp_to_json, contents.mcp_endpoints))})


@router.get(f"{_DEPLOYMENT}/mcp-deployments/{{domain}}", operation_id="getDeployedMcpEndpoint")
async def mcp_endpoint(request: Request, deployment: DeploymentPath) -> Response:
    """The MCP endpoint of a deployment at a domain."""
    contents = await services_of(request).deployments.contents(deployment)
    return json_response(mcp_to_json(at_domain(request, list(contents.mcp_endpoints), DomainUse.MCP)))


def _to_json(deployment: EnvironmentDeployment) -> dict[str, Any]:
    return {
        "environmentId": str(deployment.environment_id),
        "revision": deployment.revision,
        "version": deployment.version,
        "deploymentHash": deployment.hash,
    }


def _current_to_json(current: CurrentDeployment) -> dict[str, Any]:
    return {**_to_json(current.deployment), "currentRevision": current.switches}


def _staged(staged: Staged) -> dict[str, Any]:
    return {
        "deploymentHash": staged.hash,
        "components": [
            {"id": str(each.component_id), "revision": each.revision, "name": each.name, "hash": hash_of(each)}
            for each in staged.components
        ],
        "httpApiDeployments": [_at_domain(each) for each in staged.http_apis],
        "mcpDeployments": [_at_domain(each) for each in staged.mcp_endpoints],
    }


def _at_domain(deployment: Any) -> dict[str, Any]:
    return {
        "id": str(deployment.id),
        "revision": deployment.revision,
        "domain": deployment.domain,
        "hash": deployment.hash,
    }


def _agent_type(contents: Staged, found: RegisteredAgentType) -> dict[str, Any]:
    name = found.type.name
    http_api = next((each for each in contents.http_apis if name in each.agents), None)
    return {
        "agentType": found.type.to_json(),
        "implementedBy": {
            "componentId": str(found.component.component_id),
            "componentRevision": found.component.revision,
        },
        "webhookPrefixAuthorityAndPath": None if http_api is None else f"{http_api.domain}{http_api.webhooks_prefix}",
    }
