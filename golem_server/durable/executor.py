"""The executor: every worker of this server, loaded on demand, and what can be asked of them.

It keeps at most one `Worker` object for each worker, makes it from the store's row when it is needed, recovers those
that were at work when the last run ended, wakes those whose time has come, and unloads idle ones, least recently
used first, when the process holds more memory than it should.
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar
from uuid import uuid5

from golem_server.durable.creation import first_entry
from golem_server.durable.events import WorkerEvents
from golem_server.durable.operations import Doors, Operations
from golem_server.durable.oplog_reading import OplogPart, read_oplog
from golem_server.durable.plugin_delivery import PluginDelivery
from golem_server.durable.ports import WorkerComponent
from golem_server.durable.promises import Promises
from golem_server.durable.rpc import WorkerCalls
from golem_server.durable.runtime import Runtime
from golem_server.durable.schedule import Schedule
from golem_server.durable.scheduler import Scheduler, SuspendedWorkers
from golem_server.durable.stopping import StopKind, WorkerClosed, refuse_if_ended
from golem_server.durable.unloading import Unloading
from golem_server.durable.worker import Worker
from golem_server.durable.worker_services import WorkerServices
from golem_server.model.errors import (
    GolemError,
    InvalidWorkerRequest,
    NotFound,
    OplogFenced,
    Unavailable,
    WorkerAlreadyExists,
    WorkerNotFound,
)
from golem_server.model.function_names import ResolvedFunction
from golem_server.model.ids import ComponentId, PromiseId, WorkerId, WorkerNumber
from golem_server.model.oplog import HostCall, Invocation, NoOp, decode_entry, encode_entry
from golem_server.model.oplog_query import Query
from golem_server.model.scheduled import ScheduledInvocation
from golem_server.model.status import StatusRecord, decode_status
from golem_server.model.types import Value
from golem_server.model.workers import StoredWorker, WorkerCreation, WorkerStatus

log = logging.getLogger(__name__)

T = TypeVar("T")

CREATE_PROMISE = "golem::api::create_promise"
"""The recorded name of the call that creates a promise; guests of 1.2.5 have a NoOp entry in its place."""

NOBODYS = WorkerCreation()
"""What a worker gets that is created because somebody unknown used it."""

_WAITING = (WorkerStatus.RUNNING, WorkerStatus.SUSPENDED, WorkerStatus.RETRYING, WorkerStatus.INTERRUPTED)

_RECOVERED = (WorkerStatus.RUNNING, WorkerStatus.RETRYING, WorkerStatus.SUSPENDED, WorkerStatus.IDLE)
"""Who is started without being asked when there is work: not those that somebody stopped, and not those that ended."""


class Executor(WorkerServices):
    """Runs workers. `start` begins recovery and scheduling, `stop` leaves everything to the next start."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._workers: dict[WorkerId, Worker] = {}
        self._locks: dict[WorkerId, _Lock] = {}
        self._promises = Promises()
        self._events = WorkerEvents(runtime.store)
        self._unloading = Unloading(runtime.settings.memory_budget)
        self._schedule = Schedule(
            runtime.schedule, self._enqueue_for_life, lambda due_at: self._scheduler.expect(due_at)
        )
        self._scheduler = Scheduler(runtime, [SuspendedWorkers(runtime, self._wake_stored), self._schedule])
        self._calls = WorkerCalls(runtime.components, self, self._schedule)
        self._background: set[asyncio.Task[None]] = set()
        self._lost: dict[WorkerId, None] = {}
        self._stopping = False
        self._plugins = _plugin_delivery(runtime, self)
        doors = Doors(self._workers.get, self._load, self._locked, self._in_background)
        self._operations = Operations(runtime, self._plugins, doors)

    # --- Life

    async def start(self) -> None:
        """Begin to wake suspended workers and, in the background, recover those that were at work."""
        self._in_background(self._scheduler.run())
        self._in_background(self._recover())
        if self._plugins is not None:
            self._in_background(self._plugins.recover())

    async def stop(self, grace_seconds: float) -> None:
        """Let running invocations finish for a while, then leave the rest to recovery. Nothing acknowledged is lost."""
        self._stopping = True
        self._events.close()
        tasks = list(self._background)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._schedule.stop()
        if self._plugins is not None:
            await self._plugins.stop()
        busy = [worker.idle() for worker in self._workers.values() if worker.is_busy]
        if busy:
            await asyncio.wait([asyncio.ensure_future(idle) for idle in busy], timeout=grace_seconds)
        for worker in list(self._workers.values()):
            try:
                await worker.interrupt(StopKind.SHUTDOWN)
            except GolemError as error:
                log.warning("worker %s was left as the store last knew it: %s", worker.id, error)
        await self._calls.stop()
        self._workers.clear()

    # --- Workers

    async def create(self, worker_id: WorkerId, creation: WorkerCreation) -> StoredWorker:
        """Create a worker of the component's newest revision and instantiate it. An agent's constructor runs then.

        Raises NotFound (component), InvalidInput (no name for an agent of it), WorkerAlreadyExists,
        WorkerCreationFailed.
        """
        async with self._locked(worker_id):
            if await self._runtime.store.find_worker(worker_id) is not None:
                raise WorkerAlreadyExists(worker_id)
            stored, component = await self._create(worker_id, creation)
            worker = self._adopt(stored, component)
        try:
            await worker.start()
        except WorkerClosed:
            log.info("worker %s was stopped while it was created", worker_id)
        return stored

    async def ensure(self, worker_id: WorkerId, creation: WorkerCreation) -> WorkerNumber:
        """The number of a worker, which is created with this if there is none, and not started.

        Raises NotFound for its component.
        """
        return (await self._load(worker_id, creation)).number

    async def exists(self, worker_id: WorkerId) -> bool:
        """Whether there is such a worker."""
        return worker_id in self._workers or await self._runtime.store.find_worker(worker_id) is not None

    async def find(self, worker_id: WorkerId) -> StoredWorker:
        """A worker as it stands, with what is not yet committed. Raises WorkerNotFound."""
        worker = self._workers.get(worker_id)
        if worker is not None:
            return StoredWorker(number=worker.number, worker=worker.created, columns=worker.status.columns(None))
        stored = await self._runtime.store.find_worker(worker_id)
        if stored is None:
            raise WorkerNotFound(worker_id)
        return stored

    async def list(
        self, component_id: ComponentId, after: WorkerNumber | None, count: int
    ) -> tuple[list[StoredWorker], WorkerNumber | None]:
        """A page of a component's workers in the order of their creation, and where the next one begins."""
        page = await self._runtime.store.list_workers(component_id, after, count)
        workers = [
            await self.find(stored.worker.worker_id) if self._is_here(stored) else stored for stored in page.workers
        ]
        return workers, page.next

    async def delete(self, worker_id: WorkerId) -> None:
        """Stop a worker and remove everything of it. Nothing happens where there is none."""
        async with self._locked(worker_id):
            worker = self._workers.get(worker_id)
            if worker is not None:
                await worker.interrupt(StopKind.DELETE)
            stored = await self._runtime.store.find_worker(worker_id)
            if stored is None:
                return
            await self._runtime.store.delete_worker(stored.number)
            self._events.deleted(worker_id)
            await asyncio.to_thread(shutil.rmtree, self._runtime.files / str(stored.number), True)

    async def component_of(self, worker_id: WorkerId) -> WorkerComponent:
        """The revision that the worker runs, or the newest one where it does not exist yet. Raises NotFound."""
        worker = self._workers.get(worker_id)
        if worker is not None:
            return worker.component
        stored = await self._runtime.store.find_worker(worker_id)
        if stored is None:
            return await self._runtime.components.latest(worker_id.component_id)
        return await self._runtime.components.revision(worker_id.component_id, stored.columns.component_revision)

    async def component_that_answered(self, worker_id: WorkerId, key: str) -> WorkerComponent | None:
        """The revision that answered an invocation with this key, where an update came after it; else None."""
        return await self._operations.answers.given_by_older(worker_id, key)

    def function_of_loaded(self, worker_id: WorkerId, function: str) -> ResolvedFunction | None:
        """The exported function of a worker that is in memory and not about to change, else None.

        Raises InvalidInput.
        """
        worker = self._workers.get(worker_id)
        if worker is None or worker.status.has_pending_updates:
            return None
        return worker.component.functions.resolve(function)

    # --- Invocations

    async def invoke_and_await(
        self, worker_id: WorkerId, invocation: Invocation, creation: WorkerCreation = NOBODYS
    ) -> Value:
        """Run an exported function and return its result.

        The worker is created, with `creation`, if it does not exist. The same idempotency key gives the same result
        again without running.
        """
        worker = self._workers.get(worker_id)
        if worker is not None and not self._stopping:
            try:
                return await worker.invoke(invocation, wait=True)
            except WorkerClosed:
                pass
        return await self._with_worker(worker_id, creation, lambda worker: worker.invoke(invocation, wait=True))

    async def invoke_processor(self, worker_id: WorkerId, revision: int, invocation: Invocation) -> Value:
        """Call the worker of an oplog processor, which is created at this revision if there is none."""
        return await self.invoke_and_await(worker_id, invocation, WorkerCreation(revision=revision))

    async def invoke(self, worker_id: WorkerId, invocation: Invocation, creation: WorkerCreation = NOBODYS) -> None:
        """Queue an invocation durably. The worker is created as by `invoke_and_await`."""
        await self._with_worker(worker_id, creation, lambda worker: worker.invoke(invocation, wait=False))

    async def schedule(
        self, worker_id: WorkerId, due_at: int, invocation: Invocation, creation: WorkerCreation = NOBODYS
    ) -> None:
        """Have an invocation queued at a time (milliseconds since the epoch), durably.

        The worker is created as by `invoke_and_await`. The same idempotency key again changes the time of the first.
        """
        number = await self.ensure(worker_id, creation)
        schedule_id = uuid5(uuid5(worker_id.component_id, worker_id.name), invocation.idempotency_key)
        await self._schedule.put(
            ScheduledInvocation(
                id=schedule_id, due_at=due_at, worker_id=worker_id, number=number, invocation=invocation
            )
        )

    async def visit(self, worker_id: WorkerId, work: Callable[[Path], T], creation: WorkerCreation = NOBODYS) -> T:
        """Run `work` on a worker's folder, in a thread and between invocations.

        The worker is created as by `invoke_and_await`, and loaded.
        """
        return await self._with_worker(worker_id, creation, lambda worker: worker.visit(work))

    async def cancel_pending(self, worker_id: WorkerId, key: str) -> bool:
        """Take an invocation out of the queue; False if it is not there. Raises WorkerNotFound."""
        while True:
            try:
                return await (await self._load(worker_id)).cancel_pending(key)
            except WorkerClosed:
                continue

    async def has_answer(self, worker_id: WorkerId, key: str) -> bool:
        """Whether `invoke_and_await` with this key would have its answer at once. Raises WorkerNotFound."""
        while True:
            try:
                worker = await self._load(worker_id)
                if worker.answers is None:
                    await worker.start()
                return key in (worker.answers or ())
            except WorkerClosed:
                continue

    async def interrupt(self, worker_id: WorkerId, *, recover_immediately: bool) -> None:
        """Stop a worker, or with `recover_immediately` let it crash and recover.

        Idle and unknown workers stay as they are.
        """
        worker = self._workers.get(worker_id)
        if worker is None:
            stored = await self._runtime.store.find_worker(worker_id)
            if stored is None or stored.columns.status not in _WAITING:
                return
            worker = await self._load(worker_id)
        status = worker.status.status
        if (status not in _WAITING or status is WorkerStatus.INTERRUPTED) and not worker.is_busy:
            return
        crash = recover_immediately and status is WorkerStatus.RUNNING
        await worker.interrupt(StopKind.RESTART if crash else StopKind.INTERRUPT)
        if crash:
            worker.wake()

    async def resume(self, worker_id: WorkerId) -> None:
        """Start an interrupted, suspended or idle worker. Raises WorkerNotFound, InvalidWorkerRequest and the like."""
        stored = await self.find(worker_id)
        status = stored.columns.status
        refuse_if_ended(decode_status(stored.columns.record))
        if status in (WorkerStatus.RUNNING, WorkerStatus.RETRYING):
            raise InvalidWorkerRequest(f"Worker {worker_id} is not suspended, interrupted or idle")
        while True:
            worker = await self._load(worker_id)
            try:
                return await worker.start()
            except WorkerClosed:
                continue

    async def oplog(
        self, worker_id: WorkerId, first: int, count: int, *, query: Query | None = None, last: int | None = None
    ) -> OplogPart:
        """Entries from index `first` on that match the query, at most 100, none behind `last`.

        Raises WorkerNotFound.
        """
        return await read_oplog(self._runtime.store, worker_id, first, count, query, last)

    @property
    def events(self) -> WorkerEvents:
        """What the workers of this server do, for those who want to watch."""
        return self._events

    # --- What guests ask (WorkerServices)

    @property
    def operations(self) -> Operations:
        """Updates, reverts and copies of workers, and looking for them."""
        return self._operations

    async def promise_data(self, promise: PromiseId) -> bytes | None:
        """The data of a completed promise, None while it is open. Raises WorkerNotFound."""
        return await self._runtime.promises.get(await self._number(promise.worker_id), promise.oplog_index)

    async def complete_promise(self, promise: PromiseId, data: bytes) -> bool:
        """Complete a promise and wake its worker. False if it was complete before.

        Raises WorkerNotFound, and NotFound for a promise that the worker never created.
        """
        number = await self._number(promise.worker_id)
        await self._check_created(number, promise)
        async with self._promises.held(promise.worker_id):
            first = await self._runtime.promises.complete(number, promise.oplog_index, data)
        self._promises.completed(promise)
        stored = await self.find(promise.worker_id)
        if stored.columns.status in _WAITING:
            (await self._load(promise.worker_id)).wake()
        return first

    def promises_held(self, worker_id: WorkerId) -> AbstractAsyncContextManager[None]:
        """While this is entered no promise of the worker is completed through this server."""
        return self._promises.held(worker_id)

    async def wait_for_promise(self, promise: PromiseId) -> None:
        """Return when the promise is complete."""
        async with self._promises.waiting(promise) as completed:
            if await self.promise_data(promise) is None:
                await completed

    @property
    def calls(self) -> WorkerCalls:
        """Calls to other workers."""
        return self._calls

    async def worker_status(self, worker_id: WorkerId) -> StatusRecord | None:
        """The status of a worker, None where there is none."""
        worker = self._workers.get(worker_id)
        if worker is not None:
            return worker.status
        stored = await self._runtime.store.find_worker(worker_id)
        return None if stored is None else decode_status(stored.columns.record)

    # --- What workers tell (WorkerOwner)

    def worker_closed(self, worker: Worker) -> None:
        """Forget a worker that has left memory."""
        if self._workers.get(worker.id) is worker:
            del self._workers[worker.id]

    def worker_suspended(self, worker: Worker, wake_at: int | None) -> None:
        """Remember when to wake it."""
        if wake_at is not None:
            self._scheduler.expect(wake_at)

    def worker_idle(self, worker: Worker) -> None:
        """The worker has nothing to do; make room if there is too little."""
        for other in self._unloading.victims(self._workers, worker):
            other.unload()

    def worker_lost_store(self, worker: Worker, error: Unavailable) -> None:
        """Recover it when the store is back, unless somebody else has it now."""
        if isinstance(error, OplogFenced):
            log.warning("worker %s was given up: %s", worker.id, error)
            return
        if not self._lost and not self._stopping:
            self._in_background(self._recover_lost())
        self._lost[worker.id] = None

    # --- Inside

    def _is_here(self, stored: StoredWorker) -> bool:
        worker = self._workers.get(stored.worker.worker_id)
        return worker is not None and worker.number == stored.number

    async def _check_created(self, number: WorkerNumber, promise: PromiseId) -> None:
        """A promise is there when its creation is in the committed oplog."""
        worker = self._workers.get(promise.worker_id)
        if worker is not None and worker.oplog.committed_index < promise.oplog_index <= worker.oplog.last_index:
            await worker.oplog.commit()
        found = await self._runtime.store.read(number, promise.oplog_index, 1) if promise.oplog_index > 1 else []
        entry = decode_entry(found[0].kind, found[0].data) if found else None
        created = isinstance(entry, NoOp) or (isinstance(entry, HostCall) and entry.function == CREATE_PROMISE)
        if not created:
            raise NotFound(f"Promise not found: {promise}", code="RESOURCE_NOT_FOUND")

    async def _number(self, worker_id: WorkerId) -> WorkerNumber:
        worker = self._workers.get(worker_id)
        if worker is not None:
            return worker.number
        stored = await self._runtime.store.find_worker(worker_id)
        if stored is None:
            raise WorkerNotFound(worker_id)
        return stored.number

    async def _with_worker(
        self, worker_id: WorkerId, creation: WorkerCreation, use: Callable[[Worker], Awaitable[T]]
    ) -> T:
        while True:
            if self._stopping:
                raise Unavailable("The server is shutting down; try again with the same idempotency key")
            worker = await self._load(worker_id, creation)
            try:
                return await use(worker)
            except WorkerClosed:
                continue

    def _expect(self, at: int) -> None:
        self._scheduler.expect(at)

    async def _enqueue_for_life(self, worker_id: WorkerId, number: WorkerNumber, invocation: Invocation) -> None:
        while True:
            worker = await self._load(worker_id)
            if worker.number != number:
                raise WorkerNotFound(worker_id)
            try:
                await worker.invoke(invocation, wait=False)
                return
            except WorkerClosed:
                continue

    async def _load(self, worker_id: WorkerId, creation: WorkerCreation | None = None) -> Worker:
        """The worker's object. With `creation` it is made where there is no such worker."""
        while True:
            worker = self._workers.get(worker_id)
            if worker is not None:
                if not worker.closed:
                    return worker
                # It leaves memory when its task has ended.
                await worker.idle()
                continue
            async with self._locked(worker_id):
                if worker_id in self._workers:
                    continue
                stored = await self._runtime.store.find_worker(worker_id)
                if stored is None and creation is not None:
                    try:
                        return self._adopt(*await self._create(worker_id, creation))
                    except WorkerAlreadyExists:
                        # Another server was faster.
                        stored = await self._runtime.store.find_worker(worker_id)
                if stored is None:
                    raise WorkerNotFound(worker_id)
                revision = stored.columns.component_revision
                return self._adopt(stored, await self._runtime.components.revision(worker_id.component_id, revision))

    async def _create(self, worker_id: WorkerId, creation: WorkerCreation) -> tuple[StoredWorker, WorkerComponent]:
        components, component_id = self._runtime.components, worker_id.component_id
        if creation.revision is None:
            component = await components.latest(component_id)
        else:
            component = await components.revision(component_id, creation.revision)
        now = self._runtime.clock.now_ns() // 1_000_000
        entry, worker = first_entry(worker_id, component, creation, now, self._runtime.settings.guest.golem_variables)
        record = StatusRecord()
        record.apply(1, entry)
        columns = record.columns(None)
        number = await self._runtime.store.create_worker(worker, encode_entry(entry), columns)
        if self._plugins is not None and record.active_plugins:
            await self._plugins.changed(number, record, component)
        self._events.created(worker_id)
        return StoredWorker(number=number, worker=worker, columns=columns), component

    def _adopt(self, stored: StoredWorker, component: WorkerComponent) -> Worker:
        worker = Worker(stored, component, self._runtime, self, self)
        told = partial(self._events.committed, worker.id)
        worker.oplog.on_committed = told if self._plugins is None else self._plugins.watching(worker, told)
        self._workers[worker.id] = worker
        return worker

    @asynccontextmanager
    async def _locked(self, worker_id: WorkerId) -> AsyncGenerator[None]:
        """Serialize what makes, loads and removes one worker."""
        lock = self._locks.get(worker_id)
        if lock is None:
            lock = self._locks[worker_id] = _Lock()
        lock.users += 1
        try:
            async with lock.lock:
                yield
        finally:
            lock.users -= 1
            if not lock.users:
                del self._locks[worker_id]

    async def _wake_stored(self, stored: StoredWorker) -> None:
        worker_id, worker = stored.worker.worker_id, self._workers.get(stored.worker.worker_id)
        try:
            if not decode_status(stored.columns.record).has_ended_for_good:
                (await self._load(worker_id)).wake()
            elif worker is None or not worker.is_busy:
                # An ephemeral one, whose time is over.
                await self.delete(worker_id)
        except GolemError as error:
            log.warning("worker %s could not be woken: %s", stored.worker.worker_id, error)
        except Exception:
            log.exception("worker %s could not be woken", stored.worker.worker_id)

    async def _recover(self) -> None:
        """Start what was at work when the last run ended, a few at a time. One that cannot start stops no other."""
        limit = asyncio.Semaphore(self._runtime.settings.recovery_parallelism)

        async def recover(stored: StoredWorker) -> None:
            async with limit:
                try:
                    await (await self._load(stored.worker.worker_id)).start()
                except (GolemError, WorkerClosed) as error:
                    log.warning("worker %s could not be recovered: %s", stored.worker.worker_id, error)
                except Exception:
                    log.exception("worker %s could not be recovered", stored.worker.worker_id)

        after: WorkerNumber | None = None
        while True:
            try:
                page = await self._runtime.store.workers_to_recover(after, 1000)
            except Unavailable:
                await asyncio.sleep(self._runtime.settings.store_retry)
                continue
            async with asyncio.TaskGroup() as group:
                for stored in page.workers:
                    if stored.columns.status in _RECOVERED:
                        group.create_task(recover(stored))
            if page.next is None:
                return
            after = page.next

    async def _recover_lost(self) -> None:
        """Try workers that lost the store until it answers again."""
        while self._lost:
            await asyncio.sleep(self._runtime.settings.store_retry)
            for worker_id in list(self._lost):
                try:
                    stored = await self._runtime.store.find_worker(worker_id)
                    if stored is not None and stored.columns.status in _RECOVERED:
                        (await self._load(worker_id)).wake()
                except Unavailable:
                    break
                except Exception:
                    log.exception("worker %s could not be recovered", worker_id)
                self._lost.pop(worker_id, None)

    def _in_background(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background_ended)

    def _background_ended(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a background task of the executor ended", exc_info=task.exception())


class _Lock:
    __slots__ = ("lock", "users")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.users = 0


def _plugin_delivery(runtime: Runtime, workers: Executor) -> PluginDelivery | None:
    deliveries, caller, settings = runtime.deliveries, runtime.processor_caller, runtime.settings.delivery
    if deliveries is None or caller is None:
        return None
    return PluginDelivery(runtime.store, deliveries, runtime.components, caller, workers, settings, runtime.metrics)
