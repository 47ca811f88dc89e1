"""golem:websocket against real servers: messages are recorded, connections made again after replay, peers at fault."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from websockets.asyncio.server import ServerConnection, serve
from websockets.utils import accept_key

from golem_server.host import golem_websocket, wasi_io
from golem_server.host.network_policy import NetworkPolicy
from golem_server.host.websocket_client import WebsocketClient, WebsocketSettings
from golem_server.model.oplog import Category
from golem_server.model.types import Value
from golem_server.network_rules import NetworkAccess
from tests.host.host_worker import HostWorker

CLIENT = "golem:websocket/client"
INTERFACES = [*golem_websocket.INTERFACES, *wasi_io.INTERFACES]
SWITCHING = b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
HEADERS = [("authorization", "Bearer x"), ("x-twice", "1"), ("x-twice", "2")]


class Peer:
    """A server that keeps what it was told, and echoes."""

    def __init__(self) -> None:
        self.connections: list[ServerConnection] = []
        self.received: list[str | bytes] = []
        self.url = ""

    async def handle(self, connection: ServerConnection) -> None:
        """Echo every message, do what some ask for."""
        self.connections.append(connection)
        async for message in connection:
            self.received.append(message)
            if message == "close":
                await connection.close(4001, "as you wish")
            elif message == "vanish":
                connection.transport.abort()
            elif message != "silence":
                await connection.send(message)


@pytest_asyncio.fixture
async def peer() -> AsyncGenerator[Peer]:
    """An echo server."""
    found = Peer()
    async with serve(found.handle, "127.0.0.1", 0, max_size=None) as server:
        found.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/path?query"
        yield found


@asynccontextmanager
async def connected_worker(
    folder: Path, settings: WebsocketSettings | None = None, policy: NetworkPolicy | None = None
) -> AsyncGenerator[HostWorker]:
    """A worker with a websocket client."""
    client = WebsocketClient(settings, policy)
    await client.start()
    worker = await HostWorker.create(folder, INTERFACES, services={WebsocketClient: client})
    try:
        yield worker
    finally:
        worker.context.close()
        await client.close()


async def connect(worker: HostWorker, url: str, headers: Value = None) -> Value:
    """The result of a connection."""
    return await worker.call(CLIENT, "[static]websocket-connection.connect", url, headers)


async def opened(worker: HostWorker, peer: Peer, headers: Value = None) -> int:
    """A connection."""
    tag, handle = await connect(worker, peer.url, headers)
    assert tag == "ok", handle
    return handle


async def on(worker: HostWorker, handle: int, name: str, *arguments: Value) -> Value:
    """Call a method."""
    return await worker.call(CLIENT, f"[method]websocket-connection.{name}", handle, *arguments)


class Disabled(WebsocketClient):
    """A client that must not be used: replay has no effects."""

    async def connect(self, url: str, headers: list[tuple[str, str]]) -> Any:
        """Never."""
        raise AssertionError("replay connected")


def disable(worker: HostWorker) -> None:
    """Let the next start of the worker have no effects."""
    worker.services = {WebsocketClient: Disabled()}


async def talk(worker: HostWorker, url: str) -> list[Value]:
    """Use every function."""
    tag, handle = await connect(worker, url, HEADERS)
    assert tag == "ok"
    results: list[Value] = []
    results.append(await on(worker, handle, "send", ("text", "grüße")))
    results.append(await on(worker, handle, "receive"))
    results.append(await on(worker, handle, "send", ("binary", b"\0\xff")))
    results.append(await on(worker, handle, "receive-with-timeout", 10_000))
    results.append(await on(worker, handle, "receive-with-timeout", 1))
    results.append(await on(worker, handle, "close", 4000, "done"))
    results.append(await on(worker, handle, "receive"))
    return results


def plain(value: Value) -> Value:
    """The value with lists for tuples."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(value))


