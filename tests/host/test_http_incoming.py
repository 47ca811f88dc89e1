"""Answering a request, function by function: what the guest sees of it, and what becomes of its response."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from golem_server.host import wasi_http, wasi_http_incoming, wasi_io
from golem_server.host.http_incoming import MAX_RESPONSE_BYTES
from golem_server.host.wasi_http_incoming import handle_request
from golem_server.model.http_messages import HttpBody, HttpResponse, IncomingHttpRequest
from golem_server.model.oplog import Log
from golem_server.model.types import Value
from tests.host.host_worker import HostWorker
from tests.host.http_guest import MIB, Guest

INTERFACES = [*wasi_http.INTERFACES, *wasi_http_incoming.INTERFACES, *wasi_io.INTERFACES]
REQUEST = IncomingHttpRequest(
    "POST", "http", "h:1", "/p?q", (("A", b"1"), ("a", b"2"), ("Host", b"h")), HttpBody(b"0123456789", (("t", b"v"),))
)


class Handling:
    """A guest that was given a request: its handles, and the response that came of it."""

    def __init__(self, worker: HostWorker, message: IncomingHttpRequest = REQUEST) -> None:
        self.worker = worker
        self.guest = Guest(worker)
        arguments: list[int]
        arguments, self._result = _begin(worker, message)
        self.request, self.outparam = arguments

    @property
    def response(self) -> HttpResponse:
        """After the guest has returned."""
        return HttpResponse.from_value(self._result())

    async def respond(
        self, *pieces: bytes, headers: list[tuple[str, bytes]] | None = None, trailers: int | None = None
    ) -> Value:
        """Set a response and write its body. Gives the result of `finish`."""
        call, stream = self.guest.call, self.guest.stream
        _, fields = await call("[static]fields.from-list", headers or [])
        response = await call("[constructor]outgoing-response", fields)
        _, body = await call("[method]outgoing-response.body", response)
        await call("[static]response-outparam.set", self.outparam, ("ok", response))
        _, out = await call("[method]outgoing-body.write", body)
        for piece in pieces:
            assert await stream("[method]output-stream.write", out, piece) == ("ok", None)
        self.guest.drop(out)
        return await call("[static]outgoing-body.finish", body, trailers)

    async def logged(self) -> list[str]:
        """What the worker's log says."""
        return [entry.message for entry in await self.worker.entries() if isinstance(entry, Log)]


def _begin(worker: HostWorker, message: IncomingHttpRequest) -> tuple[list[int], Callable[[], Value]]:
    arguments, result = handle_request(worker.context, [message.value()])
    return list(arguments), result


@pytest.fixture
async def worker(tmp_path: Path) -> HostWorker:
    """A worker whose guest may answer HTTP."""
    return await HostWorker.create(tmp_path, INTERFACES)


async def test_what_the_guest_sees_of_a_request(worker: HostWorker) -> None:
    handling = Handling(worker)
    call, stream = handling.guest.call, handling.guest.stream
    assert await call("[method]incoming-request.method", handling.request) == ("post", None)
    assert await call("[method]incoming-request.scheme", handling.request) == ("HTTP", None)
    assert await call("[method]incoming-request.authority", handling.request) == "h:1"
    assert await call("[method]incoming-request.path-with-query", handling.request) == "/p?q"
    headers = await call("[method]incoming-request.headers", handling.request)
    assert await call("[method]fields.entries", headers) == [("a", b"1"), ("a", b"2")]
    assert await call("[method]fields.append", headers, "b", b"") == ("err", ("immutable", None))
    _, body = await call("[method]incoming-request.consume", handling.request)
    assert await call("[method]incoming-request.consume", handling.request) == ("err", None)
    _, source = await call("[method]incoming-body.stream", body)
    assert await call("[method]incoming-body.stream", body) == ("err", None)
    assert await stream("[method]input-stream.read", source, 0) == ("ok", b"")
    assert await stream("[method]input-stream.read", source, 4) == ("ok", b"0123")
    assert await stream("[method]input-stream.skip", source, 2) == ("ok", 2)
    assert await stream("[method]input-stream.blocking-read", source, 100) == ("ok", b"6789")
    assert await stream("[method]input-stream.blocking-read", source, 1) == ("err", ("closed", None))
    trailers = await call("[static]incoming-body.finish", body)
    _, (_, fields) = await call("[method]future-trailers.get", trailers)
    assert await call("[method]fields.entries", fields) == [("t", b"v")]
    assert await call("[method]future-trailers.get", trailers) == ("err", None)
    assert await worker.host_calls() == []


async def test_methods_and_schemes_of_their_own(worker: HostWorker) -> None:
    handling = Handling(worker, IncomingHttpRequest("PURGE", "gopher", "h", "*"))
    call = handling.guest.call
    assert await call("[method]incoming-request.method", handling.request) == ("other", "PURGE")
    assert await call("[method]incoming-request.scheme", handling.request) == ("other", "gopher")
    _, body = await call("[method]incoming-request.consume", handling.request)
    _, source = await call("[method]incoming-body.stream", body)
    assert await handling.guest.stream("[method]input-stream.read", source, 1) == ("err", ("closed", None))
    trailers = await call("[static]incoming-body.finish", body)
    assert await call("[method]future-trailers.get", trailers) == ("ok", ("ok", None))


