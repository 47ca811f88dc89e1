"""JSON in and out: bounded in size and depth, exact for 64-bit integers, decoded by msgspec.

The limit of a body's size is kept while it is read (`golem_server.asgi`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar, cast

import msgspec
from fastapi import Response
from starlette.requests import ClientDisconnect

from golem_server import asgi
from golem_server.api.errors import UnsupportedMediaType
from golem_server.asgi import Headers, Receive
from golem_server.model.errors import InvalidInput, TooLarge

T = TypeVar("T")

_encoder = msgspec.json.Encoder()


def json_response(content: object, status: int = 200) -> Response:
    """An answer with this JSON."""
    return Response(_encoder.encode(content), status, media_type="application/json")


EMPTY_OBJECT = b"{}"


def empty_response() -> Response:
    """`{}`: the answer where there is nothing to tell (clients decode it)."""
    return Response(EMPTY_OBJECT, media_type="application/json")


async def read_body(receive: Receive, headers: Headers, limit: int) -> bytes:
    """The whole body. Raises TooLarge beyond `limit` bytes, ClientDisconnect if the client leaves before its end."""
    try:
        return await asgi.read_body(receive, headers, limit)
    except asgi.BodyTooLarge as error:
        raise TooLarge(str(error)) from None
    except asgi.ClientLeft:
        raise ClientDisconnect from None


def check_json_type(headers: Headers) -> None:
    """Raise UnsupportedMediaType unless the content type is JSON."""
    for name, value in headers:
        if name == b"content-type":
            media_type = value.partition(b";")[0].strip().lower()
            if media_type == b"application/json" or media_type.endswith(b"+json"):
                return
            raise UnsupportedMediaType(f"expected a body of application/json, got {media_type.decode('latin-1')}")
    raise UnsupportedMediaType("expected a body of application/json, got none")


class JsonReader:
    """Decodes JSON within the limits of the settings (bytes, levels)."""

    def __init__(self, limit: int, depth: int) -> None:
        self.limit = limit
        self._depth = depth

    async def read(self, receive: Receive, headers: Headers, decoder: msgspec.json.Decoder[T]) -> T:
        """The body as the decoder's type. Raises UnsupportedMediaType, TooLarge, InvalidInput."""
        check_json_type(headers)
        return self.decode(await read_body(receive, headers, self.limit), decoder)

    def decode(self, text: bytes, decoder: msgspec.json.Decoder[T]) -> T:
        """The JSON text as the decoder's type. Raises InvalidInput with the reason."""
        try:
            value = decoder.decode(text)
        except RecursionError:
            raise self._too_deep() from None
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise InvalidInput(f"parse request payload error: {error}") from None
        # Counting costs little; only a text with that many brackets can be too deep, and is looked into.
        if text.count(b"[") + text.count(b"{") > self._depth and _is_deeper(text, self._depth):
            raise self._too_deep()
        return value

    def _too_deep(self) -> InvalidInput:
        return InvalidInput(f"parse request payload error: JSON is nested deeper than {self._depth} levels")


def _is_deeper(text: bytes, depth: int) -> bool:
    """Whether arrays and objects of a valid JSON text are nested deeper than this."""
    level: list[Any] = [msgspec.json.decode(text)]
    for _ in range(depth + 1):
        below: list[Any] = []
        for item in level:
            inner = cast("Iterable[Any]", item.values() if isinstance(item, dict) else item)
            below.extend(part for part in inner if part.__class__ in (list, dict))
        if not below:
            return False
        level = below
    return True
