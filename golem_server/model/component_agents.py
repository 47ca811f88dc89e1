"""The agents of a component: which types it has, what their names mean, and the invocations by which they are called.

Agents are called through two functions that every component with agents exports, `initialize` and `invoke` of
`golem:agent/guest`; an invocation of them is an `Invocation` like any other, and its result a WIT `result` whose error
is an `agent-error` (reference: host-interfaces, section 5). Components of Golem 1.4 know no principals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import msgspec

from golem_server.model.agent_functions import kebab_case
from golem_server.model.agent_id_text import print_parameters
from golem_server.model.agent_ids import (
    AgentId,
    agent_type_name,
    parse_agent_id,
    print_agent_id,
    with_phantom_rule,
)
from golem_server.model.agent_provisions import NOTHING, ConfigPath, Provision
from golem_server.model.agent_types import AgentMethod, AgentType
from golem_server.model.errors import InvalidInput
from golem_server.model.function_names import ResolvedFunction
from golem_server.model.ids import ComponentId, WorkerId
from golem_server.model.json_encoding import compile_encoder
from golem_server.model.json_types import Json
from golem_server.model.metadata import AGENT_GUEST, exported_interface
from golem_server.model.oplog import ConfigEntry, Invocation
from golem_server.model.types import ComponentType, Primitive, ResultType, Value
from golem_server.model.wit_values import FREE_HANDLES, value_and_type_value

DISCOVER = "discover-agent-types"
INITIALIZE = "initialize"
INVOKE = "invoke"

_INVALID = "INVALID_WORKER_ID"
_REMEMBERED_NAMES = 4096
_ERRORS = {
    "invalid-input": "Invalid input",
    "invalid-method": "Invalid method",
    "invalid-type": "Invalid type",
    "invalid-agent-id": "Invalid agent id",
}


@dataclass(frozen=True, slots=True)
class ImplementedAgentType:
    """An agent type and the component that implements it."""

    type: AgentType
    component_id: ComponentId


class ComponentAgents:
    """The agent types of one revision of a component."""

    def __init__(
        self,
        interface: str,
        types: Sequence[AgentType],
        provisions: Mapping[str, Provision],
        *,
        takes_principal: bool,
    ) -> None:
        self.interface = interface
        self.types = {type_.name: type_ for type_ in types}
        self.takes_principal = takes_principal
        self._provisions = provisions
        self._kebab_case = {kebab_case(name): type_ for name, type_ in self.types.items()}
        # Bound to this object, so that it goes with it.
        self.agent: Callable[[str], Agent] = lru_cache(_REMEMBERED_NAMES)(self._agent)

    def function(self, name: str) -> str:
        """The name under which a function of the guest interface is invoked."""
        return f"{self.interface}.{{{name}}}"

    def provision(self, type_name: str) -> Provision:
        """What agents of the type are given."""
        return self._provisions.get(type_name, NOTHING)

    def type_of(self, name: str) -> AgentType:
        """The agent type of that name. Raises InvalidInput."""
        found = self.types.get(name)
        if found is None:
            raise InvalidInput(f"The component has no agent type {name[:200]}", code=_INVALID)
        return found

    def _agent(self, name: str) -> Agent:
        """The agent that a worker's name means, however it is spelt. Raises InvalidInput.

        `Agent.name` is the canonical spelling. Golem 1.4 wrote the type in kebab case; its guests still do.
        """
        try:
            written = agent_type_name(name)
            type_ = self.types.get(written) or self._kebab_case.get(written)
            if type_ is None:
                raise InvalidInput(f"Agent type not found: {written[:200]}")
            return Agent(self, type_, replace(parse_agent_id(name, type_.constructor_schema), type_name=type_.name))
        except InvalidInput as error:
            raise InvalidInput(f"Invalid agent id: {error.message}", code=_INVALID) from None


class Agent:
    """An agent, as far as its name says what it is."""

    def __init__(self, agents: ComponentAgents, type_: AgentType, agent_id: AgentId) -> None:
        self._agents = agents
        self.type = type_
        self.id = agent_id
        self.name = print_agent_id(agent_id, type_.constructor_schema)

    @property
    def is_ephemeral(self) -> bool:
        """Whether nothing of it stays after an invocation."""
        return self.type.mode == "ephemeral"

    @property
    def parameters_text(self) -> str:
        """The parameters of its constructor, as its name has them."""
        return print_parameters(self.id.parameters, self.type.constructor_schema)

    @property
    def agents(self) -> ComponentAgents:
        """The agent types of its component."""
        return self._agents

    def with_phantom(self) -> Agent:
        """This agent, or, if it is ephemeral and has no phantom id, one with an id that nobody else has."""
        phantom = with_phantom_rule(self.id.phantom, self.type.mode)
        if phantom == self.id.phantom:
            return self
        return Agent(self._agents, self.type, AgentId(self.id.type_name, self.id.parameters, phantom))

    @property
    def environment(self) -> dict[str, str]:
        """The variables that all agents of its type get."""
        return self._agents.provision(self.type.name).environment

    def config(self, own: Sequence[ConfigEntry]) -> dict[ConfigPath, ConfigEntry]:
        """Its configuration: that of its type, and its own where it has some."""
        return {**self._agents.provision(self.type.name).config, **{tuple(entry.path): entry for entry in own}}

    # --- Invocations

    def initialization(self, worker_id: WorkerId, principal: Value) -> Invocation:
        """The invocation of its constructor: the first one of its life, with a key of its own."""
        return self._invocation(constructor_key(worker_id), INITIALIZE, [self.type.name, self.id.parameters, principal])

    def call(self, method_name: str, input: Value, principal: Value, idempotency_key: str) -> Invocation:
        """The invocation of a method. Raises InvalidInput unless there is that method and the data value fits it."""
        self.method(method_name).input_schema.check(input)
        return self._invocation(idempotency_key, INVOKE, [method_name, input, principal])

    def method(self, name: str) -> AgentMethod:
        """The method of that name. Raises InvalidInput."""
        found = self.type.method(name)
        if found is None:
            raise InvalidInput(
                f"Invalid request: Agent method '{name[:200]}' not found in agent type '{self.type.name}'"
            )
        return found

    def check(self, invocation: Invocation) -> None:
        """Raise InvalidInput for an invocation that the agent could only fail with.

        Failing is for ever; being wrong is the caller's own affair.
        """
        agents = self._agents
        if invocation.function == agents.function(INVOKE):
            method, value = invocation.parameters[:2]
            schema = self.method(method).input_schema
            try:
                schema.check(value)
            except InvalidInput as error:
                raise InvalidInput(f"Invalid request: Method '{method}': {error.message}") from None
        elif invocation.function == agents.function(INITIALIZE) and not is_constructor_key(invocation.idempotency_key):
            raise InvalidInput("Invalid request: the constructor of an agent is called once, when it is created")

    def _invocation(self, key: str, function: str, parameters: list[Value]) -> Invocation:
        agents = self._agents
        return Invocation(key, agents.function(function), parameters if agents.takes_principal else parameters[:2])


def constructor_key(worker_id: WorkerId) -> str:
    """The idempotency key of the invocation of an agent's constructor."""
    return f"init-{worker_id}"


