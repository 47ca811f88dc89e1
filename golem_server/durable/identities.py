"""What a guest may see of itself, and from where on: its name, its component's revision, environment and files.

An update or a fork changes these. Replay runs the history again, so it must show each part of it what that part saw
live: the old revision up to the update, the origin's name up to the fork (reference: durability, section 8).
"""

from __future__ import annotations

import sys
from typing import NamedTuple, TypeVar

from golem_server.durable.ports import ComponentSource, WorkerComponent
from golem_server.model.golem_variables import GolemVariables
from golem_server.model.initial_files import InitialFile
from golem_server.model.oplog import Region
from golem_server.model.status import StatusRecord
from golem_server.model.workers import NewWorker

T = TypeVar("T")

LIVE = sys.maxsize
"""A position behind all entries: what begins here begins when replay is over."""


class Identity(NamedTuple):
    """What the guest sees of itself once replay has consumed the entry at `since`."""

    since: int
    name: str
    revision: int
    environment: dict[str, str]
    golem_variables: GolemVariables
    files: tuple[InitialFile, ...] = ()


async def identities_of(
    worker: NewWorker, status: StatusRecord, component: WorkerComponent, components: ComponentSource
) -> list[Identity]:
    """The identities of the worker in the order of its history, for an instance that is made of `component`.

    A pending update counts: its revision is the last one, from the end of replay on. Raises NotFound for a revision
    that is gone.
    """
    revisions = _revisions(status, component.revision)
    names = _names(worker, status)
    found = {component.revision: component}
    identities: list[Identity] = []
    for since in sorted({since for since, _ in revisions} | {since for since, _ in names}):
        revision, name = _at(revisions, since), _at(names, since)
        if revision not in found:
            found[revision] = await components.revision(component.component_id, revision)
        given = worker.environment
        shown = found[revision]
        of_type = shown.agents.provision(status.agent_type).environment if shown.agents and status.agent_type else {}
        # The worker's variables come first and win.
        environment = {**given, **shown.environment, **of_type, **given}
        files = shown.initial_files(status.agent_type)
        identities.append(Identity(since, name, revision, environment, _golem_variables(status, shown), files))
    return identities


def _golem_variables(status: StatusRecord, component: WorkerComponent) -> GolemVariables:
    chosen = status.golem_variables
    return component.golem_variables if chosen is GolemVariables.BY_COMPONENT else chosen


def _revisions(status: StatusRecord, loaded: int) -> list[tuple[int, int]]:
    revisions = [(0, status.initial_revision)]
    for update in status.updates:
        if update.state != "successful":
            continue
        if update.snapshot:
            # What came before is not replayed any more.
            revisions = [(0, update.target_revision)]
        else:
            revisions.append((_position(update.position, status.skipped_regions), update.target_revision))
    pending = status.pending_update
    if pending is not None:
        revisions = [(0, loaded)] if pending.snapshot else [*revisions, (LIVE, loaded)]
    return revisions


def _position(position: int, skipped: list[Region]) -> int:
    """The place where replay stands when it has come past an entry that it may leave out."""
    for region in skipped:
        if region.start <= position <= region.end:
            return region.start - 1
    return position


def _names(worker: NewWorker, status: StatusRecord) -> list[tuple[int, str]]:
    names: list[tuple[int, str]] = []
    since = 0
    for origin in status.forks:
        names.append((since, origin.name))
        since = _position(origin.up_to, status.skipped_regions)
    return [*names, (since, worker.worker_id.name)]


def _at(changes: list[tuple[int, T]], since: int) -> T:
    return [value for place, value in changes if place <= since][-1]
