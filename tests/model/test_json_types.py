"""Types and their JSON."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from golem_server.model.errors import InvalidInput
from golem_server.model.json_types import MAX_TYPE_DEPTH, type_from_json, type_to_json
from golem_server.model.types import (
    Case,
    Field,
    HandleType,
    OptionType,
    Primitive,
    RecordType,
    ResultType,
    VariantType,
    WitType,
)
from tests.model.wit_strategies import JSON, details_of, wit_types


@given(wit_types(handles=True))
def test_type_survives_its_json(type_: WitType) -> None:
    assert type_from_json(type_to_json(type_)) == type_


@given(JSON)
def test_any_json_is_a_type_or_invalid_input(json: Any) -> None:
    assert all(detail.startswith("typ") for detail in details_of(InvalidInput, lambda: type_from_json(json)))


def test_json_form_is_the_contracts() -> None:
    record = RecordType((Field("product-id", Primitive.STRING), Field("note", OptionType(Primitive.CHAR))))
    assert type_to_json(record) == {
        "type": "Record",
        "fields": [
            {"name": "product-id", "typ": {"type": "Str"}},
            {"name": "note", "typ": {"type": "Option", "inner": {"type": "Chr"}}},
        ],
    }
    assert type_to_json(VariantType((Case("cash", None),))) == {
        "type": "Variant",
        "cases": [{"name": "cash", "typ": None}],
    }
    assert type_to_json(ResultType(None, Primitive.U8)) == {"type": "Result", "ok": None, "err": {"type": "U8"}}
    assert type_to_json(HandleType(4, owned=False, host=False, name="cart")) == {
        "type": "Handle",
        "resource_id": 4,
        "mode": "Borrowed",
        "name": "cart",
    }


def test_names_of_types_are_ignored_on_input_and_absent_arms_may_be_left_out() -> None:
    assert type_from_json({"type": "Result", "name": "r", "owner": "a:b/c"}) == ResultType(None, None)


def test_wrong_type_is_told_with_its_place() -> None:
    json = {"type": "Record", "fields": [{"name": "a", "typ": {"type": "U8"}}, {"name": "b", "typ": {"type": "U65"}}]}
    with pytest.raises(InvalidInput, match=r'^params\[0\].typ.fields\[1\].typ: unknown type "U65"$'):
        type_from_json(json, "params[0].typ")


def test_type_nested_too_deeply_is_refused() -> None:
    json: dict[str, Any] = {"type": "U8"}
    for _ in range(MAX_TYPE_DEPTH + 1):
        json = {"type": "List", "inner": json}
    with pytest.raises(InvalidInput, match="nested deeper"):
        type_from_json(json)
