"""Recorded functions that reach the network: streams of outgoing HTTP, websockets, and names."""

from __future__ import annotations

import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias
from unittest.mock import patch

from websockets.asyncio.server import serve

from golem_server.host import network_policy
from golem_server.model.oplog import Category
from golem_server.model.types import Value
from tests.host import test_golem_websocket, test_wasi_sockets
from tests.host.http_guest import Guest, Server, http_worker, web_server
from tests.host.recorded.world import Means, Row, Use, World
from tests.host.test_golem_websocket import CLIENT, Peer, connected_worker
from tests.host.test_wasi_sockets import LOOKUP, Names

BATCHED, WRITE = Category.WRITE_REMOTE_BATCHED, Category.WRITE_REMOTE


# --- Outgoing HTTP

CONTENT = bytes(range(200))
Operation: TypeAlias = Callable[[Guest, int, int], Awaitable[Value]]
"""`operation(guest, in, out)`: calls of one function, with the response's stream and the request's."""


@asynccontextmanager
async def http_world(means: Means) -> AsyncGenerator[World]:
    """A worker and a server that echoes, and that is gone when the worker is replayed."""
    async with http_worker(means.folder) as worker, web_server() as server:
        yield World(worker, lambda: len(server.seen), server.close, {Server: server})


def over_http(operation: Operation) -> Use:
    """Two requests: one that is answered, and one whose body is being written."""

    async def use(world: World) -> Value:
        guest, authority = Guest(world.worker), world.thing(Server).authority
        first = await guest.request(authority, method="post")
        await guest.write_body(first, CONTENT)
        future = await guest.handle(first)
        head = await guest.settled_head(future)
        _, body = await guest.call("[method]incoming-response.consume", head[1])
        _, source = await guest.call("[method]incoming-body.stream", body)
        second = await guest.request(authority, method="put")
        _, outgoing = await guest.call("[method]outgoing-request.body", second)
        unanswered = await guest.handle(second)
        _, target = await guest.call("[method]outgoing-body.write", outgoing)
        results = await operation(guest, source, target)
        guest.drop(target)
        await guest.call("[static]outgoing-body.finish", outgoing, None)
        # Without their ends the requests would be sent again.
        for handle in (unanswered, source, body, head[1], future):
            guest.drop(handle)
        return results

    return use


def reading(function: str, *lengths: int) -> Operation:
    """Calls of a function that reads."""

    async def operation(guest: Guest, source: int, _target: int) -> Value:
        results: list[Value] = []
        for length in lengths:
            await guest.block("input-stream", source)
            results.append(await guest.stream(f"[method]input-stream.{function}", source, length))
        return results

    return operation


def writing(function: str, *arguments: Value) -> Operation:
    """A call of a function that writes."""

    async def operation(guest: Guest, _source: int, target: int) -> Value:
        return await guest.stream(f"[method]output-stream.{function}", target, *arguments)

    return operation


def splicing(function: str) -> Operation:
    """A call of a function that moves bytes from the response of another request."""

    async def operation(guest: Guest, source: int, target: int) -> Value:
        await guest.block("input-stream", source)
        return await guest.stream(f"[method]output-stream.{function}", target, source, 7)

    return operation


def http_row(record: str, operation: Operation, variant: str) -> Row:
    return Row(
        "wasi:http/types", record, f"http::types::{record}", BATCHED, over_http(operation), http_world, None, variant
    )


HTTP_ROWS = [
    http_row("incoming_body_stream::read", reading("read", 5, 100), "read"),
    http_row("incoming_body_stream::blocking_read", reading("blocking-read", 5, 1000, 1), "blocking-read"),
    http_row("incoming_body_stream::skip", reading("skip", 5, 100), "skip"),
    http_row("incoming_body_stream::blocking_skip", reading("blocking-skip", 5, 1000, 1), "blocking-skip"),
    http_row("outgoing_body_stream::check_write", writing("check-write"), "check-write"),
    http_row("outgoing_body_stream::write", writing("write", b"abc"), "write"),
    http_row("outgoing_body_stream::write", writing("blocking-write-and-flush", b"abc"), "blocking-write-and-flush"),
    http_row("outgoing_body_stream::write", writing("write-zeroes", 3), "write-zeroes"),
    http_row(
        "outgoing_body_stream::write",
        writing("blocking-write-zeroes-and-flush", 3),
        "blocking-write-zeroes-and-flush",
    ),
    http_row("outgoing_body_stream::flush", writing("flush"), "flush"),
    http_row("outgoing_body_stream::blocking_flush", writing("blocking-flush"), "blocking-flush"),
    http_row("outgoing_body_stream::write", splicing("splice"), "splice"),
    http_row("outgoing_body_stream::write", splicing("blocking-splice"), "blocking-splice"),
    http_row("future_incoming_response::get", reading("read", 1), "get"),
]
"""What is recorded of streams over HTTP. The functions of wasi:io/streams themselves are not: not all streams are."""


# --- Websockets


@asynccontextmanager
async def websocket_world(means: Means) -> AsyncGenerator[World]:
    """A worker and a peer that echoes. Who replays cannot connect."""
    peer = Peer()
    async with serve(peer.handle, "127.0.0.1", 0) as server, connected_worker(means.folder) as worker:
        peer.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        yield World(
            worker,
            lambda: [len(peer.connections), peer.received],
            lambda: test_golem_websocket.disable(worker),
            {Peer: peer},
        )


async def talk(world: World) -> Value:
    """Every function; what is learned ends with the close."""
    return await test_golem_websocket.talk(world.worker, world.thing(Peer).url)


def websocket_row(name: str, static: bool = False) -> Row:
    kind = "static" if static else "method"
    record = f"{CLIENT}::{name}"
    return Row(CLIENT, f"[{kind}]websocket-connection.{name}", record, WRITE, talk, websocket_world)


WEBSOCKET_ROWS = [
    websocket_row("connect", static=True),
    *map(websocket_row, ("send", "receive", "receive-with-timeout", "close")),
]


# --- Names


@asynccontextmanager
async def names_world(means: Means) -> AsyncGenerator[World]:
    """A worker on a machine that knows one name, and later none."""
    names = Names({"golem.test": ["192.0.2.7", "2001:db8::1:ff"], "gone.test": socket.EAI_NONAME})
    with patch.object(network_policy.socket, "getaddrinfo", names):
        worker = await test_wasi_sockets.new_worker(means.folder)

        def disable() -> None:
            names.answers.clear()
            worker.services = {}

        yield World(worker, lambda: names.asked, disable)
        worker.context.close()


async def resolve(world: World) -> Value:
    return [await test_wasi_sockets.resolve(world.worker, name) for name in ("golem.test", "gone.test")]


NAME_ROWS = [
    Row(
        LOOKUP,
        "resolve-addresses",
        "sockets::ip_name_lookup::resolve_addresses",
        Category.READ_REMOTE,
        resolve,
        names_world,
        {"name": "golem.test"},
    )
]

ROWS = [*HTTP_ROWS, *WEBSOCKET_ROWS, *NAME_ROWS]
