"""WIT types as JSON schemas, in the dialect of OpenAPI 3.0: what the JSON of their values looks like."""

from __future__ import annotations

from typing import Any, assert_never

from golem_server.model.types import (
    EnumType,
    FlagsType,
    HandleType,
    ListType,
    OptionType,
    Primitive,
    RecordType,
    ResultType,
    TupleType,
    VariantType,
    WitType,
)

_BITS = {
    Primitive.S8: (True, 8),
    Primitive.U8: (False, 8),
    Primitive.S16: (True, 16),
    Primitive.U16: (False, 16),
    Primitive.S32: (True, 32),
    Primitive.U32: (False, 32),
    Primitive.S64: (True, 64),
    Primitive.U64: (False, 64),
}
_OTHERS: dict[Primitive, dict[str, Any]] = {
    Primitive.BOOL: {"type": "boolean"},
    Primitive.F32: {"type": "number", "format": "float"},
    Primitive.F64: {"type": "number", "format": "double"},
    Primitive.CHAR: {"type": "integer", "minimum": 0, "maximum": 0x10FFFF, "description": "A Unicode code point"},
    Primitive.STRING: {"type": "string"},
}


def json_schema(type_: WitType) -> dict[str, Any]:
    """The schema of the JSON of a type's values."""
    match type_:
        case Primitive():
            return _primitive(type_)
        case ListType(element):
            return {"type": "array", "items": json_schema(element)}
        case OptionType(inner):
            return {**json_schema(inner), "nullable": True}
        case TupleType(items):
            schemas = [json_schema(item) for item in items]
            length = len(schemas)
            return {"type": "array", "items": _any_of(schemas), "minItems": length, "maxItems": length}
        case RecordType(fields):
            schemas_by_name = {field.name: json_schema(field.type) for field in fields}
            required = [field.name for field in fields if not isinstance(field.type, OptionType)]
            return _object(schemas_by_name, required)
        case VariantType(cases):
            return {"oneOf": [_case(case.name, case.type) for case in cases]}
        case ResultType(ok, err):
            return {"oneOf": [_case("ok", ok), _case("err", err)]}
        case EnumType(names):
            return {"type": "string", "enum": list(names)}
        case FlagsType(names):
            return {"type": "array", "items": {"type": "string", "enum": list(names)}, "uniqueItems": True}
        case HandleType():
            return {"type": "string", "description": "A handle of a resource"}
        case _:
            assert_never(type_)


def _primitive(type_: Primitive) -> dict[str, Any]:
    if type_ not in _BITS:
        return dict(_OTHERS[type_])
    signed, bits = _BITS[type_]
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return {"type": "integer", "format": "int64" if bits == 64 else "int32", "minimum": low, "maximum": high}


def _any_of(schemas: list[dict[str, Any]]) -> dict[str, Any]:
    different = [schema for number, schema in enumerate(schemas) if schema not in schemas[:number]]
    return {"anyOf": different} if len(different) > 1 else different[0] if different else {}


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    # An empty list is not allowed there.
    return {**schema, "required": required} if required else schema


def _case(name: str, payload: WitType | None) -> dict[str, Any]:
    return _object({name: {"nullable": True} if payload is None else json_schema(payload)}, [name])
