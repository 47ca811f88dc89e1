"""Recorded effects that nobody can wait for when they are due, such as those of a handle that the guest drops."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

Effect: TypeAlias = Callable[[], Awaitable[None]]


class DeferredEffects:
    """What is left to do before the guest's next remote write, at the latest when the invocation ends.

    Both are the same places live and in replay, so that the effects can record themselves there.
    """

    def __init__(self) -> None:
        self._waiting: list[Effect] = []

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, effect: Effect) -> None:
        """Have it happen later. It must record itself."""
        self._waiting.append(effect)

    async def run(self) -> None:
        """Do what waits, in order."""
        # Taken out first: their own remote writes must not wait for those that come after them.
        waiting, self._waiting = self._waiting, []
        for effect in waiting:
            await effect()
