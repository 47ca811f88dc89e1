"""Outgoing requests when the process is killed: at each entry of the oplog, in every order of two requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import pytest
from aiohttp import web

from golem_server.durable import replay
from golem_server.durable.signals import PermanentFailure
from golem_server.model.oplog import (
    BeginAtomicRegion,
    BeginRemoteWrite,
    EndAtomicRegion,
    EndRemoteWrite,
    Entry,
    FinishSpan,
)
from tests.host.host_worker import HostWorker
from tests.host.http_guest import Guest, Response, Server, http_worker, web_server

Scenario: TypeAlias = Callable[[HostWorker, str], Awaitable[list[Response]]]

BODY = b"0123456789" * 3


async def one_after_the_other(worker: HostWorker, authority: str) -> list[Response]:
    """Two requests, the second begins when the first is over."""
    guest = Guest(worker)
    found: list[Response] = []
    for path in ("/1", "/2"):
        request = await guest.request(authority, path, method="post")
        await guest.write_body(request, BODY)
        found.append(await guest.read(await guest.handle(request), length=7))
    return found


async def upload_after_handle(worker: HostWorker, authority: str) -> list[Response]:
    """A request whose body is written while it is being sent."""
    guest = Guest(worker)
    request = await guest.request(authority, "/1", method="post")
    _, body = await guest.call("[method]outgoing-request.body", request)
    future = await guest.handle(request)
    await guest.send_body(body, BODY, piece=10)
    return [await guest.read(future, length=7)]


async def at_the_same_time(worker: HostWorker, authority: str) -> list[Response]:
    """Two requests of which the second begins before the first is over."""
    guest = Guest(worker)
    futures: list[int] = []
    for path in ("/1", "/2"):
        request = await guest.request(authority, path, method="post")
        await guest.write_body(request, BODY)
        futures.append(await guest.handle(request))
    return [await guest.read(future, length=7) for future in futures]


async def read_alternately(worker: HostWorker, authority: str) -> list[Response]:
    """Two bodies of which the guest reads pieces in turn."""
    guest = Guest(worker)
    futures: list[int] = []
    streams: list[int] = []
    for path in ("/1", "/2"):
        request = await guest.request(authority, path, method="post")
        await guest.write_body(request, BODY)
        futures.append(await guest.handle(request))
    for future in futures:
        _, response = await guest.settled_head(future)
        _, body = await guest.call("[method]incoming-response.consume", response)
        streams.append((await guest.call("[method]incoming-body.stream", body))[1])
    found = [Response(), Response()]
    for _ in range(4):
        for stream, response in zip(streams, found, strict=True):
            await guest.block("input-stream", stream)
            tag, part = await guest.stream("[method]input-stream.read", stream, 9)
            assert tag == "ok", part
            assert part
            response.body += part
    for stream in streams:
        assert await guest.stream("[method]input-stream.blocking-read", stream, 9) == ("err", ("closed", None))
    return found


async def in_an_atomic_region(worker: HostWorker, authority: str) -> list[Response]:
    """A request that is handled before an atomic region begins, and read in it."""
    guest = Guest(worker)
    request = await guest.request(authority, "/1", method="post")
    await guest.write_body(request, BODY)
    future = await guest.handle(request)
    region = await worker.context.begin_atomic_region()
    found = await guest.read(future, length=7)
    await worker.context.end_atomic_region(region)
    return [found]


async def atomic_request(worker: HostWorker, authority: str) -> list[Response]:
    """Two requests in an atomic region."""
    region = await worker.context.begin_atomic_region()
    found = await one_after_the_other(worker, authority)
    await worker.context.end_atomic_region(region)
    return found


SCENARIOS = [
    one_after_the_other,
    upload_after_handle,
    at_the_same_time,
    read_alternately,
    in_an_atomic_region,
    atomic_request,
]


def same(left: list[Response], right: list[Response]) -> bool:
    """Whether a guest got the same. Dates may differ."""
    return [(one.status, one.body, one.error) for one in left] == [(one.status, one.body, one.error) for one in right]


def complete_before(entries: list[Entry], length: int) -> set[int]:
    """The beginnings of requests that were over when the oplog had this length, and that nothing repeats."""
    cut = entries[:length]
    ends = {entry.begin_index for entry in cut if isinstance(entry, EndRemoteWrite)}
    regions = [index for index, entry in enumerate(cut, 1) if isinstance(entry, BeginAtomicRegion)]
    closed = {entry.begin_index for entry in cut if isinstance(entry, EndAtomicRegion)}
    open_regions = [index for index in regions if index not in closed]
    end_indexes = {entry.begin_index: index for index, entry in enumerate(cut, 1) if isinstance(entry, EndRemoteWrite)}
    return {begin for begin in ends if all(end_indexes[begin] < region for region in open_regions)}


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_a_crash_at_each_entry_leaves_the_result_and_the_keys(tmp_path: Path, scenario: Scenario) -> None:
    length = 2
    while True:
        async with web_server() as server, http_worker(tmp_path / str(length)) as worker:
            expected = await scenario(worker, server.authority)
            entries = await worker.entries()
            if length > len(entries):
                return
            begins = [index for index, entry in enumerate(entries, 1) if isinstance(entry, BeginRemoteWrite)]
            begun = {index for index in begins if index <= length}
            sent = {seen.headers["idempotency-key"] for seen in server.seen}
            await crash(worker, length)
            server.seen.clear()
            assert same(await scenario(worker, server.authority), expected), length
            assert worker.context.is_live
            repeated = len(begins) - len(complete_before(entries, length))
            # Of requests at the same time those whose end was lost, but no part of them, need not be repeated.
            assert len(server.seen) <= repeated, length
            assert len(server.seen) == repeated or scenario in (at_the_same_time, read_alternately), length
            if len(begun) == len(begins) or scenario is atomic_request:
                assert server.keys <= sent, length
            # And what recovery wrote can itself be replayed.
            await worker.replay()
            server.seen.clear()
            assert same(await scenario(worker, server.authority), expected), length
            assert server.seen == [], length
        length += 1


async def crash(worker: HostWorker, length: int) -> None:
    """Start again from the first entries of the oplog."""
    await worker.entries()
    worker.store.cut(worker.number, length)
    await worker.replay(keep_buffered=False)


@pytest.mark.parametrize("chunk", [1, 2, 3, 5])
@pytest.mark.parametrize("scenario", [one_after_the_other, at_the_same_time])
async def test_ends_are_consumed_across_the_chunks_of_the_oplog(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int, scenario: Scenario
) -> None:
    async with web_server() as server, http_worker(tmp_path) as worker:
        expected = await scenario(worker, server.authority)
        await drop_unread(worker, server)
        count = len(await worker.entries())
        seen = len(server.seen)
        monkeypatch.setattr(replay, "CHUNK_ENTRIES", chunk)
        await worker.replay()
        assert same(await scenario(worker, server.authority), expected)
        await drop_unread(worker, server)
        assert await worker.context.settle_replay()
        assert len(await worker.entries()) == count
        assert len(server.seen) == seen


async def drop_unread(worker: HostWorker, server: Server) -> None:
    """A response whose drop ends its request, with nothing recorded between, twice."""
    guest = Guest(worker)
    for _ in range(2):
        future = await guest.handle(await guest.request(server.authority))
        _, response = await guest.head(future)
        guest.drop(future)
        guest.drop(response)


@pytest.mark.parametrize("lost", [1, 2])
async def test_an_end_that_was_lost_is_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lost: int
) -> None:
    async with web_server() as server, http_worker(tmp_path) as worker:
        await drop_unread(worker, server)
        count = len(await worker.entries())
        monkeypatch.setattr(replay, "CHUNK_ENTRIES", 1)
        await crash(worker, count - lost)
        await drop_unread(worker, server)
        assert await worker.context.settle_replay()
        assert [type(entry) for entry in (await worker.entries())[-2:]] == [EndRemoteWrite, FinishSpan]
        assert len(server.keys) == 2


async def test_without_idempotence_nothing_is_sent_again(tmp_path: Path) -> None:
    async with web_server() as server, http_worker(tmp_path) as worker:
        worker.context.assume_idempotence = False
        await one_after_the_other(worker, server.authority)
        entries = await worker.entries()
        end = next(index for index, entry in enumerate(entries, 1) if isinstance(entry, EndRemoteWrite))
        server.seen.clear()
        await crash(worker, end - 1)
        worker.context.assume_idempotence = False
        with pytest.raises(PermanentFailure):
            await one_after_the_other(worker, server.authority)
        assert server.seen == []


async def test_a_response_that_changed_in_between_is_incomplete(tmp_path: Path) -> None:
    answers = iter([b"one one one", b"two", b"ONE ONE ONE", b"two"])

    def answer(request: web.Request, _body: bytes) -> web.Response:
        return web.Response(body=next(answers))

    async def run(worker: HostWorker) -> list[Response]:
        guest = Guest(worker)
        _, response = await guest.head(await guest.handle(await guest.request(server.authority, "/1")))
        _, body = await guest.call("[method]incoming-response.consume", response)
        _, stream = await guest.call("[method]incoming-body.stream", body)
        first = await guest.stream("[method]input-stream.blocking-read", stream, 4)
        assert first == ("ok", b"one ")
        second = await guest.fetch(server.authority, "/2")
        tag, rest = await guest.stream("[method]input-stream.blocking-read", stream, 100)
        if tag == "ok":
            return [Response(body=rest), second]
        return [Response(error=await guest.call("http-error-code", rest[1])), second]

    async with web_server(answer) as server, http_worker(tmp_path) as worker:
        assert [one.body for one in await run(worker)] == [b"one one"[4:] + b" one", b"two"]
        end_of_second = max(
            index for index, entry in enumerate(await worker.entries(), 1) if isinstance(entry, EndRemoteWrite)
        )
        await crash(worker, end_of_second)
        incomplete, second = await run(worker)
        assert tuple(incomplete.error) == ("HTTP-response-incomplete", None)
        assert second.body == b"two"
        await worker.replay()
        assert (await run(worker))[0].error is not None
        assert [seen.path for seen in server.seen] == ["/1", "/2", "/1"]
