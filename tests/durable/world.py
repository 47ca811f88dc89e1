"""A whole executor in a test: real wasm, a store of the test's choice, component text as components.

    async with World(store, promises, folder) as world:
        counter = world.component(COUNTER)
        worker = world.worker(counter, "w-1")
        assert await world.call(worker, "increment") == 1
        await world.crash()                    # everything in memory is gone, nothing else
        assert await world.call(worker, "increment") == 2

`crash` drops the executor as a killed process would: what was not committed is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import UUID, uuid4

from blake3 import blake3
from wasmtime import wat2wasm

from golem_server.clock import Clock, SystemClock
from golem_server.durable.executor import Executor
from golem_server.durable.guest_facts import GuestSettings
from golem_server.durable.host_function import HostFunctions, HostInterface
from golem_server.durable.initial_files import InitialFiles
from golem_server.durable.ports import OplogStore, PromiseStore, ScheduleStore, WorkerComponent
from golem_server.durable.runtime import ExecutorSettings, Runtime
from golem_server.host.catalog import ALL, VIRTUAL_FUNCTIONS
from golem_server.host.generated_clients import ClientFunctions
from golem_server.model.component_agents import ComponentAgents
from golem_server.model.dynamic_links import NO_LINKS, DynamicLinks
from golem_server.model.errors import NotFound
from golem_server.model.function_names import FunctionResolver
from golem_server.model.golem_variables import GolemVariables, variables_of
from golem_server.model.ids import AccountId, ComponentId, EnvironmentId, WorkerId, WorkerNumber
from golem_server.model.initial_files import InitialFile
from golem_server.model.oplog import EncodedEntry, Entry, Invocation
from golem_server.model.plugins import InstalledPlugin
from golem_server.model.types import Value
from golem_server.model.workers import NewWorker, OplogBatch, StatusColumns, StoredWorker, WorkerStatus
from golem_server.telemetry import Metrics
from golem_server.wasm.code_cache import CodeCache
from golem_server.wasm.engine import Engine
from golem_server.wasm.instance import Limits
from golem_server.wasm.linking import LinkedComponent
from tests.durable.memory_schedule import MemoryScheduleStore

ENVIRONMENT = EnvironmentId(UUID(int=0xE))
ACCOUNT = AccountId(UUID(int=0xA))


@dataclass(frozen=True)
class Revision:
    """A component's revision in memory."""

    component_id: ComponentId
    revision: int
    wasm_hash: str
    size_bytes: int
    environment: dict[str, str]
    functions: FunctionResolver
    fetch: Callable[[], Awaitable[bytes]]
    environment_id: EnvironmentId = ENVIRONMENT
    account_id: AccountId = ACCOUNT
    created_by: AccountId = ACCOUNT
    initial_memory_bytes: int = 65536
    links: DynamicLinks = NO_LINKS
    agents: ComponentAgents | None = None
    files: tuple[InitialFile, ...] = ()
    ephemeral: bool = False
    golem_variables: GolemVariables = GolemVariables.GOLEM_1_4

    def installed_plugins(self, agent_type: str) -> tuple[InstalledPlugin, ...]:
        """None."""
        return ()

    def initial_files(self, agent_type: str) -> tuple[InitialFile, ...]:
        """The same for all types."""
        return self.files


class WatchedStore:
    """Passes everything on to a store, and tells when a status was written."""

    def __init__(self, store: OplogStore) -> None:
        self._store = store
        self._ids: dict[WorkerNumber, WorkerId] = {}
        self.changed = asyncio.Condition()
        self.last_status: dict[WorkerId, WorkerStatus] = {}
        self.read = store.read
        self.list_workers = store.list_workers
        self.delete_worker = store.delete_worker
        self.workers_to_recover = store.workers_to_recover
        self.workers_to_wake = store.workers_to_wake
        self.next_wake = store.next_wake
        self.bury: Callable[[], None] = getattr(store, "bury", lambda: None)

    async def create_worker(self, worker: NewWorker, create: EncodedEntry, columns: StatusColumns) -> WorkerNumber:
        """Create and remember the number."""
        number = await self._store.create_worker(worker, create, columns)
        self._ids[number] = worker.worker_id
        await self._written(number, columns)
        return number

    async def fork_worker(
        self,
        source: WorkerNumber,
        cut_off: int,
        worker: NewWorker,
        create: EncodedEntry,
        tail: Sequence[EncodedEntry],
        columns: StatusColumns,
    ) -> WorkerNumber:
        """Copy and remember the number."""
        number = await self._store.fork_worker(source, cut_off, worker, create, tail, columns)
        self._ids[number] = worker.worker_id
        await self._written(number, columns)
        return number

    async def find_worker(self, worker_id: WorkerId) -> StoredWorker | None:
        """Find, and remember the number: another server may have created the worker."""
        stored = await self._store.find_worker(worker_id)
        if stored is not None:
            self._ids[stored.number] = worker_id
        return stored

    async def append(self, batch: OplogBatch) -> None:
        """Append and tell the status."""
        await self._store.append(batch)
        await self._written(batch.number, batch.columns)

    async def _written(self, number: WorkerNumber, columns: StatusColumns) -> None:
        self.last_status[self._ids[number]] = columns.status
        async with self.changed:
            self.changed.notify_all()


