"""The engine of the process: one configuration for all guests, the clock of their slices, the threads of the busy ones.

Every guest runs in slices. At the start of a slice its store gets a deadline two epochs ahead, and the ticker raises
the epoch once a tick, so a slice lasts one to two ticks and then gives way. The ticker runs only while guests do: a
server without work wakes up for nothing.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from golem_server.wasm import native

T = TypeVar("T")

SLICE_TICKS = 2
"""The deadline of a slice, in ticks from its beginning: it lasts more than one and at most this many."""

_LINGER_TICKS = 50  # the ticker goes on for so long after the last slice, so that a busy server never waits for it
_RELEASE_SECONDS = 10.0

_HOST_STACK_BYTES = 3 << 20
"""Stack that stays for host functions when the guest has used all of its own: they run on the guest's fiber.

Address space only; what is never touched is never resident.
"""


class Engine:
    """wasmtime's engine with the settings of this server, the ticker and the thread pool. One per process.

    `pool_threads` guests can compute at the same time beside the event loop. `tick_seconds` bounds how long a guest can
    hold the loop (two ticks). `max_wasm_stack_bytes` is a guest's stack; a deeper recursion traps.
    """

    def __init__(
        self, *, pool_threads: int = 2, tick_seconds: float = 0.001, max_wasm_stack_bytes: int = 1 << 20
    ) -> None:
        self.max_wasm_stack_bytes = max_wasm_stack_bytes
        self.tick_seconds = tick_seconds
        self.address: int = _new_engine(max_wasm_stack_bytes)
        self._pool = ThreadPoolExecutor(pool_threads, thread_name_prefix="guest")
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closed = False
        self._asleep = False
        self._polling_inline = 0
        self._polling_in_pool = 0
        self._waiting_for_thread = 0
        self._ticks = 0
        self._last_slice = 0
        self._ticker = threading.Thread(target=self._tick, name="epoch ticker", daemon=True)
        self._ticker.start()

    @property
    def settings_key(self) -> str:
        """Whatever of the configuration decides whether compiled code fits, besides wasmtime's version and the CPU."""
        return f"format2 stack{self.max_wasm_stack_bytes}"

    @property
    def ticking(self) -> bool:
        """Whether the ticker is running, that is, whether a guest ran within the last moments."""
        return not self._asleep

    # The two methods below frame every slice on the event loop and are written for speed: a guest call costs a few
    # microseconds, and a lock on each side would be felt. They are called by the loop's thread alone.

    def begin_inline(self) -> None:
        """A slice begins on the event loop's thread."""
        self._polling_inline += 1
        self._last_slice = self._ticks
        if self._asleep:
            self._wake_ticker()

    def end_inline(self) -> None:
        """The slice on the event loop's thread has ended."""
        self._polling_inline -= 1

    def submit(self, run: Callable[[], T]) -> Future[T]:
        """Run guest code in the pool."""
        with self._lock:
            self._waiting_for_thread += 1
        future = self._pool.submit(self._in_pool, run)
        if self._asleep:
            self._wake_ticker()
        return future

    def withdraw(self, future: Future[Any]) -> bool:
        """Take back what no thread has begun yet; False if it runs or is done."""
        if not future.cancel():
            return False
        with self._lock:
            self._waiting_for_thread -= 1
        return True

    @property
    def pool_is_wanted(self) -> bool:
        """Whether another guest waits for a pool thread, so that the ones that have one must take turns."""
        return self._waiting_for_thread > 0

    def close(self) -> None:
        """Stop the ticker and the pool, and free the engine. No instance may be in use any more."""
        if self._closed:
            return
        self._closed = True
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._wake.set()
        self._ticker.join(_RELEASE_SECONDS)
        native.engine_delete(self.address)

    def _in_pool(self, run: Callable[[], T]) -> T:
        with self._lock:
            self._waiting_for_thread -= 1
            self._polling_in_pool += 1
        self._last_slice = self._ticks
        if self._asleep:
            self._wake_ticker()
        try:
            return run()
        finally:
            with self._lock:
                self._polling_in_pool -= 1

    def _wake_ticker(self) -> None:
        self._asleep = False
        self._wake.set()

    def _tick(self) -> None:
        while not self._closed:
            time.sleep(self.tick_seconds)
            native.engine_increment_epoch(self.address)
            self._ticks += 1
            if self._ticks - self._last_slice > _LINGER_TICKS:
                self._sleep_without_work()

    def _sleep_without_work(self) -> None:
        # Each side writes first and looks afterwards: a slice that begins now either finds `_asleep` set and wakes the
        # ticker, or is seen here as being polled.
        self._wake.clear()
        self._asleep = True
        if self._polling_inline or self._polling_in_pool or self._closed:
            self._asleep = False
            return
        self._wake.wait()


def _new_engine(max_wasm_stack_bytes: int) -> int:
    configure = native.bindings
    config = configure.wasm_config_new()
    configure.wasmtime_config_epoch_interruption_set(config, True)
    # With it on, wasmtime 50.0.1 traps every host function that is given two borrowed handles ("deferred host scope has
    # no call context"), and a plain outgoing HTTP request polls two. Code compiled with one setting is refused by an
    # engine with the other.
    configure.wasmtime_config_concurrency_support_set(config, False)
    # Replay must see the same bits again.
    configure.wasmtime_config_cranelift_nan_canonicalization_set(config, True)
    configure.wasmtime_config_wasm_relaxed_simd_deterministic_set(config, True)
    configure.wasmtime_config_wasm_threads_set(config, False)
    configure.wasmtime_config_shared_memory_set(config, False)
    configure.wasmtime_config_max_wasm_stack_set(config, max_wasm_stack_bytes)
    configure.wasmtime_config_async_stack_size_set(config, max_wasm_stack_bytes + _HOST_STACK_BYTES)
    engine = configure.wasm_engine_new_with_config(config)
    return ctypes.cast(engine, ctypes.c_void_p).value or 0
