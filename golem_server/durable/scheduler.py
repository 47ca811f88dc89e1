"""Does what is due: wakes suspended workers, and whatever else of the executor has a time. The times are in the store.

It sleeps until the earliest time that it knows of, and looks at the store now and then for those that other
processes wrote.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from golem_server.durable.runtime import Runtime
from golem_server.model.errors import Unavailable
from golem_server.model.ids import WorkerNumber
from golem_server.model.workers import StoredWorker

log = logging.getLogger(__name__)

BATCH = 100


class Timed(Protocol):
    """Things that are to happen at times which the store keeps (milliseconds since the epoch)."""

    async def run_due(self, now: int) -> None:
        """Do, or begin to do, what is due. What stays due in the store is looked at again later."""
        ...

    async def next_due(self, after: int) -> int | None:
        """The earliest time after the given one, if there is any."""
        ...


class SuspendedWorkers:
    """Workers that wait for a time: `wake` is called for each whose `wake_at` has passed."""

    def __init__(self, runtime: Runtime, wake: Callable[[StoredWorker], Awaitable[None]]) -> None:
        self._runtime = runtime
        self._wake = wake

    async def run_due(self, now: int) -> None:
        """Wake those that are due."""
        after: tuple[int, WorkerNumber] | None = None
        while True:
            due = await self._runtime.store.workers_to_wake(now, BATCH, after)
            for stored in due:
                await self._wake(stored)
                after = (stored.columns.wake_at or 0, stored.number)
            if len(due) < BATCH:
                return

    async def next_due(self, after: int) -> int | None:
        """The earliest `wake_at` after the given time."""
        return await self._runtime.store.next_wake(after)


class Scheduler:
    """Looks after all that is `timed`."""

    def __init__(self, runtime: Runtime, timed: Sequence[Timed]) -> None:
        self._runtime = runtime
        self._timed = timed
        self._next: int | None = None
        self._changed = asyncio.Event()

    def expect(self, at: int) -> None:
        """Something is due at this time (milliseconds since the epoch), 0 for at once."""
        if self._next is None or at < self._next:
            self._next = at
            self._changed.set()

    async def run(self) -> None:
        """Do what is due until cancelled. A store that is away is asked again later."""
        interval = self._runtime.settings.scheduler_interval
        while True:
            # What becomes known from here on wakes the wait below, whether the store has shown it or not.
            self._changed.clear()
            self._next = None
            try:
                now = self._now()
                for timed in self._timed:
                    await timed.run_due(now)
                # What is due stays so in the store until something has been written: no reason to hurry.
                times = [await timed.next_due(now) for timed in self._timed]
                self._next = min((time for time in times if time is not None), default=None)
            except Unavailable as error:
                log.warning("what is due waits for the store: %s", error)
                self._next = None
            delay = interval
            if self._next is not None:
                delay = min(interval, max(0.0, (self._next - self._now()) / 1000))
            try:
                async with asyncio.timeout(delay):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _now(self) -> int:
        return self._runtime.clock.now_ns() // 1_000_000
