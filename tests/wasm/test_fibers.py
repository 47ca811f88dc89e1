"""Guests share the loop and the threads, suspend, are interrupted in any state, and never disturb each other."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from golem_server.model.errors import InternalBug
from golem_server.wasm.engine import Engine
from golem_server.wasm.errors import InstanceDead, NoSuchExport, Trap, TrapKind, UnknownImport, ValueMismatch
from golem_server.wasm.instance import Limits
from golem_server.wasm.lifting import BULK
from tests.guests.busy import BUSY, NEEDS_MEMORY, STARTS_WITH_A_CALL
from tests.guests.echo import MEMORY
from tests.host.loop_turns import LoopTurns
from tests.wasm.conftest import Guests, HostFunctions, raising, until

LONG = 2_000_000_000  # turns of a loop: seconds


def add(context: HostFunctions, a: int, b: int) -> int:
    return (a + b) & 0xFFFFFFFF


class Gate:
    """An async host function that waits until it is opened, and says when it was entered."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.opened = asyncio.Event()
        self.left: list[str] = []
        self.thread: int | None = None

    async def __call__(self, context: HostFunctions, a: int) -> int:
        self.thread = threading.get_ident()
        self.entered.set()
        try:
            await self.opened.wait()
        except asyncio.CancelledError:
            self.left.append("cancelled")
            raise
        return a + 1


@asynccontextmanager
async def longest_stall() -> AsyncGenerator[list[float]]:
    """The longest time, in seconds, that the loop kept a ready task waiting within the block."""
    stalls = [0.0]

    async def watch() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.001)
            stalls[0] = max(stalls[0], time.perf_counter() - began - 0.001)

    watcher = asyncio.create_task(watch())
    try:
        yield stalls
    finally:
        watcher.cancel()


async def test_a_call_can_be_repeated(guests: Guests) -> None:
    instance = await guests.start(BUSY, HostFunctions(add=add))
    for value in (0, 5, 2**64 - 1):
        assert await instance.call(None, "identity", [value]) == value
    assert await instance.call(None, "sum", [5]) == 10


async def test_a_host_coroutine_is_awaited_on_the_loop(guests: Guests) -> None:
    gate = Gate()
    instance = await guests.start(BUSY, HostFunctions(slow=gate))
    call = asyncio.create_task(instance.call(None, "wait", [41]))
    await gate.entered.wait()
    assert not call.done()
    gate.opened.set()
    assert await call == 42
    assert await instance.call(None, "wait", [1]) == 2


async def test_a_host_coroutine_that_awaits_many_things_gets_them_all(guests: Guests) -> None:
    async def slow(context: HostFunctions, a: int) -> int:
        await asyncio.sleep(0)
        async with asyncio.timeout(10):
            await asyncio.sleep(0.001)
        inner = asyncio.create_task(asyncio.sleep(0, a))
        return 1 + await inner

    instance = await guests.start(BUSY, HostFunctions(slow=slow))
    assert await instance.call(None, "wait", [41]) == 42


async def test_a_timeout_inside_a_host_coroutine_is_its_own(guests: Guests) -> None:
    async def slow(context: HostFunctions, a: int) -> int:
        try:
            async with asyncio.timeout(0.001):
                await asyncio.Event().wait()
        except TimeoutError:
            return 7
        return 0

    instance = await guests.start(BUSY, HostFunctions(slow=slow))
    assert await instance.call(None, "wait", [1]) == 7


async def test_instantiation_can_call_the_host(guests: Guests) -> None:
    async def slow(context: HostFunctions, a: int) -> int:
        await asyncio.sleep(0)
        return a + 1

    instance = await guests.start(STARTS_WITH_A_CALL, HostFunctions(slow=slow))
    assert await instance.call(None, "found", []) == 21


class _HostError(Exception):
    pass


