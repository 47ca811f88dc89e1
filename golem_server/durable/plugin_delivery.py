"""Telling oplog processors the oplogs of workers: in batches, in order, each entry exactly once.

A processor is a component whose worker is invoked like any other, so what it made of a batch survives as its state
does. A batch is fixed before it is sent (`DeliveryStore.sending`), and its idempotency key is made of the worker, the
installation and its first and last index: whatever happens between sending and `confirm`, the same batch goes out again
under the same key, and the processor's worker answers from its own oplog (reference: durability, section 7).

A worker without active plugins pays for one look at a list with each commit.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID, uuid5

from golem_server.durable.ports import ComponentSource, DeliveryStore, OplogStore, WorkerComponent
from golem_server.model.deliveries import Delivery
from golem_server.model.errors import GolemError, NotFound, PreviousInvocationExited, Unavailable
from golem_server.model.ids import WorkerId, WorkerNumber
from golem_server.model.oplog import (
    EncodedEntry,
    Entry,
    Invocation,
    InvocationFinished,
    InvocationStarted,
    decode_entry,
)
from golem_server.model.plugins import InstalledPlugin
from golem_server.model.status import StatusRecord
from golem_server.model.types import Value
from golem_server.model.workers import StoredWorker
from golem_server.telemetry import Metrics

log = logging.getLogger(__name__)

MAX_BATCH_BYTES = 1 << 20
LOOKED_BACK = 1_000
"""Entries before a batch among which the invocation is looked for that the batch begins in."""

FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 0.5, 60.0

_NAMESPACE = UUID("6f0c7f4e-6d0e-4f0b-9d5a-2d2b3b1b7f10")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySettings:
    """`batch_delay` (seconds) is how long entries wait for others, `batch_entries` how many go out together."""

    batch_delay: float = 0.2
    batch_entries: int = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What a processor is told: consecutive entries of a worker, which begin inside of `running` if that is set."""

    source: StoredWorker
    component: WorkerComponent
    plugin: InstalledPlugin
    first: int
    entries: list[Entry]
    running: Invocation | None


Invoke = Callable[[str, list[Value], str], Awaitable[Value]]
"""`invoke(function, parameters, key)`: call the processor's worker, once for the key."""


class ProcessorCaller(Protocol):
    """Knows what processors of all generations are called with."""

    async def call(self, processor: WorkerComponent, batch: Batch, key: str, invoke: Invoke) -> str | None:
        """Hand a batch over. The processor's own error, if it gives one."""
        ...


class ProcessorWorkers(Protocol):
    """The workers of processors: what the executor offers."""

    async def invoke_processor(self, worker_id: WorkerId, revision: int, invocation: Invocation) -> Value:
        """Run an invocation once for its key, on a worker that is created at this revision if there is none."""
        ...


class Watched(Protocol):
    """A worker in memory."""

    @property
    def id(self) -> WorkerId: ...

    @property
    def number(self) -> WorkerNumber: ...

    @property
    def status(self) -> StatusRecord: ...


Committed = Callable[[int, list[EncodedEntry]], None]
"""Told the index of the first entry of a commit, and its entries."""


