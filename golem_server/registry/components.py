"""Components and their revisions: upload, update, look up, delete.

What workers ask for at every call (the latest revision, one revision) is answered from memory. Revisions never change,
so they are remembered as long as there is room. The latest one is remembered for a few seconds: a change through this
server is seen at once, one through another server on the same database within that time.

The binary of a deleted component stays: a revision's binary is kept by content and may be another's as well.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from uuid import uuid4

import msgspec
from blake3 import blake3

from golem_server.clock import Clock
from golem_server.model.agent_provisions import GivenAgents, provisions_json
from golem_server.model.agent_types import agent_types_from_json
from golem_server.model.component_agents import ComponentAgents, agent_interface, component_agents
from golem_server.model.dynamic_links import NO_LINKS, DynamicLinks
from golem_server.model.errors import Conflict, InvalidInput, NotFound
from golem_server.model.function_names import FunctionResolver
from golem_server.model.golem_variables import GolemVariables, variables_of
from golem_server.model.ids import AccountId, ApplicationId, ComponentId, EnvironmentId, Revision
from golem_server.model.initial_files import NO_CHANGES, FileChanges, InitialFile
from golem_server.model.metadata import BinaryMetadata, known_exports
from golem_server.model.plugins import InstalledPlugin
from golem_server.model.registry import Component, ComponentRevision, StoredComponent
from golem_server.model.type_codec import (
    binary_metadata_from_data,
    binary_metadata_to_data,
    component_type_from_data,
    component_type_to_data,
)
from golem_server.model.types import ComponentType
from golem_server.registry.accounts import Accounts
from golem_server.registry.component_names import check_component_name, component_name_error
from golem_server.registry.component_transformers import TransformerClient, TransformerTools, transform, transformers
from golem_server.registry.file_archives import FILE_NAMESPACE, ArchiveLimits, KeptFile, keep_files
from golem_server.registry.ports import AgentDiscovery, ComponentInspector, ComponentStore, Upload, WasmStore

ComponentConstraint: TypeAlias = Callable[[EnvironmentId, str, ComponentType], Awaitable[None]]
"""Raises Conflict if the component of this name must not get a binary of this type."""

WASM_NAMESPACE = "components"
"""The blob namespace of the binaries."""

_READ_BYTES = 1 << 20
_MAX_REVISION = (1 << 63) - 1
_MAX_CACHED = 1_000
_UPDATE_ATTEMPTS = 20


@dataclass(frozen=True)
class RegisteredComponent:
    """A component at one revision, ready to be used.

    `environment` are variables that each worker gets; `created_at` and `created_by` are those of the revision;
    `account_id` is the account that owns the environment. `functions` finds the exports, `fetch` gives the binary;
    `agents` are its agent types, None where it has none; `agent_types` and `provisions` are what clients are told of
    them. `given_environment`, `given_files` and the binary `source_hash` are what the client gave, before plugins
    changed it.
    """

    component_id: ComponentId
    name: str
    environment_id: EnvironmentId
    application_id: ApplicationId
    account_id: AccountId
    revision: Revision
    wasm_hash: str
    size_bytes: int
    environment: dict[str, str]
    created_at: datetime
    created_by: AccountId
    type: ComponentType = field(repr=False)
    binary: BinaryMetadata = field(repr=False)
    links: DynamicLinks = field(repr=False)
    functions: FunctionResolver = field(repr=False, compare=False)
    agents: ComponentAgents | None = field(repr=False, compare=False)
    agent_types: list[Any] = field(repr=False, compare=False)
    provisions: dict[str, Any] = field(repr=False, compare=False)
    files: tuple[InitialFile, ...] = field(repr=False)
    given_environment: dict[str, str] = field(repr=False)
    given_files: tuple[InitialFile, ...] = field(repr=False)
    source_hash: str = field(repr=False)
    plugins: tuple[InstalledPlugin, ...] = field(repr=False)
    ephemeral: bool = field(repr=False)
    golem_variables: GolemVariables = field(repr=False)
    fetch: Callable[[], Awaitable[bytes]] = field(repr=False, compare=False)

    @property
    def initial_memory_bytes(self) -> int:
        """The memory that a worker has from the start."""
        return self.binary.initial_memory_bytes

    @property
    def component_type(self) -> str:
        """What clients up to 1.4 call it: Durable or Ephemeral."""
        return "Ephemeral" if self.ephemeral else "Durable"

    @property
    def _said_of_it(self) -> tuple[Any, ...]:
        """What its revision is besides the binary and the variables, where there is anything."""
        files, plugins = ([each.to_json() for each in group] for group in (self.files, self.plugins))
        return self.links, self.agent_types, self.provisions, files, plugins, self.ephemeral

    def initial_files(self, agent_type: str) -> tuple[InitialFile, ...]:
        """The files that a worker begins with: those of the component, then those of the agent's type, which win."""
        if not agent_type or self.agents is None:
            return self.files
        of_type = self.agents.provision(agent_type).files
        return (*self.files, *of_type) if not self.files or not of_type else _merged(self.files, of_type)

    def installed_plugins(self, agent_type: str) -> tuple[InstalledPlugin, ...]:
        """The plugins of a worker: those of the component, and of the agent's type, which win."""
        if not agent_type or self.agents is None:
            return self.plugins
        own = self.agents.provision(agent_type).plugins
        present = {plugin.grant_id for plugin in own}
        return (*(plugin for plugin in self.plugins if plugin.grant_id not in present), *own)

    @cached_property
    def hash(self) -> str:
        """BLAKE3 in hex of all that the revision is: it changes with the variables too, unlike that of the binary."""
        content: list[Any] = [str(self.component_id), self.revision, self.name, self.wasm_hash]
        content += [sorted(self.environment.items()), *(part for part in self._said_of_it if part)]
        return blake3(msgspec.msgpack.encode(content)).hexdigest()


