"""What tests of outgoing HTTP share: a guest's usual sequence of calls, and servers on loopback that count."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from golem_server.host import wasi_http, wasi_io
from golem_server.host.http_client import HttpClient, HttpSettings
from golem_server.host.network_policy import NetworkPolicy
from golem_server.model.types import Value
from tests.host.host_worker import HostWorker

TYPES = "wasi:http/types"
STREAMS = "wasi:io/streams"
INTERFACES = [*wasi_http.INTERFACES, *wasi_io.INTERFACES]
MIB = 1 << 20


@dataclass
class Seen:
    """A request as the server saw it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


async def _never_opened() -> None:
    """Nothing to close."""


@dataclass
class Server:
    """A running server: where it is, and what it has seen."""

    authority: str
    seen: list[Seen] = field(default_factory=list[Seen])
    close: Callable[[], Awaitable[None]] = _never_opened
    """Ends it before its time."""

    @property
    def keys(self) -> set[str]:
        """The idempotency keys that arrived."""
        return {seen.headers["idempotency-key"] for seen in self.seen}


@asynccontextmanager
async def web_server(answer: Callable[[web.Request, bytes], Any] | None = None) -> AsyncGenerator[Server, None]:
    """A server that notes each request and echoes its body, or answers otherwise."""
    server = Server("")

    async def handle(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        server.seen.append(Seen(request.method, request.path_qs, headers, body))
        if answer is not None:
            answered = answer(request, body)
            return await answered if asyncio.iscoroutine(answered) else answered
        return web.Response(status=201, body=body, headers={"X-Echo": "yes"})

    application = web.Application(client_max_size=64 * MIB)
    application.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.authority = f"127.0.0.1:{runner.addresses[0][1]}"
    server.close = runner.cleanup
    try:
        yield server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw_server(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any],
) -> AsyncGenerator[str, None]:
    """A server that says what the test wants after the head of each request. Gives its authority."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def http_worker(
    files: Path, settings: HttpSettings | None = None, policy: NetworkPolicy | None = None
) -> AsyncGenerator[HostWorker, None]:
    """A worker whose guest may use HTTP."""
    client = HttpClient(settings, policy)
    await client.start()
    worker = await HostWorker.create(files, INTERFACES, services={HttpClient: client})
    try:
        yield worker
    finally:
        await worker.context.oplog.settle()
        worker.context.close()
        await client.close()


@dataclass
class Response:
    """A response as the guest has read it. `error` is the error-code, or the stream's error with its code."""

    status: int = 0
    headers: dict[str, bytes] = field(default_factory=dict[str, bytes])
    body: bytes = b""
    error: Value = None


class Guest:
    """Calls the functions in the order in which real guests do."""

    def __init__(self, worker: HostWorker) -> None:
        self.worker = worker

    async def call(self, name: str, *arguments: Value) -> Value:
        """A function of wasi:http/types."""
        return await self.worker.call(TYPES, name, *arguments)

    async def stream(self, name: str, *arguments: Value) -> Value:
        """A function of wasi:io/streams."""
        return await self.worker.call(STREAMS, name, *arguments)

    def drop(self, handle: int) -> None:
        """Drop a handle."""
        self.worker.context.resource_dropped(handle)

    async def request(
        self,
        authority: str,
        path: str = "/",
        *,
        method: str = "get",
        headers: list[tuple[str, bytes]] | None = None,
    ) -> int:
        """A request that can be handled."""
        tag, fields = await self.call("[static]fields.from-list", headers or [])
        assert tag == "ok", fields
        request = await self.call("[constructor]outgoing-request", fields)
        for setter, value in (
            ("method", (method, None)),
            ("scheme", ("HTTP", None)),
            ("authority", authority),
            ("path-with-query", path),
        ):
            assert await self.call(f"[method]outgoing-request.set-{setter}", request, value) == ("ok", None)
        return request

    async def options(self, **nanoseconds: int) -> int:
        """Request options with these timeouts."""
        options = await self.call("[constructor]request-options")
        for name, value in nanoseconds.items():
            setter = f"[method]request-options.set-{name.replace('_', '-')}"
            assert await self.call(setter, options, value) == ("ok", None)
        return options

    async def handle(self, request: int, options: int | None = None) -> int:
        """Hand a request over."""
        tag, future = await self.worker.call("wasi:http/outgoing-handler", "handle", request, options)
        assert tag == "ok", future
        return future

    async def block(self, kind: str, handle: int) -> None:
        """Wait until a resource is ready."""
        owner = self.stream if kind.endswith("-stream") else self.call
        pollable = await owner(f"[method]{kind}.subscribe", handle)
        await self.worker.call("wasi:io/poll", "[method]pollable.block", pollable)
        self.drop(pollable)

    async def settled_head(self, future: int) -> Value:
        """The same as `head`, but like a guest that takes a ready pollable at its word."""
        await self.block("future-incoming-response", future)
        tag, inner = await self.call("[method]future-incoming-response.get", future)
        assert tag == "ok", inner
        return inner

    async def head(self, future: int) -> Value:
        """Wait for a response: the result of `get` without its outer layers."""
        while (found := await self.call("[method]future-incoming-response.get", future)) is None:
            await self.block("future-incoming-response", future)
        tag, inner = found
        assert tag == "ok", found
        return inner

    async def write_body(self, request: int, content: bytes) -> None:
        """Write and finish a body before `handle`."""
        _, body = await self.call("[method]outgoing-request.body", request)
        await self.send_body(body, content)

    async def send_body(self, body: int, content: bytes, piece: int = 64 << 10) -> None:
        """Write a body as the network takes it, and finish it."""
        _, stream = await self.call("[method]outgoing-body.write", body)
        position = 0
        while position < len(content):
            tag, room = await self.stream("[method]output-stream.check-write", stream)
            assert tag == "ok", room
            if not room:
                await self.block("output-stream", stream)
                continue
            part = content[position : position + min(room, piece)]
            assert await self.stream("[method]output-stream.write", stream, part) == ("ok", None)
            position += len(part)
        assert (await self.stream("[method]output-stream.blocking-flush", stream))[0] == "ok"
        self.drop(stream)
        assert await self.call("[static]outgoing-body.finish", body, None) == ("ok", None)

    async def read(self, future: int, *, length: int = MIB) -> Response:
        """Read a whole response and drop everything."""
        tag, response = await self.head(future)
        self.drop(future)
        if tag == "err":
            return Response(error=tuple(response))
        read = Response(status=await self.call("[method]incoming-response.status", response))
        headers = await self.call("[method]incoming-response.headers", response)
        read.headers = dict(await self.call("[method]fields.entries", headers))
        self.drop(headers)
        _, body = await self.call("[method]incoming-response.consume", response)
        _, stream = await self.call("[method]incoming-body.stream", body)
        parts: list[bytes] = []
        while True:
            tag, part = await self.stream("[method]input-stream.blocking-read", stream, length)
            if tag == "err":
                break
            parts.append(part)
        read.body = b"".join(parts)
        case, error = part
        if case != "closed":
            read.error = tuple(await self.call("http-error-code", error))
            self.drop(error)
        self.drop(stream)
        self.drop(body)
        self.drop(response)
        return read

    async def fetch(
        self, authority: str, path: str = "/", *, method: str = "get", body: bytes | None = None
    ) -> Response:
        """The whole of it."""
        request = await self.request(authority, path, method=method)
        if body is not None:
            await self.write_body(request, body)
        return await self.read(await self.handle(request))
