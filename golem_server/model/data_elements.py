"""The elements of data values: their schemas, and their JSON in both directions.

An element is a component-model value, a text, or bytes (reference: host-interfaces, sections 4.8 and 6); the JSON of
schemas is that of cli-1.5, section 4, that of values is told in `model/data_values.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from golem_server.model.errors import InvalidInput
from golem_server.model.json_decoding import ValueErrors, compile_decoder, kind_of
from golem_server.model.json_encoding import compile_encoder
from golem_server.model.json_types import Json
from golem_server.model.types import ListType, Primitive, Value, WitType
from golem_server.model.wit_types import nodes_to_type, type_json_to_nodes, type_nodes_to_json
from golem_server.model.wit_values import FREE_HANDLES, compile_node_reader, compile_node_writer

ElementKind: TypeAlias = Literal["component-model", "unstructured-text", "unstructured-binary"]
"""The case of an element's schema and of its value."""

_KINDS: dict[str, ElementKind] = {
    "ComponentModel": "component-model",
    "UnstructuredText": "unstructured-text",
    "UnstructuredBinary": "unstructured-binary",
}
_JSON_KINDS: dict[str, str] = {kind: json for json, kind in _KINDS.items()}
# The field of an inline reference that tells its type, and the field of that which tells language or MIME type.
_KEYS = {"unstructured-text": ("text-type", "language-code"), "unstructured-binary": ("binary-type", "mime-type")}
_JSON_KEYS = {"unstructured-text": ("textType", "languageCode"), "unstructured-binary": ("binaryType", "mimeType")}

_Convert: TypeAlias = Callable[[Any], Any]

_string = compile_decoder(Primitive.STRING, None)
_bytes = compile_decoder(ListType(Primitive.U8), None)


@dataclass(frozen=True, slots=True)
class ElementSchema:
    """One named element.

    `type` is None for texts and bytes. `restrictions` are the languages or MIME types that are allowed, None where all
    are. `record` is the `element-schema` itself.
    """

    name: str
    kind: ElementKind
    type: WitType | None
    restrictions: tuple[str, ...] | None
    record: Value

    @classmethod
    def from_guest(cls, name: str, record: Value) -> ElementSchema:
        """From the WIT form. Raises InvalidInput for a type that cannot be."""
        kind, payload = record
        if kind == "component-model":
            return cls(name, kind, nodes_to_type(payload), None, record)
        restrictions = payload["restrictions"]
        key = _KEYS[kind][1]
        return cls(
            name, kind, None, None if restrictions is None else tuple(item[key] for item in restrictions), record
        )

    def to_json(self) -> dict[str, Json]:
        """The schema `{"type": ..., ...}` without the name."""
        kind = _JSON_KINDS[self.kind]
        if self.type is not None:
            return {"type": kind, "elementType": type_nodes_to_json(self.record[1])}
        return {"type": kind, **self.descriptor_json()}

    def descriptor_json(self) -> dict[str, Json]:
        """`{"restrictions": null | [...]}` of a text's or binary's schema."""
        key = _JSON_KEYS[self.kind][1]
        return {
            "restrictions": None if self.restrictions is None else [{key: allowed} for allowed in self.restrictions]
        }

    @classmethod
    def from_json(cls, json: Json, path: str) -> ElementSchema:
        """From `{"name", "schema"}`. Raises InvalidInput with the path to the wrong place."""
        name = member(json, "name", str, path)
        schema: Json = json.get("schema")
        path = f"{path}.schema"
        kind = _KINDS.get(member(schema, "type", str, path))
        if kind is None:
            raise InvalidInput(f"{path}.type: expected one of {', '.join(_KINDS)}")
        if kind == "component-model":
            nodes = type_json_to_nodes(schema.get("elementType"), f"{path}.elementType")
            return cls.from_guest(name, (kind, nodes))
        restrictions = _restrictions(schema.get("restrictions"), kind, f"{path}.restrictions")
        return cls.from_guest(name, (kind, {"restrictions": restrictions}))


def member(json: Json, key: str, kind: type[Any], path: str) -> Any:
    """The value at the key of a JSON object, a list or a string as `kind` says. Raises InvalidInput with the path."""
    value: Json = json.get(key) if json.__class__ is dict else None
    if value.__class__ is not kind:
        raise InvalidInput(f"{path}.{key}: expected a {'list' if kind is list else 'string'}")
    return value


def _restrictions(json: Json, kind: ElementKind, path: str) -> list[dict[str, str]] | None:
    if json is None:
        return None
    if json.__class__ is not list:
        raise InvalidInput(f"{path}: expected a list or null")
    wit_key, key = _KEYS[kind][1], _JSON_KEYS[kind][1]
    return [{wit_key: member(item, key, str, f"{path}[{at}]")} for at, item in enumerate(json)]


@dataclass(frozen=True, slots=True)
class ElementCodec:
    """The conversions of one element of a schema.

    `decode` is JSON -> element and raises ValueErrors; `encode` is element -> JSON, `read` element -> value and `write`
    value -> element. The two that take an element raise InvalidInput where it does not fit.
    """

    schema: ElementSchema
    decode: _Convert
    encode: _Convert
    read: _Convert
    write: _Convert

    def typed_json(self, element: Value) -> dict[str, Json]:
        """The element's JSON with its type, as oplogs show it."""
        json = self.encode(element)
        if self.schema.type is None:
            return json | {"descriptor": self.schema.descriptor_json()}
        typ = type_nodes_to_json(self.schema.record[1])
        return {"type": "ComponentModel", "value": {"typ": typ, "value": json["value"]}}


