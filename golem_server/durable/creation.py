"""How a worker begins: the first entry of its oplog, and what is fixed with it."""

from __future__ import annotations

from uuid import uuid4

from golem_server.durable.ports import WorkerComponent
from golem_server.model.errors import InvalidInput
from golem_server.model.golem_variables import GolemVariables
from golem_server.model.ids import WorkerId
from golem_server.model.oplog import Create
from golem_server.model.plugins import active_from_the_start
from golem_server.model.workers import NewWorker, WorkerCreation


def first_entry(
    worker_id: WorkerId,
    component: WorkerComponent,
    creation: WorkerCreation,
    now: int,
    golem_variables: GolemVariables,
) -> tuple[Create, NewWorker]:
    """The Create entry of a worker that is made now (milliseconds since the epoch), and its row.

    Raises InvalidInput for a name that no agent of the component has.
    """
    agent = None if component.agents is None else component.agents.agent(worker_id.name)
    if agent is not None and agent.name != worker_id.name:
        raise InvalidInput(f"Invalid agent id: {worker_id.name[:200]} is written {agent.name}")
    agent_type = "" if agent is None else agent.type.name
    entry = Create(
        timestamp=now,
        component_id=worker_id.component_id,
        name=worker_id.name,
        component_revision=component.revision,
        environment_id=component.environment_id,
        created_by=component.created_by,
        instance_id=uuid4(),
        arguments=creation.arguments,
        environment=creation.environment,
        config=creation.config,
        parent=creation.parent,
        component_size=component.size_bytes,
        initial_memory_bytes=component.initial_memory_bytes,
        agent_type=agent_type,
        ephemeral=component.ephemeral if agent is None else agent.is_ephemeral,
        agent_config=creation.agent_config,
        principal=None if agent is None else creation.principal,
        golem_variables=golem_variables,
        initial_active_plugins=active_from_the_start(component.installed_plugins(agent_type)),
    )
    worker = NewWorker(
        worker_id=worker_id,
        environment_id=component.environment_id,
        created_by=component.created_by,
        created_at=now,
        arguments=entry.arguments,
        environment=entry.environment,
        config=entry.config,
        agent_config=entry.agent_config,
        principal=entry.principal,
    )
    return entry, worker