async def test_every_call_is_recorded_and_replayed_without_an_effect(peer: Peer, tmp_path: Path) -> None:
    async with connected_worker(tmp_path) as worker:
        first = await talk(worker, peer.url)
        assert first == [
            ("ok", None),
            ("ok", ("text", "grüße")),
            ("ok", None),
            ("ok", ("binary", b"\0\xff")),
            ("ok", None),
            ("ok", None),
            ("err", ("closed", {"code": 4000, "reason": "done"})),
        ]
        calls = await worker.host_calls()
        assert {call.category for call in calls} == {Category.WRITE_REMOTE}
        assert [(call.function.rpartition("::")[2], call.request) for call in calls] == [
            ("connect", {"url": peer.url, "headers": plain(HEADERS)}),
            ("send", {"message": ["text", "grüße"]}),
            ("receive", {}),
            ("send", {"message": ["binary", b"\0\xff"]}),
            ("receive-with-timeout", {"timeout_ms": 10_000}),
            ("receive-with-timeout", {"timeout_ms": 1}),
            ("close", {"code": 4000, "reason": "done"}),
            ("receive", {}),
        ]
        headers = peer.connections[0].request
        assert headers is not None
        assert headers.headers.get_all("x-twice") == ["1", "2"]
        assert headers.path == "/path?query"
        disable(worker)
        await worker.replay()
        assert plain(await talk(worker, peer.url)) == plain(first)
        assert worker.context.is_live
        assert await worker.host_calls() == calls
        await peer.connections[0].wait_closed()
        assert (peer.connections[0].close_code, peer.connections[0].close_reason) == (4000, "done")


async def test_the_first_live_call_after_replay_connects_again(peer: Peer, tmp_path: Path) -> None:
    async with connected_worker(tmp_path) as worker:
        handle = await opened(worker, peer, HEADERS)
        assert await on(worker, handle, "send", ("text", "one")) == ("ok", None)
        assert await on(worker, handle, "receive") == ("ok", ("text", "one"))
        await worker.replay()
        await peer.connections[0].wait_closed()
        handle = await opened(worker, peer, HEADERS)
        assert await on(worker, handle, "send", ("text", "one")) == ("ok", None)
        assert plain(await on(worker, handle, "receive")) == ["ok", ["text", "one"]]
        assert len(peer.connections) == 1
        # A poll cannot know, and lets the guest go on to a call that does.
        pollable = await on(worker, handle, "subscribe")
        assert await worker.call("wasi:io/poll", "[method]pollable.ready", pollable) is True
        assert await on(worker, handle, "send", ("text", "two")) == ("ok", None)
        assert await on(worker, handle, "receive") == ("ok", ("text", "two"))
        assert len(peer.connections) == 2
        requests = [connection.request for connection in peer.connections]
        assert all(request is not None and request.headers["authorization"] == "Bearer x" for request in requests)
        assert peer.received == ["one", "two"]


async def test_a_peer_that_is_gone_after_replay_is_an_error(peer: Peer, tmp_path: Path) -> None:
    async with connected_worker(tmp_path) as worker:
        handle = await opened(worker, peer)
        await on(worker, handle, "send", ("text", "one"))
        await worker.replay()
        handle = await opened(worker, peer)
        await on(worker, handle, "send", ("text", "one"))
        peer.connections[0].transport.abort()
        worker.services[WebsocketClient]._policy = NetworkPolicy(NetworkAccess.LISTED)
        tag, error = await on(worker, handle, "receive")
        assert (tag, error[0]) == ("err", "connection-failure")
        for name, arguments in [("receive", ()), ("send", (("text", "x"),)), ("close", (None, None))]:
            assert await on(worker, handle, name, *arguments) == ("err", tuple(error))


