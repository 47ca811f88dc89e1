"""From values to the plain JSON of the REST API: one closure a type, built once.

The form is described in `model/json_values.py`. Where a value and its JSON are the same object (strings, integers,
records of these, ...) the closure is left out altogether and the value itself is the JSON: neither is copied, and
neither may be changed afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Protocol, TypeAlias, assert_never

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
    Value,
    VariantType,
    WitType,
)

Encoder: TypeAlias = Callable[[Value], Json]
"""Turns a value into JSON. The value must be of the type that the encoder was made for."""

NON_FINITE = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
"""The floats that JSON numbers cannot express, by the strings that stand for them."""


class HandleEncoder(Protocol):
    """Writes handles: those of one worker by their numbers, or whatever else stands for a handle."""

    def encode(self, number: Value) -> str:
        """The JSON of the handle."""
        ...


def compile_encoder(type_: WitType, handles: HandleEncoder | None, *, collapsed: bool = False) -> Encoder:
    """The encoder of the type. A type that contains a handle cannot be encoded without `handles` (ValueError).

    `collapsed` writes an option within an option as the inner value alone, so that some(none) becomes null like none.
    """
    return _compile(type_, handles, collapsed) or _same


def _same(value: Value) -> Json:
    return value


def _compile(type_: WitType, handles: HandleEncoder | None, collapsed: bool) -> Encoder | None:
    """The encoder, or None where the JSON is the value itself."""
    match type_:
        case Primitive() | EnumType():
            return _LEAVES.get(type_)
        case ListType(element):
            return list if element is Primitive.U8 else _list(_compile(element, handles, collapsed))
        case TupleType(items):
            return _tuple([_compile(item, handles, collapsed) for item in items])
        case RecordType(fields):
            return _record([(field.name, _compile(field.type, handles, collapsed)) for field in fields])
        case VariantType(cases):
            return _tagged({case.name: case.type for case in cases}, handles, collapsed)
        case ResultType(ok, err):
            return _tagged({"ok": ok, "err": err}, handles, collapsed)
        case FlagsType(names):
            return _flags(names)
        case OptionType(inner):
            return _option(_compile(inner, handles, collapsed), isinstance(inner, OptionType), collapsed)
        case HandleType():
            return _handle(handles)
        case _:
            assert_never(type_)


def _handle(handles: HandleEncoder | None) -> Encoder:
    if handles is None:
        raise ValueError("a handle has no JSON without the worker that it belongs to")
    return handles.encode


def _float(value: Value) -> Json:
    if isfinite(value):
        return value
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def _list(encode: Encoder | None) -> Encoder | None:
    return None if encode is None else lambda value: [encode(item) for item in value]


def _tuple(encoders: list[Encoder | None]) -> Encoder:
    if all(encode is None for encode in encoders):
        return list
    steps = [encode or _same for encode in encoders]
    return lambda value: [encode(item) for encode, item in zip(steps, value, strict=True)]


def _record(fields: list[tuple[str, Encoder | None]]) -> Encoder:
    count = len(fields)
    steps = [(name, encode or _same) for name, encode in fields]

    def encode_fields(value: Value) -> Json:
        # Only options may be missing in a record, and a missing one is none, whose JSON is always null.
        return {name: encode(value[name]) if name in value else None for name, encode in steps}

    if all(encode is None for _, encode in fields):
        return lambda value: value if len(value) == count else encode_fields(value)
    return encode_fields


def _tagged(types: dict[str, WitType | None], handles: HandleEncoder | None, collapsed: bool) -> Encoder:
    encoders = {name: None if type_ is None else _compile(type_, handles, collapsed) for name, type_ in types.items()}

    def encode_case(value: Value) -> Json:
        name, payload = value
        encode = encoders[name]
        return {name: payload if encode is None else encode(payload)}

    return encode_case


def _flags(names: tuple[str, ...]) -> Encoder:
    def encode_flags(value: Value) -> Json:
        chosen = set(value)
        return [name for name in names if name in chosen]

    return encode_flags


def _option(encode: Encoder | None, nested: bool, collapsed: bool) -> Encoder | None:
    if nested:
        inner = encode or _same
        if collapsed:
            return lambda value: None if value is None else inner(value[0])
        return lambda value: None if value is None else {"some": inner(value[0])}
    return None if encode is None else lambda value: None if value is None else encode(value)


_LEAVES: dict[WitType, Encoder] = {Primitive.F32: _float, Primitive.F64: _float, Primitive.CHAR: ord}
