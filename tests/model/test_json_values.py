"""Values and their JSON: exact in both directions, and errors that name the place."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from golem_server.model.errors import InvalidInput
from golem_server.model.ids import ComponentId, WorkerId
from golem_server.model.json_decoding import MAX_FAULTS
from golem_server.model.json_values import (
    SignatureJson,
    ValueErrors,
    WorkerHandles,
    annotated_from_json,
    annotated_to_json,
    value_decoder,
    value_encoder,
)
from golem_server.model.types import (
    Case,
    EnumType,
    Field,
    FlagsType,
    FunctionType,
    HandleType,
    ListType,
    OptionType,
    Parameter,
    Primitive,
    RecordType,
    ResultType,
    TupleType,
    Value,
    VariantType,
    WitType,
)
from tests.model.wit_strategies import JSON, details_of, same_value, typed_values, wit_types

WORKER = WorkerId(ComponentId(UUID("a3c1a3c1-0000-4000-8000-000000000001")), "w-1")
HANDLES = WorkerHandles(WORKER)
P = Primitive


@given(typed_values(handles=True))
def test_value_survives_json_text_exactly(typed: tuple[WitType, Value]) -> None:
    type_, value = typed
    text = msgspec.json.encode(value_encoder(type_, HANDLES)(value))
    decoded = value_decoder(type_, HANDLES)(msgspec.json.decode(text))
    assert same_value(decoded, value)
    assert msgspec.json.encode(value_encoder(type_, HANDLES)(decoded)) == text
    # From an oplog, tuples come back as lists.
    stored = msgspec.msgpack.decode(msgspec.msgpack.encode(value))
    assert msgspec.json.encode(value_encoder(type_, HANDLES)(stored)) == text


@given(typed_values(handles=True))
def test_annotated_form_gives_back_type_and_value(typed: tuple[WitType, Value]) -> None:
    type_, value = typed
    read_type, read = annotated_from_json(annotated_to_json(type_, value, HANDLES), HANDLES)
    assert read_type == type_
    assert same_value(read, value)


@given(wit_types(handles=True), JSON)
@example(ListType(P.U8), [True])
@example(ListType(P.U8), [255.0, 1])
@example(P.F64, 10**1000)
def test_any_json_gives_a_value_or_errors_with_places(type_: WitType, json: Any) -> None:
    read: list[Value] = []
    details = details_of(ValueErrors, lambda: read.append(value_decoder(type_, HANDLES)(json)))
    assert all(detail.startswith("value") and ": " in detail for detail in details)
    # What was accepted is a value: it has a JSON, which is read as the same value.
    assert bool(read) != bool(details)
    assert all(same_value(value_decoder(type_, HANDLES)(value_encoder(type_, HANDLES)(value)), value) for value in read)


CARD = VariantType((Case("card", P.STRING), Case("cash", None)))
NESTED = OptionType(OptionType(P.STRING))
PERMISSIONS = FlagsType(("read", "write", "execute"))


@pytest.mark.parametrize(
    ("type_", "value", "json"),
    [
        (P.U64, 2**64 - 1, 18446744073709551615),
        (P.S64, -9007199254740993, -9007199254740993),
        (P.CHAR, "a", 97),
        (P.F32, 0.10000000149011612, 0.10000000149011612),
        (P.F64, float("inf"), "Infinity"),
        (P.F64, float("-inf"), "-Infinity"),
        (ListType(P.U8), b"\x01\x02", [1, 2]),
        (TupleType((P.U32, P.STRING)), (10, "hello"), [10, "hello"]),
        (
            RecordType((Field("product-id", P.STRING), Field("note", OptionType(P.STRING)))),
            {"product-id": "p1", "note": None},
            {"product-id": "p1", "note": None},
        ),
        (CARD, ("card", "4111"), {"card": "4111"}),
        (CARD, ("cash", None), {"cash": None}),
        (EnumType(("low", "high")), "low", "low"),
        (PERMISSIONS, ["read", "execute"], ["read", "execute"]),
        (NESTED, None, None),
        (NESTED, (None,), {"some": None}),
        (NESTED, ("x",), {"some": "x"}),
        (OptionType(NESTED), ((None,),), {"some": {"some": None}}),
        (ResultType(P.U64, P.STRING), ("ok", 1), {"ok": 1}),
        (ResultType(None, P.STRING), ("ok", None), {"ok": None}),
        (HandleType(0, owned=True, host=False), 3, "urn:worker:a3c1a3c1-0000-4000-8000-000000000001/w-1/3"),
    ],
)
def test_json_form_is_the_contracts(type_: WitType, value: Value, json: Any) -> None:
    assert value_encoder(type_, HANDLES)(value) == json
    assert same_value(value_decoder(type_, HANDLES)(json), value)


@pytest.mark.parametrize(
    ("type_", "json", "value"),
    [
        (P.U32, 1e3, 1000),
        (P.F64, 1, 1.0),
        (P.F32, 0.1, 0.10000000149011612),
        (NESTED, "x", ("x",)),
        (PERMISSIONS, ["execute", "read", "read"], ["read", "execute"]),
        (RecordType((Field("a", OptionType(P.U8)),)), {"other": 1}, {"a": None}),
        (ResultType(P.U8, P.U8), {"err": 1, "ok": 2}, ("ok", 2)),
    ],
)
def test_other_forms_are_accepted_on_input(type_: WitType, json: Any, value: Value) -> None:
    assert same_value(value_decoder(type_)(json), value)


@pytest.mark.parametrize(
    ("type_", "json", "detail"),
    [
        (P.BOOL, 1, "value: expected bool, got number"),
        (P.U8, True, "value: expected u8, got boolean"),
        (P.U8, 300, "value: value 300 is not within the range of 0 to 255"),
        (P.S32, 1.9, "value: expected s32, got 1.9, which has a fraction"),
        (P.U64, 1.0, "value: expected u64 as an integer literal, got 1.0"),
        (P.S64, 1e18, "value: expected s64, got 1e+18, which has no exact integer value"),
        (P.F64, "1", "value: expected f64, got string"),
        (
            P.F32,
            1e39,
            "value: value 1e+39 is not within the range of -3.4028234663852886e+38 to 3.4028234663852886e+38",
        ),
        (P.CHAR, "a", "value: expected char, got string"),
        (P.CHAR, 55296, "value: The value 55296 cannot be converted to a char"),
        (P.STRING, None, "value: expected string, got null"),
        (P.STRING, "\ud800", "value: expected string, got one with an unpaired surrogate"),
        (
            ListType(P.U8),
            [1, True, 256],
            "value[1]: expected u8, got boolean|value[2]: value 256 is not within the range of 0 to 255",
        ),
        (ListType(P.STRING), {}, "value: expected list, got record"),
        (TupleType((P.U8, P.U8)), [1], "value: expected tuple of 2, got list of 1"),
        (
            RecordType((Field("a", P.U8), Field("b", P.U8))),
            {"b": "x"},
            "value.a: key 'a' not found|value.b: expected u8, got string",
        ),
        (CARD, "cash", "value: expected variant as a record with one key, got string"),
        (CARD, {"card": "1", "cash": None}, "value: expected variant with one key, got 2 keys"),
        (CARD, {}, "value: Zero variants in the input"),
        (CARD, {"gold": 1}, "value: Unknown key gold in the variant"),
        (CARD, {"cash": 1}, "value: Unit variant cash has non-null JSON value"),
        (CARD, {"card": 1}, "value.card: expected string, got number"),
        (EnumType(("low", "high")), "mid", "value: Invalid input mid. Valid values are low,high"),
        (PERMISSIONS, ["read", "fly"], "value[1]: Invalid input fly. Valid values are read,write,execute"),
        (ResultType(P.U8, None), {}, "value: Failed to retrieve either ok value or err value"),
        (ResultType(P.U8, None), {"err": 1}, "value: The type of err is absent, but some JSON value was provided"),
        (NESTED, {"some": 1}, "value.some: expected string, got number"),
        (
            HandleType(0, True, False),
            3,
            "value: expected handle, represented by a worker-url/resource-id string, got number",
        ),
        (HandleType(0, True, False), "urn:worker:x/w/3", "value: the handle belongs to another worker"),
        (
            HandleType(0, True, False),
            f"urn:worker:{WORKER}/x",
            "value: Failed to parse resource-id section of the handle value: x",
        ),
    ],
)
def test_wrong_value_is_told_with_its_place(type_: WitType, json: Any, detail: str) -> None:
    with pytest.raises(ValueErrors) as caught:
        value_decoder(type_, HANDLES)(json)
    assert list(caught.value.details) == detail.split("|")


def test_faults_of_one_answer_are_bounded() -> None:
    with pytest.raises(ValueErrors) as caught:
        value_decoder(ListType(P.STRING))([1] * 100_000)
    assert len(caught.value.details) == MAX_FAULTS


def test_a_small_wrong_value_deep_in_a_type_is_found_at_once() -> None:
    type_: WitType = P.U8
    json: Any = "x"
    for _ in range(60):
        type_, json = TupleType((type_, P.U8)), [json, "y"]
    with pytest.raises(ValueErrors) as caught:
        value_decoder(type_)(json)
    assert len(caught.value.details) == 61


ITEM = RecordType((Field("name", P.STRING), Field("price", P.F64)))
ORDER = SignatureJson(
    FunctionType((Parameter("order", RecordType((Field("items", ListType(ITEM)),))), Parameter("count", P.U32)), P.U64)
)


@pytest.mark.parametrize(
    "params",
    [
        [{"items": [{"name": "a", "price": 1.5}]}, 2],
        [{"value": {"items": [{"name": "a", "price": 1.5}]}}, {"value": 2}],
        [{"items": [{"name": "a", "price": 1.5}]}, {"value": 2}],
    ],
)
def test_parameters_may_be_wrapped_or_bare(params: Any) -> None:
    assert ORDER.decode_parameters(params, WORKER) == [{"items": [{"name": "a", "price": 1.5}]}, 2]


def test_annotated_parameters_are_checked_against_their_own_type() -> None:
    signature = SignatureJson(FunctionType((Parameter("a", P.U64),), None))
    assert signature.decode_parameters([{"typ": {"type": "U32"}, "value": 5}], WORKER) == [5]
    with pytest.raises(ValueErrors, match=r"^params\[0\]: expected string, got number$"):
        signature.decode_parameters([{"typ": {"type": "Str"}, "value": 5}], WORKER)
    with pytest.raises(InvalidInput, match=r'^params\[0\].typ: unknown type "U65"$'):
        signature.decode_parameters([{"typ": {"type": "U65"}, "value": 5}], WORKER)


def test_wrong_parameters_are_told_by_position_all_at_once() -> None:
    wrong = {"items": [{"name": "a", "price": 1}, {"name": "b", "price": 2}, {"name": "c", "price": "3"}]}
    with pytest.raises(ValueErrors) as caught:
        ORDER.decode_parameters([wrong, -1], WORKER)
    assert list(caught.value.details) == [
        "params[0].items[2].price: expected f64, got string",
        "params[1]: value -1 is not within the range of 0 to 4294967295",
    ]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ([1], "expected 2, got 1 parameters"),
        ({}, "params: expected a list"),
        ([{"typ": {"type": "U8"}, "value": 1}, 2], "Some parameters have types specified, while others don't."),
    ],
)
def test_wrong_list_of_parameters_is_refused(params: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message.replace("[", r"\[")):
        ORDER.decode_parameters(params, WORKER)


def test_result_is_annotated_and_absent_for_a_function_without_one() -> None:
    assert ORDER.encode_result(42, WORKER) == {"typ": {"type": "U64"}, "value": 42}
    assert SignatureJson(FunctionType((), None)).encode_result(None, WORKER) is None
    cart = SignatureJson(FunctionType((), HandleType(1, owned=True, host=False)))
    assert cart.encode_result(3, WORKER) == {
        "typ": {"type": "Handle", "resource_id": 1, "mode": "Owned"},
        "value": f"urn:worker:{WORKER}/3",
    }


@given(JSON | st.lists(JSON, min_size=2, max_size=2))
def test_any_json_as_parameters_raises_nothing_but_invalid_input(json: Any) -> None:
    details_of(InvalidInput, lambda: ORDER.decode_parameters(json, WORKER))


def test_a_number_of_thousands_of_digits_is_told_without_its_digits() -> None:
    with pytest.raises(ValueErrors, match="value of 16610 bits is not within the range"):
        value_decoder(P.U64)(10**5000)
