"""Responses to outgoing requests as resources of wasi:http: the future, the response, its body and its trailers.

All of them are made of what is recorded, live and in replay alike. Whoever is the last to hold the request ends it:
the future, then the response that `get` gave, then the body that `consume` gave; and the body's stream as soon as
it has told the guest of the end or of an error.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from golem_server.durable.context import WorkerContext
from golem_server.host.http_bodies import guest_result
from golem_server.host.http_call import HttpCall
from golem_server.host.http_errors import HttpError
from golem_server.host.http_fields import Fields
from golem_server.host.http_resources import FutureTrailers, IncomingBody
from golem_server.host.resources import CLOSED, InputStream, Pollable
from golem_server.model.types import Value


class FutureResponse:
    """The resource `future-incoming-response`."""

    def __init__(self, call: HttpCall) -> None:
        self.call = call
        self._delivered = False

    async def get(self, context: WorkerContext) -> Value:
        """None while there is nothing; the response or an error once; then an error of the interface."""
        if self._delivered:
            return ("err", None)
        call = self.call
        case, payload = await call.recorded("future_incoming_response::get", call.head)
        if case == "pending":
            return None
        self._delivered = True
        if case == "headers-received":
            return ("ok", ("ok", context.resources.add(IncomingResponse(call, payload))))
        call.end()
        return ("ok", ("err", payload))

    def dropped(self) -> None:
        """Without a response nobody else holds the request."""
        if not self._delivered:
            self.call.end()

    def close(self) -> None:
        """The instance is given up."""
        self.call.close()


class IncomingResponse:
    """The resource `incoming-response`, from its recorded head `{status, headers}`."""

    def __init__(self, call: HttpCall, head: Value) -> None:
        self.status: int = head["status"]
        self.fields = Fields(
            ((name, value) for name, values in head["headers"].items() for value in values), mutable=False
        )
        self._call = call
        self._consumed = False
        call.saw_head(self.status)

    def consume(self) -> ResponseIncomingBody | None:
        """Its body; None the second time."""
        if self._consumed:
            return None
        self._consumed = True
        return ResponseIncomingBody(self._call)

    def dropped(self) -> None:
        """A response whose body nobody took is over."""
        if not self._consumed:
            self._call.end()

    def close(self) -> None:
        """The instance is given up."""
        self._call.close()


class ResponseIncomingBody(IncomingBody):
    """The resource `incoming-body` of a response. The client drops trailers, so that there are never any."""

    def __init__(self, call: HttpCall) -> None:
        self._call = call
        self._stream_given = False

    def stream(self) -> BodyStream | None:
        """Its stream; None the second time."""
        if self._stream_given:
            return None
        self._stream_given = True
        return BodyStream(self._call)

    def finish(self) -> FutureTrailers:
        """The guest wants no more of the body. What is left of it is not read."""
        self._call.end()
        return FutureTrailers()

    def dropped(self) -> None:
        """The request is over; a stream that outlives its body reports the end."""
        self._call.end()

    def close(self) -> None:
        """The instance is given up."""
        self._call.close()


class BodyStream(InputStream):
    """The stream of a response's body. Each operation is recorded until the end has been."""

    def __init__(self, call: HttpCall) -> None:
        self._call = call

    def read(self, context: WorkerContext, length: int) -> Any:
        """What is at hand."""
        return self._recorded(context, "read", lambda: self._take(length))

    def blocking_read(self, context: WorkerContext, length: int) -> Any:
        """Waits for at least one byte or the end."""
        return self._recorded(context, "blocking_read", lambda: self._take_waiting(length))

    def skip(self, context: WorkerContext, length: int) -> Any:
        """Reads and forgets what is at hand."""
        return self._recorded(context, "skip", lambda: _counted(self._take(length)))

    def blocking_skip(self, context: WorkerContext, length: int) -> Any:
        """Reads and forgets at least one byte."""
        return self._recorded(context, "blocking_skip", lambda: _counted(self._take_waiting(length)))

    def subscribe(self, context: WorkerContext) -> Pollable:
        """Ready when there is something to read, or the end."""
        return _BytesArrived(self._call)

    async def _recorded(self, context: WorkerContext, operation: str, live: Callable[[], Any]) -> Value:
        call = self._call
        if call.ended:
            return CLOSED
        happened = False

        def effect() -> Any:
            nonlocal happened
            happened = True
            return live()

        response = await call.recorded(f"incoming_body_stream::{operation}", effect)
        tag, content = response
        if tag == "err":
            call.end()
        elif not happened:
            call.saw_bytes(content if isinstance(content, bytes) else None)
        return guest_result(context, response)

    async def _take(self, length: int) -> Value:
        try:
            response = await self._call.response()
            taken = response.take(length)
        except HttpError as error:
            return ("err", ("last-operation-failed", (str(error), error.code)))
        return CLOSED if taken is None else ("ok", taken)

    async def _take_waiting(self, length: int) -> Value:
        try:
            response = await self._call.response()
            if length:
                await response.wait()
        except HttpError as error:
            return ("err", ("last-operation-failed", (str(error), error.code)))
        return await self._take(length)


async def _counted(taking: Any) -> Value:
    tag, content = await taking
    return (tag, len(content)) if tag == "ok" else (tag, content)


class _BytesArrived(Pollable):
    """Ready when a response's body has something to read, or has ended."""

    def __init__(self, call: HttpCall) -> None:
        self._call = call

    def ready(self) -> bool:
        return self._call.ended or self._call.body_ready()

    async def wait(self) -> None:
        if self.ready():
            return
        with contextlib.suppress(HttpError):
            await (await self._call.response()).wait()
