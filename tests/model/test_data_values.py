"""Data values of agents and their JSON."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import assume, given, settings

from golem_server.model.data_values import UNIT, DataSchema, DataValueErrors
from golem_server.model.errors import InvalidInput
from golem_server.model.types import Field, HandleType, OptionType, RecordType, Value, WitType
from golem_server.model.types import Primitive as P
from golem_server.model.wit_values import type_to_nodes, value_to_nodes
from tests.model.agent_strategies import data_values, has_nested_option, schemas
from tests.model.wit_strategies import JSON, details_of, same_value


def model(type_: WitType) -> Value:
    """A component-model element's schema."""
    return "component-model", type_to_nodes(type_)


def component(value: Value, type_: WitType) -> Value:
    """A component-model element."""
    return "component-model", value_to_nodes(value, type_)


ITEM = RecordType((Field("sku", P.STRING), Field("price-cents", P.F64), Field("note", OptionType(P.STRING))))
TEXT: Value = ("unstructured-text", {"restrictions": [{"language-code": "en"}, {"language-code": "de"}]})
PICTURE: Value = ("unstructured-binary", {"restrictions": [{"mime-type": "image/png"}]})
ANY_TEXT: Value = ("unstructured-text", {"restrictions": None})
SCHEMA = DataSchema.from_guest(("tuple", [("item", model(ITEM)), ("text", TEXT), ("picture", PICTURE)]))
PAGES = DataSchema.from_guest(("multimodal", [("text", ANY_TEXT), ("picture", PICTURE), ("number", model(P.U8))]))

NO_PAGES: Value = ("multimodal", [])

VALUE: Value = (
    "tuple",
    [
        component({"sku": "b-1", "price-cents": 1.5, "note": None}, ITEM),
        ("unstructured-text", ("inline", {"data": "hi", "text-type": {"language-code": "de"}})),
        ("unstructured-binary", ("inline", {"data": b"\x00\xff", "binary-type": {"mime-type": "image/png"}})),
    ],
)
VALUE_JSON: Any = {
    "type": "Tuple",
    "elements": [
        {"type": "ComponentModel", "value": {"sku": "b-1", "price-cents": 1.5, "note": None}},
        {"type": "UnstructuredText", "value": {"type": "Inline", "data": "hi", "textType": {"languageCode": "de"}}},
        {
            "type": "UnstructuredBinary",
            "value": {"type": "Inline", "data": [0, 255], "binaryType": {"mimeType": "image/png"}},
        },
    ],
}


def _text(reference: Any) -> Any:
    return {"type": "UnstructuredText", "value": reference}


def test_json_of_a_tuple() -> None:
    assert SCHEMA.encode(VALUE) == VALUE_JSON
    assert SCHEMA.decode(VALUE_JSON) == VALUE


def test_json_of_a_multimodal_value_in_any_order() -> None:
    value = (
        "multimodal",
        [
            ("number", component(7, P.U8)),
            ("text", ("unstructured-text", ("url", "https://x.example/a"))),
            ("number", component(8, P.U8)),
            ("text", ("unstructured-text", ("inline", {"data": "hi", "text-type": None}))),
        ],
    )
    json = {
        "type": "Multimodal",
        "elements": [
            {"name": "number", "value": {"type": "ComponentModel", "value": 7}},
            {
                "name": "text",
                "value": _text({"type": "Url", "value": "https://x.example/a"}),
            },
            {"name": "number", "value": {"type": "ComponentModel", "value": 8}},
            {
                "name": "text",
                "value": _text({"type": "Inline", "data": "hi", "textType": None}),
            },
        ],
    }
    assert PAGES.encode(value) == json
    assert PAGES.decode(json) == value


def test_an_element_of_unknown_name_is_found_by_its_position() -> None:
    json = {
        "type": "Multimodal",
        "elements": [{"name": "0", "value": {"type": "UnstructuredText", "value": {"type": "Url", "value": "u"}}}],
    }
    assert PAGES.decode(json) == ("multimodal", [("text", ("unstructured-text", ("url", "u")))])


