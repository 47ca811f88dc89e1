"""golem:agent/host, but for calls to other agents: agent types, agent ids, webhooks, and the agent's configuration.

Agent types are those of the worker's environment; what was looked up is recorded, so that an agent that is deployed
anew does not change what others have seen (reference: host-interfaces, section 4.7).
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from golem_server.durable.context import WorkerContext
from golem_server.durable.directory import ComponentDirectory
from golem_server.durable.host_function import HostInterface
from golem_server.durable.signals import GuestError
from golem_server.durable.webhooks import WebhookDirectory
from golem_server.host.golem_records import promise_id_of, uuid_of, uuid_record
from golem_server.model.agent_ids import AgentId, print_agent_id
from golem_server.model.agent_types import AgentMode
from golem_server.model.component_agents import ImplementedAgentType
from golem_server.model.data_values import DataSchema
from golem_server.model.errors import InvalidInput
from golem_server.model.ids import ComponentId, EnvironmentId
from golem_server.model.json_values import value_decoder
from golem_server.model.oplog import Category
from golem_server.model.types import OptionType, Value
from golem_server.model.wit_types import nodes_to_type
from golem_server.model.wit_values import value_to_nodes

GET_AGENT_TYPE = "golem::agent::get_agent_type"
CREATE_WEBHOOK = "golem::agent::create_webhook"

MAX_PATH_PARTS = 64
"""Parts of the path of a configuration value that a guest can ask for."""

host = HostInterface("golem:agent/host")

INTERFACES = [host]


# --- Agent types


@host.recorded("get-all-agent-types", Category.READ_REMOTE, "golem::agent::get_all_agent_types")
async def get_all_agent_types(context: WorkerContext) -> Value:
    """The agent types of the environment, with the components that implement them."""
    found = await context.service(ComponentDirectory).agent_types(EnvironmentId(context.environment_id))
    return [_registered(each) for each in found]


@host.recorded("get-agent-type", Category.READ_REMOTE, GET_AGENT_TYPE)
async def get_agent_type(context: WorkerContext, agent_type_name: str) -> Value:
    """One agent type of the environment, none where there is none of that name."""
    found = await _look_up(context, agent_type_name)
    return None if found is None else _registered(found)


def _registered(found: ImplementedAgentType) -> Value:
    return {
        "agent-type": found.type.to_guest(),
        "implemented-by": {"uuid": uuid_record(found.component_id)},
    }


async def _look_up(context: WorkerContext, name: str) -> ImplementedAgentType | None:
    """The type of the caller's own component at the caller's revision, else that of the environment.

    An agent that runs on an older revision calls its like by the schemas that it was built with.
    """
    own = None if context.agent is None else context.agent.agents.types.get(name)
    if own is not None:
        return ImplementedAgentType(own, context.worker_id.component_id)
    return await context.service(ComponentDirectory).agent_type(EnvironmentId(context.environment_id), name)


@dataclass(frozen=True, slots=True)
class AgentTarget:
    """What has to be known of an agent type to name and to call an agent of it."""

    type_name: str
    component_id: ComponentId
    mode: AgentMode
    constructor_schema: DataSchema

    def name(self, parameters: Value, phantom: UUID | None) -> str:
        """The id of an agent. Raises InvalidInput for parameters that the constructor does not take."""
        return print_agent_id(AgentId(self.type_name, parameters, phantom), self.constructor_schema)


async def agent_target(context: WorkerContext, type_name: str) -> AgentTarget | None:
    """The agent type of that name in the environment, None where there is none; looked up once and recorded."""

    async def live() -> Value:
        found = await _look_up(context, type_name)
        if found is None:
            return None
        # No more than is needed of it: this is recorded each time that an agent makes a client of another.
        return {
            "implemented-by": uuid_record(found.component_id),
            "mode": found.type.mode,
            "constructor": found.type.constructor_schema.to_guest(),
        }

    record = await context.durable(Category.READ_REMOTE, GET_AGENT_TYPE, {"agent_type_name": type_name}, live)
    if record is None:
        return None
    return AgentTarget(
        type_name,
        ComponentId(uuid_of(record["implemented-by"])),
        record["mode"],
        DataSchema.from_guest(record["constructor"]),
    )


# --- Agent ids


@host.special("make-agent-id")
async def make_agent_id(context: WorkerContext, agent_type_name: str, input: Value, phantom_id: Value) -> Value:
    """The id of an agent with these parameters of its constructor; the agent need not exist."""
    target = await agent_target(context, agent_type_name)
    if target is None:
        return ("err", ("invalid-type", agent_type_name))
    try:
        return ("ok", target.name(input, None if phantom_id is None else uuid_of(phantom_id)))
    except InvalidInput as error:
        return ("err", ("invalid-input", error.message))


@host.unrecorded("parse-agent-id")
def parse_agent_id(context: WorkerContext, agent_id: str) -> Value:
    """The type, the constructor's parameters and the phantom id in the id of an agent of the same component."""
    if context.agent is None:
        return ("err", ("invalid-agent-id", "the component has no agent types"))
    try:
        found = context.agent.agents.agent(agent_id).id
    except InvalidInput as error:
        return ("err", ("invalid-agent-id", error.message))
    phantom = None if found.phantom is None else uuid_record(found.phantom)
    return ("ok", (found.type_name, found.parameters, phantom))


