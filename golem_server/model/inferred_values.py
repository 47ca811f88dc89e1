"""The plainest WIT type that fits a recorded value whose own type is not known."""

from __future__ import annotations

from typing import Any, cast

from golem_server.model.types import Field, ListType, OptionType, Primitive, RecordType, TupleType, Value, WitType

MAX_DEPTH = 32
"""What is nested deeper becomes a text."""


def inferred_type(value: Value, depth: int = MAX_DEPTH) -> tuple[WitType, Value]:
    """The type, and the value as values of that type are."""
    if isinstance(value, bool):
        return Primitive.BOOL, value
    if isinstance(value, int):
        return (Primitive.U64 if value >= 0 else Primitive.S64), value
    if isinstance(value, float):
        return Primitive.F64, value
    if isinstance(value, bytes):
        return ListType(Primitive.U8), value
    if value is None:
        return OptionType(Primitive.STRING), None
    if isinstance(value, dict) and depth:
        named = {str(name): inferred_type(item, depth - 1) for name, item in cast("dict[Any, Any]", value).items()}
        fields = tuple(Field(name, typ) for name, (typ, _) in named.items())
        return RecordType(fields), {name: item for name, (_, item) in named.items()}
    if isinstance(value, list | tuple) and depth:
        items = [inferred_type(item, depth - 1) for item in cast("list[Any]", value)]
        types, values = [typ for typ, _ in items], [item for _, item in items]
        if types and all(typ == types[0] for typ in types):
            return ListType(types[0]), values
        return TupleType(tuple(types)), tuple(values)
    return Primitive.STRING, str(cast(object, value))
