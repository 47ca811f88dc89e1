"""WAVE, the text form of WIT values, read by type.

Used for the arguments of indexed resources in function names: `ns:p/i.{cart("u1", 2).add}`. The syntax is that of the
WebAssembly value encoding: `true`, `-1`, `nan`, `'c'`, `"text"`, `[1, 2]`, `(1, "a")`, `{name: "a", note: none}`,
`{read, write}`, `card("4111")`, `some(1)`, `ok(1)`; options and results may also be written as the inner value alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import assert_never

from golem_server.model.errors import InvalidInput
from golem_server.model.json_decoding import ValueErrors, compile_decoder
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

_BLANK = re.compile(r"(?:\s|//[^\n]*)*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_LABEL = re.compile(r"%?[A-Za-z][A-Za-z0-9]*(?:-[A-Za-z][A-Za-z0-9]*)*")
_ESCAPE = re.compile(r"""\\(?:([tnr\\'"])|u\{([0-9a-fA-F]{1,6})\})""")
_PLAIN = {'"': re.compile(r'[^"\\\n]+'), "'": re.compile(r"[^'\\\n]")}
_ESCAPED = {"t": "\t", "n": "\n", "r": "\r", "\\": "\\", "'": "'", '"': '"'}
_FLOATS = {"nan": float("nan"), "inf": float("inf"), "-inf": float("-inf")}
_CLOSING = {"(": ")", "[": "]", "{": "}"}


def parse_wave(text: str, type_: WitType) -> Value:
    """The value of the type that the text is. Raises InvalidInput with the position of what cannot be read."""
    reader = _Reader(text)
    value = _read(reader, type_)
    reader.end()
    return value


def split_arguments(text: str) -> list[str]:
    """The texts of the arguments of `(...)` without its parentheses, each stripped of blanks around it.

    Only brackets and quotes are looked at. Raises InvalidInput where these do not match.
    """
    arguments: list[str] = []
    start = 0
    for at, separator in _separators(text):
        argument = text[start:at].strip()
        # A comma may follow the last argument.
        if argument or separator:
            arguments.append(argument)
        start = at + 1
    if not all(arguments):
        raise InvalidInput("an argument is empty")
    return arguments


def _separators(text: str) -> Iterator[tuple[int, str]]:
    """The commas outside of brackets and quotes, and the end of the text as an empty one."""
    open_brackets: list[str] = []
    reader = _Reader(text)
    while reader.at < len(text):
        character = text[reader.at]
        if character in _PLAIN:
            reader.quoted(character)
            continue
        if character in _CLOSING:
            open_brackets.append(_CLOSING[character])
        elif character in _CLOSING.values():
            if not open_brackets or open_brackets.pop() != character:
                raise reader.error(f"unexpected {character}")
        elif character == "," and not open_brackets:
            yield reader.at, character
        reader.at += 1
    if open_brackets:
        raise reader.error(f"expected {open_brackets[-1]}")
    yield len(text), ""


class _Reader:
    """A text and the position up to which it has been read."""

    __slots__ = ("at", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def error(self, message: str) -> InvalidInput:
        """The error to raise for what stands at the position."""
        return InvalidInput(f"{message} at character {self.at + 1} of {self.text[:100]}")

    def skip(self) -> None:
        """Pass over blanks and comments."""
        found = _BLANK.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def take(self, token: str) -> bool:
        """Read the token if it comes next."""
        self.skip()
        found = self.text.startswith(token, self.at)
        self.at += len(token) if found else 0
        return found

    def expect(self, token: str) -> None:
        """Read the token, which must come next."""
        if not self.take(token):
            raise self.error(f"expected {token}")

    def match(self, pattern: re.Pattern[str]) -> str | None:
        """Read what the pattern matches, if it does."""
        self.skip()
        found = pattern.match(self.text, self.at)
        if found is None:
            return None
        self.at = found.end()
        return found[0]

    def label(self, *followed_by: str) -> str | None:
        """Read a name without its escaping percent sign; only one that is followed by one of the tokens, if given."""
        before = self.at
        label = self.match(_LABEL)
        self.skip()
        if label is None or (followed_by and not self.text.startswith(followed_by, self.at)):
            self.at = before
            return None
        return label.removeprefix("%")

    def quoted(self, quote: str) -> str:
        """Read a string or character literal without its quotes."""
        self.expect(quote)
        parts: list[str] = []
        while not self.text.startswith(quote, self.at):
            if found := _PLAIN[quote].match(self.text, self.at):
                parts.append(found[0])
            elif found := _ESCAPE.match(self.text, self.at):
                parts.append(self._escaped(found))
            else:
                raise self.error(f"expected {quote}")
            self.at = found.end()
        self.at += 1
        return "".join(parts)

    def _escaped(self, found: re.Match[str]) -> str:
        if found[1]:
            return _ESCAPED[found[1]]
        code = int(found[2], 16)
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            raise self.error("no such character")
        return chr(code)

    def items(self, opening: str, read: Callable[[], Value]) -> list[Value]:
        """Read a list in brackets; a comma may follow the last item."""
        self.expect(opening)
        closing = _CLOSING[opening]
        values: list[Value] = []
        while not self.take(closing):
            if values:
                self.expect(",")
                if self.take(closing):
                    break
            values.append(read())
        return values

    def end(self) -> None:
        """Check that nothing is left."""
        self.skip()
        if self.at < len(self.text):
            raise self.error("expected the end")


def _read(reader: _Reader, type_: WitType) -> Value:
    match type_:
        case Primitive():
            return _primitive(reader, type_)
        case ListType(element):
            values = reader.items("[", lambda: _read(reader, element))
            return bytes(values) if element is Primitive.U8 else values
        case TupleType(items):
            return _tuple(reader, items)
        case RecordType():
            return _record(reader, type_)
        case VariantType(cases):
            return _case(reader, {case.name: case.type for case in cases})
        case EnumType(names):
            return _case(reader, dict.fromkeys(names))[0]
        case FlagsType(names):
            chosen = set(reader.items("{", lambda: _case(reader, dict.fromkeys(names))[0]))
            return [name for name in names if name in chosen]
        case OptionType():
            return _option(reader, type_)
        case ResultType():
            return _result(reader, type_)
        case HandleType():
            raise reader.error("a handle has no text form")
        case _:
            assert_never(type_)


def _primitive(reader: _Reader, type_: Primitive) -> Value:
    if type_ is Primitive.BOOL:
        label = reader.label()
        if label not in ("true", "false"):
            raise reader.error("expected true or false")
        return label == "true"
    if type_ is Primitive.STRING:
        return reader.quoted('"')
    if type_ is Primitive.CHAR:
        character = reader.quoted("'")
        if len(character) != 1:
            raise reader.error("expected one character")
        return character
    if type_ in (Primitive.F32, Primitive.F64):
        for name, value in _FLOATS.items():
            if reader.take(name):
                return value
    literal = reader.match(_NUMBER)
    if literal is None or len(literal) > 400:
        raise reader.error(f"expected {type_.value}")
    number = float(literal) if set(literal) & set(".eE") else int(literal)
    try:
        return compile_decoder(type_, None)(number)
    except ValueErrors as errors:
        raise reader.error(errors.faults[0][1]) from None


def _tuple(reader: _Reader, types: tuple[WitType, ...]) -> Value:
    remaining = iter(types)

    def read_next() -> Value:
        type_ = next(remaining, None)
        if type_ is None:
            raise reader.error("expected )")
        return _read(reader, type_)

    values = tuple(reader.items("(", read_next))
    if len(values) != len(types):
        raise reader.error(f"expected {len(types)} values")
    return values


def _record(reader: _Reader, type_: RecordType) -> Value:
    types = {field.name: field.type for field in type_.fields}
    found: dict[str, Value] = {}

    def read_field() -> None:
        name = reader.label()
        if name is None or name not in types or name in found:
            raise reader.error(f"expected one field of {', '.join(types)}")
        reader.expect(":")
        found[name] = _read(reader, types[name])

    before = reader.at
    if not (reader.take("{") and reader.take(":") and reader.take("}")):
        reader.at = before
        reader.items("{", read_field)
    for name, field in types.items():
        if name not in found and not isinstance(field, OptionType):
            raise reader.error(f"expected the field {name}")
    return {name: found.get(name) for name in types}


def _case(reader: _Reader, types: dict[str, WitType | None]) -> tuple[str, Value]:
    name = reader.label()
    if name is None or name not in types:
        raise reader.error(f"expected one of {', '.join(types)}")
    type_ = types[name]
    if type_ is None:
        return name, None
    reader.expect("(")
    payload = _read(reader, type_)
    reader.expect(")")
    return name, payload


def _option(reader: _Reader, type_: OptionType) -> Value:
    inner = type_.inner
    before = reader.at
    if reader.label() == "none":
        return None
    reader.at = before
    if reader.label("(") == "some":
        reader.expect("(")
        value = _read(reader, inner)
        reader.expect(")")
    else:
        reader.at = before
        value = _read(reader, inner)
    return (value,) if isinstance(inner, OptionType) else value


def _result(reader: _Reader, type_: ResultType) -> Value:
    before = reader.at
    name = reader.label()
    reader.at = before
    if name in ("ok", "err"):
        return _case(reader, {"ok": type_.ok, "err": type_.err})
    if type_.ok is None:
        raise reader.error("expected ok or err")
    return "ok", _read(reader, type_.ok)
