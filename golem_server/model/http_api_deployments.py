"""HTTP APIs of agents, as they are deployed at a domain (reference: cli-1.5, section 6; gateway, section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from golem_server.model.ids import EnvironmentId


@dataclass(frozen=True, slots=True)
class TestSessionHeader:
    """Callers say in this header who they are: for tests of an API."""

    __test__ = False

    header_name: str


@dataclass(frozen=True, slots=True)
class NamedSecurityScheme:
    """Callers log in at the provider of the environment's security scheme of this name."""

    name: str


AgentSecurity: TypeAlias = TestSessionHeader | NamedSecurityScheme | None
"""How callers of an agent's endpoints are known; None where they are not."""


@dataclass(frozen=True, slots=True)
class HttpApiDeployment:
    """The agents at one domain, by their type names, each with its security.

    The prefixes begin and end with a slash: where webhooks and the OpenAPI document are. `created_at` is in
    milliseconds since the epoch, `hash` BLAKE3 in hex.
    """

    id: UUID
    revision: int
    environment_id: EnvironmentId
    domain: str
    hash: str
    agents: Mapping[str, AgentSecurity]
    webhooks_prefix: str
    openapi_endpoint_prefix: str
    created_at: int


@dataclass(frozen=True, slots=True)
class McpDeployment:
    """The agents whose methods the MCP endpoint of one domain offers, each with the name of its security scheme.

    `created_at` is in milliseconds since the epoch, `hash` BLAKE3 in hex.
    """

    id: UUID
    revision: int
    environment_id: EnvironmentId
    domain: str
    hash: str
    agents: Mapping[str, str | None]
    created_at: int
