"""One request that a guest handles, and the response that it makes, as resources of wasi:http.

The request is a parameter of the recorded invocation and the response its result, so that nothing in between is
recorded: in replay the guest reads the same request and makes the same response again. Whatever is wrong with the
guest's response (none, an error instead of one, a body that is not complete or too large) is a response of status 500
and a line in the worker's log; a trap fails the invocation as always.
"""

from __future__ import annotations

from golem_server.durable.context import WorkerContext
from golem_server.host.http_fields import FORBIDDEN, OK, Fields
from golem_server.host.http_resources import FutureTrailers, IncomingBody, OutgoingBody
from golem_server.host.resources import CLOSED, InputStream, OutputStream, failed
from golem_server.model.http_messages import HttpBody, HttpResponse, IncomingHttpRequest
from golem_server.model.oplog import LogLevel
from golem_server.model.types import Value

MAX_RESPONSE_BYTES = 32 << 20
"""Bytes of a response's body. Not a setting: under another limit a recorded response could not be made again."""

LOG_CONTEXT = "wasi:http/incoming-handler"


class IncomingRequest:
    """The resource `incoming-request`."""

    def __init__(self, request: IncomingHttpRequest) -> None:
        self.message = request
        visible = ((name, value) for name, value in request.headers if name.lower().encode() not in FORBIDDEN)
        self.headers = Fields(visible, mutable=False)
        self._consumed = False

    def consume(self) -> RequestBody | None:
        """Its body; None the second time."""
        if self._consumed:
            return None
        self._consumed = True
        return RequestBody(self.message.body or HttpBody(b""))


class RequestBody(IncomingBody):
    """The body of a request that came in."""

    def __init__(self, body: HttpBody) -> None:
        self._body = body
        self._stream_given = False

    def stream(self) -> InputStream | None:
        """Its stream; None the second time."""
        if self._stream_given:
            return None
        self._stream_given = True
        return _Bytes(self._body.content)

    def finish(self) -> FutureTrailers:
        """What came behind the body."""
        trailers = self._body.trailers
        return FutureTrailers(None if trailers is None else Fields(trailers, mutable=False))


class _Bytes(InputStream):
    """Reads what is in memory."""

    def __init__(self, content: bytes) -> None:
        self._left = memoryview(content)

    def read(self, context: WorkerContext, length: int) -> Value:
        if not self._left:
            return CLOSED
        taken, self._left = bytes(self._left[:length]), self._left[length:]
        return ("ok", taken)

    def blocking_read(self, context: WorkerContext, length: int) -> Value:
        return self.read(context, length)


class OutgoingResponse:
    """The resource `outgoing-response`."""

    def __init__(self, headers: Fields) -> None:
        self.headers = headers.copy(mutable=False)
        self.status = 200
        self.body: ResponseBody | None = None


class ResponseBody(OutgoingBody):
    """The body of a response that the guest makes. `declared` is its content-length."""

    def __init__(self, declared: int | None) -> None:
        self.declared = declared
        self.written = 0
        self.finished = False
        self.trailers: Fields | None = None
        self._pieces: list[bytes] = []
        self._stream_given = False

    @property
    def content(self) -> bytes:
        """All that was written."""
        return b"".join(self._pieces)

    def stream(self) -> OutputStream | None:
        """Its stream; None the second time."""
        if self._stream_given:
            return None
        self._stream_given = True
        return _ResponseStream(self)

    def write(self, content: bytes) -> None:
        """Add bytes."""
        self.written += len(content)
        self._pieces.append(content)

    def finish(self, trailers: Fields | None) -> Value:
        """`result<_, error-code>`: the body is complete, if it is as long as it was said to be."""
        if self.declared is not None and self.written != self.declared:
            return ("err", ("HTTP-response-body-size", self.written))
        self.finished = True
        self.trailers = trailers
        return OK


class _ResponseStream(OutputStream):
    """The stream of a response's body."""

    def __init__(self, body: ResponseBody) -> None:
        self._body = body

    def write(self, context: WorkerContext, content: bytes) -> Value:
        body = self._body
        if body.finished:
            return CLOSED
        size = body.written + len(content)
        if size > (MAX_RESPONSE_BYTES if body.declared is None else min(body.declared, MAX_RESPONSE_BYTES)):
            text = f"the body is longer than its content-length or {MAX_RESPONSE_BYTES} bytes"
            return failed(context, text, ("HTTP-response-body-size", size))
        body.write(bytes(content))
        return OK


class ResponseOutparam:
    """The resource `response-outparam`: where the guest puts its response to a request of this method."""

    def __init__(self, method: str) -> None:
        self._method = method
        self._answer: Value = None
        self._response: OutgoingResponse | None = None

    def respond(self, response: OutgoingResponse) -> None:
        """This is the response; its body may still be written."""
        self._response = response

    def refuse(self, error: Value) -> None:
        """There is none, but an error-code."""
        self._answer = error

    def result(self, context: WorkerContext) -> HttpResponse:
        """The response, now that the guest has returned."""
        response = self._response
        if response is None:
            problem = "the guest set no response" if self._answer is None else f"the guest answered {self._answer[0]}"
        else:
            problem = self._problem(response)
            if problem is None:
                return _message(response)
        context.log(LogLevel.ERROR, LOG_CONTEXT, problem)
        return HttpResponse(500)

    def _problem(self, response: OutgoingResponse) -> str | None:
        body = response.body
        if body is not None:
            written = f"the guest did not finish its response's body, of which it wrote {body.written} bytes"
            return None if body.finished else written
        try:
            announced = response.headers.content_length()
        except ValueError:
            return "the response's content-length is not one number"
        # Of these the length is that of a body which is not sent.
        if announced and self._method != "HEAD" and response.status != 304:
            return "the guest announced a body and wrote none"
        return None


def _message(response: OutgoingResponse) -> HttpResponse:
    body = response.body
    trailers = None if body is None or body.trailers is None else tuple(body.trailers.items)
    content = b"" if body is None else body.content
    sent = HttpBody(content, trailers) if content or trailers is not None else None
    return HttpResponse(response.status, tuple(response.headers.items), sent)
