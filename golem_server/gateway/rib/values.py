"""What operators do with values, and how values read within a text (reference gateway, section 2.4).

Values are those of `model.types`. An operation that fails raises Fault; the evaluation adds where.
"""

from __future__ import annotations

import math
import operator
import struct
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, cast

from golem_server.gateway.rib.syntax import Operator
from golem_server.gateway.rib.terms import FLOATS, INTEGERS
from golem_server.model.types import (
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
    Value,
    VariantType,
    WitType,
)

MAX_TEXT = 16 * 1024 * 1024
"""Characters of a text that a script puts together."""

MAX_PARTS = 1_000_000
"""Values within the value that a script gives, or gives to a worker."""


class Fault(Exception):
    """An operation failed; the text says why."""


def to_f32(value: float) -> float:
    """The f32 nearest to a float; infinity beyond its range."""
    try:
        return struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)


def number_of(literal: str, type_: Primitive) -> Value:
    """The value of a number as written. Raises Fault if its type has no such value."""
    if type_ in FLOATS:
        value = float(literal)
        return to_f32(value) if type_ is Primitive.F32 else value
    value = int(literal)
    low, high = INTEGERS[type_]
    if not low <= value <= high:
        raise Fault(f"cast error from {literal} to {type_.value}")
    return value


def arithmetic(operation: Operator, type_: Primitive) -> Callable[[Value, Value], Value]:
    """The checked operation on two numbers of a type; raises Fault on overflow and on division of integers by zero."""
    if type_ in FLOATS:
        compute = _FLOAT_OPERATIONS[operation]
        return compute if type_ is Primitive.F64 else lambda left, right: to_f32(compute(left, right))
    low, high = INTEGERS[type_]
    # Integers are computed with 64 bits of their sign, then put into their own type: two different errors.
    sign, widest = ("signed", Primitive.S64) if low else ("unsigned", Primitive.U64)
    least, greatest = INTEGERS[widest]
    compute_integer = _INTEGER_OPERATIONS[operation]

    def checked(left: int, right: int) -> int:
        result = compute_integer(left, right)
        if not least <= result <= greatest:
            raise Fault(f"arithmetic error: overflow in {sign} operation between {left} and {right}")
        if not low <= result <= high:
            raise Fault(f"cast error from {result} to {type_.value}")
        return result

    return checked


def _divide_integers(left: int, right: int) -> int:
    if right == 0:
        raise Fault("arithmetic error: division by zero")
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _divide_floats(left: float, right: float) -> float:
    if right:
        return left / right
    if left == 0 or math.isnan(left) or math.isnan(right):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1, right)


_INTEGER_OPERATIONS: dict[Operator, Callable[[int, int], int]] = {
    Operator.ADD: operator.add,
    Operator.SUBTRACT: operator.sub,
    Operator.MULTIPLY: operator.mul,
    Operator.DIVIDE: _divide_integers,
}

_FLOAT_OPERATIONS: dict[Operator, Callable[[float, float], float]] = {
    Operator.ADD: operator.add,
    Operator.SUBTRACT: operator.sub,
    Operator.MULTIPLY: operator.mul,
    Operator.DIVIDE: _divide_floats,
}

_COMPARISONS: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQUAL: operator.eq,
    Operator.LESS: operator.lt,
    Operator.LESS_OR_EQUAL: operator.le,
    Operator.GREATER: operator.gt,
    Operator.GREATER_OR_EQUAL: operator.ge,
}


def comparison(operation: Operator, type_: WitType) -> Callable[[Value, Value], bool]:
    """The comparison of two values of a type, or of two numbers of which one has the type.

    Of records, lists, tuples, options and results, the comparison always raises Fault.
    """
    compare = _COMPARISONS[operation]
    match type_:
        case Primitive() | EnumType():
            return compare
        case FlagsType() if operation is Operator.EQUAL:
            return lambda left, right: set(left) == set(right)
        case VariantType(cases):
            payloads = {case.name: case.type for case in cases}

            def of_variants(left: Value, right: Value) -> bool:
                if left[0] != right[0]:
                    return False
                payload = payloads[left[0]]
                if payload is None:
                    return compare(left[0], right[0])
                return comparison(operation, payload)(left[1], right[1])

            return of_variants
        case _:
            return _incomparable


def _incomparable(left: Value, right: Value) -> bool:
    raise Fault("Invalid comparison: failed to compared values")


def field_of(name: str, record: Value) -> Value:
    """A field of a record. Raises Fault where the record comes from a literal without it, in a type that has it."""
    if name not in record:
        raise Fault(f"field not found: {name}")
    return record[name]