class PluginDelivery:
    """Delivers in the background: one task for each worker that has something to tell."""

    def __init__(
        self,
        store: OplogStore,
        deliveries: DeliveryStore,
        components: ComponentSource,
        caller: ProcessorCaller,
        workers: ProcessorWorkers,
        settings: DeliverySettings,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._deliveries = deliveries
        self._components = components
        self._caller = caller
        self._workers = workers
        self._settings = settings
        self._metrics = metrics
        self._known: dict[WorkerNumber, frozenset[UUID]] = {}
        self._tasks: dict[WorkerNumber, asyncio.Task[None]] = {}
        self._again: set[WorkerNumber] = set()
        self._unnoted: dict[WorkerNumber, StatusRecord] = {}
        self._stopping = False

    # --- What the executor tells

    def watching(self, worker: Watched, then: Committed) -> Committed:
        """What the oplog of a worker that comes into memory is to call after each commit: this room, and `then`."""
        if worker.status.active_plugins:
            self.committed(worker.id, worker.number, worker.status)

        def committed(first_index: int, entries: list[EncodedEntry]) -> None:
            then(first_index, entries)
            self.committed(worker.id, worker.number, worker.status)

        return committed

    async def changed(self, number: WorkerNumber, status: StatusRecord, component: WorkerComponent) -> None:
        """Note durably which plugins are active on a worker. To be done before it is told to whoever asked for it."""
        installed: dict[UUID, InstalledPlugin] = {
            plugin.grant_id: plugin for plugin in component.installed_plugins(status.agent_type)
        }
        active = {record.grant_id: record.since for record in status.active_plugins}
        for grant_id, since in active.items():
            plugin = installed.get(grant_id)
            if plugin is not None and _may_tell(component, plugin):
                await self._deliveries.begin(
                    number, Delivery(plugin=grant_id, confirmed=since, processor=plugin.to_json())
                )
        for delivery in await self._deliveries.of_worker(number):
            if delivery.plugin not in active and delivery.until is None:
                await self._deliveries.end(number, delivery.plugin, status.last_index)
        self._known[number] = frozenset(active)

    def committed(self, worker_id: WorkerId, number: WorkerNumber, status: StatusRecord) -> None:
        """A worker on which plugins are active, or were, has new entries."""
        known = self._known.get(number)
        if self._stopping or (known is None and not status.active_plugins):
            return
        if known != frozenset(record.grant_id for record in status.active_plugins):
            self._unnoted[number] = status
        self._soon(worker_id, number)

    def _soon(self, worker_id: WorkerId, number: WorkerNumber) -> None:
        if number in self._tasks:
            self._again.add(number)
            return
        task = asyncio.create_task(self._deliver_all(worker_id, number), name=f"plugins of worker {worker_id}")
        self._tasks[number] = task
        task.add_done_callback(lambda _done: self._tasks.pop(number, None))

    async def recover(self) -> None:
        """Go on with what was not delivered when the last run ended."""
        after = WorkerNumber(0)
        while True:
            try:
                page = await self._deliveries.due(after, 1_000)
            except Unavailable:
                await asyncio.sleep(FIRST_RETRY_SECONDS)
                continue
            if not page:
                return
            for due in page:
                self._soon(WorkerId(due.component_id, due.name), due.number)
            after = page[-1].number

    async def stop(self) -> None:
        """Stop where it stands; the next start goes on."""
        self._stopping = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- The task of a worker

    async def _deliver_all(self, worker_id: WorkerId, number: WorkerNumber) -> None:
        retry = FIRST_RETRY_SECONDS
        while True:
            await asyncio.sleep(self._settings.batch_delay)
            self._again.discard(number)
            try:
                await self._deliver(worker_id, number)
            except GolemError as error:
                if isinstance(error, NotFound) and await self._is_gone(worker_id, number):
                    return
                self._metrics.error("plugin")
                log.warning("the oplog of worker %s could not be delivered, trying again: %s", worker_id, error)
                await asyncio.sleep(retry)
                retry = min(2 * retry, LONGEST_RETRY_SECONDS)
                continue
            except Exception:
                self._metrics.error("plugin")
                log.exception("the oplog of worker %s could not be delivered", worker_id)
                return
            retry = FIRST_RETRY_SECONDS
            if number not in self._again:
                return

    async def _is_gone(self, worker_id: WorkerId, number: WorkerNumber) -> bool:
        try:
            stored = await self._store.find_worker(worker_id)
        except Unavailable:
            return False
        return stored is None or stored.number != number

    async def _deliver(self, worker_id: WorkerId, number: WorkerNumber) -> None:
        """Everything that there is, to all processors."""
        status = self._unnoted.pop(number, None)
        if status is not None:
            component = await self._components.revision(worker_id.component_id, status.component_revision)
            await self.changed(number, status, component)
        stored = await self._store.find_worker(worker_id)
        if stored is None or stored.number != number:
            return
        for delivery in await self._deliveries.of_worker(number):
            plugin = InstalledPlugin.from_json(delivery.processor)
            last = stored.columns.last_index
            if delivery.until is not None:
                last = min(last, delivery.until)
            confirmed = delivery.confirmed
            while confirmed < last:
                entries = await self._store.read(
                    number, confirmed + 1, min(self._settings.batch_entries, last - confirmed), MAX_BATCH_BYTES
                )
                fixed = await self._deliveries.sending(number, delivery.plugin, entries[-1].index)
                if fixed is None:
                    break
                first, end = fixed[0] + 1, fixed[1]
                await self._send(stored, plugin, first, end)
                await self._deliveries.confirm(number, delivery.plugin, end)
                confirmed = end

    async def _send(self, source: StoredWorker, plugin: InstalledPlugin, first: int, end: int) -> None:
        processor_spec = plugin.processor
        assert processor_spec is not None
        processor = await self._components.revision(processor_spec.component_id, processor_spec.component_revision)
        component = await self._components.revision(
            source.worker.worker_id.component_id, source.columns.component_revision
        )
        batch = Batch(
            source=source,
            component=component,
            plugin=plugin,
            first=first,
            entries=await self._entries(source.number, first, end),
            running=await self._running_before(source.number, first),
        )
        target = WorkerId(processor_spec.component_id, f"plugin-{plugin.grant_id}")

        async def invoke(function: str, parameters: list[Value], key: str) -> Value:
            invocation = Invocation(key, function, parameters)
            return await self._workers.invoke_processor(target, processor_spec.component_revision, invocation)

        key = uuid5(_NAMESPACE, f"{source.number}/{plugin.grant_id}/{first}/{end}")
        try:
            refusal = await self._caller.call(processor, batch, str(key), invoke)
        except PreviousInvocationExited as error:
            raise GolemError(f"the oplog processor {plugin.name} has exited: {error.message}") from error
        if refusal is not None:
            self._metrics.error("plugin")
            log.warning("oplog processor %s refused entries of %s: %s", plugin.name, source.worker.worker_id, refusal)

    async def _entries(self, number: WorkerNumber, first: int, end: int) -> list[Entry]:
        entries: list[Entry] = []
        while first <= end:
            chunk = await self._store.read(number, first, end - first + 1, MAX_BATCH_BYTES)
            if not chunk:
                raise NotFound(f"The oplog of worker {number} ends before index {end}")
            entries += [decode_entry(stored.kind, stored.data) for stored in chunk]
            first = chunk[-1].index + 1
        return entries

    async def _running_before(self, number: WorkerNumber, index: int) -> Invocation | None:
        """The invocation that the entry at an index lies in, if one began a little before."""
        end = index
        while end > max(1, index - LOOKED_BACK):
            start = max(1, end - 100)
            for stored in reversed(await self._store.read(number, start, end - start)):
                if stored.kind == InvocationStarted.kind:
                    entry = decode_entry(stored.kind, stored.data)
                    assert isinstance(entry, InvocationStarted)
                    return entry.invocation
                if stored.kind == InvocationFinished.kind:
                    return None
            end = start
        return None


def _may_tell(component: WorkerComponent, plugin: InstalledPlugin) -> bool:
    """A processor that is told of itself would never come to an end."""
    return plugin.processor is not None and plugin.processor.component_id != component.component_id
