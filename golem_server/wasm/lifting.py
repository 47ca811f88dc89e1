"""Reads wasmtime's component values into Python: one function per WIT type, made once.

A value is four words: its kind, then the payload. All functions here take the *word index* of a value (its address
divided by eight) in `native.WORDS`. Nothing is freed: the values belong to wasmtime, or to the caller who lifts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

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
from golem_server.wasm.native import BYTES, WORDS, view


class Handles(Protocol):
    """Turns resource handles into numbers and back, for one store."""

    bulk: bool
    """Set when a long list has been lowered: wasmtime will take milliseconds to move it."""

    heavy: bool
    """Set when a long list has been lifted, which took wasmtime milliseconds: this guest is likely to do it again."""

    def lift_handle(self, pointer: int, type: HandleType) -> int:
        """The number of a wasmtime_component_resource_any_t; an owned host resource leaves wasmtime's table."""
        ...

    def lower_handle(self, number: int, type: HandleType) -> int:
        """A new wasmtime_component_resource_any_t for the resource. Raises ValueMismatch if there is none."""
        ...


Lift: TypeAlias = Callable[[int, Handles], Value]

_S64, _S32, _S16, _S8 = view("q"), view("i"), view("h"), view("b")
_F64, _F32 = view("d"), view("f")

_BYTES_CHUNK = 2048  # values at a time: 64 KiB of values, so that the copy in between stays in the cache

BULK = 1 << 15
"""Values of a list that wasmtime moves in one or two milliseconds. Longer lists are moved beside the event loop."""

BULK_CODES: dict[WitType, tuple[str, int]] = {
    Primitive.S8: ("b", 1),
    Primitive.S16: ("h", 2),
    Primitive.U16: ("H", 2),
    Primitive.S32: ("i", 4),
    Primitive.U32: ("I", 4),
    Primitive.S64: ("q", 8),
    Primitive.U64: ("Q", 8),
    Primitive.F32: ("f", 4),
    Primitive.F64: ("d", 8),
}
"""The `struct` code and size of the numbers whose lists are copied as a whole, by a view with a stride."""


def _string(word: int, handles: Handles) -> Value:
    size = WORDS[word + 1]
    if not size:
        return ""
    data = WORDS[word + 2]
    return str(BYTES[data : data + size], "utf-8")


_PRIMITIVES: dict[Primitive, Lift] = {
    Primitive.BOOL: lambda word, handles: WORDS[word + 1] & 1 == 1,
    Primitive.U8: lambda word, handles: WORDS[word + 1] & 0xFF,
    Primitive.U16: lambda word, handles: WORDS[word + 1] & 0xFFFF,
    Primitive.U32: lambda word, handles: WORDS[word + 1] & 0xFFFFFFFF,
    Primitive.U64: lambda word, handles: WORDS[word + 1],
    Primitive.S8: lambda word, handles: _S8[(word + 1) << 3],
    Primitive.S16: lambda word, handles: _S16[(word + 1) << 2],
    Primitive.S32: lambda word, handles: _S32[(word + 1) << 1],
    Primitive.S64: lambda word, handles: _S64[word + 1],
    Primitive.F32: lambda word, handles: _F32[(word + 1) << 1],
    Primitive.F64: lambda word, handles: _F64[word + 1],
    Primitive.CHAR: lambda word, handles: chr(WORDS[word + 1] & 0xFFFFFFFF),
    Primitive.STRING: _string,
}


def compile_lift(type: WitType) -> Lift:
    """The function that reads values of this type."""
    match type:
        case Primitive():
            return _PRIMITIVES[type]
        case ListType():
            return _list(type)
        case RecordType():
            return _record(type)
        case TupleType():
            return _tuple(type)
        case VariantType():
            return _variant(type)
        case EnumType():
            return _enum(type)
        case FlagsType():
            return _flags(type)
        case OptionType():
            return _option(type)
        case ResultType():
            return _result(type)
        case HandleType():
            return lambda word, handles: handles.lift_handle(WORDS[word + 1], type)


