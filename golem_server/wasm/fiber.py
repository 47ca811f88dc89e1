"""Runs guest code as a fiber on the event loop: slices, suspended host calls, the move to a pool, cancellation.

A call into a guest is a wasmtime future that somebody polls. Each poll is a slice: it ends when the guest is done, when
a host call waits, or at the epoch deadline. What follows is decided here:

- done: the result or error lies in the frame.
- a host call waits: its coroutine is awaited by the task that drives the call, its result written where wasmtime
  expects it, and the next slice runs on the loop.
- the deadline, and the slice made host calls: the next slice runs on the loop too, after others had their turn. This is
  what a guest that replays thousands of recorded calls looks like, and a thread would only be in its way.
- the deadline, and no host call: the guest computes. It goes on in the pool until it is done, calls the host, is
  interrupted, or others want the thread.

A slice that begins with a long list to be moved into the guest runs in the pool too: wasmtime converts lists value by
value, 30 ms for a mebibyte, and asks no epoch meanwhile.

Everything wasmtime was given by address (arguments, result, error, the flag of the host call) lies in memory that
belongs to the fiber and outlives the future. Deleting an unfinished future unwinds the guest, in any state but one: a
slice that is running in the pool, which ends within two ticks and is waited for.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from typing import Any, cast

from golem_server.model.errors import InternalBug
from golem_server.model.types import HandleType, Value
from golem_server.wasm import native
from golem_server.wasm.engine import SLICE_TICKS, Engine
from golem_server.wasm.errors import InstanceDead, Trap, ValueMismatch
from golem_server.wasm.lifting import Handles
from golem_server.wasm.native import WORDS, Cell, future_delete, future_poll, set_epoch_deadline, val_delete

STORES: dict[int, Fiber] = {}
"""The fibers that run a call, by the address of their store's context: how a C callback finds out whose call it is."""


class Started:
    """A coroutine that has run up to its first wait already; awaiting it goes on from there.

    asyncio's futures allow this: what a coroutine yields to its task is the future it waits for, and it does not matter
    to the task that it gets it a moment later, within the same step.
    """

    __slots__ = ("_coroutine", "_waits_for")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], waits_for: Any) -> None:
        self._coroutine = coroutine
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, Any]:
        coroutine, waits_for = self._coroutine, self._waits_for
        try:
            while True:
                try:
                    sent = yield waits_for
                except GeneratorExit:
                    raise
                except BaseException as thrown:
                    waits_for = coroutine.throw(thrown)
                else:
                    waits_for = coroutine.send(sent)
        except StopIteration as stop:
            return stop.value
        finally:
            coroutine.close()

    def close(self) -> None:
        """Give the coroutine up."""
        self._coroutine.close()


class HostCall:
    """A host call that has no result yet: the function and arguments, or the coroutine it has become."""

    __slots__ = ("arguments", "function", "lower", "result", "started")

    def __init__(
        self,
        function: Callable[..., Any],
        arguments: Sequence[Value],
        started: Started | None,
        lower: Callable[[Value, int, Handles], None],
        result: int,
    ) -> None:
        self.function = function
        self.arguments = arguments
        self.started = started
        self.lower = lower
        self.result = result


