"""wasi:http/types and wasi:http/outgoing-handler, 0.2.x: outgoing requests (reference: host-interfaces, 3.5).

The functions here look handles up and call the classes of the `http_*` files. Fields and requests are the guest's own
until `handle`, so that nothing of them is recorded: replay builds them again. The side that answers requests is in
`wasi_http_incoming`; bodies and fields serve both.
"""

from __future__ import annotations

from typing import Any

from golem_server.durable.context import WorkerContext
from golem_server.durable.host_function import HostInterface
from golem_server.host.http_bodies import RequestBody, RequestOutgoingBody
from golem_server.host.http_call import HttpCall, HttpCalls, ResponseArrived
from golem_server.host.http_client import HttpClient, HttpRequest, HttpSettings
from golem_server.host.http_fields import OK, Fields, is_token
from golem_server.host.http_resources import FutureTrailers, IncomingBody, OutgoingBody
from golem_server.host.http_responses import FutureResponse, IncomingResponse
from golem_server.host.http_urls import is_authority, is_path_with_query, is_scheme
from golem_server.host.resources import AlwaysReady, IoError
from golem_server.model.types import Value

types = HostInterface("wasi:http/types")
outgoing_handler = HostInterface("wasi:http/outgoing-handler")

INTERFACES = [types, outgoing_handler]

IDEMPOTENCY_HEADER = "idempotency-key"
TRACE_HEADERS = frozenset({"traceparent", "tracestate"})

REFUSED: Value = ("err", None)
"""The error of functions whose error type is empty."""

_METHODS = ("get", "head", "post", "put", "delete", "connect", "options", "trace", "patch")


class OutgoingRequest:
    """The resource `outgoing-request`."""

    def __init__(self, headers: Fields) -> None:
        self.headers = headers.copy(mutable=False)
        self.method: Value = ("get", None)
        self.path_with_query: str | None = None
        self.scheme: Value = None
        self.authority: str | None = None
        self.body: RequestBody | None = None

    def dropped(self) -> None:
        """A request that was not handled takes its body along."""
        if self.body is not None:
            self.body.close()

    def close(self) -> None:
        """The instance is given up."""
        self.dropped()

    def problem(self) -> Value:
        """Why it cannot be sent, as an error-code; None if it can."""
        if self.scheme is not None and self.scheme[0] not in ("HTTP", "HTTPS"):
            return ("HTTP-protocol-error", None)
        return None if self.authority else ("HTTP-request-URI-invalid", None)

    @property
    def method_name(self) -> str:
        """The method as it is sent."""
        case, name = self.method
        return name if case == "other" else case.upper()

    @property
    def url(self) -> str:
        """Where it goes."""
        scheme = "https" if self.scheme is None else self.scheme[0].lower()
        path = self.path_with_query or "/"
        return f"{scheme}://{self.authority}{path if path.startswith('/') else '/' + path}"


class RequestOptions:
    """The resource `request-options`. Times in nanoseconds."""

    def __init__(self) -> None:
        self.connect: int | None = None
        self.first_byte: int | None = None
        self.between_bytes: int | None = None


# --- fields


@types.unrecorded("[constructor]fields")
def new_fields(context: WorkerContext) -> Value:
    """Empty fields."""
    return context.resources.add(Fields())


@types.unrecorded("[static]fields.from-list")
def fields_from_list(context: WorkerContext, entries: Value) -> Value:
    """Fields of a list."""
    fields = Fields()
    answer = fields.add_all(entries)
    return ("ok", context.resources.add(fields)) if answer is OK else answer


@types.unrecorded("[method]fields.get")
def fields_get(context: WorkerContext, handle: int, name: str) -> Value:
    """All values of a field."""
    return context.resources.get(handle, Fields).get(name)


@types.unrecorded("[method]fields.has")
def fields_has(context: WorkerContext, handle: int, name: str) -> Value:
    """Whether there is such a field."""
    return context.resources.get(handle, Fields).has(name)