# --- Webhooks


@host.special("create-webhook")
async def create_webhook(context: WorkerContext, promise_id: Value) -> Value:
    """The address that completes a promise when somebody posts to it, where the agent's type is deployed now.

    Raises GuestError where it is not, and for a promise of another component.
    """
    promise = promise_id_of(promise_id)
    if promise.worker_id.component_id != context.worker_id.component_id:
        raise GuestError("a webhook can only be made for a promise of the same component")
    if context.agent is None:
        raise GuestError("only agents can make webhooks")
    type_name = context.agent.type.name

    async def live() -> Value:
        environment_id = EnvironmentId(context.environment_id)
        address = await context.service(WebhookDirectory).address(environment_id, type_name, promise)
        if address is None:
            # Nothing of it is recorded: once the type is deployed, another attempt finds its address.
            raise GuestError(
                f"agent type {type_name} is not deployed in an HTTP API, and only then has a webhook an address"
            )
        return address

    return await context.durable(Category.READ_REMOTE, CREATE_WEBHOOK, {"promise_id": promise_id}, live)


# --- Configuration


@host.special("get-config-value")
def get_config_value(context: WorkerContext, path: list[str], expected_type: Value) -> Value:
    """A value of the agent's configuration.

    Local values are fixed with the agent and read again in replay. Raises GuestError for one that is not there and not
    optional, or of another type than the agent declares.
    """
    if len(path) > MAX_PATH_PARTS:
        raise GuestError(f"a configuration value has a path of at most {MAX_PATH_PARTS} parts")
    key, shown = tuple(path), ".".join(path)
    try:
        expected = nodes_to_type(expected_type)
    except InvalidInput as error:
        raise GuestError(f"the type of configuration value {shown} cannot be read: {error.message}") from error
    declarations = () if context.agent is None else context.agent.type.config
    declared = next((each for each in declarations if each.path == key), None)
    if declared is None:
        if isinstance(expected, OptionType):
            return value_to_nodes(None, expected)
        raise GuestError(f"configuration value {shown} is not declared")
    if declared.value_type != expected:
        raise GuestError(f"configuration value {shown} is declared with another type than it is asked for")
    if declared.source == "secret":
        raise GuestError(f"the environment has no secret {shown}")
    entry = context.agent_config.get(key)
    if entry is not None:
        return value_to_nodes(value_decoder(expected)(entry.value), expected)
    if isinstance(expected, OptionType):
        return value_to_nodes(None, expected)
    raise GuestError(f"the agent was given no configuration value {shown}")