class Fiber:
    """A store and the one call that runs in it. Subclassed by `Instance`, which knows what to call.

    All methods but those that say so belong to the event loop's thread.
    """

    def __init__(self, engine: Engine, context: Any) -> None:
        self.engine = engine
        self.context = context
        self.dead = False
        """Whether the store can be entered no more: after a trap, an exception, a cancellation or `close`."""
        self.before_pool: Callable[[], Awaitable[None]] | None = None
        """Awaited on the loop each time the guest is about to leave it: it has run for longer than a slice, or will."""
        self.in_pool = False
        self.bulk = False
        self.heavy = False
        self.host_calls = 0
        self._closed = False
        self._polling = False
        self._stop = False
        self._host_call: HostCall | None = None
        self._failure: BaseException | None = None
        self._drops: deque[int] = deque()
        self._future = 0
        self._owned_arguments: Sequence[int] = ()
        self._handles: dict[int, tuple[int, int]] = {}  # number: wasmtime's handle, type of the resource
        self._next_handle = 0
        self._consumed: list[int] = []
        self._frame = Cell(6)  # flag of the host call, error, result
        self._flag = self._frame.word
        self._error = self._frame.word + 1
        self._result = self._frame.word + 2
        self._store: int = native.store_new(engine.address, 0, 0)
        self._context: int = native.store_context(self._store)
        native.yield_at_epoch_deadline(self._context, 1)

    # Called from within a slice, by the C callbacks.

    def suspend(self, call: HostCall) -> int:
        """Note a host call that waits. Gives the address of its flag. Also called in a pool thread."""
        WORDS[self._flag] = 0
        self._host_call = call
        return self._flag << 3

    def fail(self, failure: BaseException) -> int:
        """Note why the guest is about to be ended. Gives the wasmtime error that ends it."""
        self._failure = failure
        return native.error_new(b"host function failed")

    def resource_dropped(self, rep: int) -> None:
        """A host resource was dropped by the guest. In a pool thread the news waits for the event loop."""
        if self.in_pool:
            self._drops.append(rep)
        else:
            self.context.resource_dropped(rep)

    # Resources.

    def lift_handle(self, pointer: int, type: HandleType) -> int:
        """See `lifting.Handles`. Also called in a pool thread."""
        if not type.host:
            number = self._next_handle
            self._next_handle += 1
            self._handles[number] = (native.resource_any_clone(pointer), type.resource)
            return number
        cell = Cell(1)
        error = native.resource_any_to_host(self._context, pointer, cell.address)
        if error:
            raise InternalBug(f"a host resource cannot be read: {native.take_message(error)}")
        host = WORDS[cell.word]
        rep = native.resource_host_rep(host)
        native.resource_host_delete(host)
        return rep

    def lower_handle(self, number: int, type: HandleType) -> int:
        """See `lifting.Handles`."""
        if not type.host:
            found = self._handles.get(number)
            if found is None or number in self._consumed:
                raise ValueMismatch("", f"there is no resource with handle {number}")
            pointer, resource = found
            if resource != type.resource:
                raise ValueMismatch(
                    "", f"handle {number} is of another resource than {type.name or 'the one expected'}"
                )
            if type.owned:
                self._consumed.append(number)
            return native.resource_any_clone(pointer)
        cell = Cell(1)
        host = native.resource_host_new(type.owned, number, type.resource)
        error = native.resource_host_to_any(self._context, host, cell.address)
        native.resource_host_delete(host)
        if error:
            raise InternalBug(f"a host resource cannot be handed over: {native.take_message(error)}")
        return WORDS[cell.word]

    def forget_handle(self, number: int) -> None:
        """The handle was consumed by the guest."""
        native.resource_any_delete(self._handles.pop(number)[0])

    # Running.

    def begin(self, future: int, owned_arguments: Sequence[int]) -> None:
        """A call has been made and waits to be polled."""
        self.heavy = False
        STORES[self._context] = self
        self._future = future
        self._owned_arguments = owned_arguments
        self._host_call = None
        self._failure = None

    def check_idle(self) -> None:
        """Raise unless a call can begin."""
        if self.dead:
            raise InstanceDead("the instance has trapped or was closed")
        if self._future:
            raise InternalBug("the instance runs a call already")

    def run_slice(self) -> bool:
        """Poll on this thread until the guest is done (True), waits or has used up its slice."""
        if self.bulk or self.heavy:
            self.host_calls = 0  # which makes `run` go to the pool
            return False
        engine = self.engine
        engine.begin_inline()
        self._polling = True
        self.host_calls = 0
        try:
            set_epoch_deadline(self._context, SLICE_TICKS)
            return future_poll(self._future)
        finally:
            self._polling = False
            engine.end_inline()

    async def run(self) -> None:
        """Go on after a first slice that did not finish the call."""
        while True:
            if self._closed:
                raise InstanceDead("the instance was closed while a call was running")
            if self._host_call is not None:
                call, self._host_call = self._host_call, None
                await self._answer(call)
            elif self.host_calls:
                await asyncio.sleep(0)
            else:
                if self.before_pool is not None:
                    await self.before_pool()
                if not self._closed and await self._run_in_pool():
                    return
                continue
            if not self._closed and self.run_slice():
                return

    async def _answer(self, call: HostCall) -> None:
        if call.started is not None:
            value = await call.started
        else:
            value = call.function(self.context, *call.arguments)
            if isinstance(value, Coroutine):
                value = await cast("Coroutine[Any, Any, Any]", value)
        if not self._closed:
            call.lower(value, call.result, self)
            WORDS[self._flag] = 1

    async def _run_in_pool(self) -> bool:
        self._stop = False
        self.bulk = False
        self.in_pool = True
        cancelled: asyncio.CancelledError | None = None
        try:
            running = self.engine.submit(self._pool_slices)
            waiting = asyncio.wrap_future(running)
            try:
                while not waiting.done():
                    try:
                        # Unlike awaiting the future itself this leaves it alone when the task is cancelled: the slice
                        # that is running must end before anything of the guest may be touched.
                        await asyncio.wait((waiting,))
                    except asyncio.CancelledError as reason:
                        cancelled = reason
                        self._stop = True
                        self.engine.withdraw(running)
            except GeneratorExit:
                self._stop = True
                if not self.engine.withdraw(running):
                    concurrent.futures.wait((running,))
                raise
        finally:
            self.in_pool = False
        if cancelled is not None:
            raise cancelled
        while self._drops:
            self.context.resource_dropped(self._drops.popleft())
        return waiting.result()

    def _pool_slices(self) -> bool:
        """Slices in a pool thread. True if the guest is done."""
        while True:
            set_epoch_deadline(self._context, SLICE_TICKS)
            if future_poll(self._future):
                return True
            if self._host_call is not None or self._stop or self.engine.pool_is_wanted:
                return False

    def finish(self) -> None:
        """The future is done: free it, and raise what went wrong."""
        del STORES[self._context]
        self.bulk = False
        future_delete(self._future)
        self._future = 0
        for word in self._owned_arguments:
            val_delete(word << 3)
        self._owned_arguments = ()
        error = WORDS[self._error]
        if error:
            WORDS[self._error] = 0
            self.dead = True
            message = native.take_message(error)
            failure, self._failure = self._failure, None
            self.close()
            raise Trap.from_message(message) if failure is None else failure
        if self._closed:
            self.close()
            raise InstanceDead("the instance was closed while a call was running")

    def abandon(self) -> None:
        """Unwind the guest wherever it is. The instance is dead."""
        self.close()

    def close(self) -> None:
        """Free everything. Idempotent, and safe in any state: a running slice is ended first, by whoever drives it."""
        self._closed = True
        self.dead = True
        if self._polling or self.in_pool:
            self._stop = True
            return
        if self._host_call is not None and self._host_call.started is not None:
            self._host_call.started.close()
        self._host_call = None
        if self._future:
            future_delete(self._future)
            self._future = 0
        for word in self._owned_arguments:
            val_delete(word << 3)
        self._owned_arguments = ()
        error = WORDS[self._error]
        if error:
            WORDS[self._error] = 0
            native.error_delete(error)
        for pointer, _ in self._handles.values():
            native.resource_any_delete(pointer)
        self._handles.clear()
        if self._store:
            STORES.pop(self._context, None)
            native.store_delete(self._store)
            self._store = 0

    def __del__(self) -> None:
        if getattr(self, "_store", 0):
            self.close()
