"""What golem:quota needs from outside: where reservations are accounted for."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol
from uuid import UUID

from golem_server.model.errors import Unavailable
from golem_server.model.ids import WorkerNumber
from golem_server.model.quota import QuotaAnswer

log = logging.getLogger(__name__)


class QuotaStore(Protocol):
    """The account of an environment's resources."""

    async def reserve(
        self, environment_id: UUID, name: str, reservation: UUID, worker: WorkerNumber, amount: int, now: int
    ) -> QuotaAnswer:
        """Reserve an amount, once for each key. What is not defined is not limited."""
        ...

    async def commit(self, reservation: UUID, used: int, now: int) -> None:
        """End a reservation and count what was used. Nothing happens if it has ended."""
        ...


class QuotaLedger:
    """The account, and the reservations that guests dropped and that are being given back."""

    def __init__(self, store: QuotaStore) -> None:
        self.store = store
        self._releases: set[asyncio.Task[None]] = set()

    def release_soon(self, reservation: UUID, now: int) -> None:
        """Give a reservation back of which nothing was used. For the drop of a handle, which cannot wait."""
        task = asyncio.ensure_future(self._release(reservation, now))
        self._releases.add(task)
        task.add_done_callback(self._releases.discard)

    async def _release(self, reservation: UUID, now: int) -> None:
        try:
            await self.store.commit(reservation, 0, now)
        except Unavailable:
            log.warning("reservation %s could not be given back: the store is away", reservation)

    async def close(self) -> None:
        """Wait for what is being given back."""
        if self._releases:
            await asyncio.wait(self._releases)
