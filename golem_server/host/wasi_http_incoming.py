"""The side of wasi:http/types that answers requests, and `golem:http/incoming-handler.{handle}` on top of it.

Reference: host-interfaces, sections 3.5 and 5.3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from golem_server.durable.context import WorkerContext
from golem_server.durable.host_function import HostInterface
from golem_server.durable.signals import GuestError
from golem_server.host.http_fields import OK, Fields, is_token
from golem_server.host.http_incoming import IncomingRequest, OutgoingResponse, ResponseBody, ResponseOutparam
from golem_server.host.http_urls import is_authority, is_path_with_query, is_scheme
from golem_server.model.errors import InvalidInput
from golem_server.model.http_messages import METHODS, SCHEMES, IncomingHttpRequest
from golem_server.model.types import Value
from golem_server.model.virtual_exports import HANDLE_HTTP

types = HostInterface("wasi:http/types")

INTERFACES = [types]

REFUSED: Value = ("err", None)


# --- incoming-request


@types.unrecorded("[method]incoming-request.method")
def incoming_request_method(context: WorkerContext, handle: int) -> Value:
    """The method."""
    method = context.resources.get(handle, IncomingRequest).message.method
    return (method.lower(), None) if method in METHODS else ("other", method)


@types.unrecorded("[method]incoming-request.path-with-query")
def incoming_request_path(context: WorkerContext, handle: int) -> Value:
    """Path and query."""
    return context.resources.get(handle, IncomingRequest).message.path_and_query or None


@types.unrecorded("[method]incoming-request.scheme")
def incoming_request_scheme(context: WorkerContext, handle: int) -> Value:
    """The scheme."""
    scheme = context.resources.get(handle, IncomingRequest).message.scheme
    return (scheme.upper(), None) if scheme.upper() in SCHEMES else ("other", scheme)


@types.unrecorded("[method]incoming-request.authority")
def incoming_request_authority(context: WorkerContext, handle: int) -> Value:
    """Host and port."""
    return context.resources.get(handle, IncomingRequest).message.authority or None


@types.unrecorded("[method]incoming-request.headers")
def incoming_request_headers(context: WorkerContext, handle: int) -> Value:
    """Its headers, immutable, without those that belong to the connection."""
    return context.resources.add(context.resources.get(handle, IncomingRequest).headers)


@types.unrecorded("[method]incoming-request.consume")
def incoming_request_consume(context: WorkerContext, handle: int) -> Value:
    """The body, once."""
    body = context.resources.get(handle, IncomingRequest).consume()
    return REFUSED if body is None else ("ok", context.resources.add(body))


# --- outgoing-response and response-outparam


@types.unrecorded("[constructor]outgoing-response")
def new_outgoing_response(context: WorkerContext, headers: int) -> Value:
    """A response of status 200 with these headers, which can be changed no more."""
    return context.resources.add(OutgoingResponse(context.resources.take(headers, Fields)))


@types.unrecorded("[method]outgoing-response.status-code")
def outgoing_response_status(context: WorkerContext, handle: int) -> Value:
    """The status code."""
    return context.resources.get(handle, OutgoingResponse).status


@types.unrecorded("[method]outgoing-response.set-status-code")
def outgoing_response_set_status(context: WorkerContext, handle: int, status: int) -> Value:
    """Set the status code, which has three digits."""
    response = context.resources.get(handle, OutgoingResponse)
    if not 100 <= status <= 999:
        return REFUSED
    response.status = status
    return OK


@types.unrecorded("[method]outgoing-response.headers")
def outgoing_response_headers(context: WorkerContext, handle: int) -> Value:
    """Its headers, immutable."""
    return context.resources.add(context.resources.get(handle, OutgoingResponse).headers)


@types.unrecorded("[method]outgoing-response.body")
def outgoing_response_body(context: WorkerContext, handle: int) -> Value:
    """Its body, once."""
    response = context.resources.get(handle, OutgoingResponse)
    if response.body is not None:
        return REFUSED
    try:
        response.body = ResponseBody(response.headers.content_length())
    except ValueError:
        return REFUSED
    return ("ok", context.resources.add(response.body))


@types.unrecorded("[static]response-outparam.set")
def response_outparam_set(context: WorkerContext, handle: int, answer: Value) -> Value:
    """The response, or an error instead of one."""
    outparam = context.resources.take(handle, ResponseOutparam)
    tag, content = answer
    if tag == "ok":
        outparam.respond(context.resources.take(content, OutgoingResponse))
    else:
        outparam.refuse(content)


# --- golem:http/incoming-handler


def handle_request(context: WorkerContext, parameters: Sequence[Value]) -> tuple[Sequence[Value], Callable[[], Value]]:
    """The virtual function `handle`: makes the resources of the request, and the result of what the guest did.

    Raises InvalidInput for what is no HTTP request.
    """
    if len(parameters) != 1:
        raise InvalidInput(f"Invalid request: expected 1 parameter, got {len(parameters)}")
    message = IncomingHttpRequest.from_value(parameters[0])
    problem = _problem(message)
    if problem is not None:
        raise InvalidInput(f"Invalid request: Failed constructing incoming request: {problem}")
    outparam = ResponseOutparam(message.method)
    resources = context.resources
    arguments = (resources.add(IncomingRequest(message)), resources.add(outparam))
    return arguments, lambda: outparam.result(context).value()


VIRTUAL_FUNCTIONS = {HANDLE_HTTP: handle_request}
"""What the durable room carries out for the functions that are added to components."""


def _problem(message: IncomingHttpRequest) -> str | None:
    if not is_token(message.method):
        return "not the name of a method"
    if not is_scheme(message.scheme):
        return "not a scheme"
    if not is_authority(message.authority):
        return "not an authority"
    path = message.path_and_query
    # CONNECT has no path, and OPTIONS may ask about the server as a whole.
    if path not in ("", "*") and not (path.startswith("/") and is_path_with_query(path)):
        return "not a path that begins with /, with or without a query"
    trailers = message.body.trailers if message.body is not None else None
    for fields in (message.headers, trailers or ()):
        problem = _problem_of_fields(fields)
        if problem is not None:
            return problem
    return None


def _problem_of_fields(items: Sequence[tuple[str, bytes]]) -> str | None:
    try:
        # Fields of the connection may be there, and are left out; all others must be well-formed.
        fields = Fields(items)
    except GuestError as error:
        return str(error)
    return fields.malformed()
