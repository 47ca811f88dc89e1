"""How the records of an agent type look in WIT and in JSON: shapes, each of which converts both ways.

The JSON is that of cli-1.5, section 4: field names in camel case, cases under `type` together with the fields of their
payload. `agent_type_shape` is the whole; what it is made of is below it in the file.

A field that is missing reads as the shape's default: guests of Golem 1.4 have no source language, HTTP mounts,
snapshots and configuration, and clients may leave out what is null. Written to a guest, a record always has all fields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from golem_server.model.data_values import DataSchema
from golem_server.model.errors import InvalidInput
from golem_server.model.json_decoding import kind_of
from golem_server.model.json_types import Json
from golem_server.model.types import Value
from golem_server.model.wit_types import type_json_to_nodes, type_nodes_to_json

_REQUIRED: Any = object()
_MAX_ITEMS = 10_000


class Shape(Protocol):
    """One kind of value in WIT and in JSON."""

    def to_json(self, guest: Value) -> Json:
        """The JSON of a value that a guest gave."""
        ...

    def to_guest(self, json: Json, path: str) -> Value:
        """The value for guests of the JSON. Raises InvalidInput with the path to the wrong place."""
        ...


@dataclass(frozen=True, slots=True)
class _Plain:
    """The same value in both."""

    kind: type[Any]
    name: str
    maximum: int = 0

    def to_json(self, guest: Value) -> Json:
        return guest

    def to_guest(self, json: Json, path: str) -> Value:
        if json.__class__ is not self.kind:
            raise InvalidInput(f"{path}: expected {self.name}, got {kind_of(json)}")
        if self.kind is int and not 0 <= json <= self.maximum:
            raise InvalidInput(f"{path}: expected a number from 0 to {self.maximum}")
        return json


@dataclass(frozen=True, slots=True)
class _List:
    item: Shape

    def to_json(self, guest: Value) -> Json:
        return [self.item.to_json(item) for item in guest]

    def to_guest(self, json: Json, path: str) -> Value:
        if json.__class__ is not list:
            raise InvalidInput(f"{path}: expected list, got {kind_of(json)}")
        if len(json) > _MAX_ITEMS:
            raise InvalidInput(f"{path}: there are more than {_MAX_ITEMS}")
        return [self.item.to_guest(item, f"{path}[{at}]") for at, item in enumerate(json)]


@dataclass(frozen=True, slots=True)
class _Option:
    inner: Shape

    def to_json(self, guest: Value) -> Json:
        return None if guest is None else self.inner.to_json(guest)

    def to_guest(self, json: Json, path: str) -> Value:
        return None if json is None else self.inner.to_guest(json, path)


@dataclass(frozen=True, slots=True)
class _Enum:
    """Cases by their WIT names, with their names in JSON."""

    cases: Mapping[str, str]

    def to_json(self, guest: Value) -> Json:
        return self.cases[guest]

    def to_guest(self, json: Json, path: str) -> Value:
        for name, json_name in self.cases.items():
            if json == json_name:
                return name
        raise InvalidInput(f"{path}: expected one of {', '.join(self.cases.values())}")


@dataclass(frozen=True, slots=True)
class _Record:
    """Fields by their WIT names: the shape and, where the field may be missing, the default in WIT form."""

    fields: Mapping[str, tuple[Shape, Value]]

    def to_json(self, guest: Value) -> Json:
        return {
            _camel(name): shape.to_json(guest.get(name, default) if default is not _REQUIRED else guest[name])
            for name, (shape, default) in self.fields.items()
        }

    def to_guest(self, json: Json, path: str) -> Value:
        if json.__class__ is not dict:
            raise InvalidInput(f"{path}: expected record, got {kind_of(json)}")
        record: dict[str, Value] = {}
        for name, (shape, default) in self.fields.items():
            key = _camel(name)
            if json.get(key) is not None:
                record[name] = shape.to_guest(json[key], f"{path}.{key}")
            elif default is not _REQUIRED:
                record[name] = default
            else:
                raise InvalidInput(f"{path}: key '{key}' not found")
        return record


@dataclass(frozen=True, slots=True)
class _Tagged:
    """A variant: cases by their WIT names, with the shape of the payload, whose JSON fields stand beside the tag."""

    tag: str
    cases: Mapping[str, Shape | None]

    def to_json(self, guest: Value) -> Json:
        name, payload = guest
        shape = self.cases[name]
        json: dict[str, Json] = {self.tag: _pascal(name)}
        return json if shape is None else json | shape.to_json(payload)

    def to_guest(self, json: Json, path: str) -> Value:
        if json.__class__ is not dict:
            raise InvalidInput(f"{path}: expected record, got {kind_of(json)}")
        for name, shape in self.cases.items():
            if json.get(self.tag) == _pascal(name):
                return name, None if shape is None else shape.to_guest(json, path)
        raise InvalidInput(f"{path}.{self.tag}: expected one of {', '.join(map(_pascal, self.cases))}")


@dataclass(frozen=True, slots=True)
class _Wrapped:
    """A payload that is no record in WIT: its JSON is a record with this one key."""

    key: str
    inner: Shape

    def to_json(self, guest: Value) -> Json:
        return {self.key: self.inner.to_json(guest)}

    def to_guest(self, json: Json, path: str) -> Value:
        return self.inner.to_guest(json.get(self.key), f"{path}.{self.key}")


@dataclass(frozen=True, slots=True)
class _Converted:
    """A part that has its own conversions."""

    json_of: Callable[[Value], Json]
    guest_of: Callable[[Json, str], Value]

    def to_json(self, guest: Value) -> Json:
        return self.json_of(guest)

    def to_guest(self, json: Json, path: str) -> Value:
        return self.guest_of(json, path)


def _pascal(name: str) -> str:
    return "".join(word.capitalize() for word in name.split("-"))


def _camel(name: str) -> str:
    pascal = _pascal(name)
    return pascal[0].lower() + pascal[1:]


def _need(shape: Shape) -> tuple[Shape, Value]:
    return shape, _REQUIRED


def _maybe(shape: Shape) -> tuple[Shape, Value]:
    return _Option(shape), None


_TEXT = _Plain(str, "string")
_BOOL = _Plain(bool, "bool")
_TEXTS = _List(_TEXT)
_SCHEMA = _Converted(
    lambda guest: DataSchema.from_guest(guest).to_json(),
    lambda json, path: DataSchema.from_json(json, path).to_guest(),
)
_TYPE = _Converted(type_nodes_to_json, type_json_to_nodes)

_VARIABLE = _Record({"variable-name": _need(_TEXT)})
_SEGMENTS = _List(
    _Tagged(
        "type",
        {
            "literal": _Wrapped("value", _TEXT),
            "system-variable": _Wrapped("value", _Enum({"agent-type": "AgentType", "agent-version": "AgentVersion"})),
            "path-variable": _VARIABLE,
            "remaining-path-variable": _VARIABLE,
        },
    )
)
_METHODS_OF_HTTP = ("get", "head", "post", "put", "delete", "connect", "options", "trace", "patch")
_HTTP_METHOD = _Tagged("type", {**dict.fromkeys(_METHODS_OF_HTTP), "custom": _Wrapped("value", _TEXT)})
_AUTHENTICATION = _Record({"required": _need(_BOOL)})
_CORS = _Record({"allowed-patterns": (_TEXTS, [])})
_NO_CORS: Value = {"allowed-patterns": []}
_MOUNT = _Record(
    {
        "path-prefix": (_SEGMENTS, []),
        "auth-details": _maybe(_AUTHENTICATION),
        "phantom-agent": (_BOOL, False),
        "cors-options": (_CORS, _NO_CORS),
        "webhook-suffix": (_SEGMENTS, []),
    }
)
_ENDPOINT = _Record(
    {
        "http-method": _need(_HTTP_METHOD),
        "path-suffix": (_SEGMENTS, []),
        "header-vars": (_List(_Record({"header-name": _need(_TEXT), "variable-name": _need(_TEXT)})), []),
        "query-vars": (_List(_Record({"query-param-name": _need(_TEXT), "variable-name": _need(_TEXT)})), []),
        "auth-details": _maybe(_AUTHENTICATION),
        "cors-options": (_CORS, _NO_CORS),
    }
)
_CONSTRUCTOR = _Record(
    {
        "name": _maybe(_TEXT),
        "description": (_TEXT, ""),
        "prompt-hint": _maybe(_TEXT),
        "input-schema": _need(_SCHEMA),
    }
)
_METHODS = _List(
    _Record(
        {
            "name": _need(_TEXT),
            "description": (_TEXT, ""),
            "prompt-hint": _maybe(_TEXT),
            "input-schema": _need(_SCHEMA),
            "output-schema": _need(_SCHEMA),
            "http-endpoint": (_List(_ENDPOINT), []),
        }
    )
)
_DEPENDENCY = _Record(
    {
        "type-name": _need(_TEXT),
        "description": _maybe(_TEXT),
        "constructor": _need(_CONSTRUCTOR),
        "methods": _need(_METHODS),
    }
)
_SNAPSHOTTING = _Tagged(
    "type",
    {
        "disabled": None,
        "enabled": _Tagged(
            "configType",
            {
                "default": None,
                "periodic": _Wrapped("durationNanos", _Plain(int, "number", (1 << 64) - 1)),
                "every-n-invocation": _Wrapped("count", _Plain(int, "number", (1 << 16) - 1)),
            },
        ),
    },
)
_CONFIG = _Record(
    {
        "source": _need(_Enum({"local": "Local", "secret": "Secret"})),
        "path": _need(_TEXTS),
        "value-type": _need(_TYPE),
    }
)

agent_type_shape: Shape = _Record(
    {
        "type-name": _need(_TEXT),
        "description": (_TEXT, ""),
        "source-language": (_TEXT, ""),
        "constructor": _need(_CONSTRUCTOR),
        "methods": _need(_METHODS),
        "dependencies": (_List(_DEPENDENCY), []),
        "mode": (_Enum({"durable": "Durable", "ephemeral": "Ephemeral"}), "durable"),
        "http-mount": _maybe(_MOUNT),
        "snapshotting": (_SNAPSHOTTING, ("disabled", None)),
        "config": (_List(_CONFIG), []),
    }
)
"""The `agent-type` record."""
