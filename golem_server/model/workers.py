"""A worker as the store keeps it: what was fixed at creation, and the columns that its status needs."""

from __future__ import annotations

from enum import IntEnum
from uuid import UUID

import msgspec

from golem_server.model.ids import WorkerId, WorkerNumber
from golem_server.model.oplog import ConfigEntry, EncodedEntry
from golem_server.model.principals import ANONYMOUS
from golem_server.model.types import Value


class WorkerStatus(IntEnum):
    """The seven statuses, ordered as filters compare them (reference: rest-api, section 5)."""

    RUNNING = 0
    IDLE = 1
    SUSPENDED = 2
    INTERRUPTED = 3
    RETRYING = 4
    FAILED = 5
    EXITED = 6

    @property
    def text(self) -> str:
        """The status as JSON shows it: `Running`."""
        return self.name.capitalize()


class WorkerCreation(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody gives to a worker that is to be created: `principal` is that somebody, as guests see it."""

    arguments: list[str] = []
    environment: dict[str, str] = {}
    config: dict[str, str] = {}
    agent_config: list[ConfigEntry] = []
    principal: Value = ANONYMOUS
    parent: str | None = None
    revision: int | None = None
    """The component's revision; None is the latest."""

    def gives_what(self, worker: NewWorker) -> bool:
        """Whether it gives a worker what that one has been given already, whoever it was that did."""
        mine = (self.arguments, self.environment, self.config, self.agent_config)
        return mine == (worker.arguments, worker.environment, worker.config, worker.agent_config)


class NewWorker(msgspec.Struct, frozen=True, kw_only=True):
    """What is fixed when a worker is created. `created_at` in milliseconds since the epoch.

    `config` holds its configuration variables, which guests read through wasi:config; `agent_config` and `principal`
    (who created it, as guests see it) are an agent's.
    """

    worker_id: WorkerId
    environment_id: UUID
    created_by: UUID
    created_at: int
    arguments: list[str]
    environment: dict[str, str]
    config: dict[str, str] = {}
    agent_config: list[ConfigEntry] = []
    principal: Value = None


class StatusColumns(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a worker's status that queries need, and the whole of it as bytes.

    `record` is the encoded fold over the oplog up to `last_index`. `wake_at` (milliseconds since the epoch) is
    when the worker is to be started by the scheduler, or None.
    """

    status: WorkerStatus
    last_index: int
    component_revision: int
    retry_count: int
    pending_count: int
    wake_at: int | None
    record: bytes


class StoredWorker(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's row."""

    number: WorkerNumber
    worker: NewWorker
    columns: StatusColumns


class StoredEntry(msgspec.Struct, frozen=True):
    """An oplog entry with its index."""

    index: int
    kind: int
    timestamp: int
    data: bytes


class OplogBatch(msgspec.Struct, frozen=True, kw_only=True):
    """Entries `first_index`, `first_index + 1`, ... of one worker and the status after them, to be written together."""

    number: WorkerNumber
    first_index: int
    entries: list[EncodedEntry]
    columns: StatusColumns


class WorkerPage(msgspec.Struct, frozen=True):
    """Some workers in the order of their creation, and where to go on (None at the end)."""

    workers: list[StoredWorker]
    next: WorkerNumber | None
