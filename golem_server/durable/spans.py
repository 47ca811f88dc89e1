"""The tracing spans of a running invocation: started, given attributes and finished, live and in replay.

    span = await context.spans.start({"name": "rpc-connection"})
    context.spans.set_attribute(span, "target", "w-2")
    trace = context.spans.handed_on(span)
    invocation = Invocation(key, function, parameters, trace.trace_id, trace.states, trace.spans)
    context.spans.finish(span)

Each of these calls writes an entry that replay consumes; from the entry of the beginning it takes the id and the time.
The innermost span that the guest is in (`current`) is that of the invocation until one is started with `activate`.
The span of the invocation itself and those around it come with the invocation; nothing of them is written.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol, TypeVar

from golem_server.durable.signals import GuestError
from golem_server.model.component_agents import Agent
from golem_server.model.ids import WorkerId
from golem_server.model.invocation_spans import span_attributes
from golem_server.model.oplog import Entry, FinishSpan, Invocation, SetSpanAttribute, StartSpan
from golem_server.model.trace import (
    MAX_DEPTH,
    RandomIds,
    SpanData,
    TraceContext,
    derived_ids,
    trace_headers,
)

EntryT = TypeVar("EntryT", bound=Entry)

MAX_ATTRIBUTES = 1024
"""Attributes that a guest may give to one span."""

MAX_ATTRIBUTE_CHARACTERS = 64 << 10
"""Characters in one attribute's name and value together."""


class EntryRecorder(Protocol):
    """What spans need of the durable context."""

    @property
    def worker_id(self) -> WorkerId: ...

    @property
    def agent(self) -> Agent | None: ...

    def now_ms(self) -> int: ...

    async def recorded_entry(self, kind: type[EntryT], make: Callable[[], EntryT]) -> EntryT: ...

    def note(self, entry: EntryT, same: Callable[[EntryT], bool]) -> None: ...


class Span:
    """A span in memory. `start` is in milliseconds, None for a span of others; `inherited` ones came with the call."""

    __slots__ = ("attributes", "depth", "finished", "inherited", "linked", "parent", "span_id", "start")

    def __init__(
        self,
        span_id: str,
        start: int | None,
        parent: Span | None,
        attributes: dict[str, str] | None = None,
        linked: Span | None = None,
        inherited: bool = False,
    ) -> None:
        self.span_id = span_id
        self.start = start
        self.parent = parent
        self.attributes = attributes or {}
        self.linked = linked
        self.inherited = inherited
        self.finished = False
        self.depth: int = 1 if parent is None else parent.depth + 1

    def stack(self) -> Iterator[Span]:
        """This span and those around it, the innermost first."""
        span: Span | None = self
        while span is not None:
            yield span
            span = span.parent

    def chains(self, *, inherited: bool = True) -> dict[str, list[str]]:
        """The values of each attribute, the innermost first; without `inherited` those of this span alone."""
        chains: dict[str, list[str]] = {}
        for span in self.stack():
            for source in (span, span.linked if inherited else None):
                for key, value in ({} if source is None else source.attributes).items():
                    chains.setdefault(key, []).append(value)
            if not inherited:
                break
        return chains


