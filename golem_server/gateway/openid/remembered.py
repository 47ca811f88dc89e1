"""What a provider has said, kept for a while, and asked for again at a bounded pace whoever wants it.

Anybody can come without a login, and send tokens that name keys which nobody knows: neither may make this server ask
a provider at will, nor have callers of other providers wait.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from golem_server.clock import Clock
from golem_server.gateway.openid.provider_client import ProviderFailed

KEPT_SECONDS = 3_600.0
READS_A_MINUTE = 10

ValueT = TypeVar("ValueT")


class Remembered(Generic[ValueT]):
    """One thing that a provider says. `read` asks for it and raises ProviderFailed."""

    def __init__(self, read: Callable[[], Awaitable[ValueT]], clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._lock = asyncio.Lock()
        self._value: ValueT | None = None
        self._read_at = 0.0
        self._failure: tuple[ProviderFailed, float] | None = None
        self._reads: deque[float] = deque(maxlen=READS_A_MINUTE)

    async def get(self, fits: Callable[[ValueT], bool] = lambda _: True) -> ValueT:
        """The value, read again if it is an hour old or does not fit, at most ten times a minute.

        A value that does not fit is given all the same where it cannot be read again so soon. Raises ProviderFailed.
        """
        value, asked_at = self._current(), self._clock.monotonic()
        if value is not None and fits(value):
            return value
        async with self._lock:
            # Those who have waited for the same question share its answer, also if there was none.
            if self._failure is not None and self._failure[1] >= asked_at:
                raise ProviderFailed(str(self._failure[0]))
            value, now = self._current(), self._clock.monotonic()
            if value is not None and (fits(value) or self._read_at >= asked_at):
                return value
            if len(self._reads) == READS_A_MINUTE and now - self._reads[0] < 60:
                if value is None:
                    raise ProviderFailed("it was asked too often within a minute")
                return value
            self._reads.append(now)
            return await self._read_again()

    def _current(self) -> ValueT | None:
        return self._value if self._clock.monotonic() - self._read_at < KEPT_SECONDS else None

    async def _read_again(self) -> ValueT:
        try:
            value = await self._read()
        except ProviderFailed as failure:
            self._failure = failure, self._clock.monotonic()
            raise
        self._value, self._read_at = value, self._clock.monotonic()
        return value
