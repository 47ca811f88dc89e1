"""The requests of MCP, answered from the catalogue of the domain that each came to.

Lists are short enough to be given whole: there are no pages. The endpoint has put the catalogue into the scope of the
HTTP request, where `CATALOGUE` finds it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    GetPromptRequestParams,
    GetPromptResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ListToolsResult,
    PaginatedRequestParams,
    PromptMessage,
    ReadResourceRequestParams,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextContent,
)

from golem_server import __version__
from golem_server.gateway.mcp.calls import McpCalls
from golem_server.gateway.mcp.catalogue import Catalogue
from golem_server.gateway.mcp.failures import RESOURCE_NOT_FOUND, told_to_client
from golem_server.model.data_values import UNIT

CATALOGUE = "golem.mcp.catalogue"
"""The key of the catalogue in an ASGI scope."""

_MAX_SHOWN = 200

_Context: TypeAlias = ServerRequestContext[Any, Any]


class McpProtocol:
    """Answers requests. `count_error` counts what nobody foresaw."""

    def __init__(self, calls: McpCalls, count_error: Callable[[str], None]) -> None:
        self._calls = calls
        self._count_error = count_error

    def server(self) -> Server[Any]:
        """What the library calls with the requests that it has read."""
        return Server(
            "golem-server",
            version=__version__,
            on_list_tools=self.list_tools,
            on_call_tool=self.call_tool,
            on_list_resources=self.list_resources,
            on_list_resource_templates=self.list_templates,
            on_read_resource=self.read_resource,
            on_list_prompts=self.list_prompts,
            on_get_prompt=self.get_prompt,
        )

    async def list_tools(self, context: _Context, _: PaginatedRequestParams | None) -> ListToolsResult:
        """`tools/list`."""
        return ListToolsResult(tools=[offer.tool for offer in _catalogue(context).tools.values()])

    async def call_tool(self, context: _Context, params: CallToolRequestParams) -> CallToolResult:
        """`tools/call`."""
        offer = _catalogue(context).tools.get(params.name)
        if offer is None:
            raise MCPError(INVALID_PARAMS, f"There is no tool {params.name[:_MAX_SHOWN]}")
        async with told_to_client(self._count_error):
            arguments = params.arguments or {}
            parameters, values = offer.read_constructor(arguments), offer.read_arguments(arguments)
            return offer.result(await self._calls.call(offer.agent, offer.method, parameters, values))

    async def list_resources(self, context: _Context, _: PaginatedRequestParams | None) -> ListResourcesResult:
        """`resources/list`."""
        listed = (offer.listed for offer in _catalogue(context).resources.values())
        return ListResourcesResult(resources=[each for each in listed if isinstance(each, Resource)])

    async def list_templates(self, context: _Context, _: PaginatedRequestParams | None) -> ListResourceTemplatesResult:
        """`resources/templates/list`."""
        listed = (offer.listed for offer in _catalogue(context).resources.values())
        return ListResourceTemplatesResult(
            resource_templates=[each for each in listed if isinstance(each, ResourceTemplate)]
        )

    async def read_resource(self, context: _Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        """`resources/read`."""
        found = _catalogue(context).resource(params.uri)
        if found is None:
            raise MCPError(RESOURCE_NOT_FOUND, f"There is no resource {params.uri[:_MAX_SHOWN]}")
        offer, segments = found
        async with told_to_client(self._count_error):
            parameters = offer.read_constructor(segments)
            result = await self._calls.call(offer.agent, offer.method, parameters, UNIT)
            return ReadResourceResult(contents=offer.contents(result, params.uri))

    async def list_prompts(self, context: _Context, _: PaginatedRequestParams | None) -> ListPromptsResult:
        """`prompts/list`."""
        return ListPromptsResult(prompts=[offer.prompt for offer in _catalogue(context).prompts.values()])

    async def get_prompt(self, context: _Context, params: GetPromptRequestParams) -> GetPromptResult:
        """`prompts/get`."""
        offer = _catalogue(context).prompts.get(params.name)
        if offer is None:
            raise MCPError(INVALID_PARAMS, f"There is no prompt {params.name[:_MAX_SHOWN]}")
        message = PromptMessage(role="user", content=TextContent(text=offer.text))
        return GetPromptResult(description=offer.prompt.description, messages=[message])


def _catalogue(context: _Context) -> Catalogue:
    # Every request comes over HTTP, through the endpoint.
    assert context.request is not None
    catalogue: Catalogue = context.request.scope[CATALOGUE]
    return catalogue
