"""What a worker tells its executor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from golem_server.model.errors import Unavailable

if TYPE_CHECKING:
    from golem_server.durable.worker import Worker


class WorkerOwner(Protocol):
    """Whoever holds workers in memory."""

    def worker_closed(self, worker: Worker) -> None:
        """The worker has left memory; a new object must be made for it."""
        ...

    def worker_suspended(self, worker: Worker, wake_at: int | None) -> None:
        """The worker waits until `wake_at` (milliseconds since the epoch) or for a promise."""
        ...

    def worker_idle(self, worker: Worker) -> None:
        """The worker has nothing to do at present."""
        ...

    def worker_lost_store(self, worker: Worker, error: Unavailable) -> None:
        """The store was away, or another owner wrote the oplog: what is in memory was given up."""
        ...
