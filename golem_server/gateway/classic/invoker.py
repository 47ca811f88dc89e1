"""The calls that one request makes of workers: named, keyed, and in the trace of the request.

Each call has a key of its own, made of the request's key and its place among the calls. A request that is sent again
with the same key therefore finds the results of the calls that were made before, and makes only those that were not
(reference: gateway, sections 1.8 and 4.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid5

from golem_server.durable.executor import Executor
from golem_server.model.agent_ids import normalize_agent_id
from golem_server.model.errors import Conflict, InvalidInput
from golem_server.model.function_names import ResolvedFunction
from golem_server.model.ids import WorkerId, worker_name_error
from golem_server.model.json_values import value_encoder
from golem_server.model.oplog import Invocation
from golem_server.model.trace import TraceContext
from golem_server.model.types import Value
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

    def _check(self, resolved: ResolvedFunction, function: str) -> None:
        """Refuse to call a worker whose revision has the function with another type than the script was made for."""
        expected = self.component.functions.resolve(function)
        if resolved is not expected and resolved.type != expected.type:
            raise InvalidInput(f"the worker runs a revision whose {function} has another type")

    def _checked(self, name: str) -> str:
        if self.component.agents is not None:
            return normalize_agent_id(name)
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