async def test_polling_for_a_message_loses_none(peer: Peer, tmp_path: Path) -> None:
    async with connected_worker(tmp_path) as worker:
        handle = await opened(worker, peer)
        pollable = await on(worker, handle, "subscribe")
        await on(worker, handle, "send", ("text", "silence"))
        assert await worker.call("wasi:io/poll", "[method]pollable.ready", pollable) is False
        assert await on(worker, handle, "receive-with-timeout", 5) == ("ok", None)
        waiting = asyncio.create_task(worker.call("wasi:io/poll", "poll", [pollable]))
        await peer.connections[0].send("first")
        assert await waiting == [0]
        await peer.connections[0].send("second")
        assert await worker.call("wasi:io/poll", "[method]pollable.ready", pollable) is True
        assert await on(worker, handle, "receive") == ("ok", ("text", "first"))
        assert await on(worker, handle, "receive") == ("ok", ("text", "second"))


async def test_a_peer_that_closes(peer: Peer, tmp_path: Path) -> None:
    async with connected_worker(tmp_path) as worker:
        handle = await opened(worker, peer)
        await on(worker, handle, "send", ("text", "close"))
        closed = ("err", ("closed", {"code": 4001, "reason": "as you wish"}))
        for name, arguments in [
            ("receive", ()),
            ("receive-with-timeout", (5,)),
            ("send", (("text", "late"),)),
            ("close", (1000, None)),
        ]:
            assert await on(worker, handle, name, *arguments) == closed
        handle = await opened(worker, peer)
        await on(worker, handle, "send", ("text", "vanish"))
        tag, error = await on(worker, handle, "receive")
        assert (tag, error[0]) == ("err", "receive-failure")
        # A handle that is dropped says goodbye.
        handle = await opened(worker, peer)
        worker.context.resource_dropped(handle)
        await peer.connections[2].wait_closed()
        assert peer.connections[2].close_code == 1001