async def test_an_exception_of_a_host_function_comes_out_as_itself(guests: Guests) -> None:
    error = _HostError("first")

    def failing(context: HostFunctions, a: int, b: int) -> int:
        raise error

    async def failing_at_once(context: HostFunctions, a: int) -> int:
        raise error

    async def failing_later(context: HostFunctions, a: int) -> int:
        await asyncio.sleep(0)
        raise error

    for slow in (failing_at_once, failing_later):
        for function in ("sum", "wait", "spin-then-wait"):
            instance = await guests.start(BUSY, HostFunctions(add=failing, slow=slow))
            with raising(error):
                await instance.call(None, function, [10_000_000])
            assert instance.dead
            with pytest.raises(InstanceDead):
                await instance.call(None, "identity", [1])
        with raising(error):
            await guests.start(STARTS_WITH_A_CALL, HostFunctions(slow=slow))


async def test_a_wrong_result_of_a_host_function_is_a_bug_of_the_server(guests: Guests) -> None:
    def add(context: HostFunctions, a: int, b: int) -> str:
        return "text"

    instance = await guests.start(BUSY, HostFunctions(add=add))
    with pytest.raises(InternalBug, match="result: expected u32, got string"):
        await instance.call(None, "sum", [1])


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        ("unreachable", TrapKind.UNREACHABLE),
        ("recurse", TrapKind.STACK_OVERFLOW),
        ("divide", TrapKind.INTEGER_DIVIDE_BY_ZERO),
        ("overflow", TrapKind.INTEGER_OVERFLOW),
        ("convert", TrapKind.BAD_CONVERSION),
        ("out-of-bounds", TrapKind.OUT_OF_BOUNDS),
        ("indirect", TrapKind.INDIRECT_CALL),
    ],
)
async def test_a_trap_has_its_kind_and_ends_the_instance(guests: Guests, function: str, kind: TrapKind) -> None:
    instance = await guests.start(BUSY)
    with pytest.raises(Trap) as trap:
        await instance.call(None, function, [])
    assert trap.value.kind is kind
    assert "wasm backtrace" in trap.value.message
    assert instance.dead
    with pytest.raises(InstanceDead):
        await instance.call(None, "identity", [1])


async def test_an_unknown_import_traps_with_its_name_when_called(guests: Guests) -> None:
    instance = await guests.start(BUSY)
    assert await instance.call(None, "identity", [1]) == 1
    with pytest.raises(UnknownImport, match=r"host\.{nobody}"):
        await instance.call(None, "ask-nobody", [])


async def test_an_unknown_export_is_refused(guests: Guests) -> None:
    instance = await guests.start(BUSY)
    for interface, function in ((None, "missing"), ("a:b/c", "missing")):
        with pytest.raises(NoSuchExport, match="missing"):
            await instance.call(interface, function, [])
    assert not instance.dead


async def test_errors_of_guests_do_not_mix(guests: Guests) -> None:
    async def fail_in_turn(number: int) -> None:
        error = _HostError(str(number))

        async def slow(context: HostFunctions, a: int) -> int:
            for _ in range(number % 5):
                await asyncio.sleep(0)
            raise error

        def failing(context: HostFunctions, a: int, b: int) -> int:
            raise error

        instance = await guests.start(BUSY, HostFunctions(slow=slow, add=failing))
        if number % 3 == 0:
            with pytest.raises(Trap):
                await instance.call(None, "unreachable", [])
        else:
            with raising(error):
                await instance.call(None, ("", "sum", "wait")[number % 3], [1])

    await asyncio.gather(*map(fail_in_turn, range(60)))


async def test_an_endless_loop_leaves_the_loop_free_and_is_interrupted(guests: Guests) -> None:
    instance = await guests.start(BUSY)
    async with longest_stall() as stalls:
        call = asyncio.create_task(instance.call(None, "spin-for-ever", []))
        await asyncio.sleep(0.1)
        began = time.perf_counter()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        took = time.perf_counter() - began
    assert took < 0.1
    assert stalls[0] < 0.05  # one to two milliseconds where the machine has nothing else to do
    assert instance.dead


async def test_more_busy_guests_than_threads_all_get_on(guests: Guests) -> None:
    instances = [await guests.start(BUSY) for _ in range(5)]
    calls = [asyncio.create_task(instance.call(None, "spin-for-ever", [])) for instance in instances]
    other = await guests.start(BUSY)
    assert await other.call(None, "spin", [20_000_000]) == 20_000_000
    began = time.perf_counter()
    for call in calls:
        call.cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    assert time.perf_counter() - began < 0.1