class Spans:
    """The spans of one worker's running invocation.

    `forward_headers` says whether outgoing HTTP requests carry the trace; the guest may change it.
    """

    def __init__(self, recorder: EntryRecorder) -> None:
        self.forward_headers = True
        self._recorder = recorder
        self._invocation: Invocation | None = None
        self._started = 0
        self._current: Span | None = None
        self._own: Span | None = None

    def enter(self, invocation: Invocation, started: int) -> None:
        """An invocation begins, live or in replay, at the time of its entry."""
        self._invocation = invocation
        self._started = started
        self._current = self._own = None

    def leave(self) -> None:
        """It is over, and with it all spans that it left open."""
        self._invocation = None
        self._current = self._own = None

    @property
    def invocation(self) -> Invocation | None:
        """The running invocation."""
        return self._invocation

    @property
    def trace_id(self) -> str:
        """The trace that the invocation belongs to, as 32 hex digits."""
        invocation = self._invocation
        return invocation.trace_id if invocation is not None and invocation.trace_id else self._derived()[0]

    @property
    def trace_states(self) -> list[str]:
        """What others keep in the trace's headers."""
        return [] if self._invocation is None else self._invocation.trace_states

    @property
    def current(self) -> Span:
        """The innermost span that the guest is in."""
        if self._current is None:
            self._current = self._own = self._of_invocation()
        return self._current

    async def start(self, attributes: Mapping[str, str], *, parent: Span | None = None, activate: bool = False) -> Span:
        """Start a span inside `parent`, or inside the current one; with `activate` it becomes the current one.

        A parent that is not of this invocation, because the guest kept it from an earlier one, becomes the span's link.
        """
        current = self.current
        linked = None
        if parent is None or not any(span is self._own for span in parent.stack()):
            parent, linked = current, parent
        recorder = self._recorder
        around, given = parent, dict(attributes)
        entry = await recorder.recorded_entry(
            StartSpan,
            lambda: StartSpan(
                timestamp=recorder.now_ms(),
                span_id=os.urandom(8).hex(),
                parent=around.span_id,
                linked_context_id=None if linked is None else linked.span_id,
                attributes=given,
            ),
        )
        if parent.depth >= 2 * MAX_DEPTH:
            _shorten(parent)
        span = Span(entry.span_id, entry.timestamp, parent, given, linked)
        if activate:
            self._current = span
        return span

    def finish(self, span: Span) -> None:
        """Finish a span. If it is the current one, the next one around it that is not finished becomes that."""
        self._recorder.note(
            FinishSpan(timestamp=self._recorder.now_ms(), span_id=span.span_id),
            lambda entry: entry.span_id == span.span_id,
        )
        span.finished = True
        while self._current is not None and self._current.finished and self._current.parent is not None:
            self._current = self._current.parent

    def set_attribute(self, span: Span, key: str, value: str) -> None:
        """Give a span an attribute. Raises GuestError when it is too large or there are too many."""
        if len(key) + len(value) > MAX_ATTRIBUTE_CHARACTERS:
            raise GuestError(f"an attribute of a span has more than {MAX_ATTRIBUTE_CHARACTERS} characters")
        if len(span.attributes) >= MAX_ATTRIBUTES and key not in span.attributes:
            raise GuestError(f"a span has more than {MAX_ATTRIBUTES} attributes")
        self._recorder.note(
            SetSpanAttribute(timestamp=self._recorder.now_ms(), span_id=span.span_id, key=key, value=value),
            lambda entry: entry.span_id == span.span_id and entry.key == key,
        )
        span.attributes[key] = value

    def headers(self, span: Span) -> list[tuple[str, str]]:
        """The HTTP headers by which others continue the trace from a span."""
        return trace_headers(self.trace_id, span.span_id, self.trace_states)

    def handed_on(self, span: Span) -> TraceContext:
        """The trace context of an invocation that is made from inside a span."""
        return TraceContext(self.trace_id, list(self.trace_states), stack_data(span))

    def _derived(self) -> tuple[str, str, str]:
        key = "" if self._invocation is None else self._invocation.idempotency_key
        return derived_ids(f"{self._recorder.worker_id}/{key}")

    def _of_invocation(self) -> Span:
        invocation = self._invocation
        _, root, own = self._derived()
        if invocation is None:
            return Span(root, self._started, None)
        around = span_of(invocation.invocation_context) or Span(root, self._started, None)
        recorder = self._recorder
        attributes = span_attributes(invocation, recorder.worker_id.name, recorder.agent)
        return Span(invocation.span_id or own, self._started, around, attributes)


def with_trace(invocation: Invocation, ids: RandomIds, now: int) -> Invocation:
    """The invocation with what it left out of its trace context, drawn now (milliseconds)."""
    if invocation.span_id:
        return invocation
    trace, root, own = ids.trace_root_and_span()
    stack = invocation.invocation_context
    if invocation.trace_id:
        trace = invocation.trace_id
    else:
        stack = [SpanData(root, now)]
    return Invocation(
        invocation.idempotency_key,
        invocation.function,
        invocation.parameters,
        trace,
        invocation.trace_states,
        stack,
        own,
    )


def stack_data(span: Span) -> list[SpanData]:
    """A span and those around it as they are recorded with an invocation: what lies too far out is left away."""
    stack: list[SpanData] = []
    for depth, item in enumerate(span.stack(), 1):
        if depth == MAX_DEPTH and item.parent is not None:
            stack.append(SpanData(item.span_id, inherited=True))
            break
        linked = None if item.linked is None else [_data(item.linked, None)]
        stack.append(_data(item, linked))
    return stack


def span_of(stack: list[SpanData]) -> Span | None:
    """The innermost span of a recorded stack, with those around it; None for an empty one."""
    span: Span | None = None
    for data in reversed(stack):
        linked = None if data.linked is None else span_of(data.linked)
        span = Span(data.span_id, data.start, span, dict(data.attributes), linked, data.inherited)
    return span


def _data(span: Span, linked: list[SpanData] | None) -> SpanData:
    return SpanData(span.span_id, span.start, dict(span.attributes), linked, inherited=True)


def _shorten(span: Span) -> None:
    """Cut off what lies too far out, so that a guest which never leaves its spans does not pile them up."""
    kept = list(span.stack())[:MAX_DEPTH]
    kept[-1].parent = None
    for depth, item in enumerate(reversed(kept), 1):
        item.depth = depth
