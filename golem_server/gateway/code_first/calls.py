"""A request to an agent's route as a call of its method, and the result as the response.

The call has the request's idempotency key, so that one that is sent again is not done again (Golem 1.5.9 does not look
at it), and belongs to the trace that the request brings (reference: gateway, sections 1.8 and 3.4).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl
from uuid import UUID, uuid4, uuid5

from golem_server.durable.executor import Executor
from golem_server.gateway.classic.request_trace import trace_of
from golem_server.gateway.code_first.failures import RequestFailure, agent_failed
from golem_server.gateway.code_first.parameters import Parameter, RequestValues
from golem_server.gateway.code_first.routes import AgentRoute
from golem_server.gateway.requests import GatewayRequest
from golem_server.gateway.responses import GatewayResponse
from golem_server.model.agent_ids import AgentId, print_agent_id
from golem_server.model.component_agents import ComponentAgents
from golem_server.model.data_values import DataSchema
from golem_server.model.errors import InvalidInput
from golem_server.model.ids import WorkerId
from golem_server.model.oplog import Invocation
from golem_server.model.types import Value
from golem_server.model.workers import WorkerCreation

MAX_QUERY_VALUES = 1000


class AgentCalls:
    """Calls agents for requests."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def call(
        self, route: AgentRoute, captured: Sequence[str], request: GatewayRequest, principal: Value
    ) -> GatewayResponse:
        """Call the route's method with what the request has, and wait for the result.

        Raises RequestFailure for a request that the method cannot be called with, and what the executor raises.
        """
        values = RequestValues(
            captured=captured,
            query=_query(request.query),
            header=lambda name: tuple(request.header_values(name)),
            body=await route.read_body(request),
        )
        given_key = request.header("idempotency-key")
        worker_id = _worker_id(route, values, given_key)
        arguments = _data_value(route.method.input_schema, route.arguments, values)
        agents = await self._agents_of(worker_id, route)
        try:
            call = agents.agent(worker_id.name).call(route.method.name, arguments, principal, given_key or str(uuid4()))
        except InvalidInput as error:
            # The agent runs another revision than the one that is deployed.
            raise agent_failed("Invocation Failed", error.message) from None
        creation = WorkerCreation(principal=principal, revision=route.agent.revision)
        # An error of the agent's is raised as a failed invocation.
        _, result = await self._executor.invoke_and_await(worker_id, _traced(call, request), creation)
        return route.respond(result)

    async def _agents_of(self, worker_id: WorkerId, route: AgentRoute) -> ComponentAgents:
        """The agents of the revision that the worker runs, or will run once it is created."""
        if await self._executor.exists(worker_id):
            component = await self._executor.component_of(worker_id)
            if component.agents is not None:
                return component.agents
        return route.agent.agents


def _traced(call: Invocation, request: GatewayRequest) -> Invocation:
    """The call inside of a span of the gateway's."""
    trace = trace_of(request, {})
    return Invocation(call.idempotency_key, call.function, call.parameters, trace.trace_id, trace.states, trace.spans)


def _query(query: str) -> Mapping[str, list[str]]:
    """The values of a query by name, in order. Raises RequestFailure."""
    found: dict[str, list[str]] = {}
    try:
        # As Latin-1 every byte is a character, so that what is no UTF-8 is noticed and not replaced.
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_QUERY_VALUES, encoding="latin-1")
        for name, value in pairs:
            found.setdefault(name.encode("latin-1").decode(), []).append(value.encode("latin-1").decode())
    except UnicodeDecodeError:
        raise RequestFailure(400, "REQUEST_VALUE_PARSING_FAILED", "the query is not UTF-8") from None
    except ValueError:
        raise RequestFailure(
            400, "REQUEST_TOO_MANY_VALUES", f"the query has more than {MAX_QUERY_VALUES} values"
        ) from None
    return found


def _data_value(schema: DataSchema, parameters: Sequence[Parameter], values: RequestValues) -> Value:
    """The data value of the parameters. Raises RequestFailure that says all that is wrong."""
    read: list[tuple[str, Value]] = []
    failures: list[RequestFailure] = []
    for parameter in parameters:
        try:
            read.append((parameter.element.name, parameter.read(values)))
        except RequestFailure as failure:
            failures.append(failure)
    if failures:
        raise RequestFailure(400, failures[0].code, *(text for failure in failures for text in failure.errors))
    return schema.from_values(read)


def _worker_id(route: AgentRoute, values: RequestValues, key: str | None) -> WorkerId:
    """The agent that is called. Raises RequestFailure for parameters that no agent's name can have."""
    type_, component_id = route.agent.type, route.agent.component_id
    parameters = _data_value(type_.constructor_schema, route.constructor, values)

    def name(phantom: UUID | None) -> str:
        return print_agent_id(AgentId(type_.name, parameters, phantom), type_.constructor_schema)

    try:
        plain = name(None)
        return WorkerId(component_id, name(_phantom(WorkerId(component_id, plain), key)) if route.phantom else plain)
    except InvalidInput as error:
        raise RequestFailure(400, "REQUEST_VALUE_PARSING_FAILED", error.message) from None


def _phantom(agent: WorkerId, key: str | None) -> UUID:
    """The phantom id of an agent that is made for one request: the same for one that is sent again."""
    return uuid5(uuid5(agent.component_id, agent.name), key) if key else uuid4()
