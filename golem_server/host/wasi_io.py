"""wasi:io: errors, waiting for pollables, and streams.

Streams are whatever class of `resources.py` stands behind the handle; those that reach outside record for themselves.
Waiting is recorded as the list of what was ready. A guest that would wait long for timers or promises alone leaves
memory instead, and nothing is recorded: it waits again when it is started (reference: durability, section 5).
"""

from __future__ import annotations

import asyncio
from typing import Any

from golem_server.durable.context import WorkerContext
from golem_server.durable.host_function import HostInterface
from golem_server.durable.signals import GuestError, PermanentFailure, SuspendWorker
from golem_server.host.resources import MAX_PIECE_BYTES, InputStream, IoError, OutputStream, Pollable
from golem_server.model.ids import PromiseId
from golem_server.model.oplog import Category
from golem_server.model.types import Value

MAX_POLLABLES = 1024
"""Pollables that one poll may wait for (reference: reliability, section 3)."""

MAX_SKIP_BYTES = 1 << 20
"""Bytes that one call skips or fills with zeroes at most (reference: reliability, section 3)."""

MAX_BLOCKING_WRITE_BYTES = 4096
"""Bytes that may be written and flushed with one call, by the rule of wasi:io."""

error = HostInterface("wasi:io/error")
poll = HostInterface("wasi:io/poll")
streams = HostInterface("wasi:io/streams")

INTERFACES = [error, poll, streams]


@error.unrecorded("[method]error.to-debug-string")
def to_debug_string(context: WorkerContext, handle: int) -> Value:
    """The text of an error."""
    return context.resources.get(handle, IoError).text


# --- Waiting


def _nothing(_context: WorkerContext, _handle: int) -> Value:
    return {}


def _one(_context: WorkerContext, _handle: int) -> Value:
    return {"count": 1}


def _count(_context: WorkerContext, handles: list[int]) -> Value:
    return {"count": len(handles)}


@poll.recorded("[method]pollable.ready", Category.READ_LOCAL, "io::poll::pollable::ready", request=_nothing)
def ready(context: WorkerContext, handle: int) -> Any:
    """Whether waiting would return at once."""
    pollable = context.resources.get(handle, Pollable)
    if pollable.promise is None or pollable.ready():
        return pollable.ready()
    return _looked_up(pollable)


async def _looked_up(pollable: Pollable) -> bool:
    await pollable.look_up()
    return pollable.ready()


@poll.recorded("poll", Category.READ_LOCAL, "io::poll::poll", request=_count)
def poll_many(context: WorkerContext, handles: list[int]) -> Any:
    """The positions of what is ready, at least one."""
    if not handles:
        raise GuestError("poll of an empty list would never return")
    if len(handles) > MAX_POLLABLES:
        raise GuestError(f"poll of more than {MAX_POLLABLES} pollables")
    return _ready_ones(context, [context.resources.get(handle, Pollable) for handle in handles])


@poll.recorded("[method]pollable.block", Category.READ_LOCAL, "io::poll::poll", request=_one)
def block(context: WorkerContext, handle: int) -> Any:
    """Waits for one pollable: recorded like a poll of it."""
    return _ready_ones(context, [context.resources.get(handle, Pollable)])


@block.finish
def _(_context: WorkerContext, _response: Value, _handle: int) -> Value:
    return None


def _ready_ones(context: WorkerContext, pollables: list[Pollable]) -> Any:
    unknown = [pollable for pollable in pollables if pollable.promise is not None and not pollable.ready()]
    if not unknown:
        positions = _positions(pollables)
        if positions:
            return positions
    return _wait(context, pollables, unknown)


def _positions(pollables: list[Pollable]) -> list[int]:
    return [position for position, pollable in enumerate(pollables) if pollable.ready()]


async def _wait(context: WorkerContext, pollables: list[Pollable], unknown: list[Pollable]) -> list[int]:
    if unknown:
        await asyncio.gather(*(pollable.look_up() for pollable in unknown))
        positions = _positions(pollables)
        if positions:
            return positions
    if context.oplog.status.ephemeral:
        return await _wait_as_ephemeral(context, pollables)
    _leave_memory_if_long(context, pollables)
    return await _wait_in_memory(context, pollables)


async def _wait_as_ephemeral(context: WorkerContext, pollables: list[Pollable]) -> list[int]:
    """An ephemeral agent never leaves memory: what would take it out of there for too long is an error."""
    limit = context.settings.longest_ephemeral_wait
    if any(pollable.promise is None and pollable.deadline_ns is None for pollable in pollables):
        return await _wait_in_memory(context, pollables)
    deadlines = [pollable.deadline_ns for pollable in pollables if pollable.deadline_ns is not None]
    too_long = PermanentFailure(f"Ephemeral sleep too long: an ephemeral agent waits for {limit:g} s at most")
    if len(deadlines) == len(pollables) and min(deadlines) - context.clock.now_ns() > limit * 1e9:
        raise too_long
    try:
        async with asyncio.timeout(limit):
            return await _wait_in_memory(context, pollables)
    except TimeoutError:
        raise too_long from None


