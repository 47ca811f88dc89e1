"""How long the event loop does nothing but one thing while something runs on it."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType


class LoopTurns:
    """Counts the loop's turns within its block; `longest` is the longest one's share of the processor time of all.

    A slow or busy machine takes longer for all of them, and changes nothing in the shares.
    """

    def __init__(self) -> None:
        self.count = 0
        self._longest = 0.0
        self._all = 0.0

    @property
    def longest(self) -> float:
        """Between 0 and 1."""
        return self._longest / self._all

    async def __aenter__(self) -> LoopTurns:
        self._task = asyncio.create_task(self._watch())
        await asyncio.sleep(0)
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._task.cancel()

    async def _watch(self) -> None:
        while True:
            began = time.thread_time()
            await asyncio.sleep(0)
            self.count += 1
            took = time.thread_time() - began
            self._all += took
            self._longest = max(self._longest, took)
