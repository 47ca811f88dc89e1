"""Wakes suspended workers when their time has come. The times are in the workers' rows, so that they survive.

It sleeps until the earliest time that it knows of, and looks at the store now and then for those that other
processes wrote.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from golem_server.durable.runtime import Runtime
from golem_server.model.errors import Unavailable
from golem_server.model.ids import WorkerNumber
from golem_server.model.workers import StoredWorker

log = logging.getLogger(__name__)

BATCH = 100


class Scheduler:
    """Calls `wake` for each worker whose `wake_at` has passed."""

    def __init__(self, runtime: Runtime, wake: Callable[[StoredWorker], Awaitable[None]]) -> None:
        self._runtime = runtime
        self._wake = wake
        self._next: int | None = None
        self._changed = asyncio.Event()

    def expect(self, wake_at: int) -> None:
        """A worker was suspended until this time (milliseconds since the epoch)."""
        if self._next is None or wake_at < self._next:
            self._next = wake_at
            self._changed.set()

    async def run(self) -> None:
        """Wake workers until cancelled. A store that is away is asked again later."""
        interval = self._runtime.settings.scheduler_interval
        while True:
            try:
                now = self._now()
                await self._wake_due(now)
                # Those that are due stay so in the store until they have written something: no reason to hurry.
                self._next = await self._runtime.store.next_wake(now)
            except Unavailable as error:
                log.warning("suspended workers wait for the store: %s", error)
                self._next = None
            delay = interval
            if self._next is not None:
                delay = min(interval, max(0.0, (self._next - self._now()) / 1000))
            self._changed.clear()
            try:
                async with asyncio.timeout(delay):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _wake_due(self, now: int) -> None:
        after: tuple[int, WorkerNumber] | None = None
        while True:
            due = await self._runtime.store.workers_to_wake(now, BATCH, after)
            for stored in due:
                await self._wake(stored)
                after = (stored.columns.wake_at or 0, stored.number)
            if len(due) < BATCH:
                return

    def _now(self) -> int:
        return self._runtime.clock.now_ns() // 1_000_000
