"""`wit-value` and `wit-type` node lists of guests, to and from values, types and JSON."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golem_server.model.errors import InvalidInput
from golem_server.model.ids import ComponentId, WorkerId
from golem_server.model.json_types import type_from_json, type_to_json
from golem_server.model.json_values import WorkerHandles
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
from golem_server.model.wit_types import MAX_TYPE_SIZE
from golem_server.model.wit_values import (
    FREE_HANDLES,
    nodes_to_type,
    nodes_to_value,
    type_json_to_nodes,
    type_nodes_to_json,
    type_to_nodes,
    value_and_type_record,
    value_and_type_value,
    value_to_nodes,
)
from tests.model.wit_strategies import details_of, same_value, typed_values, wit_types

WORKER = WorkerId(ComponentId(UUID(int=7)), "w")
HANDLES = WorkerHandles(WORKER)


@pytest.mark.parametrize(
    ("type_", "value", "nodes"),
    [
        (P.U8, 5, [("prim-u8", 5)]),
        (P.F32, 0.5, [("prim-float32", 0.5)]),
        (ListType(P.U8), b"\x01\x02", [("list-value", [1, 2]), ("prim-u8", 1), ("prim-u8", 2)]),
        (
            RecordType((Field("a", P.STRING), Field("b", OptionType(P.BOOL)))),
            {"a": "x", "b": True},
            [("record-value", [1, 2]), ("prim-string", "x"), ("option-value", 3), ("prim-bool", True)],
        ),
        (
            VariantType((Case("a", None), Case("b", P.CHAR))),
            ("b", "c"),
            [("variant-value", (1, 1)), ("prim-char", "c")],
        ),
        (VariantType((Case("a", None),)), ("a", None), [("variant-value", (0, None))]),
        (EnumType(("low", "high")), "high", [("enum-value", 1)]),
        (FlagsType(("r", "w", "x")), ["r", "x"], [("flags-value", [True, False, True])]),
        (ResultType(P.U64, None), ("ok", 1), [("result-value", ("ok", 1)), ("prim-u64", 1)]),
        (ResultType(P.U64, None), ("err", None), [("result-value", ("err", None))]),
        (OptionType(OptionType(P.U8)), (None,), [("option-value", 1), ("option-value", None)]),
        (HandleType(0, True, False), 3, [("handle", ({"value": f"urn:worker:{WORKER}"}, 3))]),
    ],
)
def test_values_are_written_parents_first(type_: WitType, value: Value, nodes: Any) -> None:
    assert value_to_nodes(value, type_, HANDLES) == {"nodes": nodes}
    assert same_value(nodes_to_value({"nodes": nodes}, type_, HANDLES), value)


@given(typed_values(handles=True))
def test_values_come_back_from_nodes_and_through_messagepack(typed: tuple[WitType, Value]) -> None:
    type_, value = typed
    nodes = value_to_nodes(value, type_, HANDLES)
    assert same_value(nodes_to_value(nodes, type_, HANDLES), value)
    packed = msgspec.msgpack.decode(msgspec.msgpack.encode(nodes))
    assert same_value(nodes_to_value(packed, type_, HANDLES), value)


@given(typed_values(), st.randoms(use_true_random=False))
def test_nodes_are_read_in_any_order(typed: tuple[WitType, Value], random: Any) -> None:
    type_, value = typed
    nodes = value_to_nodes(value, type_)["nodes"]
    places = [0, *random.sample(range(1, len(nodes)), len(nodes) - 1)]
    moved: list[Any] = [None] * len(nodes)
    for at, node in enumerate(nodes):
        moved[places[at]] = _moved(node, places)
    assert same_value(nodes_to_value({"nodes": moved}, type_), value)


def _moved(node: Any, places: list[int]) -> Any:
    """The node, its parts being at other places."""
    case, payload = node
    if case in ("record-value", "tuple-value", "list-value"):
        return case, [places[at] for at in payload]
    if case == "option-value":
        return case, None if payload is None else places[payload]
    if case in ("variant-value", "result-value"):
        return case, (payload[0], None if payload[1] is None else places[payload[1]])
    return node


PAIR = TupleType((P.U8, P.U8))
NO_FLAGS: Value = ("flags-value", [])


@pytest.mark.parametrize(
    ("type_", "nodes", "message"),
    [
        (P.CHAR, [("prim-u8", 5)], "expected prim-char, got prim-u8 in value node 0"),
        (P.U8, [("prim-u16", 5)], "expected prim-u8, got prim-u16 in value node 0"),
        (PAIR, [("tuple-value", [1, 2]), ("prim-u8", 1)], "a value node refers to a node that does not exist"),
        (PAIR, [("tuple-value", [1, -1]), ("prim-u8", 1)], "a value node refers to a node that does not exist"),
        (PAIR, [("tuple-value", [0, 0])], "expected prim-u8, got tuple-value in value node 0"),
        (PAIR, [("tuple-value", [1]), ("prim-u8", 1)], "expected tuple of 2, got tuple of 1 in value node 0"),
        (EnumType(("a",)), [("enum-value", 1)], "expected one of 1 cases, got case 1 in value node 0"),
        (FlagsType(("a",)), [NO_FLAGS], "expected 1 flags, got 0 in value node 0"),
        (OptionType(P.U8), [("option-value", 0)], "expected prim-u8, got option-value in value node 0"),
        (
            VariantType((Case("a", None),)),
            [("variant-value", (0, 0))],
            "the case in value node 0 has a payload, which its type has not",
        ),
        (ResultType(P.U8, None), [("result-value", ("ok", None))], "the case in value node 0 lacks its payload"),
        (HandleType(0, True, False), [("handle", ({"value": "x"}, 1))], "a handle cannot be given here"),
    ],
)
def test_wrong_nodes_are_refused(type_: WitType, nodes: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{message}$"):
        nodes_to_value({"nodes": nodes}, type_)


def test_no_nodes_are_no_value() -> None:
    with pytest.raises(InvalidInput, match="a value node refers to a node that does not exist"):
        nodes_to_value({"nodes": []}, P.U8)


def test_shared_nodes_are_read_as_often_as_they_are_used() -> None:
    nodes = [("tuple-value", [1, 1]), ("prim-u8", 5)]
    assert nodes_to_value({"nodes": nodes}, PAIR) == (5, 5)


def test_a_short_list_that_stands_for_a_huge_value_is_refused_in_bounded_time() -> None:
    type_: WitType = P.U8
    nodes: list[Any] = []
    for depth in range(12):
        type_ = ListType(type_)
        nodes.append(("list-value", [depth + 1] * 10))
    nodes.append(("prim-u8", 1))
    begin = time.perf_counter()
    with pytest.raises(InvalidInput, match="used more than 100000 times"):
        nodes_to_value({"nodes": nodes}, type_)
    assert time.perf_counter() - begin < 5


def test_a_handle_of_any_worker_is_a_text() -> None:
    type_ = HandleType(0, True, False)
    nodes = {"nodes": [("handle", ({"value": "urn:worker:c/a(1)"}, 12))]}
    assert nodes_to_value(nodes, type_, FREE_HANDLES) == "urn:worker:c/a(1)/12"
    assert value_to_nodes("urn:worker:c/a(1)/12", type_, FREE_HANDLES) == nodes
    for wrong in ("12", "x/", "x/-1", "x/y", f"x/{1 << 64}"):
        with pytest.raises(ValueError, match="handle"):
            FREE_HANDLES.decode(wrong)


@given(wit_types(handles=True))
def test_types_come_back_from_nodes_and_through_json(type_: WitType) -> None:
    named = type_to_nodes(type_)
    assert nodes_to_type(named) == type_
    assert nodes_to_type(msgspec.msgpack.decode(msgspec.msgpack.encode(named))) == type_
    assert nodes_to_type(type_to_nodes(type_, named=False)) == type_
    assert type_nodes_to_json(named) == type_to_json(type_)
    assert type_json_to_nodes(type_nodes_to_json(named)) == named


def test_names_and_owners_of_types_are_kept() -> None:
    json = {
        "type": "Record",
        "fields": [{"name": "level", "typ": {"type": "Enum", "cases": ["a"], "name": "Level", "owner": "shop"}}],
        "name": "Item",
    }
    nodes = type_json_to_nodes(json)
    assert nodes == {
        "nodes": [
            {"name": "Item", "owner": None, "type": ("record-type", [("level", 1)])},
            {"name": "Level", "owner": "shop", "type": ("enum-type", ["a"])},
        ]
    }
    assert type_nodes_to_json(nodes) == json
    assert type_from_json(json) == nodes_to_type(nodes)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([], "the type refers to type node 0, which does not exist"),
        ([("list-type", 1)], "type node 0 refers to type node 1, which does not exist"),
        ([("list-type", -1)], "type node 0 refers to type node -1, which does not exist"),
        ([("list-type", 0)], "type node 0 contains itself"),
        ([("option-type", 1), ("tuple-type", [2, 0]), ("prim-u8-type", None)], "type node 0 contains itself"),
        ([*(("list-type", at + 1) for at in range(200)), ("prim-u8-type", None)], "nested deeper than 100 levels"),
        (
            [*(("tuple-type", [at + 1, at + 1]) for at in range(60)), ("prim-u8-type", None)],
            f"the type has more than {MAX_TYPE_SIZE} parts",
        ),
    ],
)
def test_wrong_type_nodes_are_refused(nodes: Any, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        nodes_to_type({"nodes": nodes})


def test_shared_type_nodes_are_one_type() -> None:
    nodes = [("tuple-type", [1, 1]), ("prim-u8-type", None)]
    assert nodes_to_type({"nodes": nodes}) == PAIR


INDEXES = st.integers(-2, 6)
VALUE_NODES = st.one_of(
    st.tuples(st.sampled_from(["record-value", "tuple-value", "list-value"]), st.lists(INDEXES, max_size=4)),
    st.tuples(st.just("variant-value"), st.tuples(st.integers(0, 5), st.none() | INDEXES)),
    st.tuples(st.just("result-value"), st.tuples(st.sampled_from(["ok", "err"]), st.none() | INDEXES)),
    st.tuples(st.just("option-value"), st.none() | INDEXES),
    st.tuples(st.just("flags-value"), st.lists(st.booleans(), max_size=4)),
    st.tuples(st.just("enum-value"), st.integers(0, 5)),
    st.tuples(st.just("prim-string"), st.text(max_size=3)),
    st.tuples(st.just("prim-u8"), st.integers(0, 255)),
)
TYPE_NODES = st.one_of(
    st.tuples(st.sampled_from(["list-type", "option-type"]), INDEXES),
    st.tuples(st.just("tuple-type"), st.lists(INDEXES, max_size=4)),
    st.tuples(st.just("record-type"), st.lists(st.tuples(st.text(max_size=2), INDEXES), max_size=3)),
    st.tuples(st.just("result-type"), st.tuples(st.none() | INDEXES, st.none() | INDEXES)),
    st.just(("prim-u8-type", None)),
)


@given(wit_types(), st.lists(VALUE_NODES, max_size=7))
def test_any_value_nodes_raise_nothing_but_invalid_input(type_: WitType, nodes: Any) -> None:
    details_of(InvalidInput, lambda: nodes_to_value({"nodes": nodes}, type_))


@given(st.lists(TYPE_NODES, max_size=7))
def test_any_type_nodes_raise_nothing_but_invalid_input(nodes: Any) -> None:
    details_of(InvalidInput, lambda: nodes_to_type({"nodes": nodes}))


def test_value_and_type() -> None:
    record = value_and_type_record({"a": 5}, RecordType((Field("a", P.U8),)))
    assert record["value"] == {"nodes": [("record-value", [1]), ("prim-u8", 5)]}
    assert value_and_type_value(record) == (RecordType((Field("a", P.U8),)), {"a": 5})
