"""The methods of agents as WIT functions, which is how guests of Golem 1.4 call them: `counter.{increment-by}`.

In that version an agent's component also exported an interface for each agent type. It was named by the type in kebab
case and had a function for each method: an element of the input schema was a parameter, and the single element of the
output schema the result. Guests still ask for these functions; no component needs to have them.

- A component-model element is a value of its type, a text or bytes the reference's variant.
- More than one element of an output are a tuple, none is no result.
- A multimodal value is a list of variants with a case for each kind of element.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from golem_server.model.agent_types import AgentMethod, AgentType
from golem_server.model.data_elements import ElementSchema
from golem_server.model.data_values import DataSchema
from golem_server.model.errors import InvalidInput
from golem_server.model.function_names import Operation, parse_function_name
from golem_server.model.types import (
    Case,
    Field,
    FunctionType,
    ListType,
    OptionType,
    Parameter,
    Primitive,
    RecordType,
    TupleType,
    Value,
    VariantType,
    WitType,
)

_TEXT_TYPE = RecordType((Field("language-code", Primitive.STRING),))
_BINARY_TYPE = RecordType((Field("mime-type", Primitive.STRING),))


def _reference(data: WitType, type_name: str, type_: WitType) -> VariantType:
    source = RecordType((Field("data", data), Field(type_name, type_)))
    return VariantType((Case("url", Primitive.STRING), Case("inline", source)))


TEXT_REFERENCE = _reference(Primitive.STRING, "text-type", OptionType(_TEXT_TYPE))
BINARY_REFERENCE = _reference(ListType(Primitive.U8), "binary-type", _BINARY_TYPE)

_WORDS_APART = re.compile(r"[^0-9A-Za-z]+")
_WORD_ENDS = re.compile(r"([a-z][0-9]*)(?=[A-Z])")
_ACRONYM_ENDS = re.compile(r"([A-Z][0-9]*)(?=[A-Z][a-z])")


def kebab_case(name: str) -> str:
    """A name of any spelling as WIT writes it: `HTTPServer2Agent` and `http_server2_agent` are `http-server2-agent`."""
    parted = _ACRONYM_ENDS.sub(r"\1-", _WORD_ENDS.sub(r"\1-", name))
    return "-".join(_WORDS_APART.split(parted)).strip("-").lower()


def method_of_function(type_: AgentType, name: str) -> AgentMethod:
    """The method that a function name means, with a package before the interface or without.

    Raises InvalidInput where it is no name, or that of a function of another agent type, or there is no such method.
    """
    parsed = parse_function_name(name)
    if parsed.interface is None or parsed.operation is not Operation.CALL or parsed.resource is not None:
        raise InvalidInput(f"{name[:200]} is no method of an agent, which is called as type.{{method}}")
    interface = kebab_case(parsed.interface.partition("@")[0].rpartition("/")[2])
    if interface != kebab_case(type_.name):
        raise InvalidInput(f"{name[:200]} is a method of another agent type than {type_.name}, which the target has")
    function = kebab_case(parsed.candidates[0])
    found = next((method for method in type_.methods if kebab_case(method.name) == function), None)
    if found is None:
        raise InvalidInput(f"Agent type {type_.name} has no method for {name[:200]}")
    return found


def function_type(method: AgentMethod) -> FunctionType:
    """The signature of the function that a method is."""
    taken, given = method.input_schema, method.output_schema
    if taken.multimodal:
        parameters = (Parameter("input", _multimodal(taken)),)
    else:
        parameters = tuple(Parameter(element.name, _element(element)) for element in taken.elements)
    return FunctionType(parameters, _result(given))


def input_of_parameters(schema: DataSchema, parameters: Sequence[Value]) -> Value:
    """The data value that a method is called with for these values of the function's parameters."""
    if schema.multimodal:
        return schema.from_values(list(parameters[0]))
    return schema.from_values(
        [(element.name, value) for element, value in zip(schema.elements, parameters, strict=True)]
    )


def result_of_output(schema: DataSchema, output: Value) -> Value:
    """What the function gives for the method's data value; None where it has no result.

    Raises InvalidInput where the data value, being a guest's, does not fit the schema.
    """
    values = schema.values(output)
    if schema.multimodal:
        return values
    if len(values) == 1:
        return values[0][1]
    return tuple(value for _, value in values) if values else None


def _result(schema: DataSchema) -> WitType | None:
    if schema.multimodal:
        return _multimodal(schema)
    types = tuple(_element(element) for element in schema.elements)
    if len(types) == 1:
        return types[0]
    return TupleType(types) if types else None


def _multimodal(schema: DataSchema) -> WitType:
    return ListType(VariantType(tuple(Case(element.name, _element(element)) for element in schema.elements)))


def _element(schema: ElementSchema) -> WitType:
    if schema.type is not None:
        return schema.type
    return TEXT_REFERENCE if schema.kind == "unstructured-text" else BINARY_REFERENCE
