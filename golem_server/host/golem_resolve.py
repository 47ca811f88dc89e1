"""golem:api/host: finding components and workers by name, in the environment of the worker that asks."""

from __future__ import annotations

from types import CoroutineType

from golem_server.durable.context import WorkerContext
from golem_server.durable.directory import ComponentDirectory
from golem_server.durable.host_function import HostInterface
from golem_server.host.golem_records import uuid_of, uuid_record, worker_id_record
from golem_server.model.ids import ComponentId, EnvironmentId, WorkerId
from golem_server.model.oplog import Category
from golem_server.model.types import Value

host = HostInterface("golem:api/host")

INTERFACES = [host]


async def _component(context: WorkerContext, name: str) -> ComponentId | None:
    return await context.service(ComponentDirectory).component_named(EnvironmentId(context.environment_id), name)


def _component_request(_context: WorkerContext, component_reference: str) -> Value:
    return {"component_slug": component_reference}


@host.recorded(
    "resolve-component-id",
    Category.WRITE_REMOTE,
    "golem::api::resolve_component_id",
    request=_component_request,
)
async def resolve_component_id(context: WorkerContext, component_reference: str) -> Value:
    """The component of that name, none where there is none."""
    found = await _component(context, component_reference)
    return None if found is None else {"uuid": uuid_record(found)}


@host.special("resolve-worker-id")
@host.special("resolve-agent-id")
async def resolve_agent_id(context: WorkerContext, component_reference: str, agent_name: str) -> Value:
    """The id that a worker of the component would have; whether it exists is not asked."""
    found = resolve_component_id(context, component_reference)
    # In replay the answer is there at once.
    component = await found if found.__class__ is CoroutineType else found
    if component is None:
        return None
    return worker_id_record(WorkerId(ComponentId(uuid_of(component["uuid"])), agent_name))


def _strict_request(_context: WorkerContext, component_reference: str, agent_name: str) -> Value:
    return {"component_slug": component_reference, "agent_name": agent_name}


async def _existing(context: WorkerContext, component_reference: str, agent_name: str) -> Value:
    found = await _component(context, component_reference)
    if found is None:
        return None
    worker_id = WorkerId(found, agent_name)
    return None if await context.workers.worker_status(worker_id) is None else worker_id_record(worker_id)


_RECORD = "golem::api::resolve_agent_id_strict"

resolve_agent_id_strict = host.recorded(
    "resolve-agent-id-strict", Category.WRITE_REMOTE, _RECORD, request=_strict_request
)(_existing)
"""The id of a worker of the component, none where it does not exist."""

resolve_worker_id_strict = host.recorded(
    "resolve-worker-id-strict", Category.WRITE_REMOTE, _RECORD, request=_strict_request
)(_existing)
"""The same in the words of golem:api 1.1."""
