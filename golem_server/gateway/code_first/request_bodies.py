"""The body of a request as the values of a method's parameters (reference: gateway, section 3.4)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

import msgspec

from golem_server.gateway.code_first.failures import RequestFailure
from golem_server.gateway.code_first.parameters import Body, JsonBody
from golem_server.gateway.requests import GatewayRequest
from golem_server.model.data_elements import ElementSchema
from golem_server.model.json_decoding import ValueErrors, compile_decoder
from golem_server.model.types import RecordType, Value
from golem_server.model.wit_values import FREE_HANDLES

ReadBody: TypeAlias = Callable[[GatewayRequest], Awaitable[Mapping[str, Value]]]
"""The values of a body by the names of parameters. Raises RequestFailure, BodyTooLarge, ClientLeft."""

OCTETS = "application/octet-stream"


def body_reader(body: Body) -> ReadBody:
    """What reads such a body; one that no parameter wants is not even received."""
    if body is None:
        return _nothing
    if isinstance(body, JsonBody):
        return _json(body.type)
    return _text(body.element) if body.element.kind == "unstructured-text" else _binary(body.element)


async def _nothing(request: GatewayRequest) -> Mapping[str, Value]:
    return {}


def _json(type_: RecordType) -> ReadBody:
    decode = compile_decoder(type_, FREE_HANDLES, collapsed=True)

    async def read(request: GatewayRequest) -> Mapping[str, Value]:
        content = await request.body()
        try:
            json = msgspec.json.decode(content)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise RequestFailure(400, "REQUEST_BODY_INVALID_JSON", f"the body is not valid JSON: {error}") from None
        try:
            return decode(json)
        except ValueErrors as errors:
            told = errors.under("body").details
            raise RequestFailure(400, "REQUEST_JSON_BODY_PARSING_FAILED", *told) from None

    return read


def _binary(element: ElementSchema) -> ReadBody:
    allowed = None if element.restrictions is None else {each.lower() for each in element.restrictions}

    async def read(request: GatewayRequest) -> Mapping[str, Value]:
        mime_type = request.header("content-type") or OCTETS
        if allowed is not None and mime_type.lower() not in allowed:
            raise RequestFailure(
                400,
                "REQUEST_UNSUPPORTED_MIME_TYPE",
                f"the content type {mime_type[:100]} is not one of {', '.join(element.restrictions or ())}",
            )
        data = {"data": await request.body(), "binary-type": {"mime-type": mime_type}}
        return {element.name: ("inline", data)}

    return read


def _text(element: ElementSchema) -> ReadBody:
    allowed = None if element.restrictions is None else {each.lower() for each in element.restrictions}

    async def read(request: GatewayRequest) -> Mapping[str, Value]:
        _check_text_type(request.header("content-type"))
        language = _language(list(request.header_values("content-language")))
        if allowed is not None and language is not None and language.lower() not in allowed:
            raise RequestFailure(
                415,
                "REQUEST_UNSUPPORTED_LANGUAGE",
                f"the language {language[:100]} is not one of {', '.join(element.restrictions or ())}",
            )
        try:
            text = (await request.body()).decode()
        except UnicodeDecodeError:
            raise RequestFailure(400, "REQUEST_BODY_INVALID_UTF8", "the body is not UTF-8") from None
        text_type = None if language is None else {"language-code": language}
        return {element.name: ("inline", {"data": text, "text-type": text_type})}

    return read


def _check_text_type(content_type: str | None) -> None:
    """A body without a content type is taken for what is wanted."""
    if content_type is None:
        return
    media_type, *parameters = (part.strip().lower() for part in content_type.split(";"))
    if media_type != "text/plain" or any(each not in ("charset=utf-8", 'charset="utf-8"') for each in parameters):
        raise RequestFailure(
            415,
            "REQUEST_UNSUPPORTED_TEXT_CONTENT_TYPE",
            f"the body must be text/plain in UTF-8, not {content_type[:100]}",
        )


def _language(values: list[str]) -> str | None:
    if not values:
        return None
    if len(values) > 1 or "," in values[0]:
        raise RequestFailure(
            400, "REQUEST_MULTI_VALUED_CONTENT_LANGUAGE", "Content-Language must be one language, and there are several"
        )
    return values[0].strip()