def _payload(kind: str, element: Value) -> Value:
    """The payload of an element, which must be of the kind. Raises InvalidInput where it is of another."""
    found, payload = element
    if found != kind:
        raise InvalidInput(f"expected an element of kind {kind}, got {found}")
    return payload


def element_codec(schema: ElementSchema) -> ElementCodec:
    """The conversions of an element, compiled."""
    return _component_model(schema) if schema.type is not None else _reference(schema)


def _payload_of(json: Json, kind: str) -> Json:
    """The `value` of an element's JSON, which must be of the kind."""
    if json.__class__ is not dict:
        raise ValueErrors([("", f"expected an element of type {kind}, got {kind_of(json)}")])
    if json.get("type") != kind:
        raise ValueErrors([(".type", f'expected "{kind}"')])
    if "value" not in json:
        raise ValueErrors([("", "key 'value' not found")])
    return json["value"]


def _component_model(schema: ElementSchema) -> ElementCodec:
    assert schema.type is not None
    from_json = compile_decoder(schema.type, FREE_HANDLES, collapsed=True)
    to_json = compile_encoder(schema.type, FREE_HANDLES, collapsed=True)
    from_nodes = compile_node_reader(schema.type, FREE_HANDLES)
    to_nodes = compile_node_writer(schema.type, FREE_HANDLES)

    def decode(json: Json) -> Value:
        payload = _payload_of(json, "ComponentModel")
        try:
            return "component-model", to_nodes(from_json(payload))
        except ValueErrors as errors:
            raise ValueErrors(errors.at(".value")) from None

    def read(element: Value) -> Value:
        return from_nodes(_payload("component-model", element))

    return ElementCodec(
        schema,
        decode,
        lambda element: {"type": "ComponentModel", "value": to_json(read(element))},
        read,
        lambda value: ("component-model", to_nodes(value)),
    )


def _reference(schema: ElementSchema) -> ElementCodec:
    """The codec of a text's or binary's schema."""
    kind, restrictions = schema.kind, schema.restrictions
    json_kind = _JSON_KINDS[kind]
    outer, inner = _KEYS[kind]
    is_text = kind == "unstructured-text"
    allowed = {restriction.lower() for restriction in restrictions or ()}

    def check(reference: Value) -> str | None:
        """Why the reference is not allowed, if it is not."""
        case, source = reference
        if not allowed or case == "url" or source[outer] is None:
            return None
        found = source[outer][inner]
        if found.lower() in allowed:
            return None
        return f"{inner.replace('-', ' ')} {found[:60]} is not one of {', '.join(restrictions or ())}"

    def decode(json: Json) -> Value:
        payload = _payload_of(json, json_kind)
        try:
            reference = _reference_from_json(payload, is_text)
            if (reason := check(reference)) is not None:
                raise ValueErrors([("", reason)])
        except ValueErrors as errors:
            raise ValueErrors(errors.at(".value")) from None
        return kind, reference

    def read(element: Value) -> Value:
        case, source = _payload(kind, element)
        if (reason := check((case, source))) is not None:
            raise InvalidInput(reason)
        return case, source

    return ElementCodec(
        schema,
        decode,
        lambda element: reference_to_json(kind, read(element)),
        read,
        lambda reference: (kind, reference),
    )


def _reference_from_json(json: Json, is_text: bool) -> Value:
    if json.__class__ is not dict or json.get("type") not in ("Url", "Inline"):
        raise ValueErrors([("", 'expected a record with type "Url" or "Inline"')])
    if json["type"] == "Url":
        return "url", _at(json, "value", _string)
    if not is_text:
        data = _at(json, "data", _bytes)
        return "inline", {"data": data, "binary-type": {"mime-type": _at(json, "binaryType", _mime_type)}}
    data = _at(json, "data", _string)
    language = None if json.get("textType") is None else {"language-code": _at(json, "textType", _language)}
    return "inline", {"data": data, "text-type": language}


def _at(json: Json, key: str, decode: _Convert) -> Any:
    if json.__class__ is not dict:
        raise ValueErrors([("", f"expected record, got {kind_of(json)}")])
    if key not in json:
        raise ValueErrors([("", f"key '{key}' not found")])
    try:
        return decode(json[key])
    except ValueErrors as errors:
        raise ValueErrors(errors.at(f".{key}")) from None


def _mime_type(json: Json) -> str:
    return _at(json, "mimeType", _string)


def _language(json: Json) -> str:
    return _at(json, "languageCode", _string)


def reference_to_json(kind: str, reference: Value) -> dict[str, Json]:
    """The JSON of an element that is a text or bytes."""
    json_kind = _JSON_KINDS[kind]
    case, source = reference
    if case == "url":
        return {"type": json_kind, "value": {"type": "Url", "value": source}}
    outer, inner = _KEYS[kind]
    json_outer, json_inner = _JSON_KEYS[kind]
    found, data = source[outer], source["data"]
    value = {
        "type": "Inline",
        "data": data if isinstance(data, str) else list(data),
        json_outer: None if found is None else {json_inner: found[inner]},
    }
    return {"type": json_kind, "value": value}