def is_constructor_key(key: str) -> bool:
    """Whether `constructor_key` may have given this key."""
    return key.startswith("init-")


def agent_interface(component: ComponentType) -> str | None:
    """The exact name under which a component exports `golem:agent/guest`, None where it has no agents.

    So it is with components made for an early Golem 1.3, whose `discover-agent-types` cannot return an error and whose
    agent types are others: to the server they are components like any other. Raises InvalidInput where the interface
    is exported in two versions.
    """
    interface = exported_interface(component, AGENT_GUEST)
    if interface is None:
        return None
    discover = component.exports[interface].functions.get(DISCOVER)
    return None if discover is None or not isinstance(discover.result, ResultType) else interface


def component_agents(
    component: ComponentType, types: Sequence[Json], provisions: Mapping[str, Json]
) -> ComponentAgents | None:
    """The agents of a component, None where it has none. Raises InvalidInput for JSON that is wrong."""
    interface = agent_interface(component)
    if interface is None or not types:
        return None
    invoke = component.exports[interface].functions.get(INVOKE)
    read = [AgentType.from_json(json, f"agentTypes[{at}]") for at, json in enumerate(types)]
    return ComponentAgents(
        interface,
        read,
        {name: Provision.from_json(json) for name, json in provisions.items()},
        takes_principal=invoke is not None and len(invoke.parameters) > 2,
    )


# --- Results


def is_agent_function(function: ResolvedFunction) -> bool:
    """Whether it is one of the two functions by which agents are called."""
    return (
        function.interface is not None
        and function.interface.partition("@")[0] == AGENT_GUEST
        and function.function in (INITIALIZE, INVOKE)
    )


def agent_error_text(error: Value) -> str:
    """An `agent-error` for people; a custom one is a value of whatever type."""
    case, payload = error
    if case in _ERRORS:
        return f"{_ERRORS[case]}: {payload}"
    try:
        type_, value = value_and_type_value(payload, FREE_HANDLES)
    except InvalidInput as wrong:
        return f"an error that cannot be read ({wrong.message})"
    if type_ is Primitive.STRING:
        return value
    return msgspec.json.encode(compile_encoder(type_, FREE_HANDLES)(value)).decode()