def test_nothing_is_an_empty_tuple() -> None:
    schema = DataSchema.from_guest(("tuple", []))
    assert schema.is_unit
    assert schema.encode(UNIT) == {"type": "Tuple", "elements": []}
    assert schema.decode({"type": "Tuple", "elements": []}) == UNIT


def test_an_option_within_an_option_is_null_or_the_value_alone() -> None:
    type_ = OptionType(OptionType(P.U8))
    schema = DataSchema.from_guest(("tuple", [("a", model(type_))]))
    for value, json in [((5,), 5), (None, None)]:
        assert schema.encode(("tuple", [component(value, type_)]))["elements"][0]["value"] == json
        assert schema.decode(_one(json)) == ("tuple", [component(value, type_)])
    assert schema.encode(("tuple", [component((None,), type_)]))["elements"][0]["value"] is None


def test_a_record_with_the_one_field_some_within_an_option_is_no_option() -> None:
    type_ = OptionType(OptionType(RecordType((Field("some", P.U8),))))
    schema = DataSchema.from_guest(("tuple", [("a", model(type_))]))
    assert schema.decode(_one({"some": 1})) == ("tuple", [component(({"some": 1},), type_)])


def test_handles_are_texts() -> None:
    schema = DataSchema.from_guest(("tuple", [("a", model(HandleType(0, True, False)))]))
    value = ("tuple", [("component-model", {"nodes": [("handle", ({"value": "urn:worker:c/w"}, 3))]})])
    assert schema.encode(value) == _one("urn:worker:c/w/3")
    assert schema.decode(_one("urn:worker:c/w/3")) == value


def _one(json: Any) -> Any:
    return {"type": "Tuple", "elements": [{"type": "ComponentModel", "value": json}]}


def test_what_oplogs_show_says_the_types() -> None:
    json = SCHEMA.typed_json(VALUE)
    assert json["elements"][1:] == [
        VALUE_JSON["elements"][1] | {"descriptor": {"restrictions": [{"languageCode": "en"}, {"languageCode": "de"}]}},
        VALUE_JSON["elements"][2] | {"descriptor": {"restrictions": [{"mimeType": "image/png"}]}},
    ]
    assert json["elements"][0]["value"]["value"] == VALUE_JSON["elements"][0]["value"]
    assert json["elements"][0]["value"]["typ"]["type"] == "Record"
    multimodal = PAGES.typed_json(("multimodal", [("number", component(7, P.U8))]))
    assert multimodal == {
        "type": "Multimodal",
        "elements": [
            {
                "name": "number",
                "value": {"type": "ComponentModel", "value": {"typ": {"type": "U8"}, "value": 7}},
                "schemaIndex": 2,
            }
        ],
    }


def _replaced(at: int, **changes: Any) -> Any:
    elements = [*VALUE_JSON["elements"]]
    elements[at] = elements[at] | changes
    return {"type": "Tuple", "elements": elements}


@pytest.mark.parametrize(
    ("json", "details"),
    [
        (None, ["parameters: expected a data value of type Tuple, got null"]),
        ({"type": "Multimodal", "elements": []}, ['parameters.type: expected "Tuple"']),
        ({"type": "Tuple", "elements": {}}, ["parameters.elements: expected list, got record"]),
        ({"type": "Tuple", "elements": []}, ["parameters.elements: expected 3, got 0 elements"]),
        (
            {"type": "Tuple", "elements": [1, *VALUE_JSON["elements"][1:]]},
            ["parameters.elements[0]: expected an element of type ComponentModel, got number"],
        ),
        (_replaced(0, type="UnstructuredText"), ['parameters.elements[0].type: expected "ComponentModel"']),
        (
            _replaced(0, value={"sku": 1}),
            [
                "parameters.elements[0].value.sku: expected string, got number",
                "parameters.elements[0].value.price-cents: key 'price-cents' not found",
            ],
        ),
        (_replaced(1, value="hi"), ['parameters.elements[1].value: expected a record with type "Url" or "Inline"']),
        (
            _replaced(1, value={"type": "Inline", "data": "salut", "textType": {"languageCode": "fr"}}),
            ["parameters.elements[1].value: language code fr is not one of en, de"],
        ),
        (
            _replaced(2, value={"type": "Inline", "data": [256], "binaryType": {"mimeType": "image/png"}}),
            ["parameters.elements[2].value.data[0]: value 256 is not within the range of 0 to 255"],
        ),
        (
            _replaced(2, value={"type": "Inline", "data": [], "binaryType": {"mimeType": "image/gif"}}),
            ["parameters.elements[2].value: mime type image/gif is not one of image/png"],
        ),
        (
            _replaced(2, value={"type": "Inline", "data": []}),
            ["parameters.elements[2].value: key 'binaryType' not found"],
        ),
    ],
)
def test_wrong_json_is_told_with_its_place(json: Any, details: list[str]) -> None:
    with pytest.raises(DataValueErrors) as caught:
        SCHEMA.decode(json, "parameters")
    assert list(caught.value.details) == details
    assert caught.value.code == "TYPE_CHECKER_ERROR"


