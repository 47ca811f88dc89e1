"""What a guest is told when a server or the network misbehaves, and what is tried again before."""

from __future__ import annotations

import asyncio
import socket
import struct
from pathlib import Path

import pytest
from aiohttp import web

from golem_server.host.http_client import HttpSettings
from golem_server.host.http_fields import MAX_FIELDS, MAX_FIELDS_BYTES
from golem_server.model.types import Value
from tests.host.http_guest import Guest, Response, http_worker, raw_server, web_server

MILLISECOND = 1_000_000


async def unused_authority() -> str:
    """An address at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{taken.getsockname()[1]}"


async def test_a_refused_connection_is_tried_again_then_told(tmp_path: Path) -> None:
    authority = await unused_authority()
    async with http_worker(tmp_path) as worker:
        before = worker.clock.monotonic()
        refused: Value = ("connection-refused", None)
        assert (await Guest(worker).fetch(authority)).error == refused
        # Three delays of 100, 300 and 900 ms, with jitter.
        assert 1.3 <= worker.clock.monotonic() - before <= 1.6
        await worker.replay()
        assert (await Guest(worker).fetch(authority)).error == refused
        assert worker.context.is_live


async def test_inside_an_atomic_region_nothing_is_tried_again(tmp_path: Path) -> None:
    authority = await unused_authority()
    async with http_worker(tmp_path) as worker:
        await worker.context.begin_atomic_region()
        before = worker.clock.monotonic()
        assert (await Guest(worker).fetch(authority)).error == ("connection-refused", None)
        assert worker.clock.monotonic() == before


@pytest.mark.parametrize(("idempotence", "method", "times"), [(True, "post", 2), (False, "post", 1), (False, "get", 2)])
async def test_a_lost_connection_is_tried_again_where_that_is_allowed(
    tmp_path: Path, idempotence: bool, method: str, times: int
) -> None:
    connections = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        if connections > 1:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            await writer.drain()

    async with raw_server(talk) as authority, http_worker(tmp_path) as worker:
        worker.context.assume_idempotence = idempotence
        response = await Guest(worker).fetch(authority, method=method, body=b"x")
        assert connections == times
        if times == 2:
            assert (response.status, response.body) == (200, b"ok")
        else:
            assert response.error == ("connection-terminated", None)


async def read_answer(tmp_path: Path, answer: bytes, settings: HttpSettings | None = None) -> Response:
    """What the guest gets of these bytes, after which the connection ends; the same live and in replay."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    async with raw_server(talk) as authority, http_worker(tmp_path, settings) as worker:
        worker.context.assume_idempotence = False
        live = await Guest(worker).fetch(authority, method="post")
        await worker.replay()
        worker.context.assume_idempotence = False
        replayed = await Guest(worker).fetch(authority, method="post")
        assert (replayed.status, replayed.body, replayed.error) == (live.status, live.body, live.error)
        return live


async def test_garbage(tmp_path: Path) -> None:
    assert (await read_answer(tmp_path, b"\x00\x01garbage\r\n\r\n")).error == ("HTTP-protocol-error", None)


async def test_a_bad_header(tmp_path: Path) -> None:
    response = await read_answer(tmp_path, b"HTTP/1.1 200 OK\r\nbad header: x\r\n\r\n")
    assert response.error == ("HTTP-protocol-error", None)


