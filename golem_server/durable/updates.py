"""Updates of one worker to other revisions of its component (reference: durability, section 8).

An *automatic* update is a replay of the whole history by the new code: what it does must be what the oplog says.
A *manual* one waits its turn among the invocations; then the old code saves a snapshot, which the new code loads
instead of replaying. Either way the update is in force when the new instance stands where the worker stood, and until
then any failure leaves the old revision as it was. All there is to an update is in the oplog: a process that is killed
in the middle tries the update again when the worker is next loaded.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from uuid import uuid4

from golem_server.durable.incarnation import Incarnation
from golem_server.durable.oplog import WorkerOplog
from golem_server.durable.ports import ComponentSource, WorkerComponent
from golem_server.durable.signals import Signal
from golem_server.durable.snapshots import SavedState
from golem_server.model.errors import FailedToResumeWorker, GolemError, InvalidWorkerRequest, NotFound, Unavailable
from golem_server.model.ids import ComponentId
from golem_server.model.oplog import (
    FailedUpdate,
    Invocation,
    PendingInvocation,
    PendingUpdate,
    SuccessfulUpdate,
)
from golem_server.model.plugins import active_from_the_start
from golem_server.model.status import StatusRecord, UpdateRecord
from golem_server.model.workers import WorkerStatus

log = logging.getLogger(__name__)


class WorkerUpdates:
    """What the worker's actor asks while it carries out updates. `now` gives the time for entries."""

    def __init__(
        self, component_id: ComponentId, oplog: WorkerOplog, components: ComponentSource, now: Callable[[], int]
    ) -> None:
        self._component_id = component_id
        self._oplog = oplog
        self._components = components
        self._now = now
        self._trying: UpdateRecord | None = None

    @property
    def is_due(self) -> bool:
        """Whether the instance must be built anew for an update, before anything else is invoked."""
        return self._trying is None and self._oplog.status.pending_update is not None

    def request_automatic(self, target: int) -> bool:
        """Note the wish for an automatic update. False where nothing is to be done: the worker has exited.

        Raises InvalidWorkerRequest.
        """
        self._check(target, automatic=True)
        if self._oplog.status.status is WorkerStatus.EXITED:
            return False
        self._oplog.append(PendingUpdate(timestamp=self._now(), target_revision=target))
        return True

    def request_manual(self, target: int) -> Invocation:
        """Note the wish for an update by snapshot: what is to be put into the queue. Raises InvalidWorkerRequest."""
        self._check(target, automatic=False)
        invocation = Invocation(f"update-{uuid4()}", "", [], update_to=target)
        self._oplog.append(PendingInvocation(timestamp=self._now(), invocation=invocation))
        return invocation

    def _check(self, target: int, *, automatic: bool) -> None:
        status = self._oplog.status
        if status.ephemeral:
            raise InvalidWorkerRequest("Ephemeral workers cannot be updated")
        pending = [update for update in status.updates if update.state == "pending"]
        if status.component_revision == target and not pending:
            raise InvalidWorkerRequest("Worker is already at the target version")
        if any(
            update.target_revision == target and (update.key is None and not update.snapshot) == automatic
            for update in pending
        ):
            raise InvalidWorkerRequest("The same update is already in progress")

    async def component_to_load(self, current: WorkerComponent) -> WorkerComponent:
        """The revision that the next instance is to be made of: a pending update's, else the one in force."""
        while True:
            status = self._oplog.status
            update = self._trying = status.pending_update
            revision = status.component_revision if update is None else update.target_revision
            if current.revision == revision:
                return current
            try:
                component = await self._components.revision(self._component_id, revision)
                if update is not None:
                    check_mode(status, component)
                return component
            except (NotFound, InvalidWorkerRequest) as error:
                if not self.failed(error):
                    raise

    def caught_up(self, component: WorkerComponent, position: int) -> None:
        """The instance stands where its oplog ends: an update that was tried is in force from here on."""
        if self._trying is None:
            return
        self._trying = None
        self._oplog.append(
            SuccessfulUpdate(
                timestamp=self._now(),
                target_revision=component.revision,
                new_component_size=component.size_bytes,
                new_active_plugins=active_from_the_start(component.installed_plugins(self._oplog.status.agent_type)),
                position=position,
            )
        )
        self._oplog.commit_soon()

    def failed(self, error: BaseException) -> bool:
        """The instance could not be built: True if an update was tried, which has failed; the old revision goes on."""
        update, self._trying = self._trying, None
        if update is None or isinstance(error, Unavailable):
            return False
        what = "Manual update failed to load snapshot" if update.snapshot else "Automatic update failed"
        self._fail(update.target_revision, f"{what}: {_text(error)}")
        return True

    async def save(self, incarnation: Incarnation, invocation: Invocation) -> None:
        """A queued update has its turn: save the state for it. The caller then gives the instance up."""
        target = invocation.update_to
        assert target is not None
        failure: str | None = None
        state: SavedState | None = None
        try:
            state = await incarnation.save_state()
        except Unavailable:
            raise
        except (Exception, Signal) as error:
            failure = f"failed to get a snapshot for manual update: {_text(error)}"
        if all(update.key != invocation.idempotency_key for update in self._oplog.status.updates):
            return  # it was cancelled meanwhile
        if state is None:
            self._fail(target, failure or "")
            return
        self._oplog.append(
            PendingUpdate(
                timestamp=self._now(), target_revision=target, snapshot=state.payload, mime_type=state.mime_type
            )
        )

    def _fail(self, target: int, details: str) -> None:
        log.info("update of worker %s to revision %s failed: %s", self._oplog.number, target, details)
        self._oplog.append(FailedUpdate(timestamp=self._now(), target_revision=target, details=details))


def _text(error: BaseException) -> str:
    if isinstance(error, FailedToResumeWorker):
        return error.reason
    if isinstance(error, GolemError):
        return error.message
    return str(error) or type(error).__name__


def check_mode(status: StatusRecord, component: WorkerComponent) -> None:
    """Raise InvalidWorkerRequest where a revision keeps workers of this kind that were not kept, or the other way
    round: what an oplog is for does not change."""
    if not status.agent_type and component.ephemeral is not status.ephemeral:
        raise InvalidWorkerRequest(
            f"Revision {component.revision} is {'ephemeral' if component.ephemeral else 'durable'}, and the worker is "
            "not: this cannot be changed by an update"
        )
    type_ = None if component.agents is None else component.agents.types.get(status.agent_type)
    if type_ is not None and (type_.mode == "ephemeral") is not status.ephemeral:
        raise InvalidWorkerRequest(
            f"Agent type {status.agent_type} is {type_.mode} in revision {component.revision}, and the agent is not: "
            "the mode of an agent type cannot be changed by an update"
        )
