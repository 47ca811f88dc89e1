"""What the span of an invocation says: which invocation of which worker, and for an agent of which kind.

It follows from the invocation and the worker's name alone, so that whoever shows an oplog says the same as the running
guest is told (reference: durability, section 4).
"""

from __future__ import annotations

from golem_server.model.component_agents import INITIALIZE, INVOKE, Agent
from golem_server.model.oplog import Invocation
from golem_server.model.trace import invocation_attributes


def span_attributes(invocation: Invocation, worker_name: str, agent: Agent | None) -> dict[str, str]:
    """The attributes of an invocation's own span; `agent` is what the worker's name means, None if it is no agent."""
    key, function = invocation.idempotency_key, invocation.function
    if agent is None:
        return invocation_attributes(key, function, worker_name)
    kind, parameters = "AgentMethod", invocation.parameters
    if function == agent.agents.function(INITIALIZE):
        kind, function = "AgentInitialization", agent.type.name
    elif function == agent.agents.function(INVOKE) and parameters and isinstance(parameters[0], str):
        function = parameters[0]
    return invocation_attributes(
        key, function, worker_name, kind=kind, agent_type=agent.type.name, agent_parameters=agent.parameters_text
    )
