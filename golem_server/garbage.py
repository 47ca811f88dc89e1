"""How often Python looks for garbage in cycles: rarely, and not again and again in what stays.

Almost everything here is freed by its reference count; the collector is for the few cycles. Left to its defaults it
runs with every burst of requests and walks all objects of the process each time: 100 ms of standstill for a small
server, seconds for one with many workers. So bursts do not set it off, and what has outlived a full collection is
not walked again until there is twice as much of it.
"""

from __future__ import annotations

import gc
from collections.abc import Generator, Mapping
from contextlib import contextmanager

_YOUNG = 20_000
"""New objects before the youngest are looked at; more than the requests of a burst make."""

_LEAST_FROZEN = 500_000
"""Below so many objects that are passed over, it is not worth while to look at them again."""


@contextmanager
def unhurried_collection() -> Generator[None]:
    """Collect garbage as the module says, and as before when it is left."""
    thresholds = gc.get_threshold()
    frozen = _Frozen()
    gc.set_threshold(_YOUNG, *thresholds[1:])
    gc.callbacks.append(frozen.collected)
    try:
        yield
    finally:
        gc.callbacks.remove(frozen.collected)
        gc.set_threshold(*thresholds)
        gc.unfreeze()


class _Frozen:
    """Objects that outlived a collection of all, which later ones pass over."""

    def __init__(self) -> None:
        gc.collect()
        gc.freeze()
        self._after_all = gc.get_freeze_count()

    def collected(self, phase: str, info: Mapping[str, int]) -> None:
        """What the collector calls: before a full collection bring back what is due, after it put away what is left."""
        if info["generation"] < 2:
            return
        if phase == "stop":
            due = self._after_all == 0
            gc.freeze()
            if due:
                self._after_all = gc.get_freeze_count()
        elif gc.get_freeze_count() > max(2 * self._after_all, _LEAST_FROZEN):
            gc.unfreeze()
            self._after_all = 0