def _bytes(word: int, handles: Handles) -> Value:
    size, data = WORDS[word + 1], WORDS[word + 2]
    if size <= _BYTES_CHUNK:
        return bytes(BYTES[data : data + 32 * size])[8::32]
    if size > BULK:
        handles.heavy = True
    step = 32 * _BYTES_CHUNK
    end = data + 32 * size
    return b"".join([bytes(BYTES[at : min(at + step, end)])[8::32] for at in range(data, end, step)])


def _list(type: ListType) -> Lift:
    if type.element is Primitive.U8:
        return _bytes
    bulk = BULK_CODES.get(type.element)
    if bulk is not None:
        return _numbers(*bulk)
    element = compile_lift(type.element)

    def lift(word: int, handles: Handles) -> Value:
        base, count = WORDS[word + 2] >> 3, WORDS[word + 1]
        if count > BULK:
            handles.heavy = True
        return [element(at, handles) for at in range(base, base + 4 * count, 4)]

    return lift


def _numbers(code: str, size: int) -> Lift:
    items, step = view(code), 32 // size

    def lift(word: int, handles: Handles) -> Value:
        count = WORDS[word + 1]
        if not count:
            return []
        if count > BULK:
            handles.heavy = True
        first = (WORDS[word + 2] + 8) // size
        return items[first : first + (count - 1) * step + 1 : step].tolist()

    return lift


def _record(type: RecordType) -> Lift:
    # An entry of a record is its name (two words) and its value (four).
    parts = [(field.name, compile_lift(field.type), 6 * index + 2) for index, field in enumerate(type.fields)]

    def lift(word: int, handles: Handles) -> Value:
        base = WORDS[word + 2] >> 3
        return {name: field(base + offset, handles) for name, field, offset in parts}

    return lift


def _tuple(type: TupleType) -> Lift:
    parts = [(compile_lift(item), 4 * index) for index, item in enumerate(type.items)]

    def lift(word: int, handles: Handles) -> Value:
        base = WORDS[word + 2] >> 3
        return tuple([item(base + offset, handles) for item, offset in parts])

    return lift


def _variant(type: VariantType) -> Lift:
    cases = {
        case.name.encode(): (case.name, None if case.type is None else compile_lift(case.type)) for case in type.cases
    }

    def lift(word: int, handles: Handles) -> Value:
        data = WORDS[word + 2]
        name, payload = cases[bytes(BYTES[data : data + WORDS[word + 1]])]
        return (name, None if payload is None else payload(WORDS[word + 3] >> 3, handles))

    return lift


def _enum(type: EnumType) -> Lift:
    names = {name.encode(): name for name in type.names}

    def lift(word: int, handles: Handles) -> Value:
        data = WORDS[word + 2]
        return names[bytes(BYTES[data : data + WORDS[word + 1]])]

    return lift


def _flags(type: FlagsType) -> Lift:
    order = {name: index for index, name in enumerate(type.names)}

    def lift(word: int, handles: Handles) -> Value:
        base = WORDS[word + 2] >> 3
        found = [
            str(BYTES[WORDS[at + 1] : WORDS[at + 1] + WORDS[at]], "utf-8")
            for at in range(base, base + 2 * WORDS[word + 1], 2)
        ]
        found.sort(key=order.__getitem__)
        return found

    return lift


def _option(type: OptionType) -> Lift:
    inner = compile_lift(type.inner)
    if isinstance(type.inner, OptionType):

        def lift_nested(word: int, handles: Handles) -> Value:
            payload = WORDS[word + 1]
            return (inner(payload >> 3, handles),) if payload else None

        return lift_nested

    def lift(word: int, handles: Handles) -> Value:
        payload = WORDS[word + 1]
        return inner(payload >> 3, handles) if payload else None

    return lift


def _result(type: ResultType) -> Lift:
    ok = None if type.ok is None else compile_lift(type.ok)
    err = None if type.err is None else compile_lift(type.err)

    def lift(word: int, handles: Handles) -> Value:
        if WORDS[word + 1] & 1:
            return ("ok", None if ok is None else ok(WORDS[word + 2] >> 3, handles))
        return ("err", None if err is None else err(WORDS[word + 2] >> 3, handles))

    return lift
