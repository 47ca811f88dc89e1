"""From the plain JSON of the REST API to values: one closure a type, built once.

The form is described in `model/json_values.py`. The input comes from outside and may be anything; a wrong place costs
nothing until it is met: a closure raises ValueErrors with faults relative to its own value, and each level above puts
its step (`.price`, `[2]`) before them and goes on with the siblings, so that one answer names all faults.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import isfinite
from struct import Struct
from typing import Any, NoReturn, Protocol, TypeAlias, assert_never

from golem_server.model.errors import InvalidInput
from golem_server.model.json_encoding import NON_FINITE
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

Decoder: TypeAlias = Callable[[Json], Value]
"""Turns parsed JSON into a value. Raises ValueErrors, and nothing else whatever the JSON is."""

MAX_FAULTS = 100
"""How many faults one answer names; what comes after them is not looked at."""

_INTEGER_RANGES = {
    Primitive.S8: (-(1 << 7), (1 << 7) - 1),
    Primitive.U8: (0, (1 << 8) - 1),
    Primitive.S16: (-(1 << 15), (1 << 15) - 1),
    Primitive.U16: (0, (1 << 16) - 1),
    Primitive.S32: (-(1 << 31), (1 << 31) - 1),
    Primitive.U32: (0, (1 << 32) - 1),
    Primitive.S64: (-(1 << 63), (1 << 63) - 1),
    Primitive.U64: (0, (1 << 64) - 1),
}
_F32 = Struct("<f")
_F32_MAX: float = _F32.unpack(b"\xff\xff\x7f\x7f")[0]
_EXACT_IN_A_DOUBLE = 1 << 53
_SHOWN = 60

Fault: TypeAlias = tuple[str, str]
"""A wrong place, relative to the value (empty for the value itself), and what is wrong with it."""


class ValueErrors(InvalidInput):
    """JSON does not fit its type; `details` are texts such as `params[0].items[2].price: expected f64, got string`."""

    def __init__(self, faults: Sequence[Fault], root: str = "value") -> None:
        self.faults = tuple(faults)
        details = [f"{root}{place}: {text}" for place, text in self.faults]
        super().__init__(", ".join(details), details=details)

    def under(self, root: str) -> ValueErrors:
        """The same faults for a value that is found at `root`, which replaces the word `value`."""
        return ValueErrors(self.faults, root)

    def at(self, step: str) -> list[Fault]:
        """The faults as the enclosing value sees them, in which this value is found at `step`."""
        return [(step + place, text) for place, text in self.faults]


class HandleDecoder(Protocol):
    """Reads handles: those of one worker, or of any."""

    def decode(self, text: str) -> Value:
        """What stands for the handle, such as its number in the worker's table. Raises ValueError with the reason."""
        ...


def compile_decoder(type_: WitType, handles: HandleDecoder | None, *, collapsed: bool = False) -> Decoder:
    """The decoder of the type. Without `handles` any handle in the JSON is a fault.

    `collapsed` reads an option within an option from the inner value alone, so that null is always the outer none.
    """

    def compile_part(part: WitType) -> Decoder:
        return compile_decoder(part, handles, collapsed=collapsed)

    match type_:
        case Primitive():
            return _PRIMITIVES[type_]
        case ListType(element):
            return _list(compile_part(element), element)
        case TupleType(items):
            return _tuple([compile_part(item) for item in items])
        case RecordType(fields):
            return _record(
                [(field.name, compile_part(field.type), isinstance(field.type, OptionType)) for field in fields]
            )
        case VariantType(cases):
            return _variant({case.name: None if case.type is None else compile_part(case.type) for case in cases})
        case ResultType(ok, err):
            return _result(
                None if ok is None else compile_part(ok),
                None if err is None else compile_part(err),
            )
        case EnumType(names):
            return _enum(names)
        case FlagsType(names):
            return _flags(names)
        case OptionType(inner):
            return _option(compile_part(inner), isinstance(inner, OptionType), collapsed)
        case HandleType():
            return _handle(handles)
        case _:
            assert_never(type_)


def kind_of(json: Json) -> str:
    """The name of a JSON value's kind in messages: null, boolean, number, string, list or record."""
    return _KINDS.get(json.__class__, "number")


_KINDS: dict[type, str] = {
    type(None): "null",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "list",
    dict: "record",
}