@types.unrecorded("[method]fields.set")
def fields_set(context: WorkerContext, handle: int, name: str, values: Value) -> Value:
    """Replace all values of a field."""
    return context.resources.get(handle, Fields).set(name, values)


@types.unrecorded("[method]fields.delete")
def fields_delete(context: WorkerContext, handle: int, name: str) -> Value:
    """Remove a field."""
    return context.resources.get(handle, Fields).delete(name)


@types.unrecorded("[method]fields.append")
def fields_append(context: WorkerContext, handle: int, name: str, value: bytes) -> Value:
    """Add one value."""
    return context.resources.get(handle, Fields).append(name, value)


@types.unrecorded("[method]fields.entries")
def fields_entries(context: WorkerContext, handle: int) -> Value:
    """All fields in order."""
    return list(context.resources.get(handle, Fields).items)


@types.unrecorded("[method]fields.clone")
def fields_clone(context: WorkerContext, handle: int) -> Value:
    """A copy that can be changed."""
    return context.resources.add(context.resources.get(handle, Fields).copy(mutable=True))


# --- outgoing-request


@types.unrecorded("[constructor]outgoing-request")
def new_outgoing_request(context: WorkerContext, headers: int) -> Value:
    """A GET request with these headers, which can be changed no more."""
    return context.resources.add(OutgoingRequest(context.resources.take(headers, Fields)))


@types.unrecorded("[method]outgoing-request.body")
def outgoing_request_body(context: WorkerContext, handle: int) -> Value:
    """Its body, once."""
    request = context.resources.get(handle, OutgoingRequest)
    if request.body is not None:
        return REFUSED
    try:
        request.body = RequestBody(request.headers.content_length())
    except ValueError:
        return REFUSED
    return ("ok", context.resources.add(RequestOutgoingBody(request.body)))


@types.unrecorded("[method]outgoing-request.method")
def outgoing_request_method(context: WorkerContext, handle: int) -> Value:
    """The method."""
    return context.resources.get(handle, OutgoingRequest).method


@types.unrecorded("[method]outgoing-request.set-method")
def outgoing_request_set_method(context: WorkerContext, handle: int, method: Value) -> Value:
    """Set the method."""
    request = context.resources.get(handle, OutgoingRequest)
    case, name = method
    if case == "other" and not is_token(name):
        return REFUSED
    if case == "other" and name.lower() in _METHODS and name.isupper():
        case, name = name.lower(), None
    request.method = (case, name)
    return OK


@types.unrecorded("[method]outgoing-request.path-with-query")
def outgoing_request_path(context: WorkerContext, handle: int) -> Value:
    """Path and query."""
    return context.resources.get(handle, OutgoingRequest).path_with_query


@types.unrecorded("[method]outgoing-request.set-path-with-query")
def outgoing_request_set_path(context: WorkerContext, handle: int, path: str | None) -> Value:
    """Set path and query; refuses what would end the request's first line."""
    request = context.resources.get(handle, OutgoingRequest)
    if path is not None and not is_path_with_query(path):
        return REFUSED
    request.path_with_query = path
    return OK


@types.unrecorded("[method]outgoing-request.scheme")
def outgoing_request_scheme(context: WorkerContext, handle: int) -> Value:
    """The scheme."""
    return context.resources.get(handle, OutgoingRequest).scheme


@types.unrecorded("[method]outgoing-request.set-scheme")
def outgoing_request_set_scheme(context: WorkerContext, handle: int, scheme: Value) -> Value:
    """Set the scheme."""
    request = context.resources.get(handle, OutgoingRequest)
    if scheme is not None and scheme[0] == "other" and not is_scheme(scheme[1]):
        return REFUSED
    request.scheme = scheme
    return OK


@types.unrecorded("[method]outgoing-request.authority")
def outgoing_request_authority(context: WorkerContext, handle: int) -> Value:
    """Host and port."""
    return context.resources.get(handle, OutgoingRequest).authority


