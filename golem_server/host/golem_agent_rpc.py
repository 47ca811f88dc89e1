"""The resource `wasm-rpc` of golem:agent/host: agents call each other by type, parameters and method.

What calls between workers have in common, and what is recorded of them, is in `rpc_calls.py`; here a call is one of
an agent's method. The target sees the calling agent as the principal, and nobody in calls that were scheduled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from golem_server.durable.context import WorkerContext
from golem_server.durable.host_function import HostInterface
from golem_server.durable.ports import WorkerComponent
from golem_server.durable.signals import GuestError
from golem_server.host import rpc_calls
from golem_server.host.golem_agent import agent_target
from golem_server.host.golem_records import uuid_of
from golem_server.host.rpc_calls import CancellationToken, Connection, FuturePollable, FutureResult
from golem_server.model.errors import InvalidInput
from golem_server.model.ids import WorkerId
from golem_server.model.json_encoding import compile_encoder
from golem_server.model.json_types import type_to_json
from golem_server.model.oplog import ConfigEntry, Invocation
from golem_server.model.principals import ANONYMOUS, agent_principal
from golem_server.model.trace import TraceContext
from golem_server.model.types import Value
from golem_server.model.wit_values import FREE_HANDLES, value_and_type_value

MAX_CONFIG_VALUES = 1_000
"""Configuration values that a guest may give to one agent."""

host = HostInterface("golem:agent/host")

INTERFACES = [host]


@dataclass(frozen=True, slots=True)
class AgentMethodCall:
    """What runs in the target: a method with a data value, for somebody (`rpc_calls.Method`)."""

    name: str
    input: Value
    principal: Value

    @property
    def tells_agent_errors(self) -> bool:
        """The `rpc-error` of golem:agent/host has the case."""
        return True

    def prepare(
        self, component: WorkerComponent, target: WorkerId, key: str, trace: TraceContext
    ) -> tuple[Invocation, Callable[[Value], Value]]:
        """The invocation of the method; its result is the data value. Raises InvalidInput."""
        if component.agents is None:
            raise InvalidInput(f"{target} is no agent")
        invocation = component.agents.agent(target.name).call(self.name, self.input, self.principal, key)
        return rpc_calls.traced(invocation, trace), lambda result: result[1]


def _by(context: WorkerContext, name: str, input: Value) -> AgentMethodCall:
    return AgentMethodCall(name, input, agent_principal(context.worker_id))


@host.special("[constructor]wasm-rpc")
async def new_wasm_rpc(
    context: WorkerContext,
    agent_type_name: str,
    constructor: Value,
    phantom_id: Value,
    agent_config: Sequence[Value] = (),
) -> Value:
    """A connection to an agent, which is created if there is none. Raises GuestError for an agent that cannot be.

    One of an ephemeral type that is given no phantom id gets a new one, the same in replay.
    """
    target = await agent_target(context, agent_type_name)
    if target is None:
        raise GuestError(f"the environment has no agent type {agent_type_name}")
    if len(agent_config) > MAX_CONFIG_VALUES:
        raise GuestError(f"an agent is given at most {MAX_CONFIG_VALUES} configuration values")
    phantom = None if phantom_id is None else uuid_of(phantom_id)
    if phantom is None and target.mode == "ephemeral":
        phantom = UUID(rpc_calls.new_target_name(context))
    try:
        name = target.name(constructor, phantom)
        config = [_entry(entry) for entry in agent_config]
    except InvalidInput as error:
        raise GuestError(f"agent type {agent_type_name} has no agent of this kind: {error.message}") from error
    return context.resources.add(await rpc_calls.connect(context, WorkerId(target.component_id, name), config))


def _entry(record: Value) -> ConfigEntry:
    type_, value = value_and_type_value(record["value"], FREE_HANDLES)
    return ConfigEntry(list(record["path"]), type_to_json(type_), compile_encoder(type_, FREE_HANDLES)(value))


@host.special("[method]wasm-rpc.invoke-and-await", records=rpc_calls.INVOKE_AND_AWAIT)
async def invoke_and_await(context: WorkerContext, handle: int, method_name: str, input: Value) -> Value:
    """Calls a method and waits for its result."""
    connection = context.resources.get(handle, Connection)
    return await rpc_calls.call_and_wait(context, connection, _by(context, method_name, input))


@host.special("[method]wasm-rpc.invoke", records=rpc_calls.INVOKE)
async def invoke(context: WorkerContext, handle: int, method_name: str, input: Value) -> Value:
    """Puts a call of a method into the agent's queue."""
    connection = context.resources.get(handle, Connection)
    return await rpc_calls.call_and_forget(context, connection, _by(context, method_name, input))


@host.special("[method]wasm-rpc.async-invoke-and-await")
async def async_invoke_and_await(context: WorkerContext, handle: int, method_name: str, input: Value) -> Value:
    """Begins a call of a method and gives the future of its result."""
    connection = context.resources.get(handle, Connection)
    return context.resources.add(await rpc_calls.call_later(context, connection, _by(context, method_name, input)))


@host.special("[method]wasm-rpc.schedule-invocation", records=rpc_calls.SCHEDULE)
async def schedule_invocation(
    context: WorkerContext, handle: int, scheduled_time: Value, method_name: str, input: Value
) -> Value:
    """Has the agent run a method at a time."""
    connection = context.resources.get(handle, Connection)
    call = AgentMethodCall(method_name, input, ANONYMOUS)
    await rpc_calls.schedule_call(context, connection, call, scheduled_time)


@host.special("[method]wasm-rpc.schedule-cancelable-invocation", records=rpc_calls.SCHEDULE)
async def schedule_cancelable_invocation(
    context: WorkerContext, handle: int, scheduled_time: Value, method_name: str, input: Value
) -> Value:
    """The same, with a token that takes the call back."""
    connection = context.resources.get(handle, Connection)
    call = AgentMethodCall(method_name, input, ANONYMOUS)
    return context.resources.add(await rpc_calls.schedule_call(context, connection, call, scheduled_time))


# --- Futures and tokens


@host.unrecorded("[method]future-invoke-result.subscribe")
def subscribe(context: WorkerContext, handle: int) -> Value:
    """A pollable that is ready when there is a result."""
    return context.resources.add(FuturePollable(context.resources.get(handle, FutureResult)))


@host.special("[method]future-invoke-result.get", records=rpc_calls.GET)
async def get(context: WorkerContext, handle: int) -> Value:
    """The result, none while the call is under way."""
    return await rpc_calls.result_of(context, context.resources.get(handle, FutureResult))


@host.special("[method]future-invoke-result.cancel", records=rpc_calls.CANCEL)
async def cancel_call(context: WorkerContext, handle: int) -> Value:
    """Gives the call up; what has begun goes on."""
    await rpc_calls.cancel_call(context, context.resources.get(handle, FutureResult))


@host.special("[method]cancellation-token.cancel", records=rpc_calls.CANCEL_SCHEDULED)
async def cancel_scheduled(context: WorkerContext, handle: int) -> Value:
    """Takes a scheduled call back."""
    await rpc_calls.cancel_scheduled(context, context.resources.get(handle, CancellationToken))
