"""One outgoing request from `handle` to its end: its region of the oplog, its sending, and what recovery does with it.

`handle` begins a batched remote write; its index names the request and makes its idempotency key. Everything that the
guest then learns is recorded in that region: the response's head, each piece of its body, what the request's body
accepted. The region ends when nothing more can come: the guest dropped what it held (future, then response, then
body), or was told of the end of the body or of an error.

After a crash a region with its end is replayed and nothing is sent. One without is repeated as a whole, with the same
key, because the context goes live at its beginning. Between these lie three cases in which replay enters a region and
the worker goes live before its end: other effects were recorded since the beginning (two requests at the same time),
so that the context replays what there is; an atomic region, or a zone without persistence, that began inside and is
repeated; and a region that the guest left open when an earlier invocation ended. Then the request is *unsent*: it is
sent, with the same key, by the first live call that needs it. If the guest has seen part of the response already, the
new one must begin in the same way; if it does not, the guest is told that the response is incomplete, as if the
connection had broken there.

Replay cannot reach the end of the oplog in a region whose end is there: entries are consumed in order, and the end
is one of them.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import Any

from golem_server.durable.context import WorkerContext
from golem_server.durable.retry_policies import STATUS_CODE, Attempts
from golem_server.durable.spans import Span
from golem_server.host.http_bodies import RequestBody
from golem_server.host.http_client import HttpClient, HttpRequest, HttpResponse
from golem_server.host.http_errors import HttpError
from golem_server.host.resources import Pollable
from golem_server.model.oplog import Category
from golem_server.model.retry_policy import failure_properties
from golem_server.model.retry_predicate import PropertyValue
from golem_server.model.types import Value

IDEMPOTENT_METHODS = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})

INCOMPLETE: Value = ("HTTP-response-incomplete", None)


class HttpCalls:
    """The requests of one worker that are not over."""

    def __init__(self) -> None:
        self.open: set[HttpCall] = set()

    @staticmethod
    def of(context: WorkerContext) -> HttpCalls:
        """Those of this worker."""
        found = context.local.get(HttpCalls)
        if found is None:
            found = context.local[HttpCalls] = HttpCalls()
        return found


class HttpCall:
    """A request that the guest has handed over. `begin` is the index of its region's beginning, `span` its span."""

    def __init__(
        self,
        context: WorkerContext,
        client: HttpClient,
        begin: int,
        span: Span,
        request: HttpRequest,
        body: RequestBody | None,
    ) -> None:
        self.begin = begin
        self._span = span
        self.ended = False
        self._context = context
        self._client = client
        self._request = request
        self._body = body
        self._record: dict[str, Value] = {
            "uri": request.url,
            "method": request.method,
            "headers": {name: value.decode("utf-8", "replace") for name, value in request.headers},
        }
        self._sending: asyncio.Task[None] | None = None
        self._response: HttpResponse | None = None
        self._error: HttpError | None = None
        # What replay has given to the guest: the response that another attempt must repeat.
        self._seen_status: int | None = None
        self._seen_bytes = 0
        self._seen_hash = hashlib.sha256()
        self._comparable = True
        # A request that is sent again in the middle: replay may have told the guest that there is something to get or
        # to read, so that it does not expect to find nothing.
        self._owes_head = False
        self._owes_bytes = False
        HttpCalls.of(context).open.add(self)
        if body is not None:
            body.call = self

    # --- Recording

    async def recorded(self, operation: str, live: Callable[[], Any], **request: Value) -> Value:
        """Do a recorded call that belongs to this request. `operation` is its name behind `http::types::`."""
        return await self._context.durable(
            Category.WRITE_REMOTE_BATCHED,
            f"http::types::{operation}",
            {**self._record, **request} if request else self._record,
            live,
            begin_index=self.begin,
        )

    def end(self) -> None:
        """Nothing more can come: close the region and let go of everything. Idempotent."""
        if self.ended:
            return
        self.ended = True
        self.close()
        self._context.end_remote_write_soon(self.begin)
        self._context.spans.finish(self._span)

    def close(self) -> None:
        """Give the request up without a word in the oplog, because the instance is given up. Idempotent."""
        HttpCalls.of(self._context).open.discard(self)
        if self._sending is not None:
            self._sending.cancel()
        if self._response is not None:
            self._response.close()
        if self._body is not None:
            self._body.close()

    # --- The response

    @property
    def settled(self) -> bool:
        """Whether the head of the response is there, or the request has failed."""
        return self._sending is not None and self._sending.done()

    async def wait(self) -> None:
        """Return when it is `settled`."""
        while not self.settled:
            await asyncio.wait({self.start()})

    def send(self) -> None:
        """Send it now, because the worker is live at `handle`."""
        self._sending = asyncio.ensure_future(self._send())

    def start(self) -> asyncio.Task[None]:
        """Send it, if that has not been done. Only live calls do this."""
        if self._sending is None:
            self._owes_bytes = self._owes_head = True
            self._sending = asyncio.ensure_future(self._send())
        return self._sending

    async def head(self) -> Value:
        """The state as `future_incoming_response::get` records it."""
        self.start()
        if self._owes_head and self._complete:
            await self.wait()
        if not self.settled:
            return ("pending", None)
        if self._error is not None:
            return ("http-error", self._error.code)
        assert self._response is not None
        headers: dict[str, list[bytes]] = {}
        for name, value in self._response.headers:
            headers.setdefault(name, []).append(value)
        return ("headers-received", {"status": self._response.status, "headers": headers})

    def saw_head(self, status: int) -> None:
        """The guest knows this status."""
        self._seen_status = status

    def saw_bytes(self, content: bytes | None) -> None:
        """Replay gave the guest these bytes of the body; None for some that were not recorded."""
        if content is None:
            self._comparable = False
        else:
            self._seen_bytes += len(content)
            self._seen_hash.update(content)

    async def response(self) -> HttpResponse:
        """The response, whose body goes on where the guest stands. Raises HttpError."""
        await self.wait()
        if self._error is not None:
            raise self._error
        assert self._response is not None
        if self._owes_bytes and self._complete:
            self._owes_bytes = False
            await self._response.wait()
        return self._response

    @property
    def _complete(self) -> bool:
        # A server may wait for the rest of a request before it answers: then waiting for it would be for ever.
        return self._body is None or self._body.finished

    def body_ready(self) -> bool:
        """Whether a read of the body would give something, its end or its error."""
        self.start()
        return self.settled and (self._error is not None or self._response is None or self._response.ready())

    async def _compare(self, response: HttpResponse) -> None:
        if not self._comparable or self._seen_status != response.status:
            raise HttpError(INCOMPLETE)
        left, repeated = self._seen_bytes, hashlib.sha256()
        while left:
            await response.wait()
            piece = response.take(left)
            if piece is None:
                raise HttpError(INCOMPLETE)
            repeated.update(piece)
            left -= len(piece)
        if repeated.digest() != self._seen_hash.digest():
            raise HttpError(INCOMPLETE)

    # --- Sending

    async def _send(self) -> None:
        attempts = Attempts(self._context.retries)
        while True:
            try:
                self._response = await self._client.send(self._request, self._body)
                if self._seen_status is not None:
                    await self._compare(self._response)
                delay = self._delay_after_status(self._response.status, attempts)
                if delay is None:
                    return
                self._response.close()
                self._response = None
            except HttpError as error:
                delay = self._delay_after(error, attempts)
                if delay is None:
                    self._error = error
                    break
            except Exception as error:
                self._error = HttpError(("internal-error", f"{type(error).__name__}: {error}"))
                break
            await self._context.pause(delay)
        if self._body is not None:
            self._body.close()

    def _delay_after(self, error: HttpError, attempts: Attempts) -> float | None:
        if not error.transient or not self._may_be_repeated():
            return None
        return attempts.next_delay({**self._properties(), "error-type": "transient"})

    def _delay_after_status(self, status: int, attempts: Attempts) -> float | None:
        """Only a policy that speaks of status codes makes an answer be asked for again, and none that the guest saw."""
        if self._seen_status is not None or not self._may_be_repeated():
            return None
        return attempts.next_delay_for_status({**self._properties(), STATUS_CODE: status})

    def _properties(self) -> dict[str, PropertyValue]:
        return self._context.retries.properties(failure_properties(self._request.method, self._request.url))

    def _may_be_repeated(self) -> bool:
        context = self._context
        return (
            not context.inside_atomic_region
            and (context.assume_idempotence or self._request.method in IDEMPOTENT_METHODS)
            and (self._body is None or self._body.repeatable)
        )


class ResponseArrived(Pollable):
    """Ready when a request has its response's head, or has failed."""

    def __init__(self, call: HttpCall) -> None:
        self._call = call

    def ready(self) -> bool:
        # Asked in live mode only. A guest takes a pollable that is ready for a `get` that gives something.
        self._call.start()
        return self._call.settled

    async def wait(self) -> None:
        await self._call.wait()
