"""WIT types as the JSON of the REST API (`{"type":"U64"}`, ...), in both directions.

This is the `typ` of annotated values and of a component's exports (reference: rest-api, section 3). Composite types
may carry `name` and `owner`; both are ignored on input, and on output only a resource's name is known.

A handle's JSON does not say who implements the resource: read back, it counts as the guest's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, assert_never, cast

from golem_server.model.errors import InvalidInput
from golem_server.model.types import (
    Case,
    EnumType,
    Field,
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

Json: TypeAlias = Any
"""A parsed JSON document: None, bool, int, float, str, list or dict with str keys."""

MAX_TYPE_DEPTH = 100
"""How deep a type given in a request may be nested; that of a component is bounded by its validation."""

_PRIMITIVE_NAMES = {
    Primitive.BOOL: "Bool",
    Primitive.S8: "S8",
    Primitive.U8: "U8",
    Primitive.S16: "S16",
    Primitive.U16: "U16",
    Primitive.S32: "S32",
    Primitive.U32: "U32",
    Primitive.S64: "S64",
    Primitive.U64: "U64",
    Primitive.F32: "F32",
    Primitive.F64: "F64",
    Primitive.CHAR: "Chr",
    Primitive.STRING: "Str",
}
_PRIMITIVES = {name: primitive for primitive, name in _PRIMITIVE_NAMES.items()}


def type_to_json(type_: WitType) -> dict[str, Json]:
    """The type as the REST API writes it."""
    match type_:
        case Primitive():
            return {"type": _PRIMITIVE_NAMES[type_]}
        case ListType(element):
            return {"type": "List", "inner": type_to_json(element)}
        case OptionType(inner):
            return {"type": "Option", "inner": type_to_json(inner)}
        case TupleType(items):
            return {"type": "Tuple", "items": [type_to_json(item) for item in items]}
        case RecordType(fields):
            return {
                "type": "Record",
                "fields": [{"name": field.name, "typ": type_to_json(field.type)} for field in fields],
            }
        case VariantType(cases):
            return {"type": "Variant", "cases": [{"name": case.name, "typ": _optional(case.type)} for case in cases]}
        case EnumType(names):
            return {"type": "Enum", "cases": list(names)}
        case FlagsType(names):
            return {"type": "Flags", "names": list(names)}
        case ResultType(ok, err):
            return {"type": "Result", "ok": _optional(ok), "err": _optional(err)}
        case HandleType(resource, owned):
            handle = {"type": "Handle", "resource_id": resource, "mode": "Owned" if owned else "Borrowed"}
            return handle if type_.name is None else {**handle, "name": type_.name}
        case _:
            assert_never(type_)


def _optional(type_: WitType | None) -> dict[str, Json] | None:
    return None if type_ is None else type_to_json(type_)


def type_from_json(json: Json, path: str = "typ") -> WitType:
    """The type that the JSON describes.

    Raises InvalidInput with the path to the wrong place (`typ.fields[1].typ: unknown type "U65"`); `path` names the
    place of the JSON in the request.
    """
    return _read(json, path, 0)


def _read(json: Json, path: str, depth: int) -> WitType:
    if depth > MAX_TYPE_DEPTH:
        raise InvalidInput(f"{path}: types are nested deeper than {MAX_TYPE_DEPTH} levels")
    if not isinstance(json, dict):
        raise InvalidInput(f'{path}: expected a type such as {{"type":"U64"}}')
    name = _entry(json, "type")
    if not isinstance(name, str):
        raise InvalidInput(f"{path}: expected the field type with the name of a type")
    if (primitive := _PRIMITIVES.get(name)) is not None:
        return primitive
    if (reader := _READERS.get(name)) is None:
        raise InvalidInput(f'{path}: unknown type "{name[:40]}"')
    return reader(json, path, depth + 1)


def _entry(json: Json, key: str) -> Json:
    return json.get(key)


def _list(json: Json, path: str, depth: int) -> WitType:
    return ListType(_read(_entry(json, "inner"), f"{path}.inner", depth))


def _option(json: Json, path: str, depth: int) -> WitType:
    return OptionType(_read(_entry(json, "inner"), f"{path}.inner", depth))


def _tuple(json: Json, path: str, depth: int) -> WitType:
    items = _array(json, "items", path)
    return TupleType(tuple(_read(item, f"{path}.items[{at}]", depth) for at, item in enumerate(items)))


def _record(json: Json, path: str, depth: int) -> WitType:
    fields: list[Field] = []
    for at, field in enumerate(_array(json, "fields", path)):
        place = f"{path}.fields[{at}]"
        fields.append(Field(_name(field, place), _read(_entry(field, "typ"), f"{place}.typ", depth)))
    return RecordType(tuple(fields))


def _variant(json: Json, path: str, depth: int) -> WitType:
    cases: list[Case] = []
    for at, case in enumerate(_array(json, "cases", path)):
        place = f"{path}.cases[{at}]"
        cases.append(Case(_name(case, place), _arm(case, "typ", place, depth)))
    return VariantType(tuple(cases))


def _enum(json: Json, path: str, depth: int) -> WitType:
    return EnumType(_names(json, "cases", path))


def _flags(json: Json, path: str, depth: int) -> WitType:
    return FlagsType(_names(json, "names", path))


def _result(json: Json, path: str, depth: int) -> WitType:
    return ResultType(_arm(json, "ok", path, depth), _arm(json, "err", path, depth))


def _handle(json: Json, path: str, depth: int) -> WitType:
    resource, mode = _entry(json, "resource_id"), _entry(json, "mode")
    if not isinstance(resource, int) or isinstance(resource, bool) or resource < 0:
        raise InvalidInput(f"{path}.resource_id: expected a number")
    if mode not in ("Owned", "Borrowed"):
        raise InvalidInput(f"{path}.mode: expected Owned or Borrowed")
    return HandleType(resource, owned=mode == "Owned", host=False)


def _arm(json: Json, key: str, path: str, depth: int) -> WitType | None:
    arm = _entry(json, key)
    return None if arm is None else _read(arm, f"{path}.{key}", depth)


def _array(json: Json, key: str, path: str) -> list[Json]:
    array: Json = _entry(json, key)
    if not isinstance(array, list):
        raise InvalidInput(f"{path}.{key}: expected a list")
    return cast("list[Json]", array)


def _name(json: Json, path: str) -> str:
    name = _entry(json, "name") if isinstance(json, dict) else None
    if not isinstance(name, str):
        raise InvalidInput(f"{path}.name: expected a string")
    return name


def _names(json: Json, key: str, path: str) -> tuple[str, ...]:
    names: list[str] = []
    for at, name in enumerate(_array(json, key, path)):
        if not isinstance(name, str):
            raise InvalidInput(f"{path}.{key}[{at}]: expected a string")
        names.append(name)
    return tuple(names)


_READERS: dict[str, Callable[[Json, str, int], WitType]] = {
    "List": _list,
    "Option": _option,
    "Tuple": _tuple,
    "Record": _record,
    "Variant": _variant,
    "Enum": _enum,
    "Flags": _flags,
    "Result": _result,
    "Handle": _handle,
}
