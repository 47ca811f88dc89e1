"""Outgoing requests live and in replay: what arrives at the server, and what the guest gets."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from golem_server.durable.signals import GuestError
from golem_server.host.http_bodies import MAX_KEPT_BYTES, PIPE_BYTES
from golem_server.host.http_client import HttpSettings
from golem_server.model.ids import derived_idempotency_key
from golem_server.model.oplog import BeginRemoteWrite, Category, EndRemoteWrite, FinishSpan, StartSpan
from golem_server.model.types import Value
from tests.host.host_worker import HostWorker
from tests.host.http_guest import MIB, TYPES, Guest, Response, http_worker, raw_server, web_server

PATTERN = bytes(range(256)) * (10 * MIB // 256)


async def test_a_get_is_sent_once_and_replayed_from_the_oplog(tmp_path: Path) -> None:
    async with web_server() as server, http_worker(tmp_path) as worker:
        first = await Guest(worker).fetch(server.authority, "/a//b/../c?x=%2F&y")
        await worker.replay()
        assert await Guest(worker).fetch(server.authority, "/a//b/../c?x=%2F&y") == first
        assert worker.context.is_live
        assert first.status == 201
        assert first.headers["x-echo"] == b"yes"
        (seen,) = server.seen
        assert (seen.method, seen.path) == ("GET", "/a//b/../c?x=%2F&y")
        assert set(seen.headers) == {"host", "idempotency-key", "traceparent"}


async def test_entries_have_the_names_and_categories_of_the_interface(tmp_path: Path) -> None:
    async with web_server() as server, http_worker(tmp_path) as worker:
        await Guest(worker).fetch(server.authority, method="post", body=b"hello")
        entries = await worker.entries()
        begin = next(index for index, entry in enumerate(entries, 1) if isinstance(entry, BeginRemoteWrite))
        calls = [call for call in await worker.host_calls() if call.function.startswith("http::")]
        assert {call.function for call in calls} == {
            "http::types::future_incoming_response::get",
            "http::types::incoming_body_stream::blocking_read",
        }
        assert {call.category for call in calls} == {Category.WRITE_REMOTE_BATCHED}
        assert {call.begin_index for call in calls} == {begin}
        key = str(derived_idempotency_key("key-1", begin))
        (seen,) = server.seen
        assert calls[0].request == {
            "uri": f"http://{server.authority}/",
            "method": "POST",
            "headers": {"traceparent": seen.headers["traceparent"], "idempotency-key": key},
        }
        assert isinstance(entries[begin], StartSpan)
        assert isinstance(entries[-2], EndRemoteWrite)
        assert entries[-2].begin_index == begin
        assert isinstance(entries[-1], FinishSpan)
        assert (seen.body, seen.headers["content-length"], seen.headers["idempotency-key"]) == (b"hello", "5", key)


async def test_the_guests_own_key_wins(tmp_path: Path) -> None:
    async with web_server() as server, http_worker(tmp_path) as worker:
        guest = Guest(worker)
        request = await guest.request(server.authority, headers=[("Idempotency-Key", b"mine")])
        await guest.read(await guest.handle(request))
        assert server.keys == {"mine"}


@pytest.mark.parametrize("method", ["get", "head", "post", "put", "delete", "options", "patch"])
async def test_every_method(tmp_path: Path, method: str) -> None:
    async with web_server() as server, http_worker(tmp_path) as worker:
        assert (await Guest(worker).fetch(server.authority, method=method)).status == 201
        assert server.seen[0].method == method.upper()


async def test_a_method_of_the_guests_own(tmp_path: Path) -> None:
    async with web_server() as server, http_worker(tmp_path) as worker:
        guest = Guest(worker)
        request = await guest.request(server.authority)
        set_method = "[method]outgoing-request.set-method"
        assert await guest.call(set_method, request, ("other", "BAD METHOD")) == ("err", None)
        assert await guest.call(set_method, request, ("other", "PURGE")) == ("ok", None)
        await guest.read(await guest.handle(request))
        assert server.seen[0].method == "PURGE"


async def test_a_large_body_written_before_handle(tmp_path: Path) -> None:
    async with web_server() as server, http_worker(tmp_path) as worker:
        first = await Guest(worker).fetch(server.authority, method="post", body=PATTERN)
        assert server.seen[0].body == PATTERN
        assert first.body == PATTERN
        await worker.replay()
        assert await Guest(worker).fetch(server.authority, method="post", body=PATTERN) == first
        assert len(server.seen) == 1


async def upload(worker: HostWorker, authority: str, content: bytes) -> Response:
    guest = Guest(worker)
    request = await guest.request(authority, method="put")
    _, body = await guest.call("[method]outgoing-request.body", request)
    future = await guest.handle(request)
    await guest.send_body(body, content)
    return await guest.read(future)


async def test_a_large_body_streamed_after_handle(tmp_path: Path) -> None:
    async with web_server() as server, http_worker(tmp_path) as worker:
        first = await upload(worker, server.authority, PATTERN)
        assert server.seen[0].body == PATTERN
        assert server.seen[0].headers["transfer-encoding"] == "chunked"
        assert first.body == PATTERN
        writes = [call for call in await worker.host_calls() if call.function.endswith("outgoing_body_stream::write")]
        assert b"".join(call.request["contents"] for call in writes) == PATTERN
        await worker.replay()
        assert await upload(worker, server.authority, PATTERN) == first
        assert len(server.seen) == 1


async def test_a_guest_cannot_write_ahead_of_a_server_that_does_not_read(tmp_path: Path) -> None:
    reading = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reading.wait()
        while not (await reader.readuntil(b"\r\n")).startswith(b"0"):
            pass
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()

    async with raw_server(talk) as authority, http_worker(tmp_path) as worker:
        guest = Guest(worker)
        request = await guest.request(authority, method="put")
        _, body = await guest.call("[method]outgoing-request.body", request)
        future = await guest.handle(request)
        _, stream = await guest.call("[method]outgoing-body.write", body)
        written = 0
        piece = b"\n" * (32 << 10)
        while written < 64 * MIB:
            _, room = await guest.stream("[method]output-stream.check-write", stream)
            if room < len(piece):
                break
            await guest.stream("[method]output-stream.write", stream, piece)
            written += len(piece)
            for _ in range(5):
                await asyncio.sleep(0)
        assert PIPE_BYTES <= written < 32 * MIB
        waiting = asyncio.ensure_future(guest.stream("[method]output-stream.write", stream, bytes(PIPE_BYTES)))
        await asyncio.sleep(0)
        assert not waiting.done()
        reading.set()
        # The server takes everything up to a line that begins with the last chunk's 0.
        assert await waiting == ("ok", None)
        guest.drop(stream)
        assert await guest.call("[static]outgoing-body.finish", body, None) == ("ok", None)
        guest.drop(future)


async def test_a_guest_may_write_only_so_much_before_handle(tmp_path: Path) -> None:
    async with http_worker(tmp_path) as worker:
        guest = Guest(worker)
        request = await guest.request("localhost")
        _, body = await guest.call("[method]outgoing-request.body", request)
        _, stream = await guest.call("[method]outgoing-body.write", body)
        for _ in range(MAX_KEPT_BYTES // MIB):
            assert await guest.stream("[method]output-stream.write", stream, bytes(MIB)) == ("ok", None)
        assert await guest.stream("[method]output-stream.check-write", stream) == ("ok", 0)
        tag, error = await guest.stream("[method]output-stream.write", stream, b"1")
        assert (tag, error[0]) == ("err", "last-operation-failed")


async def test_a_body_must_be_as_long_as_its_content_length(tmp_path: Path) -> None:
    async with http_worker(tmp_path) as worker:
        guest = Guest(worker)
        request = await guest.request("localhost", headers=[("content-length", b"3")])
        _, body = await guest.call("[method]outgoing-request.body", request)
        _, stream = await guest.call("[method]outgoing-body.write", body)
        assert await guest.stream("[method]output-stream.write", stream, b"ab") == ("ok", None)
        _, (case, error) = await guest.stream("[method]output-stream.write", stream, b"cd")
        assert case == "last-operation-failed"
        assert await guest.call("http-error-code", error) == ("HTTP-request-body-size", 4)
        too_short: Value = ("err", ("HTTP-request-body-size", 2))
        assert await guest.call("[static]outgoing-body.finish", body, None) == too_short


async def test_a_body_dropped_before_its_end_fails_the_request(tmp_path: Path) -> None:
    async with web_server() as server, http_worker(tmp_path) as worker:
        guest = Guest(worker)
        request = await guest.request(server.authority, method="post")
        _, body = await guest.call("[method]outgoing-request.body", request)
        future = await guest.handle(request)
        guest.drop(body)
        assert await guest.head(future) == ("err", ("HTTP-protocol-error", None))
        assert server.seen == []


async def test_redirects_cookies_and_compressed_bodies_are_left_to_the_guest(tmp_path: Path) -> None:
    def answer(request: web.Request, _body: bytes) -> web.Response:
        headers = {"Location": "/elsewhere", "Set-Cookie": "a=b", "Content-Encoding": "gzip"}
        return web.Response(status=302, headers=headers, body=b"not really gzip")

    async with web_server(answer) as server, http_worker(tmp_path) as worker:
        for _ in range(2):
            response = await Guest(worker).fetch(server.authority)
            assert (response.status, response.headers["location"]) == (302, b"/elsewhere")
            assert response.body == b"not really gzip"
        assert all("cookie" not in seen.headers for seen in server.seen)
        assert len(server.keys) == 2


async def test_skipping_and_reading_without_waiting(tmp_path: Path) -> None:
    async def read(worker: HostWorker, authority: str) -> Value:
        guest = Guest(worker)
        request = await guest.request(authority, method="post")
        await guest.write_body(request, b"0123456789")
        _, response = await guest.head(await guest.handle(request))
        _, body = await guest.call("[method]incoming-response.consume", response)
        assert await guest.call("[method]incoming-response.consume", response) == ("err", None)
        _, stream = await guest.call("[method]incoming-body.stream", body)
        assert await guest.call("[method]incoming-body.stream", body) == ("err", None)
        results = [await guest.stream("[method]input-stream.blocking-skip", stream, 3)]
        await guest.block("input-stream", stream)
        results.append(await guest.stream("[method]input-stream.read", stream, 4))
        results.append(await guest.stream("[method]input-stream.skip", stream, 100))
        await guest.block("input-stream", stream)
        results.append(await guest.stream("[method]input-stream.read", stream, 1))
        results.append(await guest.stream("[method]input-stream.read", stream, 1))
        guest.drop(stream)
        trailers = await guest.call("[static]incoming-body.finish", body)
        await guest.block("future-trailers", trailers)
        results.append(await guest.call("[method]future-trailers.get", trailers))
        results.append(await guest.call("[method]future-trailers.get", trailers))
        return results

    async with web_server() as server, http_worker(tmp_path) as worker:
        closed: Value = ("err", ("closed", None))
        expected = [("ok", 3), ("ok", b"3456"), ("ok", 3), closed, closed, ("ok", ("ok", None)), ("err", None)]
        assert await read(worker, server.authority) == expected
        await worker.replay()
        assert [tuple(result) for result in await read(worker, server.authority)] == expected
        assert len(server.seen) == 1


async def test_each_owner_ends_the_region_when_it_goes(tmp_path: Path) -> None:
    async def leave(worker: HostWorker, authority: str, stage: str) -> None:
        guest = Guest(worker)
        future = await guest.handle(await guest.request(authority))
        if stage == "future":
            return guest.drop(future)
        _, response = await guest.head(future)
        guest.drop(future)
        if stage == "response":
            return guest.drop(response)
        _, body = await guest.call("[method]incoming-response.consume", response)
        guest.drop(response)
        if stage == "body":
            return guest.drop(body)
        _, stream = await guest.call("[method]incoming-body.stream", body)
        guest.drop(stream)
        guest.drop(await guest.call("[static]incoming-body.finish", body))

    async with web_server() as server, http_worker(tmp_path) as worker:
        stages = ("future", "response", "body", "finish")
        for stage in stages:
            await leave(worker, server.authority, stage)
            assert isinstance((await worker.entries())[-2], EndRemoteWrite), stage
        length = len(await worker.entries())
        await worker.replay()
        for stage in stages:
            await leave(worker, server.authority, stage)
        assert worker.context.is_live
        assert len(await worker.entries()) == length
        assert len(server.seen) <= len(stages)


async def test_one_worker_may_not_have_too_many_open_requests(tmp_path: Path) -> None:
    async with web_server() as server, http_worker(tmp_path, HttpSettings(max_open_requests=2)) as worker:
        for _ in range(2):
            guest = Guest(worker)
            futures = [await guest.handle(await guest.request(server.authority)) for _ in range(2)]
            third = await guest.request(server.authority)
            refused: Value = ("err", ("connection-limit-reached", None))
            assert await worker.call("wasi:http/outgoing-handler", "handle", third, None) == refused
            guest.drop(futures.pop())
            futures.append(await guest.handle(await guest.request(server.authority)))
            for future in futures:
                await guest.read(future)
            await worker.replay()


async def test_a_request_without_an_authority_is_refused(tmp_path: Path) -> None:
    async with http_worker(tmp_path) as worker:
        guest = Guest(worker)
        request = await guest.call("[constructor]outgoing-request", await guest.call("[constructor]fields"))
        refused: Value = ("err", ("HTTP-request-URI-invalid", None))
        assert await worker.call("wasi:http/outgoing-handler", "handle", request, None) == refused
        with pytest.raises(GuestError):
            await guest.call("[method]outgoing-request.headers", request)


@pytest.mark.parametrize(
    ("setter", "value"),
    [
        ("path-with-query", "/a b"),
        ("path-with-query", "/a\r\nx: y"),
        ("path-with-query", "/#fragment"),
        ("authority", "user:secret@host"),
        ("authority", "host:99999"),
        ("authority", "ho\r\nst"),
        ("authority", ""),
        ("scheme", ("other", "a b")),
        ("method", ("other", "")),
    ],
)
async def test_what_would_break_a_request_is_refused(tmp_path: Path, setter: str, value: Value) -> None:
    async with http_worker(tmp_path) as worker:
        guest = Guest(worker)
        request = await guest.request("localhost")
        assert await worker.call(TYPES, f"[method]outgoing-request.set-{setter}", request, value) == ("err", None)
