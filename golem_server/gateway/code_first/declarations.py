"""What can be wrong with the declaration of a route."""

from __future__ import annotations


class InvalidDeclaration(Exception):
    """A route that an agent type declares cannot be served; `reasons` say why."""

    def __init__(self, *reasons: str) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons
