"""Definitions of HTTP APIs as JSON, or as YAML that was read to the same (reference: rest-api, section 9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from golem_server.model.api_definitions import (
    METHODS,
    ApiDefinition,
    BindingKind,
    DefinitionKey,
    Route,
    RouteBinding,
    StoredDefinition,
)
from golem_server.model.errors import InvalidInput
from golem_server.model.json_decoding import kind_of
from golem_server.model.json_types import Json

MAX_ROUTES = 10_000
_MAX_VERSION = (1 << 63) - 1
_MAX_NAME = 255

_KINDS = {kind.value: kind for kind in BindingKind} | {"wit-worker": BindingKind.DEFAULT}
_SCRIPTS = {
    "workerName": "worker_name",
    "idempotencyKey": "idempotency_key",
    "invocationContext": "invocation_context",
    "response": "response",
}


def definition_from_json(json: Json, key: DefinitionKey | None = None) -> ApiDefinition:
    """A definition as a client gives it; `key`, if given, is for a body that does not name itself.

    Raises InvalidInput that names the wrong place.
    """
    body = _record(json, "definition")
    routes = _optional_list(body.get("routes"), "routes")
    if len(routes) > MAX_ROUTES:
        raise InvalidInput(f"routes: there are more than {MAX_ROUTES}")
    names = _optional_list(body.get("security"), "security")
    for at, name in enumerate(names):
        _text(name, f"security[{at}]")
    return ApiDefinition(
        key=DefinitionKey(
            _name(body.get("id", None if key is None else key.id), "id"),
            _name(body.get("version", None if key is None else key.version), "version"),
        ),
        draft=_bool(body.get("draft", False), "draft"),
        routes=tuple(route_from_json(route, f"routes[{at}]") for at, route in enumerate(routes)),
    )


def route_from_json(json: Json, path: str) -> Route:
    """One route. Raises InvalidInput."""
    route = _record(json, path)
    method = _text(route.get("method"), f"{path}.method").upper()
    if method not in METHODS:
        raise InvalidInput(f"{path}.method: expected one of {', '.join(name.title() for name in METHODS)}")
    return Route(
        method=method,
        path=_text(route.get("path"), f"{path}.path"),
        binding=_binding(route.get("binding"), f"{path}.binding"),
        security=_optional_text(route.get("security"), f"{path}.security"),
    )


def _binding(json: Json, path: str) -> RouteBinding:
    binding = _record(json, path)
    name = _optional_text(binding.get("bindingType"), f"{path}.bindingType") or "default"
    if name not in _KINDS:
        raise InvalidInput(f"{path}.bindingType: expected one of {', '.join(kind.value for kind in BindingKind)}")
    component, version = _component(binding.get("component"), f"{path}.component")
    scripts = {name: _optional_text(binding.get(key), f"{path}.{key}") for key, name in _SCRIPTS.items()}
    return RouteBinding(_KINDS[name], component, version, **scripts)


def _component(json: Json, path: str) -> tuple[str | None, int | None]:
    if json is None:
        return None, None
    if isinstance(json, str):
        return _text(json, path), None
    component = _record(json, path)
    version = component.get("version")
    if version is not None and (version.__class__ is not int or not 0 <= version <= _MAX_VERSION):
        raise InvalidInput(f"{path}.version: expected a number from 0 on")
    return _text(component.get("name"), f"{path}.name"), version


def definition_to_json(stored: StoredDefinition, created_at: str) -> dict[str, Json]:
    """A definition as clients are told of it; `created_at` is written as the API writes times."""
    definition = stored.definition
    return {
        "id": definition.key.id,
        "version": definition.key.version,
        "draft": definition.draft,
        "createdAt": created_at,
        "routes": [
            {**route_to_json(route), "binding": {**binding_to_json(route.binding), **facts}}
            for route, facts in zip(definition.routes, stored.facts, strict=True)
        ],
    }


def route_to_json(route: Route) -> dict[str, Json]:
    """A route as its user wrote it."""
    return {
        "method": route.method.title(),
        "path": route.path,
        "security": route.security,
        "binding": binding_to_json(route.binding),
    }


def binding_to_json(binding: RouteBinding) -> dict[str, Json]:
    """A binding as its user wrote it."""
    component = None
    if binding.component is not None:
        component = {"name": binding.component, "version": binding.component_version}
    scripts = {key: getattr(binding, name) for key, name in _SCRIPTS.items()}
    return {"bindingType": binding.kind.value, "component": component, **scripts}


def _record(json: Json, path: str) -> Mapping[str, Json]:
    if not isinstance(json, dict):
        raise InvalidInput(f"{path}: expected record, got {kind_of(json)}")
    record = cast("dict[Any, Json]", json)
    if not all(isinstance(key, str) for key in record):
        raise InvalidInput(f"{path}: expected texts as keys")
    return record


def _list(json: Json, path: str) -> Sequence[Json]:
    if not isinstance(json, list):
        raise InvalidInput(f"{path}: expected list, got {kind_of(json)}")
    return cast("list[Json]", json)


def _optional_list(json: Json, path: str) -> Sequence[Json]:
    return () if json is None else _list(json, path)


def _bool(json: Json, path: str) -> bool:
    if not isinstance(json, bool):
        raise InvalidInput(f"{path}: expected bool, got {kind_of(json)}")
    return json


def _text(json: Json, path: str) -> str:
    if not isinstance(json, str):
        raise InvalidInput(f"{path}: expected string, got {kind_of(json)}")
    if "\0" in json or any(0xD800 <= ord(character) <= 0xDFFF for character in json):
        raise InvalidInput(f"{path}: the text has a character that is not allowed")
    return json


def _optional_text(json: Json, path: str) -> str | None:
    return None if json is None else _text(json, path)


def _name(json: Json, path: str) -> str:
    name = _text(json, path)
    if not name or len(name) > _MAX_NAME or any(ord(character) < 32 for character in name):
        raise InvalidInput(f"{path}: expected 1 to {_MAX_NAME} characters without control characters")
    return name