@types.unrecorded("[method]outgoing-request.set-authority")
def outgoing_request_set_authority(context: WorkerContext, handle: int, authority: str | None) -> Value:
    """Set host and port. Credentials in the authority are refused."""
    request = context.resources.get(handle, OutgoingRequest)
    if authority is not None and not is_authority(authority):
        return REFUSED
    request.authority = authority
    return OK


@types.unrecorded("[method]outgoing-request.headers")
def outgoing_request_headers(context: WorkerContext, handle: int) -> Value:
    """Its headers, immutable."""
    return context.resources.add(context.resources.get(handle, OutgoingRequest).headers)


# --- request-options


@types.unrecorded("[constructor]request-options")
def new_request_options(context: WorkerContext) -> Value:
    """Options that set nothing."""
    return context.resources.add(RequestOptions())


@types.unrecorded("[method]request-options.connect-timeout")
def connect_timeout(context: WorkerContext, handle: int) -> Value:
    """How long connecting may take."""
    return context.resources.get(handle, RequestOptions).connect


@types.unrecorded("[method]request-options.set-connect-timeout")
def set_connect_timeout(context: WorkerContext, handle: int, duration: int | None) -> Value:
    """Set how long connecting may take."""
    context.resources.get(handle, RequestOptions).connect = duration
    return OK


@types.unrecorded("[method]request-options.first-byte-timeout")
def first_byte_timeout(context: WorkerContext, handle: int) -> Value:
    """How long the response may take to begin."""
    return context.resources.get(handle, RequestOptions).first_byte


@types.unrecorded("[method]request-options.set-first-byte-timeout")
def set_first_byte_timeout(context: WorkerContext, handle: int, duration: int | None) -> Value:
    """Set how long the response may take to begin."""
    context.resources.get(handle, RequestOptions).first_byte = duration
    return OK


@types.unrecorded("[method]request-options.between-bytes-timeout")
def between_bytes_timeout(context: WorkerContext, handle: int) -> Value:
    """How long the response's body may pause."""
    return context.resources.get(handle, RequestOptions).between_bytes


@types.unrecorded("[method]request-options.set-between-bytes-timeout")
def set_between_bytes_timeout(context: WorkerContext, handle: int, duration: int | None) -> Value:
    """Set how long the response's body may pause."""
    context.resources.get(handle, RequestOptions).between_bytes = duration
    return OK


# --- outgoing-body


@types.unrecorded("[method]outgoing-body.write")
def outgoing_body_write(context: WorkerContext, handle: int) -> Value:
    """Its stream, once."""
    stream = context.resources.get(handle, OutgoingBody).stream()
    return REFUSED if stream is None else ("ok", context.resources.add(stream))


@types.unrecorded("[static]outgoing-body.finish")
def outgoing_body_finish(context: WorkerContext, handle: int, trailers: int | None) -> Value:
    """The body is complete."""
    body = context.resources.take(handle, OutgoingBody)
    fields = None if trailers is None else context.resources.take(trailers, Fields)
    return body.finish(fields)


# --- future-incoming-response


@types.unrecorded("[method]future-incoming-response.subscribe")
def future_subscribe(context: WorkerContext, handle: int) -> Value:
    """A pollable that is ready when `get` gives something."""
    return context.resources.add(ResponseArrived(context.resources.get(handle, FutureResponse).call))


@types.special("[method]future-incoming-response.get")
async def future_get(context: WorkerContext, handle: int) -> Value:
    """The response, once it is there. Each call is recorded."""
    return await context.resources.get(handle, FutureResponse).get(context)


# --- incoming-response, incoming-body, future-trailers


@types.unrecorded("[method]incoming-response.status")
def incoming_response_status(context: WorkerContext, handle: int) -> Value:
    """The status code."""
    return context.resources.get(handle, IncomingResponse).status


@types.unrecorded("[method]incoming-response.headers")
def incoming_response_headers(context: WorkerContext, handle: int) -> Value:
    """The headers, immutable."""
    return context.resources.add(context.resources.get(handle, IncomingResponse).fields)


