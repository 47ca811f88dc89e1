"""Values as WAVE text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golem_server.model.errors import InvalidInput
from golem_server.model.types import (
    Case,
    EnumType,
    Field,
    FlagsType,
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
from golem_server.model.wave import parse_wave, split_arguments
from tests.model.wit_strategies import details_of, same_value, wit_types

P = Primitive
PERSON = RecordType((Field("name", P.STRING), Field("note", OptionType(P.STRING))))
CARD = VariantType((Case("card", P.STRING), Case("cash", None)))


@pytest.mark.parametrize(
    ("text", "type_", "value"),
    [
        ("true", P.BOOL, True),
        ("-128", P.S8, -128),
        ("18446744073709551615", P.U64, 18446744073709551615),
        ("1.5e3", P.F64, 1500.0),
        ("-inf", P.F64, float("-inf")),
        ("nan", P.F32, float("nan")),
        ("'x'", P.CHAR, "x"),
        (r"'\u{1F600}'", P.CHAR, "\U0001f600"),
        (r'"a \"b\" \\ \n, (c)"', P.STRING, 'a "b" \\ \n, (c)'),
        ("[1, 2,]", ListType(P.U8), b"\x01\x02"),
        ("[]", ListType(P.STRING), []),
        ('(1, "a")', TupleType((P.U32, P.STRING)), (1, "a")),
        ('{name: "n"}', PERSON, {"name": "n", "note": None}),
        ('{ note: some("x"), name: "n" }', PERSON, {"name": "n", "note": "x"}),
        ("{:}", RecordType((Field("a", OptionType(P.U8)),)), {"a": None}),
        ('card("4111")', CARD, ("card", "4111")),
        ("cash", CARD, ("cash", None)),
        ("%low", EnumType(("low", "high")), "low"),
        ("{write, read}", FlagsType(("read", "write")), ["read", "write"]),
        ("{}", FlagsType(("read", "write")), []),
        ("none", OptionType(P.U8), None),
        ("3", OptionType(P.U8), 3),
        ("some(none)", OptionType(OptionType(P.U8)), (None,)),
        ("ok(1)", ResultType(P.U8, P.STRING), ("ok", 1)),
        ("1 // one", ResultType(P.U8, P.STRING), ("ok", 1)),
        ("err", ResultType(P.U8, None), ("err", None)),
    ],
)
def test_text_is_read_as_the_value(text: str, type_: WitType, value: Value) -> None:
    assert same_value(parse_wave(text, type_), value)


@pytest.mark.parametrize(
    ("text", "type_", "message"),
    [
        ("300", P.U8, "value 300 is not within the range of 0 to 255"),
        ("1.5", P.U8, "has a fraction"),
        ("x", P.U8, "expected u8 at character 1 of x"),
        ("'ab'", P.CHAR, "expected one character"),
        ('"ab', P.STRING, 'expected "'),
        (r'"\u{d800}"', P.STRING, "no such character"),
        ("(1)", TupleType((P.U8, P.U8)), "expected 2 values"),
        ("(1, 2, 3)", TupleType((P.U8, P.U8)), r"expected \)"),
        ("{nme: 1}", PERSON, "expected one field of name, note"),
        ("{}", PERSON, "expected the field name"),
        ("gold", CARD, "expected one of card, cash"),
        ("1 2", P.U8, "expected the end at character 3"),
    ],
)
def test_wrong_text_is_told_with_its_position(text: str, type_: WitType, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        parse_wave(text, type_)


@given(st.text("[](){}\"'\\,:.-%/ \n0159aenrtu", max_size=20), wit_types())
def test_any_text_is_a_value_or_invalid_input(text: str, type_: WitType) -> None:
    details_of(InvalidInput, lambda: parse_wave(text, type_))
    details_of(InvalidInput, lambda: split_arguments(text))


def test_arguments_are_split_outside_of_brackets_and_quotes() -> None:
    assert split_arguments(r""" "a,\"b", (1, 2), {x: [3, 4]}, ',' """) == [r'"a,\"b"', "(1, 2)", "{x: [3, 4]}", "','"]
    assert split_arguments(" ") == []
    with pytest.raises(InvalidInput, match="empty"):
        split_arguments("1,,2")
    with pytest.raises(InvalidInput, match="unexpected"):
        split_arguments("(1]")
