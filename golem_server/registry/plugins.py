"""Plugins: register, look up, delete, and grant to environments.

A plugin never changes once it is registered; another version is another plugin. Deleting one takes it out of the lists
and frees its name, and leaves alone what has it installed (reference: rest-api, section 9).
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from uuid import uuid4

from golem_server.clock import Clock
from golem_server.model.errors import Conflict, InvalidInput, NotFound
from golem_server.model.ids import AccountId, ComponentId, EnvironmentId
from golem_server.model.metadata import exported_interface
from golem_server.model.plugins import (
    ComposedSpec,
    OplogProcessorSpec,
    Plugin,
    PluginGrant,
    PluginGrantId,
    PluginId,
    PluginSpec,
)
from golem_server.registry.accounts import Accounts
from golem_server.registry.components import Components
from golem_server.registry.ports import PluginStore, Upload

PROCESSOR_INTERFACE = "golem:api/oplog-processor"
NO_PROCESSOR = "Target component for oplog processor does not exist"

MAX_NAME_BYTES = 255
MAX_ICON_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginDescription:
    """What a plugin says of itself. `scope_component` is the only component that may use it, None if all may."""

    name: str
    version: str
    description: str = ""
    icon: bytes = b""
    homepage: str = ""
    scope_component: ComponentId | None = None

    def check(self) -> None:
        """Raise InvalidInput for what cannot be registered."""
        for what, text in (("name", self.name), ("version", self.version)):
            if not text or len(text.encode("utf-8", "surrogatepass")) > MAX_NAME_BYTES:
                raise InvalidInput(f"Invalid plugin {what}: it must have 1 to {MAX_NAME_BYTES} bytes")
            if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
                raise InvalidInput(f"Invalid plugin {what}: it must not contain control characters")
        for what, text in (("description", self.description), ("homepage", self.homepage)):
            if any(unicodedata.category(character) == "Cs" for character in text):
                raise InvalidInput(f"Invalid plugin {what}: it is no Unicode text")
        if len(self.icon) > MAX_ICON_BYTES:
            raise InvalidInput(f"Invalid plugin icon: it is larger than {MAX_ICON_BYTES} bytes")


class Plugins:
    """The plugins of all accounts."""

    def __init__(self, store: PluginStore, accounts: Accounts, components: Components, clock: Clock) -> None:
        self._store = store
        self._accounts = accounts
        self._components = components
        self._clock = clock

    async def register(self, account_id: AccountId, description: PluginDescription, spec: PluginSpec) -> Plugin:
        """Register a plugin.

        Raises NotFound for the account or the scope's component, InvalidInput for a wrong name or for an oplog
        processor that is none, and Conflict if the account has a plugin of that name and version.
        """
        description.check()
        await self._accounts.account(account_id)
        if description.scope_component is not None:
            await self._components.latest(description.scope_component)
        if isinstance(spec, OplogProcessorSpec):
            await self._check_processor(spec)
        plugin = Plugin(
            id=PluginId(uuid4()),
            account_id=account_id,
            name=description.name,
            version=description.version,
            description=description.description,
            icon=description.icon,
            homepage=description.homepage,
            scope_component=description.scope_component,
            spec=spec,
            created_at=self._clock.now(),
        )
        if not await self._store.add_plugin(plugin):
            raise Conflict(
                "Plugin with this name and version already exists", code="PLUGIN_REGISTRATION_ALREADY_EXISTS"
            )
        return plugin

    async def composed_spec(self, kind: str, wasm: Upload) -> ComposedSpec:
        """The spec of a plugin of kind `App` or `Library`, whose binary is kept. Raises InvalidInput if it is none."""
        return ComposedSpec(kind=kind, wasm_hash=await self._components.keep_binary(wasm))

    async def plugin(self, plugin_id: PluginId) -> Plugin:
        """A plugin that is not deleted. Raises NotFound."""
        plugin = await self._store.find_plugin(plugin_id)
        if plugin is None:
            raise _unknown(plugin_id)
        return plugin

    async def list(self, account_id: AccountId) -> list[Plugin]:
        """The plugins of an account, by name and version. Raises NotFound for the account."""
        await self._accounts.account(account_id)
        return await self._store.list_plugins(account_id)

    async def delete(self, plugin_id: PluginId) -> Plugin:
        """Delete a plugin and return what it was. Raises NotFound."""
        plugin = await self.plugin(plugin_id)
        if not await self._store.delete_plugin(plugin_id, self._clock.now()):
            raise _unknown(plugin_id)
        return plugin

    async def grant(self, environment_id: EnvironmentId, plugin: Plugin) -> PluginGrant:
        """Let components of an environment have the plugin. Raises NotFound, and Conflict if they may already."""
        await self._accounts.environment(environment_id)
        grant = PluginGrant(id=PluginGrantId(uuid4()), environment_id=environment_id, plugin=plugin)
        if not await self._store.add_grant(grant):
            raise Conflict("The environment has this plugin already", code="ENVIRONMENT_PLUGIN_GRANT_ALREADY_EXISTS")
        return grant

    async def grants(self, environment_id: EnvironmentId) -> list[PluginGrant]:
        """What an environment may use, by name and version of the plugins. Raises NotFound."""
        await self._accounts.environment(environment_id)
        return await self._store.list_grants(environment_id)

    async def find_grant(self, grant_id: PluginGrantId) -> PluginGrant:
        """A grant that was not taken back. Raises NotFound."""
        grant = await self._store.find_grant(grant_id)
        if grant is None:
            raise _unknown_grant(grant_id)
        return grant

    async def revoke(self, grant_id: PluginGrantId) -> None:
        """Take a grant back: nothing new can be installed by it. Raises NotFound."""
        if not await self._store.delete_grant(grant_id, self._clock.now()):
            raise _unknown_grant(grant_id)

    async def _check_processor(self, spec: OplogProcessorSpec) -> None:
        try:
            component = await self._components.revision(spec.component_id, spec.component_revision)
            await self._components.latest(spec.component_id)
        except NotFound:
            raise InvalidInput(NO_PROCESSOR, code="OPLOG_PROCESSOR_COMPONENT_NOT_FOUND") from None
        if exported_interface(component.type, PROCESSOR_INTERFACE) is None:
            raise InvalidInput(f"Component {spec.component_id} does not export {PROCESSOR_INTERFACE}")


def _unknown(plugin_id: PluginId) -> NotFound:
    return NotFound(f"Registered plugin not found for id {plugin_id}", code="PLUGIN_REGISTRATION_NOT_FOUND")


def _unknown_grant(grant_id: PluginGrantId) -> NotFound:
    return NotFound(f"Environment plugin not found for id {grant_id}", code="RESOURCE_NOT_FOUND")
