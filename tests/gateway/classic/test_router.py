"""The router, against the worked cases of the reference and against a matcher that looks at every route."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golem_server.gateway.classic.path_patterns import PathPattern, Segment, SegmentKind, parse_path_pattern
from golem_server.gateway.classic.router import Router

_LITERALS = ("a", "b", "c")


def _router(*paths: str) -> Router[str]:
    return Router([("GET", parse_path_pattern(path), path) for path in paths])


@pytest.mark.parametrize(
    ("paths", "path", "expected"),
    [
        (("/api/v1", "/api/{+rest}"), "/api/v1", "/api/v1"),
        (("/api/v1", "/api/{+rest}"), "/api/v2/x", "/api/{+rest}"),
        (("/api/{x}/users", "/api/v1/users"), "/api/v1/users", "/api/v1/users"),
        (("/api/{x}/users", "/api/v1/users"), "/api/v2/users", "/api/{x}/users"),
        # No way back from the literal.
        (("/a/b/c", "/a/{x}/d"), "/a/b/d", None),
        # The deepest of those that take all that remains.
        (("/{+all}", "/a/{+rest}", "/a/b/c"), "/a/b/x", "/a/{+rest}"),
        (("/{+all}", "/a/{+rest}", "/a/b/c"), "/b", "/{+all}"),
        # A place that is reached and has no route does not fall back.
        (("/a/{+rest}", "/a/b/c"), "/a/b", None),
        (("/a/{+rest}",), "/a", None),
        (("/",), "/", "/"),
        (("/{x}",), "/", None),
        (("/a/{x}/b",), "/a//b", "/a/{x}/b"),
    ],
)
def test_precedence(paths: tuple[str, ...], path: str, expected: str | None) -> None:
    """The cases of reference gateway, section 1.5."""
    found = _router(*paths).find("GET", path.strip("/").split("/") if path != "/" else [])
    assert (None if found is None else found[0]) == expected


def test_variables_have_their_values_in_order() -> None:
    """What remains is one value with its slashes."""
    assert _router("/a/{x}/{+rest}").find("GET", ["a", "1", "2", "3"]) == ("/a/{x}/{+rest}", ["1", "2/3"])


def test_methods_are_apart() -> None:
    """No method answers for another."""
    assert _router("/a").find("HEAD", ["a"]) is None


_SEGMENTS = st.one_of(
    st.sampled_from(_LITERALS).map(lambda text: Segment(SegmentKind.LITERAL, text)),
    st.just(Segment(SegmentKind.VARIABLE, "v")),
)


@st.composite
def patterns(draw: st.DrawFn) -> PathPattern:
    """Any pattern over few literals, so that many paths match."""
    segments = draw(st.lists(_SEGMENTS, max_size=4))
    if draw(st.booleans()):
        segments.append(Segment(SegmentKind.REMAINING, "r"))
    return PathPattern(tuple(segments))


def _naive(routes: Sequence[PathPattern], path: Sequence[str]) -> int | None:
    """The rule as it is written: narrow the candidates segment by segment, remember those for all that remains."""
    alive = list(range(len(routes)))
    fallback: int | None = None
    for at, segment in enumerate(path):
        here = [(number, routes[number].segments[at]) for number in alive if len(routes[number].segments) > at]
        remaining = [number for number, part in here if part.kind is SegmentKind.REMAINING]
        fallback = remaining[0] if remaining else fallback
        literal = [number for number, part in here if part == Segment(SegmentKind.LITERAL, segment)]
        variable = [number for number, part in here if part.kind is SegmentKind.VARIABLE]
        alive = literal or variable
        if not alive:
            return fallback
    ended = [number for number in alive if len(routes[number].segments) == len(path)]
    return ended[0] if ended else None


@given(st.lists(patterns(), max_size=8), st.lists(st.sampled_from((*_LITERALS, "d", "")), max_size=5))
def test_the_tree_agrees_with_the_rule(routes: list[PathPattern], path: list[str]) -> None:
    """Whatever the routes, the tree finds what the rule says."""
    router = Router([("GET", pattern, number) for number, pattern in enumerate(routes)])
    found = router.find("GET", path)
    assert (None if found is None else found[0]) == _naive(routes, path)
