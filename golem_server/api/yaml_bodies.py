"""Bodies that may be JSON or YAML, by their content type; YAML is read to what the same JSON would be.

Aliases are refused: a short text of them can stand for a value of any size.
"""

from __future__ import annotations

from typing import Any

import msgspec
import yaml
from fastapi import Request

from golem_server.api.json_bodies import JsonReader, read_body
from golem_server.api.services import services_of
from golem_server.model.errors import InvalidInput

YAML_TYPES = ("application/x-yaml", "application/yaml", "text/yaml", "text/x-yaml", "text/vnd.yaml")
"""The content types of YAML."""

_MAX_DEPTH = 64

_json = msgspec.json.Decoder(Any)

# The library's own types are not complete enough to be checked.
_yaml: Any = yaml


class _PlainLoader(yaml.CSafeLoader):
    """Reads YAML that could have been JSON."""


# Dates are texts, as in JSON.
_PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


async def read_json_or_yaml(request: Request) -> Any:
    """The body of a request. Raises UnsupportedMediaType, TooLarge, InvalidInput."""
    limits = services_of(request).settings.limits.request
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in YAML_TYPES:
        return await JsonReader(limits.json_body, limits.json_depth).read(
            request.receive, request.scope["headers"], _json
        )
    text = await read_body(request.receive, request.scope["headers"], limits.json_body)
    try:
        _check(text)
        return yaml.load(text, _PlainLoader)
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        raise InvalidInput(f"parse request payload error: {error}") from None


def yaml_text(content: Any) -> str:
    """A value as YAML, in its own order."""
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _check(text: bytes) -> None:
    """Raise YAMLError for what could not have been JSON within its limits."""
    depth = 0
    for event in _yaml.parse(text, yaml.CSafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not allowed")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise yaml.YAMLError(f"nested deeper than {_MAX_DEPTH} levels")
