"""Agents by the names of their application, environment and type (reference: cli-1.5, section 5.3).

These two operations are what the official command line calls agents with: `create-agent` and `invoke-agent`.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any, Literal
from uuid import UUID, uuid4

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from golem_server.api.authentication import Caller, authenticated
from golem_server.api.components import checked_environment
from golem_server.api.json_bodies import JsonReader, json_response
from golem_server.api.services import ApiServices, services_of
from golem_server.api.worker_configuration import ConfigValue
from golem_server.api.worker_json import agent_id_to_json
from golem_server.durable.ports import WorkerComponent
from golem_server.model.agent_ids import AgentId, print_agent_id, with_phantom_rule
from golem_server.model.agent_provisions import config_entries
from golem_server.model.component_agents import Agent
from golem_server.model.errors import Conflict, InvalidInput, NotFound, WorkerAlreadyExists
from golem_server.model.ids import AccountId, WorkerId
from golem_server.model.principals import user_principal
from golem_server.model.workers import WorkerCreation
from golem_server.registry.access import AccountContext
from golem_server.registry.agent_directory import RegisteredAgentType

router = APIRouter(tags=["Agent"], dependencies=[Depends(authenticated)])


class _AgentRequest(msgspec.Struct, rename="camel"):
    app_name: str
    env_name: str
    agent_type_name: str
    parameters: Any
    phantom_id: UUID | None = None
    deployment_revision: int | None = None
    owner_account_email: str | None = None


class AgentCreation(_AgentRequest):
    """The body of `create-agent`."""

    config: list[ConfigValue] | None = None
    env: dict[str, str] | None = None


class AgentInvocation(_AgentRequest, kw_only=True):
    """The body of `invoke-agent`."""

    method_name: str
    method_parameters: Any
    mode: Literal["await", "schedule"] = "await"
    schedule_at: datetime | None = None
    idempotency_key: str | None = None


_creation = msgspec.json.Decoder(AgentCreation)
_invocation = msgspec.json.Decoder(AgentInvocation)


@router.post("/v1/agents/create-agent", operation_id="createAgent")
async def create_agent(request: Request, caller: Caller) -> Response:
    """The agent with these parameters; created where there is none."""
    services = services_of(request)
    wanted = await _reader(services).read(request.receive, request.scope["headers"], _creation)
    found = await _agent_type(services, caller, wanted)
    worker_id = _worker_id(found, wanted)
    creation = WorkerCreation(
        environment=checked_environment(wanted.env),
        agent_config=config_entries(found.type, wanted.config or ()),
        principal=user_principal(caller.account_id),
    )
    try:
        stored = await services.executor.create(worker_id, creation)
    except WorkerAlreadyExists:
        stored = await services.executor.find(worker_id)
    revision = stored.columns.component_revision
    return json_response({"agentId": agent_id_to_json(worker_id), "componentRevision": revision})


@router.post("/v1/agents/invoke-agent", operation_id="invokeAgent")
async def invoke_agent(request: Request, caller: Caller) -> Response:
    """Call a method of an agent, with or without waiting for its result; the agent is created where there is none."""
    services = services_of(request)
    wanted = await _reader(services).read(request.receive, request.scope["headers"], _invocation)
    worker_id = _worker_id(await _agent_type(services, caller, wanted), wanted)
    principal = user_principal(caller.account_id)
    chosen = wanted.idempotency_key or request.headers.get("idempotency-key")
    key = chosen or str(uuid4())
    # An agent that exists may be of another revision than the type that was found by name, and a key that was answered
    # before an update is that of a method of then.
    older = None if chosen is None else await services.executor.component_that_answered(worker_id, chosen)
    agent = _agent(older or await services.executor.component_of(worker_id), worker_id)
    method = agent.method(wanted.method_name)
    arguments = method.input_schema.decode(wanted.method_parameters, "methodParameters")
    invocation = agent.call(wanted.method_name, arguments, principal, key)
    answer: dict[str, Any] = {"agentId": agent_id_to_json(worker_id), "result": None, "componentRevision": None}
    creation = WorkerCreation(principal=principal)
    if wanted.mode == "schedule":
        if wanted.schedule_at is None:
            await services.executor.invoke(worker_id, invocation, creation)
        else:
            await services.executor.schedule(worker_id, _milliseconds(wanted.schedule_at), invocation, creation)
    else:
        _, result = await services.executor.invoke_and_await(worker_id, invocation, creation)
        try:
            answer["result"] = method.output_schema.encode(result)
        except InvalidInput as error:
            raise Conflict("The idempotency key was used for another method of this agent") from error
    answer["componentRevision"] = (await services.executor.find(worker_id)).columns.component_revision
    return json_response(answer)


def _agent(component: WorkerComponent, worker_id: WorkerId) -> Agent:
    if component.agents is None:
        raise InvalidInput(f"The agent {worker_id.name[:200]} is of a revision without agents")
    return component.agents.agent(worker_id.name)


def _milliseconds(moment: datetime) -> int:
    """A time of a request as milliseconds since the epoch. Raises InvalidInput for one without a time zone."""
    if moment.tzinfo is None:
        raise InvalidInput("scheduleAt: expected a time with a time zone, such as 2026-01-31T12:00:00Z")
    return math.ceil(moment.timestamp() * 1000)


async def _agent_type(services: ApiServices, caller: AccountContext, wanted: _AgentRequest) -> RegisteredAgentType:
    """The agent type that is asked for. Raises NotFound, also for what the caller may not see."""
    owner = await _owner(services, caller, wanted.owner_account_email)
    environment_id = await services.directory.environment(owner, wanted.app_name, wanted.env_name)
    if wanted.deployment_revision is not None:
        raise NotFound(
            f"Deployment {wanted.deployment_revision} not found in environment {wanted.env_name[:200]}",
            code="DEPLOYMENT_NOT_FOUND",
        )
    found = (await services.directory.types(environment_id)).get(wanted.agent_type_name)
    if found is None:
        raise NotFound(f"Agent type {wanted.agent_type_name[:200]} not found", code="RESOURCE_NOT_FOUND")
    return found


async def _owner(services: ApiServices, caller: AccountContext, email: str | None) -> AccountId:
    if email is None:
        return caller.account_id
    if not email.strip():
        raise InvalidInput("ownerAccountEmail must not be blank")
    account = await services.accounts.account_of(email.strip())
    if not caller.may_act_for(account.id):
        raise NotFound(f"Account {email.strip()} not found", code="ACCOUNT_NOT_FOUND")
    return account.id


def _worker_id(found: RegisteredAgentType, wanted: _AgentRequest) -> WorkerId:
    """The agent's canonical id. Raises InvalidInput for parameters that do not fit the constructor."""
    schema = found.type.constructor_schema
    parameters = schema.decode(wanted.parameters, "parameters")
    phantom = with_phantom_rule(wanted.phantom_id, found.type.mode)
    name = print_agent_id(AgentId(found.type.name, parameters, phantom), schema)
    return WorkerId(found.component.component_id, name)


def _reader(services: ApiServices) -> JsonReader:
    limits = services.settings.limits.request
    return JsonReader(limits.json_body, limits.json_depth)
