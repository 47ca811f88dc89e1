"""What the registry needs from outside: its store, blobs, and somebody who can read a component.

The storage and wasm rooms fit these protocols; only app.py knows that. All methods raise Unavailable while the
database cannot be reached.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeAlias

from golem_server.model.agent_types import AgentType
from golem_server.model.api_definitions import ApiDefinition, ApiDeployment, DefinitionKey, Site, StoredDefinition
from golem_server.model.ids import AccountId, ComponentId, EnvironmentId, Revision, TokenId
from golem_server.model.metadata import BinaryMetadata
from golem_server.model.plugins import InstalledPlugin, Plugin, PluginGrant, PluginGrantId, PluginId
from golem_server.model.quota import ResourceDefinition, ResourceDefinitionId
from golem_server.model.registry import (
    Account,
    Application,
    Component,
    ComponentRevision,
    Environment,
    OwnedEnvironment,
    StoredComponent,
    Token,
)
from golem_server.model.types import ComponentType

Upload: TypeAlias = Path | bytes
"""A binary that a client sent: in a file, where it was streamed to, or in memory. The caller removes the file."""


class AccountStore(Protocol):
    """Accounts, tokens, applications and environments."""

    async def add_account(self, account: Account) -> None:
        """Write the account; nothing happens where one of that id exists."""
        ...

    async def find_account(self, account_id: AccountId) -> Account | None:
        """The account, or None, also for a deleted one."""
        ...

    async def find_account_by_email(self, email: str) -> Account | None:
        """The account with that address, in whatever case, or None."""
        ...

    async def add_token(self, token: Token) -> None:
        """Write the token; nothing happens where one of that secret exists."""
        ...

    async def find_token(self, secret_hash: bytes) -> Token | None:
        """The token with this hash, expired or not."""
        ...

    async def delete_token(self, token_id: TokenId) -> None:
        """Remove the token. Nothing happens where there is none."""
        ...

    async def add_application(self, application: Application) -> None:
        """Write the application; nothing happens where one of that id exists."""
        ...

    async def add_environment(self, environment: Environment) -> None:
        """Write the environment; nothing happens where one of that id exists."""
        ...

    async def find_environment_by_name(
        self, owner: AccountId, application: str, environment: str
    ) -> OwnedEnvironment | None:
        """An account's environment by its name and that of its application, or None."""
        ...

    async def find_environment(self, environment_id: EnvironmentId) -> OwnedEnvironment | None:
        """The environment and its application, or None, also for a deleted one."""
        ...


class ComponentStore(Protocol):
    """Components and their revisions. "Latest" is the greatest revision."""

    async def add_component(self, component: Component, revision: ComponentRevision) -> bool:
        """Write a component with its first revision. False, and nothing written, if its name is taken."""
        ...

    async def add_revision(self, revision: ComponentRevision) -> bool:
        """Write the revision that follows the latest.

        False, and nothing written, if it does not follow (somebody was faster) or the component is deleted.
        """
        ...

    async def find_component(self, component_id: ComponentId) -> StoredComponent | None:
        """The component at its latest revision, or None, also for a deleted one."""
        ...

    async def find_component_by_name(self, environment_id: EnvironmentId, name: str) -> StoredComponent | None:
        """The component of that name at its latest revision, or None."""
        ...

    async def find_revision(self, component_id: ComponentId, revision: Revision) -> StoredComponent | None:
        """The component at one revision, also where it is deleted: its workers may still have to be ended."""
        ...

    async def list_components(self, environment_id: EnvironmentId) -> list[StoredComponent]:
        """The components of an environment at their latest revisions, by name (bytewise)."""
        ...

    async def delete_component(self, component_id: ComponentId, latest: Revision | None, at: datetime) -> bool:
        """Mark the component deleted, which frees its name. False if it is not there or `latest` is not its latest."""
        ...


class PluginStore(Protocol):
    """Plugins, and the environments that they are granted to. What is deleted is not found."""

    async def add_plugin(self, plugin: Plugin) -> bool:
        """Write the plugin. False, and nothing written, if the account has one of that name and version."""
        ...

    async def find_plugin(self, plugin_id: PluginId) -> Plugin | None:
        """The plugin, or None."""
        ...

    async def list_plugins(self, account_id: AccountId) -> list[Plugin]:
        """The plugins of an account by name and version (bytewise)."""
        ...

    async def delete_plugin(self, plugin_id: PluginId, at: datetime) -> bool:
        """Mark the plugin deleted. False if it is not there."""
        ...

    async def add_grant(self, grant: PluginGrant) -> bool:
        """Write the grant. False, and nothing written, if the environment has the plugin already."""
        ...

    async def find_grant(self, grant_id: PluginGrantId) -> PluginGrant | None:
        """The grant, or None; that of a deleted plugin is found."""
        ...

    async def list_grants(self, environment_id: EnvironmentId) -> list[PluginGrant]:
        """The grants of an environment by the plugins' names and versions."""
        ...

    async def delete_grant(self, grant_id: PluginGrantId, at: datetime) -> bool:
        """Take the grant back. False if it is not there."""
        ...

    async def add_environment_plugin(self, environment_id: EnvironmentId, plugin: InstalledPlugin) -> bool:
        """Install a plugin on an environment. False, and nothing written, where the grant or the priority is taken."""
        ...

    async def list_environment_plugins(self, environment_id: EnvironmentId) -> list[InstalledPlugin]:
        """What is installed on an environment, by priority."""
        ...

    async def delete_environment_plugin(self, environment_id: EnvironmentId, grant_id: PluginGrantId) -> bool:
        """Uninstall. False if it is not there."""
        ...


