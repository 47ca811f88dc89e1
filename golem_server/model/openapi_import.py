"""An OpenAPI 3.0 document with Golem's extensions, read as an API definition (reference: gateway, section 1.13).

    x-golem-api-definition-id, x-golem-api-definition-version      at the root
    x-golem-api-gateway-binding, or x-golem-worker-bridge          in each operation; the older name wins

An `options` operation without an extension is a preflight. The parameters that an operation has in its query are
those that its scripts may use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

from golem_server.model.api_definition_json import definition_from_json
from golem_server.model.api_definitions import ApiDefinition
from golem_server.model.errors import InvalidInput
from golem_server.model.json_decoding import kind_of
from golem_server.model.json_types import Json
from golem_server.model.openapi_export import BINDING, ID, METHODS, VERSION

_OLDER_BINDING = "x-golem-worker-bridge"
_KEYS = {
    "binding-type": "bindingType",
    "worker-name": "workerName",
    "idempotency-key": "idempotencyKey",
    "invocation-context": "invocationContext",
    "response": "response",
}


def definition_from_openapi(document: Json) -> ApiDefinition:
    """The definition, which is a draft. Raises InvalidInput that names the wrong place."""
    root = _record(document, "document")
    version = root.get("openapi")
    if not isinstance(version, str) or not version.startswith("3."):
        raise InvalidInput("openapi: expected a document of OpenAPI 3")
    for name in (ID, VERSION):
        if not isinstance(root.get(name), str):
            raise InvalidInput(f"{name}: expected string, got {kind_of(root.get(name))}")
    routes = [
        route
        for path, item in _record(root.get("paths", {}), "paths").items()
        for route in _routes(path, _record(item, f"paths.{path}"))
    ]
    return definition_from_json({"id": root[ID], "version": root[VERSION], "draft": True, "routes": routes})


def _routes(path: str, item: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    if "$ref" in item:
        raise InvalidInput(f"paths.{path}: a path by reference ($ref) is not supported")
    for key, content in item.items():
        if key.upper() not in METHODS:
            continue
        place = f"paths.{path}.{key}"
        operation = _record(content, place)
        yield {
            "method": key,
            "path": _with_query(path, [*_query(item, place), *_query(operation, place)]),
            "security": _security(operation, place),
            "binding": _binding(operation, key, place),
        }


def _query(content: Mapping[str, Json], place: str) -> Iterator[str]:
    """The names of parameters in the query."""
    parameters: Json = content.get("parameters") or ()
    if not parameters:
        return
    if not isinstance(parameters, list):
        raise InvalidInput(f"{place}.parameters: expected list, got {kind_of(parameters)}")
    for at, json in enumerate(cast("list[Json]", parameters)):
        parameter = _record(json, f"{place}.parameters[{at}]")
        name = parameter.get("name")
        if parameter.get("in") == "query" and isinstance(name, str):
            yield name


def _with_query(path: str, names: list[str]) -> str:
    more = [f"{{{name}}}" for name in dict.fromkeys(names) if f"{{{name}}}" not in path.partition("?")[2]]
    if not more:
        return path
    return f"{path}{'&' if '?' in path else '?'}{'&'.join(more)}"


def _security(operation: Mapping[str, Json], place: str) -> str | None:
    """The first scheme of the first requirement."""
    requirements = operation.get("security")
    if not requirements:
        return None
    if not isinstance(requirements, list):
        raise InvalidInput(f"{place}.security: expected list, got {kind_of(requirements)}")
    first = _record(cast("list[Json]", requirements)[0], f"{place}.security[0]")
    return next(iter(first), None)


def _binding(operation: Mapping[str, Json], method: str, place: str) -> dict[str, Json]:
    extension = operation.get(_OLDER_BINDING, operation.get(BINDING))
    if extension is None:
        if method.lower() == "options":
            return {"bindingType": "cors-preflight"}
        raise InvalidInput(f"{place}: No {_OLDER_BINDING} extension found")
    given = _record(extension, f"{place}.{BINDING}")
    binding: dict[str, Any] = {key: given[name] for name, key in _KEYS.items() if given.get(name) is not None}
    if given.get("component-name") is not None:
        binding["component"] = {"name": given["component-name"], "version": given.get("component-version")}
    return binding


def _record(json: Json, path: str) -> Mapping[str, Json]:
    if not isinstance(json, dict) or not all(isinstance(key, str) for key in cast("dict[Any, Json]", json)):
        raise InvalidInput(f"{path}: expected record, got {kind_of(json)}")
    return cast("dict[str, Json]", json)
