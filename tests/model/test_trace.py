"""Trace headers as they come and go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golem_server.model.trace import MAX_TRACE_STATES, SpanData, parse_trace_headers, trace_headers

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


def test_a_trace_of_others_is_continued() -> None:
    context = parse_trace_headers(f"00-{TRACE}-{SPAN}-01", ["abc=123,defgh=010203", " ijklmn=op"])
    assert context is not None
    assert context == (TRACE, ["abc=123", "defgh=010203", "ijklmn=op"], [SpanData(SPAN, inherited=True)])
    assert trace_headers(TRACE, SPAN, context.states) == [
        ("traceparent", f"00-{TRACE}-{SPAN}-00"),
        ("tracestate", "abc=123,defgh=010203,ijklmn=op"),
    ]


def test_a_later_version_may_say_more() -> None:
    assert parse_trace_headers(f"01-{TRACE}-{SPAN}-01-more", []) is not None


@pytest.mark.parametrize(
    "parent",
    [
        "",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[1:]}-{SPAN}-01",
    ],
)
def test_what_is_no_trace_is_ignored(parent: str) -> None:
    assert parse_trace_headers(parent, []) is None


@given(st.text(), st.lists(st.text()))
def test_whatever_comes_is_kept_small(parent: str, states: list[str]) -> None:
    assert parse_trace_headers(parent, states) is None
    context = parse_trace_headers(f"00-{TRACE}-{SPAN}-00", [*states, "," * 100 + "a=b"])
    assert context is not None
    assert len(context.states) <= MAX_TRACE_STATES
    assert all("," not in state and "\n" not in state for state in context.states)
