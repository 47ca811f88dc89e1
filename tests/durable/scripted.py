"""A world with the guest of `script_guest` and everything outside of the server that its scripts reach."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from golem_server.clock import Clock
from golem_server.durable.guest_facts import GuestSettings
from golem_server.durable.ports import OplogStore, PromiseStore
from golem_server.durable.runtime import ExecutorSettings
from golem_server.host.catalog import ALL
from golem_server.model.errors import GolemError
from golem_server.model.golem_variables import GolemVariables
from golem_server.model.ids import ComponentId, WorkerId
from golem_server.model.oplog import Entry, RetryPolicy
from golem_server.model.status import StatusRecord, decode_status, fold
from golem_server.model.types import Value
from golem_server.model.workers import WorkerStatus
from golem_server.wasm.code_cache import CodeCache
from golem_server.wasm.engine import Engine
from tests.durable.script_guest import HASH, RUN, VERSION, Outside, Revision, outside, script, script_guest
from tests.durable.world import World

AT_ONCE = RetryPolicy(max_attempts=3, min_delay=1, max_delay=1, multiplier=1.0, max_jitter_factor=None)
"""Three attempts more, a millisecond apart."""

Step = str | tuple[str, int]


@dataclass
class MovedClock:
    """The machine's time, and what a test adds to it."""

    ahead: float = 0.0
    _start: float = field(default=1_700_000_000.0)

    def now_ns(self) -> int:
        """Nanoseconds since the epoch."""
        return round((self._start + self.ahead) * 1e9)

    def now(self) -> datetime:
        """The same as a date."""
        return datetime.fromtimestamp(self._start + self.ahead, UTC)

    def monotonic(self) -> float:
        """Seconds since some start."""
        return asyncio.get_running_loop().time() + self.ahead


@dataclass
class Scripted:
    """One worker that follows scripts, `worker`, in a world; `other` names more of them."""

    world: World
    outside: Outside
    component: ComponentId
    calls: list[asyncio.Task[Value]] = field(default_factory=list[asyncio.Task[Value]])

    @property
    def worker(self) -> WorkerId:
        """The worker that is meant where none is named."""
        return self.other("w-1")

    def other(self, name: str) -> WorkerId:
        """Another worker of the component."""
        return WorkerId(self.component, name)

    async def run(self, *steps: Step, key: str | None = None, worker: WorkerId | None = None) -> Value:
        """Invoke and await."""
        return await self.world.call(worker or self.worker, RUN, script(*steps), key=key)

    def begin(self, *steps: Step, key: str | None = None, worker: WorkerId | None = None) -> asyncio.Task[Value]:
        """Invoke and await in the background."""
        call = asyncio.create_task(self.run(*steps, key=key, worker=worker))
        self.calls.append(call)
        return call

    async def send(self, *steps: Step, key: str | None = None, worker: WorkerId | None = None) -> None:
        """Invoke without waiting."""
        await self.world.send(worker or self.worker, RUN, script(*steps), key=key)

    async def hash(self, worker: WorkerId | None = None) -> Value:
        """The worker's state, without changing it."""
        return await self.world.call(worker or self.worker, HASH)

    async def status(self) -> WorkerStatus:
        """The worker's status."""
        return await self.world.status(self.worker)

    async def version(self, worker: WorkerId | None = None) -> Value:
        """The number of the revision whose code answers."""
        return await self.world.call(worker or self.worker, VERSION)

    async def revise(
        self,
        revision: Revision,
        environment: dict[str, str] | None = None,
        golem_variables: GolemVariables | None = None,
    ) -> int:
        """Add a revision of the component; gives its number."""
        shown = environment or {"COLOUR": "green"}
        await self.world.update(self.component, script_guest(revision), shown, golem_variables=golem_variables)
        return (await self.world.latest(self.component)).revision

    async def update(self, target: int, *, manual: bool = False, wake: bool = True) -> None:
        """Ask for an update."""
        await self.world.executor.operations.update(self.worker, target, automatic=not manual, wake=wake)

    async def updates(self) -> tuple[int, int, int]:
        """How many updates of the worker are pending, successful and failed."""
        stored = await self.world.executor.find(self.worker)
        states = [update.state for update in decode_status(stored.columns.record).updates]
        return states.count("pending"), states.count("successful"), states.count("failed")

    async def revision(self) -> int:
        """The revision in force."""
        return (await self.world.executor.find(self.worker)).columns.component_revision

    async def record(self, worker: WorkerId | None = None) -> StatusRecord:
        """The worker's status record as it was stored last."""
        stored = await self.world.store.find_worker(worker or self.worker)
        assert stored is not None
        return decode_status(stored.columns.record)

    async def kinds(self) -> list[str]:
        """The kinds of the committed entries."""
        return await self.world.kinds(self.worker)

    async def entries(self, worker: WorkerId | None = None) -> list[Entry]:
        """The committed entries."""
        return await self.world.entries(worker or self.worker)

    async def until(self, status: WorkerStatus) -> None:
        """Wait for a status."""
        await self.world.until(self.worker, status)

    async def until_written(self, kind: type[Entry], count: int = 1) -> None:
        """Wait until so many entries of a kind are committed."""
        await self.world.until_written(self.worker, kind, count)

    async def interrupt(self, *, recover: bool = False) -> None:
        """Interrupt the worker."""
        await self.world.executor.interrupt(self.worker, recover_immediately=recover)

    async def check_record(self, worker: WorkerId | None = None) -> None:
        """The stored record is what folding the whole oplog gives."""
        assert await self.record(worker) == fold(enumerate(await self.entries(worker), 1))


async def error_of(task: asyncio.Task[Value]) -> GolemError:
    """The error that a call ends with."""
    try:
        value = await task
    except GolemError as error:
        return error
    raise AssertionError(f"no error but {value}")


@asynccontextmanager
async def scripted_world(
    store: OplogStore,
    promises: PromiseStore,
    folder: Path,
    code: tuple[Engine, CodeCache],
    *,
    beyond: Outside | None = None,
    settings: ExecutorSettings | None = None,
    clock: Clock | None = None,
    component: ComponentId | None = None,
    revision: Revision | None = None,
    ephemeral: bool = False,
) -> AsyncGenerator[Scripted]:
    """Open a world. Unless `settings` say something else, nothing in it takes long."""
    reached = Outside() if beyond is None else beyond
    chosen = settings or quick()
    async with World(
        store,
        promises,
        folder,
        interfaces=[*ALL, outside],
        settings=chosen,
        services={Outside: reached},
        clock=clock,
        code=code,
    ) as world:
        made = await world.component(
            script_guest(revision or Revision()), {"COLOUR": "green"}, component_id=component, ephemeral=ephemeral
        )
        scripted = Scripted(world, reached, made)
        yield scripted
        for call in scripted.calls:
            call.cancel()
        await asyncio.gather(*scripted.calls, return_exceptions=True)


NEVER_BY_TIME = 3600.0
"""`first_commit_after` for tests that count commits."""


def quick(**changed: object) -> ExecutorSettings:
    """Settings under which retries and the scheduler lose no time."""
    guest = GuestSettings(retry_policy=AT_ONCE)
    return ExecutorSettings(**{"scheduler_interval": 0.01, "store_retry": 0.01, "guest": guest, **changed})  # pyright: ignore[reportArgumentType]
