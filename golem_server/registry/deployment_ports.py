"""What the deployments of environments need from outside: stores, and somebody who can tell what can be served.

All methods raise Unavailable while the database cannot be reached.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from golem_server.model.environment_deployments import (
    CurrentDeployment,
    DeploymentContents,
    DomainDeployment,
    DomainRegistration,
    DomainUse,
    EnvironmentDeployment,
)
from golem_server.model.http_api_deployments import HttpApiDeployment, McpDeployment
from golem_server.model.ids import EnvironmentId
from golem_server.registry.agent_directory import RegisteredAgentType


class DomainStore(Protocol):
    """Registered domains, and the revisions of what environments want at them."""

    async def add_domain(self, registration: DomainRegistration) -> bool:
        """Write a registration. False, and nothing written, if somebody has the domain."""
        ...

    async def find_domain(self, registration_id: UUID) -> DomainRegistration | None:
        """A registration, or None."""
        ...

    async def owner_of_domain(self, domain: str) -> EnvironmentId | None:
        """The environment that has a domain, or None."""
        ...

    async def list_domains(self, environment_id: EnvironmentId) -> list[DomainRegistration]:
        """The domains of an environment, by name."""
        ...

    async def delete_domain(self, registration_id: UUID) -> bool:
        """Give a domain back. False if it is not registered."""
        ...

    async def add_revision(self, deployment: DomainDeployment) -> bool:
        """Write a revision. False, and nothing written, if there is one of that number."""
        ...

    async def find_revision(self, use: DomainUse, deployment_id: UUID, revision: int) -> DomainDeployment | None:
        """One revision, also of what is deleted."""
        ...

    async def find_latest(self, use: DomainUse, deployment_id: UUID) -> DomainDeployment | None:
        """The last revision, which may be a deletion."""
        ...

    async def find_latest_at(
        self, use: DomainUse, environment_id: EnvironmentId, domain: str
    ) -> DomainDeployment | None:
        """The last revision of what an environment wants at a domain; it may be a deletion."""
        ...

    async def list_latest(self, use: DomainUse, environment_id: EnvironmentId) -> list[DomainDeployment]:
        """The last revisions of an environment by domain, without what is deleted."""
        ...


class DeploymentStore(Protocol):
    """Deployments of environments, and which of them is current."""

    async def current_deployment(self, environment_id: EnvironmentId) -> CurrentDeployment | None:
        """What is served, or None where nothing has been deployed."""
        ...

    async def find_deployment(self, environment_id: EnvironmentId, revision: int) -> EnvironmentDeployment | None:
        """A deployment, or None."""
        ...

    async def list_deployments(self, environment_id: EnvironmentId) -> list[EnvironmentDeployment]:
        """All deployments of an environment, in their order."""
        ...

    async def deploy(
        self,
        environment_id: EnvironmentId,
        switches: int | None,
        version: str,
        hash_: str,
        contents: DeploymentContents,
        now: int,
    ) -> CurrentDeployment | None:
        """Write the next deployment and make it current.

        None, and nothing written, if another one was made current since `switches`, which is None where nothing has
        been deployed.
        """
        ...

    async def make_current(self, environment_id: EnvironmentId, switches: int, revision: int) -> int | None:
        """Make an earlier deployment current again; returns the new count of switches.

        None, and nothing written, if another one was made current since `switches`.
        """
        ...


@dataclass(frozen=True, slots=True)
class DeployedDomain:
    """What is deployed at a domain, with the agent types of the whole deployment."""

    http_api: HttpApiDeployment | None
    mcp: McpDeployment | None
    agents: Mapping[str, RegisteredAgentType]


class DeploymentChecker(Protocol):
    """Knows what can be served."""

    def problems(self, http_apis: Sequence[HttpApiDeployment], agents: Mapping[str, RegisteredAgentType]) -> list[str]:
        """What is wrong with the HTTP APIs of a deployment that has these agents; empty if all can be served."""
        ...
