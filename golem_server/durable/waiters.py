"""Who waits for a worker in memory: for the result of an invocation, or for the worker to have started."""

from __future__ import annotations

import asyncio

from golem_server.model.types import Value


class StoredResult:
    """Stands for a result that those who wait for it must read from the oplog."""

    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index = index


class Waiters:
    """Futures by idempotency key, and those of callers that wait for the start."""

    def __init__(self) -> None:
        self._results: dict[str, list[asyncio.Future[Value]]] = {}
        self._starting: list[asyncio.Future[None]] = []

    @property
    def any_for_results(self) -> bool:
        """Whether anybody waits for a result."""
        return bool(self._results)

    @property
    def keys(self) -> list[str]:
        """The keys whose results are waited for."""
        return list(self._results)

    async def result(self, key: str) -> Value:
        """Wait for the result of the invocation with this key, or for a StoredResult."""
        waiter: asyncio.Future[Value] = asyncio.get_running_loop().create_future()
        self._results.setdefault(key, []).append(waiter)
        return await waiter

    def start(self) -> asyncio.Future[None]:
        """A future that is done when the worker has started."""
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._starting.append(started)
        return started

    def publish(self, key: str, result: Value) -> None:
        """Give the result to those who wait for it."""
        for waiter in self._results.pop(key, ()):
            if not waiter.done():
                waiter.set_result(result)

    def fail(self, key: str, error: BaseException) -> None:
        """There will be no result."""
        for waiter in self._results.pop(key, ()):
            if not waiter.done():
                waiter.set_exception(error)

    def fail_all(self, error: BaseException) -> None:
        """There will be no results and no start."""
        self.started(error)
        for key in self.keys:
            self.fail(key, error)

    def started(self, error: BaseException | None = None) -> None:
        """The worker has started, or cannot be."""
        starting, self._starting = self._starting, []
        for started in starting:
            if started.done():
                continue
            if error is None:
                started.set_result(None)
            else:
                started.set_exception(error)
