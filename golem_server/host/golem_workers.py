"""What golem:api/host lets a worker do to workers, itself included: update, revert, copy, look up and enumerate.

Names are those of both generations, `...-agent` and `...-worker`. What goes wrong is recorded with the call and traps,
so that replay does not try it again.
"""

from __future__ import annotations

from collections.abc import Awaitable
from uuid import UUID

from golem_server.durable.context import WorkerContext
from golem_server.durable.host_function import HostInterface
from golem_server.durable.reverting import LastInvocations, RevertTarget, ToOplogIndex
from golem_server.durable.signals import GuestError
from golem_server.host.golem_records import uuid_of, uuid_record, worker_id_of, worker_id_record
from golem_server.host.worker_filter_records import filter_of
from golem_server.model.errors import GolemError, Unavailable, WorkerAlreadyExists
from golem_server.model.ids import ComponentId, WorkerId, WorkerNumber, worker_name_error
from golem_server.model.oplog import Category, EndRemoteWrite, HostCall
from golem_server.model.status import decode_status
from golem_server.model.types import EnumType, FunctionType, Value
from golem_server.model.worker_filters import WorkerFilter
from golem_server.model.workers import StoredWorker

PAGE = 50
"""Workers that one call of `get-next` gives."""

FORK = "golem::api::fork"

host = HostInterface("golem:api/host")

INTERFACES = [host]


async def _outcome(operation: Awaitable[None]) -> Value:
    """What is recorded of an operation: none, or why it was refused."""
    try:
        await operation
    except Unavailable:
        raise
    except GolemError as error:
        return ("err", error.message)
    return ("ok", None)


def _raise_refusal(_context: WorkerContext, response: Value, *_arguments: Value) -> Value:
    if response[0] == "err":
        raise GuestError(response[1])


# --- Update, revert, copy


def _update_request(_context: WorkerContext, worker: Value, target: int, mode: str) -> Value:
    return {"agent_id": worker, "target_revision": target, "mode": mode}


async def _update(context: WorkerContext, worker: Value, target: int, mode: str) -> Value:
    return await _outcome(
        context.workers.operations.update(worker_id_of(worker), target, automatic=mode == "automatic")
    )


def _revert_target(variant: Value) -> RevertTarget:
    case, number = variant
    return ToOplogIndex(number) if case == "revert-to-oplog-index" else LastInvocations(number)


def _revert_request(_context: WorkerContext, worker: Value, target: Value) -> Value:
    return {"agent_id": worker, "target": {target[0]: target[1]}}


async def _revert(context: WorkerContext, worker: Value, target: Value) -> Value:
    operations, worker_id = context.workers.operations, worker_id_of(worker)
    if worker_id == context.worker_id:
        return await _outcome(operations.revert_from_within(worker_id, _revert_target(target)))
    return await _outcome(operations.revert(worker_id, _revert_target(target)))


def _copy_request(_context: WorkerContext, source: Value, target: Value, cut_off: int) -> Value:
    return {"source_agent_id": source, "target_agent_id": target, "oplog_index_cut_off": cut_off}


async def _copy(context: WorkerContext, source: Value, target: Value, cut_off: int) -> Value:
    target_id = worker_id_of(target)
    refusal = worker_name_error(target_id.name) if context.agent is None else None
    if refusal is not None:
        return ("err", refusal)
    return await _outcome(context.workers.operations.fork(worker_id_of(source), target_id, cut_off))


for _generation in ("agent", "worker"):
    host.recorded(f"update-{_generation}", Category.WRITE_REMOTE, "golem::api::update_worker", request=_update_request)(
        _update
    ).finish(_raise_refusal)
    host.recorded(f"revert-{_generation}", Category.WRITE_REMOTE, "golem::api::revert_worker", request=_revert_request)(
        _revert
    ).finish(_raise_refusal)
    host.recorded(f"fork-{_generation}", Category.WRITE_REMOTE, "golem::api::fork_worker", request=_copy_request)(
        _copy
    ).finish(_raise_refusal)


# --- A copy of itself


def _answers_enum(type: FunctionType) -> bool:
    return isinstance(type.result, EnumType)


def _answers_variant(type: FunctionType) -> bool:
    return not isinstance(type.result, EnumType)


def _no_request(_context: WorkerContext, *_arguments: Value) -> Value:
    return {}


def _fork_response(phantom: UUID, result: str) -> Value:
    return {"forked_phantom_id": uuid_record(phantom), "result": result}


async def _fork(context: WorkerContext, name: str, phantom: UUID) -> Value:
    """The copy finds the same call with another answer. A copy that is there was made by a try that was cut off."""
    refusal = worker_name_error(name) if context.agent is None else None
    if refusal is not None:
        raise GuestError(refusal)
    if context.outermost_region is not None:
        # The copy would find its region unfinished, run it again from the start, and copy itself without end.
        raise GuestError("fork cannot be called in an atomic region")
    position = context.position
    now = context.now_ms()
    then: list[HostCall | EndRemoteWrite] = [
        HostCall(
            timestamp=now,
            function=FORK,
            request={},
            response=_fork_response(phantom, "forked"),
            category=Category.WRITE_REMOTE,
        )
    ]
    if not context.assume_idempotence:
        then.append(EndRemoteWrite(timestamp=now, begin_index=position))
    target = WorkerId(context.worker_id.component_id, name)
    try:
        await context.workers.operations.fork(context.worker_id, target, None, then)
    except WorkerAlreadyExists as error:
        if not context.assume_idempotence or not await _is_copy(context, target, position):
            raise GuestError(error.message) from error
    except Unavailable:
        raise
    except GolemError as error:
        raise GuestError(error.message) from error
    return _fork_response(phantom, "original")


