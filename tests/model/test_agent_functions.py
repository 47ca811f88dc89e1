"""Methods of agents as WIT functions: their names, signatures and values."""

from __future__ import annotations

import pytest
from hypothesis import given

from golem_server.model.agent_functions import (
    function_type,
    input_of_parameters,
    kebab_case,
    method_of_function,
    result_of_output,
)
from golem_server.model.agent_types import AgentMethod, agent_types_from_guest
from golem_server.model.data_values import DataSchema
from golem_server.model.errors import InvalidInput
from golem_server.model.types import ListType, Primitive, Value
from golem_server.model.wit_values import FREE_HANDLES, nodes_to_value, value_to_nodes
from tests.model.agent_strategies import data_values, discovered
from tests.model.wit_strategies import same_value

TYPES = {type_.name: type_ for type_ in agent_types_from_guest(discovered("shop"))}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Counter", "counter"),
        ("RustRpcBenchmarkAgent", "rust-rpc-benchmark-agent"),
        ("increment_through_rpc", "increment-through-rpc"),
        ("XMLHttpRequest", "xml-http-request"),
        ("HTTPServer2Agent", "http-server2-agent"),
        ("valueF64", "value-f64"),
        ("a1B2C3", "a1-b2c3"),
        ("__already-kebab_", "already-kebab"),
        ("", ""),
    ],
)
def test_names_in_kebab_case(name: str, expected: str) -> None:
    assert kebab_case(name) == expected


@pytest.mark.parametrize(
    "name",
    [
        "catalog-agent.{set-leaflet}",
        "it:shop/catalog-agent.{set-leaflet}",
        "it:shop/catalog-agent@1.0.0.{set-leaflet}",
        "CatalogAgent.{setLeaflet}",
    ],
)
def test_a_function_is_a_method_in_any_spelling(name: str) -> None:
    method = method_of_function(TYPES["CatalogAgent"], name)
    assert method.name == "setLeaflet"
    assert [parameter.name for parameter in function_type(method).parameters] == ["text"]
    assert function_type(method).result is Primitive.F64


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("cart-agent.{add}", "another agent type than CatalogAgent"),
        ("catalog-agent.{add}", "has no method"),
        ("set-leaflet", "is no method"),
        ("catalog-agent.{catalog-agent.new}", "is no method"),
        ("catalog-agent.{x.y}", "is no method"),
        ("catalog-agent.{", "expected"),
    ],
)
def test_what_is_no_method_is_refused(name: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        method_of_function(TYPES["CatalogAgent"], name)


def _method(schema: DataSchema) -> AgentMethod:
    return AgentMethod("m", "", None, schema, schema, ())


@given(data_values())
def test_values_go_through_the_functions_types_and_back(pair: tuple[DataSchema, Value]) -> None:
    schema, value = pair
    type_ = function_type(_method(schema))
    result = result_of_output(schema, value)
    if type_.result is None:
        assert result is None
        parameters: list[Value] = []
    else:
        nodes = value_to_nodes(result, type_.result, FREE_HANDLES)
        read = nodes_to_value(nodes, type_.result, FREE_HANDLES)
        assert same_value(read, result)
        parameters = [read] if len(type_.parameters) == 1 else list(read)
    assert len(parameters) == (len(type_.parameters) if type_.result is not None else 0)
    assert same_value(input_of_parameters(schema, parameters), value)


def test_a_multimodal_value_is_a_list_of_variants() -> None:
    schema = DataSchema.from_guest(
        ("multimodal", [("text", ("unstructured-text", {"restrictions": None})), ("picture", _PICTURE)])
    )
    (parameter,) = function_type(_method(schema)).parameters
    assert isinstance(parameter.type, ListType)
    reference: Value = ("url", "http://a/b.png")
    assert input_of_parameters(schema, [[("picture", reference)]]) == (
        "multimodal",
        [("picture", ("unstructured-binary", reference))],
    )


_PICTURE: Value = ("unstructured-binary", {"restrictions": [{"mime-type": "image/png"}]})
