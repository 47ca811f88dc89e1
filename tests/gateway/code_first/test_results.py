"""Results of every kind are answered as the table says (reference: gateway, section 3.4)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golem_server.gateway.code_first.declarations import InvalidDeclaration
from golem_server.gateway.code_first.failures import RequestFailure
from golem_server.gateway.code_first.results import responder
from golem_server.gateway.responses import GatewayResponse
from golem_server.model.data_values import DataSchema
from golem_server.model.types import OptionType, Primitive, ResultType, Value, WitType
from golem_server.model.wit_types import type_to_nodes
from tests.model.agent_strategies import with_lists
from tests.model.wit_strategies import values_of, wit_types


def schema_of(type_: WitType) -> DataSchema:
    """A result of that type."""
    return DataSchema.from_guest(("tuple", [("result", ("component-model", type_to_nodes(type_)))]))


def answer(type_: WitType, value: Value) -> tuple[int, Any]:
    """The status and JSON of a result, None where there is no body."""
    schema = schema_of(type_)
    # Results come back from the oplog with lists in the place of tuples.
    response = responder(schema)(with_lists(schema.from_values([("result", value)])))
    assert isinstance(response.body, bytes)
    assert (response.headers == [("content-type", "application/json")]) is bool(response.body)
    return response.status, json.loads(response.body) if response.body else None


@pytest.mark.parametrize(
    ("type_", "value", "status", "body"),
    [
        (Primitive.U64, 2**64 - 1, 200, 2**64 - 1),
        (Primitive.F64, float("nan"), 200, "NaN"),
        (OptionType(Primitive.STRING), None, 404, None),
        (OptionType(Primitive.STRING), "", 200, ""),
        (OptionType(OptionType(Primitive.STRING)), None, 404, None),
        (OptionType(OptionType(Primitive.STRING)), ("x",), 200, "x"),
        (OptionType(ResultType(None, None)), ("err", None), 200, {"err": None}),
        (ResultType(Primitive.U8, Primitive.STRING), ("ok", 1), 200, 1),
        (ResultType(Primitive.U8, Primitive.STRING), ("err", "no"), 500, "no"),
        (ResultType(None, None), ("ok", None), 204, None),
        (ResultType(None, None), ("err", None), 500, None),
        (ResultType(OptionType(Primitive.U8), None), ("ok", 1), 200, 1),
    ],
)
def test_the_outermost_option_or_result_tells_the_status(type_: WitType, value: Value, status: int, body: Any) -> None:
    assert answer(type_, value) == (status, body)


def test_none_inside_of_an_option_is_a_value() -> None:
    assert (
        responder(schema_of(OptionType(OptionType(Primitive.U8))))(
            schema_of(OptionType(OptionType(Primitive.U8))).from_values([("result", (None,))])
        ).body
        == b"null"
    )


@given(st.data())
def test_every_value_has_an_answer(data: st.DataObject) -> None:
    type_ = data.draw(wit_types())
    value = data.draw(values_of(type_))
    status, _ = answer(type_, value)
    assert status in (200, 204, 404, 500)


def reference(kind: str, value: Value) -> GatewayResponse:
    """The answer for a text or bytes."""
    schema = DataSchema.from_guest(("tuple", [("result", (kind, {"restrictions": None}))]))
    return responder(schema)(("tuple", [(kind, value)]))


def test_texts_and_bytes_are_answered_as_they_are() -> None:
    plain = reference("unstructured-text", ("inline", {"data": "ö", "text-type": None}))
    assert (plain.status, plain.headers, plain.body) == (
        200,
        [("content-type", "text/plain; charset=utf-8")],
        "ö".encode(),
    )
    german = reference("unstructured-text", ("inline", {"data": "ö", "text-type": {"language-code": "de"}}))
    assert german.headers[1] == ("content-language", "de")
    image = reference("unstructured-binary", ("inline", {"data": b"\0", "binary-type": {"mime-type": "image/png"}}))
    assert (image.status, image.headers, image.body) == (200, [("content-type", "image/png")], b"\0")
    for kind in ("unstructured-text", "unstructured-binary"):
        with pytest.raises(RequestFailure, match="address of a text or bytes"):
            reference(kind, ("url", "https://example.org"))


def test_the_result_of_another_method_is_told_from_ones_own() -> None:
    respond = responder(schema_of(Primitive.U8))
    string = schema_of(Primitive.STRING).from_values([("result", "x")])
    others: list[Value] = [None, ("tuple", []), ("multimodal", []), string]
    for other in others:
        with pytest.raises(RequestFailure) as refused:
            respond(other)
        assert refused.value.status == 409


def test_nothing_is_answered_with_no_content() -> None:
    assert responder(DataSchema.from_guest(("tuple", [])))(("tuple", [])).status == 204


def test_results_that_no_answer_has_are_refused() -> None:
    element = ("component-model", type_to_nodes(Primitive.U8))
    for case, elements in (("multimodal", [("a", element)]), ("tuple", [("a", element), ("b", element)])):
        with pytest.raises(InvalidDeclaration):
            responder(DataSchema.from_guest((case, elements)))