def _shown(value: object) -> str:
    """The value as a message quotes it. A number of thousands of digits or a long text is cut."""
    if isinstance(value, int) and value.bit_length() > 200:
        return f"of {value.bit_length()} bits"
    text = str(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def _fail(text: str) -> NoReturn:
    raise ValueErrors([("", text)])


def _mismatch(expected: str, json: Json) -> NoReturn:
    _fail(f"expected {expected}, got {kind_of(json)}")


def _bool(json: Json) -> Value:
    if json is True or json is False:
        return json
    _mismatch("bool", json)


def _integer(name: str, low: int, high: int, accepts_floats: bool) -> Decoder:
    def decode(json: Json) -> Value:
        if json.__class__ is not int:
            json = whole(json)
        if low <= json <= high:
            return json
        _fail(f"value {_shown(json)} is not within the range of {low} to {high}")

    def whole(json: Json) -> int:
        if json.__class__ is not float:
            _mismatch(name, json)
        if not accepts_floats:
            _fail(f"expected {name} as an integer literal, got {json}")
        if not isfinite(json) or abs(json) > _EXACT_IN_A_DOUBLE:
            _fail(f"expected {name}, got {json}, which has no exact integer value")
        if not json.is_integer():
            _fail(f"expected {name}, got {json}, which has a fraction")
        return int(json)

    return decode


def _f64(json: Json) -> Value:
    if json.__class__ is float and isfinite(json):
        return json
    return _other_float("f64", json)


def _f32(json: Json) -> Value:
    value = json if json.__class__ is float and isfinite(json) else _other_float("f32", json)
    if isfinite(value):
        if not -_F32_MAX <= value <= _F32_MAX:
            _fail(f"value {value} is not within the range of {-_F32_MAX} to {_F32_MAX}")
        # Rounded here, so that what is recorded is what the guest sees.
        value = _F32.unpack(_F32.pack(value))[0]
    return value


def _other_float(name: str, json: Json) -> float:
    """A float that is written as an integer, or as one of the strings for what JSON numbers cannot express."""
    if json.__class__ is int:
        try:
            return float(json)
        except OverflowError:
            _fail(f"value {_shown(json)} is not within the range of {name}")
    if json.__class__ is str and json in NON_FINITE:
        return NON_FINITE[json]
    if json.__class__ is float:
        # A literal such as 1e400: it is finite, and no float is equal or near to it.
        _fail(f'value {json} is not within the range of {name}; "NaN", "Infinity" and "-Infinity" are strings')
    _mismatch(name, json)


def _char(json: Json) -> Value:
    if json.__class__ is not int:
        _mismatch("char", json)
    if 0 <= json <= 0x10FFFF and not 0xD800 <= json <= 0xDFFF:
        return chr(json)
    _fail(f"The value {_shown(json)} cannot be converted to a char")


def _string(json: Json) -> Value:
    if json.__class__ is not str:
        _mismatch("string", json)
    if not json.isascii() and any(0xD800 <= ord(character) <= 0xDFFF for character in json):
        _fail("expected string, got one with an unpaired surrogate")
    return json


_PRIMITIVES: dict[Primitive, Decoder] = {
    Primitive.BOOL: _bool,
    Primitive.F32: _f32,
    Primitive.F64: _f64,
    Primitive.CHAR: _char,
    Primitive.STRING: _string,
    **{
        primitive: _integer(primitive.value, low, high, primitive is not Primitive.U64)
        for primitive, (low, high) in _INTEGER_RANGES.items()
    },
}


def _parts(decoders: Iterable[tuple[Decoder, Json]]) -> list[Value]:
    """The values of a list's or tuple's parts."""
    values: list[Value] = []
    faults: list[Fault] = []
    for at, (decode, part) in enumerate(decoders):
        try:
            values.append(decode(part))
        except ValueErrors as errors:
            faults += errors.at(f"[{at}]")
            if len(faults) >= MAX_FAULTS:
                break
    if faults:
        raise ValueErrors(faults[:MAX_FAULTS])
    return values


def _list(decode: Decoder, element: WitType) -> Decoder:
    integers = _INTEGER_RANGES.get(element) if isinstance(element, Primitive) else None
    make: type[Any] = bytes if element is Primitive.U8 else list

    def decode_list(json: Json) -> Value:
        if json.__class__ is not list:
            _mismatch("list", json)
        if integers is not None and _all_within(json, *integers):
            return make(json)
        return make(_parts((decode, item) for item in json))

    return decode_list


def _all_within(items: list[Json], low: int, high: int) -> bool:
    """Whether all are integers of the range, found out without a Python step for each."""
    return not items or (set(map(type, items)) == {int} and low <= min(items) and max(items) <= high)


def _tuple(decoders: list[Decoder]) -> Decoder:
    count = len(decoders)

    def decode_tuple(json: Json) -> Value:
        if json.__class__ is not list:
            _mismatch(f"tuple of {count}", json)
        if len(json) != count:
            _fail(f"expected tuple of {count}, got list of {len(json)}")
        return tuple(_parts(zip(decoders, json, strict=True)))

    return decode_tuple


def _record(fields: list[tuple[str, Decoder, bool]]) -> Decoder:
    def decode_record(json: Json) -> Value:
        if json.__class__ is not dict:
            _mismatch("record", json)
        value: dict[str, Value] = {}
        faults: list[Fault] = []
        for name, decode, optional in fields:
            try:
                if name in json:
                    value[name] = decode(json[name])
                elif optional:
                    value[name] = None
                else:
                    _fail(f"key '{name}' not found")
            except ValueErrors as errors:
                faults += errors.at(f".{name}")
                if len(faults) >= MAX_FAULTS:
                    break
        if faults:
            raise ValueErrors(faults[:MAX_FAULTS])
        return value

    return decode_record


def _payload(name: str, decode: Decoder, json: Json) -> Value:
    try:
        return name, decode(json)
    except ValueErrors as errors:
        raise ValueErrors(errors.at(f".{name}")) from None


def _variant(cases: dict[str, Decoder | None]) -> Decoder:
    def decode_variant(json: Json) -> Value:
        if json.__class__ is not dict:
            _mismatch("variant as a record with one key", json)
        if not json:
            _fail("Zero variants in the input")
        if len(json) > 1:
            _fail(f"expected variant with one key, got {len(json)} keys")
        name, payload = next(iter(json.items()))
        if name not in cases:
            _fail(f"Unknown key {_shown(name)} in the variant")
        decode = cases[name]
        if decode is not None:
            return _payload(name, decode, payload)
        if payload is not None:
            _fail(f"Unit variant {name} has non-null JSON value")
        return name, None

    return decode_variant


def _result(ok: Decoder | None, err: Decoder | None) -> Decoder:
    arms = {"ok": ok, "err": err}

    def decode_result(json: Json) -> Value:
        if json.__class__ is not dict:
            _mismatch("result as a record with ok or err", json)
        for name, decode in arms.items():
            if name in json:
                if decode is not None:
                    return _payload(name, decode, json[name])
                if json[name] is not None:
                    _fail(f"The type of {name} is absent, but some JSON value was provided")
                return name, None
        _fail("Failed to retrieve either ok value or err value")

    return decode_result


def _enum(names: tuple[str, ...]) -> Decoder:
    known = frozenset(names)

    def decode_enum(json: Json) -> Value:
        if json.__class__ is not str:
            _mismatch("enum", json)
        if json not in known:
            _fail(f"Invalid input {_shown(json)}. Valid values are {','.join(names)}")
        return json

    return decode_enum


def _flags(names: tuple[str, ...]) -> Decoder:
    decode_name = _enum(names)

    def decode_flags(json: Json) -> Value:
        if json.__class__ is not list:
            _mismatch("flags as a list of strings", json)
        chosen = set(_parts((decode_name, item) for item in json))
        return [name for name in names if name in chosen]

    return decode_flags


def _option(decode: Decoder, nested: bool, collapsed: bool) -> Decoder:
    if not nested:
        return lambda json: None if json is None else decode(json)
    if collapsed:
        return lambda json: None if json is None else (decode(json),)
    return _nested_option(decode)


def _nested_option(decode: Decoder) -> Decoder:
    def decode_option(json: Json) -> Value:
        if json is None:
            return None
        if json.__class__ is dict and len(json) == 1 and "some" in json:
            return (_payload("some", decode, json["some"])[1],)
        return (decode(json),)

    return decode_option


def _handle(handles: HandleDecoder | None) -> Decoder:
    def decode_handle(json: Json) -> Value:
        if json.__class__ is not str:
            _fail(f"expected handle, represented by a worker-url/resource-id string, got {kind_of(json)}")
        if handles is None:
            _fail("a handle cannot be given without the worker that it belongs to")
        try:
            return handles.decode(json)
        except ValueError as error:
            _fail(str(error))

    return decode_handle
