"""An API definition as an OpenAPI 3.0 document: for its callers, and, by Golem's extensions, to be imported again.

Parameters and bodies follow from what the scripts use of requests, responses from what they give (reference: gateway,
section 1.13).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from golem_server.model.api_definitions import BindingKind, Route, RouteBinding, StoredDefinition
from golem_server.model.json_schema import json_schema
from golem_server.model.json_types import type_from_json
from golem_server.model.types import RecordType, WitType

ID = "x-golem-api-definition-id"
VERSION = "x-golem-api-definition-version"
BINDING = "x-golem-api-gateway-binding"
SCRIPTS = {
    "worker-name": "worker_name",
    "idempotency-key": "idempotency_key",
    "invocation-context": "invocation_context",
    "response": "response",
}
METHODS = ("GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE")
"""What OpenAPI has; a route with another method (CONNECT) is left out of documents."""

_INPUTS = ("responseMappingInput", "workerNameInput", "idempotencyKeyInput")


def openapi_of(stored: StoredDefinition, server: str | None = None) -> dict[str, Any]:
    """The document. `server` is the URL at which the API answers."""
    definition = stored.definition
    paths: dict[str, dict[str, Any]] = {}
    schemes: set[str] = set()
    for route, facts in zip(definition.routes, stored.facts, strict=True):
        if route.method in METHODS:
            path, _, declared = route.path.partition("?")
            operation = _operation(route, facts, _names(declared))
            paths.setdefault(f"/{path.strip('/')}", {})[route.method.lower()] = operation
        if route.security is not None:
            schemes.add(route.security)
    document: dict[str, Any] = {
        "openapi": "3.0.0",
        "info": {"title": definition.key.id, "version": definition.key.version},
        ID: definition.key.id,
        VERSION: definition.key.version,
        "paths": paths,
    }
    if server is not None:
        document["servers"] = [{"url": server}]
    if schemes:
        login = {"type": "apiKey", "in": "cookie", "name": "id_token"}
        document["components"] = {"securitySchemes": dict.fromkeys(sorted(schemes), login)}
    return document


def _operation(route: Route, facts: Mapping[str, Any], declared: Iterable[str]) -> dict[str, Any]:
    used = _used(facts)
    operation: dict[str, Any] = {}
    parameters = _parameters(route, used, declared)
    if parameters:
        operation["parameters"] = parameters
    if "body" in used:
        schema = json_schema(used["body"])
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    operation["responses"] = _responses(route.binding.kind, facts)
    if route.security is not None:
        operation["security"] = [{route.security: []}]
    operation[BINDING] = binding_extension(route.binding)
    return operation


def _used(facts: Mapping[str, Any]) -> dict[str, WitType]:
    """The fields of `request` that any of the scripts uses; of the same part all fields together."""
    used: dict[str, WitType] = {}
    for name in _INPUTS:
        request = _part(_part(facts.get(name), "types"), "request")
        type_ = None if request is None else type_from_json(request)
        for field in type_.fields if isinstance(type_, RecordType) else ():
            known = used.get(field.name)
            if isinstance(known, RecordType) and isinstance(field.type, RecordType):
                there = {each.name for each in known.fields}
                more = tuple(each for each in field.type.fields if each.name not in there)
                used[field.name] = RecordType((*known.fields, *more))
            else:
                used[field.name] = field.type
    return used


def _part(json: Any, key: str) -> Any:
    return None if json is None else json.get(key)


def _parameters(route: Route, used: Mapping[str, WitType], declared: Iterable[str]) -> list[dict[str, Any]]:
    in_path, in_query = _fields(used.get("path")), _fields(used.get("query"))
    variables = [name.removeprefix("+") for name in _names(route.path.partition("?")[0])]
    headers = _fields(used.get("headers")) | _fields(used.get("header"))
    return [
        *(_parameter("path", name, in_path.get(name), True) for name in variables),
        *(_parameter("query", name, in_query.get(name), name in in_query) for name in declared),
        *(_parameter("header", name, type_, True) for name, type_ in headers.items()),
    ]


def _parameter(place: str, name: str, type_: WitType | None, required: bool) -> dict[str, Any]:
    schema = {"type": "string"} if type_ is None else json_schema(type_)
    return {"name": name, "in": place, "required": required, "schema": schema}


def _fields(type_: WitType | None) -> dict[str, WitType]:
    return {field.name: field.type for field in type_.fields} if isinstance(type_, RecordType) else {}


def _names(template: str) -> list[str]:
    """The names in braces of a path or of a query's declaration."""
    return [part.partition("}")[0].strip() for part in template.split("{")[1:]]


def _responses(kind: BindingKind, facts: Mapping[str, Any]) -> dict[str, Any]:
    if kind is BindingKind.SWAGGER_UI:
        return {"200": {"description": "This documentation", "content": {"text/html": {}}}}
    if kind is BindingKind.CORS_PREFLIGHT:
        return {"200": {"description": "The rules for other origins"}}
    if kind in (BindingKind.FILE_SERVER, BindingKind.HTTP_HANDLER):
        return {"default": {"description": "What the worker has", "content": {"*/*": {}}}}
    output = _part(facts.get("responseMappingOutput"), "analysedType")
    if output is None:
        return {"default": {"description": "Nothing"}}
    type_ = type_from_json(output)
    parts = _fields(type_)
    body = parts.get("body", type_)
    response: dict[str, Any] = {
        "description": "What the script gives",
        "content": {"application/json": {"schema": json_schema(body)}},
    }
    headers = _fields(parts.get("headers"))
    if headers:
        response["headers"] = {name: {"schema": json_schema(each)} for name, each in headers.items()}
    return {"default": response}


def binding_extension(binding: RouteBinding) -> dict[str, Any]:
    """A binding as Golem's extension of an operation."""
    extension: dict[str, Any] = {"binding-type": binding.kind.value}
    if binding.component is not None:
        extension["component-name"] = binding.component
        extension["component-version"] = binding.component_version
    scripts = {key: getattr(binding, name) for key, name in SCRIPTS.items()}
    return extension | {key: text for key, text in scripts.items() if text is not None}
