"""The parameters of an agent's constructor as the text that is part of its id.

The text is positional and names nothing, so that it is the same in every language (reference: cli-1.5, section 5.1):

| value | text | value | text |
| --- | --- | --- | --- |
| bool, integer | `true`, `-5` | option | `s(x)`, `n` |
| float | `1.0`, `0.5`, never with an exponent | result | `ok(x)`, `ok`, `err(x)`, `err` |
| string | `"a\\"b"`, escaped as in JSON | list | `[1,2]` |
| char | `c"x"` | record and tuple | `(1,"a")` |
| enum | `v2` (the case's index) | variant | `v1(x)`, `v1` |
| flags | `f(0,2)` (the set ones' indexes) | handle | none |
| text | `@t"hi"`, `@t[en]"hi"`, `@tu"https://.."` | binary | `@b[image/png]"<base64>"`, `@bu"https://.."` |

Elements are joined by commas. Those of a multimodal value say which of the schema's elements they are: `0(@t"hi")`.
`model/agent_id_parser.py` reads it.
"""

from __future__ import annotations

from base64 import b64encode
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from math import copysign, inf, isfinite, nextafter
from struct import Struct
from typing import assert_never

from golem_server.model.data_values import DataSchema, ElementSchema
from golem_server.model.errors import InvalidInput
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

MAX_DEPTH = 32
"""How deep values in an agent id may be nested."""

_ESCAPES = {
    **{chr(code): f"\\u{code:04x}" for code in (*range(0x20), *range(0x7F, 0xA0))},
    **{'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"},
}
_ESCAPE_TABLE = str.maketrans(_ESCAPES)
_BLANKS = str.maketrans(dict.fromkeys(" \t\r\n"))
_F32 = Struct("<f")
_F64 = Struct("<d")


class InvalidAgentId(InvalidInput):
    """The text is no agent id, or not one of this agent type; or the parameters cannot be part of one."""

    code = "INVALID_WORKER_ID"


def print_parameters(parameters: Value, schema: DataSchema) -> str:
    """The text of the data value. Raises InvalidAgentId where it has none or does not fit the schema."""
    try:
        values = schema.values(parameters)
    except InvalidInput as error:
        raise InvalidAgentId(error.message) from None
    if not schema.multimodal:
        return ",".join(
            _print_element(element, value) for element, (_, value) in zip(schema.elements, values, strict=True)
        )
    indexes = {element.name: at for at, element in enumerate(schema.elements)}
    return ",".join(
        f"{indexes[name]}({_print_element(schema.elements[indexes[name]], value)})" for name, value in values
    )


def _print_element(schema: ElementSchema, value: Value) -> str:
    if schema.type is not None:
        return _print(schema.type, value, 0)
    case, source = value
    mark = "@t" if schema.kind == "unstructured-text" else "@b"
    if case == "url":
        return f"{mark}u{_quoted(source)}"
    if schema.kind == "unstructured-binary":
        mime_type = _bracketed(source["binary-type"]["mime-type"])
        return f'@b{mime_type}"{b64encode(source["data"]).decode()}"'
    language = source["text-type"]
    return f"@t{'' if language is None else _bracketed(language['language-code'])}{_quoted(source['data'])}"


def _bracketed(text: str) -> str:
    # Blanks outside of strings do not count in an agent id. The others would end the brackets or begin a string.
    if not set(text).isdisjoint('"\\]'):
        raise InvalidAgentId(f"A language or MIME type cannot be part of an agent id: {text[:100]}")
    return f"[{text.translate(_BLANKS)}]"


def _quoted(text: str) -> str:
    return f'"{text.translate(_ESCAPE_TABLE)}"'


def _print(type_: WitType, value: Value, depth: int) -> str:
    depth = one_deeper(depth)
    match type_:
        case Primitive():
            return _print_primitive(type_, value)
        case EnumType(names):
            return f"v{names.index(value)}"
        case FlagsType(names):
            return f"f({','.join([str(at) for at, name in enumerate(names) if name in value])})"
        case ListType(element):
            return f"[{','.join([_print(element, item, depth) for item in value])}]"
        case TupleType(items):
            parts = zip(items, value, strict=True)
            return f"({','.join([_print(item, part, depth) for item, part in parts])})"
        case RecordType(fields):
            return f"({','.join([_print(field.type, value.get(field.name), depth) for field in fields])})"
        case OptionType(inner):
            if value is None:
                return "n"
            return f"s({_print(inner, value[0] if isinstance(inner, OptionType) else value, depth)})"
        case VariantType(cases):
            index = next(at for at, case in enumerate(cases) if case.name == value[0])
            return f"v{index}{_print_payload(cases[index].type, value[1], depth)}"
        case ResultType(ok, err):
            return f"{value[0]}{_print_payload(ok if value[0] == 'ok' else err, value[1], depth)}"
        case HandleType():
            raise no_handles()
        case _:
            assert_never(type_)


def _print_payload(type_: WitType | None, payload: Value, depth: int) -> str:
    return "" if type_ is None else f"({_print(type_, payload, depth)})"


def _print_primitive(type_: Primitive, value: Value) -> str:
    match type_:
        case Primitive.BOOL:
            return "true" if value else "false"
        case Primitive.STRING:
            return _quoted(value)
        case Primitive.CHAR:
            return f"c{_quoted(value)}"
        case Primitive.F32 | Primitive.F64:
            if not isfinite(value):
                raise InvalidAgentId("Rejected NaN/Infinity float value")
            if value == 0:
                return "0.0"
            digits = Decimal(repr(value)) if type_ is Primitive.F64 else _shortest_f32(value)
            text = format(digits, "f")
            return text if "." in text else f"{text}.0"
        case _:
            return str(value)


def _shortest_f32(value: float) -> Decimal:
    """The decimal with the fewest digits that reads as this f32, the nearest of these."""
    exact = Decimal(value)
    for digits in range(1, 9):
        rounded = [
            Context(prec=digits, rounding=rounding).create_decimal(exact) for rounding in (ROUND_FLOOR, ROUND_CEILING)
        ]
        if found := [decimal for decimal in rounded if to_f32(decimal) == value]:
            return min(found, key=lambda decimal: abs(decimal - exact))
    return Context(prec=9).create_decimal(exact)


def to_f32(decimal: Decimal) -> float:
    """The f32 nearest to a decimal number; infinity beyond its range."""
    double = float(decimal)
    # Rounding first to a double and then to an f32 can go wrong in the middle between two f32. Where the double is not
    # exact, it is therefore made odd: it keeps on which side of such a middle the number is.
    if isfinite(double) and (difference := decimal.compare(Decimal(double))) and not _F64.pack(double)[0] & 1:
        double = nextafter(double, inf if difference > 0 else -inf)
    try:
        return _F32.unpack(_F32.pack(double))[0]
    except OverflowError:
        return copysign(inf, double)


def one_deeper(depth: int) -> int:
    """The depth of a value's parts. Raises InvalidAgentId where it is nested too deep."""
    if depth >= MAX_DEPTH:
        raise InvalidAgentId(f"Max nesting depth ({MAX_DEPTH}) exceeded")
    return depth + 1


def no_handles() -> InvalidAgentId:
    """The error to raise for a handle."""
    return InvalidAgentId("Handle types cannot be serialized to agent IDs")
