"""Which route takes a request: the tree against the rule in its plainest words."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golem_server.gateway.code_first.path_segments import (
    Literal,
    MalformedPath,
    Remaining,
    Segment,
    Variable,
    request_segments,
    shape_of,
)
from golem_server.gateway.code_first.router import DuplicateRoute, Match, Router

Path = tuple[Segment, ...]

_TEXTS = ["a", "b", "c"]
_PARTS = st.sampled_from([Literal("a"), Literal("b"), Variable("x"), Variable("y")])
_PATHS = st.tuples(st.lists(_PARTS, max_size=4), st.booleans()).map(
    lambda drawn: (*drawn[0], Remaining("rest")) if drawn[1] else tuple(drawn[0])
)
_ROUTES = st.lists(st.tuples(st.sampled_from(["GET", "POST"]), _PATHS), max_size=12)
_REQUESTS = st.lists(st.sampled_from(_TEXTS), max_size=5)


def naive_match(paths: Sequence[Path], request: Sequence[str]) -> tuple[Path, tuple[str, ...]] | None:
    """Drop the paths that cannot be meant any more, segment by segment: literals win over variables, these over rests.

    What was dropped does not come back.
    """
    captured: tuple[str, ...] = ()
    for at, text in enumerate(request):
        here = [path for path in paths if len(path) > at]
        literal = [path for path in here if path[at] == Literal(text)]
        variable = [path for path in here if isinstance(path[at], Variable)]
        rest = [path for path in here if isinstance(path[at], Remaining)]
        if literal:
            paths = literal
        elif variable:
            paths, captured = variable, (*captured, text)
        else:
            return (rest[0], (*captured, "/".join(request[at:]))) if rest else None
    found = [path for path in paths if len(path) == len(request)]
    return (found[0], captured) if found else None


@given(_ROUTES, st.sampled_from(["GET", "POST", "PUT"]), _REQUESTS)
def test_the_router_follows_the_rule(routes: list[tuple[str, Path]], method: str, request: list[str]) -> None:
    router = Router[Path]()
    added: dict[tuple[str, object], Path] = {}
    for route_method, path in routes:
        key = route_method, shape_of(path)
        if key in added:
            with pytest.raises(DuplicateRoute):
                router.add(route_method, path, path)
        else:
            router.add(route_method, path, path)
            added[key] = path
    expected = naive_match([path for (named, _), path in added.items() if named == method], request)
    assert router.match(method, request) == (None if expected is None else Match(*expected))


def matched(paths: dict[str, str], path: str) -> tuple[str, tuple[str, ...]] | None:
    """The name and captured parts of the path that a GET takes."""
    router = Router[str]()
    for name, template in paths.items():
        router.add("GET", [_segment(part) for part in template.split("/") if part], name)
    match = router.match("GET", request_segments(path))
    return None if match is None else (match.route, match.captured)


def _segment(part: str) -> Segment:
    if part.startswith("{+"):
        return Remaining(part[2:-1])
    return Variable(part[1:-1]) if part.startswith("{") else Literal(part)


def test_a_branch_that_was_entered_is_not_left() -> None:
    paths = {"literal": "/a/b/c", "variable": "/a/{x}/d", "rest": "/{+rest}"}
    assert matched(paths, "/a/b/c") == ("literal", ())
    assert matched(paths, "/a/z/d") == ("variable", ("z",))
    assert matched(paths, "/a/b/d") is None
    assert matched(paths, "/a/z") is None
    assert matched(paths, "/z/b/c") == ("rest", ("z/b/c",))


def test_the_rest_of_a_path_is_at_least_one_segment() -> None:
    paths = {"rest": "/files/{+rest}"}
    assert matched(paths, "/files") is None
    assert matched(paths, "/files/") is None
    assert matched(paths, "/files/a//b/") == ("rest", ("a//b",))


def test_the_root_is_a_path_without_segments() -> None:
    assert matched({"root": "/"}, "/") == ("root", ())
    assert matched({"root": "/"}, "") == ("root", ())
    assert matched({"variable": "/{x}"}, "/") is None


def test_paths_are_decoded_after_they_are_split() -> None:
    assert request_segments("/sh%C3%B6p/a%2Fb/%20/%2F/") == ["shöp", "a/b", " ", "/"]
    assert request_segments("/sh\u00c3\u00b6p") == ["shöp"]
    with pytest.raises(MalformedPath):
        request_segments("/%ff")
