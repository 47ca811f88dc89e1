"""Patterns of paths: what can be written, how it is printed, what is refused."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golem_server.gateway.classic.path_patterns import (
    PathPattern,
    Segment,
    SegmentKind,
    parse_path_pattern,
    request_segments,
)
from golem_server.model.errors import InvalidInput

_NAMES = st.text("abcxyz-_", min_size=1, max_size=6)


@st.composite
def patterns(draw: st.DrawFn) -> PathPattern:
    """Any pattern, with different names for its variables."""
    names = iter(draw(st.lists(_NAMES, unique=True, min_size=6, max_size=6)))
    kinds: list[SegmentKind] = draw(st.lists(st.sampled_from([SegmentKind.LITERAL, SegmentKind.VARIABLE]), max_size=4))
    if draw(st.booleans()):
        kinds.append(SegmentKind.REMAINING)
    return PathPattern(tuple(Segment(kind, next(names)) for kind in kinds), tuple(draw(st.lists(_NAMES, max_size=2))))


@given(patterns())
def test_printing_and_reading_give_the_same(pattern: PathPattern) -> None:
    """A pattern survives being written down."""
    assert parse_path_pattern(str(pattern)) == pattern


@given(st.text("ab/{}?&+ %", max_size=20))
def test_any_text_is_a_pattern_or_refused(text: str) -> None:
    """Nothing but a clean error comes of a text that is no pattern."""
    with suppress(InvalidInput):
        assert str(parse_path_pattern(text)).startswith("/")


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("", "/"),
        ("/", "/"),
        ("?{q}", "/?{q}"),
        ("foo", "/foo"),
        ("/foo/", "/foo"),
        ("/foo/{ user-id   }", "/foo/{user-id}"),
        ("/foo/{user  -  id}", "/foo/{user  -  id}"),
        ("/a/{b}/{+c}?{x}&{y}", "/a/{b}/{+c}?{x}&{y}"),
    ],
)
def test_what_can_be_written(text: str, printed: str) -> None:
    """Blanks at the ends of names do not count, those within do (reference: gateway, section 1.3)."""
    assert str(parse_path_pattern(text)) == printed


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("/a-{x}", "a variable takes a whole segment"),
        ("/{+x}/b", "can only be the last segment"),
        ("/a//b", "empty segment"),
        ("/{}", "is no variable"),
        ("/{a}/{a}", "comes twice"),
        ("/a?b", "expected {name} in the query"),
        ("/a" * 4_000, "longer than"),
    ],
)
def test_what_is_refused(text: str, reason: str) -> None:
    """The error says why."""
    with pytest.raises(InvalidInput, match="Failed to parse path") as refused:
        parse_path_pattern(text)
    assert reason in refused.value.message


def test_segments_are_decoded_after_they_are_split() -> None:
    """An encoded slash is part of its segment; what is not UTF-8 is no path."""
    assert request_segments("/a%2Fb/c%20d/") == ["a/b", "c d"]
    assert request_segments("/") == []
    assert request_segments("//a//b//") == ["a", "", "b"]
    assert request_segments("/%ff") is None
