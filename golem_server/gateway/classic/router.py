"""Which route a request goes to: one tree for each method, walked once from the root.

At each segment the literal child comes before the variable one, without a way back from it; each route for all that
remains is remembered on the way, and the deepest one is taken when the walk cannot go on. A place that is reached and
has no route is not found, and does not fall back (reference: gateway, section 1.5).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from golem_server.gateway.classic.path_patterns import PathPattern, SegmentKind

T = TypeVar("T")


class _Node(Generic[T]):
    __slots__ = ("literals", "remaining", "route", "variable")

    def __init__(self) -> None:
        self.literals: dict[str, _Node[T]] = {}
        self.variable: _Node[T] | None = None
        self.remaining: T | None = None
        self.route: T | None = None


class Router(Generic[T]):
    """Routes by method and path. Built once, then only read."""

    def __init__(self, routes: Iterable[tuple[str, PathPattern, T]]) -> None:
        self._roots: dict[str, _Node[T]] = {}
        for method, pattern, route in routes:
            self._add(method, pattern, route)

    def _add(self, method: str, pattern: PathPattern, route: T) -> None:
        """Add a route; of two of the same shape the first one counts."""
        node = self._roots.setdefault(method, _Node())
        for segment in pattern.segments:
            if segment.kind is SegmentKind.REMAINING:
                node.remaining = route if node.remaining is None else node.remaining
                return
            if segment.kind is SegmentKind.LITERAL:
                node = node.literals.setdefault(segment.text, _Node())
                continue
            if node.variable is None:
                node.variable = _Node()
            node = node.variable
        node.route = route if node.route is None else node.route

    def find(self, method: str, segments: Sequence[str]) -> tuple[T, list[str]] | None:
        """The route and the values of its variables in order, or None. A method is in capitals."""
        node = self._roots.get(method)
        if node is None:
            return None
        values: list[str] = []
        fallback: tuple[T, list[str]] | None = None
        for at, segment in enumerate(segments):
            if node.remaining is not None:
                fallback = node.remaining, [*values, "/".join(segments[at:])]
            literal = node.literals.get(segment)
            if literal is not None:
                node = literal
            elif node.variable is not None:
                node = node.variable
                values.append(segment)
            else:
                return fallback
        return None if node.route is None else (node.route, values)
