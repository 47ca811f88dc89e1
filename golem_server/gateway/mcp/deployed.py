"""What is deployed at a domain of the MCP endpoint, and who tells it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from golem_server.gateway.code_first.deployed import DeployedAgent
from golem_server.model.http_api_deployments import McpDeployment


@dataclass(frozen=True, slots=True)
class DeployedMcp:
    """An MCP deployment with the agent types of its environment's deployment, by name, its own and others."""

    deployment: McpDeployment
    agents: Mapping[str, DeployedAgent]


class DeployedMcps(Protocol):
    """Knows the MCP deployments of all environments, as they were last deployed."""

    async def deployed_mcp(self, domain: str) -> DeployedMcp | None:
        """What is deployed at a domain, None where nothing is. Raises Unavailable."""
        ...


class NoMcpDeployed:
    """No MCP deployments."""

    async def deployed_mcp(self, domain: str) -> DeployedMcp | None:
        """None."""
        return None