async def test_busy_guests_compute_at_the_same_time(guests: Guests, engine: Engine) -> None:
    instances = [await guests.start(BUSY) for _ in range(2)]
    running = [0]
    both = threading.Event()
    lock = threading.Lock()
    for instance in instances:
        slices = instance._pool_slices  # pyright: ignore[reportPrivateUsage]

        def counted(slices: Any = slices) -> bool:
            with lock:
                running[0] += 1
                if running[0] == 2:
                    both.set()
            try:
                # Each stays until the other is in: a race made certain.
                assert both.wait(10)
                return slices()
            finally:
                with lock:
                    running[0] -= 1

        instance._pool_slices = counted  # pyright: ignore[reportPrivateUsage]
    turns = 100_000_000
    assert await asyncio.gather(*(each.call(None, "spin", [turns]) for each in instances)) == [turns] * 2
    assert both.is_set()


async def test_the_owner_is_told_before_a_guest_leaves_the_loop(guests: Guests) -> None:
    instance = await guests.start(BUSY, HostFunctions(add=add))
    told: list[bool] = []

    async def note() -> None:
        await asyncio.sleep(0)
        told.append(instance.in_pool)

    instance.before_pool = note
    await instance.call(None, "sum", [10])
    assert told == []
    await instance.call(None, "spin", [20_000_000])
    assert told[0] is False


async def test_a_host_function_never_runs_in_a_pool_thread(guests: Guests) -> None:
    threads: list[int] = []

    def noting(context: HostFunctions, a: int, b: int) -> int:
        threads.append(threading.get_ident())
        return a + b

    gate = Gate()
    gate.opened.set()
    instance = await guests.start(BUSY, HostFunctions(add=noting, slow=gate))
    assert await instance.call(None, "spin-then-add", [20_000_000]) == 20_000_001
    assert await instance.call(None, "spin-then-wait", [20_000_000]) == 20_000_001
    assert [*threads, gate.thread] == [threading.get_ident()] * 2


GIVING = f"""(component
  (import "host" (instance $host (export "take" (func (param "content" (list u8))))))
  {MEMORY}
  (core func $take (canon lower (func $host "take") (memory $mem)))
  (core module $module
    (import "h" "take" (func $take (param i32 i32)))
    (func (export "give") (param $size i32) (param $times i32)
      (loop $again
        (call $take (i32.const 0) (local.get $size))
        (local.set $times (i32.sub (local.get $times) (i32.const 1)))
        (br_if $again (local.get $times)))))
  (core instance $i (instantiate $module (with "h" (instance (export "take" (func $take))))))
  (func (export "give") (param "size" u32) (param "times" u32) (canon lift (core func $i "give"))))
"""


async def test_a_guest_that_gives_long_lists_is_moved_beside_the_loop(guests: Guests) -> None:
    """The first list comes unforeseen; from then on the guest runs in the pool until its call is over."""
    left, came_from_pool = 0, list[bool]()

    def take(context: HostFunctions, content: bytes) -> None:
        nonlocal left
        assert len(content) == BULK + 1
        came_from_pool.append(left > 0)
        left = 0

    async def leaving() -> None:
        nonlocal left
        left += 1

    instance = await guests.start(GIVING, HostFunctions(take=take))
    instance.before_pool = leaving
    await instance.call(None, "give", [BULK + 1, 4])
    assert came_from_pool[1:] == [True] * 3


async def test_many_host_calls_leave_the_loop_free(guests: Guests) -> None:
    instance = await guests.start(BUSY, HostFunctions(add=add))
    async with LoopTurns() as turns:
        assert await instance.call(None, "sum", [50_000]) == sum(range(50_000)) & 0xFFFFFFFF
    assert turns.longest < 0.25


async def test_cancelling_a_suspended_call_unwinds_guest_and_host(guests: Guests) -> None:
    for function in ("wait", "spin-then-wait"):
        gate = Gate()
        instance = await guests.start(BUSY, HostFunctions(slow=gate))
        call = asyncio.create_task(instance.call(None, function, [10_000_000]))
        await gate.entered.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert gate.left == ["cancelled"]
        assert instance.dead


