"""The bodies of outgoing requests, as resources of wasi:http and wasi:io, and the pipe between a guest and the network.

What a guest writes before `handle`, or in replay, is kept (in memory, then in a temporary file): it is sent when the
request is, and again by another attempt. What it writes while the request is being sent goes through a pipe of bounded
size and is not kept. So a body is never held whole in memory, and it is known which requests can be repeated.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import deque
from collections.abc import AsyncGenerator, Callable
from typing import IO, Any, Protocol

from golem_server.durable.context import WorkerContext
from golem_server.durable.signals import GuestError
from golem_server.host.http_client import SendingPace
from golem_server.host.http_errors import HttpError, RequestBodyAbandoned
from golem_server.host.http_fields import Fields
from golem_server.host.http_resources import OutgoingBody
from golem_server.host.resources import CLOSED, MAX_PIECE_BYTES, OutputStream, Pollable, failed
from golem_server.model.types import Value

PIPE_BYTES = 1 << 20
"""What a guest may write ahead of the network, and at most in one piece."""

MAX_KEPT_BYTES = 64 << 20
"""How much a guest may write before `handle`, and what replay keeps of a body for another attempt."""

MAX_KEPT_IN_MEMORY = 256 << 10
PIECE_BYTES = 64 << 10


class RecordedRequest(Protocol):
    """The request that a body belongs to once it has been handled (`http_call.HttpCall`)."""

    @property
    def ended(self) -> bool:
        """Whether nothing of it is recorded any more."""
        ...

    async def recorded(self, operation: str, live: Callable[[], Any], **request: Value) -> Value:
        """Do a recorded call that belongs to the request."""
        ...

    def start(self) -> asyncio.Task[None]:
        """Send it, if that has not been done."""
        ...


class RequestBody:
    """The bytes of one request between the guest that writes and the client that sends.

    `declared` is the guest's content-length. `call` is the request once it was handled.
    """

    def __init__(self, declared: int | None) -> None:
        self.declared = declared
        self.call: RecordedRequest | None = None
        self.written = 0
        self.finished = False
        self._abandoned = False
        self._closed = False
        self._sending = False
        self._streamed = False
        self._kept: IO[bytes] | None = None
        self._kept_bytes = 0
        self._lost = False
        self._pipe: deque[bytes] = deque()
        self._piped_bytes = 0
        self._changed = asyncio.Event()

    # --- The guest's side

    @property
    def room(self) -> int:
        """How many bytes may be written now."""
        if self._sending:
            return max(0, PIPE_BYTES - self._piped_bytes)
        return min(PIPE_BYTES, MAX_KEPT_BYTES - self._kept_bytes)

    @property
    def writable(self) -> bool:
        """Whether anybody still wants the bytes."""
        return not (self.finished or self._abandoned or self._closed)

    @property
    def empty(self) -> bool:
        """Whether everything that was written has gone to the network."""
        return self._piped_bytes == 0

    def write(self, content: bytes) -> None:
        """Add bytes."""
        self.written += len(content)
        if not content:
            return
        if self._sending:
            self._streamed = True
            self._pipe.append(content)
            self._piped_bytes += len(content)
        else:
            self._keep(content)
        self._ring()

    def finish(self) -> None:
        """That was all."""
        self.finished = True
        self._ring()

    def abandon(self) -> None:
        """The guest gave it up before its end: the request must fail."""
        if not self.finished:
            self._abandoned = True
            if not self._sending:
                self._forget()
            self._ring()

    async def wait_for(self, condition: Callable[[], bool]) -> None:
        """Return when the condition holds, or nobody wants the bytes any more."""
        while not condition() and self.writable:
            await self._changed.wait()

    def _keep(self, content: bytes) -> None:
        if self._lost:
            return
        if self._kept_bytes + len(content) > MAX_KEPT_BYTES:
            self._lost = True
            self._forget()
            return
        if self._kept is None:
            self._kept = tempfile.SpooledTemporaryFile(MAX_KEPT_IN_MEMORY)  # noqa: SIM115 - `close` closes it
        self._kept.seek(self._kept_bytes)
        self._kept.write(content)
        self._kept_bytes += len(content)

    # --- The network's side

    @property
    def length(self) -> int | None:
        """The number of bytes, if all have been written."""
        return self.written if self.finished else None

    @property
    def repeatable(self) -> bool:
        """Whether another attempt can send the same bytes."""
        return not (self._streamed or self._lost or self._abandoned or self._closed)

    async def pieces(self, pace: SendingPace) -> AsyncGenerator[bytes, None]:
        """The bytes from the beginning. Raises RequestBodyAbandoned, and HttpError if they are gone."""
        if self._lost or self._streamed:
            raise HttpError(("connection-terminated", None), "the request's body cannot be sent again")
        self._sending = True
        position = 0
        while True:
            if position < self._kept_bytes and self._kept is not None:
                self._kept.seek(position)
                piece = self._kept.read(PIECE_BYTES)
                position += len(piece)
            elif self._pipe:
                piece = self._pipe.popleft()
                self._piped_bytes -= len(piece)
                self._ring()
            elif self._abandoned or self._closed:
                raise RequestBodyAbandoned
            elif self.finished:
                return
            else:
                pace.waiting()
                await self._changed.wait()
                continue
            pace.delivered()
            yield piece

    def close(self) -> None:
        """Nobody sends it any more."""
        self._closed = True
        self._pipe.clear()
        self._piped_bytes = 0
        self._forget()
        self._ring()

    def _forget(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None
        self._kept_bytes = 0

    def _ring(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class RequestOutgoingBody(OutgoingBody):
    """The resource `outgoing-body` of a request."""

    def __init__(self, body: RequestBody) -> None:
        self.body = body
        self._stream_given = False

    def stream(self) -> RequestStream | None:
        """Its stream; None the second time."""
        if self._stream_given:
            return None
        self._stream_given = True
        return RequestStream(self.body)

    def finish(self, trailers: Fields | None) -> Value:
        """`result<_, error-code>`. The client cannot send trailers."""
        body = self.body
        if body.declared is not None and body.written != body.declared:
            body.abandon()
            return ("err", ("HTTP-request-body-size", body.written))
        if trailers is not None and trailers.items:
            body.abandon()
            return ("err", ("internal-error", "request trailers are not supported"))
        body.finish()
        return ("ok", None)

    def dropped(self) -> None:
        """A body that was not finished makes its request fail."""
        self.body.abandon()

    def close(self) -> None:
        """The instance is given up."""
        self.body.close()


class RequestStream(OutputStream):
    """The stream of a request's body. After `handle` each operation is recorded."""

    def __init__(self, body: RequestBody) -> None:
        self._body = body

    def check_write(self, context: WorkerContext) -> Any:
        """How much may be written now."""
        body = self._body

        def check() -> Value:
            return ("ok", min(body.room, MAX_PIECE_BYTES)) if body.writable else CLOSED

        return self._operation(context, "check_write", check)

    def write(self, context: WorkerContext, content: bytes) -> Any:
        """Adds bytes; waits for room where the guest did not ask before."""
        body = self._body
        if len(content) > PIPE_BYTES:
            raise GuestError(f"a write of more than {PIPE_BYTES} bytes")
        if body.declared is not None and body.written + len(content) > body.declared:
            text = f"the body is longer than its content-length of {body.declared}"
            return failed(context, text, ("HTTP-request-body-size", body.written + len(content)))
        if body.call is not None:
            return self._write_recorded(context, body.call, bytes(content))
        if not body.writable:
            return CLOSED
        if body.room < len(content):
            return failed(context, f"more than {MAX_KEPT_BYTES} bytes written before the request was handled")
        body.write(bytes(content))
        return ("ok", None)

    async def _write_recorded(self, context: WorkerContext, call: RecordedRequest, content: bytes) -> Value:
        body = self._body
        if call.ended:
            return CLOSED
        written = False

        async def effect() -> Value:
            nonlocal written
            call.start()
            await body.wait_for(lambda: body.room >= len(content))
            if not body.writable:
                return CLOSED
            body.write(content)
            written = True
            return ("ok", None)

        response = await call.recorded("outgoing_body_stream::write", effect, contents=content)
        if response[0] == "ok" and not written:
            body.write(content)
        return guest_result(context, response)

    def flush(self, context: WorkerContext) -> Any:
        """Nothing is held back; gives the state."""
        return self._operation(context, "flush", lambda: ("ok", None) if self._body.writable else CLOSED)

    def blocking_flush(self, context: WorkerContext) -> Any:
        """Waits until everything that was written is on its way."""
        body = self._body

        async def effect() -> Value:
            await body.wait_for(lambda: body.empty)
            return ("ok", None) if body.writable else CLOSED

        return self._operation(context, "blocking_flush", effect)

    def blocking_write_and_flush(self, context: WorkerContext, content: bytes) -> Any:
        """One `write`: what it gives to the pipe is on its way."""
        return self.write(context, content)

    def subscribe(self, context: WorkerContext) -> Pollable:
        """Ready when something may be written."""
        return _Room(self._body)

    def _operation(self, context: WorkerContext, operation: str, live: Callable[[], Any]) -> Any:
        call = self._body.call
        if call is None:
            # Before `handle` nothing waits, and nothing is recorded: replay does it again.
            body = self._body
            if not body.writable:
                return CLOSED
            return ("ok", min(body.room, MAX_PIECE_BYTES)) if operation == "check_write" else ("ok", None)
        if call.ended:
            return CLOSED
        return self._recorded(context, call, operation, live)

    async def _recorded(
        self, context: WorkerContext, call: RecordedRequest, operation: str, live: Callable[[], Any]
    ) -> Value:
        def effect() -> Any:
            call.start()
            return live()

        return guest_result(context, await call.recorded(f"outgoing_body_stream::{operation}", effect))


class _Room(Pollable):
    """Ready when a request's body takes more."""

    def __init__(self, body: RequestBody) -> None:
        self._body = body

    def ready(self) -> bool:
        return self._body.room > 0 or not self._body.writable

    async def wait(self) -> None:
        await self._body.wait_for(lambda: self._body.room > 0)


def guest_result(context: WorkerContext, response: Value) -> Value:
    """The stream result for a recorded one, in which a failure is a text and a code, and not a handle."""
    tag, content = response
    if tag == "ok":
        return ("ok", content)
    case, payload = content
    if case == "closed":
        return CLOSED
    text, code = payload
    return failed(context, text, code)
