"""How oplogs show the invocations of agents: by constructor and method, with the types of their schemas.

In the oplog itself they are calls of two exported functions with data values (model/component_agents.py), which tell
little to people.
"""

from __future__ import annotations

from typing import Any

from golem_server.model.component_agents import INITIALIZE, INVOKE, Agent
from golem_server.model.data_values import UNIT, DataSchema
from golem_server.model.errors import InvalidInput
from golem_server.model.oplog import Invocation
from golem_server.model.types import Value


def agent_invocation(agent: Agent, invocation: Invocation) -> dict[str, Any] | None:
    """What is special of an agent's invocation, None for one that is not of its constructor or methods."""
    function, parameters = invocation.function, invocation.parameters
    if function == agent.agents.function(INITIALIZE):
        return {
            "type": "AgentInitialization",
            "constructorParameters": _typed(agent.type.constructor_schema, parameters[1]),
        }
    if function == agent.agents.function(INVOKE):
        method = agent.type.method(parameters[0])
        return {
            "type": "AgentMethodInvocation",
            "methodName": parameters[0],
            "functionInput": _typed(None if method is None else method.input_schema, parameters[1]),
        }
    return None


def agent_result(agent: Agent, invocation: Invocation, result: Value) -> dict[str, Any] | None:
    """The result of such an invocation, None for another one."""
    function = invocation.function
    if function == agent.agents.function(INITIALIZE):
        return {"type": "AgentInitialization", "output": _typed(None, UNIT)}
    if function == agent.agents.function(INVOKE):
        method = agent.type.method(invocation.parameters[0])
        return {"type": "AgentMethod", "output": _typed(None if method is None else method.output_schema, result[1])}
    return None


def _typed(schema: DataSchema | None, value: Value) -> dict[str, Any]:
    """A data value with its types; empty where the schema is that of another revision, which may not fit."""
    try:
        return _EMPTY if schema is None else schema.typed_json(value)
    except InvalidInput:
        return _EMPTY


_EMPTY: dict[str, Any] = {"type": "Tuple", "elements": []}
