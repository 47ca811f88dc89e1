"""The bodies of values on their way between guests and stores: the resources of wasi:keyvalue and wasi:blobstore.

What a guest writes goes to a file once it is more than a little, and from there to the store in parts; what it reads
comes from its own copy of the value, part by part. No body is in memory as a whole unless the guest asks for that.
Nothing of it is recorded but which value was read: the guest writes and reads again in replay.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from tempfile import SpooledTemporaryFile
from typing import Any, cast

from golem_server.durable.context import WorkerContext
from golem_server.host.guest_stores import Refused, stores_of
from golem_server.host.resources import CLOSED, InputStream, OutputStream, failed
from golem_server.model.errors import NotFound
from golem_server.model.stored_values import KeptValue, StoredValue
from golem_server.model.types import Value

MAX_WHOLE_BYTES = 16 << 20
"""Bytes that a guest may read in one piece; larger values are read through their stream."""

_SPOOL_BYTES = 64 << 10
_PART_BYTES = 1 << 20
_ATTEMPTS = 8
_UNSTORED = "host/value_bodies unstored"


class OutgoingValue:
    """The resource `outgoing-value`: bytes that the guest puts together before it stores them."""

    def __init__(self, context: WorkerContext) -> None:
        self._stores = stores_of(context)
        self._context = context
        # Closed when the handle is dropped or the instance given up; nothing is left of it if the server dies.
        self._file = SpooledTemporaryFile(max_size=_SPOOL_BYTES, dir=str(self._stores.spool))  # noqa: SIM115
        self.size = 0

    def append(self, content: bytes) -> None:
        """Add bytes at the end. Raises Refused beyond the limits."""
        if self.size + len(content) > self._stores.max_value:
            raise Refused(f"The value has more than {self._stores.max_value} bytes")
        unstored = self._context.local.get(_UNSTORED, 0) + len(content)
        if unstored > self._stores.max_unstored:
            raise Refused(f"The worker's values that are not stored have more than {self._stores.max_unstored} bytes")
        self._file.seek(self.size)
        self._file.write(content)
        self.size += len(content)
        self._context.local[_UNSTORED] = unstored

    def parts(self) -> Iterator[bytes]:
        """The bytes from the beginning, in parts."""
        for offset in range(0, self.size, _PART_BYTES):
            self._file.seek(offset)
            yield self._file.read(min(_PART_BYTES, self.size - offset))

    async def write(self) -> StoredValue:
        """Keep the bytes for a row that is written next."""
        return await self._stores.contents.write(self.size, self.parts())

    def dropped(self) -> None:
        """The guest is done with it."""
        self._context.local[_UNSTORED] = self._context.local.get(_UNSTORED, 0) - self.size
        self.close()

    def close(self) -> None:
        """Give the file up."""
        self._file.close()


class OutgoingBody(OutputStream):
    """The stream into an outgoing value."""

    def __init__(self, value: OutgoingValue) -> None:
        self._value = value

    def write(self, context: WorkerContext, content: bytes) -> Value:
        """Adds the bytes at the end of the value."""
        try:
            self._value.append(content)
        except Refused as refusal:
            return failed(context, str(refusal))
        except (OSError, ValueError) as error:
            return failed(context, f"The value cannot take more bytes: {error}")
        return ("ok", None)


class IncomingValue:
    """The resource `incoming-value`: bytes that were read, as they are recorded (see `read_value`)."""

    def __init__(self, recorded: Value) -> None:
        self._recorded = recorded
        self._consumed = False
        self.size = len(recorded) if isinstance(recorded, bytes) else recorded["size"]

    def consume(self) -> IncomingBody:
        """The stream of the bytes; an empty one from the second time on."""
        recorded, self._consumed = (b"" if self._consumed else self._recorded), True
        return IncomingBody(recorded)

    async def consume_whole(self, context: WorkerContext) -> bytes:
        """All bytes; none from the second time on. Raises Refused for too many."""
        if not self._consumed and self.size > MAX_WHOLE_BYTES:
            raise Refused(f"The value has {self.size} bytes: more than {MAX_WHOLE_BYTES} must be read as a stream")
        body = self.consume()
        parts: list[bytes] = []
        while (part := await body.next(context, MAX_WHOLE_BYTES)) is not None:
            parts.append(part)
        return b"".join(parts)


class IncomingBody(InputStream):
    """The stream of a value's bytes.

    How much each read gives depends on the place in the value alone, so that it is the same in replay.
    """

    def __init__(self, recorded: Value) -> None:
        if isinstance(recorded, bytes):
            self._kept, self._size, self._part = None, len(recorded), memoryview(recorded)
        else:
            self._kept = KeptValue(content_hash=recorded["content"], size=recorded["size"])
            self._size, self._part = self._kept.size, memoryview(b"")
        self._offset = 0

    def read(self, context: WorkerContext, length: int) -> Any:
        """What is at hand: bytes that lie in the database count as such."""
        if self._offset == self._size:
            return CLOSED
        if not length:
            return ("ok", b"")
        if self._part:
            return ("ok", self._take(length))
        return self._fetch_and_take(context, length)

    def blocking_read(self, context: WorkerContext, length: int) -> Any:
        """The same."""
        return self.read(context, length)

    async def next(self, context: WorkerContext, length: int) -> bytes | None:
        """The next bytes, None at the end."""
        if self._offset == self._size:
            return None
        if not self._part:
            await self._fetch(context)
        return self._take(length)

    async def _fetch_and_take(self, context: WorkerContext, length: int) -> Value:
        await self._fetch(context)
        return ("ok", self._take(length))

    async def _fetch(self, context: WorkerContext) -> None:
        kept = cast("KeptValue", self._kept)
        self._part = memoryview(await stores_of(context).contents.part(context.oplog.number, kept, self._offset))

    def _take(self, length: int) -> bytes:
        taken = bytes(self._part[:length])
        self._part = self._part[len(taken) :]
        self._offset += len(taken)
        return taken


async def read_value(
    context: WorkerContext, find: Callable[[], Awaitable[StoredValue | None]], begin: int = 0, end: int | None = None
) -> Value:
    """What is recorded of the value that `find` finds, from `begin` to `end` (exclusive); None where it finds none.

    Few bytes are recorded as they are, else where the worker's own copy is. A value that is replaced while it is
    copied is looked for again. Raises Refused where that never ends.
    """
    contents = stores_of(context).contents
    for _ in range(_ATTEMPTS):
        value = await find()
        if value is None:
            return None
        last = value.size if end is None else min(end, value.size)
        try:
            return recorded_value(await contents.keep(context.oplog.number, value, min(begin, last), last))
        except NotFound:
            continue
    raise Refused("The value is replaced faster than it can be read")


def recorded_value(value: bytes | KeptValue) -> Value:
    """A value as the oplog has it."""
    return {"content": value.content_hash, "size": value.size} if isinstance(value, KeptValue) else value
