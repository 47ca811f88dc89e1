"""Quotas: resources that an environment has a limited amount of, and the arithmetic of what is left of them.

A limit is a *rate* (a bucket of at most `max` that gets `value` more every period), a *capacity* (an amount that is
used up) or a *concurrency* (an amount that comes back when a reservation ends).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType
from uuid import UUID

import msgspec

from golem_server.model.ids import EnvironmentId

ResourceDefinitionId = NewType("ResourceDefinitionId", UUID)

RATE, CAPACITY, CONCURRENCY = "Rate", "Capacity", "Concurrency"
ENFORCEMENTS = ("reject", "throttle", "terminate")
MAX_AMOUNT = (1 << 63) - 1

PERIODS = {
    "second": 1_000,
    "minute": 60_000,
    "hour": 3_600_000,
    "day": 86_400_000,
    "month": 30 * 86_400_000,
    "year": 365 * 86_400_000,
}
"""Periods of rates, in milliseconds."""


class ResourceLimit(msgspec.Struct, frozen=True):
    """How much there is. `period` and `max` belong to rates."""

    kind: str
    value: int
    period: str | None = None
    max: int | None = None

    @property
    def whole(self) -> int:
        """What there is when nothing is used."""
        return self.value if self.max is None else self.max


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceDefinition:
    """A resource of an environment. `unit` and `units` are for people: `token`, `tokens`."""

    id: ResourceDefinitionId
    revision: int
    environment_id: EnvironmentId
    name: str
    limit: ResourceLimit
    enforcement: str
    unit: str
    units: str


@dataclass(frozen=True, slots=True)
class QuotaLevel:
    """What was used of a resource, without what is reserved.

    `used` counts what a capacity has given away, and what is missing in the bucket of a rate, which was last filled at
    `filled_at` (milliseconds).
    """

    used: int
    filled_at: int

    def at(self, limit: ResourceLimit, now: int) -> QuotaLevel:
        """The level at a later time: a rate has been filled up for each whole period."""
        if limit.kind != RATE or limit.period is None:
            return self
        periods = max(now - self.filled_at, 0) // PERIODS[limit.period]
        filled = self.filled_at + periods * PERIODS[limit.period]
        return QuotaLevel(max(self.used - periods * limit.value, 0), filled)

    def after_use(self, limit: ResourceLimit, used: int) -> QuotaLevel:
        """The level when so much more was really used; the use of a concurrency ends with the reservation."""
        if limit.kind == CONCURRENCY:
            return self
        return QuotaLevel(min(self.used + used, MAX_AMOUNT), self.filled_at)

    def available(self, limit: ResourceLimit, reserved: int) -> int:
        """What can be reserved; less than nothing where more was used than reserved."""
        return limit.whole - self.used - reserved

    def wait_ns(self, limit: ResourceLimit, reserved: int, amount: int, now: int) -> int | None:
        """Nanoseconds until an amount should be there, None where that is not known or will never be."""
        if limit.kind != RATE or limit.period is None or limit.value == 0 or amount > limit.whole:
            return None
        missing = amount - self.available(limit, reserved)
        periods = -(-missing // limit.value)
        return max(self.filled_at + periods * PERIODS[limit.period] - now, 0) * 1_000_000


@dataclass(frozen=True, slots=True)
class QuotaAnswer:
    """Whether an amount was reserved, and if not, what is to be done with the worker (`enforcement`)."""

    granted: bool
    enforcement: str = "reject"
    wait_ns: int | None = None
