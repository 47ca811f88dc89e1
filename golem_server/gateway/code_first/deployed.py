"""What is deployed at a domain, as far as serving it must know, and who tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from golem_server.model.agent_types import AgentType
from golem_server.model.component_agents import ComponentAgents
from golem_server.model.http_api_deployments import HttpApiDeployment
from golem_server.model.ids import ComponentId, EnvironmentId, Revision


@dataclass(frozen=True, slots=True)
class DeployedAgent:
    """An agent type as it is deployed: the component that implements it, and its agents at the deployed revision."""

    type: AgentType
    component_id: ComponentId
    revision: Revision
    agents: ComponentAgents


@dataclass(frozen=True, slots=True)
class DeployedHttpApi:
    """An HTTP API with the agent types of its environment's deployment, by name, its own and others.

    `test_headers_allowed` says whether the environment lets callers name themselves in a header.
    """

    deployment: HttpApiDeployment
    agents: Mapping[str, DeployedAgent]
    test_headers_allowed: bool


class DeployedHttpApis(Protocol):
    """Knows the HTTP APIs of all environments, as they were last deployed."""

    async def deployed_http_api(self, domain: str) -> DeployedHttpApi | None:
        """What answers at a domain, None where nothing does. Raises Unavailable."""
        ...

    async def http_api_of_agent(self, environment_id: EnvironmentId, type_name: str) -> DeployedHttpApi | None:
        """The API at whose domain an agent type of an environment is deployed, None where it is at none.

        Raises Unavailable.
        """
        ...


class NothingDeployed:
    """No HTTP APIs."""

    async def deployed_http_api(self, domain: str) -> DeployedHttpApi | None:
        """None."""
        return None

    async def http_api_of_agent(self, environment_id: EnvironmentId, type_name: str) -> DeployedHttpApi | None:
        """None."""
        return None
