"""What tools take and give, as JSON Schema 2020-12.

Types are described as for OpenAPI 3.0 (`code_first/value_schemas.py`), and put into the dialect of MCP, which has no
`nullable`: null is a type there like any other.
"""

from __future__ import annotations

from collections.abc import Iterable

from golem_server.gateway.code_first.value_schemas import value_schema
from golem_server.model.data_elements import ElementSchema
from golem_server.model.data_values import DataSchema
from golem_server.model.json_types import Json
from golem_server.model.types import OptionType

PARTS = "parts"
"""The property that has the parts of a method's multimodal parameter."""

CONSTRUCTOR_PARTS = "constructorParts"
"""The property that has the parts of a constructor's multimodal parameter."""


def input_schema(constructor: DataSchema, method: DataSchema) -> dict[str, Json]:
    """The schema of a tool's arguments: the constructor's parameters, then the method's, in one object."""
    properties: dict[str, Json] = {}
    required: list[str] = []
    for name, schema, is_required in (*_properties(constructor, CONSTRUCTOR_PARTS), *_properties(method, PARTS)):
        # One value is given to both parameters of a name, so that it must be right for both.
        before = properties.get(name, schema)
        properties[name] = schema if before == schema else {"allOf": [before, schema]}
        if is_required and name not in required:
            required.append(name)
    return _object(properties, required)


def output_schema(schema: DataSchema) -> dict[str, Json] | None:
    """The schema of a tool's structured result, None for results that are not exactly one value."""
    element = structured_element(schema)
    return None if element is None else _object({element.name: element_schema(element)}, [element.name])


def structured_element(schema: DataSchema) -> ElementSchema | None:
    """The only element of a result that is one structured value."""
    if schema.multimodal or len(schema.elements) != 1 or schema.elements[0].type is None:
        return None
    return schema.elements[0]


def element_schema(element: ElementSchema) -> dict[str, Json]:
    """The schema of one parameter or result."""
    if element.type is not None:
        return _with_null_type(value_schema(element.type))
    allowed: dict[str, Json] = {} if element.restrictions is None else {"enum": list(element.restrictions)}
    if element.kind == "unstructured-text":
        return _object({"data": {"type": "string"}, "languageCode": {"type": "string", **allowed}}, ["data"])
    data = {"type": "string", "contentEncoding": "base64"}
    return _object({"data": data, "mimeType": {"type": "string", **allowed}}, ["data", "mimeType"])


def _properties(schema: DataSchema, parts: str) -> Iterable[tuple[str, dict[str, Json], bool]]:
    """The properties that the elements of a schema are: name, schema, and whether it must be there."""
    if not schema.multimodal:
        return [(each.name, element_schema(each), not isinstance(each.type, OptionType)) for each in schema.elements]
    kinds = [
        _object({"name": {"const": each.name}, "value": element_schema(each)}, ["name", "value"])
        for each in schema.elements
    ]
    return [(parts, {"type": "array", "items": {"oneOf": kinds}}, True)]


def _object(properties: dict[str, Json], required: list[str]) -> dict[str, Json]:
    return {"type": "object", "properties": properties, "required": required}


def _with_null_type(schema: dict[str, Json]) -> dict[str, Json]:
    """The schema of OpenAPI 3.0 in the words of JSON Schema."""
    changed = {name: value for name, value in schema.items() if name != "nullable"}
    if "properties" in changed:
        changed["properties"] = {name: _with_null_type(each) for name, each in changed["properties"].items()}
    if "items" in changed:
        changed["items"] = _with_null_type(changed["items"])
    if "oneOf" in changed:
        changed["oneOf"] = [_with_null_type(each) for each in changed["oneOf"]]
    if schema.get("nullable"):
        if schema.get("enum") == [None]:
            return {"type": "null"}
        if "type" not in changed:
            return {"anyOf": [changed, {"type": "null"}]}
        changed["type"] = [changed["type"], "null"]
    return changed
