"""Clients that open `connect` and do not read: they are dropped, and nobody else notices them."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from time import monotonic
from typing import Any

import pytest
from pydantic import SecretStr
from websockets.sync.client import ClientConnection, connect

from golem_server.durable.events import BACKLOG_BYTES, BACKLOG_EVENTS, TOLD_BYTES, Watcher, WorkerEvent
from golem_server.model.oplog import Log
from golem_server.registry.tokens import LOCAL_TOKEN
from golem_server.settings import Settings
from golem_server.storage.embedded import EmbeddedPostgres
from tests.api.server import Client, ServerThread
from tests.guests.speaker import SAY, speaker
from tests.postgres import execute, url_of

MANY, LINE = 500, 32_768
"""Log lines of so many bytes each: more than all buffers on the way to a client hold."""


@pytest.fixture(scope="module")
def server(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerThread]:
    """A server that pings often and does not wait long for the pong."""
    asyncio.run(execute(postgres.url, "CREATE DATABASE stuck TEMPLATE template_migrated"))
    settings = Settings(
        port=0,
        data_directory=tmp_path_factory.mktemp("data"),
        database_url=SecretStr(url_of(postgres.url, "stuck")),
    )
    with ServerThread(settings, ws_ping_interval=0.5, ws_ping_timeout=0.5) as thread:
        yield thread


@pytest.fixture(scope="module")
def client(server: ServerThread) -> Client:
    """A caller with the local token."""
    return Client(server.port)


@pytest.fixture(scope="module")
def component(client: Client) -> str:
    """The path of a component whose workers talk."""
    return f"/v1/components/{client.create(speaker())['componentId']}"


@contextmanager
def stuck_watcher(client: Client, worker: str) -> Generator[socket.socket]:
    """A connection to the worker's events of which nothing is read but the answer to the handshake."""
    request = [
        f"GET {worker}/connect HTTP/1.1",
        f"Host: 127.0.0.1:{client.port}",
        f"Authorization: Bearer {LOCAL_TOKEN}",
        "User-Agent: tests",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ]
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(20)
        connection.connect(("127.0.0.1", client.port))
        connection.sendall("\r\n".join([*request, "", ""]).encode())
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += connection.recv(1)
        assert answer.startswith(b"HTTP/1.1 101")
        yield connection


@contextmanager
def reader_of(client: Client, worker: str) -> Generator[ClientConnection]:
    """A connection to the worker's events of which everything is read."""
    url, headers = f"ws://127.0.0.1:{client.port}{worker}/connect", {"Authorization": f"Bearer {LOCAL_TOKEN}"}
    with connect(url, additional_headers=headers, max_queue=None) as connection:
        yield connection


def watchers(server: ServerThread) -> int:
    """How many watch any worker."""

    async def count(services: Any) -> int:
        return sum(len(channel.watchers) for channel in services.executor.events._channels.values())

    return server.run(count)


def shout(client: Client, worker: str, times: int, key: str) -> float:
    """Have the worker log some large lines; how long that took, in seconds."""
    before = monotonic()
    client.invoke(f"{worker}/invoke-and-await", "shout", times, key=key, interface=SAY).ok()
    return monotonic() - before


def read_until(connection: ClientConnection, key: str) -> None:
    """Read on until this invocation has finished."""
    finished = None
    while finished != key:
        ((_, content),) = json.loads(connection.recv(timeout=20)).items()
        finished = content.get("idempotency_key")


def test_who_does_not_read_is_dropped_and_nobody_else_notices(
    client: Client, server: ServerThread, component: str
) -> None:
    worker = f"{component}/workers/w"
    client.post(f"{component}/workers", {"name": "w"}).ok()
    alone = shout(client, worker, MANY, "alone")
    with ExitStack() as connections:
        stuck = [connections.enter_context(stuck_watcher(client, worker)) for _ in range(5)]
        reader = connections.enter_context(reader_of(client, worker))
        assert shout(client, worker, MANY, "watched") < 10 * alone + 1
        read_until(reader, "watched")
        deadline = monotonic() + 20
        while watchers(server) > 1:
            assert monotonic() < deadline, "those who do not read are still there"
        # The worker and the one who reads go on.
        shout(client, worker, 1, "afterwards")
        read_until(reader, "afterwards")
        for connection in stuck:
            received = 0
            with suppress(ConnectionResetError):
                while part := connection.recv(1 << 20):
                    received += len(part)
            assert received < MANY * LINE


def test_what_waits_for_a_watcher_is_bounded_in_number_and_size() -> None:
    async def told(size: int) -> tuple[int, int]:
        watcher = Watcher()
        for index in range(1, 3001):
            watcher.tell(WorkerEvent(index, Log(timestamp=0, level=2, context="", message=""), size, None))
        waited: list[WorkerEvent] = []
        missed, later = 0, -1
        while not missed:
            events, missed = await watcher.next()
            assert sum(event.size for event in events) <= TOLD_BYTES
            waited += events
            later += 1
            if not missed:
                # Between what is told and what was missed nothing is let in.
                watcher.tell(waited[0])
        assert [event.index for event in waited] == list(range(1, len(waited) + 1))
        watcher.tell(waited[0])
        assert await watcher.next() == ([waited[0]], 0)
        return len(waited), missed - later

    assert asyncio.run(told(1)) == (BACKLOG_EVENTS, 3000 - BACKLOG_EVENTS)
    large = 64 << 10
    assert asyncio.run(told(large)) == (BACKLOG_BYTES // large, 3000 - BACKLOG_BYTES // large)
