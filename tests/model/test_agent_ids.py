"""Agent ids: printed canonically, parsed, normalised."""

from __future__ import annotations

import struct
import time
from contextlib import suppress
from decimal import Decimal
from math import inf, nan
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golem_server.model.agent_id_text import to_f32
from golem_server.model.agent_ids import (
    AgentId,
    InvalidAgentId,
    agent_type_name,
    normalize_agent_id,
    parse_agent_id,
    print_agent_id,
    with_phantom_rule,
)
from golem_server.model.data_values import DataSchema
from golem_server.model.types import (
    Case,
    EnumType,
    Field,
    FlagsType,
    HandleType,
    ListType,
    OptionType,
    RecordType,
    ResultType,
    TupleType,
    Value,
    VariantType,
    WitType,
)
from golem_server.model.types import Primitive as P
from golem_server.model.wit_values import type_to_nodes
from tests.model.agent_strategies import data_values, schemas
from tests.model.wit_strategies import details_of, same_value

FORMAT = "Unexpected agent-id format - must be 'agent-type(...)' or 'agent-type(...)[uuid]', got: "
PHANTOM = UUID("0192f2a1-6c5e-7b3a-9d2e-0f1e2d3c4b5a")


def schema_of(*types: WitType) -> DataSchema:
    """A constructor's schema with component-model parameters."""
    return DataSchema.from_guest(
        ("tuple", [(f"p{at}", ("component-model", type_to_nodes(type_))) for at, type_ in enumerate(types)])
    )


def element_schema(kind: str, *, multimodal: bool = False) -> DataSchema:
    """A schema with one text or binary element, multimodal also with a number."""
    elements: list[Any] = [("e", (kind, {"restrictions": None}))]
    if multimodal:
        elements.append(("number", ("component-model", type_to_nodes(P.U8))))
    return DataSchema.from_guest(("multimodal" if multimodal else "tuple", elements))


def text_of(type_: WitType, value: Value) -> str:
    """The text of a single parameter."""
    schema = schema_of(type_)
    return print_agent_id(AgentId("A", schema.from_values([("p0", value)]), None), schema)[2:-1]


def parsed(type_: WitType, text: str) -> Value:
    """The value of a single parameter."""
    schema = schema_of(type_)
    return schema.values(parse_agent_id(f"A({text})", schema).parameters)[0][1]


RECORD = RecordType((Field("a", P.U8), Field("b", P.STRING)))


@pytest.mark.parametrize(
    ("type_", "value", "text"),
    [
        (P.BOOL, True, "true"),
        (P.S8, -5, "-5"),
        (P.U64, (1 << 64) - 1, "18446744073709551615"),
        (P.F64, 1.0, "1.0"),
        (P.F64, 0.5, "0.5"),
        (P.F64, 1e21, "1000000000000000000000.0"),
        (P.F64, -1.5e-7, "-0.00000015"),
        (P.F64, 0.1, "0.1"),
        (P.F32, 0.10000000149011612, "0.1"),
        (P.F32, 16777216.0, "16777216.0"),
        (P.F32, 3.4028234663852886e38, "340282350000000000000000000000000000000.0"),
        (P.F32, 1.401298464324817e-45, "0.000000000000000000000000000000000000000000001"),
        (P.STRING, 'a"b\\c\n\t\r\b\f', '"a\\"b\\\\c\\n\\t\\r\\b\\f"'),
        (P.STRING, "\x00\x1f\x7f\x85\u2028é/", '"\\u0000\\u001f\\u007f\\u0085\u2028é/"'),
        (P.CHAR, "x", 'c"x"'),
        (P.CHAR, '"', 'c"\\""'),
        (EnumType(("a", "b", "c")), "c", "v2"),
        (FlagsType(("a", "b", "c")), ["a", "c"], "f(0,2)"),
        (FlagsType(("a", "b", "c")), [], "f()"),
        (OptionType(P.U8), 5, "s(5)"),
        (OptionType(P.U8), None, "n"),
        (OptionType(OptionType(P.U8)), (None,), "s(n)"),
        (ResultType(P.U8, P.STRING), ("ok", 1), "ok(1)"),
        (ResultType(P.U8, P.STRING), ("err", "x"), 'err("x")'),
        (ResultType(None, None), ("ok", None), "ok"),
        (ResultType(None, None), ("err", None), "err"),
        (ListType(P.U8), b"\x01\x02", "[1,2]"),
        (ListType(P.STRING), [], "[]"),
        (RECORD, {"a": 1, "b": "a"}, '(1,"a")'),
        (TupleType((P.U8, P.STRING)), (1, "a"), '(1,"a")'),
        (VariantType((Case("a", None), Case("b", P.U8))), ("b", 7), "v1(7)"),
        (VariantType((Case("a", None), Case("b", P.U8))), ("a", None), "v0"),
        (ListType(OptionType(RECORD)), [{"a": 1, "b": ""}, None], '[s((1,"")),n]'),
    ],
)
def test_every_kind_of_value_has_its_text(type_: WitType, value: Value, text: str) -> None:
    assert text_of(type_, value) == text
    assert same_value(parsed(type_, text), value)


