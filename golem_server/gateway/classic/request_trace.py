"""The trace that a request's invocations belong to: a span of the gateway, in the trace of the caller or a new one.

    invocationContext = {trace_id: "...", span_id: "...", anything: "..."}

A script may force the ids and give attributes; else `traceparent` and `tracestate` of the request decide (W3C Trace
Context; reference: gateway, section 1.8).
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from golem_server.gateway.failures import RequestFailed
from golem_server.gateway.requests import GatewayRequest
from golem_server.gateway.rib import CompiledScript
from golem_server.model.trace import RandomIds, SpanData, TraceContext, parse_trace_headers
from golem_server.model.types import Primitive, RecordType, Value

_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")
_SPAN_ID = re.compile(r"(?!0{16})[0-9a-f]{16}")
_MAX_ATTRIBUTE = 4_096

_ids = RandomIds()


def trace_of(request: GatewayRequest, given: Mapping[str, str]) -> TraceContext:
    """The context for the invocations of a request. `given` is what the script says. Raises RequestFailed."""
    forced = given.get("trace_id") or given.get("trace-id")
    span_id = given.get("span_id") or given.get("span-id")
    new_trace, _, new_span = _ids.trace_root_and_span()
    if forced is not None and not _TRACE_ID.fullmatch(forced):
        raise RequestFailed(400, "Invocation context: trace_id must be 32 hexadecimal digits")
    if span_id is not None and not _SPAN_ID.fullmatch(span_id):
        raise RequestFailed(400, "Invocation context: span_id must be 16 hexadecimal digits")
    outer = None
    if forced is None and (parent := request.header("traceparent")) is not None:
        outer = parse_trace_headers(parent, request.header_values("tracestate"))
    attributes = {
        "request.method": request.method,
        "request.uri": request.path_and_query[:_MAX_ATTRIBUTE],
        "request.remote_addr": request.client,
    }
    ids = ("trace_id", "trace-id", "span_id", "span-id")
    attributes |= {name: text[:_MAX_ATTRIBUTE] for name, text in given.items() if name not in ids}
    span = SpanData(span_id or new_span, time.time_ns() // 1_000_000, attributes)
    if outer is None:
        return TraceContext(forced or new_trace, [], [span])
    return TraceContext(outer.trace_id, outer.states, [span, *outer.spans])


def context_of(script: CompiledScript, value: Value) -> Mapping[str, str]:
    """What an evaluated `invocationContext` script says. Raises RequestFailed."""
    type_ = script.output_of(value)
    if not isinstance(type_, RecordType) or any(part.type is not Primitive.STRING for part in type_.fields):
        raise RequestFailed(400, "Invocation context values must be string")
    return value