async def _is_copy(context: WorkerContext, worker_id: WorkerId, position: int) -> bool:
    """Whether a worker is the copy that this worker has made when it stood here."""
    stored = await context.workers.operations.metadata(worker_id)
    if stored is None:
        return False
    forks = decode_status(stored.columns.record).forks
    return bool(forks) and forks[-1].name == context.worker_id.name and forks[-1].up_to >= position


@host.recorded("fork", Category.WRITE_REMOTE, FORK, request=_no_request, accepts=_answers_variant)
async def fork(context: WorkerContext) -> Value:
    """Copies the worker as it stands; both go on from here, each with its own answer (golem:api 1.3 and later)."""
    phantom = context.derive_idempotency_key()
    return await _fork(context, _name_of_copy(context, phantom), phantom)


def _name_of_copy(context: WorkerContext, phantom: UUID) -> str:
    """An agent's copy is the phantom of the same parameters; another worker's has the id behind its name."""
    name = context.worker_id.name
    if context.agent is None:
        return f"{name}-{phantom}"
    return f"{name[: name.rindex(')') + 1]}[{phantom}]"


@fork.finish
def _(_context: WorkerContext, response: Value) -> Value:
    return (response["result"], {"forked-phantom-id": response["forked_phantom_id"]})


@host.recorded("fork", Category.WRITE_REMOTE, FORK, request=_no_request, accepts=_answers_enum)
async def fork_named(context: WorkerContext, new_name: str) -> Value:
    """The same under a name that the guest gives (golem:api up to 1.1)."""
    return await _fork(context, new_name, context.derive_idempotency_key())


@fork_named.finish
def _(_context: WorkerContext, response: Value, _new_name: str) -> Value:
    return response["result"]


# --- Looking them up


def metadata_record(stored: StoredWorker) -> Value:
    """`agent-metadata`, `worker-metadata`, without the names that only older generations have."""
    worker, columns = stored.worker, stored.columns
    return {
        "agent-id": worker_id_record(worker.worker_id),
        "args": list(worker.arguments),
        "env": list(worker.environment.items()),
        "config": list(worker.config.items()),
        "status": columns.status.text.lower(),
        "component-revision": columns.component_revision,
        "retry-count": columns.retry_count,
        "environment-id": {"uuid": uuid_record(worker.environment_id)},
    }


def with_older_names(record: Value) -> Value:
    """The same with the names of all generations."""
    return {
        **record,
        "worker-id": record["agent-id"],
        "component-version": record["component-revision"],
        "wasi-config-vars": record["config"],
        "config-vars": record["config"],
    }


def _metadata_request(_context: WorkerContext, worker: Value) -> Value:
    return {"agent_id": worker}


async def _get_metadata(context: WorkerContext, worker: Value) -> Value:
    stored = await context.workers.operations.metadata(worker_id_of(worker))
    return None if stored is None else metadata_record(stored)


def _finish_metadata(_context: WorkerContext, response: Value, _worker: Value) -> Value:
    return None if response is None else with_older_names(response)


for _generation in ("agent", "worker"):
    host.recorded(
        f"get-{_generation}-metadata",
        Category.READ_REMOTE,
        "golem::api::get_agent_metadata",
        request=_metadata_request,
    )(_get_metadata).finish(_finish_metadata)


# --- Enumeration


class WorkerEnumeration:
    """The resource `get-agents`, `get-workers`: where in the component's workers it stands."""

    def __init__(self, component_id: ComponentId, condition: WorkerFilter | None) -> None:
        self.component_id = component_id
        self.condition = condition
        self.after: WorkerNumber | None = None
        self.ended = False


def _enumerate(context: WorkerContext, component_id: Value, condition: Value, precise: bool) -> Value:
    """A new enumeration. What it gives is always as the oplogs say, so `precise` changes nothing."""
    del precise
    component = ComponentId(uuid_of(component_id["uuid"]))
    return context.resources.add(WorkerEnumeration(component, None if condition is None else filter_of(condition)))


def _next_request(context: WorkerContext, handle: int) -> Value:
    enumeration = context.resources.get(handle, WorkerEnumeration)
    return {"component_id": str(enumeration.component_id), "after": enumeration.after}


async def _next(context: WorkerContext, handle: int) -> Value:
    """The next workers and where it stands then.

    Recorded, other than in Golem: a worker that was told of others must be told the same in replay, or it could not be
    resumed once one of them has changed.
    """
    enumeration = context.resources.get(handle, WorkerEnumeration)
    if enumeration.ended:
        return {"workers": [], "after": None}
    workers, after = await context.workers.operations.find(
        enumeration.component_id, enumeration.condition, enumeration.after, PAGE
    )
    while not workers and after is not None:
        # For a guest a page without workers is the last one.
        workers, after = await context.workers.operations.find(
            enumeration.component_id, enumeration.condition, after, PAGE
        )
    return {"workers": [metadata_record(stored) for stored in workers], "after": after}


def _finish_next(context: WorkerContext, response: Value, handle: int) -> Value:
    enumeration = context.resources.get(handle, WorkerEnumeration)
    enumeration.after = response["after"]
    enumeration.ended = enumeration.after is None
    return [with_older_names(record) for record in response["workers"]] or None


for _generation in ("agents", "workers"):
    host.unrecorded(f"[constructor]get-{_generation}")(_enumerate)
    host.recorded(
        f"[method]get-{_generation}.get-next",
        Category.READ_REMOTE,
        "golem::api::get_agents::get_next",
        request=_next_request,
    )(_next).finish(_finish_next)