class World:
    """Components and an executor over one store; `executor` is replaced by `crash`."""

    def __init__(
        self,
        store: OplogStore,
        promises: PromiseStore,
        folder: Path,
        *,
        schedule: ScheduleStore | None = None,
        interfaces: Iterable[HostInterface] = ALL,
        settings: ExecutorSettings | None = None,
        services: Mapping[type[Any], Any] | None = None,
        clock: Clock | None = None,
        code: tuple[Engine, CodeCache] | None = None,
    ) -> None:
        self._watched = WatchedStore(store)
        self.store: OplogStore = self._watched
        self._own_code = code is None
        self.engine, self._code = _own_code(folder) if code is None else code
        self._functions = HostFunctions(interfaces)
        self._revisions: dict[ComponentId, list[Revision]] = {}
        self._linked: dict[tuple[str, DynamicLinks], LinkedComponent] = {}
        self.names: dict[str, ComponentId] = {}
        self.clock = clock or SystemClock()
        self.contents: dict[str, bytes] = {}
        self.runtime = Runtime(
            store=self.store,
            promises=promises,
            schedule=schedule or MemoryScheduleStore(store),
            components=self,
            link=self.link,
            clock=self.clock,
            files=folder / "files",
            initial_files=InitialFiles(folder / "initial-files", self.file_contents),
            services=services or {},
            limits=Limits(),
            settings=settings or ExecutorSettings(guest=GuestSettings()),
            metrics=Metrics(),
            virtual_functions=VIRTUAL_FUNCTIONS,
        )
        self.executor = Executor(self.runtime)

    async def __aenter__(self) -> World:
        await self.executor.start()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.executor.stop(0)
        if self._own_code:
            self._code.close()
            self.engine.close()

    async def component(
        self,
        text: str | bytes,
        environment: dict[str, str] | None = None,
        component_id: ComponentId | None = None,
        *,
        name: str | None = None,
        links: DynamicLinks = NO_LINKS,
        agents: ComponentAgents | None = None,
        files: tuple[InitialFile, ...] = (),
        ephemeral: bool = False,
    ) -> ComponentId:
        """Add a component, from text or binary. The contents of files are in `contents`."""
        component_id = component_id or ComponentId(uuid4())
        self._revisions[component_id] = []
        if name is not None:
            self.names[name] = component_id
        await self.update(component_id, text, environment, links, agents, files, ephemeral)
        return component_id

    async def update(
        self,
        component_id: ComponentId,
        text: str | bytes,
        environment: dict[str, str] | None = None,
        links: DynamicLinks = NO_LINKS,
        agents: ComponentAgents | None = None,
        files: tuple[InitialFile, ...] = (),
        ephemeral: bool = False,
        golem_variables: GolemVariables | None = None,
    ) -> None:
        """Add a revision of a component, made for the Golem that its interfaces tell of, or another."""
        wasm = bytes(wat2wasm(text)) if isinstance(text, str) else text
        wasm_hash = blake3(wasm).hexdigest()

        async def fetch() -> bytes:
            return wasm

        compiled = await self._code.load(wasm_hash, fetch)
        revisions = self._revisions[component_id]
        revisions.append(
            Revision(
                component_id=component_id,
                revision=len(revisions),
                wasm_hash=wasm_hash,
                size_bytes=len(wasm),
                environment=environment or {},
                functions=FunctionResolver(compiled.type),
                fetch=fetch,
                links=links,
                agents=agents,
                files=files,
                ephemeral=ephemeral,
                golem_variables=golem_variables or variables_of(compiled.type),
            )
        )

    async def file_contents(self, content_hash: str) -> AsyncIterator[bytes]:
        """The content of an initial file."""
        yield self.contents[content_hash]

    async def link(self, component: WorkerComponent) -> LinkedComponent:
        """The component, compiled and linked, once."""
        key = (component.wasm_hash, component.links)
        linked = self._linked.get(key)
        if linked is None:
            compiled = await self._code.load(component.wasm_hash, component.fetch)
            functions = ClientFunctions(self._functions, compiled.type, component.links)
            linked = self._linked[key] = LinkedComponent(self.engine, compiled, functions)
        return linked

    async def by_name(self, environment_id: EnvironmentId, name: str) -> WorkerComponent:
        """The component that was given this name."""
        if name not in self.names or environment_id != ENVIRONMENT:
            raise NotFound(f"Component for name {name} not found in environment")
        return await self.latest(self.names[name])

    async def latest(self, component_id: ComponentId) -> WorkerComponent:
        """The newest revision."""
        if component_id not in self._revisions:
            raise NotFound("Component not found")
        return self._revisions[component_id][-1]

    async def revision(self, component_id: ComponentId, revision: int) -> WorkerComponent:
        """One revision."""
        if revision >= len(self._revisions[component_id]):
            raise NotFound(f"Component revision {revision} not found")
        return self._revisions[component_id][revision]

    # --- Using it

    async def call(self, worker: WorkerId, function: str, *parameters: Value, key: str | None = None) -> Value:
        """Invoke and await."""
        return await self.executor.invoke_and_await(worker, invocation(function, parameters, key))

    async def send(self, worker: WorkerId, function: str, *parameters: Value, key: str | None = None) -> None:
        """Invoke without waiting."""
        await self.executor.invoke(worker, invocation(function, parameters, key))

    async def entries(self, worker: WorkerId) -> list[Entry]:
        """The committed oplog."""
        stored = await self.store.find_worker(worker)
        assert stored is not None
        listed: list[Entry] = []
        while True:
            part = await self.executor.oplog(worker, len(listed) + 1, 100)
            listed += [entry for _, entry in part.entries]
            if len(listed) >= part.last_index:
                return listed

    async def kinds(self, worker: WorkerId) -> list[str]:
        """The names of the committed entries' kinds."""
        return [type(entry).__name__ for entry in await self.entries(worker)]

    async def status(self, worker: WorkerId) -> WorkerStatus:
        """The worker's status."""
        return (await self.executor.find(worker)).columns.status

    async def until(self, worker: WorkerId, status: WorkerStatus) -> None:
        """Wait for a status, which must come."""
        async with asyncio.timeout(20), self._watched.changed:
            await self._watched.changed.wait_for(lambda: self._watched.last_status.get(worker) is status)

    async def until_written(self, worker: WorkerId, kind: type[Entry], count: int = 1) -> None:
        """Wait until so many entries of a kind are committed."""
        async with asyncio.timeout(20), self._watched.changed:
            while await self.store.find_worker(worker) is None or count > sum(
                isinstance(entry, kind) for entry in await self.entries(worker)
            ):
                await self._watched.changed.wait()

    async def crash(self, *, start: bool = True) -> None:
        """Lose everything in memory at once and start again on the same store."""
        self._watched.bury()
        await abandon(self.executor)
        self.executor = Executor(self.runtime)
        if start:
            await self.executor.start()


def _own_code(folder: Path) -> tuple[Engine, CodeCache]:
    engine = Engine()
    return engine, CodeCache(engine, folder / "code")


async def abandon(executor: Executor) -> None:
    """Drop an executor as a killed process would: no entry is written any more."""
    # What is stopped may begin something else: a worker that was to be updated, another try after a lost write.
    while tasks := [
        *executor._background,  # pyright: ignore[reportPrivateUsage]
        *(task for task in asyncio.all_tasks() if task.get_name().startswith("worker ")),
    ]:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    # A write that the database has already been sent may still win, but not after the next executor has looked.
    for worker in executor._workers.values():  # pyright: ignore[reportPrivateUsage]
        await worker.oplog.settle()


def invocation(function: str, parameters: Iterable[Value] = (), key: str | None = None) -> Invocation:
    """An invocation as a route makes it."""
    return Invocation(key or str(uuid4()), function, list(parameters))
