"""Values of agents' parameters that stand in paths, queries and headers: texts, one or many, as their type says.

A path gives one text. A query or header gives as many as it has of that name: a plain type takes exactly one, an option
none or one, a list any number; a header that lists several values in one line is one text (reference: gateway,
section 3.4).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from struct import Struct
from typing import TypeAlias

from golem_server.gateway.code_first.failures import RequestFailure
from golem_server.model.types import EnumType, ListType, OptionType, Primitive, Value, WitType

ReadText: TypeAlias = Callable[[str], Value]
"""The value of one text. Raises ValueError with what was expected."""

ReadTexts: TypeAlias = Callable[[Sequence[str], str], Value]
"""The value of the texts that a request has for a place, which is named. Raises RequestFailure."""

_INTEGER = re.compile(r"[+-]?[0-9]{1,40}")
_FLOAT = re.compile(r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|inf(?:inity)?|nan)", re.IGNORECASE)
_F32 = Struct("<f")
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


def text_reader(type_: WitType) -> ReadText | None:
    """What reads a type from one text, None for a type that has no such form."""
    if isinstance(type_, EnumType):
        return _enum(type_.names)
    if not isinstance(type_, Primitive):
        return None
    if (bits := _BITS.get(type_)) is not None:
        return _integer(type_.value, *bits)
    return _OTHERS[type_]


def texts_reader(type_: WitType) -> ReadTexts | None:
    """What reads a type from any number of texts, None for a type that has no such form."""
    match type_:
        case OptionType(inner):
            read = text_reader(inner)
            return None if read is None else _optional(read)
        case ListType(element):
            read = text_reader(element)
            # WIT's bytes are a list like any other here.
            return None if read is None else _several(read, as_bytes=element is Primitive.U8)
        case _:
            read = text_reader(type_)
            return None if read is None else _single(read)


def read_text(read: ReadText, text: str, place: str) -> Value:
    """The value of one text at a place. Raises RequestFailure."""
    try:
        return read(text)
    except ValueError as error:
        raise RequestFailure(400, "REQUEST_VALUE_PARSING_FAILED", f"{place}: {error}") from None


def _single(read: ReadText) -> ReadTexts:
    def value(texts: Sequence[str], place: str) -> Value:
        if not texts:
            raise RequestFailure(400, "REQUEST_MISSING_VALUE", f"{place} is missing")
        return read_text(read, _one_of(texts, place), place)

    return value


def _optional(read: ReadText) -> ReadTexts:
    return lambda texts, place: read_text(read, _one_of(texts, place), place) if texts else None


def _several(read: ReadText, *, as_bytes: bool) -> ReadTexts:
    def value(texts: Sequence[str], place: str) -> Value:
        values = [read_text(read, text, place) for text in texts]
        return bytes(values) if as_bytes else values

    return value


def _one_of(texts: Sequence[str], place: str) -> str:
    if len(texts) > 1:
        raise RequestFailure(400, "REQUEST_TOO_MANY_VALUES", f"{place} is there {len(texts)} times, and may be once")
    return texts[0]


def _shown(text: str) -> str:
    return repr(text) if len(text) <= 60 else f"{text[:60]!r}..."


def _integer(name: str, signed: bool, bits: int) -> ReadText:
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)

    def read(text: str) -> int:
        if _INTEGER.fullmatch(text) is None:
            raise ValueError(f"expected {name}, found {_shown(text)}")
        if not low <= (value := int(text)) <= high:
            raise ValueError(f"expected {name}, which is from {low} to {high}, found {_shown(text)}")
        return value

    return read


def _float(text: str) -> float:
    if _FLOAT.fullmatch(text) is None:
        raise ValueError(f"expected a number, found {_shown(text)}")
    return float(text)


def _f32(text: str) -> float:
    value = _float(text)
    try:
        # Rounded here, so that what is recorded is what the guest sees.
        return _F32.unpack(_F32.pack(value))[0]
    except OverflowError:
        raise ValueError(f"expected f32, which {_shown(text)} is too large for") from None


def _bool(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"expected true or false, found {_shown(text)}")
    return text == "true"


def _char(text: str) -> str:
    if len(text) != 1:
        raise ValueError(f"expected exactly one character, found {_shown(text)}")
    return text


def _enum(names: tuple[str, ...]) -> ReadText:
    def read(text: str) -> str:
        if text not in names:
            raise ValueError(f"expected one of {', '.join(names)}, found {_shown(text)}")
        return text

    return read


_OTHERS: dict[Primitive, ReadText] = {
    Primitive.STRING: lambda text: text,
    Primitive.BOOL: _bool,
    Primitive.CHAR: _char,
    Primitive.F32: _f32,
    Primitive.F64: _float,
}
