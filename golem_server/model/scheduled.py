"""An invocation that is to happen at a later time."""

from __future__ import annotations

from uuid import UUID

import msgspec

from golem_server.model.ids import WorkerId, WorkerNumber
from golem_server.model.oplog import Invocation


class ScheduledInvocation(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of it until it is due.

    `due_at` in milliseconds since the epoch. `number` is the life of the worker that is meant: one that was deleted and
    created again is another. `sequence` is the store's order of those that are due at the same time.
    """

    id: UUID
    due_at: int
    worker_id: WorkerId
    number: WorkerNumber
    invocation: Invocation
    sequence: int = 0
