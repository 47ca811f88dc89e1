"""What a running guest can ask of the executor about workers, itself included."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from golem_server.durable.oplog_reading import OplogPart
from golem_server.durable.ports import WorkerComponent
from golem_server.durable.rpc import WorkerCalls
from golem_server.durable.worker_operations import WorkerOperations
from golem_server.model.ids import PromiseId, WorkerId
from golem_server.model.oplog_query import Query
from golem_server.model.status import StatusRecord


class WorkerServices(Protocol):
    """What a running guest can ask of the executor about workers, itself included."""

    async def promise_data(self, promise: PromiseId) -> bytes | None:
        """The data of a completed promise, None while it is open. Raises NotFound for one that was never created."""
        ...

    async def complete_promise(self, promise: PromiseId, data: bytes) -> bool:
        """Complete a promise and wake its worker. False if it was complete before. Raises NotFound."""
        ...

    def promises_held(self, worker_id: WorkerId) -> AbstractAsyncContextManager[None]:
        """While this is entered no promise of the worker is completed through this server."""
        ...

    async def wait_for_promise(self, promise: PromiseId) -> None:
        """Return when the promise is completed through this server, or at once if it is complete."""
        ...

    async def worker_status(self, worker_id: WorkerId) -> StatusRecord | None:
        """The status of a worker, None where there is none."""
        ...

    async def oplog(
        self, worker_id: WorkerId, first: int, count: int, *, query: Query | None = None, last: int | None = None
    ) -> OplogPart:
        """Entries of a worker's oplog that match a query, at most 100 and up to index `last`. Raises WorkerNotFound."""
        ...

    async def component_of(self, worker_id: WorkerId) -> WorkerComponent:
        """The revision that a worker runs, or the newest one where it does not exist yet. Raises NotFound."""
        ...

    @property
    def calls(self) -> WorkerCalls:
        """Calls to other workers."""
        ...

    @property
    def operations(self) -> WorkerOperations:
        """Updates, reverts and copies of workers, and looking for them."""
        ...
