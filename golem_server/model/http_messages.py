"""HTTP requests and responses as WIT values: the parameter and the result of `golem:http/incoming-handler.{handle}`.

The types are those that golem 1.2 and 1.4 give to this function (`golem_server.model.virtual_exports` says where it
comes from). Whoever has a request to hand to a worker makes an IncomingHttpRequest and reads an HttpResponse.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

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
)

HeaderFields: TypeAlias = tuple[tuple[str, bytes], ...]
"""Header or trailer fields in order; a name may come several times."""

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
SCHEMES = ("HTTP", "HTTPS")

_FIELDS_TYPE = ListType(TupleType((Primitive.STRING, ListType(Primitive.U8))))
_BODY_TYPE = OptionType(
    RecordType((Field("content", ListType(Primitive.U8)), Field("trailers", OptionType(_FIELDS_TYPE))))
)


def _named_or_custom(names: tuple[str, ...]) -> VariantType:
    return VariantType((*(Case(name, None) for name in names), Case("custom", Primitive.STRING)))


REQUEST_TYPE = RecordType(
    (
        Field("method", _named_or_custom(METHODS)),
        Field("scheme", _named_or_custom(SCHEMES)),
        Field("authority", Primitive.STRING),
        Field("path-and-query", Primitive.STRING),
        Field("headers", _FIELDS_TYPE),
        Field("body-and-trailers", _BODY_TYPE),
    )
)
RESPONSE_TYPE = RecordType(
    (Field("status", Primitive.U16), Field("headers", _FIELDS_TYPE), Field("body-and-trailers", _BODY_TYPE))
)
HANDLE_TYPE = FunctionType((Parameter("request", REQUEST_TYPE),), RESPONSE_TYPE)


@dataclass(frozen=True, slots=True)
class HttpBody:
    """A whole body and what came behind it; `trailers` is None where there was nothing."""

    content: bytes
    trailers: HeaderFields | None = None

    def value(self) -> Value:
        """As a WIT value."""
        return {"content": self.content, "trailers": None if self.trailers is None else list(self.trailers)}

    @staticmethod
    def from_value(value: Value) -> HttpBody | None:
        """From a WIT value, which may be none."""
        if value is None:
            return None
        trailers = value["trailers"]
        return HttpBody(bytes(value["content"]), None if trailers is None else _fields(trailers))


@dataclass(frozen=True, slots=True)
class IncomingHttpRequest:
    """A request for a worker.

    `method` and `scheme` are as in HTTP ("GET", "http"); `authority` is the host with its port, `path_and_query` begins
    with a slash.
    """

    method: str
    scheme: str
    authority: str
    path_and_query: str
    headers: HeaderFields = field(default=())
    body: HttpBody | None = None

    def value(self) -> Value:
        """As a WIT value: the parameter of `handle`."""
        method, scheme = self.method.upper(), self.scheme.upper()
        return {
            "method": (method, None) if method in METHODS else ("custom", self.method),
            "scheme": (scheme, None) if scheme in SCHEMES else ("custom", self.scheme),
            "authority": self.authority,
            "path-and-query": self.path_and_query,
            "headers": list(self.headers),
            "body-and-trailers": None if self.body is None else self.body.value(),
        }

    @staticmethod
    def from_value(value: Value) -> IncomingHttpRequest:
        """From a WIT value."""
        return IncomingHttpRequest(
            method=_name(value["method"]),
            scheme=_name(value["scheme"]).lower(),
            authority=value["authority"],
            path_and_query=value["path-and-query"],
            headers=_fields(value["headers"]),
            body=HttpBody.from_value(value.get("body-and-trailers")),
        )


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A worker's response. `body` is None where it is empty and has no trailers."""

    status: int
    headers: HeaderFields = field(default=())
    body: HttpBody | None = None

    def value(self) -> Value:
        """As a WIT value: the result of `handle`."""
        return {
            "status": self.status,
            "headers": list(self.headers),
            "body-and-trailers": None if self.body is None else self.body.value(),
        }

    @staticmethod
    def from_value(value: Value) -> HttpResponse:
        """From a WIT value."""
        body = HttpBody.from_value(value.get("body-and-trailers"))
        return HttpResponse(value["status"], _fields(value["headers"]), body)


def _name(variant: Any) -> str:
    case, payload = variant
    return payload if case == "custom" else case


def _fields(items: Iterable[Any]) -> HeaderFields:
    return tuple((name, bytes(value)) for name, value in items)