@dataclass(frozen=True, slots=True)
class WasmDownload:
    """A revision's binary, exactly as it was uploaded, in parts."""

    size_bytes: int
    wasm_hash: str
    parts: AsyncIterator[bytes]


class _Kept(NamedTuple):
    """A binary that is kept, and what is known of it, encoded."""

    wasm_hash: str
    size_bytes: int
    metadata: bytes


@dataclass(slots=True)
class _Latest:
    component: RegisteredComponent
    fresh_until: float


class Components:
    """The components of all environments."""

    def __init__(
        self,
        store: ComponentStore,
        accounts: Accounts,
        wasm: WasmStore,
        inspector: ComponentInspector,
        clock: Clock,
        *,
        discovery: AgentDiscovery | None = None,
        transformer_client: TransformerClient | None = None,
        remember_latest: timedelta = timedelta(seconds=5),
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._wasm = wasm
        self._inspector = inspector
        self._discovery = discovery
        self._transformer_client = transformer_client
        self._clock = clock
        self._remember = remember_latest.total_seconds()
        self._latest: dict[ComponentId, _Latest] = {}
        self._revisions: OrderedDict[tuple[ComponentId, Revision], RegisteredComponent] = OrderedDict()
        self._constraints: ComponentConstraint | None = None
        # Grows with each change through this server: an answer read before a change must not be remembered after it.
        self._changes = 0

    @property
    def changes(self) -> int:
        """A number that grows with each change through this server."""
        return self._changes

    def constrain(self, constraint: ComponentConstraint) -> None:
        """Ask this before a component gets another binary."""
        self._constraints = constraint

    async def create(
        self,
        environment_id: EnvironmentId,
        name: str,
        upload: Upload,
        created_by: AccountId,
        *,
        environment: dict[str, str] | None = None,
        links: DynamicLinks = NO_LINKS,
        agents: GivenAgents | None = None,
        files: FileChanges = NO_CHANGES,
        plugins: Sequence[InstalledPlugin] = (),
        ephemeral: bool = False,
        strict_name: bool = False,
    ) -> RegisteredComponent:
        """Create a component at revision 0.

        `agents` is what the client says of its agents; without agent types in it the component is asked.
        `strict_name` demands the form `namespace:name`. Raises InvalidInput for a wrong name or binary, NotFound for
        an unknown environment, Conflict if the environment has a component of that name.
        """
        check_component_name(name, strict=strict_name)
        await self._accounts.environment(environment_id)
        # Asked before the work of reading the binary; `add_component` is what decides.
        if await self._store.find_component_by_name(environment_id, name) is not None:
            raise _name_taken(name)
        now = self._clock.now()
        component = Component(id=ComponentId(uuid4()), environment_id=environment_id, name=name, created_at=now)
        agents = agents or GivenAgents()
        kept = await self._keep_transformed(component, upload, environment or {}, plugins, agents)
        revision = ComponentRevision(
            component_id=component.id,
            revision=Revision(0),
            wasm_hash=kept.wasm_hash,
            size_bytes=kept.size_bytes,
            metadata=_with_plugins(
                _with_files(_with_links(_with_agents(kept.metadata, None, agents), links), None, files),
                None,
                plugins,
                ephemeral,
            ),
            environment=environment or {},
            created_at=self._clock.now(),
            created_by=created_by,
        )
        if not await self._store.add_component(component, revision):
            raise _name_taken(name)
        return await self._changed(StoredComponent(component, revision))

    async def update(
        self,
        component_id: ComponentId,
        created_by: AccountId,
        *,
        upload: Upload | None = None,
        environment: dict[str, str] | None = None,
        links: DynamicLinks | None = None,
        agents: GivenAgents | None = None,
        files: FileChanges = NO_CHANGES,
        plugins: Sequence[InstalledPlugin] | None = None,
        ephemeral: bool | None = None,
        current_revision: int | None = None,
    ) -> RegisteredComponent:
        """Add a revision; what is not given stays as it is. Running workers keep theirs.

        Raises NotFound, InvalidInput for a wrong binary, and Conflict if `current_revision` is not the latest
        revision, or if something that is deployed needs what the new binary lacks. Without `current_revision` the last
        writer wins.
        """
        stored = await self._current(component_id, current_revision)
        kept = None
        agents = agents or GivenAgents()
        before = await self._registered(stored)
        if upload is not None or (plugins is not None and transformers((*plugins, *before.plugins))):
            kept = await self._keep_transformed(
                stored.component,
                upload or await self._wasm.get(WASM_NAMESPACE, before.source_hash),
                before.given_environment if environment is None else environment,
                before.plugins if plugins is None else plugins,
                agents,
            )
        if kept is not None and self._constraints is not None:
            type_ = component_type_from_data(msgspec.msgpack.decode(kept.metadata)["type"])
            await self._constraints(before.environment_id, before.name, type_)
        for _ in range(_UPDATE_ATTEMPTS):
            latest = stored.revision
            source = kept or latest
            metadata = _with_agents(source.metadata, latest.metadata, agents)
            revision = ComponentRevision(
                component_id=component_id,
                revision=Revision(latest.revision + 1),
                wasm_hash=source.wasm_hash,
                size_bytes=source.size_bytes,
                metadata=_with_plugins(
                    _with_files(
                        _with_links(metadata, _links(latest.metadata) if links is None else links),
                        latest.metadata,
                        files,
                    ),
                    latest.metadata,
                    plugins,
                    ephemeral,
                ),
                environment=latest.environment if environment is None else environment,
                created_at=self._clock.now(),
                created_by=created_by,
            )
            if await self._store.add_revision(revision):
                return await self._changed(StoredComponent(stored.component, revision))
            stored = await self._current(component_id, current_revision)
        raise _concurrent_update()

    async def latest(self, component_id: ComponentId) -> RegisteredComponent:
        """The component at its latest revision, lately read. Raises NotFound."""
        known = self._latest.get(component_id)
        if known is not None:
            now = self._clock.monotonic()
            if now < known.fresh_until:
                return known.component
            # One caller asks again; the others use the old answer meanwhile.
            known.fresh_until = now + self._remember
        changes = self._changes
        stored = await self._store.find_component(component_id)
        if stored is None:
            self._latest.pop(component_id, None)
            raise _not_found(component_id)
        component = await self._registered(stored)
        if changes == self._changes:
            self._remember_latest(component)
        return component

    async def revision(self, component_id: ComponentId, revision: int) -> RegisteredComponent:
        """The component at one revision, also of a deleted one. Raises NotFound."""
        known = self._revisions.get((component_id, Revision(revision)))
        if known is not None:
            return known
        stored = None
        if 0 <= revision <= _MAX_REVISION:
            stored = await self._store.find_revision(component_id, Revision(revision))
        if stored is None:
            raise _not_found(component_id)
        return await self._registered(stored)

    async def by_name(self, environment_id: EnvironmentId, name: str) -> RegisteredComponent:
        """The component of that name at its latest revision. Raises NotFound, also for the environment."""
        await self._accounts.environment(environment_id)
        # A name that cannot be given cannot be found, and some of them the store does not even take as a question.
        stored = None
        if component_name_error(name) is None:
            stored = await self._store.find_component_by_name(environment_id, name)
        if stored is None:
            raise NotFound(f"Component for name {name} not found in environment", code="COMPONENT_NOT_FOUND")
        return await self._registered(stored)

    async def list(self, environment_id: EnvironmentId) -> list[RegisteredComponent]:
        """The components of the environment at their latest revisions, by name. Raises NotFound."""
        await self._accounts.environment(environment_id)
        return [await self._registered(stored) for stored in await self._store.list_components(environment_id)]

    async def delete(self, component_id: ComponentId, current_revision: int | None = None) -> None:
        """Delete the component: its name is free again, and it is not found any more.

        Raises NotFound, and Conflict if `current_revision` is given and not the latest revision.
        """
        latest = await self._current(component_id, current_revision)
        expected = None if current_revision is None else latest.revision.revision
        if not await self._store.delete_component(component_id, expected, self._clock.now()):
            await self._current(component_id, current_revision)
            raise _concurrent_update()
        self._changes += 1
        self._latest.pop(component_id, None)

    async def wasm(self, component_id: ComponentId, revision: int) -> WasmDownload:
        """The binary of a revision. Raises NotFound, also for a deleted component."""
        await self.latest(component_id)
        component = await self.revision(component_id, revision)
        parts = self._wasm.get_stream(WASM_NAMESPACE, component.wasm_hash)
        return WasmDownload(component.size_bytes, component.wasm_hash, parts)

    async def keep_files(self, archive: Path, limits: ArchiveLimits) -> dict[str, KeptFile]:
        """Keep the contents of an archive's files (see `registry/file_archives.py`)."""
        return await keep_files(archive, self._wasm, limits)

    def file_contents(self, content_hash: str) -> AsyncIterator[bytes]:
        """The content of an initial file, in parts. Raises NotFound."""
        return self._wasm.get_stream(FILE_NAMESPACE, content_hash)

    async def keep_binary(self, upload: Upload) -> str:
        """Keep a binary that is no component's own, and return its hash. Raises InvalidInput if it cannot be run."""
        await self._inspect(upload)
        wasm_hash, _ = await self._wasm.put_stream(WASM_NAMESPACE, _parts(upload))
        return wasm_hash

    async def _current(self, component_id: ComponentId, expected: int | None) -> StoredComponent:
        """The latest revision as the store has it now, which must be the expected one."""
        stored = await self._store.find_component(component_id)
        if stored is None:
            self._latest.pop(component_id, None)
            raise _not_found(component_id)
        if expected is not None and stored.revision.revision != expected:
            raise _concurrent_update()
        return stored

    async def _keep_transformed(
        self,
        component: Component,
        upload: Upload,
        environment: dict[str, str],
        plugins: Sequence[InstalledPlugin],
        agents: GivenAgents,
    ) -> _Kept:
        """Keep what the installed transformers make of a binary, and the binary itself. Raises InvalidInput."""
        asked = transformers(plugins)
        if not asked:
            return await self._keep(upload, agents)
        await self._inspect(upload)
        source_hash, _ = await self._wasm.put_stream(WASM_NAMESPACE, _parts(upload))
        tools = TransformerTools(self._transformer_client, self._wasm, WASM_NAMESPACE, self._inspector)
        made = await transform(tools, component.id, component.name, environment, asked, upload)
        kept = await self._keep(made.wasm, agents)
        changed = {
            "source": source_hash,
            "environment": made.environment,
            "files": [file.to_json() for file in made.files],
        }
        metadata = msgspec.msgpack.encode({**msgspec.msgpack.decode(kept.metadata), "transformed": changed})
        return _Kept(kept.wasm_hash, kept.size_bytes, metadata)

    async def _keep(self, upload: Upload, agents: GivenAgents) -> _Kept:
        """Check the binary and keep it. What is kept of a call that fails later is found by content the next time."""
        type_, binary = await self._inspect(upload)
        wasm_hash, size = await self._wasm.put_stream(WASM_NAMESPACE, _parts(upload))
        types = agents.types
        if types is None:
            types = await self._discovered(type_, wasm_hash)
        metadata = {
            "type": component_type_to_data(type_),
            "binary": binary_metadata_to_data(binary),
            "agents": types,
        }
        return _Kept(wasm_hash, size, msgspec.msgpack.encode(metadata))

    async def _discovered(self, component: ComponentType, wasm_hash: str) -> list[Any]:
        """The agent types of a component that nobody has named, as JSON."""
        interface = agent_interface(component)
        if interface is None or self._discovery is None:
            return []
        try:
            found = await self._discovery.discover(
                wasm_hash, interface, lambda: self._wasm.get(WASM_NAMESPACE, wasm_hash)
            )
        except InvalidInput as error:
            raise _invalid_component(error) from error
        return [type_.to_json() for type_ in found]

    async def _inspect(self, upload: Upload) -> tuple[ComponentType, BinaryMetadata]:
        try:
            inspected = await self._inspector.inspect(upload)
            known_exports(inspected[0])
        except InvalidInput as error:
            raise _invalid_component(error) from error
        return inspected

    async def _changed(self, stored: StoredComponent) -> RegisteredComponent:
        """Remember a revision that this server has just written as the latest."""
        self._changes += 1
        component = await self._registered(stored)
        known = self._latest.get(component.component_id)
        if known is None or known.component.revision < component.revision:
            self._remember_latest(component)
        return component

    def _remember_latest(self, component: RegisteredComponent) -> None:
        self._latest[component.component_id] = _Latest(component, self._clock.monotonic() + self._remember)
        if len(self._latest) > _MAX_CACHED:
            self._latest.pop(next(iter(self._latest)))

    async def _registered(self, stored: StoredComponent) -> RegisteredComponent:
        component, revision = stored
        key = (component.id, revision.revision)
        known = self._revisions.get(key)
        if known is not None:
            self._revisions.move_to_end(key)
            return known
        owner = (await self._accounts.environment(component.environment_id)).application
        metadata: dict[str, Any] = msgspec.msgpack.decode(revision.metadata)
        transformed: dict[str, Any] = metadata.get("transformed", {})
        type_ = component_type_from_data(metadata["type"])
        registered = RegisteredComponent(
            component_id=component.id,
            name=component.name,
            environment_id=component.environment_id,
            application_id=owner.id,
            account_id=owner.account_id,
            revision=revision.revision,
            wasm_hash=revision.wasm_hash,
            size_bytes=revision.size_bytes,
            environment={**revision.environment, **transformed.get("environment", {})},
            given_environment=revision.environment,
            source_hash=transformed.get("source", revision.wasm_hash),
            created_at=revision.created_at,
            created_by=revision.created_by,
            type=type_,
            binary=binary_metadata_from_data(metadata["binary"]),
            links=_links_of(metadata),
            functions=FunctionResolver(type_),
            agent_types=metadata.get("agents", []),
            provisions=metadata.get("provisions", {}),
            files=_merged(*(_files(part.get("files", ())) for part in (metadata, transformed))),
            given_files=_files(metadata.get("files", ())),
            plugins=tuple(map(InstalledPlugin.from_json, metadata.get("plugins", ()))),
            ephemeral=metadata.get("ephemeral", False),
            golem_variables=variables_of(type_),
            agents=component_agents(type_, metadata.get("agents", ()), metadata.get("provisions", {})),
            fetch=lambda: self._wasm.get(WASM_NAMESPACE, revision.wasm_hash),
        )
        self._revisions[key] = registered
        if len(self._revisions) > _MAX_CACHED:
            self._revisions.popitem(last=False)
        return registered


def _with_links(metadata: bytes, links: DynamicLinks) -> bytes:
    """A revision's encoded metadata with these links."""
    return msgspec.msgpack.encode({**msgspec.msgpack.decode(metadata), "links": links})


def _with_files(metadata: bytes, latest: bytes | None, changes: FileChanges) -> bytes:
    """A revision's encoded metadata with the files of the revision before, changed."""
    before: list[Any] = [] if latest is None else msgspec.msgpack.decode(latest).get("files", [])
    files = changes.applied(map(InitialFile.from_json, before))
    return msgspec.msgpack.encode({**msgspec.msgpack.decode(metadata), "files": [file.to_json() for file in files]})


def _with_plugins(
    metadata: bytes, latest: bytes | None, plugins: Sequence[InstalledPlugin] | None, ephemeral: bool | None
) -> bytes:
    """A revision's encoded metadata with these plugins and this type, or with what the revision before has."""
    before: dict[str, Any] = {} if latest is None else msgspec.msgpack.decode(latest)
    kept = before.get("plugins", []) if plugins is None else [plugin.to_json() for plugin in plugins]
    type_ = before.get("ephemeral", False) if ephemeral is None else ephemeral
    return msgspec.msgpack.encode({**msgspec.msgpack.decode(metadata), "plugins": kept, "ephemeral": type_})


def _files(kept: Sequence[Any]) -> tuple[InitialFile, ...]:
    return tuple(map(InitialFile.from_json, kept))


def _merged(files: tuple[InitialFile, ...], others: tuple[InitialFile, ...]) -> tuple[InitialFile, ...]:
    return tuple({file.path: file for file in (*files, *others)}.values())


def _links(metadata: bytes) -> DynamicLinks:
    return _links_of(msgspec.msgpack.decode(metadata))


def _links_of(metadata: dict[str, Any]) -> DynamicLinks:
    return msgspec.convert(metadata["links"], DynamicLinks) if "links" in metadata else NO_LINKS


def _with_agents(source: bytes, latest: bytes | None, given: GivenAgents) -> bytes:
    """The metadata of a new revision: that of its binary, with what is said of its agents, or was said before."""
    metadata: dict[str, Any] = msgspec.msgpack.decode(source)
    if given.types is not None:
        metadata["agents"] = given.types
    before: dict[str, Any] = {} if latest is None else msgspec.msgpack.decode(latest).get("provisions", {})
    types = agent_types_from_json(metadata.get("agents", []))
    metadata["provisions"] = provisions_json(types, given, before)
    return msgspec.msgpack.encode(metadata)


async def _parts(upload: Upload) -> AsyncIterator[bytes]:
    if isinstance(upload, bytes):
        yield upload
        return
    file = await asyncio.to_thread(upload.open, "rb")
    try:
        while part := await asyncio.to_thread(file.read, _READ_BYTES):
            yield part
    finally:
        file.close()


def _invalid_component(error: InvalidInput) -> InvalidInput:
    return InvalidInput(f"Invalid component: {error.message}", code="COMPONENT_PROCESSING_ERROR")


def _not_found(component_id: ComponentId) -> NotFound:
    return NotFound(f"Component for id {component_id} not found", code="COMPONENT_NOT_FOUND")


def _name_taken(name: str) -> Conflict:
    return Conflict(
        f"Component with this name already exists in the environment: {name}", code="COMPONENT_NAME_ALREADY_EXISTS"
    )


def _concurrent_update() -> Conflict:
    return Conflict("Concurrent update of component", code="CONCURRENT_UPDATE")
