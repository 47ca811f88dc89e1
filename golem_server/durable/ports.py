"""What the durable room needs from outside: stores and the source of components.

The storage and registry rooms fit these protocols; only app.py knows that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol
from uuid import UUID

from golem_server.model.component_agents import ComponentAgents
from golem_server.model.deliveries import Delivery, DueDelivery
from golem_server.model.dynamic_links import DynamicLinks
from golem_server.model.function_names import FunctionResolver
from golem_server.model.golem_variables import GolemVariables
from golem_server.model.ids import AccountId, ComponentId, EnvironmentId, WorkerId, WorkerNumber
from golem_server.model.initial_files import InitialFile
from golem_server.model.oplog import EncodedEntry
from golem_server.model.plugins import InstalledPlugin
from golem_server.model.scheduled import ScheduledInvocation
from golem_server.model.worker_filters import WorkerFilter
from golem_server.model.workers import NewWorker, OplogBatch, StatusColumns, StoredEntry, StoredWorker, WorkerPage


class OplogStore(Protocol):
    """Workers and their oplogs. All methods raise Unavailable while the database cannot be reached."""

    async def create_worker(self, worker: NewWorker, create: EncodedEntry, columns: StatusColumns) -> WorkerNumber:
        """Write the worker's row and entry 1 together. Raises WorkerAlreadyExists."""
        ...

    async def fork_worker(
        self,
        source: WorkerNumber,
        cut_off: int,
        worker: NewWorker,
        create: EncodedEntry,
        tail: Sequence[EncodedEntry],
        columns: StatusColumns,
    ) -> WorkerNumber:
        """Write a worker whose oplog is `create`, entries 2 to `cut_off` of the source, and `tail`. All or nothing.

        Raises WorkerAlreadyExists, and WorkerNotFound if the source is gone.
        """
        ...

    async def find_worker(self, worker_id: WorkerId) -> StoredWorker | None:
        """The worker's row, or None."""
        ...

    async def append(self, batch: OplogBatch) -> None:
        """Write a batch; durable when it returns. All or none.

        Batches of many workers that are appended at the same time share one statement and one fsync.
        Raises OplogFenced if one of the indexes is taken, if `first_index` does not follow the row's last index, or if
        the worker's row is gone; Unavailable if the outcome is unknown (read again before writing).
        """
        ...

    async def read(
        self, number: WorkerNumber, first: int, count: int, max_bytes: int | None = None
    ) -> list[StoredEntry]:
        """Up to `count` entries from index `first` on, in order.

        With `max_bytes` the page ends behind the entry that reaches so many bytes of data; it has at least one.
        """
        ...

    async def list_workers(
        self,
        component_id: ComponentId,
        after: WorkerNumber | None,
        count: int,
        condition: WorkerFilter | None = None,
    ) -> WorkerPage:
        """A component's workers in the order of their numbers, after the given one, that meet the condition.

        A page with a condition may have fewer than `count` workers, or none, and still say where to go on.
        """
        ...

    async def delete_worker(self, number: WorkerNumber) -> None:
        """Remove the worker's row, oplog, payloads and promises. Nothing happens where there is none."""
        ...

    async def workers_to_recover(self, after: WorkerNumber | None, count: int) -> WorkerPage:
        """Workers that were at work when the last run ended: Running, Retrying, or with pending invocations."""
        ...

    async def workers_to_wake(
        self, before: int, count: int, after: tuple[int, WorkerNumber] | None = None
    ) -> list[StoredWorker]:
        """Workers whose `wake_at` is at or before the time (milliseconds since the epoch), the earliest first.

        `after` is the `wake_at` and number of the last one of the page before.
        """
        ...

    async def next_wake(self, after: int = -1) -> int | None:
        """The earliest `wake_at` of all workers that comes after the time."""
        ...


class PromiseStore(Protocol):
    """The data of completed promises, by worker and oplog index of the promise."""

    async def complete(self, number: WorkerNumber, oplog_index: int, data: bytes) -> bool:
        """Store the data; the first one wins. False if the promise was complete before.

        Together with it, a worker that is suspended gets 0 as its `wake_at`: after a crash it is woken all the same.
        """
        ...

    async def get(self, number: WorkerNumber, oplog_index: int) -> bytes | None:
        """The data, or None while the promise is open."""
        ...


