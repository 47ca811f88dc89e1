"""Definitions of HTTP APIs and where they are deployed (reference: gateway, sections 1.2, 1.3 and 1.6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

METHODS = ("GET", "CONNECT", "POST", "DELETE", "PUT", "PATCH", "OPTIONS", "TRACE", "HEAD")


class BindingKind(Enum):
    """What answers a route; the values are those of the JSON."""

    DEFAULT = "default"
    FILE_SERVER = "file-server"
    HTTP_HANDLER = "http-handler"
    CORS_PREFLIGHT = "cors-preflight"
    SWAGGER_UI = "swagger-ui"


@dataclass(frozen=True, slots=True)
class RouteBinding:
    """What a route is bound to. The last four are Rib scripts; `component_version` None is the latest."""

    kind: BindingKind
    component: str | None = None
    component_version: int | None = None
    worker_name: str | None = None
    idempotency_key: str | None = None
    invocation_context: str | None = None
    response: str | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """One route. `method` is in capitals, `path` a pattern as text, `security` the name of a security scheme."""

    method: str
    path: str
    binding: RouteBinding
    security: str | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class DefinitionKey(NamedTuple):
    """What names a definition: its id and version, both of the user's choice."""

    id: str
    version: str

    def __str__(self) -> str:
        return f"{self.id}/{self.version}"


@dataclass(frozen=True, slots=True)
class ApiDefinition:
    """A definition as its user wrote it, with the versions of its components resolved once it is stored.

    Only a draft can be changed. `created_at` in milliseconds since the epoch, 0 before it is stored.
    """

    key: DefinitionKey
    draft: bool
    routes: tuple[Route, ...]
    created_at: int = 0


@dataclass(frozen=True, slots=True)
class StoredDefinition:
    """A definition and what was found out of it when it was checked: for each route, fields of its binding's JSON.

    `uses` are the functions that its scripts may call, for each component by name: full names with signatures, as text.
    `revision` grows with each change of a draft.
    """

    definition: ApiDefinition
    facts: tuple[Mapping[str, Any], ...]
    uses: Mapping[str, Mapping[str, str]]
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Site:
    """A host, with a port where the requests' Host header has one, and perhaps a subdomain of it."""

    host: str
    subdomain: str | None = None

    def __str__(self) -> str:
        return self.host if self.subdomain is None else f"{self.subdomain}.{self.host}"


@dataclass(frozen=True, slots=True)
class ApiDeployment:
    """The definitions at a site. `created_at`, of the earliest one, in milliseconds since the epoch."""

    site: Site
    definitions: tuple[DefinitionKey, ...]
    created_at: int
