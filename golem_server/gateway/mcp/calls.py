"""Calls of agents for clients of MCP; who calls is not known to the agent (reference: gateway, section 3.8)."""

from __future__ import annotations

from uuid import uuid4

from golem_server.durable.executor import Executor
from golem_server.gateway.code_first.deployed import DeployedAgent
from golem_server.model.agent_ids import AgentId, print_agent_id, with_phantom_rule
from golem_server.model.agent_types import AgentMethod
from golem_server.model.component_agents import ComponentAgents
from golem_server.model.ids import WorkerId
from golem_server.model.principals import ANONYMOUS
from golem_server.model.types import Value
from golem_server.model.workers import WorkerCreation


class McpCalls:
    """Calls methods, and waits for their results."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def call(self, agent: DeployedAgent, method: AgentMethod, parameters: Value, arguments: Value) -> Value:
        """The data value that a method of the agent with these parameters returns.

        An agent that does not exist is created; an ephemeral one is new for each call. Raises InvalidInput for
        parameters that no agent's name can have, and what the executor raises.
        """
        type_ = agent.type
        agent_id = AgentId(type_.name, parameters, with_phantom_rule(None, type_.mode))
        worker_id = WorkerId(agent.component_id, print_agent_id(agent_id, type_.constructor_schema))
        agents = await self._agents_of(worker_id, agent)
        call = agents.agent(worker_id.name).call(method.name, arguments, ANONYMOUS, str(uuid4()))
        creation = WorkerCreation(principal=ANONYMOUS, revision=agent.revision)
        _, result = await self._executor.invoke_and_await(worker_id, call, creation)
        return result

    async def _agents_of(self, worker_id: WorkerId, agent: DeployedAgent) -> ComponentAgents:
        """The agents of the revision that the worker runs, or will run once it is created."""
        if await self._executor.exists(worker_id):
            component = await self._executor.component_of(worker_id)
            if component.agents is not None:
                return component.agents
        return agent.agents