class ResourceStore(Protocol):
    """What environments have a limited amount of."""

    async def add_resource(self, definition: ResourceDefinition, now: int) -> bool:
        """Write the definition, of which nothing is used. False if the environment has one of that name."""
        ...

    async def find_resource(self, resource: ResourceDefinitionId) -> ResourceDefinition | None:
        """A definition, or None."""
        ...

    async def list_resources(self, environment_id: EnvironmentId) -> list[ResourceDefinition]:
        """Those of an environment by name (bytewise)."""
        ...

    async def update_resource(self, definition: ResourceDefinition) -> bool:
        """Replace what may change and count the revision up. False if the revision is not the given one any more."""
        ...

    async def delete_resource(self, resource: ResourceDefinitionId, revision: int) -> bool:
        """Remove a definition with what is reserved of it. False if it is not there or has another revision."""
        ...


class ApiDefinitionStore(Protocol):
    """Definitions of HTTP APIs and the sites where they are deployed."""

    async def add_definition(self, environment_id: EnvironmentId, stored: StoredDefinition) -> bool:
        """Write a definition. False, and nothing written, if there is one of that id and version."""
        ...

    async def replace_definition(self, environment_id: EnvironmentId, stored: StoredDefinition) -> bool:
        """Replace a draft, keeping the time of its creation. False if it is not there or no draft any more."""
        ...

    async def find_definition(self, environment_id: EnvironmentId, key: DefinitionKey) -> StoredDefinition | None:
        """A definition, or None."""
        ...

    async def list_definitions(self, environment_id: EnvironmentId, id_: str | None) -> list[StoredDefinition]:
        """The definitions of an environment, or those with one id, by id and version (bytewise)."""
        ...

    async def delete_definition(self, environment_id: EnvironmentId, key: DefinitionKey) -> list[str] | None:
        """Delete a definition. Returns the sites that have it, and keep it, or None if it is not there."""
        ...

    async def deployed_definitions(self, environment_id: EnvironmentId) -> list[StoredDefinition]:
        """The definitions of an environment that some site has."""
        ...

    async def definitions_at(self, site: str) -> tuple[EnvironmentId, list[StoredDefinition]] | None:
        """The definitions at a site in the order in which they came there, with their environment; None for none."""
        ...

    async def deploy(
        self,
        environment_id: EnvironmentId,
        site: Site,
        definitions: Sequence[StoredDefinition],
        present: Sequence[StoredDefinition],
        now: int,
    ) -> bool:
        """Add definitions to a site that has those in `present`, and make them final.

        False, and nothing written, if the site or one of the definitions has changed since they were read.
        """
        ...

    async def list_deployments(self, environment_id: EnvironmentId, id_: str | None) -> list[ApiDeployment]:
        """The sites of an environment by name, or those that have definitions with an id, with these alone."""
        ...

    async def find_deployment(self, environment_id: EnvironmentId, site: str) -> ApiDeployment | None:
        """What is at a site, or None."""
        ...

    async def undeploy(self, environment_id: EnvironmentId, site: str, key: DefinitionKey | None) -> int:
        """Take one definition, or all, from a site; returns how many. One that no site has becomes a draft again."""
        ...


class ApiCompiler(Protocol):
    """Checks definitions: paths, scripts, types."""

    async def check(self, environment_id: EnvironmentId, definition: ApiDefinition) -> StoredDefinition:
        """The definition as it is to be stored, with the versions of its components resolved.

        Raises InvalidInput that names the route and the place that are wrong, NotFound for a security scheme.
        """
        ...

    def conflicts(self, added: Sequence[StoredDefinition], present: Sequence[StoredDefinition]) -> list[str]:
        """The paths of added routes that match what another route, added or present, matches too."""
        ...

    def signatures(self, type_: ComponentType) -> Mapping[str, str]:
        """The functions that a component exports, by full name, with their signatures as text."""
        ...


class RegistryStore(AccountStore, ComponentStore, Protocol):
    """Everything that the registry keeps besides blobs."""


class WasmStore(Protocol):
    """Where the binaries are kept, by content."""

    async def put_stream(self, namespace: str, parts: AsyncIterator[bytes]) -> tuple[str, int]:
        """Keep what the iterator gives; return its BLAKE3 in hex and its size in bytes."""
        ...

    async def get(self, namespace: str, content_hash: str) -> bytes:
        """The content. Raises NotFound."""
        ...

    def get_stream(self, namespace: str, content_hash: str) -> AsyncIterator[bytes]:
        """The content in parts. Raises NotFound."""
        ...


class AgentDiscovery(Protocol):
    """Asks components which agent types they have."""

    async def discover(self, wasm_hash: str, interface: str, fetch: Callable[[], Awaitable[bytes]]) -> list[AgentType]:
        """The agent types of the binary with this hash, which exports the guest interface of agents under a name.

        `fetch` gives the binary. Raises InvalidInput with the reason of one that cannot tell.
        """
        ...


class ComponentInspector(Protocol):
    """Reads uploaded binaries, and joins them."""

    async def inspect(self, wasm: Upload) -> tuple[ComponentType, BinaryMetadata]:
        """What it imports and exports and says of itself.

        Raises InvalidInput, with the reason, if it is not a component that this server can run.
        """
        ...

    async def compose(self, socket: Upload, plug: Upload) -> bytes:
        """The component whose `socket` gets what it imports from what the `plug` exports.

        Raises InvalidInput, with the reason, where both make no component that this server can run.
        """
        ...
