"""Values of paths, queries and headers are read as their types say, or refused with a code."""

from __future__ import annotations

import math

import pytest

from golem_server.gateway.code_first.failures import RequestFailure
from golem_server.gateway.code_first.text_values import text_reader, texts_reader
from golem_server.model.types import EnumType, ListType, OptionType, Primitive, RecordType, Value, WitType


@pytest.mark.parametrize(
    ("type_", "text", "value"),
    [
        (Primitive.STRING, "", ""),
        (Primitive.BOOL, "true", True),
        (Primitive.CHAR, "ö", "ö"),
        (Primitive.U8, "255", 255),
        (Primitive.S8, "-128", -128),
        (Primitive.U64, "18446744073709551615", 18446744073709551615),
        (Primitive.S32, "+7", 7),
        (Primitive.F64, "1e3", 1000.0),
        (Primitive.F64, "-inf", -math.inf),
        (Primitive.F32, "0.1", 0.10000000149011612),
        (EnumType(("red", "light-blue")), "light-blue", "light-blue"),
    ],
)
def test_a_text_is_read(type_: WitType, text: str, value: Value) -> None:
    read = text_reader(type_)
    assert read is not None
    assert read(text) == value


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        (Primitive.BOOL, "True"),
        (Primitive.CHAR, ""),
        (Primitive.CHAR, "ab"),
        (Primitive.U8, "256"),
        (Primitive.U8, "-1"),
        (Primitive.U32, "1.0"),
        (Primitive.U32, "٣"),
        (Primitive.U32, "1_000"),
        (Primitive.U64, "9" * 5000),
        (Primitive.F64, "1_0"),
        (Primitive.F64, " 1"),
        (Primitive.F64, ""),
        (Primitive.F32, "1e39"),
        (EnumType(("red",)), "Red"),
    ],
)
def test_a_text_that_is_no_value_is_refused(type_: WitType, text: str) -> None:
    read = text_reader(type_)
    assert read is not None
    with pytest.raises(ValueError, match="expected"):
        read(text)


def test_types_that_have_parts_are_no_texts() -> None:
    for type_ in (RecordType(()), ListType(Primitive.STRING), OptionType(Primitive.STRING)):
        assert text_reader(type_) is None
    assert texts_reader(OptionType(OptionType(Primitive.STRING))) is None
    assert texts_reader(ListType(RecordType(()))) is None


def values(type_: WitType, *texts: str) -> Value:
    """The value of several texts."""
    read = texts_reader(type_)
    assert read is not None
    return read(texts, "query value q")


def failure(type_: WitType, *texts: str) -> tuple[int, str]:
    """The status and code with which texts are refused."""
    with pytest.raises(RequestFailure) as failed:
        values(type_, *texts)
    return failed.value.status, failed.value.code


def test_how_many_values_there_may_be_follows_from_the_type() -> None:
    assert values(Primitive.U8, "1") == 1
    assert failure(Primitive.U8) == (400, "REQUEST_MISSING_VALUE")
    assert failure(Primitive.U8, "1", "1") == (400, "REQUEST_TOO_MANY_VALUES")
    assert failure(Primitive.U8, "x") == (400, "REQUEST_VALUE_PARSING_FAILED")
    assert values(OptionType(Primitive.U8)) is None
    assert values(OptionType(Primitive.U8), "1") == 1
    assert failure(OptionType(Primitive.U8), "1", "2") == (400, "REQUEST_TOO_MANY_VALUES")
    assert values(ListType(Primitive.U16)) == []
    assert values(ListType(Primitive.U16), "1", "2") == [1, 2]
    assert values(ListType(Primitive.STRING), "a,b") == ["a,b"]
    assert values(ListType(Primitive.U8), "1", "2") == b"\x01\x02"
    assert failure(ListType(Primitive.U8), "1", "x") == (400, "REQUEST_VALUE_PARSING_FAILED")
