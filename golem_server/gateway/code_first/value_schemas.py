"""WIT types as schemas of OpenAPI 3.0: what the JSON of requests and results looks like.

The JSON is that of `model/data_values.py`. OpenAPI 3.0 cannot say of what types the parts of a tuple are: it is an
array of anything with the right length.
"""

from __future__ import annotations

from typing import assert_never

from golem_server.model.json_types import Json
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


def value_schema(type_: WitType) -> dict[str, Json]:
    """The schema of the JSON of a value of the type."""
    match type_:
        case Primitive():
            return dict(_PRIMITIVES[type_])
        case ListType(element):
            return {"type": "array", "items": value_schema(element)}
        case TupleType(items):
            return {"type": "array", "items": {}, "minItems": len(items), "maxItems": len(items)}
        case RecordType():
            return _record(type_)
        case VariantType(cases):
            return _cases({case.name: case.type for case in cases})
        case ResultType(ok, err):
            return _cases({"ok": ok, "err": err})
        case EnumType(names):
            return {"type": "string", "enum": list(names)}
        case FlagsType(names):
            names_of_flags = {"type": "string", "enum": list(names)} if names else {"type": "string"}
            return {"type": "array", "items": names_of_flags, "uniqueItems": True}
        case OptionType(inner):
            return _nullable(value_schema(inner))
        case HandleType():
            return {"type": "string"}
        case _:
            assert_never(type_)


def _record(type_: RecordType) -> dict[str, Json]:
    schema: dict[str, Json] = {
        "type": "object",
        "properties": {field.name: value_schema(field.type) for field in type_.fields},
    }
    # An empty list of required properties is not allowed.
    if required := [field.name for field in type_.fields if not isinstance(field.type, OptionType)]:
        schema["required"] = required
    return schema


def _cases(cases: dict[str, WitType | None]) -> dict[str, Json]:
    """An object with exactly one of these keys; a case without a payload is null."""
    return {
        "oneOf": [
            {
                "type": "object",
                "properties": {name: _NOTHING if payload is None else value_schema(payload)},
                "required": [name],
                "additionalProperties": False,
            }
            for name, payload in cases.items()
        ]
    }


_NOTHING: Json = {"type": "object", "nullable": True, "enum": [None]}


def _nullable(schema: dict[str, Json]) -> dict[str, Json]:
    """The schema, or null."""
    if "oneOf" in schema:
        # What is nullable needs a type of its own, which a choice has not.
        return {"oneOf": [*(each for each in schema["oneOf"] if each is not _NOTHING), _NOTHING]}
    if "enum" in schema:
        return {**schema, "nullable": True, "enum": [*(each for each in schema["enum"] if each is not None), None]}
    return {**schema, "nullable": True}


def _integer(bits: int, *, signed: bool) -> dict[str, Json]:
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    small = bits < 32 or (bits == 32 and signed)
    return {"type": "integer", "format": "int32" if small else "int64", "minimum": low, "maximum": high}


def _float(name: str) -> dict[str, Json]:
    return {
        "oneOf": [
            {"type": "number", "format": name},
            {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]},
        ]
    }


_PRIMITIVES: dict[Primitive, dict[str, Json]] = {
    Primitive.BOOL: {"type": "boolean"},
    Primitive.S8: _integer(8, signed=True),
    Primitive.U8: _integer(8, signed=False),
    Primitive.S16: _integer(16, signed=True),
    Primitive.U16: _integer(16, signed=False),
    Primitive.S32: _integer(32, signed=True),
    Primitive.U32: _integer(32, signed=False),
    Primitive.S64: _integer(64, signed=True),
    Primitive.U64: _integer(64, signed=False),
    Primitive.F32: _float("float"),
    Primitive.F64: _float("double"),
    Primitive.CHAR: {"type": "integer", "format": "int32", "minimum": 0, "maximum": 0x10FFFF},
    Primitive.STRING: {"type": "string"},
}


def text_schema(type_: WitType) -> dict[str, Json]:
    """The schema of a value that stands as a text in a path, a query or a header."""
    match type_:
        case OptionType(inner):
            return text_schema(inner)
        case ListType(element):
            return {"type": "array", "items": text_schema(element)}
        case Primitive.CHAR:
            return {"type": "string", "minLength": 1, "maxLength": 1}
        case Primitive.F32 | Primitive.F64:
            return {"type": "number", "format": "float" if type_ is Primitive.F32 else "double"}
        case _:
            return value_schema(type_)
