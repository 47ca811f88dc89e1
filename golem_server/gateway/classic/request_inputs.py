"""What scripts read of a request: exactly the fields of `request` that a script uses, each with its type.

    request.path.X                        a variable of the path
    request.query.X                       a parameter of the query, form-decoded; of several the last one
    request.headers.X, request.header.X   the first value of a header, whatever its case
    request.body                          the JSON body; an empty one is null
    request.auth                          the claims of the caller's ID token, on routes with a security scheme
    request.request_id.value              a UUID of this request

(reference: gateway, section 1.7). What is missing or does not fit is 400, with a text that says what and where.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl
from uuid import uuid4

import msgspec

from golem_server.gateway.failures import RequestFailed
from golem_server.gateway.requests import GatewayRequest
from golem_server.gateway.rib import CompiledScript
from golem_server.gateway.rib.type_names import print_type
from golem_server.model.errors import InvalidInput
from golem_server.model.json_values import ValueErrors, value_decoder
from golem_server.model.types import Field, Primitive, RecordType, Value, WitType

MAX_BODY_DEPTH = 64

_INTEGERS = {
    Primitive.S8: (-(1 << 7), (1 << 7) - 1),
    Primitive.U8: (0, (1 << 8) - 1),
    Primitive.S16: (-(1 << 15), (1 << 15) - 1),
    Primitive.U16: (0, (1 << 16) - 1),
    Primitive.S32: (-(1 << 31), (1 << 31) - 1),
    Primitive.U32: (0, (1 << 32) - 1),
    Primitive.S64: (-(1 << 63), (1 << 63) - 1),
    Primitive.U64: (0, (1 << 64) - 1),
}
_MAX_DIGITS = 20
_SHOWN = 100


@dataclass(slots=True)
class RequestFacts:
    """A request with what its route found out: the variables of the path, and the claims of a caller who logged in."""

    request: GatewayRequest
    path: Mapping[str, str]
    claims: Mapping[str, Any] | None = None
    id: str = field(default_factory=lambda: str(uuid4()))
    _query: dict[str, str] | None = None
    _json: Any = None
    _has_json: bool = False

    @property
    def query(self) -> Mapping[str, str]:
        """The parameters of the query."""
        if self._query is None:
            self._query = dict(parse_qsl(self.request.query, keep_blank_values=True))
        return self._query

    async def json(self) -> Any:
        """The body as JSON, null for an empty one. Raises RequestFailed."""
        if not self._has_json:
            text = await self.request.body()
            if text.count(b"[") + text.count(b"{") > MAX_BODY_DEPTH and _depth(text) > MAX_BODY_DEPTH:
                raise RequestFailed(400, f"invalid http request body. It is nested deeper than {MAX_BODY_DEPTH} levels")
            try:
                self._json = msgspec.json.decode(text) if text.strip() else None
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                raise RequestFailed(400, f"invalid http request body. Request body parse error: {error}") from None
            self._has_json = True
        return self._json


def _depth(text: bytes) -> int:
    """How deep the brackets of a JSON text are nested, at least: those within strings are not told apart."""
    deepest = depth = 0
    for byte in text:
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


Reader = Callable[[RequestFacts], Awaitable[Value]]


class RequestInputs:
    """Reads what one script uses of requests."""

    def __init__(self, script: CompiledScript) -> None:
        type_ = script.inputs.get("request")
        self._readers = [] if type_ is None else [(part.name, _reader(part)) for part in type_.fields]
        self._has_request = type_ is not None

    async def read(self, facts: RequestFacts) -> Mapping[str, Value]:
        """The inputs of an evaluation. Raises RequestFailed for what is missing or does not fit."""
        if not self._has_request:
            return {}
        return {"request": {name: await read(facts) for name, read in self._readers}}


def _reader(part: Field) -> Reader:
    match part.name:
        case "path":
            return _texts(part.type, "path", lambda facts, name: facts.path.get(name), "Missing path parameter")
        case "query":
            return _texts(part.type, "query", lambda facts, name: facts.query.get(name), "Missing query parameter")
        case "headers" | "header":
            return _texts(part.type, "header", lambda facts, name: facts.request.header(name.lower()), "missing header")
        case "request_id":
            return _texts(part.type, "request_id", lambda facts, _: facts.id, "missing")
        case "auth":
            return _claims(part.type)
        case _:
            return _body(part.type)


def _texts(type_: WitType, place: str, find: Callable[[RequestFacts, str], str | None], missing: str) -> Reader:
    assert isinstance(type_, RecordType)
    fields = [(part.name, _text_decoder(part.type, part.name, place)) for part in type_.fields]

    async def read(facts: RequestFacts) -> Value:
        values: dict[str, Value] = {}
        for name, decode in fields:
            text = find(facts, name)
            if text is None:
                raise RequestFailed(400, f"invalid http request {place}. {missing}: {name}")
            values[name] = decode(text)
        return values

    return read


def _text_decoder(type_: WitType, name: str, place: str) -> Callable[[str], Value]:
    """Reads a simple type from a text."""

    def wrong(expected: str, text: str) -> RequestFailed:
        return RequestFailed(
            400,
            f"invalid http request {place}. Invalid value for key {name}. Expected {expected}, Found {text[:_SHOWN]}",
        )

    def integer(text: str, low: int, high: int) -> Value:
        digits = text.removeprefix("-")
        if not (digits.isascii() and digits.isdigit()) or len(digits) > _MAX_DIGITS or not low <= int(text) <= high:
            raise wrong("number", text)
        return int(text)

    def fraction(text: str) -> Value:
        # One that JSON would not have, such as `inf` or `1_0`, is none here either.
        try:
            json = msgspec.json.decode(text)
            if json.__class__ not in (int, float):
                raise ValueError
            return value_decoder(type_)(json)
        except (ValueError, InvalidInput):
            raise wrong("number", text) from None

    def boolean(text: str) -> Value:
        if text not in ("true", "false"):
            raise wrong("boolean", text)
        return text == "true"

    if type_ is Primitive.STRING:
        return lambda text: text
    if type_ is Primitive.BOOL:
        return boolean
    if type_ in (Primitive.F32, Primitive.F64):
        return fraction
    assert isinstance(type_, Primitive)
    low, high = _INTEGERS[type_]
    return lambda text: integer(text, low, high)


def _body(type_: WitType) -> Reader:
    decode = value_decoder(type_)

    async def read(facts: RequestFacts) -> Value:
        json = await facts.json()
        try:
            return decode(json)
        except ValueErrors as errors:
            faults = "\n".join(_fault(place, text) for place, text in errors.faults)
            raise RequestFailed(
                400, f"invalid http request body\n{faults}\nexpected request body: {print_type(_sorted(type_))}"
            ) from None

    return read


def _fault(place: str, text: str) -> str:
    key = place.removeprefix(".")
    shown = text.replace(", got ", ", found ")
    return f"invalid value for key {key}: {shown}" if key else f"invalid value: {shown}"


def _sorted(type_: WitType) -> WitType:
    """The type as messages show it: the fields of a record by name."""
    if not isinstance(type_, RecordType):
        return type_
    return RecordType(tuple(sorted(type_.fields, key=lambda part: part.name)))


def _claims(type_: WitType) -> Reader:
    decode = value_decoder(type_)

    async def read(facts: RequestFacts) -> Value:
        if facts.claims is None:
            raise RequestFailed(400, "missing auth data")
        try:
            return decode(dict(facts.claims))
        except InvalidInput as error:
            raise RequestFailed(400, f"invalid http request auth. {error.message}") from None

    return read
