"""What a guest or a script gives can never break the response that carries it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golem_server.gateway.responses import (
    GatewayResponse,
    ResponseRefused,
    checked_headers,
    send_response,
    text_response,
)


def sent(response: GatewayResponse, method: str = "GET") -> tuple[int, dict[bytes, bytes], bytes]:
    """Status, headers and body as they go out."""
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    asyncio.run(send_response(response, method, send))
    start, *bodies = messages
    return start["status"], dict(start["headers"]), b"".join(message["body"] for message in bodies)


@given(st.text(max_size=40), st.text(max_size=40))
def test_a_header_is_one_line_or_refused(name: str, value: str) -> None:
    """Whatever the texts."""
    with suppress(ResponseRefused):
        for line in checked_headers(GatewayResponse(200, [(name, value)])):
            assert not any(byte in b"\r\n\0" for part in line for byte in part)
            assert b":" not in line[0]
            assert line[0]


@pytest.mark.parametrize("value", ["a\r\nset-cookie: b", "a\nb", "a\0", "\x7f"])
def test_a_value_with_the_end_of_a_line_is_refused(value: str) -> None:
    """Before anything has been sent."""
    with pytest.raises(ResponseRefused, match="character that is not allowed"):
        sent(GatewayResponse(200, [("x-evil", f"a{value}b")]))


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "ä"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    """So is one that would be two headers."""
    with pytest.raises(ResponseRefused, match="name is not allowed"):
        sent(GatewayResponse(200, [(name, "a")]))


def test_the_headers_of_the_connection_are_the_servers() -> None:
    """Those that HTTP names, those that the response names, and the length."""
    given_headers = [
        ("Connection", "close, X-Private"),
        ("x-private", "1"),
        ("Transfer-Encoding", "chunked"),
        ("Content-Length", "999"),
        ("Keep-Alive", "1"),
        ("X-Kept", " ä "),
    ]
    _, headers, body = sent(GatewayResponse(200, given_headers, b"four"))
    assert headers == {b"x-kept": b"\xe4", b"content-length": b"4"}
    assert body == b"four"


@pytest.mark.parametrize(("status", "method"), [(200, "HEAD"), (204, "GET"), (304, "GET")])
def test_what_must_have_no_body_has_none(status: int, method: str) -> None:
    """The answer to HEAD tells the length all the same."""
    answered, headers, body = sent(GatewayResponse(status, [], b"four"), method)
    assert (answered, body) == (status, b"")
    assert headers.get(b"content-length") == (b"4" if method == "HEAD" else None)


@pytest.mark.parametrize("status", [0, 99, 100, 199, 600, 1000])
def test_a_status_must_be_final(status: int) -> None:
    """A response has one that ends the request."""
    with pytest.raises(ResponseRefused, match="status that is not allowed"):
        sent(GatewayResponse(status))


def test_a_stream_is_sent_in_its_parts() -> None:
    """As long as it is, whatever it is."""

    async def parts() -> AsyncIterator[bytes]:
        yield b"one "
        yield b"two"

    assert sent(GatewayResponse(200, [], parts())) == (200, {}, b"one two")
    assert sent(text_response(200, "ä"))[2] == "ä".encode()
