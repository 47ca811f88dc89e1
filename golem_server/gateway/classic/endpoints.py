"""What answers a route whose binding names a component: the worker, its key and trace, and the default binding.

(Reference: gateway, sections 1.8 and 1.9.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from uuid import uuid4

from golem_server.durable.executor import Executor
from golem_server.gateway.classic.invoker import RequestInvoker
from golem_server.gateway.classic.request_inputs import RequestFacts
from golem_server.gateway.classic.request_trace import context_of, trace_of
from golem_server.gateway.classic.response_mapping import respond
from golem_server.gateway.classic.scripts import Script, Scripts
from golem_server.gateway.failures import RequestFailed
from golem_server.gateway.responses import GatewayResponse
from golem_server.gateway.rib import RibRuntimeError
from golem_server.model.errors import TooManyPending, Unavailable
from golem_server.model.types import Value
from golem_server.registry.components import RegisteredComponent

MAX_KEY_CHARACTERS = 1_024


class Endpoint(Protocol):
    """Answers the requests of one route."""

    async def answer(self, facts: RequestFacts) -> GatewayResponse:
        """The response. Raises RequestFailed, or an error of the worker."""
        ...


@dataclass(frozen=True, slots=True)
class Target:
    """The workers that a binding calls: those of its component, under the names and keys that its scripts give."""

    executor: Executor
    component: RegisteredComponent
    scripts: Scripts

    async def worker_name(self, facts: RequestFacts) -> str | None:
        """The worker's name for a request; None where the binding gives none."""
        script = self.scripts.worker_name
        return None if script is None else await script.pure_text(facts, "Worker name")

    async def invoker(self, facts: RequestFacts) -> RequestInvoker:
        """What the calls of a request are made through. Raises RequestFailed."""
        given = None
        if self.scripts.idempotency_key is not None:
            given = await self.scripts.idempotency_key.pure_text(facts, "Idempotency key")
        elif (header := facts.request.header("idempotency-key")) is not None:
            given = header
        if given is not None and not 0 < len(given) <= MAX_KEY_CHARACTERS:
            raise RequestFailed(400, f"An idempotency key must have 1 to {MAX_KEY_CHARACTERS} characters")
        context = self.scripts.invocation_context
        said: Mapping[str, str] = {}
        if context is not None:
            said = context_of(context.compiled, await context.pure_value(facts))
        return RequestInvoker(
            executor=self.executor,
            component=self.component,
            key=str(uuid4()) if given is None else given,
            repeatable=given is not None,
            trace=trace_of(facts.request, said),
        )


async def evaluate(script: Script, target: Target, facts: RequestFacts, invoker: RequestInvoker) -> Value:
    """The value of a script that may call workers. Raises RequestFailed."""
    worker_name = await target.worker_name(facts)
    inputs = await script.inputs.read(facts)
    try:
        return await script.compiled.evaluate(inputs, invoker, worker_name)
    except RibRuntimeError as error:
        cause = error.__cause__
        if isinstance(cause, Unavailable):
            raise RequestFailed(503, error.message) from None
        if isinstance(cause, TooManyPending):
            raise RequestFailed(429, error.message) from None
        raise RequestFailed(500, error.message) from None


@dataclass(frozen=True, slots=True)
class WorkerEndpoint:
    """The default binding: a script calls workers and makes the response."""

    target: Target
    response: Script

    async def answer(self, facts: RequestFacts) -> GatewayResponse:
        """Evaluate the script."""
        invoker = await self.target.invoker(facts)
        value = await evaluate(self.response, self.target, facts, invoker)
        try:
            return respond(self.response.compiled, value, facts.request.header("accept"))
        except RibRuntimeError as error:
            raise RequestFailed(500, error.message) from None
