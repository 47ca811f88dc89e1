"""What changes workers as a whole: update, revert, fork, and taking an invocation out of the queue.

The rules are those of reference rest-api, section 5. All generations' spellings are accepted: `Automatic` and
`automatic`, `targetVersion` and `targetRevision`, `targetWorkerId` and `targetAgentId`, `RevertToOplogIndex` and
`revertToOplogIndex`.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from golem_server.api.authentication import authenticated
from golem_server.api.json_bodies import empty_response, json_response
from golem_server.api.paths import ComponentPath, WorkerPath, decode_segment, parse_uuid, worker_name
from golem_server.api.services import services_of
from golem_server.api.workers import MAX_INT64, Reader
from golem_server.durable.operations import Operations
from golem_server.durable.reverting import LastInvocations, RevertTarget, ToOplogIndex
from golem_server.model.errors import InvalidInput, NotFound
from golem_server.model.ids import ComponentId, WorkerId

router = APIRouter(tags=["Worker"], dependencies=[Depends(authenticated)])

_WORKER = "/v1/components/{component_id}/workers/{agent_name}"

Index = Annotated[int, msgspec.Meta(ge=0, le=MAX_INT64)]


class UpdateRequest(msgspec.Struct, rename="camel"):
    """Which revision, and how to get there."""

    mode: str
    target_version: Index | None = None
    target_revision: Index | None = None
    disable_wakeup: bool = False


class RevertRequest(msgspec.Struct, rename="camel"):
    """Up to where, or how much of the end."""

    type: str
    last_oplog_index: Index | None = None
    number_of_invocations: Annotated[int, msgspec.Meta(ge=1, le=MAX_INT64)] | None = None


class ForkTarget(msgspec.Struct, rename="camel"):
    """The name of the copy, of either generation."""

    component_id: str
    worker_name: str | None = None
    agent_id: str | None = None


class ForkRequest(msgspec.Struct, rename="camel"):
    """What the copy is called, and the last entry that it takes over."""

    oplog_index_cutoff: Index
    target_worker_id: ForkTarget | None = None
    target_agent_id: ForkTarget | None = None


_update = msgspec.json.Decoder(UpdateRequest)
_revert = msgspec.json.Decoder(RevertRequest)
_fork = msgspec.json.Decoder(ForkRequest)


def _operations(request: Request) -> Operations:
    return services_of(request).executor.operations


@router.post(f"{_WORKER}/update", operation_id="updateWorker")
async def update_worker(request: Request, worker_id: WorkerPath, reader: Reader) -> Response:
    """Queue an update to another revision; its outcome is in the metadata and in the oplog."""
    wanted = await reader.read(request.receive, request.scope["headers"], _update)
    mode = wanted.mode.lower()
    if mode not in ("automatic", "manual"):
        raise InvalidInput(
            f"parse request payload error: unknown update mode {wanted.mode[:200]!r}, expected automatic or manual"
        )
    target = wanted.target_version if wanted.target_revision is None else wanted.target_revision
    if target is None:
        raise InvalidInput("parse request payload error: targetRevision or targetVersion is missing")
    await _operations(request).update(worker_id, target, automatic=mode == "automatic", wake=not wanted.disable_wakeup)
    return empty_response()


@router.post(f"{_WORKER}/revert", operation_id="revertWorker")
async def revert_worker(request: Request, worker_id: WorkerPath, reader: Reader) -> Response:
    """Drop the end of a worker's oplog."""
    wanted = await reader.read(request.receive, request.scope["headers"], _revert)
    await _operations(request).revert(worker_id, _revert_target(wanted))
    return empty_response()


def _revert_target(wanted: RevertRequest) -> RevertTarget:
    kind = wanted.type.lower()
    if kind == "reverttooplogindex" and wanted.last_oplog_index is not None:
        return ToOplogIndex(wanted.last_oplog_index)
    if kind == "revertlastinvocations" and wanted.number_of_invocations is not None:
        return LastInvocations(wanted.number_of_invocations)
    raise InvalidInput(
        "parse request payload error: expected RevertToOplogIndex with lastOplogIndex, or RevertLastInvocations with "
        "numberOfInvocations"
    )


@router.post(f"{_WORKER}/fork", operation_id="forkWorker")
async def fork_worker(request: Request, component: ComponentPath, worker_id: WorkerPath, reader: Reader) -> Response:
    """Copy a worker under another name."""
    wanted = await reader.read(request.receive, request.scope["headers"], _fork)
    target = wanted.target_worker_id if wanted.target_agent_id is None else wanted.target_agent_id
    name = None if target is None else (target.worker_name if target.agent_id is None else target.agent_id)
    if target is None or name is None:
        raise InvalidInput("parse request payload error: targetAgentId or targetWorkerId is missing")
    target_id = WorkerId(ComponentId(parse_uuid("componentId", target.component_id)), worker_name(name, component))
    await _operations(request).fork(worker_id, target_id, wanted.oplog_index_cutoff)
    return empty_response()


@router.get(f"{_WORKER}/invocations/{{idempotency_key}}", operation_id="getInvocation")
async def invocation_status(request: Request, worker_id: WorkerPath) -> Response:
    """What has become of an invocation."""
    key = decode_segment("idempotency_key", request.path_params["idempotency_key"])
    status = await _operations(request).answers.status(worker_id, key)
    if status is None:
        raise NotFound("Invocation not found")
    answer: dict[str, Any] = {"idempotencyKey": key, "status": status.value}
    return json_response(answer)


@router.delete(f"{_WORKER}/invocations/{{idempotency_key}}", operation_id="cancelInvocation")
async def cancel_invocation(request: Request, worker_id: WorkerPath) -> Response:
    """Take an invocation out of the queue. False if it runs or has its result."""
    key = decode_segment("idempotency_key", request.path_params["idempotency_key"])
    answer: dict[str, Any] = {"canceled": await _operations(request).cancel_pending(worker_id, key)}
    return json_response(answer)
