"""What the segments of a path name, and whether the caller may see it.

Routes are matched on the path as it was sent, with its percent-encoding: the name of a worker may contain `%2F`. Each
segment is decoded here, after the match. What the caller may not see is answered as if it did not exist.

The order of checks (reference: rest-api, section 1): token, ids, existence, the worker's name.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Annotated, Any, NewType, TypeVar
from urllib.parse import unquote_to_bytes
from uuid import UUID

from fastapi import Depends, Request

from golem_server.api.authentication import Caller
from golem_server.api.services import ApiServices, services_of
from golem_server.model.agent_ids import normalize_agent_id
from golem_server.model.errors import InvalidInput, NotFound
from golem_server.model.ids import ComponentId, EnvironmentId, WorkerId, worker_name_error
from golem_server.registry.access import AccountContext
from golem_server.registry.components import RegisteredComponent

T = TypeVar("T")

_MAX_REVISION = (1 << 63) - 1

WorkerName = NewType("WorkerName", str)


def decode_segment(name: str, raw: str) -> str:
    """A segment without its percent-encoding. Raises InvalidInput if that is not UTF-8."""
    if "%" not in raw:
        return raw
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise InvalidInput(f"failed to parse path `{name}`: expected UTF-8") from None


def parse_uuid(name: str, raw: str) -> UUID:
    """A UUID in its usual form of 36 characters. Raises InvalidInput."""
    text = decode_segment(name, raw)
    try:
        if len(text) != 36:
            raise ValueError
        return UUID(text)
    except ValueError:
        raise InvalidInput(f"failed to parse path `{name}`: expected a UUID") from None


def parse_worker_name(raw: str, component: RegisteredComponent) -> str:
    """The name of a worker of the component. Raises InvalidInput."""
    return worker_name(decode_segment("agent_name", raw), component)


def worker_name(text: str, component: RegisteredComponent) -> str:
    """The name that a text means: of an agent, its id in the canonical spelling. Raises InvalidInput.

    A name that no agent of the latest revision can have may still be that of an older worker, so it is let pass; only
    to create an agent of that name is an error.
    """
    agents = component.agents
    if agents is not None:
        try:
            return agents.agent(text).name
        except InvalidInput:
            pass
        with suppress(InvalidInput):
            return normalize_agent_id(text)
    reason = worker_name_error(text)
    if reason is not None:
        raise InvalidInput(reason if agents is None else f"Invalid agent id: {reason}", code="INVALID_WORKER_ID")
    return text


async def visible_component(
    services: ApiServices, component_id: ComponentId, caller: AccountContext
) -> RegisteredComponent:
    """The component at its latest revision. Raises NotFound, also where the caller may not know of it."""
    component = await services.components.latest(component_id)
    if not caller.may_act_for(component.account_id):
        raise NotFound(f"Component for id {component_id} not found", code="COMPONENT_NOT_FOUND")
    return component


def _segment(name: str, parse: Callable[[str], T]) -> Callable[[Request], Coroutine[Any, Any, T]]:
    async def of_request(request: Request) -> T:
        return parse(request.path_params[name])

    return of_request


def _component_id(raw: str) -> ComponentId:
    return ComponentId(parse_uuid("component_id", raw))


def _revision(raw: str) -> int:
    text = decode_segment("revision", raw)
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or int(text) > _MAX_REVISION:
        raise InvalidInput("failed to parse path `revision`: expected a non-negative integer")
    return int(text)


RevisionPath = Annotated[int, Depends(_segment("revision", _revision))]
ComponentNamePath = Annotated[
    str, Depends(_segment("component_name", lambda raw: decode_segment("component_name", raw)))
]
ComponentIdPath = Annotated[ComponentId, Depends(_segment("component_id", _component_id))]


async def _environment(request: Request, caller: Caller) -> EnvironmentId:
    environment_id = EnvironmentId(parse_uuid("environment_id", request.path_params["environment_id"]))
    owned = await services_of(request).accounts.environment(environment_id)
    if not caller.may_act_for(owned.application.account_id):
        raise NotFound(f"Environment not found: {environment_id}", code="ENVIRONMENT_NOT_FOUND")
    return environment_id


EnvironmentPath = Annotated[EnvironmentId, Depends(_environment)]
"""An environment that exists and that the caller may see."""


async def _component(request: Request, component_id: ComponentIdPath, caller: Caller) -> RegisteredComponent:
    return await visible_component(services_of(request), component_id, caller)


ComponentPath = Annotated[RegisteredComponent, Depends(_component)]
"""A component that exists and that the caller may see, at its latest revision."""


async def _worker(request: Request, component: ComponentPath) -> WorkerId:
    return WorkerId(component.component_id, parse_worker_name(request.path_params["agent_name"], component))


WorkerPath = Annotated[WorkerId, Depends(_worker)]
"""A worker of such a component; whether it exists is not checked."""
