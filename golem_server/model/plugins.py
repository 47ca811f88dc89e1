"""Plugins as the registry keeps them: what they are, whose they are, and where they may be used.

A plugin belongs to an account and never changes. It is granted to an environment before components of that environment
can have it installed; the id of the grant is what names it there (reference: rest-api, section 9).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NewType, TypeAlias
from uuid import UUID

from golem_server.model.ids import AccountId, ComponentId, EnvironmentId, Revision

PluginId = NewType("PluginId", UUID)
PluginGrantId = NewType("PluginGrantId", UUID)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentTransformerSpec:
    """Somebody outside changes the component when the plugin is installed. `json_schema` is what it was given as."""

    provided_wit_package: str | None
    json_schema: str | None
    validate_url: str
    transform_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OplogProcessorSpec:
    """A component that is told the oplog entries of the workers on which the plugin is active."""

    component_id: ComponentId
    component_revision: Revision


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposedSpec:
    """A component that is joined with the one it is installed on: an `App` around it, or a `Library` inside.

    `wasm_hash` names its binary in the blob store.
    """

    kind: str
    wasm_hash: str


PluginSpec: TypeAlias = ComponentTransformerSpec | OplogProcessorSpec | ComposedSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """A registered plugin. `scope_component` is the only component that may use it, None if all may."""

    id: PluginId
    account_id: AccountId
    name: str
    version: str
    description: str
    icon: bytes
    homepage: str
    scope_component: ComponentId | None
    spec: PluginSpec
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginGrant:
    """The components of the environment may have the plugin installed."""

    id: PluginGrantId
    environment_id: EnvironmentId
    plugin: Plugin
