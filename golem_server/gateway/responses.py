"""A response of a deployed API, and how it is sent: nothing that a guest or a script gives can break it.

Header names and values are checked for what would end a header line; the headers that belong to the connection are the
server's own (RFC 9110, section 7.6.1). The length is that of the body, whatever a guest has said.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import msgspec

from golem_server.asgi import Send

_HOP_BY_HOP = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FORBIDDEN_IN_VALUES = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_WITHOUT_BODY = frozenset((204, 205, 304))


class ResponseRefused(Exception):
    """What a guest or a script gave cannot be a response; the text says why."""


@dataclass(slots=True)
class GatewayResponse:
    """One response. `headers` in order, a name may come several times; `body` whole or as a stream of parts."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    body: bytes | AsyncIterator[bytes] = b""

    def has_header(self, name: str) -> bool:
        """Whether there is a header of this name, in whatever case."""
        return any(header.lower() == name for header, _ in self.headers)


def text_response(status: int, text: str) -> GatewayResponse:
    """A plain text."""
    return GatewayResponse(status, [("content-type", "text/plain; charset=utf-8")], text.encode())


def json_response(status: int, content: object) -> GatewayResponse:
    """A value as JSON."""
    return GatewayResponse(status, [("content-type", "application/json")], msgspec.json.encode(content))


def checked_headers(response: GatewayResponse) -> list[tuple[bytes, bytes]]:
    """The headers as they are sent, without those of the connection.

    Raises ResponseRefused for a name that is none and for a value that would end its line.
    """
    headers: list[tuple[bytes, bytes]] = []
    named = {
        name.strip().lower()
        for header, value in response.headers
        if header.lower() == "connection"
        for name in value.split(",")
    }
    for header, text in response.headers:
        lower = header.lower()
        if lower in _HOP_BY_HOP or lower in named or lower == "content-length":
            continue
        try:
            name, value = lower.encode("ascii"), text.strip().encode("latin-1")
        except UnicodeEncodeError:
            # RFC 9110, section 5.5: other characters are opaque bytes; UTF-8 is what a client most likely reads.
            name, value = lower.encode(), text.strip().encode()
        if _NAME.fullmatch(name) is None:
            raise ResponseRefused(f"The response has a header whose name is not allowed: {header[:100]!r}")
        if _FORBIDDEN_IN_VALUES.search(value) is not None:
            raise ResponseRefused(f"The response has a header with a character that is not allowed: {header[:100]}")
        headers.append((name, value))
    return headers


def _has_body(method: str, status: int) -> bool:
    return method != "HEAD" and status not in _WITHOUT_BODY and status >= 200


async def send_response(response: GatewayResponse, method: str, send: Send) -> None:
    """Send a response to a request with this method. Raises ResponseRefused before anything has been sent."""
    if not 200 <= response.status <= 599:
        raise ResponseRefused(f"The response has a status that is not allowed: {response.status}")
    headers = checked_headers(response)
    body = response.body
    if isinstance(body, bytes):
        if response.status not in _WITHOUT_BODY:
            headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": body if _has_body(method, response.status) else b""})
        return
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if _has_body(method, response.status):
        async for part in body:
            await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