async def test_cancelling_between_slices_of_host_calls(guests: Guests) -> None:
    calls = [0]
    some = asyncio.Event()

    def counting(context: HostFunctions, a: int, b: int) -> int:
        calls[0] += 1
        if calls[0] == 10_000:
            some.set()
        return 0

    instance = await guests.start(BUSY, HostFunctions(add=counting))
    call = asyncio.create_task(instance.call(None, "sum", [LONG]))
    await some.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert instance.dead
    assert calls[0] < LONG


async def test_cancelling_before_the_first_slice_leaves_the_instance_alone(guests: Guests) -> None:
    instance = await guests.start(BUSY)
    call = asyncio.create_task(instance.call(None, "spin-for-ever", []))
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await instance.call(None, "identity", [1]) == 1


async def test_two_cancellations_while_in_the_pool_are_one(guests: Guests) -> None:
    instance = await guests.start(BUSY)
    call = asyncio.create_task(instance.call(None, "spin-for-ever", []))
    await until(lambda: instance.in_pool)
    call.cancel()
    asyncio.get_running_loop().call_soon(call.cancel)
    with pytest.raises(asyncio.CancelledError):
        await call
    assert instance.dead


async def test_a_call_into_a_running_instance_is_refused(guests: Guests) -> None:
    gate = Gate()
    instance = await guests.start(BUSY, HostFunctions(slow=gate))
    call = asyncio.create_task(instance.call(None, "wait", [1]))
    await gate.entered.wait()
    with pytest.raises(InternalBug):
        await instance.call(None, "identity", [1])
    gate.opened.set()
    assert await call == 2


async def test_closing_works_in_any_state_and_twice(guests: Guests) -> None:
    idle = await guests.start(BUSY)
    idle.close()
    idle.close()
    with pytest.raises(InstanceDead):
        await idle.call(None, "identity", [1])

    gate = Gate()
    waiting = await guests.start(BUSY, HostFunctions(slow=gate))
    call = asyncio.create_task(waiting.call(None, "wait", [1]))
    await gate.entered.wait()
    waiting.close()
    gate.opened.set()
    with pytest.raises(InstanceDead):
        await call

    busy = await guests.start(BUSY)
    call = asyncio.create_task(busy.call(None, "spin-for-ever", []))
    await until(lambda: busy.in_pool)
    busy.close()
    with pytest.raises(InstanceDead):
        await call
    busy.close()

    def closing(context: HostFunctions, a: int, b: int) -> int:
        from_within.close()
        return 0

    from_within = await guests.start(BUSY, HostFunctions(add=closing))
    with pytest.raises(InstanceDead):
        await from_within.call(None, "sum", [1])


async def test_memory_cannot_grow_beyond_its_limit(guests: Guests) -> None:
    instance = await guests.start(BUSY, limits=Limits(memory_bytes=10 * 65536))
    assert await instance.call(None, "grow", [9]) == 1
    assert await instance.call(None, "grow", [1]) == -1
    with pytest.raises(Trap) as trap:
        await guests.start(NEEDS_MEMORY, limits=Limits(memory_bytes=10 * 65536))
    assert trap.value.kind is TrapKind.OUT_OF_MEMORY


async def test_the_other_limits_hold(guests: Guests) -> None:
    for limits in (Limits(memories=0), Limits(tables=0), Limits(instances=0), Limits(table_elements=0)):
        with pytest.raises(Trap) as trap:
            await guests.start(BUSY, limits=limits)
        assert trap.value.kind is TrapKind.OUT_OF_MEMORY


async def test_a_refused_argument_leaves_the_instance_usable(guests: Guests) -> None:
    instance = await guests.start(BUSY)
    with pytest.raises(ValueMismatch):
        await instance.call(None, "identity", ["text"])
    assert await instance.call(None, "identity", [1]) == 1


async def test_the_ticker_rests_while_no_guest_runs(guests: Guests, engine: Engine) -> None:
    gate = Gate()
    instance = await guests.start(BUSY, HostFunctions(slow=gate))
    call = asyncio.create_task(instance.call(None, "wait", [1]))
    await until(lambda: not engine.ticking)  # a suspended guest does not keep it awake
    gate.opened.set()
    await call
    spinning = asyncio.create_task(instance.call(None, "spin-for-ever", []))
    await until(lambda: instance.in_pool)
    assert engine.ticking
    spinning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await spinning
