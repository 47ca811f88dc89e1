"""Which idle workers leave memory when the process holds too much of it."""

from __future__ import annotations

import resource
from collections.abc import Iterator, Mapping

from golem_server.durable.worker import Worker
from golem_server.model.ids import WorkerId

CHECK_EVERY = 64
"""Idle events between two looks at the process's memory: a look costs more than an invocation should."""

SHARE = 0.1
"""Share of the idle workers that leaves at once, so that the next look finds room."""


class Unloading:
    """Chooses victims, least recently used first, while resident memory is above the budget (bytes)."""

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._countdown = CHECK_EVERY

    def victims(self, workers: Mapping[WorkerId, Worker], newest: Worker) -> Iterator[Worker]:
        """Idle workers to unload now; usually none."""
        self._countdown -= 1
        if self._countdown > 0:
            return
        self._countdown = CHECK_EVERY
        if resident_bytes() <= self._budget:
            return
        idle = [worker for worker in workers.values() if worker is not newest and worker.may_unload]
        idle.sort(key=lambda worker: worker.last_used)
        yield from idle[: max(1, int(len(idle) * SHARE))]


def resident_bytes() -> int:
    """The process's resident memory."""
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()
    except OSError:
        # Not Linux: the peak is all there is, in bytes on macOS.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
