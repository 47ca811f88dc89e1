"""What a guest is told when a server or the network misbehaves, and what is tried again before."""

from __future__ import annotations

import asyncio
import socket
import ssl
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


PROTOCOL: Value = ("HTTP-protocol-error", None)
TERMINATED: Value = ("connection-terminated", None)
TOO_LARGE = "HTTP-response-header-section-size"
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"

REFUSED_ANSWERS: dict[str, tuple[bytes, Value]] = {
    "garbage": (b"\x00\x01garbage\r\n\r\n", PROTOCOL),
    "nothing": (b"", TERMINATED),
    "truncated status line": (b"HTTP/1.1 20", TERMINATED),
    "truncated header": (OK + b"content-le", TERMINATED),
    "truncated head": (OK + b"a: b\r\n", TERMINATED),
    "status of two digits": (b"HTTP/1.1 20 OK\r\n\r\n", PROTOCOL),
    "status of four digits": (b"HTTP/1.1 1000 OK\r\n\r\n", PROTOCOL),
    "status below 100": (b"HTTP/1.1 099 OK\r\ncontent-length: 0\r\n\r\n", PROTOCOL),
    "another version": (b"HTTP/9.9 200 OK\r\n\r\n", PROTOCOL),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", PROTOCOL),
    "a request": (b"GET / HTTP/1.1\r\n\r\n", PROTOCOL),
    "a name with a blank": (OK + b"bad header: x\r\n\r\n", PROTOCOL),
    "a blank before the colon": (OK + b"a : b\r\n\r\n", PROTOCOL),
    "an empty name": (OK + b": b\r\n\r\n", PROTOCOL),
    "a name beyond ASCII": (OK + b"\xe4: b\r\n\r\n", PROTOCOL),
    "NUL in a value": (OK + b"a: b\0c\r\n\r\n", PROTOCOL),
    "CR in a value": (OK + b"a: b\rc: d\r\n\r\n", PROTOCOL),
    "a length that is no number": (OK + b"content-length: abc\r\n\r\nabc", PROTOCOL),
    "a negative length": (OK + b"content-length: -1\r\n\r\nabc", PROTOCOL),
    "a length with a sign": (OK + b"content-length: +1\r\n\r\na", PROTOCOL),
    "a huge length": (OK + b"content-length: 99999999999999999999\r\n\r\na", PROTOCOL),
    "two lengths": (OK + b"content-length: 1\r\ncontent-length: 2\r\n\r\nab", PROTOCOL),
    "a length and chunks": (OK + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", PROTOCOL),
    "a chunk of no size": (CHUNKED + b"zz\r\n", PROTOCOL),
    "a chunk of negative size": (CHUNKED + b"-1\r\nab", PROTOCOL),
    "a chunk of huge size": (CHUNKED + b"f" * 21 + b"\r\nab", PROTOCOL),
    "a chunk longer than it says": (CHUNKED + b"2\r\nabXX0\r\n\r\n", PROTOCOL),
    "another coding": (
        OK + b"transfer-encoding: gzip\r\n\r\nab",
        ("HTTP-response-transfer-coding", "gzip"),
    ),
    "two codings": (
        OK + b"transfer-encoding: foo, chunked\r\n\r\n0\r\n\r\n",
        ("HTTP-response-transfer-coding", "foo, chunked"),
    ),
    "another protocol": (
        b"HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nxyz",
        ("HTTP-upgrade-failed", None),
    ),
    "an endless line": (b"x" * (1 << 20), PROTOCOL),
    "an endless reason": (b"HTTP/1.1 200 " + b"x" * (1 << 20), (TOO_LARGE, None)),
    "an endless header": (OK + b"a: " + b"x" * (1 << 20), (TOO_LARGE, None)),
    "endless headers": (OK + b"a: bcdefghijk\r\n" * 100_000, (TOO_LARGE, None)),
    "endless trailers": (CHUNKED + b"0\r\n" + b"a: b\r\n" * 5_000 + b"\r\n", (TOO_LARGE, None)),
}


@pytest.mark.parametrize("answer", REFUSED_ANSWERS)
async def test_an_answer_that_is_none(tmp_path: Path, answer: str) -> None:
    content, error = REFUSED_ANSWERS[answer]
    response = await read_answer(tmp_path, content)
    assert (response.status, response.error) == (0, error)


@pytest.mark.parametrize(
    "before",
    [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"],
    ids=["100", "103"],
)
@pytest.mark.parametrize("times", [1, 1000])
async def test_what_comes_before_the_answer_is_skipped(tmp_path: Path, before: bytes, times: int) -> None:
    response = await read_answer(tmp_path, before * times + OK + b"content-length: 2\r\n\r\nok")
    assert (response.status, response.body, response.error) == (200, b"ok", None)
    assert "link" not in response.headers


async def test_lines_that_end_in_another_way(tmp_path: Path) -> None:
    response = await read_answer(tmp_path, b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok")
    assert (response.status, response.body) == (200, b"ok")


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


@pytest.mark.parametrize(
    "piece", [b"HTTP/1.1 100 Continue\r\n\r\n", b"a"], ids=["answers before the answer", "a head that dribbles"]
)
async def test_an_answer_that_never_comes(tmp_path: Path, piece: bytes) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(piece) == 1:
            writer.write(OK + b"a: ")
        while not writer.is_closing():
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.001)

    async with raw_server(talk) as authority, http_worker(tmp_path) as worker:
        guest = Guest(worker)
        options = await guest.options(first_byte_timeout=30 * MILLISECOND, connect_timeout=30 * MILLISECOND)
        future = await guest.handle(await guest.request(authority), options)
        assert await guest.head(future) == ("err", ("HTTP-response-timeout", None))


async def test_a_server_that_never_reads_the_body(tmp_path: Path) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with raw_server(talk) as authority, http_worker(tmp_path) as worker:
        worker.context.assume_idempotence = False
        guest = Guest(worker)
        options = await guest.options(first_byte_timeout=50 * MILLISECOND, connect_timeout=50 * MILLISECOND)
        request = await guest.request(authority, method="put")
        _, body = await guest.call("[method]outgoing-request.body", request)
        future = await guest.handle(request, options)
        _, stream = await guest.call("[method]outgoing-body.write", body)
        written = 0
        while (await guest.stream("[method]output-stream.write", stream, bytes(1 << 20)))[0] == "ok":
            written += 1
            assert written < 64, "the guest wrote more than any buffer holds"
        assert await guest.stream("[method]output-stream.write", stream, b"x") == ("err", ("closed", None))
        assert await guest.head(future) == ("err", ("HTTP-response-timeout", None))


async def test_a_server_that_answers_before_it_has_the_body(tmp_path: Path) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 413 Too large\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno")
        await writer.drain()

    async with raw_server(talk) as authority, http_worker(tmp_path) as worker:
        worker.context.assume_idempotence = False
        guest = Guest(worker)
        request = await guest.request(authority, method="put")
        _, body = await guest.call("[method]outgoing-request.body", request)
        future = await guest.handle(request)
        _, stream = await guest.call("[method]outgoing-body.write", body)
        await guest.stream("[method]output-stream.write", stream, b"begin")
        response = await guest.read(future)
        assert (response.status, response.body, response.error) == (413, b"no", None)


async def test_a_body_that_dribbles_is_read_as_it_comes(tmp_path: Path) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"content-length: 50\r\n\r\n")
        for _ in range(50):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0)

    async with raw_server(talk) as authority, http_worker(tmp_path) as worker:
        response = await Guest(worker).fetch(authority)
        assert (response.body, response.error) == (b"x" * 50, None)


async def test_after_any_fault_the_client_serves_others(tmp_path: Path) -> None:
    answers = iter([content for content, _ in REFUSED_ANSWERS.values()])

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(next(answers))
        await writer.drain()

    async with web_server() as good, raw_server(talk) as bad, http_worker(tmp_path) as worker:
        worker.context.assume_idempotence = False
        for _ in REFUSED_ANSWERS:
            assert (await Guest(worker).fetch(bad, method="post")).error is not None
            assert (await Guest(worker).fetch(good.authority)).status == 201
        assert len(worker.context.resources) < 10


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


async def test_a_certificate_that_nobody_vouches_for(tmp_path: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(Path(__file__).parent / "self_signed.pem")
    server = await asyncio.start_server(silent, "127.0.0.1", 0, ssl=context)
    async with server, http_worker(tmp_path) as worker:
        guest = Guest(worker)
        request = await guest.request(f"localhost:{server.sockets[0].getsockname()[1]}")
        await guest.call("[method]outgoing-request.set-scheme", request, ("HTTPS", None))
        assert await guest.head(await guest.handle(request)) == ("err", ("TLS-certificate-error", None))


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
