"""wasi:clocks: the time as a worker sees it.

Instants of the monotonic clock are nanoseconds since the Unix epoch, so that a deadline means the same after a restart
on another day or machine. They never go back within a worker, whatever the machine's clock does.
"""

from __future__ import annotations

from golem_server.clock import Clock
from golem_server.durable.context import WorkerContext
from golem_server.durable.host_function import HostInterface
from golem_server.host.resources import Pollable
from golem_server.model.oplog import Category
from golem_server.model.types import Value

_LAST_INSTANT = 2**64 - 1
_LATEST = "wasi:clocks/monotonic-clock latest"
_LONGEST_PAUSE_SECONDS = 3600.0

wall_clock = HostInterface("wasi:clocks/wall-clock")
monotonic_clock = HostInterface("wasi:clocks/monotonic-clock")

INTERFACES = [wall_clock, monotonic_clock]


class Timer(Pollable):
    """Ready from an instant on."""

    def __init__(self, context: WorkerContext, deadline_ns: int) -> None:
        self.deadline_ns = deadline_ns
        self._deadline_ns = deadline_ns
        self._context = context
        self._clock: Clock = context.clock

    def ready(self) -> bool:
        """Whether the instant has come."""
        return self._clock.now_ns() >= self._deadline_ns

    async def wait(self) -> None:
        """Wait for the instant. Looked at again from time to time, because the clock can be set meanwhile."""
        while (left := self._deadline_ns - self._clock.now_ns()) > 0:
            await self._context.pause(min(left / 1e9, _LONGEST_PAUSE_SECONDS))


@wall_clock.recorded("now", Category.READ_LOCAL, "wall_clock::now")
def wall_clock_now(context: WorkerContext) -> Value:
    """The time as a `datetime`."""
    seconds, nanoseconds = divmod(context.clock.now_ns(), 1_000_000_000)
    return {"seconds": seconds, "nanoseconds": nanoseconds}


@wall_clock.recorded("resolution", Category.READ_LOCAL, "wall_clock::resolution")
def wall_clock_resolution(_context: WorkerContext) -> Value:
    """One nanosecond."""
    return {"seconds": 0, "nanoseconds": 1}


@monotonic_clock.recorded("now", Category.READ_LOCAL, "monotonic_clock::now")
def monotonic_clock_now(context: WorkerContext) -> Value:
    """The instant."""
    return _instant(context)


@monotonic_clock_now.finish
def _(context: WorkerContext, response: int) -> Value:
    return _seen(context, response)


@monotonic_clock.recorded("resolution", Category.READ_LOCAL, "monotonic_clock::resolution")
def monotonic_clock_resolution(_context: WorkerContext) -> Value:
    """One nanosecond."""
    return 1


@monotonic_clock.recorded("subscribe-duration", Category.READ_LOCAL, "monotonic_clock::subscribe_duration")
def subscribe_duration(context: WorkerContext, duration_in_nanos: int) -> Value:
    """The instant at which the duration began: it ends at the same instant after a restart."""
    return _instant(context)


@subscribe_duration.finish
def _(context: WorkerContext, response: int, duration_in_nanos: int) -> Value:
    deadline = min(_seen(context, response) + duration_in_nanos, _LAST_INSTANT)
    return context.resources.add(Timer(context, deadline))


@monotonic_clock.unrecorded("subscribe-instant")
def subscribe_instant(context: WorkerContext, when: int) -> Value:
    """A pollable that is ready from the instant on."""
    return context.resources.add(Timer(context, when))


def _instant(context: WorkerContext) -> int:
    return max(context.clock.now_ns(), context.local.get(_LATEST, 0))


def _seen(context: WorkerContext, instant: int) -> int:
    context.local[_LATEST] = instant
    return instant
