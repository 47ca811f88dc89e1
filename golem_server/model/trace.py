"""Trace contexts: the trace that an invocation belongs to and the spans that it lies in, as they are recorded.

A trace context is a trace id (32 hex digits), the trace states of others, and a stack of spans, the innermost first. It
comes with the headers of an HTTP request (W3C Trace Context) or from the worker that calls; else it is drawn once. It
is recorded with the invocation, so that a replay has the same ids (reference: durability, section 4).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import NamedTuple

import msgspec

MAX_DEPTH = 1024
"""Spans in the stack of an invocation; what lies farther out is left away."""

MAX_TRACE_STATES = 32
MAX_TRACE_STATE_CHARACTERS = 512

_TRACE_PARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")
_RANDOM_BYTES = 32 * 64
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16


class SpanData(msgspec.Struct, array_like=True, frozen=True):
    """A span of a recorded stack; its parent is the next one. `start` in milliseconds, None for a span of others.

    `linked` is the stack of another place that the span also belongs to. An `inherited` span came with the invocation.
    """

    span_id: str
    start: int | None = None
    attributes: dict[str, str] = {}
    linked: list[SpanData] | None = None
    inherited: bool = False


class TraceContext(NamedTuple):
    """What goes along with an invocation; `spans` has the innermost first."""

    trace_id: str
    states: list[str]
    spans: list[SpanData]


NO_TRACE = TraceContext("", [], [])
"""For an invocation that is to get a trace of its own."""


class RandomIds:
    """Draws the ids of new traces. The system is asked for randomness once for many: asking is what costs."""

    def __init__(self) -> None:
        self._digits = ""
        self._at = 0

    def trace_root_and_span(self) -> tuple[str, str, str]:
        """The id of a new trace, of its root span, and of a span in it."""
        digits, at = self._digits, self._at
        if at == len(digits):
            self._digits = digits = os.urandom(_RANDOM_BYTES).hex()
            at = 0
        self._at = at + 64
        return digits[at : at + 32], digits[at + 32 : at + 48], digits[at + 48 : at + 64]


def derived_ids(seed: str) -> tuple[str, str, str]:
    """Ids of a trace, its root and a span for what was recorded without: the same ones each time."""
    digits = sha256(seed.encode("utf-8", "surrogatepass")).hexdigest()
    return digits[:32], digits[32:48], digits[48:]


def parse_trace_headers(parent: str, states: Iterable[str]) -> TraceContext | None:
    """The context that an HTTP request brings, or None where its `traceparent` is none (W3C Trace Context, section 3).

    `states` are the values of all `tracestate` headers; too many or too long ones are left away, as the
    standard allows.
    """
    match = _TRACE_PARENT.fullmatch(parent.strip())
    if match is None or match[1] == "ff" or (match[1] == "00" and match[4]):
        return None
    trace_id, span_id = match[2], match[3]
    if trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    listed = [state.strip() for value in states for state in value.split(",")]
    kept = [state for state in listed if state and len(state) <= MAX_TRACE_STATE_CHARACTERS and state.isprintable()]
    return TraceContext(trace_id, kept[:MAX_TRACE_STATES], [SpanData(span_id, inherited=True)])


def trace_headers(trace_id: str, span_id: str, states: Sequence[str]) -> list[tuple[str, str]]:
    """The headers by which others continue a trace from a span."""
    headers = [("traceparent", f"00-{trace_id}-{span_id}-00")]
    if states:
        headers.append(("tracestate", ",".join(states)))
    return headers


def invocation_attributes(
    idempotency_key: str,
    function: str,
    worker_name: str,
    *,
    kind: str = "AgentMethod",
    agent_type: str | None = None,
    agent_parameters: str = "",
) -> dict[str, str]:
    """The attributes of an invocation's own span; `agent_type` is None for a worker that is no agent."""
    attributes = {
        "name": "invoke-exported-function",
        "idempotency_key": idempotency_key,
        "function_name": function,
        "invocation_kind": kind,
        "agent_id": worker_name,
    }
    if agent_type is not None:
        attributes |= {"agent_type": agent_type, "agent_parameters": agent_parameters}
    return attributes
