"""What the routes of everything at domains have in common: who may see it, its revisions, its JSON."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import Query, Request

from golem_server.api.authentication import Caller
from golem_server.api.json_bodies import JsonReader
from golem_server.api.paths import decode_segment, parse_uuid
from golem_server.api.services import services_of
from golem_server.api.timestamps import timestamp_of_milliseconds
from golem_server.model.environment_deployments import DomainUse
from golem_server.model.errors import InvalidInput
from golem_server.model.http_api_deployments import HttpApiDeployment, McpDeployment
from golem_server.model.ids import EnvironmentId
from golem_server.registry.domains import unknown_deployment

_MAX_REVISION = (1 << 63) - 1

Revision = Annotated[int, msgspec.Meta(ge=0, le=_MAX_REVISION)]
CurrentRevision = Annotated[int, Query(ge=0, le=_MAX_REVISION)]


def reader(request: Request) -> JsonReader:
    """Reads bodies within the limits of the settings."""
    limits = services_of(request).settings.limits.request
    return JsonReader(limits.json_body, limits.json_depth)


async def may_see(request: Request, caller: Caller, environment_id: EnvironmentId) -> bool:
    """Whether the caller may know of what belongs to an environment."""
    owned = await services_of(request).accounts.environment(environment_id)
    return caller.may_act_for(owned.application.account_id)


def id_of(request: Request) -> UUID:
    """The id that the path names. Raises InvalidInput."""
    return parse_uuid("id", request.path_params["id"])


def revision_of(request: Request) -> int:
    """The revision that the path names. Raises InvalidInput."""
    text = request.path_params["revision"]
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or int(text) > _MAX_REVISION:
        raise InvalidInput("failed to parse path `revision`: expected a number from 0 on")
    return int(text)


def at_domain(request: Request, listed: list[Any], use: DomainUse) -> Any:
    """The one of these at the domain that the path names. Raises NotFound."""
    domain = decode_segment("domain", request.path_params["domain"])
    for each in listed:
        if each.domain == domain:
            return each
    raise unknown_deployment(use, domain[:200])


def common_json(deployment: HttpApiDeployment | McpDeployment) -> dict[str, Any]:
    """The fields that both have."""
    return {
        "id": str(deployment.id),
        "revision": deployment.revision,
        "environmentId": str(deployment.environment_id),
        "domain": deployment.domain,
        "hash": deployment.hash,
        "createdAt": timestamp_of_milliseconds(deployment.created_at),
    }
