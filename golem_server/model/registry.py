"""What the registry keeps: accounts, tokens, applications, environments, components and their revisions.

An account owns applications, an application has environments, an environment holds components by name; a component
has revisions 0, 1, 2, ..., which never change. All times are aware and in UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from golem_server.model.ids import AccountId, ApplicationId, ComponentId, EnvironmentId, Revision, TokenId


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Somebody who owns applications. `role` is `admin` or `user`."""

    id: AccountId
    name: str
    email: str
    role: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A credential of an account. `secret_hash` is the SHA-256 of the secret, which is kept nowhere."""

    id: TokenId
    account_id: AccountId
    secret_hash: bytes
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """A group of environments of one account."""

    id: ApplicationId
    account_id: AccountId
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Where components live under unique names."""

    id: EnvironmentId
    application_id: ApplicationId
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A component, whatever its revision."""

    id: ComponentId
    environment_id: EnvironmentId
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentRevision:
    """One revision of a component.

    `wasm_hash` is the BLAKE3 of the binary in hex and names its blob. `metadata` is what the registry wants to know
    of the binary without reading it again, encoded by the registry; `environment` are variables that each worker gets.
    """

    component_id: ComponentId
    revision: Revision
    wasm_hash: str
    size_bytes: int
    metadata: bytes
    environment: dict[str, str]
    created_at: datetime
    created_by: AccountId


class StoredComponent(NamedTuple):
    """A component at one of its revisions."""

    component: Component
    revision: ComponentRevision


class OwnedEnvironment(NamedTuple):
    """An environment with its application, which says whose it is."""

    environment: Environment
    application: Application