@pytest.mark.parametrize(
    ("kind", "reference", "text"),
    [
        ("unstructured-text", ("inline", {"data": "hi", "text-type": None}), '@t"hi"'),
        ("unstructured-text", ("inline", {"data": "hi", "text-type": {"language-code": "en"}}), '@t[en]"hi"'),
        ("unstructured-text", ("url", "https://x.example"), '@tu"https://x.example"'),
        (
            "unstructured-binary",
            ("inline", {"data": b"\x00\xff", "binary-type": {"mime-type": "image/png"}}),
            '@b[image/png]"AP8="',
        ),
        ("unstructured-binary", ("url", "https://x.example"), '@bu"https://x.example"'),
    ],
)
def test_texts_and_bytes_have_theirs(kind: str, reference: Value, text: str) -> None:
    schema = element_schema(kind)
    value = ("tuple", [(kind, reference)])
    assert print_agent_id(AgentId("A", value, None), schema) == f"A({text})"
    assert parse_agent_id(f"A({text})", schema).parameters == value


def test_multimodal_parameters_say_which_they_are() -> None:
    schema = element_schema("unstructured-text", multimodal=True)
    text = 'A(1(5),0(@t"hi"),1(6))'
    agent_id = parse_agent_id(text, schema)
    assert [name for name, _ in agent_id.parameters[1]] == ["number", "e", "number"]
    assert print_agent_id(agent_id, schema) == text
    assert parse_agent_id("A()", schema).parameters == ("multimodal", [])


