"""Idempotency keys for the effects of a guest: the same each time that the very same effect is tried.

A key is made from that of the running invocation and the place where the guest stands, which is the same live and in
replay (reference: durability, section 4). Inside an atomic region places change when it is repeated; there the effects
are counted instead, from the beginning of the outermost region.
"""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from golem_server.model.ids import derived_idempotency_key


class GuestPlace(Protocol):
    """Where a guest stands: what keys need of the durable context."""

    current_key: str

    @property
    def position(self) -> int: ...

    @property
    def outermost_region(self) -> int | None: ...


class EffectKeys:
    """Makes the keys of one instance's effects."""

    def __init__(self, place: GuestPlace) -> None:
        self._place = place
        self._counted = 0
        self._future_place = 0
        self._futures = 0

    def region_began(self, begin: int) -> None:
        """An outermost atomic region began at this index."""
        self._counted = begin + 1

    def effect(self, index: int | None = None) -> UUID:
        """The key of an effect that is about to happen, and is recorded when it has.

        `index` names the remote write that it belongs to, where there is one.
        """
        if self._place.outermost_region is not None:
            number = self._counted
            self._counted += 1
        else:
            # The effect's own entry comes next; the last one may have begun a remote write that has its index as key.
            number = self._place.position + 1 if index is None else index
        return derived_idempotency_key(self._place.current_key, number)

    def future(self) -> UUID:
        """The key of an effect that begins now and whose outcome may be recorded later, not with the next entry.

        It is asked for in replay too, as the effect may have to be begun again when replay is over. Of several that
        begin at one place each has its own.
        """
        region = self._place.outermost_region
        place = self._place.position if region is None else region
        if self._future_place != place:
            self._future_place = place
            self._futures = 0
        self._futures += 1
        first = derived_idempotency_key(self._place.current_key, place + 1)
        return derived_idempotency_key(str(first), self._futures)
