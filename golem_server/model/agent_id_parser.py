"""Reads the parameters of an agent's constructor from the text in its id, the form that `agent_id_text` describes.

A text may be written by hand. What is read beside the canonical form: floats with an exponent, any escape of JSON in
strings, records, tuples and parameters without their last values where these are options, a comma at the end of a
multimodal value. Leading zeros, `-0`, flags out of order and whatever is left at the end are refused. The time to read
a text is proportional to its length, and nesting is bounded.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Callable, Sequence
from decimal import Decimal
from math import isfinite
from typing import NoReturn, assert_never

from golem_server.model.agent_id_text import InvalidAgentId, no_handles, one_deeper, to_f32
from golem_server.model.data_values import DataSchema, ElementSchema
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

_NATURAL = re.compile(r"[0-9]+")
_FLOAT = re.compile(r"-?([0-9]+)(?:(\.)(?:([0-9]+)(?:[eE][+-]?([0-9]*))?)?)?")
_STRING = re.compile(r'(?:[^"\\]|\\.)*+', re.DOTALL)
_BRACKETED = re.compile(r"[^\]]*")
_NO_INTEGERS = {Primitive.BOOL, Primitive.F32, Primitive.F64, Primitive.CHAR, Primitive.STRING}
_INTEGER_DECODERS = {type_: compile_decoder(type_, None) for type_ in Primitive if type_ not in _NO_INTEGERS}


def parse_parameters(text: str, schema: DataSchema) -> Value:
    """The data value that a text without blanks stands for. Raises InvalidAgentId with the position of the fault."""
    parser = _Parser(text)
    values = parser.multimodal(schema.elements) if schema.multimodal else parser.elements(schema.elements)
    if parser.at < len(text):
        raise parser.error(f"Unexpected trailing input: {json.dumps(text[parser.at :][:100], ensure_ascii=False)}")
    return schema.from_values(values)


class _Parser:
    """A text and the position up to which it has been read."""

    __slots__ = ("at", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def error(self, message: str) -> InvalidAgentId:
        """The error to raise for what stands at the position, which is told in bytes."""
        position = len(self.text[: self.at].encode("utf-8", "surrogatepass"))
        return InvalidAgentId(f"Parse error at position {position}: {message}")

    def fail(self, message: str) -> NoReturn:
        """Raise that error."""
        raise self.error(message)

    def take(self, token: str) -> bool:
        """Read the token if it comes next."""
        found = self.text.startswith(token, self.at)
        self.at += len(token) if found else 0
        return found

    def expect(self, token: str) -> None:
        """Read the token, which must come next."""
        if not self.take(token):
            found = self.text[self.at : self.at + 1] or "the end"
            self.fail(f"Expected '{token}', got {found}")

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Read what the pattern matches, if it does."""
        found = pattern.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return found

    def elements(self, schemas: Sequence[ElementSchema]) -> list[tuple[str, Value]]:
        """The elements of a tuple."""
        types = [schema.type for schema in schemas]
        values = self.parts(types, lambda at: self.element(schemas[at]), lambda: self.at >= len(self.text))
        return [(schema.name, value) for schema, value in zip(schemas, values, strict=True)]

    def multimodal(self, schemas: Sequence[ElementSchema]) -> list[tuple[str, Value]]:
        """The elements of a multimodal value."""
        values: list[tuple[str, Value]] = []
        while self.at < len(self.text) and (not values or self.take(",")):
            if self.at == len(self.text):
                break
            index = self.index("Multimodal element index", "elements", len(schemas))
            self.expect("(")
            values.append((schemas[index].name, self.element(schemas[index])))
            self.expect(")")
        return values

    def parts(
        self, types: Sequence[WitType | None], read: Callable[[int], Value], ended: Callable[[], bool]
    ) -> list[Value]:
        """Values with commas between them; the last ones may be missing if they are options."""
        values: list[Value] = []
        for at in range(len(types)):
            if ended() and all(isinstance(type_, OptionType) for type_ in types[at:]):
                return values + [None] * (len(types) - at)
            if at:
                self.expect(",")
            values.append(read(at))
        return values

    def element(self, schema: ElementSchema) -> Value:
        """A value of the element's type, or a reference in its WIT form."""
        if schema.type is not None:
            return self.value(schema.type, 0)
        if schema.kind == "unstructured-text":
            if not self.take("@t"):
                self.fail("Expected '@t' for text element")
            if self.take("u"):
                return "url", self.string()
            language = {"language-code": self.bracketed()} if self.take("[") else None
            return "inline", {"data": self.string(), "text-type": language}
        if not self.take("@b"):
            self.fail("Expected '@b' for binary element")
        if self.take("u"):
            return "url", self.string()
        if not self.take("["):
            self.fail("Expected 'u' or '[' after @b")
        mime_type = self.bracketed()
        try:
            data = b64decode(self.string(), validate=True)
        except ValueError as error:
            raise self.error(f"Invalid base64: {error}") from None
        return "inline", {"data": data, "binary-type": {"mime-type": mime_type}}

    def bracketed(self) -> str:
        """The rest of a text in brackets."""
        found = self.match(_BRACKETED)
        if not self.take("]"):
            self.fail("Unterminated bracket content")
        return found[0] if found else ""

    def value(self, type_: WitType, depth: int) -> Value:
        """A value of the type."""
        depth = one_deeper(depth)
        match type_:
            case Primitive():
                return self.primitive(type_)
            case EnumType(names):
                return names[self.case("enum", "Enum case index", len(names))]
            case FlagsType(names):
                return self.flags(names)
            case ListType(element):
                return self.list(element, depth)
            case TupleType(items):
                return tuple(self.in_parentheses(items, depth))
            case RecordType(fields):
                values = self.in_parentheses([field.type for field in fields], depth)
                return {field.name: value for field, value in zip(fields, values, strict=True)}
            case OptionType(inner):
                return self.option(inner, depth)
            case VariantType(cases):
                case = cases[self.case("variant", "Variant case index", len(cases))]
                return case.name, self.payload(f"Variant case {case.name}", case.type, depth)
            case ResultType(ok, err):
                name = "ok" if self.take("ok") else "err" if self.take("err") else None
                if name is None:
                    self.fail("Expected 'ok' or 'err' for result")
                return name, self.payload(f"Result {name} type", ok if name == "ok" else err, depth)
            case HandleType():
                raise no_handles()
            case _:
                assert_never(type_)

    def in_parentheses(self, types: Sequence[WitType], depth: int) -> list[Value]:
        """The fields of a record or the items of a tuple."""
        self.expect("(")
        values = self.parts(types, lambda at: self.value(types[at], depth), lambda: self.text.startswith(")", self.at))
        self.expect(")")
        return values

    def list(self, element: WitType, depth: int) -> Value:
        """A list."""
        self.expect("[")
        values: list[Value] = []
        if not self.take("]"):
            values.append(self.value(element, depth))
            while self.take(","):
                values.append(self.value(element, depth))
            self.expect("]")
        return bytes(values) if element is Primitive.U8 else values

    def option(self, inner: WitType, depth: int) -> Value:
        """An option."""
        if self.take("n"):
            return None
        if not self.take("s("):
            self.fail("Expected 's(' or 'n' for option")
        value = self.value(inner, depth)
        self.expect(")")
        return (value,) if isinstance(inner, OptionType) else value

    def payload(self, what: str, type_: WitType | None, depth: int) -> Value:
        """What a case carries, in parentheses."""
        if not self.take("("):
            if type_ is not None:
                self.fail(f"{what} requires payload but none provided")
            return None
        if type_ is None:
            self.fail(f"{what} has no payload type but got '('")
        value = self.value(type_, depth)
        self.expect(")")
        return value

    def index(self, what: str, items: str, count: int) -> int:
        """A number below the count."""
        found = self.match(_NATURAL)
        if found is None:
            self.fail("Expected natural number")
        if len(found[0]) > 1 and found[0].startswith("0"):
            self.fail("Leading zeros not allowed in natural number")
        index = int(found[0]) if len(found[0]) < 20 else count
        if index >= count:
            self.fail(f"{what} {found[0][:20]} out of range ({count} {items})")
        return index

    def case(self, kind: str, what: str, count: int) -> int:
        """The index of a case."""
        if not self.take("v"):
            self.fail(f"Expected 'v' for {kind}")
        return self.index(what, "cases", count)

    def flags(self, names: Sequence[str]) -> Value:
        """The names of the flags that are set."""
        if not self.take("f("):
            self.fail("Expected 'f(' for flags")
        indexes: list[int] = []
        if not self.take(")"):
            while not indexes or self.take(","):
                index = self.index("Flag index", "flags", len(names))
                if indexes and index <= indexes[-1]:
                    self.fail(f"Flag indices must be strictly increasing, got {index} after {indexes[-1]}")
                indexes.append(index)
            self.expect(")")
        return [names[index] for index in indexes]

    def primitive(self, type_: Primitive) -> Value:
        """A primitive value."""
        match type_:
            case Primitive.BOOL:
                if self.take("true"):
                    return True
                if not self.take("false"):
                    self.fail("Expected 'true' or 'false'")
                return False
            case Primitive.STRING:
                return self.string()
            case Primitive.CHAR:
                if not self.text.startswith('c"', self.at):
                    self.fail('Expected c" for char literal')
                self.at += 1
                character = self.string()
                if len(character) != 1:
                    self.fail("Expected one character" if character else "Empty char literal")
                return character
            case Primitive.F32 | Primitive.F64:
                return self.float(type_)
            case _:
                return self.integer(type_)

    def integer(self, type_: Primitive) -> int:
        """An integer of the type."""
        signed = type_.value.startswith("s")
        kind = "signed" if signed else "unsigned"
        negative = signed and self.take("-")
        found = self.match(_NATURAL)
        if found is None:
            self.fail(f"Expected {kind} integer")
        digits = found[0]
        if len(digits) > 1 and digits.startswith("0"):
            self.fail("Leading zeros not allowed")
        if negative and digits == "0":
            self.fail("Negative zero not allowed for integers")
        try:
            return _INTEGER_DECODERS[type_](int(digits[:40]) * (-1 if negative else 1))
        except ValueErrors as errors:
            raise self.error(f"Invalid {kind} integer: {errors.faults[0][1]}") from None

    def float(self, type_: Primitive) -> float:
        """A float; a point is required, an exponent is understood."""
        found = self.match(_FLOAT)
        if found is None:
            self.fail("Expected float")
        whole, point, fraction, exponent = found.groups()
        if len(whole) > 1 and whole.startswith("0"):
            self.fail("Leading zeros not allowed in float")
        if not point:
            self.fail("Float must contain decimal point")
        if not fraction:
            self.fail("Expected digits after decimal point")
        if exponent == "":
            self.fail("Expected digits in exponent")
        value = float(found[0])
        return to_f32(Decimal(found[0])) if type_ is Primitive.F32 and value and isfinite(value) else value

    def string(self) -> str:
        """A string literal."""
        self.expect('"')
        start = self.at
        self.match(_STRING)
        if not self.text.startswith('"', self.at):
            self.fail("Unterminated string")
        literal = self.text[start : self.at]
        if "\\" in literal:
            try:
                literal = json.loads(f'"{literal}"', strict=False)
            except ValueError:
                self.fail("Invalid escape sequence")
            if any(0xD800 <= ord(character) <= 0xDFFF for character in literal):
                self.fail("Expected low surrogate after high surrogate")
        self.at += 1
        return literal
