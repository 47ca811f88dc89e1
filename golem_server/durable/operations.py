"""What is done to workers as a whole, by clients and by other workers: updates, reverts, copies.

The executor holds the workers; this works on them through a few of its doors (`Doors`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from uuid import UUID

from golem_server.durable import forking, reverting
from golem_server.durable.answers import Answers
from golem_server.durable.plugin_delivery import PluginDelivery
from golem_server.durable.reverting import RevertTarget
from golem_server.durable.runtime import Runtime
from golem_server.durable.stopping import StopKind, WorkerClosed
from golem_server.durable.updates import check_mode
from golem_server.durable.worker import Worker
from golem_server.model.errors import InvalidInput, InvalidWorkerRequest, NotFound, WorkerAlreadyExists, WorkerNotFound
from golem_server.model.function_names import ResolvedFunction
from golem_server.model.ids import ComponentId, WorkerId, WorkerNumber
from golem_server.model.oplog import ActivatePlugin, DeactivatePlugin, Entry
from golem_server.model.status import StatusRecord, decode_status
from golem_server.model.worker_filters import WorkerFilter
from golem_server.model.workers import StoredWorker, WorkerStatus

_AT_WORK = (WorkerStatus.RUNNING, WorkerStatus.RETRYING)
_RESUMED_COPY = (*_AT_WORK, WorkerStatus.SUSPENDED, WorkerStatus.INTERRUPTED)


@dataclass(frozen=True, slots=True)
class Doors:
    """What the executor lets through: a worker in memory or None; a worker, loaded from its row (WorkerNotFound);
    the lock of what makes, loads and removes one worker; work in the background."""

    in_memory: Callable[[WorkerId], Worker | None]
    load: Callable[[WorkerId], Awaitable[Worker]]
    locked: Callable[[WorkerId], AbstractAsyncContextManager[None]]
    in_background: Callable[[Awaitable[None]], None]


class Operations:
    """The operations. Each raises WorkerNotFound where there is no such worker."""

    def __init__(self, runtime: Runtime, plugins: PluginDelivery | None, doors: Doors) -> None:
        self._runtime = runtime
        self._plugins = plugins
        self._doors = doors
        self.answers = Answers(runtime, doors.in_memory)

    async def update(self, worker_id: WorkerId, target: int, *, automatic: bool, wake: bool = True) -> None:
        """Ask for an update to another revision of the component; it is durable when this returns, not done.

        Without `wake` a worker that does nothing is not started for it. Raises InvalidWorkerRequest.
        """
        while True:
            worker = await self._doors.load(worker_id)
            with suppress(NotFound):
                # A revision that is not there fails the update when its turn comes.
                check_mode(worker.status, await self._runtime.components.revision(worker_id.component_id, target))
            try:
                return await worker.update(target, automatic=automatic, wake=wake)
            except WorkerClosed:
                continue

    async def set_plugin(self, worker_id: WorkerId, plugin: UUID | int, *, active: bool) -> None:
        """Activate or deactivate a plugin, named by its installation or its priority; durable on return.

        Nothing happens where it is so already. Raises InvalidWorkerRequest for what is not installed in the revision
        that the worker runs, and for a plugin that is told no oplogs.
        """
        while True:
            worker = await self._doors.load(worker_id)
            if not worker.closed:
                break
        status = worker.status
        installed = worker.component.installed_plugins(status.agent_type)
        found = next((each for each in installed if plugin in (each.grant_id, each.priority)), None)
        if found is None:
            raise InvalidWorkerRequest("Plugin installation does not belong to this worker's component")
        if found.processor is None or self._plugins is None:
            raise InvalidWorkerRequest(f"Plugin {found.name} is no oplog processor, and needs no activation")
        if status.has_plugin(found.grant_id) is not active:
            entry = (ActivatePlugin if active else DeactivatePlugin)(timestamp=self._now(), plugin=found.grant_id)
            worker.oplog.append(entry)
            await worker.oplog.commit()
            await self._plugins.changed(worker.number, status, worker.component)

    async def function_of(self, worker_id: WorkerId, function: str) -> ResolvedFunction:
        """The exported function that an invocation means which is queued now: pending updates come before it.

        Where the revision they lead to does not have it, that of the present one, should they fail. Raises NotFound
        (component) and InvalidInput.
        """
        components = self._runtime.components
        worker = self._doors.in_memory(worker_id)
        if worker is None:
            stored = await self._runtime.store.find_worker(worker_id)
            if stored is None:
                return (await components.latest(worker_id.component_id)).functions.resolve(function)
            status = decode_status(stored.columns.record)
        else:
            status = worker.status
        pending = [update.target_revision for update in status.updates if update.state == "pending"]
        for revision in reversed(pending):
            try:
                return (await components.revision(worker_id.component_id, revision)).functions.resolve(function)
            except (NotFound, InvalidInput):
                continue
        component = await components.revision(worker_id.component_id, status.component_revision)
        return component.functions.resolve(function)

    async def find(
        self, component_id: ComponentId, condition: WorkerFilter | None, after: WorkerNumber | None, count: int
    ) -> tuple[list[StoredWorker], WorkerNumber | None]:
        """A page of the component's workers that meet the condition, as their oplogs say, and where the next begins."""
        page = await self._runtime.store.list_workers(component_id, after, count, condition)
        return page.workers, page.next

    async def revert(self, worker_id: WorkerId, target: RevertTarget) -> None:
        """Drop the end of a worker's oplog; whatever it does is stopped. Raises InvalidWorkerRequest."""
        async with self._doors.locked(worker_id):
            # What cannot be done stops nobody.
            await reverting.check(self._runtime.store, await self._committed(worker_id), target)
            worker = self._doors.in_memory(worker_id)
            if worker is not None:
                await worker.interrupt(StopKind.REVERT)
            stored = await self._stored(worker_id)
            status = await reverting.revert(self._runtime.store, stored, target, self._now())
        if status.status in _AT_WORK or (status.status is not WorkerStatus.INTERRUPTED and _has_work(status)):
            (await self._doors.load(worker_id)).wake()

    async def revert_from_within(self, worker_id: WorkerId, target: RevertTarget) -> None:
        """The same where the worker itself asks for it: never returns, for the caller is stopped by it.

        Raises InvalidWorkerRequest, and then nothing has happened.
        """
        await reverting.check(self._runtime.store, await self._committed(worker_id), target)
        self._doors.in_background(self.revert(worker_id, target))
        await asyncio.Event().wait()

    async def fork(
        self, source_id: WorkerId, target_id: WorkerId, cut_off: int | None, then: Sequence[Entry] = ()
    ) -> None:
        """Copy a worker's oplog up to an entry, or all of it, under a new name, and let the copy go on.

        `then` is what the copy finds behind it. Raises InvalidWorkerRequest, WorkerAlreadyExists.
        """
        if target_id.component_id != source_id.component_id:
            raise InvalidWorkerRequest("A worker can only be copied to one of the same component")
        async with self._doors.locked(target_id):
            if await self._runtime.store.find_worker(target_id) is not None:
                raise WorkerAlreadyExists(target_id)
            source = await self._committed(source_id)
            last = source.columns.last_index
            copy = await forking.fork(
                self._runtime.store, source, target_id, last if cut_off is None else cut_off, self._now(), then
            )
        if copy.columns.status in _RESUMED_COPY:
            (await self._doors.load(target_id)).wake()

    async def metadata(self, worker_id: WorkerId) -> StoredWorker | None:
        """A worker as it stands, with what is not yet committed; None where there is none."""
        worker = self._doors.in_memory(worker_id)
        if worker is not None:
            return StoredWorker(number=worker.number, worker=worker.created, columns=worker.status.columns(None))
        return await self._runtime.store.find_worker(worker_id)

    async def cancel_pending(self, worker_id: WorkerId, key: str) -> bool:
        """Take an invocation out of a worker's queue. False if it runs or has its result.

        Raises InvalidWorkerRequest for a key that was never seen.
        """
        while True:
            worker = await self._doors.load(worker_id)
            try:
                if await worker.cancel_pending(key):
                    return True
                break
            except WorkerClosed:
                continue
        status = worker.status
        if status.current_idempotency_key == key or await self.answers.has(worker, key):
            return False
        raise InvalidWorkerRequest("Invocation not found")

    async def _stored(self, worker_id: WorkerId) -> StoredWorker:
        stored = await self._runtime.store.find_worker(worker_id)
        if stored is None:
            raise WorkerNotFound(worker_id)
        return stored

    async def _committed(self, worker_id: WorkerId) -> StoredWorker:
        """The worker's row, with everything in it that has happened so far."""
        worker = self._doors.in_memory(worker_id)
        if worker is not None and not worker.closed:
            await worker.oplog.commit()
        return await self._stored(worker_id)

    def _now(self) -> int:
        return self._runtime.clock.now_ns() // 1_000_000


def _has_work(status: StatusRecord) -> bool:
    ended = status.status in (WorkerStatus.FAILED, WorkerStatus.EXITED)
    return not ended and (bool(status.pending) or status.pending_update is not None)
