"""What the handles of wasi:io stand for: pollables, input streams and output streams of whatever kind.

The functions of wasi:io (`wasi_io.py`) only look handles up and call these methods; files, HTTP bodies, standard
streams and promises bring their own classes. Methods return WIT values (results are ("ok", ...) or ("err", ...)),
or a coroutine of one where they must wait.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from types import CoroutineType
from typing import Any

from golem_server.durable.context import WorkerContext
from golem_server.model.ids import PromiseId
from golem_server.model.types import Value

MAX_PIECE_BYTES = 32 << 10
"""Bytes that one call reads, writes or moves at most. Larger pieces would not be faster, and each takes the event loop
for a millisecond or two: wasmtime moves lists value by value."""

CLOSED: Value = ("err", ("closed", None))
"""The stream error of a stream that is at its end."""


class IoError:
    """The resource `error` of wasi:io: a text, and the code of the interface that it came from (or None)."""

    def __init__(self, text: str, code: Value = None) -> None:
        self.text = text
        self.code = code


def failed(context: WorkerContext, text: str, code: Value = None) -> Value:
    """The stream error of an operation that failed."""
    return ("err", ("last-operation-failed", context.resources.add(IoError(text, code))))


class Pollable(ABC):
    """Something a guest can wait for.

    `deadline_ns` (nanoseconds since the epoch) is set by timers, `promise` by promises: a guest that waits for
    nothing but these can leave memory meanwhile.
    """

    deadline_ns: int | None = None
    promise: PromiseId | None = None

    @abstractmethod
    def ready(self) -> bool:
        """Whether waiting would return at once."""

    async def look_up(self) -> None:
        """Bring `ready` up to date where that takes asking outside. Nothing to do for most."""
        return

    @abstractmethod
    async def wait(self) -> None:
        """Return when it is ready. Cancelled when another pollable of the same poll was faster."""


class AlwaysReady(Pollable):
    """The pollable of what never has to be waited for."""

    def ready(self) -> bool:
        return True

    async def wait(self) -> None:
        return


class InputStream(ABC):
    """Where a guest reads bytes. `length` is in bytes."""

    @abstractmethod
    def read(self, context: WorkerContext, length: int) -> Any:
        """`result<list<u8>, stream-error>`: what is at hand, possibly nothing."""

    @abstractmethod
    def blocking_read(self, context: WorkerContext, length: int) -> Any:
        """`result<list<u8>, stream-error>`: waits for at least one byte or the end."""

    def skip(self, context: WorkerContext, length: int) -> Any:
        """`result<u64, stream-error>`."""
        return _length_of(self.read(context, length))

    def blocking_skip(self, context: WorkerContext, length: int) -> Any:
        """`result<u64, stream-error>`."""
        return _length_of(self.blocking_read(context, length))

    def subscribe(self, context: WorkerContext) -> Pollable:
        """Ready when a read would give something or the end."""
        return AlwaysReady()


class OutputStream(ABC):
    """Where a guest writes bytes."""

    def check_write(self, context: WorkerContext) -> Any:
        """`result<u64, stream-error>`: how much may be written now."""
        return ("ok", MAX_PIECE_BYTES)

    @abstractmethod
    def write(self, context: WorkerContext, content: bytes) -> Any:
        """`result<_, stream-error>`."""

    def flush(self, context: WorkerContext) -> Any:
        """`result<_, stream-error>`."""
        return ("ok", None)

    def blocking_flush(self, context: WorkerContext) -> Any:
        """`result<_, stream-error>`: waits until everything has left."""
        return self.flush(context)

    def blocking_write_and_flush(self, context: WorkerContext, content: bytes) -> Any:
        """`result<_, stream-error>`: writes, and waits until everything has left."""
        return _then(self.write(context, content), lambda _: self.blocking_flush(context))

    def write_zeroes(self, context: WorkerContext, length: int) -> Any:
        """`result<_, stream-error>`."""
        return self.write(context, bytes(length))

    def blocking_write_zeroes_and_flush(self, context: WorkerContext, length: int) -> Any:
        """`result<_, stream-error>`: like `blocking_write_and_flush`."""
        return self.blocking_write_and_flush(context, bytes(length))

    def splice(self, context: WorkerContext, source: InputStream, length: int) -> Any:
        """`result<u64, stream-error>`: writes what `source` has at hand, as far as it may be written now."""

        def moved(permitted: Value) -> Any:
            return self._move(context, source.read(context, min(length, permitted)))

        return _then(self.check_write(context), moved)

    def blocking_splice(self, context: WorkerContext, source: InputStream, length: int) -> Any:
        """`result<u64, stream-error>`: waits until something can be moved, or the source is at its end."""
        return self._blocking_splice(context, source, length)

    async def _blocking_splice(self, context: WorkerContext, source: InputStream, length: int) -> Value:
        while True:
            permit = self.check_write(context)
            tag, permitted = await permit if permit.__class__ is CoroutineType else permit
            if tag == "err":
                return (tag, permitted)
            if permitted or not length:
                break
            await self.subscribe(context).wait()
        moved = self._move(context, source.blocking_read(context, min(length, permitted)))
        return await moved if moved.__class__ is CoroutineType else moved

    def _move(self, context: WorkerContext, read: Any) -> Any:
        def write(content: Value) -> Any:
            return _then(self.write(context, content), lambda _: ("ok", len(content)))

        return _then(read, write)

    def subscribe(self, context: WorkerContext) -> Pollable:
        """Ready when something may be written."""
        return AlwaysReady()


def _then(result: Any, following: Callable[[Value], Any]) -> Any:
    """Go on with what an operation gave, at once where it answered at once; its error is the error of both."""
    if result.__class__ is CoroutineType:
        return _then_later(result, following)
    tag, content = result
    return following(content) if tag == "ok" else result


async def _then_later(pending: Any, following: Callable[[Value], Any]) -> Value:
    result = _then(await pending, following)
    return await result if result.__class__ is CoroutineType else result


def _length_of(result: Any) -> Any:
    if result.__class__ is CoroutineType:
        return _awaited_length_of(result)
    tag, content = result
    return (tag, len(content)) if tag == "ok" else (tag, content)


async def _awaited_length_of(result: Any) -> Value:
    return _length_of(await result)
