"""The time, as something that is handed in: rooms never read the machine's clock themselves.

A test moves time by handing in a clock of its own; a simulation makes it virtual. Durations are measured with
`monotonic`, which no change of the wall clock can bend; points in time that people or other machines see come
from `now`.
"""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where the server takes the time from."""

    def now(self) -> datetime:
        """The wall-clock time, aware and in UTC, to the microsecond."""
        ...

    def now_ns(self) -> int:
        """The wall-clock time in nanoseconds since 1970-01-01T00:00:00Z."""
        ...

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never goes back. Only differences mean something."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The wall-clock time, aware and in UTC, to the microsecond."""
        return datetime.now(UTC)

    def now_ns(self) -> int:
        """The wall-clock time in nanoseconds since 1970-01-01T00:00:00Z."""
        return time.time_ns()

    def monotonic(self) -> float:
        """Seconds since an arbitrary start; never goes back."""
        return time.monotonic()