@asynccontextmanager
async def raw_server(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncGenerator[str]:
    """A server that is no websocket server. Gives its URL."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def _handshake(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    key = next(line.partition(":")[2] for line in head.split("\r\n") if line.lower().startswith("sec-websocket-key"))
    writer.write(SWITCHING + f"Sec-WebSocket-Accept: {accept_key(key.strip())}\r\n\r\n".encode())


async def _garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await _handshake(reader, writer)
    writer.write(b"\xff\xff\xff\xff\xff")
    await reader.read()


async def _bad_text(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await _handshake(reader, writer)
    writer.write(b"\x81\x02\xc3\x28")
    await reader.read()


async def _endless_frame(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await _handshake(reader, writer)
    writer.write(b"\x82\x7f" + (1 << 40).to_bytes(8) + b"x" * 100)
    await reader.read()


async def _ends_early(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await _handshake(reader, writer)


@pytest.mark.parametrize(
    ("answer", "case"),
    [
        (_garbage, "protocol-error"),
        (_bad_text, "protocol-error"),
        (_endless_frame, "protocol-error"),
        (_ends_early, "receive-failure"),
    ],
)
async def test_a_peer_that_breaks_the_protocol(tmp_path: Path, answer: Any, case: str) -> None:
    async with connected_worker(tmp_path) as worker, raw_server(answer) as url:
        tag, handle = await connect(worker, url)
        assert tag == "ok"
        tag, error = await on(worker, handle, "receive")
        assert (tag, error[0]) == ("err", case)
        assert await on(worker, handle, "receive") == ("err", tuple(error))


async def _status(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")


async def _redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n")


async def _wrong_key(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(SWITCHING + b"Sec-WebSocket-Accept: no\r\n\r\n")


async def _noise(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\0\1\2\3 not HTTP at all\r\n\r\n")
    await reader.read()


async def _silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


@pytest.mark.parametrize("answer", [_status, _redirect, _wrong_key, _noise, _silence])
async def test_a_server_that_is_no_websocket_server(tmp_path: Path, answer: Any) -> None:
    settings = WebsocketSettings(connect_timeout=0.3)
    async with connected_worker(tmp_path, settings) as worker, raw_server(answer) as url:
        tag, error = await connect(worker, url)
        assert (tag, error[0]) == ("err", "connection-failure")


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("", None),
        ("http://127.0.0.1/", None),
        ("ws://", None),
        ("ws://host:99999/", None),
        ("ws://[::1", None),
        ("ws://127.0.0.1:1/", None),
        ("ws://no-such-host.invalid/", None),
        ("ws://127.0.0.1/" + "x" * 9000, None),
        ("ws://127.0.0.1/", [("a b", "c")]),
        ("ws://127.0.0.1/", [("a", "b\r\nc: d")]),
        ("ws://127.0.0.1/", [("Sec-WebSocket-Key", "x")]),
        ("ws://127.0.0.1/", [("a", "b")] * 101),
        ("ws://127.0.0.1/", [("a", "b" * 70_000)]),
    ],
)
async def test_what_cannot_be_connected_to(tmp_path: Path, url: str, headers: Value) -> None:
    async with connected_worker(tmp_path) as worker:
        tag, error = await connect(worker, url, headers)
        assert (tag, error[0]) == ("err", "connection-failure")
        assert len(await worker.host_calls()) == 1


async def test_the_network_policy_is_asked(peer: Peer, tmp_path: Path) -> None:
    async with connected_worker(tmp_path, policy=NetworkPolicy(NetworkAccess.PUBLIC)) as worker:
        for host in ("127.0.0.1", "localhost", "2130706433"):
            error = await connect(worker, peer.url.replace("127.0.0.1", host))
            assert error == ("err", ("connection-failure", "the network policy forbids this destination"))
    assert peer.connections == []


async def test_limits_of_messages_and_connections(peer: Peer, tmp_path: Path) -> None:
    settings = WebsocketSettings(max_connections=1, max_message=1000, connect_timeout=0.2)
    async with connected_worker(tmp_path, settings) as worker:
        handle = await opened(worker, peer)
        tag, error = await connect(worker, peer.url)
        assert (tag, error[0]) == ("err", "connection-failure")
        assert await on(worker, handle, "send", ("binary", b"x" * 1000)) == ("ok", None)
        assert await on(worker, handle, "receive") == ("ok", ("binary", b"x" * 1000))
        tag, error = await on(worker, handle, "send", ("text", "ü" * 501))
        assert (tag, error[0]) == ("err", "other")
        for code, reason in [(999, None), (1005, None), (5000, None), (1000, "x" * 124)]:
            tag, error = await on(worker, handle, "close", code, reason)
            assert (tag, error[0]) == ("err", "other")
        await peer.connections[0].send("x" * 1001)
        tag, error = await on(worker, handle, "receive")
        assert (tag, error[0]) == ("err", "protocol-error")
        # The place is free for another.
        handle = await opened(worker, peer)
        assert await on(worker, handle, "send", ("text", "again")) == ("ok", None)


async def test_a_peer_that_takes_nothing(tmp_path: Path) -> None:
    over = asyncio.Event()

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _handshake(reader, writer)
        await over.wait()

    settings = WebsocketSettings(send_timeout=0.2, close_timeout=0.2)
    async with connected_worker(tmp_path, settings) as worker, raw_server(deaf) as url:
        _, handle = await connect(worker, url)
        opened = worker.context.resources.get(handle, golem_websocket.Connection).opened
        assert opened is not None
        raw = opened._opened.get_extra_info("socket")  # pyright: ignore[reportPrivateUsage]
        sent: Value = ("ok", None)
        for _ in range(20):
            if sent[0] == "ok":
                sent = await on(worker, handle, "send", ("binary", b"x" * (1 << 20)))
        assert sent == ("err", ("send-failure", "the peer takes nothing"))
        assert await on(worker, handle, "receive") == ("err", ("send-failure", "the peer takes nothing"))
        # The system ends the connection, although there is more to send.
        async with asyncio.timeout(20):
            while raw.fileno() != -1:  # nobody tells when the system does it  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        over.set()
