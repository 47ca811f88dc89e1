"""What the routes of a domain do: call a method, complete a promise, show the document, answer a browser's question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from golem_server.gateway.code_first.deployed import DeployedAgent
from golem_server.gateway.code_first.parameters import Body, Parameter
from golem_server.gateway.code_first.path_segments import Segment, Shape, shape_of
from golem_server.gateway.code_first.request_bodies import ReadBody
from golem_server.gateway.code_first.results import Respond
from golem_server.gateway.code_first.router import Router
from golem_server.model.agent_types import AgentMethod
from golem_server.model.http_api_deployments import AgentSecurity, HttpApiDeployment
from golem_server.model.security_schemes import SecurityScheme


@dataclass(frozen=True, slots=True)
class AgentRoute:
    """Calls a method of an agent.

    `cors` are the allowed origins, sorted. `security` is None where nobody has to say who calls. `phantom` routes make
    an agent of its own for each request.
    """

    agent: DeployedAgent
    method: AgentMethod
    http_method: str
    path: tuple[Segment, ...]
    constructor: tuple[Parameter, ...]
    arguments: tuple[Parameter, ...]
    body: Body
    read_body: ReadBody
    respond: Respond
    cors: tuple[str, ...]
    security: AgentSecurity
    phantom: bool

    @property
    def shape(self) -> Shape:
        """Its path without the names of variables."""
        return shape_of(self.path)

    @property
    def name(self) -> str:
        """What it calls, for people."""
        return f"{self.agent.type.name}.{self.method.name}"


@dataclass(frozen=True, slots=True)
class WebhookRoute:
    """Completes a promise of an agent of this type."""

    type_name: str


@dataclass(frozen=True, slots=True)
class DocumentRoute:
    """Shows the OpenAPI document."""

    format: Literal["json", "yaml"]


@dataclass(frozen=True, slots=True)
class PreflightRoute:
    """Answers what a browser asks before it calls the routes of this shape."""

    shape: Shape


@dataclass(frozen=True, slots=True)
class LoginRoute:
    """Takes back a caller whom the provider of a security scheme has logged in."""

    scheme: str


Route: TypeAlias = AgentRoute | WebhookRoute | DocumentRoute | PreflightRoute | LoginRoute


@dataclass(frozen=True, slots=True)
class CompiledApi:
    """The routes of a domain; `agent_routes` in the order of agents, methods and endpoints.

    `schemes` are the security schemes of its environment, by name.
    """

    deployment: HttpApiDeployment
    router: Router[Route]
    agent_routes: Sequence[AgentRoute]
    schemes: Mapping[str, SecurityScheme]
