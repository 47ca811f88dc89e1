"""Snapshots that a worker takes by itself, so that its recovery need not run its whole history again.

An agent type says how often (`snapshotting`), oplog processors take one every ten invocations. A snapshot stands for
all that came before it, and is never needed: where it cannot be loaded, or what follows does not fit it, the worker is
replayed from the beginning and takes no notice of snapshots until it leaves memory. None is taken of a worker that has
written files, for a snapshot does not have them (reference: durability, section 8).
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path

from golem_server.durable.incarnation import Incarnation
from golem_server.durable.oplog import WorkerOplog
from golem_server.durable.signals import Signal
from golem_server.durable.snapshots import LOAD, SAVE
from golem_server.model.agent_types import Snapshotting
from golem_server.model.errors import Unavailable
from golem_server.model.initial_files import InitialFile
from golem_server.model.metadata import exported_interface
from golem_server.model.oplog import Snapshot
from golem_server.model.status import StatusRecord

log = logging.getLogger(__name__)

PROCESSOR = "golem:api/oplog-processor"
EVERY_TEN = Snapshotting("every-n-invocation", 10)
NEVER = Snapshotting("disabled")


class SnapshotRecovery:
    """What the worker's actor asks before and after it loads, and after each invocation. `now` is for entries."""

    def __init__(self, oplog: WorkerOplog, now: Callable[[], int]) -> None:
        self._oplog = oplog
        self._now = now
        self._trusted = True
        self._trying = False
        self._asked: tuple[Incarnation, Snapshotting] | None = None

    def begin(self) -> int:
        """An instance is about to be built: the index of the entry whose snapshot it begins with, 0 for none."""
        status = self._oplog.status
        found = status.replay_snapshot if self._trusted else status.update_snapshot
        self._trying = found != status.update_snapshot
        return found

    def caught_up(self) -> None:
        """Replay is over: what happens now has nothing to do with the snapshot."""
        self._trying = False

    def failed(self, error: BaseException) -> bool:
        """The instance could not be built: True if a snapshot may be to blame, which is tried no more."""
        if not self._trying or isinstance(error, Unavailable):
            return False
        self._trying = self._trusted = False
        log.warning("worker %s cannot go on from its snapshot, and is replayed: %s", self._oplog.number, error)
        return True

    def is_due(self, incarnation: Incarnation) -> bool:
        """Whether it is time for a snapshot. Asked after each invocation."""
        if self._asked is None or self._asked[0] is not incarnation:
            self._asked = incarnation, policy_of(incarnation)
        policy = self._asked[1]
        return policy is not NEVER and _is_due(policy, self._oplog.status, self._now())

    async def take(self, incarnation: Incarnation) -> bool:
        """Take a snapshot. False if the guest failed over it, and is to be given up."""
        context = incarnation.context
        if not await asyncio.to_thread(has_initial_files_alone, context.files, context.initial_files):
            return True
        try:
            state = await incarnation.save_state()
        except Unavailable:
            raise
        except (Exception, Signal) as error:
            log.warning("worker %s could not save a snapshot: %s", context.worker_id, error)
            return False
        self._oplog.append(Snapshot(timestamp=self._now(), data=state.payload, mime_type=state.mime_type))
        await self._oplog.commit()
        return True


def policy_of(incarnation: Incarnation) -> Snapshotting:
    """How often the guest wants snapshots to be taken, NEVER for one that cannot."""
    agent = incarnation.context.agent
    if agent is not None:
        policy = NEVER if agent.is_ephemeral else agent.type.snapshotting
    else:
        exports = incarnation.component.functions.component
        policy = NEVER if exported_interface(exports, PROCESSOR) is None else EVERY_TEN
    if policy.kind not in ("periodic", "every-n-invocation") or not policy.amount:
        return NEVER
    exports = incarnation.component.functions.component
    return policy if all(exported_interface(exports, name) is not None for name in (SAVE, LOAD)) else NEVER


def _is_due(policy: Snapshotting, status: StatusRecord, now: int) -> bool:
    if status.has_pending_updates:
        return False
    if policy.kind == "periodic":
        return (now - status.snapshot_at) * 1_000_000 >= policy.amount
    return status.since_snapshot >= policy.amount


def has_initial_files_alone(folder: Path, files: tuple[InitialFile, ...]) -> bool:
    """Whether the guest has written nothing: no file that it may write counts as unwritten."""
    given = {file.path for file in files if file.read_only}
    directories = {"/"}
    for path in given:
        while path := path.rpartition("/")[0]:
            directories.add(path)
    for above, below, names in os.walk(folder):
        inside = "/" + os.path.relpath(above, folder).replace(".", "", 1).lstrip("/")
        prefix = inside.rstrip("/")
        if any(f"{prefix}/{name}" not in directories for name in below):
            return False
        if any(f"{prefix}/{name}" not in given for name in names):
            return False
    return True
