"""Workers that call each other: once, whatever is killed, and without holding each other or the server up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from golem_server.model.errors import InvocationFailed, WorkerInterrupted
from golem_server.model.ids import WorkerId
from golem_server.model.oplog import InvocationFinished, InvocationStarted
from golem_server.model.types import Value
from golem_server.model.workers import WorkerStatus
from golem_server.wasm.code_cache import CodeCache
from golem_server.wasm.engine import Engine
from tests.crash.changing_guest import changing_guest
from tests.durable.memory_promises import MemoryPromiseStore
from tests.durable.scripted import MovedClock, error_of, quick
from tests.durable.test_commit_boundaries import KilledAt
from tests.durable.world import World
from tests.guests import build
from tests.host.memory_store import MemoryOplogStore

ADD = "golem:it/counter.{add}"
HALF = (1 << 64) - 1


@dataclass
class Pair:
    """A caller whose target is a counter."""

    world: World
    caller: WorkerId
    target: WorkerId
    clock: MovedClock

    async def ask(self, function: str, *parameters: Value, key: str | None = None) -> Value:
        """Call a function of the caller."""
        return await self.world.call(self.caller, f"golem:it/caller.{{{function}}}", *parameters, key=key)

    async def count(self) -> Value:
        """The target's count."""
        return await self.world.call(self.target, "golem:it/counter.{get}")

    async def aim(self, caller: WorkerId, target: WorkerId, function: str) -> None:
        """Tell a caller whom to call."""
        high, low = target.component_id.int >> 64, target.component_id.int & HALF
        name = "golem:it/caller.{target}"
        await self.world.call(caller, name, high, low, target.name, function, key=f"aim-{caller.name}")


Open = Callable[..., Awaitable[Pair]]


@pytest.fixture
async def open_pair(code: tuple[Engine, CodeCache], tmp_path: Path) -> AsyncGenerator[Open]:
    """Opens worlds in memory."""
    async with AsyncExitStack() as stack:

        async def opened(store: MemoryOplogStore | None = None, folder: str = "") -> Pair:
            memory = store or MemoryOplogStore()
            clock = MovedClock()
            world = World(
                memory, MemoryPromiseStore(memory), tmp_path / folder, settings=quick(), clock=clock, code=code
            )
            await stack.enter_async_context(world)
            caller = WorkerId(await world.component(build("caller")), "caller")
            target = WorkerId(await world.component(build("counter")), "target")
            pair = Pair(world, caller, target, clock)
            await pair.aim(caller, target, ADD)
            return pair

        yield opened


async def test_calls_reach_the_target_and_are_replayed(open_pair: Open) -> None:
    pair = await open_pair()
    assert await pair.ask("call", 5) == 5
    assert await pair.ask("call", 2) == 7
    await pair.ask("send", 3)
    assert sorted([await pair.ask("both", 10)]) == [20 + 30]
    assert await pair.count() == 30
    await pair.world.crash()
    assert await pair.ask("calls") == 4
    assert await pair.count() == 30
    assert await pair.ask("call", 1) == 31


async def test_what_is_scheduled_happens_and_what_is_cancelled_does_not(open_pair: Open) -> None:
    pair = await open_pair()
    seconds = pair.clock.now_ns() // 10**9
    await pair.ask("later", 1, seconds + 30)
    await pair.ask("never", 10, seconds + 30)
    await pair.world.crash()
    assert await pair.count() == 0
    pair.clock.ahead += 31
    await pair.world.until_written(pair.target, InvocationFinished, 2)
    assert await pair.count() == 1


@pytest.mark.parametrize("written", [True, False])
@pytest.mark.parametrize("function", ["call", "both", "send"])
async def test_a_kill_at_any_commit_makes_the_target_run_once(open_pair: Open, written: bool, function: str) -> None:
    at = 1
    while True:
        store = KilledAt(0, written=written)
        store.at = None
        pair = await open_pair(store, f"{at}")
        store.at = store.count + at
        call = asyncio.create_task(pair.ask(function, 5, key="k"))
        await asyncio.wait({call, asyncio.create_task(store.killed.wait())}, return_when=asyncio.FIRST_COMPLETED)
        if not store.killed.is_set():
            break
        call.cancel()
        await pair.world.crash()
        result = await pair.ask(function, 5, key="k")
        assert result == {"call": 5, "both": 15, "send": None}[function]
        count = 10 if function == "both" else 5
        if function == "send":
            await pair.world.until_written(pair.target, InvocationFinished)
        assert await pair.count() == count
        assert await pair.ask(function, 5, key="k") == result
        await pair.world.crash()
        assert await pair.ask(function, 5, key="k") == result
        assert await pair.count() == count
        at += 1
    assert at > 3


