"""A worker: the actor that owns one oplog, at most one instance, and a queue of invocations.

Only its own task touches its state. The task exists while there is something to do: it loads the instance (which is
replay), runs queued invocations one at a time, and deals with all that can stop a guest: traps, exits,
suspension, jumps, interrupts, a lost store (reference: durability, sections 1, 4, 5, 6, 7).

Nothing here needs clean-up to be correct: a process that is killed at any point leaves an oplog from which `_load`
builds the same worker again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from golem_server.durable.agents import constructor_due
from golem_server.durable.failures import write_failure
from golem_server.durable.incarnation import Incarnation, load
from golem_server.durable.oplog import WorkerOplog
from golem_server.durable.oplog_reading import recorded_result
from golem_server.durable.ports import WorkerComponent
from golem_server.durable.replay import History
from golem_server.durable.runtime import Runtime
from golem_server.durable.signals import GuestExit, PermanentFailure, RestartWorker, SuspendWorker
from golem_server.durable.snapshot_recovery import SnapshotRecovery
from golem_server.durable.spans import with_trace
from golem_server.durable.stopping import INTERRUPTIBLE, StopKind, WorkerClosed, error_for_waiters, refuse_if_ended
from golem_server.durable.updates import WorkerUpdates
from golem_server.durable.waiters import StoredResult, Waiters
from golem_server.durable.worker_owner import WorkerOwner
from golem_server.durable.worker_services import WorkerServices
from golem_server.model.errors import (
    FailedToResumeWorker,
    GolemError,
    InvalidInput,
    InvocationFailed,
    TooManyPending,
    Unavailable,
    WorkerCreationFailed,
    WorkerExited,
    WorkerInterrupted,
)
from golem_server.model.oplog import (
    CancelPendingInvocation,
    Exited,
    Interrupted,
    Invocation,
    PendingInvocation,
    Suspend,
)
from golem_server.model.status import StatusRecord, decode_status
from golem_server.model.types import Value
from golem_server.model.workers import StoredWorker, WorkerStatus
from golem_server.telemetry import InvocationOutcome

log = logging.getLogger(__name__)

T = TypeVar("T")


class Worker:
    """One worker in memory. Made by the executor from the worker's row; see the file's docstring."""

    def __init__(
        self,
        stored: StoredWorker,
        component: WorkerComponent,
        runtime: Runtime,
        owner: WorkerOwner,
        services: WorkerServices,
    ) -> None:
        self.id = stored.worker.worker_id
        self.number = stored.number
        self.created = stored.worker
        self.component = component
        self.oplog = WorkerOplog(
            runtime.store, stored.number, decode_status(stored.columns.record), stored.columns.wake_at
        )
        self.oplog.kept_for = runtime.settings.keep_ephemeral_ms
        self.last_used = runtime.clock.monotonic()
        self.closed = False
        self._runtime = runtime
        self._owner = owner
        self._services = services
        self._incarnation: Incarnation | None = None
        self._queue: deque[Invocation] = deque()
        self._queued: set[str] = set()
        self._executing: str | None = None
        self._waiters = Waiters()
        self._results: dict[str, int] = {}
        self._results_known = False
        self._task: asyncio.Task[None] | None = None
        self._begun = False
        self._used_up = False
        self._stop: StopKind | None = None
        self._heeded: StopKind | None = None
        self._stopped: asyncio.Future[StopKind | None] | None = None
        self._updates = WorkerUpdates(self.id.component_id, self.oplog, runtime.components, self._now)
        self._snapshots = SnapshotRecovery(self.oplog, self._now)
        self._users = 0
        self._folder = runtime.files / str(self.number)

    @property
    def status(self) -> StatusRecord:
        """The fold over the oplog, with what is still being committed."""
        return self.oplog.status

    @property
    def is_busy(self) -> bool:
        """Whether its task runs."""
        return self._task is not None

    @property
    def answers(self) -> Mapping[str, int] | None:
        """Where the results of its invocations are, by key; None as long as it does not know."""
        return self._results if self._results_known else None

    def is_queued(self, key: str) -> bool:
        """Whether an invocation waits for its turn."""
        return key in self._queued or self.status.is_pending(key)

    @property
    def may_unload(self) -> bool:
        """Whether nobody would notice if it left memory."""
        return self._task is None and not self._waiters.any_for_results and not self._users and not self.closed

    async def idle(self) -> None:
        """Return when its task has ended."""
        if self._task is not None:
            await asyncio.wait({self._task})

    # --- Commands

    async def invoke(self, invocation: Invocation, *, wait: bool) -> Value:
        """Queue an invocation, once per idempotency key. With `wait`, return its result; else when it is durable.

        Raises PreviousInvocationFailed or -Exited for a worker that takes none, and whatever ends the invocation.
        """
        self._users += 1
        try:
            return await self._invoke(invocation, wait)
        finally:
            self._users -= 1

    async def _invoke(self, invocation: Invocation, wait: bool) -> Value:
        key = invocation.idempotency_key
        if not self._results_known:
            await self.start()
        if self.closed:
            raise WorkerClosed
        known = self._results.get(key)
        if known is not None:
            return await recorded_result(self._runtime.store, self.number, known) if wait else None
        refuse_if_ended(self.status)
        if key in self._queued or key in (self._executing, self.status.current_idempotency_key):
            if not wait and key in self._queued and not self.status.is_pending(key):
                # Its first caller only waits in memory; this one is promised that it will run.
                self.oplog.append(PendingInvocation(timestamp=self._now(), invocation=invocation))
        else:
            if len(self._queue) >= self._runtime.settings.max_pending_invocations:
                raise TooManyPending(f"Worker {self.id} has {len(self._queue)} pending invocations; try again later")
            invocation = with_trace(invocation, self._runtime.ids, self._now())
            if not wait or self._task is not None or self._queue or self.status.current_idempotency_key is not None:
                self.oplog.append(PendingInvocation(timestamp=self._now(), invocation=invocation))
            self._queue.append(invocation)
            self._queued.add(key)
        self._ensure_task()
        if wait:
            return await self._result(key)
        await self._commit_for_caller()
        return None

    async def start(self) -> None:
        """Load the worker if it is not, and return when it stands where its oplog ends (or has suspended there)."""
        if self.closed:
            raise WorkerClosed
        refuse_if_ended(self.status)
        if self._incarnation is not None and self._results_known:
            return
        started = self._waiters.start()
        self._ensure_task()
        await started

    def wake(self) -> None:
        """Run again after a suspension or a crash, in the background."""
        status = self.status.status
        if status is WorkerStatus.SUSPENDED:
            # Until something of what follows is written, a crash must find the worker due.
            self.oplog.wake_at = 0
        if status not in (WorkerStatus.FAILED, WorkerStatus.EXITED):
            self._ensure_task()

    async def update(self, target: int, *, automatic: bool, wake: bool) -> None:
        """Ask for an update to another revision; returns when the wish is durable. Without `wake` nothing is started.

        Raises InvalidWorkerRequest.
        """
        if self.closed:
            raise WorkerClosed
        if not automatic:
            invocation = self._updates.request_manual(target)
            self._queue.append(invocation)
            self._queued.add(invocation.idempotency_key)
        elif not self._updates.request_automatic(target):
            return
        if wake:
            self.oplog.restart(self._now())
        await self._commit_for_caller()
        if wake and automatic:
            self._restart_soon()
        elif wake:
            self.wake()

    def _restart_soon(self) -> None:
        """Build the instance anew, once whoever runs now waits for something; nobody who waits for the worker fails."""
        task = self._task
        if task is None:
            self.wake()
        elif self._stop is None and self._heeded is None:
            self._stop = StopKind.RESTART
            # A guest may ask this of its own worker: its call is recorded before it ends.
            asyncio.get_running_loop().call_soon(self._cancel_for_restart, task)

    def _cancel_for_restart(self, task: asyncio.Task[None]) -> None:
        if self._begun and self._stop is StopKind.RESTART and self._task is task:
            task.cancel()

    async def interrupt(self, kind: StopKind) -> None:
        """Stop the worker and return when it has stopped and its oplog says so."""
        while not self.closed:
            if self._task is None:
                if kind is StopKind.RESTART:
                    return
                await self._stop_without_task(kind)
                continue
            if self._stopped is None:
                self._stopped = asyncio.get_running_loop().create_future()
                self._stop = kind
                # A task that has not begun would end without noticing; it looks at the command first.
                if self._begun:
                    self._task.cancel()
            # Another command may be under way, or the task may come to its end before it sees this one.
            if await asyncio.shield(self._stopped) is kind:
                break
        if kind is StopKind.INTERRUPT and self.oplog.failure is not None:
            raise self.oplog.store_failure()

    async def cancel_pending(self, key: str) -> bool:
        """Take an invocation out of the queue. False if it is not there (any more)."""
        if self.closed:
            raise WorkerClosed
        queued = next((item for item in self._queue if item.idempotency_key == key), None)
        if queued is not None:
            self._queue.remove(queued)
            self._queued.discard(key)
        elif key in self._queued or not self.status.is_pending(key):
            return False
        self.oplog.append(CancelPendingInvocation(timestamp=self._now(), idempotency_key=key))
        await self._commit_for_caller()
        self._waiters.fail(key, WorkerInterrupted("Invocation cancelled"))
        return True

    async def visit(self, work: Callable[[Path], T]) -> T:
        """Run `work` on the worker's folder, in a thread and between invocations. Raises what `start` and `work` do."""
        if self.closed:
            raise WorkerClosed
        refuse_if_ended(self.status)
        visited = self._waiters.visit(work)
        self._ensure_task()
        return await visited

    def unload(self) -> None:
        """Drop the instance of an idle worker and leave memory. No entry is written: loading builds it again."""
        if self.may_unload:
            self._close()

    # --- The task

    def _ensure_task(self) -> None:
        if self._task is None and not self.closed:
            self.oplog.restart(self._now())
            self._task = asyncio.create_task(self._run(), name=f"worker {self.id}")

    async def _run(self) -> None:
        self._begun = True
        try:
            while True:
                try:
                    if self._stop is not None:
                        raise asyncio.CancelledError
                    if await self._work():
                        return
                except asyncio.CancelledError:
                    if not await self._stopped_by_command():
                        raise
                    if self.closed:
                        return
                except Unavailable as error:
                    self._lose_store(error)
                    return
                except Exception as error:
                    log.exception("worker %s was given up", self.id)
                    self._give_up(WorkerCreationFailed(self.id, f"internal error: {type(error).__name__}"))
                    return
        finally:
            self._task = None
            self._begun = False
            self._stop = None
            self.last_used = self._runtime.clock.monotonic()
            self._command_done()
            if self.closed:
                self._owner.worker_closed(self)
            else:
                # An invocation may have been queued while the worker suspended.
                self.oplog.commit_soon()
                self._owner.worker_idle(self)

    async def _work(self) -> bool:
        """Load if needed and run what is queued; True when there is nothing more to do."""
        try:
            if self._incarnation is None and not await self._load():
                return False
            while not self._updates.is_due and not self._used_up:
                await self._waiters.admit_visits(self._folder)
                if not self._queue:
                    return True
                await self._execute_first()
                if self._incarnation is None:
                    return False
            if self._used_up and not self._queue:
                self._close()
            self._used_up = False
            self._drop_instance()
            return self.closed
        except SuspendWorker as suspension:
            return await self._suspend(suspension)
        except RestartWorker:
            self._restart_after_jump()
            return False
        except GuestExit:
            await self._exit()
            return True
        except Unavailable as error:
            self._lose_store(error)
            return True
        except FailedToResumeWorker as error:
            self._give_up(error)
            return True
        except Exception as error:
            return await self._failed(error)

    # --- Loading and running

    async def _load(self) -> bool:
        """Replay the oplog; an invocation that was not finished goes on live. False where an update failed in it."""
        # What was still buffered when the last incarnation ended has happened: replay must see it.
        await self.oplog.commit()
        self.component = await self._updates.component_to_load(self.component)
        snapshot = self._snapshots.begin()
        self._executing = self.status.current_idempotency_key
        try:
            self._incarnation = await load(
                self.created, self.component, self.oplog, self._runtime, self._services, snapshot, self._caught_up
            )
            await self._incarnation.replay(self._publish)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            if not self._updates.failed(error) and not self._snapshots.failed(error):
                raise
            self._drop_instance()
            return False
        finally:
            self._executing = None
        return True

    def _caught_up(self, history: History, position: int) -> None:
        """Replay is over: take over what it learned, and let those go on who waited for the start."""
        if not self._results_known:
            # Others may have been cancelled since the oplog was read.
            pending = {reference.idempotency_key for reference in self.status.pending} - self._queued
            waiting = [item for key, item in history.pending.items() if key in pending]
            self._queue.extendleft(reversed(waiting))
            self._queued.update(invocation.idempotency_key for invocation in waiting)
            self._results = {**history.results, **self._results}
            self._results_known = True
            self._waiters.publish_stored(self._results)
        constructor = constructor_due(self.created, self.oplog, self.component, self._queued, self._now())
        if constructor is not None:
            self._queue.appendleft(constructor)
        self._snapshots.caught_up()
        self._updates.caught_up(self.component, position)
        if self._updates.is_due:
            self._restart_soon()
        self._waiters.started()

    async def _execute_first(self) -> None:
        """Run the first queued invocation. One that is stopped before it has begun stays the first."""
        invocation = self._queue.popleft()
        key = self._executing = invocation.idempotency_key
        try:
            await self._execute(invocation)
        except asyncio.CancelledError:
            if key in self._queued:
                self._queue.appendleft(invocation)
            raise
        finally:
            self._executing = None
        self._queued.discard(key)

    async def _execute(self, invocation: Invocation) -> None:
        """Run an invocation whose turn it is."""
        incarnation = self._incarnation
        assert incarnation is not None
        key = invocation.idempotency_key
        if key in self._results:
            return
        if invocation.update_to is not None:
            await self._updates.save(incarnation, invocation)
            self._drop_instance()
            return
        began = self._runtime.clock.monotonic()
        try:
            index, result = await incarnation.execute(invocation, lambda: self._queued.discard(key))
        except InvalidInput as error:
            if self.status.current_idempotency_key == key:
                # It was found too late, with the call begun. The caller is wrong, not the worker.
                self._drop_instance()
                await self.oplog.revert(self.status.current_started_index, self._now())
            elif self.status.is_pending(key):
                self.oplog.append(CancelPendingInvocation(timestamp=self._now(), idempotency_key=key))
                await self.oplog.commit()
            self._waiters.fail(key, error)
            return
        self._publish(key, index, result)
        self._runtime.metrics.invocation_ended(InvocationOutcome.COMPLETED, self._runtime.clock.monotonic() - began)
        if self._snapshots.is_due(incarnation) and not await self._snapshots.take(incarnation):
            self._drop_instance()

    def _publish(self, key: str, index: int, result: Value) -> None:
        """An invocation has its result, durably: tell those who wait for it."""
        self._results[key] = index
        # Of an ephemeral worker that has done something nothing stays for the next time.
        self._used_up = self.status.ephemeral and index != self.status.constructed
        self._waiters.publish(key, result)

    # --- What can end a run

    async def _suspend(self, suspension: SuspendWorker) -> bool:
        if self.status.ephemeral:
            return await self._failed(PermanentFailure("An ephemeral worker cannot be suspended"))
        await self._waiters.admit_visits(self._folder)
        self._drop_instance()
        # A promise may have been completed after the guest looked. Meanwhile none is: from the entry on a completion
        # marks the worker to be woken, in the same transaction.
        async with self._services.promises_held(self.id):
            for promise in suspension.promises:
                if await self._services.promise_data(promise) is not None:
                    return False
            self.oplog.append(Suspend(timestamp=self._now()))
            self.oplog.wake_at = suspension.wake_at
            await self.oplog.commit()
        self._waiters.started()
        self._owner.worker_suspended(self, suspension.wake_at)
        if not self._waiters.any_for_results and not self._queue and not self._users:
            self._close()
        return True

    def _restart_after_jump(self) -> None:
        """Build the instance again behind a jump; what the jump dropped counts no more."""
        self._drop_instance()
        self._results.clear()
        self._results_known = False
        going_on = {self.status.current_idempotency_key, *self._queued}
        self._waiters.fail_all_but(going_on, WorkerInterrupted("Jumping back in time"))

    async def _exit(self) -> None:
        self.oplog.append(Exited(timestamp=self._now()))
        await self._commit_or_lose()
        self._give_up(WorkerExited())

    async def _failed(self, error: Exception) -> bool:
        """Write the error; wait and go on (False), or give the worker up (True)."""
        incarnation = self._incarnation
        if incarnation is None:
            known = isinstance(error, GolemError)
            self._give_up(error if known else WorkerCreationFailed(self.id, str(error) or type(error).__name__))
            return True
        failure, delay = write_failure(incarnation.context, error)
        self._drop_instance()
        if not await self._commit_or_lose():
            return True
        if delay is not None:
            await asyncio.sleep(delay)
            return False
        stderr = "".join(self.status.stderr)
        self._runtime.metrics.invocation_ended(InvocationOutcome.FAILED, 0.0)
        self._give_up(InvocationFailed(failure.message, stderr, failure.agent_error))
        return True

    async def _stopped_by_command(self) -> bool:
        """Deal with a cancellation: True if somebody asked for it, and the loop goes on or the worker is closed."""
        kind = self._stop
        task = asyncio.current_task()
        if kind is None or task is None:
            self._drop_instance()
            return False
        while task.cancelling():
            task.uncancel()
        self._stop = None
        # One that has just ended is in no list until its last entry is read: who asks for it now has to wait.
        self._results_known = False
        was_running = self.status.status in INTERRUPTIBLE
        self._heeded = kind
        self._drop_instance()
        await self.oplog.settle()
        if kind is StopKind.RESTART:
            self._command_done()
            return True
        if kind is StopKind.LOST:
            self._lose_store(self.oplog.store_failure())
            return True
        if kind is StopKind.INTERRUPT and (was_running or self._queue or self.status.pending):
            self.oplog.append(Interrupted(timestamp=self._now()))
        if kind is not StopKind.DELETE:
            await self._commit_or_lose()
        self._give_up(error_for_waiters(kind))
        return True

    async def _stop_without_task(self, kind: StopKind) -> None:
        """Deal with a command while nothing runs. What begins meanwhile is left to be stopped."""
        if kind is StopKind.LOST:
            self._lose_store(self.oplog.store_failure())
            return
        if kind is StopKind.INTERRUPT and self.status.status in INTERRUPTIBLE:
            self.oplog.append(Interrupted(timestamp=self._now()))
        if kind is not StopKind.DELETE:
            await self._commit_for_caller()
        if self._task is None and not self.closed:
            self._give_up(error_for_waiters(kind))

    def _command_done(self) -> None:
        """Tell whoever gave a command what was done: that command, or nothing, as there was nothing to stop."""
        heeded, self._heeded = self._heeded, None
        if self._stopped is not None:
            self._stopped.set_result(heeded)
            self._stopped = None

    async def _commit_for_caller(self) -> None:
        self._users += 1
        try:
            await self.oplog.commit()
        except Unavailable:
            # The guest may not notice for long, and would keep the worker from being loaded anew.
            await self.interrupt(StopKind.LOST)
            raise
        finally:
            self._users -= 1

    async def _commit_or_lose(self) -> bool:
        try:
            await self.oplog.commit()
        except Unavailable as error:
            self._lose_store(error)
            return False
        return True

    def _lose_store(self, error: Unavailable) -> None:
        """The oplog's end is unknown or another owner's: nothing in memory can be trusted any more."""
        self._give_up(error)
        self._owner.worker_lost_store(self, error)

    def _give_up(self, error: GolemError) -> None:
        """Nobody gets an answer of this object any more; the oplog stays as it is."""
        self._waiters.fail_all(error)
        self._close()

    async def _result(self, key: str) -> Value:
        result = await self._waiters.result(key)
        if isinstance(result, StoredResult):
            return await recorded_result(self._runtime.store, self.number, result.index)
        return result

    def _drop_instance(self) -> None:
        if self._incarnation is not None:
            self._incarnation.close()
            self._incarnation = None

    def _close(self) -> None:
        self._drop_instance()
        self.closed = True
        if self._task is None:
            self._owner.worker_closed(self)

    def _now(self) -> int:
        return self._runtime.clock.now_ns() // 1_000_000
