"""Who waits for a worker in memory: for the result of an invocation, for its start, or to look at its folder.

Whoever looks at the folder does so between invocations, and the worker waits for them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Container, Mapping
from pathlib import Path
from typing import Any

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
        self._visits: deque[tuple[Callable[[Path], Any], asyncio.Future[Any]]] = deque()

    @property
    def any_for_results(self) -> bool:
        """Whether anybody waits for a result, or to look at the folder."""
        return bool(self._results or self._visits)

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

    def visit(self, work: Callable[[Path], Any]) -> asyncio.Future[Any]:
        """A future of what `work` gives, which runs in a thread when the worker's turn comes."""
        visited: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._visits.append((work, visited))
        return visited

    async def admit_visits(self, folder: Path) -> None:
        """Let all in who want to look at the folder."""
        while self._visits:
            work, visited = self._visits.popleft()
            if visited.done():
                continue
            try:
                found = await asyncio.to_thread(work, folder)
            except asyncio.CancelledError:
                self._visits.appendleft((work, visited))
                raise
            except Exception as error:
                if not visited.done():
                    visited.set_exception(error)
            else:
                if not visited.done():
                    visited.set_result(found)

    def publish(self, key: str, result: Value) -> None:
        """Give the result to those who wait for it."""
        for waiter in self._results.pop(key, ()):
            if not waiter.done():
                waiter.set_result(result)

    def publish_stored(self, results: Mapping[str, int]) -> None:
        """Tell those whose invocation came to its end, at these indexes, and was stopped before anybody was told."""
        for key in self.keys:
            if key in results:
                self.publish(key, StoredResult(results[key]))

    def fail_all_but(self, kept: Container[str | None], error: BaseException) -> None:
        """There will be no results for other keys than these."""
        for key in self.keys:
            if key not in kept:
                self.fail(key, error)

    def fail(self, key: str, error: BaseException) -> None:
        """There will be no result."""
        for waiter in self._results.pop(key, ()):
            if not waiter.done():
                waiter.set_exception(error)

    def fail_all(self, error: BaseException) -> None:
        """There will be no results and no start, and nothing to look at."""
        self.started(error)
        while self._visits:
            _, visited = self._visits.popleft()
            if not visited.done():
                visited.set_exception(error)
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
