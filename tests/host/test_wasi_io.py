"""Polling, suspension, and streams of every kind."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from golem_server.durable.context import WorkerContext
from golem_server.durable.guest_facts import GuestSettings
from golem_server.durable.signals import GuestError, SuspendWorker
from golem_server.host import wasi_clocks, wasi_io
from golem_server.host.resources import CLOSED, InputStream, IoError, OutputStream, Pollable
from golem_server.model.ids import OplogIndex, PromiseId
from golem_server.model.types import Value
from tests.host.host_worker import START_NS, WORKER_ID, HostWorker

INTERFACES = [*wasi_io.INTERFACES, *wasi_clocks.INTERFACES]
POLL = "wasi:io/poll"
STREAMS = "wasi:io/streams"
MONOTONIC = "wasi:clocks/monotonic-clock"


class Signalled(Pollable):
    """Ready when told."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.waiting = asyncio.Event()
        self.cancelled = False

    def ready(self) -> bool:
        return self.event.is_set()

    async def wait(self) -> None:
        self.waiting.set()
        try:
            await self.event.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


class OpenPromise(Signalled):
    """A promise, complete when told and looked up."""

    def __init__(self, index: int) -> None:
        super().__init__()
        self.promise = PromiseId(WORKER_ID, OplogIndex(index))
        self.known = False

    def ready(self) -> bool:
        return self.known

    async def look_up(self) -> None:
        self.known = self.event.is_set()


