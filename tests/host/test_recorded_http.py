"""Every recorded function of outgoing HTTP: what it gave live it gives in replay, with no server there any more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from golem_server.model.oplog import Category
from golem_server.model.types import Value
from tests.host.http_guest import Guest, http_worker, web_server

CONTENT = bytes(range(200))
Operation: TypeAlias = Callable[[Guest, int, int], Awaitable[Value]]
"""`operation(guest, in, out)`: calls of one function, with the response's stream and the request's."""


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


RECORDED: list[tuple[str, Operation]] = [
    ("incoming_body_stream::read", reading("read", 5, 100)),
    ("incoming_body_stream::blocking_read", reading("blocking-read", 5, 1000, 1)),
    ("incoming_body_stream::skip", reading("skip", 5, 100)),
    ("incoming_body_stream::blocking_skip", reading("blocking-skip", 5, 1000, 1)),
    ("outgoing_body_stream::check_write", writing("check-write")),
    ("outgoing_body_stream::write", writing("write", b"abc")),
    ("outgoing_body_stream::write", writing("blocking-write-and-flush", b"abc")),
    ("outgoing_body_stream::write", writing("write-zeroes", 3)),
    ("outgoing_body_stream::write", writing("blocking-write-zeroes-and-flush", 3)),
    ("outgoing_body_stream::flush", writing("flush")),
    ("outgoing_body_stream::blocking_flush", writing("blocking-flush")),
    ("outgoing_body_stream::write", splicing("splice")),
    ("outgoing_body_stream::write", splicing("blocking-splice")),
    ("future_incoming_response::get", reading("read", 1)),
]


@pytest.mark.parametrize(("record", "operation"), RECORDED)
async def test_replay_gives_what_the_live_call_gave(tmp_path: Path, record: str, operation: Operation) -> None:
    async def run(guest: Guest, authority: str) -> Value:
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

    async with http_worker(tmp_path) as worker:
        async with web_server() as server:
            live = await run(Guest(worker), server.authority)
            calls = await worker.host_calls()
            requests = len(server.seen)
        assert f"http::types::{record}" in {call.function for call in calls}
        assert {call.category for call in calls if "body_stream" in call.function} <= {Category.WRITE_REMOTE_BATCHED}
        await worker.replay()
        assert await run(Guest(worker), server.authority) == live
        assert await worker.host_calls() == calls
        assert len(server.seen) == requests