def test_the_parts_of_an_id() -> None:
    schema = schema_of(P.STRING, P.STRING)
    text = f'CartAgent("books","ann")[{PHANTOM}]'
    agent_id = parse_agent_id(text, schema)
    assert (agent_id.type_name, agent_id.phantom) == ("CartAgent", PHANTOM)
    assert schema.values(agent_id.parameters) == [("p0", "books"), ("p1", "ann")]
    assert print_agent_id(agent_id, schema) == text
    assert agent_type_name(text) == "CartAgent"


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ('  Cart ( "a b" ,\n\t1 )[0192F2A1-6C5E-7B3A-9D2E-0F1E2D3C4B5A] ', f'Cart("a b",1)[{PHANTOM}]'),
        ('A("x \\" y" , c" ")', 'A("x \\" y",c" ")'),
        ("A()", "A()"),
        ("A(f( 0 , 2 ))", "A(f(0,2))"),
        ('A("] [ ) (")', 'A("] [ ) (")'),
        ('A(" unfinished )', 'A(" unfinished )'),
        ("A((1))", "A((1))"),
    ],
)
def test_normalising_needs_no_schema(text: str, normal: str) -> None:
    assert normalize_agent_id(text) == normal
    assert normalize_agent_id(normal) == normal


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "worker-1",
            "Unexpected agent-id format - must be 'agent-type(...)' or 'agent-type(...)[uuid]', got: worker-1",
        ),
        ("(1)", "Unexpected agent-id format - must be 'agent-type(...)' or 'agent-type(...)[uuid]', got: (1)"),
        ("A(1", "Unexpected agent-id format - must be 'agent-type(...)' or 'agent-type(...)[uuid]', got: A(1"),
        ("A(1)[]", "Unexpected agent-id format - must be 'agent-type(...)' or 'agent-type(...)[uuid]', got: A(1)[]"),
        ("A(1)x", "Unexpected agent-id format - must be 'agent-type(...)' or 'agent-type(...)[uuid]', got: A(1)x"),
        ("  (1)", "Unexpected agent-id format - must be 'agent-type(...)' or 'agent-type(...)[uuid]', got:   (1)"),
        ("A(1)[x]", "Invalid UUID in phantom ID: badly formed hexadecimal UUID string"),
        (f"A({'1' * 510})", f"Agent id is too long: 513, max length: 512, agent id: A({'1' * 510})"),
    ],
)
def test_a_text_that_is_no_agent_id(text: str, message: str) -> None:
    with pytest.raises(InvalidAgentId) as caught:
        normalize_agent_id(text)
    assert caught.value.message == message
    assert caught.value.code == "INVALID_WORKER_ID"
    with pytest.raises(InvalidAgentId):
        parse_agent_id(text, schema_of(P.STRING))


def test_an_id_of_512_bytes_is_the_longest() -> None:
    schema = schema_of(P.STRING)
    longest = f'A("{"é" * 253}a")'
    assert len(longest.encode()) == 512
    assert print_agent_id(parse_agent_id(longest, schema), schema) == longest
    with pytest.raises(InvalidAgentId, match=r"^Agent id is too long: 513, max length: 512, agent id: A"):
        parse_agent_id(longest.replace('a"', 'aa"'), schema)


