"""Plugins as the registry keeps them: what they are, whose they are, and where they may be used.

A plugin belongs to an account and never changes. It is granted to an environment before components of that environment
can have it installed; the id of the grant is what names it there (reference: rest-api, section 9).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NewType, TypeAlias
from uuid import UUID

from golem_server.model.ids import AccountId, ComponentId, EnvironmentId, Revision
from golem_server.model.json_types import Json

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


LIBRARY = "Library"
"""The kind of a plugin whose component goes inside of the one it is installed on; an `App` goes around it."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledPlugin:
    """A plugin that a component's revision, or an agent type of it, has installed; `grant_id` names it there.

    Plugins of lower `priority` come first; no two have the same. `processor` is set for oplog processors,
    `transform_url` for component transformers, `composed` for apps and libraries. A component has it
    `from_environment` where it was installed on all components of the environment.
    """

    grant_id: PluginGrantId
    plugin_id: PluginId
    name: str
    version: str
    priority: int
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    processor: OplogProcessorSpec | None = None
    transform_url: str | None = None
    composed: ComposedSpec | None = None
    from_environment: bool = False

    def to_json(self) -> dict[str, Json]:
        """What clients are told of it, and how it is kept (reference: rest-api, section 8)."""
        processor = self.processor
        return {
            "id": str(self.grant_id),
            "environmentPluginGrantId": str(self.grant_id),
            "priority": self.priority,
            "parameters": dict(self.parameters),
            "pluginRegistrationId": str(self.plugin_id),
            "pluginName": self.name,
            "pluginVersion": self.version,
            "pluginRegistered": True,
            "oplogProcessorComponentId": None if processor is None else str(processor.component_id),
            "oplogProcessorComponentRevision": None if processor is None else processor.component_revision,
            "transformUrl": self.transform_url,
            "composedKind": None if self.composed is None else self.composed.kind,
            "composedWasmHash": None if self.composed is None else self.composed.wasm_hash,
            "fromEnvironment": self.from_environment,
        }

    @classmethod
    def from_json(cls, json: Mapping[str, Json]) -> InstalledPlugin:
        """What `to_json` made."""
        component = json["oplogProcessorComponentId"]
        processor = composed = None
        if json.get("composedKind") is not None:
            composed = ComposedSpec(kind=json["composedKind"], wasm_hash=json["composedWasmHash"])
        if component is not None:
            processor = OplogProcessorSpec(
                component_id=ComponentId(UUID(component)),
                component_revision=Revision(json["oplogProcessorComponentRevision"]),
            )
        return cls(
            grant_id=PluginGrantId(UUID(json["environmentPluginGrantId"])),
            plugin_id=PluginId(UUID(json["pluginRegistrationId"])),
            name=json["pluginName"],
            version=json["pluginVersion"],
            priority=json["priority"],
            parameters=json["parameters"],
            processor=processor,
            transform_url=json["transformUrl"],
            composed=composed,
            from_environment=json.get("fromEnvironment", False),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginChange:
    """What a revision changes in the plugins of the one before. None leaves priority or parameters as they are."""

    kind: Literal["install", "update", "uninstall"]
    grant_id: PluginGrantId
    priority: int | None = None
    parameters: Mapping[str, str] | None = None


def active_from_the_start(installed: tuple[InstalledPlugin, ...]) -> list[UUID]:
    """The installations that are active on a worker when it is created or updated: its oplog processors."""
    return [plugin.grant_id for plugin in installed if plugin.processor is not None]
