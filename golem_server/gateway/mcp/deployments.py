"""The MCP endpoints of agents as the registry knows them to be deployed (`DeployedMcps`)."""

from __future__ import annotations

from golem_server.gateway.code_first.deployments import deployed_agents
from golem_server.gateway.mcp.deployed import DeployedMcp
from golem_server.registry.environment_deployments import EnvironmentDeployments


class RegisteredMcps:
    """What environments have deployed."""

    def __init__(self, deployments: EnvironmentDeployments) -> None:
        self._deployments = deployments

    async def deployed_mcp(self, domain: str) -> DeployedMcp | None:
        """What is deployed at a domain, None where nothing is."""
        found = await self._deployments.at_domain(domain)
        if found is None or found.mcp is None:
            return None
        return DeployedMcp(found.mcp, deployed_agents(found.agents))