@types.unrecorded("[method]incoming-response.consume")
def incoming_response_consume(context: WorkerContext, handle: int) -> Value:
    """The body, once."""
    body = context.resources.get(handle, IncomingResponse).consume()
    return REFUSED if body is None else ("ok", context.resources.add(body))


@types.unrecorded("[method]incoming-body.stream")
def incoming_body_stream(context: WorkerContext, handle: int) -> Value:
    """The body's stream, once."""
    stream = context.resources.get(handle, IncomingBody).stream()
    return REFUSED if stream is None else ("ok", context.resources.add(stream))


@types.special("[static]incoming-body.finish")
def incoming_body_finish(context: WorkerContext, handle: int) -> Value:
    """The guest wants no more of the body."""
    return context.resources.add(context.resources.take(handle, IncomingBody).finish())


@types.unrecorded("[method]future-trailers.subscribe")
def future_trailers_subscribe(context: WorkerContext, handle: int) -> Value:
    """Ready at once: what there is, is there."""
    context.resources.get(handle, FutureTrailers)
    return context.resources.add(AlwaysReady())


@types.unrecorded("[method]future-trailers.get")
def future_trailers_get(context: WorkerContext, handle: int) -> Value:
    """The trailers, once."""
    return context.resources.get(handle, FutureTrailers).get(context)


@types.unrecorded("http-error-code")
def http_error_code(context: WorkerContext, error: int) -> Value:
    """The HTTP error behind a stream's error, if it is one."""
    code = context.resources.get(error, IoError).code
    # Other interfaces' codes are enums.
    return None if isinstance(code, str) else code


# --- outgoing-handler


@outgoing_handler.special("handle")
async def handle(context: WorkerContext, request_handle: int, options_handle: int | None) -> Value:
    """Begin a request. Everything that follows belongs to its region of the oplog (see `http_call`)."""
    request = context.resources.take(request_handle, OutgoingRequest)
    options = None if options_handle is None else context.resources.take(options_handle, RequestOptions)
    client = context.service(HttpClient)
    problem = request.problem()
    if problem is None and len(HttpCalls.of(context).open) >= client.settings.max_open_requests:
        # The number of open requests depends on the guest's own calls alone: replay refuses the same ones.
        problem = ("connection-limit-reached", None)
    if problem is not None:
        request.dropped()
        return ("err", problem)
    try:
        begin = await context.begin_remote_write(resumable=True)
        span = await context.spans.start(
            {"name": "outgoing-http-request", "request.uri": request.url, "request.method": request.method_name}
        )
    except BaseException:
        request.dropped()
        raise
    headers = list(request.headers.items)
    if context.spans.forward_headers:
        headers = [item for item in headers if item[0].lower() not in TRACE_HEADERS]
        headers.extend((name, value.encode("latin-1")) for name, value in context.spans.headers(span))
    if not request.headers.has(IDEMPOTENCY_HEADER):
        headers.append((IDEMPOTENCY_HEADER, str(context.derive_idempotency_key(begin)).encode()))
    sent = _timed(request, tuple(headers), options or RequestOptions(), client.settings)
    call = HttpCall(context, client, begin, span, sent, request.body)
    if await context.settle_replay():
        call.send()
    return ("ok", context.resources.add(FutureResponse(call)))


def _timed(
    request: OutgoingRequest, headers: tuple[tuple[str, bytes], ...], options: RequestOptions, settings: HttpSettings
) -> HttpRequest:
    def seconds(nanoseconds: int | None, default: float) -> Any:
        return default if nanoseconds is None else nanoseconds / 1e9

    return HttpRequest(
        method=request.method_name,
        url=request.url,
        headers=headers,
        connect_timeout=seconds(options.connect, settings.connect_timeout),
        first_byte_timeout=seconds(options.first_byte, settings.first_byte_timeout),
        between_bytes_timeout=seconds(options.between_bytes, settings.between_bytes_timeout),
    )
