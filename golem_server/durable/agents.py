"""What is special about workers that are agents: the constructor that comes first, errors, and the ephemeral ones.

An agent is a worker whose name says its type and the parameters of its constructor; which agents a component has is in
`model/component_agents.py`. All of this follows from the oplog: Golem may have stopped at any point of it (reference:
durability, section 1).
"""

from __future__ import annotations

from msgspec.msgpack import encode

from golem_server.durable.oplog import WorkerOplog
from golem_server.durable.ports import WorkerComponent
from golem_server.durable.signals import AgentFailure
from golem_server.model.component_agents import agent_error_text, is_agent_function
from golem_server.model.function_names import ResolvedFunction
from golem_server.model.oplog import Invocation, PendingInvocation, Region
from golem_server.model.status import StatusRecord
from golem_server.model.types import Value
from golem_server.model.workers import NewWorker

MAX_KEPT_AGENT_ERROR = 64 * 1024
"""Bytes, as MessagePack, of an `agent-error` that a failed agent keeps for those that call it.

It is in the status of the worker, beside its text; of a larger one there is only the text.
"""


CREATION = 1
"""The index of the entry with which a worker begins."""


def constructor_due(
    worker: NewWorker, oplog: WorkerOplog, component: WorkerComponent, queued: set[str], timestamp: int
) -> Invocation | None:
    """The invocation of an agent's constructor, if it has not begun and is not queued: it must be the first one.

    It is noted as pending and queued here; the caller has to put it in front.
    """
    status = oplog.status
    if not status.agent_type or status.constructor_started or component.agents is None:
        return None
    agent = component.agents.agent(worker.worker_id.name)
    constructor = agent.initialization(worker.worker_id, worker.principal)
    if constructor.idempotency_key in queued:
        return None
    queued.add(constructor.idempotency_key)
    oplog.append(PendingInvocation(timestamp=timestamp, invocation=constructor))
    return constructor


def agent_failure(function: ResolvedFunction, result: Value) -> AgentFailure | None:
    """Why an agent's function failed, from its result; None where it has not, or where it is another function."""
    if not is_agent_function(function) or result[0] != "err":
        return None
    error = result[1]
    return AgentFailure(agent_error_text(error), error if len(encode(error)) <= MAX_KEPT_AGENT_ERROR else None)


def invocations_left_behind(status: StatusRecord, last_index: int) -> Region | None:
    """What replay leaves out of an ephemeral worker's oplog: what came after its creation, or an agent's constructor,
    and is finished.

    An invocation that has no result yet is replayed and goes on like any other.
    """
    begun = status.constructed if status.agent_type else CREATION
    if not status.ephemeral or not begun:
        return None
    running = status.current_idempotency_key is not None
    region = Region(begun + 1, status.current_started_index - 1 if running else last_index)
    return region if region.start <= region.end else None
