"""golem:rpc/types: calls to other workers by WIT function name, with values as node lists (golem up to 1.4).

Function names are those of the REST API; what a call gives is a tuple of its results (reference: host-interfaces,
section 4.7). Where the target is an agent, a name that it does not export is that of a method, as agents of Golem 1.4
call each other (`model/agent_functions.py`). `golem:rpc/types` 0.2.0 and 0.2.2 differ in the id record and in the nodes
of types, which are passed on as they come.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from golem_server.durable.context import WorkerContext
from golem_server.durable.host_function import HostInterface
from golem_server.durable.ports import WorkerComponent
from golem_server.host import rpc_calls
from golem_server.host.golem_records import uuid_of, uuid_record, worker_id_of
from golem_server.host.rpc_calls import CancellationToken, Connection, FuturePollable, FutureResult
from golem_server.model.agent_functions import (
    function_type,
    input_of_parameters,
    method_of_function,
    result_of_output,
)
from golem_server.model.component_agents import Agent
from golem_server.model.errors import InvalidInput
from golem_server.model.ids import ComponentId, WorkerId
from golem_server.model.json_values import WorkerHandles
from golem_server.model.oplog import Invocation
from golem_server.model.principals import ANONYMOUS, agent_principal
from golem_server.model.trace import TraceContext
from golem_server.model.types import Parameter, TupleType, Value
from golem_server.model.wit_values import FREE_HANDLES, NodeHandles, nodes_to_value, value_to_nodes

UNIT: Value = {"nodes": [("record-value", ())]}
"""The `wit-value` of a call without a result."""

types = HostInterface("golem:rpc/types")

INTERFACES = [types]


@dataclass(frozen=True, slots=True)
class WitFunction:
    """A function of the target by its name, with its parameters as `wit-value` records.

    `principal` is who an agent is told that calls it.
    """

    name: str
    input: Value
    principal: Value

    @property
    def tells_agent_errors(self) -> bool:
        """No `rpc-error` of these versions has the case."""
        return False

    def prepare(
        self, component: WorkerComponent, target: WorkerId, key: str, trace: TraceContext
    ) -> tuple[Invocation, Callable[[Value], Value]]:
        """The invocation; its result becomes a `wit-value`. Raises InvalidInput."""
        try:
            resolved = component.functions.resolve(self.name)
        except InvalidInput:
            if component.agents is None:
                raise
            return self._prepare_method(component.agents.agent(target.name), key, trace)
        handles = WorkerHandles(target)
        values = self._values(resolved.given_parameters, handles)
        result = resolved.type.result

        def respond(value: Value) -> Value:
            if result is None:
                return UNIT
            return value_to_nodes((value,), TupleType((result,)), handles)

        return Invocation(key, self.name, values, trace.trace_id, trace.states, trace.spans), respond

    def _prepare_method(
        self, agent: Agent, key: str, trace: TraceContext
    ) -> tuple[Invocation, Callable[[Value], Value]]:
        method = method_of_function(agent.type, self.name)
        type_ = function_type(method)
        values = self._values(type_.parameters, FREE_HANDLES)
        invocation = agent.call(method.name, input_of_parameters(method.input_schema, values), self.principal, key)
        result = type_.result

        def respond(answer: Value) -> Value:
            value = result_of_output(method.output_schema, answer[1])
            if result is None:
                return UNIT
            return value_to_nodes((value,), TupleType((result,)), FREE_HANDLES)

        return rpc_calls.traced(invocation, trace), respond

    def _values(self, parameters: Sequence[Parameter], handles: NodeHandles) -> list[Value]:
        if len(self.input) != len(parameters):
            raise InvalidInput(f"{self.name[:200]} takes {len(parameters)} parameters, got {len(self.input)}")
        return [
            nodes_to_value(nodes, parameter.type, handles)
            for nodes, parameter in zip(self.input, parameters, strict=True)
        ]


def _by(context: WorkerContext, name: str, parameters: Value) -> WitFunction:
    return WitFunction(name, parameters, agent_principal(context.worker_id))


# --- Calls


@types.special("[constructor]wasm-rpc")
async def new_wasm_rpc(context: WorkerContext, worker_id: Value) -> Value:
    """A connection to a worker, which is created if there is none."""
    return context.resources.add(await rpc_calls.connect(context, worker_id_of(worker_id)))


@types.special("[static]wasm-rpc.ephemeral")
async def ephemeral(context: WorkerContext, component_id: Value) -> Value:
    """A connection to a new worker of a component."""
    component = ComponentId(uuid_of(component_id["uuid"]))
    target = WorkerId(component, rpc_calls.new_target_name(context))
    return context.resources.add(await rpc_calls.connect(context, target))


@types.special("[method]wasm-rpc.invoke-and-await", records=rpc_calls.INVOKE_AND_AWAIT)
async def invoke_and_await(context: WorkerContext, handle: int, name: str, parameters: Value) -> Value:
    """Calls and waits for the result."""
    connection = context.resources.get(handle, Connection)
    return await rpc_calls.call_and_wait(context, connection, _by(context, name, parameters))


@types.special("[method]wasm-rpc.invoke", records=rpc_calls.INVOKE)
async def invoke(context: WorkerContext, handle: int, name: str, parameters: Value) -> Value:
    """Puts a call into the target's queue."""
    connection = context.resources.get(handle, Connection)
    return await rpc_calls.call_and_forget(context, connection, _by(context, name, parameters))


