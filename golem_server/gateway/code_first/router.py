"""Which route a request takes: a tree of segments for each HTTP method, that is walked once and never back.

At every segment a literal is preferred to a variable, and a variable to the rest of the path. A branch that was entered
is not left again: of `/a/b/c` and `/a/{x}/d`, neither takes `/a/b/d` (reference: gateway, section 3.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from golem_server.gateway.code_first.path_segments import Literal, Segment, Variable

RouteT = TypeVar("RouteT")


class DuplicateRoute(Exception):
    """There is a route that takes the same requests: `present`."""

    def __init__(self, present: object) -> None:
        super().__init__("there is a route for the same requests")
        self.present = present


@dataclass(frozen=True, slots=True)
class Match(Generic[RouteT]):
    """The route that takes a request, and what its variables are, in their order; the rest of a path is one text."""

    route: RouteT
    captured: tuple[str, ...]


@dataclass(slots=True)
class _Node(Generic[RouteT]):
    literals: dict[str, _Node[RouteT]] = field(default_factory=dict[str, "_Node[RouteT]"])
    variable: _Node[RouteT] | None = None
    rest: RouteT | None = None
    route: RouteT | None = None


class Router(Generic[RouteT]):
    """Routes by method and path. Nothing is added once it is asked."""

    def __init__(self) -> None:
        self._roots: dict[str, _Node[RouteT]] = {}

    def add(self, method: str, segments: Sequence[Segment], route: RouteT) -> None:
        """Add a route; only the last segment may be the rest of the path. Raises DuplicateRoute."""
        node = self._roots.setdefault(method, _Node())
        for segment in segments:
            if isinstance(segment, Literal):
                node = node.literals.setdefault(segment.text, _Node())
            elif isinstance(segment, Variable):
                if node.variable is None:
                    node.variable = _Node()
                node = node.variable
            else:
                if node.rest is not None:
                    raise DuplicateRoute(node.rest)
                node.rest = route
                return
        if node.route is not None:
            raise DuplicateRoute(node.route)
        node.route = route

    def match(self, method: str, segments: Sequence[str]) -> Match[RouteT] | None:
        """The route for the segments of a request's path, None where there is none."""
        node = self._roots.get(method)
        captured: list[str] = []
        for at, segment in enumerate(segments):
            if node is None:
                return None
            if (literal := node.literals.get(segment)) is not None:
                node = literal
            elif node.variable is not None:
                captured.append(segment)
                node = node.variable
            elif node.rest is not None:
                return Match(node.rest, (*captured, "/".join(segments[at:])))
            else:
                return None
        return None if node is None or node.route is None else Match(node.route, tuple(captured))