def test_wrong_elements_of_a_multimodal_value_are_told_all_at_once() -> None:
    element = {"type": "ComponentModel", "value": 300}
    json = {
        "type": "Multimodal",
        "elements": [{"name": "number", "value": element}, 5, *([{"name": "x", "value": element}] * 2)],
    }
    with pytest.raises(DataValueErrors) as caught:
        PAGES.decode(json)
    assert list(caught.value.details) == [
        "value.elements[0].value.value: value 300 is not within the range of 0 to 255",
        "value.elements[1]: expected a record with name and value, got number",
        "value.elements[2].value.value: value 300 is not within the range of 0 to 255",
        "value.elements[3]: expected an element that is named one of text, picture, number",
    ]


@pytest.mark.parametrize(
    ("schema", "value", "message"),
    [
        (SCHEMA, NO_PAGES, "expected a tuple, got a multimodal data value"),
        (SCHEMA, UNIT, "expected 3, got 0 elements"),
        (PAGES, UNIT, "expected a multimodal data value, got a tuple"),
        (PAGES, ("multimodal", [("number", ("unstructured-text", ("url", "")))]), "expected an element of kind comp"),
        (PAGES, ("multimodal", [("number", component("x", P.STRING))]), "expected prim-u8, got prim-string"),
        (PAGES, ("multimodal", [("number", component(1, P.U8))] * 3 + [("x", component(1, P.U8))]), "no element x"),
    ],
)
def test_a_data_value_of_a_guest_must_fit(schema: DataSchema, value: Value, message: str) -> None:
    for action in (schema.check, schema.encode, schema.typed_json):
        with pytest.raises(InvalidInput, match=message):
            action(value)


@settings(max_examples=60)
@given(data_values())
def test_data_values_come_back_from_values_json_and_messagepack(given_: tuple[DataSchema, Value]) -> None:
    schema, value = given_
    assert same_value(schema.from_values(schema.values(value)), value)
    packed = msgspec.msgpack.decode(msgspec.msgpack.encode(value))
    assert same_value(schema.from_values(schema.values(packed)), value)
    assume(not any(element.type is not None and has_nested_option(element.type) for element in schema.elements))
    assert same_value(schema.decode(schema.encode(value)), value)


@settings(max_examples=60)
@given(schemas())
def test_schemas_come_back_from_both_forms(schema: DataSchema) -> None:
    assert DataSchema.from_json(schema.to_json()) == schema
    assert DataSchema.from_guest(schema.to_guest()) == schema


@given(JSON)
def test_any_json_raises_nothing_but_invalid_input(json: Any) -> None:
    details_of(InvalidInput, lambda: PAGES.decode(json))
    details_of(InvalidInput, lambda: DataSchema.from_json(json))
    for element in (json, {"type": "UnstructuredText", "value": json}, {"type": "ComponentModel", "value": json}):
        details_of(InvalidInput, lambda element=element: SCHEMA.decode({"type": "Tuple", "elements": [element] * 3}))