@types.special("[method]wasm-rpc.async-invoke-and-await")
async def async_invoke_and_await(context: WorkerContext, handle: int, name: str, parameters: Value) -> Value:
    """Begins a call and gives the future of its result."""
    connection = context.resources.get(handle, Connection)
    return context.resources.add(await rpc_calls.call_later(context, connection, _by(context, name, parameters)))


@types.special("[method]wasm-rpc.schedule-invocation", records=rpc_calls.SCHEDULE)
async def schedule_invocation(
    context: WorkerContext, handle: int, scheduled_time: Value, name: str, parameters: Value
) -> Value:
    """Has the target run a call at a time."""
    connection = context.resources.get(handle, Connection)
    await rpc_calls.schedule_call(context, connection, WitFunction(name, parameters, ANONYMOUS), scheduled_time)


@types.special("[method]wasm-rpc.schedule-cancelable-invocation", records=rpc_calls.SCHEDULE)
async def schedule_cancelable_invocation(
    context: WorkerContext, handle: int, scheduled_time: Value, name: str, parameters: Value
) -> Value:
    """The same, with a token that takes the call back."""
    connection = context.resources.get(handle, Connection)
    token = await rpc_calls.schedule_call(context, connection, WitFunction(name, parameters, ANONYMOUS), scheduled_time)
    return context.resources.add(token)


# --- Futures and tokens


@types.unrecorded("[method]future-invoke-result.subscribe")
def subscribe(context: WorkerContext, handle: int) -> Value:
    """A pollable that is ready when there is a result."""
    return context.resources.add(FuturePollable(context.resources.get(handle, FutureResult)))


@types.special("[method]future-invoke-result.get", records=rpc_calls.GET)
async def get(context: WorkerContext, handle: int) -> Value:
    """The result, none while the call is under way."""
    return await rpc_calls.result_of(context, context.resources.get(handle, FutureResult))


@types.special("[method]cancellation-token.cancel", records=rpc_calls.CANCEL_SCHEDULED)
async def cancel(context: WorkerContext, handle: int) -> Value:
    """Takes a scheduled call back."""
    await rpc_calls.cancel_scheduled(context, context.resources.get(handle, CancellationToken))


# --- Values


@types.unrecorded("parse-uuid")
def parse_uuid(_context: WorkerContext, uuid: str) -> Value:
    """The UUID that a text means."""
    try:
        return ("ok", uuid_record(UUID(uuid)))
    except ValueError as error:
        return ("err", str(error))


@types.unrecorded("uuid-to-string")
def uuid_to_string(_context: WorkerContext, uuid: Value) -> Value:
    """The text of a UUID."""
    return str(uuid_of(uuid))


@types.unrecorded("extract-value")
def extract_value(_context: WorkerContext, value_and_type: Value) -> Value:
    """The value of a pair of value and type."""
    return value_and_type["value"]


@types.unrecorded("extract-type")
def extract_type(_context: WorkerContext, value_and_type: Value) -> Value:
    """The type of a pair of value and type."""
    return value_and_type["typ"]
