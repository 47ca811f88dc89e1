"""How long the event loop does nothing but one thing while something runs on it."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType


class LoopTurns:
    """Counts the loop's turns within its block, and notes the longest in seconds of processor time.

    Time in which another process had the processor does not count, so that a busy machine changes nothing.
    """

    def __init__(self) -> None:
        self.count = 0
        self.longest = 0.0

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
            self.longest = max(self.longest, time.thread_time() - began)
