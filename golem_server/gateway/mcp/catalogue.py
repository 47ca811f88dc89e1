"""What the MCP endpoint of one domain offers: tools, resources, templates of resources, and prompts.

A method with parameters is the tool `Type-method`; one without is the resource `golem://Type/method`, or a template
whose variables are the constructor's parameters. A constructor's parameters that cannot stand in a URI, bytes and
multimodal ones, make a tool of such a method too (reference: gateway, section 3.8).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from mcp.types import Prompt, Resource, ResourceTemplate, Tool

from golem_server.gateway.code_first.deployed import DeployedAgent
from golem_server.gateway.mcp.arguments import ReadArguments, ReadSegments, arguments_reader, segments_reader
from golem_server.gateway.mcp.deployed import DeployedMcp
from golem_server.gateway.mcp.json_schemas import CONSTRUCTOR_PARTS, PARTS, input_schema, output_schema
from golem_server.gateway.mcp.results import (
    ReadContents,
    ToolResult,
    resource_contents,
    resource_mime_type,
    tool_result,
)
from golem_server.model.agent_types import AgentMethod
from golem_server.model.ids import EnvironmentId

SCHEME = "golem://"


@dataclass(frozen=True, slots=True)
class ToolOffer:
    """A method as a tool."""

    tool: Tool
    agent: DeployedAgent
    method: AgentMethod
    read_constructor: ReadArguments
    read_arguments: ReadArguments
    result: ToolResult


@dataclass(frozen=True, slots=True)
class ResourceOffer:
    """A method as a resource, or as many as the constructor has parameters for."""

    listed: Resource | ResourceTemplate
    agent: DeployedAgent
    method: AgentMethod
    read_constructor: ReadSegments
    contents: ReadContents


@dataclass(frozen=True, slots=True)
class PromptOffer:
    """A hint as a prompt."""

    prompt: Prompt
    text: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All that is offered, by name; resources by the beginning of their URI and the number of segments behind it.

    `agents` are the names of the agent types, `schemes` the security schemes that callers must satisfy: none, or the
    one that the agents share.
    """

    domain: str
    environment_id: EnvironmentId | None
    agents: tuple[str, ...]
    schemes: frozenset[str]
    tools: Mapping[str, ToolOffer]
    resources: Mapping[tuple[str, int], ResourceOffer]
    prompts: Mapping[str, PromptOffer]

    def resource(self, uri: str) -> tuple[ResourceOffer, Sequence[str]] | None:
        """The resource with this URI, and the segments that stand for the constructor's parameters."""
        if not uri.startswith(SCHEME):
            return None
        type_name, *path = uri.removeprefix(SCHEME).split("/")
        if not path:
            return None
        offer = self.resources.get((f"{SCHEME}{type_name}/{path[0]}", len(path) - 1))
        return None if offer is None else (offer, path[1:])


EMPTY = Catalogue("", None, (), frozenset(), {}, {}, {})
"""Nothing, which is what a client finds at a domain without a deployment."""


def catalogue_of(mcp: DeployedMcp) -> Catalogue:
    """What a deployment offers, in the order of names; types that the environment does not have are left out."""
    tools: dict[str, ToolOffer] = {}
    resources: dict[tuple[str, int], ResourceOffer] = {}
    prompts: dict[str, PromptOffer] = {}
    for type_name in sorted(mcp.deployment.agents):
        agent = mcp.agents.get(type_name)
        if agent is None:
            continue
        _add_prompt(prompts, type_name, agent.type.to_guest()["constructor"]["prompt-hint"], agent.type.description)
        for method in agent.type.methods:
            name = f"{type_name}-{method.name}"
            _add_prompt(prompts, name, method.prompt_hint, method.description)
            read_segments = segments_reader(agent.type.constructor_schema) if method.input_schema.is_unit else None
            if read_segments is None:
                tools[name] = _tool(name, agent, method)
            else:
                offer = _resource(name, agent, method, read_segments)
                resources[_uri(agent, method), len(agent.type.constructor_schema.elements)] = offer
    schemes = frozenset(scheme for scheme in mcp.deployment.agents.values() if scheme is not None)
    offered = tuple(name for name in sorted(mcp.deployment.agents) if name in mcp.agents)
    deployment = mcp.deployment
    return Catalogue(deployment.domain, deployment.environment_id, offered, schemes, tools, resources, prompts)


def _uri(agent: DeployedAgent, method: AgentMethod) -> str:
    return f"{SCHEME}{quote(agent.type.name, safe='')}/{quote(method.name, safe='')}"


def _tool(name: str, agent: DeployedAgent, method: AgentMethod) -> ToolOffer:
    constructor = agent.type.constructor_schema
    tool = Tool(
        name=name,
        description=method.description or None,
        input_schema=input_schema(constructor, method.input_schema),
        output_schema=output_schema(method.output_schema),
    )
    return ToolOffer(
        tool,
        agent,
        method,
        arguments_reader(constructor, CONSTRUCTOR_PARTS),
        arguments_reader(method.input_schema, PARTS),
        tool_result(method.output_schema, _uri(agent, method)),
    )


def _resource(name: str, agent: DeployedAgent, method: AgentMethod, read_constructor: ReadSegments) -> ResourceOffer:
    uri, mime_type = _uri(agent, method), resource_mime_type(method.output_schema)
    description = method.description or None
    elements = agent.type.constructor_schema.elements
    listed: Resource | ResourceTemplate
    if elements:
        template = "/".join([uri, *(f"{{{element.name}}}" for element in elements)])
        listed = ResourceTemplate(name=name, uri_template=template, description=description, mime_type=mime_type)
    else:
        listed = Resource(name=name, uri=uri, description=description, mime_type=mime_type)
    return ResourceOffer(listed, agent, method, read_constructor, resource_contents(method.output_schema))


def _add_prompt(prompts: dict[str, PromptOffer], name: str, hint: str | None, description: str) -> None:
    if hint:
        prompts[name] = PromptOffer(Prompt(name=name, description=description or None), hint)
