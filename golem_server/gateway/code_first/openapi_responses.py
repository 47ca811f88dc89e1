"""The responses of a route as the OpenAPI document describes them: those of `results.py`, and the failures."""

from __future__ import annotations

from golem_server.gateway.code_first.request_bodies import OCTETS
from golem_server.gateway.code_first.routes import AgentRoute
from golem_server.gateway.code_first.value_schemas import value_schema
from golem_server.model.data_elements import ElementSchema
from golem_server.model.http_api_deployments import NamedSecurityScheme
from golem_server.model.json_types import Json
from golem_server.model.types import OptionType, ResultType, WitType

ERROR_SCHEMA: Json = {
    "type": "object",
    "properties": {
        "code": {"type": "string"},
        "error": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "string"}},
        "workerError": {
            "type": "object",
            "properties": {"cause": {"type": "string"}, "stderr": {"type": "string"}},
        },
    },
    "required": ["code"],
}
"""The body of a failure: `errors` with status 400, else `error`."""

_ERROR: Json = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}


def responses_of(route: AgentRoute) -> dict[str, Json]:
    """The responses of a route by status."""
    elements = route.method.output_schema.elements
    responses = _of_element(elements[0]) if elements else {"204": {"description": "Done"}}
    if route.constructor or route.arguments:
        responses["400"] = {"description": "The request has values that are wrong", "content": _ERROR}
    if isinstance(route.security, NamedSecurityScheme):
        responses["302"] = {"description": "The caller has to log in"}
    elif route.security is not None:
        responses["401"] = {"description": "The caller has to say who it is"}
    failed: Json = {"description": "The agent failed", "content": _ERROR}
    # An error that the method gives and a failure of the agent have one status.
    responses["500"] = _either(responses["500"], failed) if "500" in responses else failed
    return dict(sorted(responses.items()))


def _of_element(element: ElementSchema) -> dict[str, Json]:
    match element.type:
        case None:
            return {"200": _text(element) if element.kind == "unstructured-text" else _binary(element)}
        case OptionType(inner):
            return {"200": _json("The value", inner), "404": {"description": "There is none"}}
        case ResultType(ok, err):
            done: dict[str, Json] = {"204": {"description": "Done"}} if ok is None else {"200": _json("The value", ok)}
            return done | {"500": {"description": "The method's error"} if err is None else _json("The error", err)}
        case type_:
            return {"200": _json("The value", type_)}


def _json(description: str, type_: WitType) -> Json:
    return {"description": description, "content": {"application/json": {"schema": value_schema(type_)}}}


def _text(element: ElementSchema) -> Json:
    language: dict[str, Json] = {"type": "string"}
    if element.restrictions is not None:
        language["enum"] = list(element.restrictions)
    return {
        "description": "The text",
        "headers": {"Content-Language": {"schema": language}},
        "content": {"text/plain": {"schema": {"type": "string"}}},
    }


def _binary(element: ElementSchema) -> Json:
    types = element.restrictions if element.restrictions is not None else (OCTETS, "*/*")
    return {
        "description": "The bytes",
        "content": {type_: {"schema": {"type": "string", "format": "binary"}} for type_ in types},
    }


def _either(one: Json, other: Json) -> Json:
    schemas = [each["content"]["application/json"]["schema"] for each in (one, other) if "content" in each]
    return {
        "description": f"{one['description']}, or: {other['description']}",
        "content": {"application/json": {"schema": {"anyOf": schemas} if len(schemas) > 1 else schemas[0]}},
    }