def _leave_memory_if_long(context: WorkerContext, pollables: list[Pollable]) -> None:
    """Raise SuspendWorker where the rules want it (reference: host-interfaces, section 3.3)."""
    promises: list[PromiseId] = []
    earliest: int | None = None
    for pollable in pollables:
        if pollable.promise is not None:
            promises.append(pollable.promise)
        elif pollable.deadline_ns is not None:
            earliest = pollable.deadline_ns if earliest is None else min(earliest, pollable.deadline_ns)
        else:
            return
    if earliest is None:
        raise SuspendWorker(promises=promises)
    if earliest - context.clock.now_ns() > context.settings.suspend_after * 1e9:
        # Rounded up: a worker that wakes before its deadline would only suspend again.
        raise SuspendWorker(wake_at=-(-earliest // 1_000_000), promises=promises)


async def _wait_in_memory(context: WorkerContext, pollables: list[Pollable]) -> list[int]:
    waiting = [asyncio.ensure_future(pollable.wait()) for pollable in pollables]
    # Meanwhile what came before becomes durable, so that a crash while it waits loses nothing. A commit that fails
    # ends the wait: the oplog belongs to somebody else, or the store is away.
    commit = asyncio.ensure_future(context.oplog.commit())
    everything = [*waiting, commit]
    try:
        pending = {*everything}
        while not any(task.done() for task in waiting):
            finished, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in finished:
                task.result()
        return [
            position
            for position, (pollable, task) in enumerate(zip(pollables, waiting, strict=True))
            if task.done() or pollable.ready()
        ]
    finally:
        for task in everything:
            task.cancel()
        await asyncio.gather(*everything, return_exceptions=True)


# --- Reading


@streams.unrecorded("[method]input-stream.read")
def read(context: WorkerContext, handle: int, length: int) -> Any:
    """What is at hand."""
    return context.resources.get(handle, InputStream).read(context, min(length, MAX_PIECE_BYTES))


@streams.unrecorded("[method]input-stream.blocking-read")
def blocking_read(context: WorkerContext, handle: int, length: int) -> Any:
    """Waits for something to read."""
    return context.resources.get(handle, InputStream).blocking_read(context, min(length, MAX_PIECE_BYTES))


@streams.unrecorded("[method]input-stream.skip")
def skip(context: WorkerContext, handle: int, length: int) -> Any:
    """Reads and forgets what is at hand; gives how much it was."""
    return context.resources.get(handle, InputStream).skip(context, min(length, MAX_SKIP_BYTES))


@streams.unrecorded("[method]input-stream.blocking-skip")
def blocking_skip(context: WorkerContext, handle: int, length: int) -> Any:
    """Like `skip`, but waits for something."""
    return context.resources.get(handle, InputStream).blocking_skip(context, min(length, MAX_SKIP_BYTES))


@streams.unrecorded("[method]input-stream.subscribe")
def subscribe_to_input(context: WorkerContext, handle: int) -> Value:
    """A pollable that is ready when something can be read."""
    return context.resources.add(context.resources.get(handle, InputStream).subscribe(context))


# --- Writing


@streams.unrecorded("[method]output-stream.check-write")
def check_write(context: WorkerContext, handle: int) -> Any:
    """How much may be written now."""
    return context.resources.get(handle, OutputStream).check_write(context)


@streams.unrecorded("[method]output-stream.write")
def write(context: WorkerContext, handle: int, contents: bytes) -> Any:
    """Writes."""
    return context.resources.get(handle, OutputStream).write(context, contents)


@streams.unrecorded("[method]output-stream.blocking-write-and-flush")
def blocking_write_and_flush(context: WorkerContext, handle: int, contents: bytes) -> Any:
    """Writes up to 4096 bytes and waits until they have left."""
    if len(contents) > MAX_BLOCKING_WRITE_BYTES:
        raise GuestError(f"blocking-write-and-flush of more than {MAX_BLOCKING_WRITE_BYTES} bytes")
    return context.resources.get(handle, OutputStream).blocking_write_and_flush(context, contents)


@streams.unrecorded("[method]output-stream.flush")
def flush(context: WorkerContext, handle: int) -> Any:
    """Asks for everything to leave."""
    return context.resources.get(handle, OutputStream).flush(context)


@streams.unrecorded("[method]output-stream.blocking-flush")
def blocking_flush(context: WorkerContext, handle: int) -> Any:
    """Waits until everything has left."""
    return context.resources.get(handle, OutputStream).blocking_flush(context)


@streams.unrecorded("[method]output-stream.subscribe")
def subscribe_to_output(context: WorkerContext, handle: int) -> Value:
    """A pollable that is ready when something may be written."""
    return context.resources.add(context.resources.get(handle, OutputStream).subscribe(context))


@streams.unrecorded("[method]output-stream.write-zeroes")
def write_zeroes(context: WorkerContext, handle: int, length: int) -> Any:
    """Writes zeroes."""
    if length > MAX_SKIP_BYTES:
        raise GuestError(f"write-zeroes of more than {MAX_SKIP_BYTES} bytes")
    return context.resources.get(handle, OutputStream).write_zeroes(context, length)


@streams.unrecorded("[method]output-stream.blocking-write-zeroes-and-flush")
def blocking_write_zeroes_and_flush(context: WorkerContext, handle: int, length: int) -> Any:
    """Writes up to 4096 zeroes and waits until they have left."""
    if length > MAX_BLOCKING_WRITE_BYTES:
        raise GuestError(f"blocking-write-zeroes-and-flush of more than {MAX_BLOCKING_WRITE_BYTES} bytes")
    return context.resources.get(handle, OutputStream).blocking_write_zeroes_and_flush(context, length)


@streams.unrecorded("[method]output-stream.splice")
def splice(context: WorkerContext, handle: int, source: int, length: int) -> Any:
    """Moves what the source has at hand; gives how much it was."""
    target = context.resources.get(handle, OutputStream)
    return target.splice(context, context.resources.get(source, InputStream), min(length, MAX_PIECE_BYTES))


@streams.unrecorded("[method]output-stream.blocking-splice")
def blocking_splice(context: WorkerContext, handle: int, source: int, length: int) -> Any:
    """Like `splice`, but waits until something can be moved."""
    target = context.resources.get(handle, OutputStream)
    return target.blocking_splice(context, context.resources.get(source, InputStream), min(length, MAX_PIECE_BYTES))
