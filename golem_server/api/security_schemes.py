"""Security schemes: those of environments, and in the words of Golem 1.2 those of the default one.

(Reference: gateway, sections 1.12 and 3.2.) A client secret is taken and never given.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response

from golem_server.api.api_definitions import Environment
from golem_server.api.at_domains import Revision, may_see, reader
from golem_server.api.authentication import Caller, authenticated
from golem_server.api.json_bodies import json_response
from golem_server.api.paths import EnvironmentPath, decode_segment, parse_uuid
from golem_server.api.services import services_of
from golem_server.model.errors import InvalidInput
from golem_server.model.security_schemes import PROVIDER_ISSUERS, SecurityScheme
from golem_server.registry.security_schemes import SchemeTerms, unknown_scheme

router = APIRouter(tags=["SecurityScheme"], dependencies=[Depends(authenticated)])

_MAX_REVISION = (1 << 63) - 1


class ProviderType(msgspec.Struct, rename="camel"):
    """A known provider by `type`, or a `Custom` one."""

    type: str
    name: str | None = None
    issuer_url: str | None = None


class SchemeCreation(msgspec.Struct, rename="camel"):
    """A new scheme of an environment."""

    name: str
    provider_type: ProviderType
    client_id: str
    client_secret: str
    redirect_url: str
    scopes: list[str] = []


class SchemeUpdate(msgspec.Struct, rename="camel"):
    """What is to change of a scheme."""

    current_revision: Revision
    provider_type: ProviderType | None = None
    client_id: str | None = None
    client_secret: str | None = None
    redirect_url: str | None = None
    scopes: list[str] | None = None


class NamedScheme(msgspec.Struct, rename="camel"):
    """A new scheme in the words of Golem 1.2; `issuerUrl` is for the provider type `custom`, which it does not have."""

    provider_type: str
    scheme_identifier: str
    client_id: str
    client_secret: str
    redirect_url: str
    scopes: list[str] = []
    issuer_url: str | None = None


_creation = msgspec.json.Decoder(SchemeCreation)
_update = msgspec.json.Decoder(SchemeUpdate)
_named = msgspec.json.Decoder(NamedScheme)


async def _scheme(request: Request, caller: Caller) -> SecurityScheme:
    scheme = await services_of(request).security_schemes.scheme(parse_uuid("id", request.path_params["id"]))
    if not await may_see(request, caller, scheme.environment_id):
        raise unknown_scheme(scheme.id)
    return scheme


SchemePath = Annotated[SecurityScheme, Depends(_scheme)]


@router.get("/v1/envs/{environment_id}/security-schemes", operation_id="listSecuritySchemes")
async def list_schemes(request: Request, environment_id: EnvironmentPath) -> Response:
    """The schemes of an environment."""
    listed = await services_of(request).security_schemes.list(environment_id)
    return json_response({"values": list(map(_to_json, listed))})


@router.post("/v1/envs/{environment_id}/security-schemes", operation_id="createSecurityScheme")
async def create_scheme(request: Request, environment_id: EnvironmentPath) -> Response:
    """Create a scheme."""
    wanted = await reader(request).read(request.receive, request.scope["headers"], _creation)
    provider, issuer = _provider(wanted.provider_type)
    terms = SchemeTerms(
        provider=provider,
        issuer_url=issuer,
        client_id=wanted.client_id,
        client_secret=wanted.client_secret,
        redirect_url=wanted.redirect_url,
        scopes=wanted.scopes,
    )
    schemes = services_of(request).security_schemes
    return json_response(_to_json(await schemes.create(environment_id, wanted.name, terms, ask_issuer=False)))


@router.get("/v1/security-schemes/{id}", operation_id="getSecurityScheme")
async def get_scheme(scheme: SchemePath) -> Response:
    """A scheme."""
    return json_response(_to_json(scheme))


@router.patch("/v1/security-schemes/{id}", operation_id="updateSecurityScheme")
async def update_scheme(request: Request, scheme: SchemePath) -> Response:
    """Change a scheme."""
    wanted = await reader(request).read(request.receive, request.scope["headers"], _update)
    provider, issuer = (None, None) if wanted.provider_type is None else _provider(wanted.provider_type)
    terms = SchemeTerms(
        provider=provider,
        issuer_url=issuer,
        client_id=wanted.client_id,
        client_secret=wanted.client_secret,
        redirect_url=wanted.redirect_url,
        scopes=wanted.scopes,
    )
    schemes = services_of(request).security_schemes
    return json_response(_to_json(await schemes.change(scheme.id, wanted.current_revision, terms)))


@router.delete("/v1/security-schemes/{id}", operation_id="deleteSecurityScheme")
async def delete_scheme(
    request: Request, scheme: SchemePath, current_revision: Annotated[int, Query(ge=0, le=_MAX_REVISION)]
) -> Response:
    """Delete a scheme."""
    return json_response(_to_json(await services_of(request).security_schemes.delete(scheme.id, current_revision)))


@router.post("/v1/api/security", operation_id="createNamedSecurityScheme")
async def create_named(request: Request, environment: Environment) -> Response:
    """Create a scheme for API definitions, whose provider must answer."""
    wanted = await reader(request).read(request.receive, request.scope["headers"], _named)
    terms = SchemeTerms(
        provider=wanted.provider_type,
        issuer_url=wanted.issuer_url,
        client_id=wanted.client_id,
        client_secret=wanted.client_secret,
        redirect_url=wanted.redirect_url,
        scopes=wanted.scopes,
    )
    schemes = services_of(request).security_schemes
    made = await schemes.create(environment, wanted.scheme_identifier, terms, ask_issuer=True)
    return json_response(_named_to_json(made))


@router.get("/v1/api/security/{name}", operation_id="getNamedSecurityScheme")
async def get_named(request: Request, environment: Environment) -> Response:
    """A scheme for API definitions."""
    name = decode_segment("name", request.path_params["name"])
    return json_response(_named_to_json(await services_of(request).security_schemes.named(environment, name)))


def _provider(given: ProviderType) -> tuple[str, str | None]:
    """The provider's name, and the issuer of one that is not known. Raises InvalidInput."""
    kind = given.type.lower()
    if kind in PROVIDER_ISSUERS:
        return kind, None
    if kind != "custom" or given.issuer_url is None or not given.name or given.name.lower() in PROVIDER_ISSUERS:
        raise InvalidInput(
            f"providerType: expected one of {', '.join(name.capitalize() for name in PROVIDER_ISSUERS)}, "
            "or Custom with a name of its own and an issuerUrl"
        )
    return given.name, given.issuer_url


def _to_json(scheme: SecurityScheme) -> dict[str, Any]:
    provider: dict[str, Any] = {"type": scheme.provider.capitalize()}
    if scheme.custom_provider:
        provider = {"type": "Custom", "name": scheme.provider, "issuerUrl": scheme.issuer_url}
    return {
        "id": str(scheme.id),
        "revision": scheme.revision,
        "name": scheme.name,
        "environmentId": str(scheme.environment_id),
        "providerType": provider,
        "clientId": scheme.client_id,
        "redirectUrl": scheme.redirect_url,
        "scopes": list(scheme.scopes),
    }


def _named_to_json(scheme: SecurityScheme) -> dict[str, Any]:
    return {
        "schemeIdentifier": scheme.name,
        "providerType": scheme.provider,
        "clientId": scheme.client_id,
        "redirectUrl": scheme.redirect_url,
        "scopes": list(scheme.scopes),
        **({"issuerUrl": scheme.issuer_url} if scheme.custom_provider else {}),
    }
