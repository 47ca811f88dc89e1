"""Workers that answer HTTP requests: the function that the server adds, as a gateway calls it, and crashes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from golem_server.durable.http_handler import handle_http
from golem_server.model.errors import InvalidInput
from golem_server.model.http_messages import HttpBody, HttpResponse, IncomingHttpRequest
from golem_server.model.ids import WorkerId
from golem_server.model.oplog import HostCall, InvocationFinished, InvocationStarted, Log
from golem_server.model.virtual_exports import HANDLE_HTTP
from golem_server.model.workers import WorkerStatus
from golem_server.wasm.code_cache import CodeCache
from golem_server.wasm.engine import Engine
from tests.durable.memory_promises import MemoryPromiseStore
from tests.durable.world import World
from tests.guests.http_server import HTTP_SERVER
from tests.guests.small import SMALL
from tests.host.memory_store import MemoryOplogStore


@pytest.fixture
async def world(code: tuple[Engine, CodeCache], tmp_path: Path) -> AsyncGenerator[World]:
    """An executor over a store in memory."""
    store = MemoryOplogStore()
    async with World(store, MemoryPromiseStore(store), tmp_path, code=code) as world:
        yield world


def request(content: bytes | None = b"hello") -> IncomingHttpRequest:
    """A POST."""
    body = None if content is None else HttpBody(content)
    return IncomingHttpRequest("POST", "https", "shop.example:8443", "/a?b=c", (("x-a", b"1"), ("host", b"h")), body)


async def answer(world: World, worker: WorkerId, key: str, content: bytes | None = b"hello") -> HttpResponse:
    """What a gateway gets."""
    return await handle_http(world.executor, worker, request(content), key)


async def test_a_worker_answers_a_request(world: World) -> None:
    worker = WorkerId(await world.component(HTTP_SERVER), "w")
    assert await answer(world, worker, "1") == HttpResponse(201, (), HttpBody(b"hello"))
    # The same key: the same response, without running.
    assert await answer(world, worker, "1", b"other") == HttpResponse(201, (), HttpBody(b"hello"))
    assert await answer(world, worker, "2") == HttpResponse(202, (), HttpBody(b"hello"))
    started = [entry for entry in await world.entries(worker) if isinstance(entry, InvocationStarted)]
    assert [entry.invocation.function for entry in started] == [HANDLE_HTTP] * 2
    # Neither the request's body nor the response's is recorded a second time.
    calls = {entry.function for entry in await world.entries(worker) if isinstance(entry, HostCall)}
    assert calls == {"monotonic_clock::subscribe_duration", "io::poll::poll"}


async def test_a_large_body_goes_through(world: World) -> None:
    worker = WorkerId(await world.component(HTTP_SERVER), "w")
    content = bytes(range(256)) * (4 << 12)
    assert await answer(world, worker, "1", content) == HttpResponse(201, (), HttpBody(content))
    await world.crash()
    assert await answer(world, worker, "1", content) == HttpResponse(201, (), HttpBody(content))
    assert (await answer(world, worker, "2", content)).status == 202


async def test_a_crash_in_the_middle_of_a_request(world: World) -> None:
    worker = WorkerId(await world.component(HTTP_SERVER), "w")
    assert (await answer(world, worker, "1")).status == 201
    lost = asyncio.ensure_future(answer(world, worker, "2", b"in the middle"))
    await world.until_written(worker, InvocationStarted, 2)
    assert len([kind for kind in await world.kinds(worker) if kind == "InvocationFinished"]) == 1
    await world.crash()
    lost.cancel()
    assert await answer(world, worker, "2") == HttpResponse(202, (), HttpBody(b"in the middle"))
    assert (await answer(world, worker, "3")).status == 203


async def test_a_guest_without_a_response_answers_500_and_lives(world: World) -> None:
    worker = WorkerId(await world.component(HTTP_SERVER), "w")
    assert await answer(world, worker, "1", None) == HttpResponse(500)
    await world.crash()
    assert await answer(world, worker, "1", None) == HttpResponse(500)
    assert (await answer(world, worker, "2")).status == 202
    logs = [entry.message for entry in await world.entries(worker) if isinstance(entry, Log)]
    assert logs == ["the guest set no response"]


async def test_what_is_no_request_leaves_no_trace(world: World) -> None:
    worker = WorkerId(await world.component(HTTP_SERVER), "w")
    for wrong in (
        IncomingHttpRequest("A B", "http", "h", "/"),
        IncomingHttpRequest("GET", "", "h", "/"),
        IncomingHttpRequest("GET", "http", "user@h", "/"),
        IncomingHttpRequest("GET", "http", "h:99999", "/"),
        IncomingHttpRequest("GET", "http", "h", "x"),
        IncomingHttpRequest("GET", "http", "h", "/ x"),
        IncomingHttpRequest("GET", "http", "h", "/", (("a b", b""),)),
        IncomingHttpRequest("GET", "http", "h", "/", (("a", b"x\r\ny: z"),)),
        IncomingHttpRequest("GET", "http", "h", "/", (("a", b""),) * 1001),
        IncomingHttpRequest("GET", "http", "h", "/", (), HttpBody(b"", (("a", b"\0"),))),
    ):
        with pytest.raises(InvalidInput):
            await handle_http(world.executor, worker, wrong, "1")
    assert await world.kinds(worker) == ["Create"]
    assert await world.status(worker) is WorkerStatus.IDLE
    assert (await answer(world, worker, "1")).status == 201


async def test_a_component_without_a_handler(world: World) -> None:
    worker = WorkerId(await world.component(SMALL["counter"].text()), "w")
    with pytest.raises(InvalidInput, match="Can't find exported function"):
        await answer(world, worker, "1")


async def test_requests_are_handled_one_at_a_time_in_order(world: World) -> None:
    worker = WorkerId(await world.component(HTTP_SERVER), "w")
    answers = await asyncio.gather(*(answer(world, worker, f"{number}") for number in range(4)))
    assert [response.status for response in answers] == [201, 202, 203, 204]
    finished = [entry for entry in await world.entries(worker) if isinstance(entry, InvocationFinished)]
    assert [HttpResponse.from_value(entry.result) for entry in finished] == answers