@pytest.mark.parametrize(
    ("type_", "text", "message"),
    [
        (P.U8, "05", "Parse error at position 2: Leading zeros not allowed"),
        (
            P.U8,
            "256",
            "Parse error at position 3: Invalid unsigned integer: value 256 is not within the range of 0 to 255",
        ),
        (P.U8, "-1", "Parse error at position 0: Expected unsigned integer"),
        (P.S8, "-0", "Parse error at position 2: Negative zero not allowed for integers"),
        (P.U8, "5,6", 'Parse error at position 1: Unexpected trailing input: ",6"'),
        (P.U8, "", "Parse error at position 0: Expected unsigned integer"),
        (P.BOOL, "yes", "Parse error at position 0: Expected 'true' or 'false'"),
        (P.F64, "1", "Parse error at position 1: Float must contain decimal point"),
        (P.F64, "01.0", "Parse error at position 4: Leading zeros not allowed in float"),
        (P.F64, "1.0e", "Parse error at position 4: Expected digits in exponent"),
        (P.F64, "NaN", "Parse error at position 0: Expected float"),
        (P.F64, "1.0e999", "Rejected NaN/Infinity float value"),
        (P.F32, "1.0e39", "Rejected NaN/Infinity float value"),
        (P.F32, f"1.0e{'9' * 100}", "Rejected NaN/Infinity float value"),
        (P.STRING, '"é', "Parse error at position 3: Unterminated string"),
        (P.STRING, '"\\x"', "Parse error at position 3: Invalid escape sequence"),
        (P.STRING, '"\\ud800"', "Parse error at position 7: Expected low surrogate after high surrogate"),
        (P.CHAR, 'c""', "Parse error at position 3: Empty char literal"),
        (P.CHAR, '"a"', 'Parse error at position 0: Expected c" for char literal'),
        (EnumType(("a",)), "v1", "Parse error at position 2: Enum case index 1 out of range (1 cases)"),
        (EnumType(("a",)), "a", "Parse error at position 0: Expected 'v' for enum"),
        (
            FlagsType(("a", "b")),
            "f(1,0)",
            "Parse error at position 5: Flag indices must be strictly increasing, got 0 after 1",
        ),
        (OptionType(P.U8), "5", "Parse error at position 0: Expected 's(' or 'n' for option"),
        (ResultType(P.U8, None), "ok", "Parse error at position 2: Result ok type requires payload but none provided"),
        (
            ResultType(P.U8, None),
            "err(1)",
            "Parse error at position 4: Result err type has no payload type but got '('",
        ),
        (RECORD, "(1)", "Parse error at position 2: Expected ',', got )"),
        (ListType(P.U8), "[1,]", "Parse error at position 3: Expected unsigned integer"),
        (HandleType(0, True, False), "x/1", "Handle types cannot be serialized to agent IDs"),
    ],
)
def test_wrong_parameters_are_told_with_their_position(type_: WitType, text: str, message: str) -> None:
    with pytest.raises(InvalidAgentId) as caught:
        parse_agent_id(f"A({text})", schema_of(type_))
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("unstructured-text", '"hi"', "Parse error at position 0: Expected '@t' for text element"),
        ("unstructured-text", "@t[en", "Parse error at position 5: Unterminated bracket content"),
        ("unstructured-binary", '@b"AP8="', "Parse error at position 2: Expected 'u' or '[' after @b"),
        ("unstructured-binary", '@b[x]"A"', "Parse error at position 8: Invalid base64"),
    ],
)
def test_wrong_texts_and_bytes(kind: str, text: str, message: str) -> None:
    with pytest.raises(InvalidAgentId) as caught:
        parse_agent_id(f"A({text})", element_schema(kind))
    assert caught.value.message.startswith(message)


@pytest.mark.parametrize("value", [nan, inf, -inf])
def test_floats_that_are_no_number_are_refused(value: float) -> None:
    with pytest.raises(InvalidAgentId, match=r"^Rejected NaN/Infinity float value$"):
        text_of(P.F64, value)


def test_a_minus_before_zero_is_dropped() -> None:
    assert text_of(P.F64, -0.0) == "0.0"
    assert normalize_agent_id("A(-0.0)") == "A(-0.0)"
    schema = schema_of(P.F64)
    assert print_agent_id(parse_agent_id("A(-0.0)", schema), schema) == "A(0.0)"


def test_options_at_the_end_may_be_missing() -> None:
    schema = schema_of(P.STRING, OptionType(P.U8), OptionType(P.U8))
    assert print_agent_id(parse_agent_id('A("x")', schema), schema) == 'A("x",n,n)'
    assert print_agent_id(parse_agent_id('A("x",s(1))', schema), schema) == 'A("x",s(1),n)'
    assert parsed(RecordType((Field("a", P.U8), Field("b", OptionType(P.U8)))), "(1)") == {"a": 1, "b": None}
    with pytest.raises(InvalidAgentId, match="Expected ',', got the end"):
        parse_agent_id('A("x")', schema_of(P.STRING, OptionType(P.U8), P.U8))


def test_nesting_is_bounded() -> None:
    type_: WitType = P.U8
    for _ in range(31):
        type_ = ListType(type_)
    deepest = f"{'[' * 31}1{']' * 31}"
    assert text_of(type_, parsed(type_, deepest)) == deepest
    with pytest.raises(InvalidAgentId, match=r"^Max nesting depth \(32\) exceeded$"):
        parsed(ListType(type_), f"[{deepest}]")
    value = schema_of(type_).values(parse_agent_id(f"A({deepest})", schema_of(type_)).parameters)[0][1]
    with pytest.raises(InvalidAgentId, match=r"^Max nesting depth \(32\) exceeded$"):
        text_of(ListType(type_), [value])


