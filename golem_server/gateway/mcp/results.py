"""Results of methods as MCP has them: structured content, and texts, images, sounds and resources.

One structured value is `structuredContent` under the name of its element, and the same as a text for clients that know
only those; everything else is a list of contents (reference: gateway, section 3.8).
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec
from mcp.types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    TextContent,
    TextResourceContents,
)

from golem_server.gateway.mcp.json_schemas import structured_element
from golem_server.model.data_values import DataSchema
from golem_server.model.json_encoding import compile_encoder
from golem_server.model.json_types import Json
from golem_server.model.types import Value
from golem_server.model.wit_values import FREE_HANDLES

ToolResult: TypeAlias = Callable[[Value], CallToolResult]
"""The result of a tool that the data value of a method is. Raises InvalidInput for one that is another method's."""

ResourceContents: TypeAlias = list[TextResourceContents | BlobResourceContents]
ReadContents: TypeAlias = Callable[[Value, str], ResourceContents]
"""The contents of the resource with this URI that the data value of a method is. Raises as ToolResult does."""

JSON = "application/json"


def tool_result(schema: DataSchema, uri: str) -> ToolResult:
    """What makes results of a tool; `uri` names embedded resources."""
    encoders = _encoders(schema)
    structured = structured_element(schema)

    def of(result: Value) -> CallToolResult:
        values = schema.values(result)
        if structured is not None:
            json = {structured.name: encoders[structured.name](values[0][1])}
            return CallToolResult(content=[TextContent(text=_text_of(json))], structured_content=json)
        content = [
            TextContent(text=_text_of({name: encoders[name](value)}))
            if name in encoders
            else _content(value, f"{uri}/{name}")
            for name, value in values
        ]
        return CallToolResult(content=content)

    return of


def resource_contents(schema: DataSchema) -> ReadContents:
    """What makes contents of a resource: one for each element."""
    encoders = _encoders(schema)

    def of(result: Value, uri: str) -> ResourceContents:
        return [
            TextResourceContents(uri=uri, mime_type=JSON, text=_text_of(encoders[name](value)))
            if name in encoders
            else _resource(value, uri)
            for name, value in schema.values(result)
        ]

    return of


def resource_mime_type(schema: DataSchema) -> str | None:
    """The MIME type of all contents of a resource, None where it is not known before."""
    if len(schema.elements) != 1:
        return None
    (element,) = schema.elements
    if element.type is not None:
        return JSON
    if element.kind == "unstructured-text":
        return "text/plain"
    return element.restrictions[0] if element.restrictions is not None and len(element.restrictions) == 1 else None


def _encoders(schema: DataSchema) -> dict[str, Callable[[Value], Json]]:
    return {
        element.name: compile_encoder(element.type, FREE_HANDLES, collapsed=True)
        for element in schema.elements
        if element.type is not None
    }


def _text_of(json: Json) -> str:
    return msgspec.json.encode(json).decode()


def _content(reference: Value, uri: str) -> ContentBlock:
    """A text or bytes."""
    case, source = reference
    if case == "url":
        return TextContent(text=source)
    data = source["data"]
    if isinstance(data, str):
        language = source["text-type"]
        meta: dict[str, Any] | None = None if language is None else {"languageCode": language["language-code"]}
        return TextContent(text=data, _meta=meta)
    mime_type: str = source["binary-type"]["mime-type"]
    encoded = base64.b64encode(bytes(data)).decode()
    match mime_type.partition("/")[0].lower():
        case "image":
            return ImageContent(data=encoded, mime_type=mime_type)
        case "audio":
            return AudioContent(data=encoded, mime_type=mime_type)
        case _:
            return EmbeddedResource(resource=BlobResourceContents(uri=uri, mime_type=mime_type, blob=encoded))


def _resource(reference: Value, uri: str) -> TextResourceContents | BlobResourceContents:
    case, source = reference
    if case == "url":
        return TextResourceContents(uri=uri, mime_type="text/uri-list", text=source)
    data = source["data"]
    if isinstance(data, str):
        return TextResourceContents(uri=uri, mime_type="text/plain", text=data)
    blob = base64.b64encode(bytes(data)).decode()
    return BlobResourceContents(uri=uri, mime_type=source["binary-type"]["mime-type"], blob=blob)
