"""golem:api/context: tracing spans of the guest's own, and the trace that its invocation belongs to.

Starting a span, giving it an attribute and finishing it write entries of their own kinds (`durable/spans.py`); what is
only read is made of what these and the invocation's entry hold, in replay as live.
"""

from __future__ import annotations

from golem_server.durable.context import WorkerContext
from golem_server.durable.host_function import HostInterface
from golem_server.durable.signals import GuestError
from golem_server.durable.spans import Span
from golem_server.host.golem_records import datetime_record
from golem_server.model.types import Value

context_interface = HostInterface("golem:api/context")

INTERFACES = [context_interface]


class OpenSpan:
    """The resource `span`: finished when the guest drops it."""

    def __init__(self, context: WorkerContext, span: Span) -> None:
        self.span = span
        self._context = context

    def dropped(self) -> None:
        """The guest leaves the span."""
        self._context.spans.finish(self.span)


class InvocationContext:
    """The resource `invocation-context`: a place in the stack of spans, and the trace that it belongs to."""

    def __init__(self, trace_id: str, headers: list[tuple[str, str]], span: Span) -> None:
        self.trace_id = trace_id
        self.headers = headers
        self.span = span


@context_interface.special("start-span")
async def start_span(context: WorkerContext, name: str) -> Value:
    """Starts a span inside the current one; it becomes the current one."""
    span = await context.spans.start({"name": name}, activate=True)
    return context.resources.add(OpenSpan(context, span))


@context_interface.unrecorded("current-context")
def current_context(context: WorkerContext) -> Value:
    """The innermost span that the guest is in."""
    return _handle(context, context.spans.current)


@context_interface.unrecorded("allow-forwarding-trace-context-headers")
def allow_forwarding_trace_context_headers(context: WorkerContext, allow: bool) -> Value:
    """Chooses whether outgoing requests carry the trace. The choice before."""
    before, context.spans.forward_headers = context.spans.forward_headers, allow
    return before


# --- span


@context_interface.unrecorded("[method]span.started-at")
def started_at(context: WorkerContext, handle: int) -> Value:
    """When the span was started."""
    start = context.resources.get(handle, OpenSpan).span.start
    assert start is not None, "the guest's own spans have a start"
    return datetime_record(start)


@context_interface.special("[method]span.set-attribute")
def set_attribute(context: WorkerContext, handle: int, name: str, value: Value) -> Value:
    """Gives the span an attribute."""
    context.spans.set_attribute(_open(context, handle), name, _text(value))


@context_interface.special("[method]span.set-attributes")
def set_attributes(context: WorkerContext, handle: int, attributes: Value) -> Value:
    """Gives the span several attributes, one entry each."""
    span = _open(context, handle)
    for attribute in attributes:
        context.spans.set_attribute(span, attribute["key"], _text(attribute["value"]))


@context_interface.special("[method]span.finish")
def finish(context: WorkerContext, handle: int) -> Value:
    """Finishes the span before its handle is dropped."""
    context.spans.finish(_open(context, handle))


# --- invocation-context


@context_interface.unrecorded("[method]invocation-context.trace-id")
def trace_id(context: WorkerContext, handle: int) -> Value:
    """The trace, as 32 hex digits."""
    return _place(context, handle).trace_id


@context_interface.unrecorded("[method]invocation-context.span-id")
def span_id(context: WorkerContext, handle: int) -> Value:
    """The span, as 16 hex digits."""
    return _place(context, handle).span.span_id


@context_interface.unrecorded("[method]invocation-context.parent")
def parent(context: WorkerContext, handle: int) -> Value:
    """The context around this one, none for the outermost."""
    place = _place(context, handle)
    around = place.span.parent
    return None if around is None else _handle(context, around, place.trace_id)


@context_interface.unrecorded("[method]invocation-context.get-attribute")
def get_attribute(context: WorkerContext, handle: int, key: str, inherited: bool) -> Value:
    """An attribute of the span, or with `inherited` the nearest one around it."""
    values = _place(context, handle).span.chains(inherited=inherited).get(key)
    return _attribute(values[0]) if values else None


@context_interface.unrecorded("[method]invocation-context.get-attributes")
def get_attributes(context: WorkerContext, handle: int, inherited: bool) -> Value:
    """The attributes of the span, or with `inherited` those around it too, the nearest of each name."""
    chains = _place(context, handle).span.chains(inherited=inherited)
    return [{"key": key, "value": _attribute(values[0])} for key, values in sorted(chains.items())]


@context_interface.unrecorded("[method]invocation-context.get-attribute-chain")
def get_attribute_chain(context: WorkerContext, handle: int, key: str) -> Value:
    """All values of an attribute, the innermost first."""
    return [_attribute(value) for value in _place(context, handle).span.chains().get(key, ())]


@context_interface.unrecorded("[method]invocation-context.get-attribute-chains")
def get_attribute_chains(context: WorkerContext, handle: int) -> Value:
    """All values of all attributes, the innermost first."""
    chains = _place(context, handle).span.chains()
    return [{"key": key, "values": [_attribute(value) for value in values]} for key, values in sorted(chains.items())]


@context_interface.unrecorded("[method]invocation-context.trace-context-headers")
def trace_context_headers(context: WorkerContext, handle: int) -> Value:
    """The headers by which somebody else continues the trace from here."""
    return list(_place(context, handle).headers)


def _open(context: WorkerContext, handle: int) -> Span:
    return context.resources.get(handle, OpenSpan).span


def _place(context: WorkerContext, handle: int) -> InvocationContext:
    return context.resources.get(handle, InvocationContext)


def _handle(context: WorkerContext, span: Span, trace: str | None = None) -> Value:
    place = InvocationContext(trace or context.spans.trace_id, context.spans.headers(span), span)
    return context.resources.add(place)


def _attribute(value: str) -> Value:
    return ("string", value)


def _text(value: Value) -> str:
    case, text = value
    if case != "string":
        raise GuestError(f"an attribute of a span cannot be a {case}")
    return text
