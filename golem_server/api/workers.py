"""The worker routes of the contract, but for invocations and the oplog (reference: rest-api, section 5)."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from golem_server.api.authentication import Caller, authenticated
from golem_server.api.components import checked_environment
from golem_server.api.dialects import CliDialect
from golem_server.api.json_bodies import JsonReader, empty_response, json_response
from golem_server.api.paths import ComponentPath, WorkerPath, worker_name
from golem_server.api.services import services_of
from golem_server.api.worker_configuration import ConfigValue, ConfigVariable, configuration_variables
from golem_server.api.worker_filters import filter_of_json, filter_of_texts
from golem_server.api.worker_json import created_worker_to_json, worker_to_json
from golem_server.model.agent_provisions import config_entries
from golem_server.model.errors import InvalidInput, WorkerAlreadyExists
from golem_server.model.ids import ComponentId, OplogIndex, PromiseId, WorkerId, WorkerNumber
from golem_server.model.principals import user_principal
from golem_server.model.worker_filters import WorkerFilter
from golem_server.model.workers import StoredWorker, WorkerCreation

router = APIRouter(tags=["Worker"], dependencies=[Depends(authenticated)])

MAX_INT64 = (1 << 63) - 1

DEFAULT_PAGE = 50
MAX_PAGE = 1000
"""Workers in one page, where the request names no number, and at most."""


class WorkerCreationRequest(msgspec.Struct, rename="camel"):
    """What a new worker is to be called and given."""

    name: str
    args: list[str] | None = None
    env: dict[str, str] | None = None
    config_vars: list[ConfigVariable] | dict[str, str] | None = None
    config: list[ConfigValue] | None = None


class CompletePromise(msgspec.Struct, rename="camel"):
    """A promise of the worker by its oplog index, and the bytes that complete it."""

    oplog_idx: Annotated[int, msgspec.Meta(ge=1, le=MAX_INT64)]
    data: list[Annotated[int, msgspec.Meta(ge=0, le=255)]]


class ScanCursor(msgspec.Struct):
    """Where a page begins."""

    cursor: Annotated[int, msgspec.Meta(ge=0, le=MAX_INT64)] = 0
    layer: int = 0


class WorkerSearch(msgspec.Struct):
    """Which workers, and how many of them. `precise` changes nothing: all that is told is up to date."""

    filter: Any = None
    cursor: ScanCursor | None = None
    count: Annotated[int, msgspec.Meta(ge=1, le=MAX_INT64)] = DEFAULT_PAGE
    precise: bool | None = None


_search = msgspec.json.Decoder(WorkerSearch)
_creation = msgspec.json.Decoder(WorkerCreationRequest)
_completion = msgspec.json.Decoder(CompletePromise)


async def _read_json(request: Request) -> JsonReader:
    limits = services_of(request).settings.limits.request
    return JsonReader(limits.json_body, limits.json_depth)


Reader = Annotated[JsonReader, Depends(_read_json)]


@router.post("/v1/components/{component_id}/workers", operation_id="launchNewWorker")
async def launch_worker(request: Request, component: ComponentPath, caller: Caller, reader: Reader) -> Response:
    """Create a worker of the latest revision and load it."""
    wanted = await reader.read(request.receive, request.scope["headers"], _creation)
    name, agent_config = worker_name(wanted.name, component), []
    config = configuration_variables(wanted.config_vars, None if component.agents else wanted.config)
    if component.agents is not None:
        agent = component.agents.agent(name)
        name, agent_config = agent.with_phantom().name, config_entries(agent.type, wanted.config or ())
    arguments = wanted.args or []
    if any("\0" in argument for argument in arguments):
        raise InvalidInput("An argument of a worker cannot contain a NUL")
    worker_id = WorkerId(component.component_id, name)
    creation = WorkerCreation(
        arguments=arguments,
        environment=checked_environment(wanted.env),
        config=config,
        agent_config=agent_config,
        principal=user_principal(caller.account_id),
    )
    executor = services_of(request).executor
    try:
        stored = await executor.create(worker_id, creation)
    except WorkerAlreadyExists:
        # An agent is what its name says: asking for the same one twice is no mistake.
        stored = await executor.find(worker_id)
        if component.agents is None or not creation.gives_what(stored.worker):
            raise
    return json_response(created_worker_to_json(stored))


@router.get("/v1/components/{component_id}/workers", operation_id="getWorkersMetadata")
async def workers(
    request: Request,
    component: ComponentPath,
    cli: CliDialect,
    filters: Annotated[list[str] | None, Query(alias="filter")] = None,
    cursor: Annotated[str | None, Query()] = None,
    count: Annotated[int, Query(ge=1, le=MAX_INT64)] = DEFAULT_PAGE,
    precise: Annotated[bool, Query()] = False,
) -> Response:
    """A page of a component's workers in the order of their creation.

    What is told is always up to date, so `precise` changes nothing.
    """
    del precise
    after = None if cursor is None else _parse_cursor(cursor)
    condition = filter_of_texts(filters or [])
    page, following = await _find(request, component.component_id, condition, after, min(count, MAX_PAGE))
    answer: dict[str, Any] = {"workers": [worker_to_json(stored) for stored in page]}
    if cli:
        answer["cursor"] = None if following is None else {"cursor": following, "layer": 0}
    elif following is not None:
        answer["cursor"] = f"0/{following}"
    return json_response(answer)


async def _find(
    request: Request,
    component_id: ComponentId,
    condition: WorkerFilter | None,
    after: WorkerNumber | None,
    count: int,
) -> tuple[list[StoredWorker], WorkerNumber | None]:
    executor = services_of(request).executor
    if condition is None:
        return await executor.list(component_id, after, count)
    return await executor.operations.find(component_id, condition, after, count)


@router.post("/v1/components/{component_id}/workers/find", operation_id="findWorkersMetadata")
async def find_workers(request: Request, component: ComponentPath, reader: Reader) -> Response:
    """A page of the workers that meet a condition. The cursor is always an object, as the request takes one."""
    wanted = await reader.read(request.receive, request.scope["headers"], _search)
    condition = None if wanted.filter is None else filter_of_json(wanted.filter)
    after = None if wanted.cursor is None else WorkerNumber(wanted.cursor.cursor)
    page, following = await _find(request, component.component_id, condition, after, min(wanted.count, MAX_PAGE))
    cursor = None if following is None else {"cursor": following, "layer": 0}
    return json_response({"workers": [worker_to_json(stored) for stored in page], "cursor": cursor})


def _parse_cursor(text: str) -> WorkerNumber:
    layer, slash, position = text.partition("/")
    numbers = slash and all(part.isascii() and part.isdigit() and len(part) <= 19 for part in (layer, position))
    if not numbers or int(position) > MAX_INT64:
        raise InvalidInput("Invalid cursor, must have 'layer/cursor' format", code="INVALID_SCAN_CURSOR")
    return WorkerNumber(int(position))


@router.get("/v1/components/{component_id}/workers/{agent_name}", operation_id="getWorkerMetadata")
async def worker(request: Request, worker_id: WorkerPath) -> Response:
    """The metadata of a worker. Never creates it."""
    return json_response(worker_to_json(await services_of(request).executor.find(worker_id)))


@router.delete("/v1/components/{component_id}/workers/{agent_name}", operation_id="deleteWorker")
async def delete_worker(request: Request, worker_id: WorkerPath) -> Response:
    """Remove everything of a worker; nothing happens where there is none."""
    await services_of(request).executor.delete(worker_id)
    return empty_response()


@router.post("/v1/components/{component_id}/workers/{agent_name}/interrupt", operation_id="interruptWorker")
async def interrupt_worker(
    request: Request,
    worker_id: WorkerPath,
    recover_immediately: Annotated[bool, Query(alias="recovery-immediately")] = False,
) -> Response:
    """Stop a worker, or with `recovery-immediately` let it crash and recover."""
    await services_of(request).executor.interrupt(worker_id, recover_immediately=recover_immediately)
    return empty_response()


@router.post("/v1/components/{component_id}/workers/{agent_name}/resume", operation_id="resumeWorker")
async def resume_worker(request: Request, worker_id: WorkerPath) -> Response:
    """Start an interrupted, suspended or idle worker."""
    await services_of(request).executor.resume(worker_id)
    return empty_response()


@router.post("/v1/components/{component_id}/workers/{agent_name}/complete", operation_id="completePromise")
async def complete_promise(request: Request, worker_id: WorkerPath, reader: Reader) -> Response:
    """Complete a promise of the worker: `true`, or `false` if it was complete before."""
    completion = await reader.read(request.receive, request.scope["headers"], _completion)
    promise = PromiseId(worker_id, OplogIndex(completion.oplog_idx))
    return json_response(await services_of(request).executor.complete_promise(promise, bytes(completion.data)))