def test_a_language_that_would_end_its_brackets_is_refused() -> None:
    value = ("tuple", [("unstructured-text", ("inline", {"data": "", "text-type": {"language-code": "]"}}))])
    with pytest.raises(InvalidAgentId, match="cannot be part of an agent id"):
        print_agent_id(AgentId("A", value, None), element_schema("unstructured-text"))


def test_ephemeral_agents_get_a_phantom_id() -> None:
    assert with_phantom_rule(None, "durable") is None
    assert with_phantom_rule(PHANTOM, "ephemeral") == PHANTOM
    drawn = with_phantom_rule(None, "ephemeral")
    assert drawn is not None
    assert drawn.version == 4


@settings(max_examples=60)
@given(data_values(max_leaves=5), st.none() | st.uuids())
def test_what_is_printed_is_parsed_to_the_same(typed: tuple[DataSchema, Value], phantom: UUID | None) -> None:
    schema, value = typed
    agent_id = AgentId("Agent", value, phantom)
    refused = details_of(InvalidAgentId, lambda: print_agent_id(agent_id, schema))
    assert not refused or "too long" in refused[0] or "Rejected" in refused[0]
    if refused:
        return
    text = print_agent_id(agent_id, schema)
    again = parse_agent_id(text, schema)
    assert print_agent_id(again, schema) == text
    assert normalize_agent_id(text) == text
    assert (again.type_name, again.phantom) == ("Agent", phantom)
    if "-0.0" not in repr(value):
        assert same_value(again.parameters, value)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_every_f32_comes_back_from_its_text(value: float) -> None:
    text = text_of(P.F32, value)
    assert parsed(P.F32, text) == value
    assert len(text.replace("-", "").replace(".", "").strip("0")) <= 9


@pytest.mark.parametrize(
    "text", ["1.00000005960464477540", "1.000000178813934326171875", "1.00000017881393432617187499"]
)
def test_an_f32_is_rounded_once(text: str) -> None:

    expected = min(
        (struct.unpack("<f", struct.pack("<I", 0x3F800000 + step))[0] for step in range(4)),
        key=lambda value: (abs(Decimal(value) - Decimal(text)), struct.pack("<f", value)[0] & 1),
    )
    assert to_f32(Decimal(text)) == expected


PIECES = st.sampled_from(
    [
        *("(", ")", "[", "]", ",", '"', "\\", "n", "s(", "ok", "err(", "v0", "v1(", "f(", "@t", "@b[", "@tu", "1"),
        *("-", "0.5", "é", "c", " ", "true", "\\u", "d800", "e", "9" * 50),
    ]
)


def attempt(text: str, schema: DataSchema) -> None:
    """Normalise and parse the text; it may be no agent id."""
    for action in (lambda: normalize_agent_id(text), lambda: parse_agent_id(text, schema)):
        with suppress(InvalidAgentId):
            action()


@given(schemas(max_leaves=5), st.lists(PIECES, max_size=30).map("".join) | st.text(max_size=20))
def test_any_text_raises_nothing_but_invalid_agent_id(schema: DataSchema, text: str) -> None:
    for whole in (text, f"A({text})", f"A({text})[{text}]"):
        attempt(whole, schema)


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        (P.STRING, '"' + '\\"' * 1_000_000),
        (P.STRING, '"' * 1_000_001),
        (P.F64, "1" * 1_000_000),
        (P.U64, "1" * 1_000_000),
        (ListType(ListType(P.U8)), "[" * 1_000_000),
        (P.STRING, ")[" * 1_000_000),
        (P.STRING, " " * 1_000_000),
    ],
)
@pytest.mark.parametrize("length", [8000, 1_000_000])
def test_hostile_texts_cost_little(type_: WitType, text: str, length: int) -> None:
    begin = time.process_time()
    attempt(f"A({text[:length]})", schema_of(type_))
    assert time.process_time() - begin < 1
