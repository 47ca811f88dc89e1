"""What is deployed in an environment: revisions of components, HTTP APIs and MCP endpoints, frozen together.

What is staged (the newest revision of each) is served only when it is part of the current deployment (reference:
cli-1.5, sections 3.2 and 3.3).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from uuid import UUID

from golem_server.model.ids import ComponentId, EnvironmentId, Revision


@dataclass(frozen=True, slots=True)
class DomainRegistration:
    """A domain, perhaps with a port, that an environment may deploy at; no other one can have it."""

    id: UUID
    environment_id: EnvironmentId
    domain: str


class DomainUse(IntEnum):
    """What is deployed at a domain."""

    HTTP_API = 0
    MCP = 1


@dataclass(frozen=True, slots=True)
class DomainDeployment:
    """One revision of what an environment wants at a domain. `content` is encoded by the registry.

    `created_at` in milliseconds since the epoch. A `deleted` revision ends it; creating it again continues its numbers.
    """

    use: DomainUse
    id: UUID
    revision: int
    environment_id: EnvironmentId
    domain: str
    content: bytes
    hash: str
    created_at: int
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class DeploymentContents:
    """The revisions that belong to a deployment."""

    components: tuple[tuple[ComponentId, Revision], ...]
    http_apis: tuple[tuple[UUID, int], ...]
    mcp_endpoints: tuple[tuple[UUID, int], ...]


@dataclass(frozen=True, slots=True)
class EnvironmentDeployment:
    """A deployment. `created_at` in milliseconds since the epoch, `version` is the client's own text."""

    environment_id: EnvironmentId
    revision: int
    version: str
    hash: str
    contents: DeploymentContents
    created_at: int


@dataclass(frozen=True, slots=True)
class CurrentDeployment:
    """The deployment that is served. `switches` counts how often another one was made current, from 0."""

    switches: int
    deployment: EnvironmentDeployment
