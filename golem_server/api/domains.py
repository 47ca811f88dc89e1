"""Domains that environments have registered (reference: cli-1.5, section 6)."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request, Response

from golem_server.api.at_domains import (
    id_of,
    may_see,
    reader,
)
from golem_server.api.authentication import Caller, authenticated
from golem_server.api.json_bodies import json_response
from golem_server.api.paths import EnvironmentPath
from golem_server.api.services import services_of
from golem_server.model.environment_deployments import DomainRegistration
from golem_server.registry.domains import unknown_registration

router = APIRouter(tags=["Domain"], dependencies=[Depends(authenticated)])


class DomainBody(msgspec.Struct):
    """A domain to register."""

    domain: str


_domain = msgspec.json.Decoder(DomainBody)


async def _registration(request: Request, caller: Caller) -> DomainRegistration:
    registration = await services_of(request).domains.registration(id_of(request))
    if not await may_see(request, caller, registration.environment_id):
        raise unknown_registration(registration.id)
    return registration


RegistrationPath = Annotated[DomainRegistration, Depends(_registration)]


@router.get("/v1/envs/{environment_id}/domain-registrations", operation_id="listDomainRegistrations")
async def list_domains(request: Request, environment_id: EnvironmentPath) -> Response:
    """The domains of an environment."""
    listed = await services_of(request).domains.registrations(environment_id)
    return json_response({"values": list(map(_registration_to_json, listed))})


@router.post("/v1/envs/{environment_id}/domain-registrations", operation_id="createDomainRegistration")
async def register_domain(request: Request, environment_id: EnvironmentPath) -> Response:
    """Register a domain."""
    wanted = await reader(request).read(request.receive, request.scope["headers"], _domain)
    registration = await services_of(request).domains.register(environment_id, wanted.domain)
    return json_response(_registration_to_json(registration))


@router.get("/v1/domain-registrations/{id}", operation_id="getDomainRegistration")
async def get_domain(registration: RegistrationPath) -> Response:
    """A registration."""
    return json_response(_registration_to_json(registration))


@router.delete("/v1/domain-registrations/{id}", operation_id="deleteDomainRegistration")
async def unregister_domain(request: Request, registration: RegistrationPath) -> Response:
    """Give a domain back."""
    await services_of(request).domains.unregister(registration.id)
    return Response(status_code=204)


def _registration_to_json(registration: DomainRegistration) -> dict[str, Any]:
    return {
        "id": str(registration.id),
        "environmentId": str(registration.environment_id),
        "domain": registration.domain,
    }
