"""The result of a method as a response: what the table of reference gateway, section 3.4, says.

Only the outermost option or result tells the status; what lies deeper is JSON.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from golem_server.gateway.code_first.declarations import InvalidDeclaration
from golem_server.gateway.code_first.failures import RequestFailure
from golem_server.gateway.responses import GatewayResponse, json_response
from golem_server.model.data_elements import ElementSchema
from golem_server.model.data_values import DataSchema
from golem_server.model.errors import InvalidInput
from golem_server.model.json_encoding import compile_encoder
from golem_server.model.types import OptionType, ResultType, Value, WitType
from golem_server.model.wit_values import FREE_HANDLES

Respond: TypeAlias = Callable[[Value], GatewayResponse]
"""The response that the data value of a result is."""


def responder(schema: DataSchema) -> Respond:
    """What makes responses of the results of a method. Raises InvalidDeclaration.

    The responder raises RequestFailure for a value that is no result of the method.
    """
    if schema.multimodal:
        raise InvalidDeclaration("a method with a multimodal result cannot be called over HTTP")
    if len(schema.elements) > 1:
        raise InvalidDeclaration("a method with more than one result cannot be called over HTTP")
    respond = _of_element(schema.elements[0]) if schema.elements else _nothing

    def of_data_value(result: Value) -> GatewayResponse:
        try:
            values = schema.values(result)
        except (InvalidInput, TypeError, ValueError, KeyError):
            # What came back is that of another call: only a key that was used before leads to one.
            raise RequestFailure(
                409, "CONCURRENT_UPDATE", "the idempotency key was used for another method of this agent"
            ) from None
        return respond(values[0][1] if values else None)

    return of_data_value


def _nothing(_: Value) -> GatewayResponse:
    return _empty(204)


def _empty(status: int) -> GatewayResponse:
    return GatewayResponse(status)


def _of_element(element: ElementSchema) -> Respond:
    match element.type:
        case None:
            return _reference
        case OptionType(inner):
            return _option(inner)
        case ResultType(ok, err):
            of_ok, of_err = _arm(ok, 200, 204), _arm(err, 500, 500)
            return lambda value: of_ok(value[1]) if value[0] == "ok" else of_err(value[1])
        case type_:
            return _json(type_, 200)


def _json(type_: WitType, status: int) -> Respond:
    encode = compile_encoder(type_, FREE_HANDLES, collapsed=True)
    return lambda value: json_response(status, encode(value))


def _arm(type_: WitType | None, status: int, empty_status: int) -> Respond:
    return (lambda _: _empty(empty_status)) if type_ is None else _json(type_, status)


def _option(inner: WitType) -> Respond:
    of_some = _json(inner, 200)
    nested = isinstance(inner, OptionType)
    return lambda value: _empty(404) if value is None else of_some(value[0] if nested else value)


def _reference(reference: Value) -> GatewayResponse:
    """A text or bytes."""
    case, source = reference
    if case == "url":
        raise RequestFailure(
            500, "INTERNAL_UNKNOWN", "the method gave the address of a text or bytes, and not the content"
        )
    data = source["data"]
    if isinstance(data, str):
        headers = [("content-type", "text/plain; charset=utf-8")]
        if source["text-type"] is not None:
            headers.append(("content-language", source["text-type"]["language-code"]))
        return GatewayResponse(200, headers, data.encode("utf-8", "replace"))
    return GatewayResponse(200, [("content-type", source["binary-type"]["mime-type"])], bytes(data))