async def test_a_body_that_ends_too_early(tmp_path: Path) -> None:
    response = await read_answer(tmp_path, b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
    assert (response.status, response.error) == (200, ("HTTP-response-incomplete", None))


async def test_a_chunked_body_that_ends_too_early(tmp_path: Path) -> None:
    response = await read_answer(tmp_path, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n")
    assert (response.status, response.error) == (200, ("HTTP-response-incomplete", None))
    assert "transfer-encoding" not in response.headers


async def test_a_body_up_to_the_end_of_the_connection(tmp_path: Path) -> None:
    response = await read_answer(tmp_path, b"HTTP/1.1 200 OK\r\nx: \xff\r\n\r\nall")
    assert (response.body, response.error, response.headers["x"]) == (b"all", None, b"\xff")


async def test_too_many_or_too_large_headers(tmp_path: Path) -> None:
    for name, fields in (
        ("many", b"a: b\r\n" * (MAX_FIELDS + 1)),
        ("large", b"a: " + b"b" * MAX_FIELDS_BYTES + b"\r\n"),
    ):
        response = await read_answer(tmp_path / name, b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n")
        assert response.error is not None
        assert response.error[0] == "HTTP-response-header-section-size", response


async def test_a_response_larger_than_allowed(tmp_path: Path) -> None:
    settings = HttpSettings(max_response_bytes=5)
    fine = await read_answer(tmp_path / "fine", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n12345", settings)
    assert (fine.body, fine.error) == (b"12345", None)
    response = await read_answer(tmp_path / "large", b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n123456", settings)
    assert response.error == ("HTTP-response-body-size", 5)


async def test_a_reset_in_the_middle_of_the_body(tmp_path: Path) -> None:
    read = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
        await writer.drain()
        await read.wait()
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)

    async with raw_server(talk) as authority, http_worker(tmp_path) as worker:
        guest = Guest(worker)
        _, response = await guest.head(await guest.handle(await guest.request(authority)))
        _, body = await guest.call("[method]incoming-response.consume", response)
        _, stream = await guest.call("[method]incoming-body.stream", body)
        assert await guest.stream("[method]input-stream.blocking-read", stream, 100) == ("ok", b"half")
        read.set()
        _, (case, error) = await guest.stream("[method]input-stream.blocking-read", stream, 100)
        assert case == "last-operation-failed"
        assert await guest.call("http-error-code", error) == ("HTTP-response-incomplete", None)


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says nothing until the client goes."""
    await reader.read()


async def test_a_server_that_does_not_begin_to_answer(tmp_path: Path) -> None:
    async with raw_server(silent) as authority, http_worker(tmp_path) as worker:
        guest = Guest(worker)
        options = await guest.options(first_byte_timeout=20 * MILLISECOND, connect_timeout=20 * MILLISECOND)
        future = await guest.handle(await guest.request(authority), options)
        assert await guest.head(future) == ("err", ("HTTP-response-timeout", None))


async def test_a_server_that_stops_in_the_middle(tmp_path: Path) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf")
        await silent(reader, writer)

    async with raw_server(talk) as authority, http_worker(tmp_path) as worker:
        guest = Guest(worker)
        options = await guest.options(between_bytes_timeout=20 * MILLISECOND)
        response = await guest.read(await guest.handle(await guest.request(authority), options))
        assert (response.body, response.error) == (b"half", ("connection-read-timeout", None))


async def test_a_guest_that_is_slow_to_write_is_not_a_slow_server(tmp_path: Path) -> None:
    async with web_server() as server, http_worker(tmp_path) as worker:
        guest = Guest(worker)
        options = await guest.options(first_byte_timeout=50 * MILLISECOND, connect_timeout=50 * MILLISECOND)
        request = await guest.request(server.authority, method="post")
        _, body = await guest.call("[method]outgoing-request.body", request)
        future = await guest.handle(request, options)
        waiting = asyncio.ensure_future(guest.block("future-incoming-response", future))
        assert await asyncio.wait({waiting}, timeout=0.2) == (set(), {waiting})
        await guest.send_body(body, b"late")
        await waiting
        assert (await guest.read(future)).body == b"late"


async def test_connecting_takes_too_long(tmp_path: Path) -> None:
    async with raw_server(silent) as authority, http_worker(tmp_path) as worker:
        worker.context.assume_idempotence = False
        guest = Guest(worker)
        options = await guest.options(connect_timeout=1)
        future = await guest.handle(await guest.request(authority, method="post"), options)
        assert await guest.head(future) == ("err", ("connection-timeout", None))


async def test_a_name_that_does_not_exist(tmp_path: Path) -> None:
    async with http_worker(tmp_path) as worker:
        response = await Guest(worker).fetch("no-such-host.invalid")
        assert response.error[0] == "DNS-error"


async def test_https_to_a_server_that_speaks_plain_http(tmp_path: Path) -> None:
    async with web_server() as server, http_worker(tmp_path) as worker:
        guest = Guest(worker)
        request = await guest.request(server.authority)
        await guest.call("[method]outgoing-request.set-scheme", request, ("HTTPS", None))
        assert await guest.head(await guest.handle(request)) == ("err", ("TLS-protocol-error", None))


async def test_another_scheme(tmp_path: Path) -> None:
    async with http_worker(tmp_path) as worker:
        guest = Guest(worker)
        request = await guest.request("localhost")
        await guest.call("[method]outgoing-request.set-scheme", request, ("other", "ftp"))
        refused: Value = ("err", ("HTTP-protocol-error", None))
        assert await worker.call("wasi:http/outgoing-handler", "handle", request, None) == refused


async def test_a_response_without_a_body(tmp_path: Path) -> None:
    def answer(request: web.Request, _body: bytes) -> web.Response:
        return web.Response(status=204)

    async with web_server(answer) as server, http_worker(tmp_path) as worker:
        response = await Guest(worker).fetch(server.authority, method="delete")
        assert (response.status, response.body, response.error) == (204, b"", None)
