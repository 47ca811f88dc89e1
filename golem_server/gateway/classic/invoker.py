"""The calls that one request makes of workers: named, keyed, and in the trace of the request.

Each call has a key of its own, made of the request's key and its place among the calls. A request that is sent again
with the same key therefore finds the results of the calls that were made before, and makes only those that were not
(reference: gateway, sections 1.8 and 4.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid5

import msgspec

from golem_server.durable.executor import Executor
from golem_server.gateway.classic.agent_interfaces import is_agent_method
from golem_server.model.agent_functions import (
    function_type,
    input_of_parameters,
    method_of_function,
    result_of_output,
)
from golem_server.model.errors import Conflict, InvalidInput
from golem_server.model.function_names import ResolvedFunction
from golem_server.model.ids import WorkerId, worker_name_error
from golem_server.model.json_values import value_encoder
from golem_server.model.oplog import Invocation
from golem_server.model.principals import ANONYMOUS
from golem_server.model.trace import TraceContext
from golem_server.model.types import Value
from golem_server.model.workers import WorkerCreation
from golem_server.registry.components import RegisteredComponent

_WORKERS_OF_REQUESTS = UUID("6f0f0a52-3c7c-4b0e-8ad3-0f4ad5bcb4c7")
"""Root of the names of workers that a request alone has."""


@dataclass(slots=True)
class RequestInvoker:
    """Implements `rib.Invoker` for one request.

    `key` is what the request is known by; `repeatable` says whether its caller chose it, and may send it again.
    """

    executor: Executor
    component: RegisteredComponent
    key: str
    repeatable: bool
    trace: TraceContext

    def ephemeral_worker(self, number: int) -> str | None:
        """A name that belongs to the request, the same if it is sent again with its key."""
        return str(uuid5(_WORKERS_OF_REQUESTS, f"{self.component.component_id}/{self.key}/{number}"))

    def worker(self, name: str | None) -> WorkerId:
        """The worker of this name, or the request's own. Raises InvalidInput for what cannot name a worker."""
        return WorkerId(self.component.component_id, self._checked(name or self.ephemeral_worker(0) or ""))

    def call_key(self, call_number: int) -> str:
        """The idempotency key of a call; that of the first is the request's."""
        return self.key if call_number == 0 else f"{self.key}/{call_number}"

    async def invoke(
        self, worker_name: str | None, function: str, parameters: Sequence[Value], call_number: int
    ) -> Value:
        """Call a function and wait for its result."""
        worker_id = self.worker(worker_name)
        if self.component.agents is not None and is_agent_method(self.component, function):
            return await self._call_agent(worker_id, function, parameters, self.call_key(call_number))
        resolved = self.executor.function_of_loaded(worker_id, function)
        if resolved is None:
            resolved = await self.executor.operations.function_of(worker_id, function)
        self._check(resolved, function)
        invocation = Invocation(
            self.call_key(call_number),
            resolved.export_name,
            list(parameters),
            self.trace.trace_id,
            self.trace.states,
            self.trace.spans,
        )
        result = await self.executor.invoke_and_await(worker_id, invocation)
        if self.repeatable:
            _check_result(resolved, result)
        return result

    async def _call_agent(self, worker_id: WorkerId, function: str, parameters: Sequence[Value], key: str) -> Value:
        """Call a method of an agent, as the agent's own revision has it."""
        agents = (await self.executor.component_of(worker_id)).agents
        known = self.component.agents
        if agents is None or known is None:
            raise InvalidInput(f"the agent {worker_id.name[:200]} is of a revision without agents")
        agent = agents.agent(worker_id.name)
        method = method_of_function(agent.type, function)
        expected = method_of_function(known.agent(worker_id.name).type, function)
        if method is not expected and function_type(method) != function_type(expected):
            raise InvalidInput(f"the agent runs a revision whose {function} has another type")
        call = agent.call(method.name, input_of_parameters(method.input_schema, parameters), ANONYMOUS, key)
        traced = msgspec.structs.replace(
            call, trace_id=self.trace.trace_id, trace_states=self.trace.states, invocation_context=self.trace.spans
        )
        creation = WorkerCreation(principal=ANONYMOUS)
        _, output = await self.executor.invoke_and_await(worker_id, traced, creation)
        try:
            return result_of_output(method.output_schema, output)
        except InvalidInput as error:
            raise Conflict("The idempotency key was used for another method of this agent") from error

    def _check(self, resolved: ResolvedFunction, function: str) -> None:
        """Refuse to call a worker whose revision has the function with another type than the script was made for."""
        expected = self.component.functions.resolve(function)
        if resolved is not expected and resolved.type != expected.type:
            raise InvalidInput(f"the worker runs a revision whose {function} has another type")

    def _checked(self, name: str) -> str:
        if self.component.agents is not None:
            return self.component.agents.agent(name).name
        reason = worker_name_error(name)
        if reason is not None:
            raise InvalidInput(reason)
        return name


def _check_result(resolved: ResolvedFunction, result: Value) -> None:
    """Refuse the result of another function, which a key that was used before can bring."""
    type_ = resolved.type.result
    try:
        fits = result is None if type_ is None else bool(value_encoder(type_)(result) or True)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError):
        fits = False
    if not fits:
        raise Conflict("The idempotency key was used for another function of this worker")
