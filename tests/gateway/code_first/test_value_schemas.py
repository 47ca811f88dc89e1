"""The schemas of the OpenAPI document take the JSON that the server gives, and no other."""

from __future__ import annotations

from typing import Any, cast

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from golem_server.gateway.code_first.value_schemas import text_schema, value_schema
from golem_server.model.json_encoding import compile_encoder
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
from tests.model.wit_strategies import typed_values


def without_nullable(schema: Any) -> Any:
    """A schema of OpenAPI 3.0 as one of JSON Schema, which says in another way that something may be null."""
    if isinstance(schema, list):
        return [without_nullable(item) for item in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    items = cast("dict[str, Any]", schema)
    plain = {key: without_nullable(value) for key, value in items.items() if key != "nullable"}
    if items.get("nullable") is True and isinstance(plain.get("type"), str):
        plain["type"] = [plain["type"], "null"]
    return plain


def takes(type_: WitType, json: Any) -> bool:
    """Whether the schema of the type takes the JSON."""
    # The library's own types are not complete enough to be checked.
    validator: Any = jsonschema.Draft7Validator(without_nullable(value_schema(type_)))
    return validator.is_valid(json)


@given(typed_values())
def test_every_value_fits_its_schema(drawn: tuple[WitType, Value]) -> None:
    type_, value = drawn
    assert takes(type_, compile_encoder(type_, None, collapsed=True)(value))


@pytest.mark.parametrize(
    ("type_", "json"),
    [
        (Primitive.U8, 256),
        (Primitive.S8, -129),
        (Primitive.U64, -1),
        (Primitive.F64, "1"),
        (Primitive.BOOL, None),
        (Primitive.CHAR, "a"),
        (ListType(Primitive.BOOL), [1]),
        (TupleType((Primitive.BOOL, Primitive.U8)), [True]),
        (RecordType((Field("a", Primitive.U8),)), {}),
        (VariantType((Case("a", None), Case("b", Primitive.U8))), {"a": None, "b": 1}),
        (VariantType((Case("a", None), Case("b", Primitive.U8))), {"a": 1}),
        (OptionType(VariantType((Case("a", None),))), {}),
        (ResultType(None, Primitive.STRING), {"err": None}),
        (EnumType(("a",)), "b"),
        (OptionType(EnumType(("a",))), "b"),
        (FlagsType(("a",)), ["a", "a"]),
    ],
)
def test_json_of_no_value_is_not_taken(type_: WitType, json: Any) -> None:
    assert not takes(type_, json)


@given(st.sampled_from(Primitive))
def test_texts_have_the_schema_of_what_they_say(type_: Primitive) -> None:
    assert text_schema(OptionType(type_)) == text_schema(type_)
    assert text_schema(ListType(type_)) == {"type": "array", "items": text_schema(type_)}
    assert text_schema(type_)["type"] in ("string", "number", "integer", "boolean")
