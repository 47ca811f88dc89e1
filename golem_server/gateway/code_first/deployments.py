"""The HTTP APIs of agents as the registry knows them to be deployed, and whether they could be (`DeployedHttpApis`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from golem_server.gateway.code_first.compilation import compile_apis
from golem_server.gateway.code_first.deployed import DeployedAgent, DeployedHttpApi
from golem_server.model.errors import InvalidInput
from golem_server.model.http_api_deployments import HttpApiDeployment
from golem_server.model.ids import EnvironmentId
from golem_server.registry.agent_directory import RegisteredAgentType
from golem_server.registry.deployment_ports import DeployedDomain
from golem_server.registry.environment_deployments import EnvironmentDeployments

TEST_HEADERS_ALLOWED = True
"""Whether callers may name themselves in a header where a deployment asks for it: environments have no say in it."""


class RegisteredHttpApis:
    """What environments have deployed."""

    def __init__(self, deployments: EnvironmentDeployments) -> None:
        self._deployments = deployments

    async def deployed_http_api(self, domain: str) -> DeployedHttpApi | None:
        """What answers at a domain, None where nothing does."""
        return _http_api(await self._deployments.at_domain(domain))

    async def http_api_of_agent(self, environment_id: EnvironmentId, type_name: str) -> DeployedHttpApi | None:
        """The API at whose domain an agent type of an environment is deployed, None where it is at none."""
        return _http_api(await self._deployments.of_agent(environment_id, type_name))


class RouteChecker:
    """Implements `registry.deployment_ports.DeploymentChecker`."""

    def problems(self, http_apis: Sequence[HttpApiDeployment], agents: Mapping[str, RegisteredAgentType]) -> list[str]:
        """What is wrong with the HTTP APIs of a deployment that has these agents; empty if all can be served."""
        deployed = deployed_agents(agents)
        try:
            compile_apis([DeployedHttpApi(each, deployed, TEST_HEADERS_ALLOWED) for each in http_apis])
        except InvalidInput as error:
            return list(error.details)
        return []


def _http_api(found: DeployedDomain | None) -> DeployedHttpApi | None:
    if found is None or found.http_api is None:
        return None
    return DeployedHttpApi(found.http_api, deployed_agents(found.agents), TEST_HEADERS_ALLOWED)


def deployed_agents(agents: Mapping[str, RegisteredAgentType]) -> dict[str, DeployedAgent]:
    """Agent types of a deployment, as those who serve them want to know them."""
    return {
        name: DeployedAgent(each.type, each.component.component_id, each.component.revision, each.agents)
        for name, each in agents.items()
    }
