"""Data values that are shown without their schema."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings

from golem_server.model.data_values import DataSchema
from golem_server.model.errors import InvalidInput
from golem_server.model.json_decoding import compile_decoder
from golem_server.model.json_types import type_from_json
from golem_server.model.types import Value
from golem_server.model.untyped_values import untyped_data_json
from golem_server.model.wit_values import FREE_HANDLES
from tests.model.agent_strategies import data_values


def shown(*nodes: Any) -> Any:
    """The type and the value that are shown of a component-model element."""
    return untyped_data_json(("tuple", [("component-model", {"nodes": nodes})]))["elements"][0]["value"]


U8 = {"type": "U8"}
NO_ITEMS: Value = ("list-value", [])


@pytest.mark.parametrize(
    ("nodes", "typ", "value"),
    [
        ([("prim-char", "a")], {"type": "Chr"}, 97),
        ([("record-value", [1, 1]), ("prim-u8", 5)], {"type": "Tuple", "items": [U8, U8]}, [5, 5]),
        ([("list-value", [1, 2]), ("prim-u8", 5), ("prim-u8", 6)], {"type": "List", "inner": U8}, [5, 6]),
        (
            [("list-value", [1, 2]), ("prim-u8", 5), ("prim-string", "x")],
            {"type": "Tuple", "items": [U8, {"type": "Str"}]},
            [5, "x"],
        ),
        ([NO_ITEMS], {"type": "List", "inner": {"type": "Bool"}}, NO_ITEMS[1]),
        ([("option-value", None)], {"type": "Option", "inner": {"type": "Bool"}}, None),
        (
            [("variant-value", (3, 1)), ("prim-u8", 5)],
            {"type": "Variant", "cases": [{"name": "case3", "typ": U8}]},
            {"case3": 5},
        ),
        ([("enum-value", 4_000_000_000)], {"type": "Enum", "cases": ["case4000000000"]}, "case4000000000"),
        ([("flags-value", [False, True])], {"type": "Flags", "names": ["flag0", "flag1"]}, ["flag1"]),
        ([("result-value", ("err", None))], {"type": "Result", "ok": None, "err": None}, {"err": None}),
        ([("handle", ({"value": "u"}, 3))], {"type": "Handle", "resource_id": 0, "mode": "Borrowed"}, "u/3"),
    ],
)
def test_a_type_is_made_up_that_fits(nodes: Any, typ: Any, value: Any) -> None:
    assert shown(*nodes) == {"typ": typ, "value": value}


def test_texts_and_bytes_are_shown_as_with_a_schema() -> None:
    schema = DataSchema.from_guest(("multimodal", [("a", ("unstructured-text", {"restrictions": None}))]))
    value = ("multimodal", [("a", ("unstructured-text", ("inline", {"data": "hi", "text-type": None})))])
    assert untyped_data_json(value) == schema.typed_json(value)


@settings(max_examples=60)
@given(data_values())
def test_what_is_shown_is_of_the_type_that_is_shown(typed: tuple[DataSchema, Value]) -> None:
    value = msgspec.msgpack.decode(msgspec.msgpack.encode(typed[1]))
    for element in untyped_data_json(value)["elements"]:
        element = element.get("value", {}) if "name" in element else element
        if element["type"] == "ComponentModel":
            compile_decoder(type_from_json(element["value"]["typ"]), FREE_HANDLES, collapsed=True)(
                element["value"]["value"]
            )


@pytest.mark.parametrize(
    "nodes",
    [
        [("list-value", [0])],
        [("option-value", 1)],
        [*(("list-value", [at + 1] * 10) for at in range(12)), ("prim-u8", 1)],
    ],
)
def test_what_cannot_be_shown_is_refused(nodes: Any) -> None:
    with pytest.raises(InvalidInput, match="too large to be shown"):
        shown(*nodes)
