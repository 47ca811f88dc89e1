"""Who waits in memory for which promise. The data itself is in the store (`ports.PromiseStore`)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from golem_server.model.ids import PromiseId, WorkerId


class Promises:
    """Wakes those who wait for a promise that is completed through this server."""

    def __init__(self) -> None:
        self._waiting: dict[PromiseId, list[asyncio.Future[None]]] = {}
        self._held: WeakValueDictionary[WorkerId, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def held(self, worker_id: WorkerId) -> AsyncGenerator[None]:
        """Keep others from completing promises of the worker, or the worker from suspending."""
        lock = self._held.get(worker_id)
        if lock is None:
            lock = self._held[worker_id] = asyncio.Lock()
        async with lock:
            yield

    @asynccontextmanager
    async def waiting(self, promise: PromiseId) -> AsyncGenerator[asyncio.Future[None]]:
        """A future that is done when the promise is completed. Register first, then look at the store."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(promise, []).append(future)
        try:
            yield future
        finally:
            waiting = self._waiting.get(promise)
            if waiting is not None:
                waiting.remove(future)
                if not waiting:
                    del self._waiting[promise]

    def completed(self, promise: PromiseId) -> None:
        """The promise has its data."""
        for future in self._waiting.get(promise, ()):
            if not future.done():
                future.set_result(None)