def narrowed(type_: WitType, value: Value) -> WitType:
    """The type of a value whose records may lack fields that literals elsewhere have.

    Raises Fault where elements of a list differ in their fields: no type says that.
    """
    if value is None or isinstance(value, bytes | str):
        return type_
    match type_:
        case RecordType(fields):
            there = [field for field in fields if field.name in value]
            return RecordType(tuple([Field(field.name, narrowed(field.type, value[field.name])) for field in there]))
        case TupleType(items):
            return TupleType(tuple([narrowed(item, part) for item, part in zip(items, value, strict=True)]))
        case OptionType(inner):
            return OptionType(narrowed(inner, unwrapped(inner, value)))
        case ResultType(ok, err):
            payload = ok if value[0] == "ok" else err
            inner = None if payload is None else narrowed(payload, value[1])
            return ResultType(inner, err) if value[0] == "ok" else ResultType(ok, inner)
        case ListType(element) if len(value):
            types = [narrowed(element, item) for item in value]
            if any(item != types[0] for item in types):
                raise Fault("the records of a list differ in their fields")
            return ListType(types[0])
        case _:
            return type_


def interpolated(type_: WitType, value: Value) -> str:
    """How a value reads within a text: texts without quotes, numbers plainly, everything else as WAVE.

    Raises Fault for what is too long.
    """
    if type_ in (Primitive.STRING, Primitive.CHAR):
        return value
    return wave(type_, value)


def wave(type_: WitType, value: Value, separator: str = ", ") -> str:
    """A value in WAVE, the text form of WIT values. Raises Fault for a handle, and for what is too long."""
    writer = _Writer(separator)
    writer.write(type_, value)
    return "".join(writer.pieces)


class _Writer:
    """Collects the pieces of a text, and counts their characters."""

    def __init__(self, separator: str) -> None:
        self.pieces: list[str] = []
        self._separator = separator
        self._left = MAX_TEXT

    def _add(self, piece: str) -> None:
        self._left -= len(piece)
        if self._left < 0:
            raise Fault(f"a text is longer than {MAX_TEXT} characters")
        self.pieces.append(piece)

    def _add_all(self, opening: str, items: Iterable[tuple[str, WitType, Value]], closing: str) -> None:
        self._add(opening)
        for at, (label, type_, value) in enumerate(items):
            self._add(self._separator + label if at else label)
            self.write(type_, value)
        self._add(closing)

    def write(self, type_: WitType, value: Value) -> None:
        """Add the text of a value."""
        match type_:
            case Primitive():
                self._add(_primitive_text(type_, value))
            case ListType(element):
                self._add_all("[", (("", element, item) for item in value), "]")
            case TupleType(items):
                self._add_all("(", (("", item, part) for item, part in zip(items, value, strict=True)), ")")
            case RecordType(fields):
                there = [field for field in fields if field.name in value]
                parts = ((f"{field.name}: ", field.type, value[field.name]) for field in there)
                self._add_all("{", parts, "}")
            case OptionType(inner):
                self._payload("none" if value is None else "some", inner, unwrapped(inner, value), value is not None)
            case _:
                self._write_named(type_, value)

    def _payload(self, name: str, type_: WitType | None, value: Value, present: bool = True) -> None:
        if type_ is None or not present:
            self._add(name)
        else:
            self._add_all(f"{name}(", (("", type_, value),), ")")

    def _write_named(self, type_: WitType, value: Value) -> None:
        match type_:
            case ResultType(ok, err):
                self._payload(value[0], ok if value[0] == "ok" else err, value[1])
            case VariantType(cases):
                payload = next((case.type for case in cases if case.name == value[0]), None)
                self._payload(value[0], payload, value[1])
            case FlagsType():
                self._add(f"{{{self._separator.join(value)}}}")
            case HandleType():
                raise Fault("a resource has no text form")
            case _:
                self._add(str(value))


def unwrapped(inner: WitType, value: Value) -> Value:
    """The payload of a `some`, whose inner type may be an option itself."""
    return value[0] if isinstance(inner, OptionType) and value is not None else value


_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def _escaped(text: str, quote: str) -> str:
    escapes = {**_ESCAPES, "'": "\\'"}
    escapes.pop('"' if quote == "'" else "'")
    table = {ord(character): escape for character, escape in escapes.items()}
    table |= {code: f"\\u{{{code:x}}}" for code in (*range(9), 11, 12, *range(14, 32), 127)}
    return f"{quote}{text.translate(table)}{quote}"


def _primitive_text(type_: Primitive, value: Value) -> str:
    match type_:
        case Primitive.BOOL:
            return "true" if value else "false"
        case Primitive.STRING:
            return _escaped(value, '"')
        case Primitive.CHAR:
            return _escaped(value, "'")
        case Primitive.F32 | Primitive.F64:
            return _float_text(value, type_)
        case _:
            return str(value)


def _float_text(value: float, type_: Primitive) -> str:
    """The shortest decimal that reads as this value, without an exponent."""
    if not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    shortest = repr(value)
    if type_ is Primitive.F32:
        shortest = next(text for digits in range(1, 18) if to_f32(float(text := f"{value:.{digits}g}")) == value)
    text = format(Decimal(shortest), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def check_size(value: Value) -> None:
    """Raises Fault if a value has more parts than anyone could want; the same part counts wherever it occurs."""
    left = MAX_PARTS
    waiting: list[Any] = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            inner = list(cast("dict[str, Value]", part).values())
        elif isinstance(part, list | tuple):
            inner = cast("list[Value] | tuple[Value, ...]", part)
        else:
            continue
        waiting += inner
        left -= len(inner)
        if left < 0:
            raise Fault(f"a value has more than {MAX_PARTS} parts")
