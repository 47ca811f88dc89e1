"""One worker under everything at once: callers, updates, interrupts, cancellations, crashes and a store that falters.

Each store operation takes some turns of the loop, so that all else gets in between; what is asked for, and when, is
drawn from a seed. Some scripts wait for a promise or the time, and leave memory for that. Now and then all comes to
rest; then everything that reliability demands must be true of the worker, and it may be reverted to an earlier rest, or
copied as it was then. `SIMULATION_SEED` repeats a run, as far as a seed decides it; `SOAK=1` makes more of them.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from golem_server.durable.reverting import ToOplogIndex
from golem_server.model.errors import GolemError, NotFound, Unavailable
from golem_server.model.ids import OplogIndex, PromiseId, WorkerId, WorkerNumber
from golem_server.model.oplog import EncodedEntry, HostCall, InvocationStarted, decode_entry
from golem_server.model.status import decode_status, fold, in_regions
from golem_server.model.types import Value
from golem_server.model.workers import NewWorker, OplogBatch, StatusColumns, StoredEntry, StoredWorker
from golem_server.wasm.code_cache import CodeCache
from golem_server.wasm.engine import Engine
from tests.durable.memory_promises import MemoryPromiseStore
from tests.durable.script_guest import HASH, RUN, Outside, Revision, script
from tests.durable.scripted import MovedClock, Scripted, Step, scripted_world
from tests.durable.world import invocation
from tests.host.memory_store import MemoryOplogStore

RUNS = 2_000 if os.environ.get("SOAK") == "1" else 40
RESTS = 5
CREATE_PROMISE = "golem::api::create_promise"
FAULTS = 0.01

T = TypeVar("T")

REVISIONS = (
    Revision(number=1, saves="bytes", loads="bytes"),
    Revision(number=2, saves="bytes", loads="bytes-trap"),
    Revision(number=3, seed=1),
)
"""One that every update to works, and two to which it fails: by its snapshot, or always."""


class FalteringStore(MemoryOplogStore):
    """A store in memory whose operations take a random number of turns, and sometimes say that they failed."""

    def __init__(self, moments: random.Random) -> None:
        super().__init__()
        self._moments = moments
        self.faults = 0.0

    async def _turns(self) -> None:
        for _ in range(self._moments.randrange(5)):
            await asyncio.sleep(0)
        if self._moments.random() < self.faults:
            raise Unavailable("The store cannot be reached")

    def promises(self, worker_id: WorkerId, after: int) -> list[int]:
        """The indexes of the promises that a worker has made behind an index, as far as is known."""
        number = next((number for number, row in self._workers.items() if row.worker.worker_id == worker_id), None)
        stored = self._entries[number][after:] if number is not None else []
        calls = [(entry.index, decode_entry(entry.kind, entry.data)) for entry in stored if entry.kind == HostCall.kind]
        return [index for index, call in calls if isinstance(call, HostCall) and call.function == CREATE_PROMISE]

    async def create_worker(self, worker: NewWorker, create: EncodedEntry, columns: StatusColumns) -> WorkerNumber:
        """Create, or not, or create and say that it failed."""
        await self._turns()
        number = await super().create_worker(worker, create, columns)
        await self._turns()
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
        """Copy in one turn, when its turn has come."""
        await self._turns()
        faults, self.faults = self.faults, 0.0
        number = await super().fork_worker(source, cut_off, worker, create, tail, columns)
        self.faults = faults
        await self._turns()
        return number

    async def find_worker(self, worker_id: WorkerId) -> StoredWorker | None:
        """Find, late."""
        await self._turns()
        found = await super().find_worker(worker_id)
        await self._turns()
        return found

    async def append(self, batch: OplogBatch) -> None:
        """Append, or not, or append and say that it failed."""
        await self._turns()
        await super().append(batch)
        await self._turns()

    async def read(
        self, number: WorkerNumber, first: int, count: int, max_bytes: int | None = None
    ) -> list[StoredEntry]:
        """Read, late."""
        await self._turns()
        return await super().read(number, first, count, max_bytes)


@dataclass
class SlowOutside(Outside):
    """Effects take a random number of turns too."""

    moments: random.Random = field(default_factory=random.Random)

    async def reached(self, place: str) -> None:
        """Some turns after the effect the guest hears of it."""
        await super().reached(place)
        for _ in range(self.moments.randrange(8)):
            await asyncio.sleep(0)


@dataclass(frozen=True)
class Rest:
    """What the worker was like when nothing went on: the end of its oplog, its state, its answers by key."""

    end: int
    state: Value
    answers: dict[str, Value]


class Simulation:
    """The clients of one worker. `keys` counts the idempotency keys, each of which stands for one script."""

    def __init__(self, scripted: Scripted, store: FalteringStore, clock: MovedClock, moments: random.Random) -> None:
        self.scripted = scripted
        self.store = store
        self.clock = clock
        self.moments = moments
        self.keys = 0
        self.copies = 0
        self.looked_upto = 0
        self.rests: list[Rest] = []
        self.asked: dict[str, Value] = {}
        self._under_way: set[asyncio.Task[Any]] = set()
        self._alive = asyncio.Event()
        self._alive.set()

    # --- What clients do

    async def once(self, request: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """One request to the server that runs. Raises Unavailable if that is killed meanwhile."""
        while not self._alive.is_set():
            await self._alive.wait()
        task = asyncio.ensure_future(request())
        self._under_way.add(task)
        try:
            await asyncio.wait({task})
        finally:
            self._under_way.discard(task)
        if task.cancelled():
            raise Unavailable("killed")
        return task.result()

    async def until_answered(self, request: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Ask until there is an answer."""
        while True:
            try:
                return await self.once(request)
            except GolemError as error:
                if not _may_be_asked_again(error):
                    raise

    async def ask(self, worker: WorkerId, key: str, function: str, *parameters: Value) -> Value:
        """Invoke and await."""
        return await self.until_answered(
            lambda: self.scripted.world.executor.invoke_and_await(worker, invocation(function, parameters, key))
        )

    async def ask_key(self, number: int) -> None:
        """Ask for the answer to a key: always the same one."""
        answer = await self.ask(self.scripted.worker, f"key-{number}", RUN, script_of(number))
        assert self.asked.setdefault(f"key-{number}", answer) == answer

    async def send_key(self, number: int) -> None:
        """Queue it; it runs when this has returned, whatever happens."""
        made = invocation(RUN, (script_of(number),), f"key-{number}")
        await self.until_answered(lambda: self.scripted.world.executor.invoke(self.scripted.worker, made))

    async def perhaps(self, request: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Ask once for something that may be refused."""
        with suppress(GolemError):
            await self.once(request)

    async def help_those_who_wait(self) -> None:
        """Complete each promise, some time after the worker has made it, and let time pass."""
        worker = self.scripted.worker
        while True:
            for _ in range(self.moments.randrange(40)):
                await asyncio.sleep(0)
            self.clock.ahead += self.moments.randrange(15)
            made = self.store.promises(worker, self.looked_upto)
            for index in made:
                await self.complete(PromiseId(worker, OplogIndex(index)))
            self.looked_upto = max(made, default=self.looked_upto)

    async def complete(self, promise: PromiseId) -> None:
        """Complete a promise; one that is jumped over or reverted can be gone."""
        data = str(promise.oplog_index).encode()
        with suppress(NotFound):
            await self.until_answered(lambda: self.scripted.world.executor.complete_promise(promise, data))

    async def crash(self) -> None:
        """The server is killed, and its clients hear nothing more."""
        self._alive.clear()
        for task in list(self._under_way):
            task.cancel()
        await self.scripted.world.crash()
        self._alive.set()

    def action(self) -> Awaitable[None]:
        """Something that a client does."""
        worker, world, moments = self.scripted.worker, self.scripted.world, self.moments
        kind = moments.choice(["ask", "ask", "ask", "send", "update", "update", "interrupt", "resume", "cancel"])
        number = moments.randrange(self.keys - 4, self.keys)
        if kind == "ask":
            return self.ask_key(number)
        if kind == "send":
            return self.send_key(number)
        if kind == "update":
            target, automatic = moments.randrange(len(REVISIONS) + 2), moments.random() < 0.5
            return self.perhaps(lambda: world.executor.operations.update(worker, target, automatic=automatic))
        if kind == "cancel":
            return self.perhaps(lambda: world.executor.operations.cancel_pending(worker, f"key-{number}"))
        if kind == "resume":
            return self.perhaps(lambda: world.executor.resume(worker))
        recover = moments.random() < 0.3
        return self.perhaps(lambda: world.executor.interrupt(worker, recover_immediately=recover))

    # --- Storm and rest

    async def storm(self) -> None:
        """Some clients at once, and now and then a crash."""
        self.keys += 4
        for number in range(self.keys - 4, self.keys):
            # A script that may go back in time does so once.
            self.scripted.outside.answers[number] = [1, 0]
        self.store.faults = FAULTS
        helper = asyncio.ensure_future(self.help_those_who_wait())
        clients: list[asyncio.Task[None]] = []
        for _ in range(self.moments.randrange(4, 14)):
            clients.append(asyncio.ensure_future(_as_coroutine(self.action())))
            for _ in range(self.moments.randrange(12)):
                await asyncio.sleep(0)
            if self.moments.random() < 0.1:
                await self.crash()
        await asyncio.gather(*clients)
        self.store.faults = 0.0
        # Whatever was queued is done when the last one is.
        for number in range(self.keys - 4, self.keys):
            await self.ask_key(number)
        helper.cancel()

    async def rest(self) -> None:
        """Nothing goes on: look at everything."""
        worker = self.scripted.worker
        state = await self.ask(worker, f"rest-{self.keys}", HASH)
        await self.until_unchanged()
        stored = await self.scripted.world.executor.find(worker)
        record = decode_status(stored.columns.record)
        entries = await self.scripted.entries()
        assert record == fold(enumerate(entries, 1))
        assert record.pending == []
        assert all(update.state != "pending" for update in record.updates)
        started = Counter(
            entry.invocation.idempotency_key
            for index, entry in enumerate(entries, 1)
            if isinstance(entry, InvocationStarted) and not in_regions(record.deleted_regions, index)
        )
        assert set(started.values()) == {1}
        assert set(started) >= set(self.asked)
        for number, keys in self.scripted.outside.keys.items():
            # One that was under way in a crash is had again, under the same key.
            assert len(set(keys)) == 1, f"effect {number}"
        if self.moments.random() < 0.5:
            await self.crash()
        answers = dict(self.asked)
        for key, answer in answers.items():
            assert await self.ask(worker, key, RUN, b"") == answer
        assert await self.ask(worker, f"rest-{self.keys}", HASH) == state
        self.rests.append(Rest(record.last_index, state, answers))

    async def until_unchanged(self) -> None:
        """Wait until the worker has no task and nothing to write."""
        held = self.scripted.world.executor._workers.get(self.scripted.worker)  # pyright: ignore[reportPrivateUsage]
        if held is not None:
            await held.idle()
            await held.oplog.commit()

    async def go_back(self) -> None:
        """Revert the worker to an earlier rest."""
        place = self.moments.randrange(len(self.rests))
        target = self.rests[place]
        effects = Counter(self.scripted.outside.effects)
        await self.until_answered(
            lambda: self.scripted.world.executor.operations.revert(self.scripted.worker, ToOplogIndex(target.end))
        )
        del self.rests[place + 1 :]
        self.asked = dict(target.answers)
        assert await self.ask(self.scripted.worker, f"back-{self.keys}", HASH) == target.state
        assert self.scripted.outside.effects == effects
        self.keys += 1

    async def copy(self) -> None:
        """Copy the worker as it was at an earlier rest."""
        target = self.moments.choice(self.rests)
        self.copies += 1
        copy = self.scripted.other(f"copy-{self.copies}")
        await self.once(lambda: self.scripted.world.executor.operations.fork(self.scripted.worker, copy, target.end))
        assert await self.ask(copy, "state", HASH) == target.state
        for key, answer in target.answers.items():
            assert await self.ask(copy, key, RUN, b"") == answer

    async def run(self) -> None:
        """The whole of it."""
        await self.ask(self.scripted.worker, "first", RUN, script("random"))
        for _ in range(RESTS):
            await self.storm()
            await self.rest()
            if self.moments.random() < 0.5:
                await self.go_back()
            if self.moments.random() < 0.3:
                await self.copy()


def script_of(number: int) -> bytes:
    """What a key stands for."""
    effect: Step = ("effect", number)
    kinds: list[tuple[Step, ...]] = [
        (effect,),
        ("random", effect, "now"),
        ("begin", "random", ("print", number), "end", effect),
        ("key", ("warn", number), effect, "random"),
        ("random", "mark", "now", ("sleep", 0), ("jump", number), effect),
        ("promise", "await", effect),
        ("now", ("sleep", 200), effect, "now"),
    ]
    return script(*kinds[number % len(kinds)])


def _may_be_asked_again(error: GolemError) -> bool:
    return isinstance(error, Unavailable) or type(error).__name__ == "WorkerInterrupted"


async def _as_coroutine(action: Awaitable[None]) -> None:
    await action


@asynccontextmanager
async def simulation(seed: str, folder: Path, code: tuple[Engine, CodeCache]) -> AsyncGenerator[Simulation]:
    """A world with its clients."""
    moments = random.Random(seed)
    store = FalteringStore(moments)
    first = Revision(saves="bytes", loads="bytes")
    beyond = SlowOutside(moments=moments)
    clock = MovedClock()
    async with scripted_world(
        store, MemoryPromiseStore(store), folder, code, beyond=beyond, revision=first, clock=clock
    ) as scripted:
        for revision in REVISIONS:
            await scripted.revise(revision)
        yield Simulation(scripted, store, clock, moments)


@pytest.mark.timeout(3600 if RUNS > 100 else 300)
async def test_everything_at_once(code: tuple[Engine, CodeCache], tmp_path: Path) -> None:
    chosen = os.environ.get("SIMULATION_SEED")
    base = random.SystemRandom().randrange(1 << 32)
    for run in range(1 if chosen else RUNS):
        seed = chosen or f"{base}-{run}"
        try:
            async with asyncio.timeout(30), simulation(seed, tmp_path / seed, code) as simulated:
                await simulated.run()
        except BaseException:
            print(f"SIMULATION_SEED={seed}")
            raise
