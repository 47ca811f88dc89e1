"""Plugins as JSON, in the words of all generations side by side (reference: rest-api, section 9)."""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec

from golem_server.model.errors import InvalidInput
from golem_server.model.ids import ComponentId, Revision
from golem_server.model.plugins import (
    ComponentTransformerSpec,
    ComposedSpec,
    OplogProcessorSpec,
    Plugin,
    PluginGrant,
    PluginSpec,
)
from golem_server.model.registry import Account
from golem_server.registry.plugins import PluginDescription

Number = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]


class SpecRequest(msgspec.Struct, rename="camel"):
    """`spec`, or `specs`: which fields count depends on the type."""

    type: Literal["ComponentTransformer", "OplogProcessor", "App", "Library"]
    provided_wit_package: str | None = None
    json_schema: Any = None
    validate_url: str | None = None
    transform_url: str | None = None
    component_id: Any = None
    component_revision: Number | None = None
    component_version: Number | None = None


class ScopeRequest(msgspec.Struct, rename="camel"):
    """Who may use it."""

    type: Literal["Global", "Component"] = "Global"
    component_id: Any = None


class PluginRequest(msgspec.Struct, rename="camel"):
    """A plugin that is to be registered, in the form of any generation."""

    name: str
    version: str
    description: str = ""
    icon: str | list[Annotated[int, msgspec.Meta(ge=0, le=255)]] = ""
    homepage: str = ""
    scope: ScopeRequest | None = None
    spec: SpecRequest | None = None
    specs: SpecRequest | None = None

    def described(self) -> PluginDescription:
        """What it says of itself. Raises InvalidInput."""
        scope = self.scope
        component = None
        if scope is not None and scope.type == "Component":
            component = _component_id("scope.componentId", scope.component_id)
        return PluginDescription(
            name=self.name,
            version=self.version,
            description=self.description,
            icon=_icon(self.icon),
            homepage=self.homepage,
            scope_component=component,
        )

    def wanted_spec(self) -> SpecRequest:
        """What it is. Raises InvalidInput where that is missing."""
        spec = self.spec or self.specs
        if spec is None:
            raise InvalidInput("`specs` is missing: an object whose `type` says what the plugin is")
        return spec


plugin_request = msgspec.json.Decoder(PluginRequest)


def simple_spec(spec: SpecRequest) -> PluginSpec | None:
    """The spec of a request that needs no binary; None for one that does. Raises InvalidInput."""
    if spec.type == "OplogProcessor":
        revision = spec.component_version if spec.component_revision is None else spec.component_revision
        if revision is None:
            raise InvalidInput("`componentRevision` is missing in the specs of an oplog processor")
        return OplogProcessorSpec(
            component_id=_component_id("componentId", spec.component_id), component_revision=Revision(revision)
        )
    if spec.type == "ComponentTransformer":
        for name, url in (("validateUrl", spec.validate_url), ("transformUrl", spec.transform_url)):
            if url is None or not url.startswith(("http://", "https://")):
                raise InvalidInput(f"`{name}` must be an http or https address in the specs of a component transformer")
        return ComponentTransformerSpec(
            provided_wit_package=spec.provided_wit_package,
            json_schema=None if spec.json_schema is None else msgspec.json.encode(spec.json_schema).decode(),
            validate_url=spec.validate_url or "",
            transform_url=spec.transform_url or "",
        )
    return None


def plugin_to_json(plugin: Plugin) -> dict[str, Any]:
    """The object that answers every plugin route."""
    scope: dict[str, Any] = {"type": "Global"}
    if plugin.scope_component is not None:
        scope = {"type": "Component", "componentId": str(plugin.scope_component)}
    spec = _spec_to_json(plugin.spec)
    return {
        "id": str(plugin.id),
        "accountId": str(plugin.account_id),
        "name": plugin.name,
        "version": plugin.version,
        "description": plugin.description,
        "icon": b64encode(plugin.icon).decode(),
        "homepage": plugin.homepage,
        "spec": spec,
        "specs": spec,
        "scope": scope,
        "owner": {"type": "Account", "accountId": str(plugin.account_id)},
    }


def grant_to_json(grant: PluginGrant, owner: Account) -> dict[str, Any]:
    """A plugin that an environment may use, with its owner."""
    return {
        "id": str(grant.id),
        "environmentId": str(grant.environment_id),
        "plugin": plugin_to_json(grant.plugin),
        "pluginAccount": {"id": str(owner.id), "name": owner.name, "email": owner.email},
    }


def _spec_to_json(spec: PluginSpec) -> dict[str, Any]:
    if isinstance(spec, OplogProcessorSpec):
        return {
            "type": "OplogProcessor",
            "componentId": str(spec.component_id),
            "componentRevision": spec.component_revision,
            "componentVersion": spec.component_revision,
        }
    if isinstance(spec, ComposedSpec):
        return {"type": spec.kind}
    return {
        "type": "ComponentTransformer",
        "providedWitPackage": spec.provided_wit_package,
        "jsonSchema": None if spec.json_schema is None else msgspec.json.decode(spec.json_schema),
        "validateUrl": spec.validate_url,
        "transformUrl": spec.transform_url,
    }


def _icon(icon: str | list[int]) -> bytes:
    if isinstance(icon, list):
        return bytes(icon)
    try:
        return b64decode(icon, validate=True)
    except (Base64Error, ValueError):
        raise InvalidInput("`icon` must be base64") from None


def _component_id(where: str, value: object) -> ComponentId:
    try:
        return ComponentId(msgspec.convert(value, type=UUID))
    except msgspec.ValidationError:
        raise InvalidInput(f"`{where}` must be the id of a component") from None