async def test_the_answer_outlives_the_function_that_gave_it(open_pair: Open) -> None:
    store = KilledAt(0, written=False)
    store.at = None
    pair = await open_pair(store)
    changing = await pair.world.component(changing_guest(0))
    target = WorkerId(changing, "changing")
    step = "golem:it/changing.{step}"
    caller, other = (WorkerId(pair.caller.component_id, name) for name in ("early", "late"))
    await pair.aim(caller, target, step)
    await pair.aim(other, target, step)
    again = "golem:it/caller.{again}"
    state = await pair.world.call(target, "golem:it/changing.{state}")
    # The caller's beginning, the target's run, and the caller's end, which is lost.
    store.at = store.count + 3
    call = asyncio.create_task(pair.world.call(caller, again, key="k"))
    await asyncio.wait({call, asyncio.create_task(store.killed.wait())}, return_when=asyncio.FIRST_COMPLETED)
    call.cancel()
    await pair.world.crash(start=False)
    stepped = await pair.world.call(target, "golem:it/changing.{state}")
    assert stepped != state
    await pair.world.update(changing, changing_guest(1, steps=False))
    await pair.world.executor.operations.update(target, 1, automatic=False)
    assert await pair.world.call(target, "golem:it/changing.{version}") == 1
    await pair.world.executor.start()
    await pair.world.call(caller, again, key="k")
    assert await pair.world.call(caller, "golem:it/caller.{calls}") == 1
    assert await pair.world.call(target, "golem:it/changing.{state}") == stepped
    # A call that was never answered finds no function.
    with pytest.raises(InvocationFailed):
        await pair.world.call(other, again)


async def test_two_that_wait_for_each_other_hold_up_nobody_else(open_pair: Open) -> None:
    pair = await open_pair()
    one, two = (WorkerId(pair.caller.component_id, name) for name in ("one", "two"))
    again = "golem:it/caller.{again}"
    await pair.aim(one, two, again)
    await pair.aim(two, one, again)
    waiting = asyncio.create_task(pair.world.call(one, again, key="round"))
    await pair.world.until_written(two, InvocationStarted, 2)
    assert await pair.ask("call", 5) == 5
    assert await pair.world.status(two) is WorkerStatus.RUNNING
    await pair.world.executor.interrupt(one, recover_immediately=False)
    assert isinstance(await error_of(waiting), WorkerInterrupted)
    # Its caller hears that it was interrupted, as a client would.
    await pair.world.until(two, WorkerStatus.FAILED)


async def test_a_caller_that_is_stopped_leaves_the_target_alone(open_pair: Open) -> None:
    pair = await open_pair()
    sleeper = WorkerId(await pair.world.component(build("sleeper")), "sleeper")
    await pair.aim(WorkerId(pair.caller.component_id, "waits"), sleeper, "golem:it/sleeper.{sleep}")
    waits = WorkerId(pair.caller.component_id, "waits")
    waiting = asyncio.create_task(pair.world.call(waits, "golem:it/caller.{call}", 50_000_000, key="k"))
    await pair.world.until_written(sleeper, InvocationStarted)
    await pair.world.executor.interrupt(waits, recover_immediately=False)
    assert isinstance(await error_of(waiting), WorkerInterrupted)
    pair.clock.ahead += 1
    await pair.world.until_written(sleeper, InvocationFinished)
    assert await pair.world.status(waits) is WorkerStatus.INTERRUPTED
    # Asked again, it gets the answer that has come meanwhile.
    assert await pair.world.call(waits, "golem:it/caller.{call}", 50_000_000, key="k") >= 50_000_000
    assert (await pair.world.kinds(sleeper)).count("InvocationStarted") == 1


async def test_a_target_that_fails_is_the_callers_error(open_pair: Open) -> None:
    pair = await open_pair()
    trapper = WorkerId(await pair.world.component(build("trapper")), "t")
    await pair.aim(pair.caller, trapper, "golem:it/trapper.{unreachable}")
    caller = WorkerId(pair.caller.component_id, "other")
    await pair.aim(caller, trapper, "golem:it/trapper.{unreachable}")
    error = await error_of(asyncio.create_task(pair.world.call(caller, "golem:it/caller.{again}")))
    assert isinstance(error, InvocationFailed)
    assert await pair.world.status(trapper) is WorkerStatus.FAILED


async def test_keys_that_clients_chose_alike_are_not_mixed_up(open_pair: Open) -> None:
    pair = await open_pair()
    other = WorkerId(pair.caller.component_id, "other")
    await pair.aim(other, pair.target, ADD)
    assert await pair.ask("call", 5, key="1") == 5
    assert await pair.world.call(other, "golem:it/caller.{call}", 5, key="1") == 10