class Chunks(InputStream):
    """Gives these chunks, with a wait before each in blocking reads."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = list(chunks)
        self.lengths: list[int] = []

    def read(self, context: WorkerContext, length: int) -> Any:
        self.lengths.append(length)
        if not self.chunks:
            return CLOSED
        content, rest = self.chunks[0][:length], self.chunks[0][length:]
        self.chunks[:1] = [rest] if rest else []
        return ("ok", content)

    async def blocking_read(self, context: WorkerContext, length: int) -> Value:
        await asyncio.sleep(0)
        return self.read(context, length)


class Sink(OutputStream):
    """Keeps what is written; accepts `permit` bytes at a time."""

    def __init__(self, permit: int = 100) -> None:
        self.content = b""
        self.permit = permit
        self.flushes = 0
        self.room = Signalled()

    def check_write(self, context: WorkerContext) -> Value:
        return ("ok", self.permit)

    def write(self, context: WorkerContext, content: bytes) -> Value:
        self.content += content
        return ("ok", None)

    async def blocking_flush(self, context: WorkerContext) -> Value:
        self.flushes += 1
        return ("ok", None)

    def subscribe(self, context: WorkerContext) -> Pollable:
        return self.room


async def new_worker(tmp_path: Path) -> HostWorker:
    return await HostWorker.create(tmp_path, INTERFACES, settings=GuestSettings(suspend_after=10))


async def test_a_poll_gives_what_is_ready_and_replay_gives_it_again(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    early = await worker.call(MONOTONIC, "subscribe-instant", START_NS - 1)
    late = await worker.call(MONOTONIC, "subscribe-duration", 3_000_000_000)
    assert await worker.call(POLL, "poll", [late, early]) == [1]
    assert await worker.call(POLL, "poll", [late]) == [0]
    assert worker.clock.nanoseconds == START_NS + 3_000_000_000
    assert await worker.call(POLL, "[method]pollable.ready", late) is True
    assert await worker.call(POLL, "[method]pollable.block", late) is None
    calls = await worker.host_calls()
    assert [(call.function, call.request, call.response) for call in calls[1:]] == [
        ("io::poll::poll", {"count": 2}, [1]),
        ("io::poll::poll", {"count": 1}, [0]),
        ("io::poll::pollable::ready", {}, True),
        ("io::poll::poll", {"count": 1}, [0]),
    ]

    worker.clock.nanoseconds = START_NS - 10**9
    await worker.replay()
    early = await worker.call(MONOTONIC, "subscribe-instant", START_NS - 1)
    late = await worker.call(MONOTONIC, "subscribe-duration", 3_000_000_000)
    assert await worker.call(POLL, "poll", [late, early]) == [1]
    assert await worker.call(POLL, "poll", [late]) == [0]
    assert await worker.call(POLL, "[method]pollable.ready", late) is True
    assert await worker.call(POLL, "[method]pollable.block", late) is None
    assert worker.context.is_live
    assert await worker.host_calls() == calls


async def test_a_long_sleep_leaves_memory_and_ends_at_the_first_deadline(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    timer = await worker.call(MONOTONIC, "subscribe-duration", 60_000_000_001)
    with pytest.raises(SuspendWorker) as raised:
        await worker.call(POLL, "poll", [timer])
    assert raised.value.wake_at == (START_NS + 60_000_000_001 + 999_999) // 1_000_000
    assert raised.value.promises == ()
    assert [call.function for call in await worker.host_calls()] == ["monotonic_clock::subscribe_duration"]

    worker.clock.advance(55)
    await worker.replay()
    timer = await worker.call(MONOTONIC, "subscribe-duration", 60_000_000_001)
    assert await worker.call(POLL, "[method]pollable.ready", timer) is False
    await worker.call(POLL, "[method]pollable.block", timer)
    assert worker.clock.nanoseconds == START_NS + 60_000_000_001


async def test_a_sleep_of_just_the_threshold_stays_in_memory(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    timer = await worker.call(MONOTONIC, "subscribe-duration", 10_000_000_000)
    assert await worker.call(POLL, "poll", [timer]) == [0]
    beyond = await worker.call(MONOTONIC, "subscribe-duration", 10_000_000_001)
    with pytest.raises(SuspendWorker):
        await worker.call(POLL, "poll", [beyond])


async def test_a_duration_beyond_all_time_saturates(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    timer = await worker.call(MONOTONIC, "subscribe-duration", 2**64 - 1)
    with pytest.raises(SuspendWorker) as raised:
        await worker.call(POLL, "poll", [timer])
    assert raised.value.wake_at == -(-(2**64 - 1) // 1_000_000)


async def test_a_guest_that_waits_for_promises_leaves_memory_at_once(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    promises = [OpenPromise(7), OpenPromise(9)]
    handles = [worker.context.resources.add(promise) for promise in promises]
    with pytest.raises(SuspendWorker) as raised:
        await worker.call(POLL, "poll", handles)
    assert raised.value.wake_at is None
    assert [promise.oplog_index for promise in raised.value.promises] == [7, 9]
    assert await worker.host_calls() == []

    promises[1].event.set()
    assert await worker.call(POLL, "poll", handles) == [1]


async def test_timers_and_promises_leave_memory_only_for_long(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    promise = worker.context.resources.add(OpenPromise(7))
    late = await worker.call(MONOTONIC, "subscribe-duration", 30_000_000_000)
    with pytest.raises(SuspendWorker) as raised:
        await worker.call(POLL, "poll", [promise, late])
    assert raised.value.wake_at == (START_NS + 30_000_000_000) // 1_000_000
    assert [waited.oplog_index for waited in raised.value.promises] == [7]
    soon = await worker.call(MONOTONIC, "subscribe-duration", 1_000_000)
    assert await worker.call(POLL, "poll", [promise, late, soon]) == [2]


async def test_whoever_waits_for_something_else_stays_in_memory(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    quick, slow = Signalled(), Signalled()
    late = await worker.call(MONOTONIC, "subscribe-duration", 2**63)
    handles = [worker.context.resources.add(slow), worker.context.resources.add(quick)]
    pausing = asyncio.Event()

    async def pause(seconds: float) -> None:
        pausing.set()
        await asyncio.Event().wait()

    worker.context.pause = pause
    polling = asyncio.ensure_future(worker.call(POLL, "poll", [late, *handles]))
    await quick.waiting.wait()
    await pausing.wait()
    quick.event.set()
    assert await polling == [2]
    assert slow.cancelled
    # What came before the wait was made durable while it lasted.
    assert worker.store.batches == 1


async def test_an_interrupt_ends_a_wait_and_leaves_no_trace(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    slow = Signalled()
    polling = asyncio.ensure_future(worker.call(POLL, "poll", [worker.context.resources.add(slow)]))
    await slow.waiting.wait()
    polling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await polling
    assert slow.cancelled
    assert await worker.host_calls() == []


async def test_a_poll_has_its_limits(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    with pytest.raises(GuestError, match="empty"):
        await worker.call(POLL, "poll", [])
    timer = await worker.call(MONOTONIC, "subscribe-instant", 0)
    assert len(await worker.call(POLL, "poll", [timer] * wasi_io.MAX_POLLABLES)) == wasi_io.MAX_POLLABLES
    with pytest.raises(GuestError, match="1024"):
        await worker.call(POLL, "poll", [timer] * (wasi_io.MAX_POLLABLES + 1))
    with pytest.raises(GuestError, match="handle 99"):
        await worker.call(POLL, "poll", [timer, 99])


async def test_streams_are_read_with_bounded_lengths(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    stream = Chunks(b"abcdef", b"ghi")
    handle = worker.context.resources.add(stream)
    assert await worker.call(STREAMS, "[method]input-stream.read", handle, 4) == ("ok", b"abcd")
    assert await worker.call(STREAMS, "[method]input-stream.skip", handle, 1) == ("ok", 1)
    assert await worker.call(STREAMS, "[method]input-stream.blocking-read", handle, 2**64 - 1) == ("ok", b"f")
    assert await worker.call(STREAMS, "[method]input-stream.blocking-skip", handle, 2**64 - 1) == ("ok", 3)
    assert await worker.call(STREAMS, "[method]input-stream.blocking-read", handle, 1) == CLOSED
    assert max(stream.lengths) == wasi_io.MAX_SKIP_BYTES


async def test_splice_moves_what_is_at_hand_and_permitted(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    source, sink = Chunks(b"abcdef", b"ghi"), Sink(permit=4)
    target = worker.context.resources.add(sink)
    origin = worker.context.resources.add(source)
    assert await worker.call(STREAMS, "[method]output-stream.splice", target, origin, 100) == ("ok", 4)
    assert await worker.call(STREAMS, "[method]output-stream.splice", target, origin, 1) == ("ok", 1)
    sink.permit = 0
    splicing = asyncio.ensure_future(worker.call(STREAMS, "[method]output-stream.blocking-splice", target, origin, 100))
    await sink.room.waiting.wait()
    sink.permit = 50
    sink.room.event.set()
    assert await splicing == ("ok", 1)
    assert await worker.call(STREAMS, "[method]output-stream.blocking-splice", target, origin, 100) == ("ok", 3)
    assert await worker.call(STREAMS, "[method]output-stream.splice", target, origin, 100) == CLOSED
    assert sink.content == b"abcdefghi"


async def test_writes_that_wait_are_bounded(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    sink = Sink()
    handle = worker.context.resources.add(sink)
    method = "[method]output-stream."
    assert await worker.call(STREAMS, method + "check-write", handle) == ("ok", 100)
    assert await worker.call(STREAMS, method + "blocking-write-and-flush", handle, b"a" * 4096) == ("ok", None)
    assert await worker.call(STREAMS, method + "blocking-write-zeroes-and-flush", handle, 4096) == ("ok", None)
    assert sink.flushes == 2
    assert sink.content == b"a" * 4096 + bytes(4096)
    for name, argument in [
        ("blocking-write-and-flush", b"a" * 4097),
        ("blocking-write-zeroes-and-flush", 4097),
        ("write-zeroes", wasi_io.MAX_SKIP_BYTES + 1),
    ]:
        with pytest.raises(GuestError, match=name):
            await worker.call(STREAMS, method + name, handle, argument)
    assert await worker.call(STREAMS, method + "write-zeroes", handle, 10) == ("ok", None)
    assert await worker.call(STREAMS, method + "flush", handle) == ("ok", None)
    assert await worker.call(STREAMS, method + "blocking-flush", handle) == ("ok", None)


async def test_errors_have_a_text(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    handle = worker.context.resources.add(IoError("no space left"))
    assert await worker.call("wasi:io/error", "[method]error.to-debug-string", handle) == "no space left"
    with pytest.raises(GuestError):
        await worker.call(STREAMS, "[method]input-stream.read", handle, 1)