class DeliveryStore(Protocol):
    """How far oplog processors have been told the oplogs of workers. All methods raise Unavailable.

    What is kept of a worker goes with it.
    """

    async def begin(self, number: WorkerNumber, delivery: Delivery) -> None:
        """Deliver what comes behind `delivery.confirmed`, if that has not begun."""
        ...

    async def end(self, number: WorkerNumber, plugin: UUID, until: int) -> None:
        """Deliver nothing behind this index."""
        ...

    async def sending(self, number: WorkerNumber, plugin: UUID, up_to: int) -> tuple[int, int] | None:
        """Note that the next batch ends at `up_to`, unless one is under way, which must be sent again as it was.

        What is confirmed, and where the batch ends; None where nothing is delivered any more.
        """
        ...

    async def confirm(self, number: WorkerNumber, plugin: UUID, up_to: int) -> None:
        """The batch has arrived."""
        ...

    async def of_worker(self, number: WorkerNumber) -> list[Delivery]:
        """All deliveries of a worker."""
        ...

    async def due(self, after: WorkerNumber, count: int) -> list[DueDelivery]:
        """Workers with entries that were not delivered, by number, from the one after `after` on."""
        ...


class ScheduleStore(Protocol):
    """Invocations that wait for their time. All methods raise Unavailable while the database cannot be reached."""

    async def put(self, scheduled: ScheduledInvocation) -> None:
        """Keep it, durable on return, in place of an earlier one with this id. Nothing is kept for a deleted worker."""
        ...

    async def delete(self, schedule_id: UUID) -> None:
        """Forget it. Nothing happens where there is none (any more)."""
        ...

    async def due(self, before: int, count: int, after: tuple[int, int] | None = None) -> list[ScheduledInvocation]:
        """Those whose time is at or before `before` (milliseconds since the epoch), the earliest first.

        `after` is the `due_at` and `sequence` of the last one of the page before.
        """
        ...

    async def next_due(self, after: int) -> int | None:
        """The earliest time of all that comes after the given one."""
        ...


class BlobStore(Protocol):
    """Large bytes by content. A namespace groups what is deleted together."""

    async def put(self, namespace: str, content: bytes) -> str:
        """Keep the content and return its BLAKE3 hash in hex. The same content twice is kept once."""
        ...

    async def get(self, namespace: str, content_hash: str) -> bytes:
        """The content. Raises NotFound."""
        ...

    async def delete_namespace(self, namespace: str) -> None:
        """Remove everything in the namespace."""
        ...


class WorkerComponent(Protocol):
    """What an executor must know of a component's revision to run workers of it. Nothing of it changes.

    `account_id` is the owner of its environment. `functions` finds its exports by name; one object is shared by all
    workers of the revision. `agents` are its agent types, None where its workers are no agents. `links` say what the
    clients of other components stand for that it imports. Of workers that are no agents nothing stays after an
    invocation where the revision is `ephemeral`. `golem_variables` says which Golem it was made for.
    """

    @property
    def component_id(self) -> ComponentId: ...

    @property
    def environment_id(self) -> EnvironmentId: ...

    @property
    def account_id(self) -> AccountId: ...

    @property
    def created_by(self) -> AccountId: ...

    @property
    def revision(self) -> int: ...

    @property
    def wasm_hash(self) -> str: ...

    @property
    def size_bytes(self) -> int: ...

    @property
    def initial_memory_bytes(self) -> int: ...

    @property
    def environment(self) -> dict[str, str]: ...

    @property
    def functions(self) -> FunctionResolver: ...

    @property
    def agents(self) -> ComponentAgents | None: ...

    @property
    def links(self) -> DynamicLinks: ...

    @property
    def ephemeral(self) -> bool: ...

    @property
    def golem_variables(self) -> GolemVariables: ...

    @property
    def fetch(self) -> Callable[[], Awaitable[bytes]]: ...

    def installed_plugins(self, agent_type: str) -> tuple[InstalledPlugin, ...]:
        """The plugins of a worker, by priority; `agent_type` as in `initial_files`."""
        ...

    def initial_files(self, agent_type: str) -> tuple[InitialFile, ...]:
        """The files that a worker begins with; `agent_type` is empty for one that is no agent."""
        ...


class ComponentSource(Protocol):
    """Where the executor finds components."""

    async def latest(self, component_id: ComponentId) -> WorkerComponent:
        """The newest revision. Raises NotFound."""
        ...

    async def by_name(self, environment_id: EnvironmentId, name: str) -> WorkerComponent:
        """The component of that name at its newest revision. Raises NotFound, also for the environment."""
        ...

    async def revision(self, component_id: ComponentId, revision: int) -> WorkerComponent:
        """One revision, also of a deleted component's. Raises NotFound."""
        ...


class Witness(Protocol):
    """Points of interest in the life of a commit, for tests that kill the server there; the real one does nothing."""

    def reached(self, point: str, kinds: Sequence[int]) -> None:
        """Called at `before-commit` and `after-commit` with the kinds of the entries concerned."""
        ...
