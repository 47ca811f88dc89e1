"""A worker without a guest: host functions are called as a guest would call them, live and in replay.

    worker = await HostWorker.create(tmp_path, INTERFACES)
    first = await worker.call("wasi:clocks/wall-clock", "now")
    await worker.replay()                  # what is buffered becomes durable, the instance starts again
    assert await worker.call("wasi:clocks/wall-clock", "now") == first

Time stands still until a test moves it (`worker.clock.advance`), or until a guest waits for it in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from types import CoroutineType
from typing import Any
from uuid import UUID

from golem_server.durable.context import WorkerContext
from golem_server.durable.guest_facts import GuestSettings
from golem_server.durable.host_function import HostFunctions, HostInterface
from golem_server.durable.oplog import WorkerOplog
from golem_server.durable.oplog_reading import OplogPart, read_part, search_part
from golem_server.durable.ports import WorkerComponent
from golem_server.durable.replay import ReplayCursor
from golem_server.durable.rpc import WorkerCalls
from golem_server.durable.worker_operations import WorkerOperations
from golem_server.model.component_agents import Agent
from golem_server.model.errors import NotFound, WorkerNotFound
from golem_server.model.ids import ComponentId, PromiseId, WorkerId, WorkerNumber
from golem_server.model.oplog import ConfigEntry, Create, Entry, HostCall, Invocation, InvocationStarted, encode_entry
from golem_server.model.oplog_query import Query
from golem_server.model.status import StatusRecord, fold
from golem_server.model.trace import SpanData
from golem_server.model.types import FunctionType, Value
from golem_server.model.workers import NewWorker
from golem_server.wasm.linking import Resolver
from tests.host.called_workers import CalledWorkers
from tests.host.memory_store import MemoryOplogStore

ANY_TYPE = FunctionType((), None)
START_NS = 1_700_000_000_000_000_000
QUIET_ROUNDS = 20
"""Rounds of the event loop after which everything that is ready is taken to have run."""

ENVIRONMENT_ID = UUID(int=0xE1)
ACCOUNT_ID = UUID(int=0xAC)
INVOCATION = Invocation("key-1", "run", [], "7" * 32, [], [SpanData("1" * 16, 0)], "2" * 16)
WORKER_ID = WorkerId(ComponentId(UUID(int=0xC0FFEE << 64 | 0x1234)), "worker-1")


class ManualClock:
    """Time that only moves when told."""

    def __init__(self) -> None:
        self.nanoseconds = START_NS

    def advance(self, seconds: float) -> None:
        """Let this much time pass."""
        self.nanoseconds += round(seconds * 1e9)

    def now_ns(self) -> int:
        """Nanoseconds since the epoch."""
        return self.nanoseconds

    def now(self) -> datetime:
        """The same as a date."""
        return datetime.fromtimestamp(self.nanoseconds / 1e9, UTC)

    def monotonic(self) -> float:
        """Seconds."""
        return self.nanoseconds / 1e9


class MemoryWorkers:
    """Promises in memory: every promise exists, unless it is of `missing`."""

    def __init__(self, store: MemoryOplogStore) -> None:
        self._store = store
        self.data: dict[PromiseId, bytes] = {}
        self.missing: set[PromiseId] = set()
        self.called = CalledWorkers()
        self.changes: WorkerOperations | None = None
        self._completed = asyncio.Condition()

    async def promise_data(self, promise: PromiseId) -> bytes | None:
        """What a promise was completed with."""
        if promise in self.missing:
            raise NotFound(f"Promise not found: {promise}")
        return self.data.get(promise)

    async def complete_promise(self, promise: PromiseId, data: bytes) -> bool:
        """The first one wins."""
        if promise in self.missing:
            raise NotFound(f"Promise not found: {promise}")
        if promise in self.data:
            return False
        self.data[promise] = data
        async with self._completed:
            self._completed.notify_all()
        return True

    def promises_held(self, worker_id: WorkerId) -> AbstractAsyncContextManager[None]:
        """Nobody suspends."""
        return nullcontext()

    async def wait_for_promise(self, promise: PromiseId) -> None:
        """Return when it is complete."""
        async with self._completed:
            await self._completed.wait_for(lambda: promise in self.data)

    async def worker_status(self, worker_id: WorkerId) -> StatusRecord | None:
        """There are no workers."""
        return None

    async def oplog(
        self, worker_id: WorkerId, first: int, count: int, *, query: Query | None = None, last: int | None = None
    ) -> OplogPart:
        """The committed entries of a worker in the store."""
        stored = await self._store.find_worker(worker_id)
        if stored is None:
            raise WorkerNotFound(worker_id)
        end = stored.columns.last_index if last is None else last
        if query is None:
            return await read_part(self._store, stored.number, first, count, end)
        return await search_part(self._store, stored.number, first, count, end, query)

    async def component_of(self, worker_id: WorkerId) -> WorkerComponent:
        """There are none."""
        raise NotFound(f"Component not found: {worker_id.component_id}")

    @property
    def operations(self) -> WorkerOperations:
        """Changes of the workers in `changes`, where a test has any."""
        assert self.changes is not None, "nobody updates, reverts or copies workers in this test"
        return self.changes

    @property
    def calls(self) -> WorkerCalls:
        """Calls to the workers in `called`."""
        return self.called.calls


class VirtualTimeContext(WorkerContext):
    """Waiting for time makes it pass: the clock jumps to the earliest time that somebody waits for."""

    def __init__(self, **facts: Any) -> None:
        super().__init__(**facts)
        self._awaited: list[int] = []

    async def pause(self, seconds: float) -> None:
        """Let the time pass at once, after everything else that is ready has run."""
        assert isinstance(self.clock, ManualClock)
        end = self.clock.nanoseconds + round(seconds * 1e9)
        self._awaited.append(end)
        try:
            rounds = 0
            while self.clock.nanoseconds < end:
                rounds = rounds + 1 if end == min(self._awaited) else 0
                if rounds > QUIET_ROUNDS:
                    self.clock.nanoseconds = end
                else:
                    await asyncio.sleep(0)
        finally:
            self._awaited.remove(end)


class HostWorker:
    """One worker's context over an oplog in memory, inside its first invocation."""

    def __init__(self, files: Path, interfaces: Iterable[HostInterface], **facts: Any) -> None:
        self.store = MemoryOplogStore(facts.pop("number", 1))
        self.clock = ManualClock()
        self.workers = MemoryWorkers(self.store)
        self.functions = HostFunctions(interfaces)
        self.resolver: Resolver = self.functions
        self.services: Mapping[type[Any], Any] = facts.pop("services", {})
        self.settings: GuestSettings = facts.pop("settings", GuestSettings())
        self.environment: dict[str, str] = facts.pop("environment", {})
        self.config: dict[str, str] = facts.pop("config", {})
        self.arguments: list[str] = facts.pop("arguments", [])
        self.agent: Agent | None = facts.pop("agent", None)
        self.agent_config: dict[tuple[str, ...], ConfigEntry] = facts.pop("agent_config", {})
        self.environment_id: UUID = facts.pop("environment_id", ENVIRONMENT_ID)
        assert not facts, facts
        self.number = WorkerNumber(0)
        self._root = files
        self._lives = 0
        self.context: WorkerContext

    @classmethod
    async def create(cls, files: Path, interfaces: Iterable[HostInterface], **facts: Any) -> HostWorker:
        """A new worker, live.

        Facts: services, settings, environment, config, arguments, number, invocation, agent, agent_config,
        environment_id.
        """
        invocation: Invocation = facts.pop("invocation", INVOCATION)
        worker = cls(files, interfaces, **facts)
        create = Create(
            timestamp=0,
            component_id=WORKER_ID.component_id,
            name=WORKER_ID.name,
            component_revision=3,
            environment_id=worker.environment_id,
            created_by=ACCOUNT_ID,
            instance_id=UUID(int=1),
            agent_type="" if worker.agent is None else worker.agent.type.name,
            ephemeral=worker.agent is not None and worker.agent.is_ephemeral,
        )
        status = fold([(1, create)])
        worker.number = await worker.store.create_worker(
            NewWorker(
                worker_id=WORKER_ID,
                environment_id=worker.environment_id,
                created_by=ACCOUNT_ID,
                created_at=0,
                arguments=worker.arguments,
                environment=worker.environment,
            ),
            encode_entry(create),
            status.columns(None),
        )
        worker.context = worker._instance(WorkerOplog(worker.store, worker.number, status), None)
        worker.context.append(InvocationStarted(timestamp=0, invocation=invocation))
        worker.context.invocation_began(invocation, 0)
        return worker

    def _instance(self, oplog: WorkerOplog, cursor: ReplayCursor | None) -> WorkerContext:
        self._lives += 1
        files = self._root / str(self._lives)
        files.mkdir(parents=True)
        return VirtualTimeContext(
            worker_id=WORKER_ID,
            component_revision=3,
            environment_id=self.environment_id,
            account_id=ACCOUNT_ID,
            arguments=self.arguments,
            environment=self.environment,
            config=self.config,
            clock=self.clock,
            oplog=oplog,
            cursor=cursor,
            files=files,
            workers=self.workers,
            services=self.services,
            settings=self.settings,
            agent=self.agent,
            agent_config=self.agent_config,
        )

    async def replay(self, *, keep_buffered: bool = True) -> WorkerContext:
        """Give the instance up and start it again from the oplog, at the beginning of its invocation.

        With `keep_buffered` what was not committed is committed first; without, it is lost as in a crash.
        """
        if keep_buffered:
            await self.context.oplog.commit()
        await self.context.oplog.settle()
        self.context.close()
        entries = self.store.entries(self.number)
        status = fold(enumerate(entries, 1))
        cursor = ReplayCursor(self.store, self.number, first=2, target=len(entries), skipped=status.skipped_regions)
        self.context = self._instance(WorkerOplog(self.store, self.number, status), cursor)
        await self.context.settle_replay()
        started = await self.context.take(InvocationStarted)
        self.context.invocation_began(started.invocation, started.timestamp)
        return self.context

    async def call(self, interface: str, name: str, *arguments: Value) -> Value:
        """Call a host function as the guest would."""
        function = self.functions.function(interface, name, ANY_TYPE)
        assert function is not None, f"{interface} has no {name}"
        result = function(self.context, *arguments)
        return await result if result.__class__ is CoroutineType else result

    async def entries(self) -> list[Entry]:
        """The whole oplog, after a commit."""
        await self.context.oplog.commit()
        return self.store.entries(self.number)

    async def host_calls(self) -> list[HostCall]:
        """The recorded calls, after a commit."""
        return [entry for entry in await self.entries() if isinstance(entry, HostCall)]
