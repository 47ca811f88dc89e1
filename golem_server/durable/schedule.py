"""Invocations that happen at a time: kept in the store, queued with their worker once they are due.

Never before its time, and once: the invocation's idempotency key is what a worker knows it by, so that queueing it
again after a crash does nothing. Those of one worker stay in order. A worker that was deleted meanwhile gets none, nor
does one that was created again under its name (reference: durability, section 5).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeAlias
from uuid import UUID

import msgspec

from golem_server.durable.ports import ScheduleStore
from golem_server.model.errors import GolemError, TooManyPending, Unavailable
from golem_server.model.ids import WorkerId, WorkerNumber
from golem_server.model.oplog import Invocation
from golem_server.model.scheduled import ScheduledInvocation

log = logging.getLogger(__name__)

BATCH = 100
MAX_WORKERS_AT_ONCE = 32
"""Workers whose due invocations are queued at the same time: each may have to be loaded for it."""

LATEST = (1 << 63) - 1

Enqueue: TypeAlias = Callable[[WorkerId, WorkerNumber, Invocation], Awaitable[None]]
"""Queues an invocation durably, once for its key. Raises WorkerNotFound if the worker's life has another number."""


class Schedule:
    """The scheduled invocations of all workers. `expect` is told when something is due (`Scheduler.expect`)."""

    def __init__(self, store: ScheduleStore, enqueue: Enqueue, expect: Callable[[int], None]) -> None:
        self._store = store
        self._enqueue = enqueue
        self._expect = expect
        self._busy: dict[WorkerNumber, asyncio.Task[None]] = {}

    async def put(self, scheduled: ScheduledInvocation) -> None:
        """Keep it, durable on return, in place of an earlier one with its id."""
        due_at = max(0, min(scheduled.due_at, LATEST))
        await self._store.put(msgspec.structs.replace(scheduled, due_at=due_at))
        self._expect(due_at)

    async def cancel(self, schedule_id: UUID) -> None:
        """Forget one. Nothing happens where it is not there (any more)."""
        await self._store.delete(schedule_id)

    async def run_due(self, now: int) -> None:
        """Begin to queue what is due."""
        after: tuple[int, int] | None = None
        while len(self._busy) < MAX_WORKERS_AT_ONCE:
            due = await self._store.due(now, BATCH, after)
            of_workers: dict[WorkerNumber, list[ScheduledInvocation]] = {}
            for scheduled in due:
                if scheduled.number not in self._busy:
                    of_workers.setdefault(scheduled.number, []).append(scheduled)
                after = (scheduled.due_at, scheduled.sequence)
            for number, invocations in of_workers.items():
                self._busy[number] = asyncio.create_task(self._queue(number, invocations))
            if len(due) < BATCH:
                return

    async def next_due(self, after: int) -> int | None:
        """The earliest time after the given one."""
        return await self._store.next_due(after)

    async def stop(self) -> None:
        """Leave what is not queued yet to the next start."""
        tasks = list(self._busy.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _queue(self, number: WorkerNumber, invocations: list[ScheduledInvocation]) -> None:
        """Queue the invocations of one worker. What cannot be queued now stays in the store and is tried again."""
        try:
            for scheduled in invocations:
                if not await self._queue_one(scheduled):
                    return
        except Exception:
            log.exception("scheduled invocations of worker %s could not be queued", invocations[0].worker_id)
        else:
            self._expect(0)
        finally:
            self._busy.pop(number, None)

    async def _queue_one(self, scheduled: ScheduledInvocation) -> bool:
        """Queue an invocation and forget it; False if it has to wait."""
        worker_id = scheduled.worker_id
        try:
            await self._enqueue(worker_id, scheduled.number, scheduled.invocation)
        except (Unavailable, TooManyPending) as error:
            log.warning("a scheduled invocation of worker %s waits: %s", worker_id, error)
            return False
        except GolemError as error:
            log.warning("a scheduled invocation of worker %s is dropped: %s", worker_id, error)
        await self._store.delete(scheduled.id)
        return True