async def test_a_response_with_trailers(worker: HostWorker) -> None:
    handling = Handling(worker)
    _, trailers = await handling.guest.call("[static]fields.from-list", [("T", b"x")])
    assert await handling.respond(b"ab", b"", b"c", headers=[("X-A", b"1")], trailers=trailers) == ("ok", None)
    assert handling.response == HttpResponse(200, (("x-a", b"1"),), HttpBody(b"abc", (("t", b"x"),)))
    assert await handling.logged() == []


async def test_a_response_without_a_body(worker: HostWorker) -> None:
    handling = Handling(worker)
    call = handling.guest.call
    response = await call("[constructor]outgoing-response", await call("[constructor]fields"))
    for status, expected in ((99, ("err", None)), (1000, ("err", None)), (404, ("ok", None))):
        assert await call("[method]outgoing-response.set-status-code", response, status) == expected
    assert await call("[method]outgoing-response.status-code", response) == 404
    headers = await call("[method]outgoing-response.headers", response)
    assert await call("[method]fields.set", headers, "a", []) == ("err", ("immutable", None))
    await call("[static]response-outparam.set", handling.outparam, ("ok", response))
    assert handling.response == HttpResponse(404)


async def test_an_empty_body_is_none(worker: HostWorker) -> None:
    handling = Handling(worker)
    assert await handling.respond() == ("ok", None)
    assert handling.response == HttpResponse(200)


async def test_an_error_instead_of_a_response(worker: HostWorker) -> None:
    handling = Handling(worker)
    await handling.guest.call("[static]response-outparam.set", handling.outparam, ("err", ("loop-detected", None)))
    assert handling.response == HttpResponse(500)
    assert await handling.logged() == ["the guest answered loop-detected"]


async def test_a_body_that_was_not_finished(worker: HostWorker) -> None:
    handling = Handling(worker)
    call = handling.guest.call
    response = await call("[constructor]outgoing-response", await call("[constructor]fields"))
    _, body = await call("[method]outgoing-response.body", response)
    assert await call("[method]outgoing-response.body", response) == ("err", None)
    await call("[static]response-outparam.set", handling.outparam, ("ok", response))
    handling.guest.drop(body)
    assert handling.response == HttpResponse(500)
    assert "did not finish" in (await handling.logged())[0]


@pytest.mark.parametrize(("method", "status"), [("GET", 500), ("HEAD", 200)])
async def test_a_content_length_without_a_body(worker: HostWorker, method: str, status: int) -> None:
    handling = Handling(worker, IncomingHttpRequest(method, "http", "h", "/"))
    _, fields = await handling.guest.call("[static]fields.from-list", [("content-length", b"5")])
    response = await handling.guest.call("[constructor]outgoing-response", fields)
    await handling.guest.call("[static]response-outparam.set", handling.outparam, ("ok", response))
    assert handling.response.status == status


@pytest.mark.parametrize(("length", "pieces"), [(b"3", [b"ab"]), (b"3", [b""])])
async def test_a_body_shorter_than_its_content_length(worker: HostWorker, length: bytes, pieces: list[bytes]) -> None:
    handling = Handling(worker)
    written = sum(map(len, pieces))
    finished = await handling.respond(*pieces, headers=[("content-length", length)])
    assert finished == ("err", ("HTTP-response-body-size", written))
    assert handling.response == HttpResponse(500)


async def test_a_body_longer_than_its_content_length(worker: HostWorker) -> None:
    handling = Handling(worker)
    call, stream = handling.guest.call, handling.guest.stream
    _, fields = await call("[static]fields.from-list", [("content-length", b"3")])
    response = await call("[constructor]outgoing-response", fields)
    _, body = await call("[method]outgoing-response.body", response)
    _, out = await call("[method]outgoing-body.write", body)
    _, (case, error) = await stream("[method]output-stream.write", out, b"abcd")
    assert case == "last-operation-failed"
    assert await call("http-error-code", error) == ("HTTP-response-body-size", 4)


async def test_a_content_length_that_is_no_number(worker: HostWorker) -> None:
    handling = Handling(worker)
    call = handling.guest.call
    _, fields = await call("[static]fields.from-list", [("content-length", b"many")])
    response = await call("[constructor]outgoing-response", fields)
    assert await call("[method]outgoing-response.body", response) == ("err", None)
    await call("[static]response-outparam.set", handling.outparam, ("ok", response))
    assert handling.response == HttpResponse(500)


async def test_a_body_of_the_largest_size_and_one_more(worker: HostWorker) -> None:
    handling = Handling(worker)
    call, stream = handling.guest.call, handling.guest.stream
    response = await call("[constructor]outgoing-response", await call("[constructor]fields"))
    _, body = await call("[method]outgoing-response.body", response)
    _, out = await call("[method]outgoing-body.write", body)
    for _ in range(MAX_RESPONSE_BYTES // MIB):
        assert await stream("[method]output-stream.write", out, bytes(MIB)) == ("ok", None)
    tag, (case, _) = await stream("[method]output-stream.write", out, b"1")
    assert (tag, case) == ("err", "last-operation-failed")
    assert await call("[static]outgoing-body.finish", body, None) == ("ok", None)
    await call("[static]response-outparam.set", handling.outparam, ("ok", response))
    sent = handling.response.body
    assert sent is not None
    assert len(sent.content) == MAX_RESPONSE_BYTES
