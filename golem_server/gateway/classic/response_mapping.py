"""How the value of a response script becomes a response (reference: gateway, section 1.9).

A record may have `status`, `headers` and `body`; one without a body is the body. Any other value is the body, and no
value an empty one.
"""

from __future__ import annotations

from http import HTTPStatus

from golem_server.gateway.classic.content_types import Wanted, encode_body
from golem_server.gateway.failures import RequestFailed
from golem_server.gateway.responses import GatewayResponse
from golem_server.gateway.rib import CompiledScript
from golem_server.model.types import EnumType, Primitive, RecordType, Value, WitType

_NO_LITERAL = "header values in the http response should be a literal"
_LITERALS = frozenset(Primitive)
_INTEGERS = frozenset(Primitive) - {Primitive.BOOL, Primitive.STRING, Primitive.CHAR, Primitive.F32, Primitive.F64}


def respond(script: CompiledScript, value: Value, accept: str | None) -> GatewayResponse:
    """The response for a value of the script. Raises RequestFailed where it cannot be one."""
    type_ = script.output_of(value)
    if type_ is None:
        return GatewayResponse(HTTPStatus.OK)
    if not isinstance(type_, RecordType):
        return _with_body(HTTPStatus.OK, [], type_, value, accept)
    types = {field.name: field.type for field in type_.fields}
    status = HTTPStatus.OK if "status" not in types else status_of(types["status"], value["status"])
    headers = [] if "headers" not in types else headers_of(types["headers"], value["headers"])
    if "body" not in types:
        return _with_body(status, headers, type_, value, accept)
    return _with_body(status, headers, types["body"], value["body"], accept)


def _with_body(
    status: int, headers: list[tuple[str, str]], type_: WitType, value: Value, accept: str | None
) -> GatewayResponse:
    given = next((text for name, text in headers if name.lower() == "content-type"), None)
    body, content_type = encode_body(type_, value, Wanted(given, accept))
    own = [] if given is not None else [("content-type", content_type)]
    return GatewayResponse(status, [*own, *headers], body)


def status_of(type_: WitType, value: Value) -> int:
    """A status that a script gives, as a number or a text. Raises RequestFailed for one that no response can have."""
    text = value if type_ is Primitive.STRING else str(value) if type_ in _INTEGERS else ""
    if not (text.isascii() and text.isdigit()) or not 200 <= int(text[:4]) <= 599:
        raise RequestFailed(500, f"Invalid http status code {str(value)[:20]!r} in the response of the script")
    return int(text)


def headers_of(type_: WitType, value: Value) -> list[tuple[str, str]]:
    """The headers that a script gives, as a record of simple values. Raises RequestFailed for anything else."""
    if not isinstance(type_, RecordType):
        raise RequestFailed(500, "The headers in the response of the script are no record")
    return [(field.name, literal_text(field.type, value[field.name]) or _NO_LITERAL) for field in type_.fields]


def literal_text(type_: WitType, value: Value) -> str | None:
    """A simple value as text; None for one that is made of others."""
    if type_ is Primitive.BOOL:
        return "true" if value else "false"
    if isinstance(type_, EnumType):
        return str(value)
    return str(value) if type_ in _LITERALS else None
