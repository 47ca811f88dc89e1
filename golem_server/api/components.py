"""The component routes of the contract: upload, update, look up, download, delete (reference: rest-api, section 8)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from golem_server.api.agent_values import Provision
from golem_server.api.authentication import Caller, authenticated
from golem_server.api.component_files import FileOption, FilesPermissions, component_changes, kept_archive
from golem_server.api.component_json import component_to_json
from golem_server.api.component_plugins import PluginInstallation, PluginUpdate, installed_plugins
from golem_server.api.dialects import CliDialect
from golem_server.api.json_bodies import JsonReader, empty_response, json_response
from golem_server.api.paths import ComponentNamePath, ComponentPath, EnvironmentPath, RevisionPath
from golem_server.api.services import ApiServices, services_of
from golem_server.api.uploads import Form, received_form
from golem_server.model.agent_provisions import GivenAgents
from golem_server.model.dynamic_links import NO_LINKS, DynamicLinks, links_from_json
from golem_server.model.errors import InvalidInput
from golem_server.model.ids import ComponentId, EnvironmentId, WorkerNumber
from golem_server.model.initial_files import FileChanges, file_path
from golem_server.model.plugins import InstalledPlugin
from golem_server.registry.components import RegisteredComponent
from golem_server.registry.file_archives import KeptFile

router = APIRouter(tags=["Component"], dependencies=[Depends(authenticated)])

_PAGE = 1000
_TYPES = {"Durable": False, "Ephemeral": True}


class Metadata(msgspec.Struct, rename="camel"):
    """The `metadata` part of newer clients. What this version cannot do is refused where it is asked for."""

    component_name: str | None = None
    component_type: str | None = None
    current_revision: int | None = None
    env: dict[str, str] | None = None
    file_options: dict[str, FileOption] | None = None
    new_file_options: dict[str, FileOption] | None = None
    removed_files: list[str] | None = None
    dynamic_linking: dict[str, Any] | None = None
    plugins: list[PluginInstallation] | None = None
    plugin_updates: list[PluginUpdate] | None = None
    agent_types: list[Any] | None = None
    agent_type_provision_configs: dict[str, Provision] | None = None
    agent_type_provision_config_updates: dict[str, Provision] | None = None

    def check(self) -> None:
        """Raise InvalidInput for variables that no worker can be given."""
        for provision in (self._provisions or {}).values():
            checked_environment(provision.env)

    async def agents(
        self,
        services: ApiServices,
        environment_id: EnvironmentId,
        archive: Mapping[str, KeptFile] | None,
        before: RegisteredComponent | None = None,
    ) -> GivenAgents:
        """What it says of the component's agents, whose files are in the archive. Raises InvalidInput and Conflict."""
        provisions = self._provisions or {}
        files = {name: provision.changes(archive or {}) for name, provision in provisions.items()}
        plugins: dict[str, list[InstalledPlugin]] = {}
        for name, provision in provisions.items():
            earlier = () if before is None or before.agents is None else before.agents.provision(name).plugins
            component_id = None if before is None else before.component_id
            wanted = await installed_plugins(
                services,
                environment_id,
                component_id,
                earlier,
                provision.plugin_installations,
                provision.plugin_updates,
            )
            if wanted is not None:
                plugins[name] = wanted
        return GivenAgents(self.agent_types, self._provisions, files, plugins)

    def files(self, archive: Mapping[str, KeptFile] | None) -> FileChanges:
        """What changes in the component's own files. Raises InvalidInput.

        An archive whose files are given to agent types has none for the component.
        """
        options = {**(self.file_options or {}), **(self.new_file_options or {})}
        if self._provisions is not None:
            archive = {path: kept for path, kept in (archive or {}).items() if path in map(file_path, options)} or None
        permissions = {path: option.permissions for path, option in options.items()}
        return component_changes(archive, permissions, self.removed_files or [], replace=False)

    @property
    def _provisions(self) -> dict[str, Provision] | None:
        return self.agent_type_provision_configs or self.agent_type_provision_config_updates

    @property
    def links(self) -> DynamicLinks | None:
        """What the imported clients of other components stand for, None where nothing is said. Raises InvalidInput."""
        return None if self.dynamic_linking is None else links_from_json(self.dynamic_linking)


class KeyValues(msgspec.Struct, rename="camel"):
    """The `env` part of older clients."""

    key_values: dict[str, str] = {}


_metadata = msgspec.json.Decoder(Metadata)
_key_values = msgspec.json.Decoder(KeyValues)
_files_permissions = msgspec.json.Decoder(FilesPermissions)
_any = msgspec.json.Decoder()


@router.post("/v1/envs/{environment_id}/components", operation_id="createComponent")
async def create_component(request: Request, environment_id: EnvironmentPath, caller: Caller) -> Response:
    """Upload a new component, in the contract's form or in that with a `metadata` part."""
    services = services_of(request)
    async with received_form(request, services, ("component", "componentWasm", "files")) as form:
        metadata = _metadata_of(form, services)
        archive = await kept_archive(form, services)
        everywhere = plugins = await services.environment_plugins.installed(environment_id)
        if metadata is None:
            name, wasm, environment = form.text("name"), form.file("component"), _older_environment(form, services)
            links, agents, files = _older_links(form, services), GivenAgents(), _older_files(form, services, archive)
        else:
            name, wasm, environment = metadata.component_name, form.file("componentWasm"), metadata.env
            links, files = metadata.links, metadata.files(archive)
            agents = await metadata.agents(services, environment_id, archive)
            plugins = await installed_plugins(
                services, environment_id, None, everywhere, metadata.plugins, metadata.plugin_updates
            )
        if name is None:
            raise InvalidInput("parse multipart error: part `name` is missing")
        component = await services.components.create(
            environment_id,
            name,
            wasm,
            caller.account_id,
            environment=checked_environment(environment),
            links=links or NO_LINKS,
            agents=agents,
            files=files,
            plugins=everywhere if plugins is None else plugins,
            ephemeral=_is_ephemeral(form, metadata) or False,
            strict_name=metadata is not None,
        )
    component = await services.environment_plugins.complete(component, caller.account_id)
    return json_response(component_to_json(component))


@router.get("/v1/envs/{environment_id}/components", operation_id="listEnvironmentComponents")
async def list_components(request: Request, environment_id: EnvironmentPath, cli: CliDialect) -> Response:
    """All components of the environment at their latest revisions, by name."""
    components = await services_of(request).components.list(environment_id)
    values = [component_to_json(component) for component in components]
    return json_response({"values": values} if cli else values)


@router.get("/v1/envs/{environment_id}/components/{component_name}", operation_id="getComponentByName")
async def component_by_name(request: Request, environment_id: EnvironmentPath, name: ComponentNamePath) -> Response:
    """The component of that name at its latest revision."""
    return json_response(component_to_json(await services_of(request).components.by_name(environment_id, name)))


@router.get("/v1/components/{component_id}", operation_id="getComponent")
async def component(component: ComponentPath) -> Response:
    """The component at its latest revision."""
    return json_response(component_to_json(component))


@router.patch("/v1/components/{component_id}", operation_id="updateComponent")
async def update_component(request: Request, component: ComponentPath, caller: Caller) -> Response:
    """Add a revision; running workers keep theirs."""
    services = services_of(request)
    async with received_form(request, services, ("component", "newComponentWasm", "files", "newFiles")) as form:
        metadata = _metadata_of(form, services)
        archive = await kept_archive(form, services)
        if metadata is not None and metadata.current_revision is None:
            raise InvalidInput("parse multipart error: `currentRevision` is missing in part `metadata`")
        agents, plugins, environment_id = None, None, component.environment_id
        if metadata is not None:
            agents = await metadata.agents(services, environment_id, archive, component)
            plugins = await installed_plugins(
                services,
                environment_id,
                component.component_id,
                component.plugins,
                metadata.plugins,
                metadata.plugin_updates,
            )
        updated = await services.components.update(
            component.component_id,
            caller.account_id,
            upload=form.file("component") if metadata is None else form.files.get("newComponentWasm"),
            environment=None if metadata is None or metadata.env is None else checked_environment(metadata.env),
            links=_older_links(form, services) if metadata is None else metadata.links,
            agents=agents,
            plugins=plugins,
            ephemeral=_is_ephemeral(form, metadata),
            files=_older_files(form, services, archive) if metadata is None else metadata.files(archive),
            current_revision=None if metadata is None else metadata.current_revision,
        )
    return json_response(component_to_json(updated))


@router.delete("/v1/components/{component_id}", operation_id="deleteComponent")
async def delete_component(
    request: Request,
    component: ComponentPath,
    cli: CliDialect,
    current_revision: Annotated[int | None, Query()] = None,
) -> Response:
    """Delete a component: its workers stop and cannot be reached any more."""
    services = services_of(request)
    await services.components.delete(component.component_id, current_revision)
    await _interrupt_workers(services, component.component_id)
    return Response(status_code=204) if cli else empty_response()


@router.get("/v1/components/{component_id}/revisions/{revision}", operation_id="getComponentRevision")
async def component_revision(request: Request, component: ComponentPath, revision: RevisionPath) -> Response:
    """The component at one revision."""
    found = await services_of(request).components.revision(component.component_id, revision)
    return json_response(component_to_json(found))


@router.get("/v1/components/{component_id}/revisions/{revision}/wasm", operation_id="downloadComponentWasm")
async def download_wasm(request: Request, component: ComponentPath, revision: RevisionPath) -> Response:
    """The binary of a revision, exactly as it was uploaded."""
    download = await services_of(request).components.wasm(component.component_id, revision)
    return StreamingResponse(
        download.parts,
        media_type="application/octet-stream",
        headers={"content-length": str(download.size_bytes), "etag": f'"{download.wasm_hash}"'},
    )


async def _interrupt_workers(services: ApiServices, component_id: ComponentId) -> None:
    after: WorkerNumber | None = None
    while True:
        workers, after = await services.executor.list(component_id, after, _PAGE)
        for stored in workers:
            await services.executor.interrupt(stored.worker.worker_id, recover_immediately=False)
        if after is None:
            return


def checked_environment(environment: dict[str, str] | None) -> dict[str, str]:
    """Environment variables that a worker can be given. Raises InvalidInput."""
    for name, value in (environment or {}).items():
        if not name or "=" in name or "\0" in name or "\0" in value:
            raise InvalidInput(
                f"Invalid environment variable {name!r}: a name has no '=', and neither name nor value has a NUL"
            )
    return environment or {}


def _is_ephemeral(form: Form, metadata: Metadata | None) -> bool | None:
    """The component's type, None where nothing is said of it. Agents have a mode, and none of this is theirs."""
    type_ = form.text("componentType")
    if type_ is None and metadata is not None:
        type_ = metadata.component_type
    if type_ not in (None, *_TYPES):
        raise InvalidInput(f"Invalid component type {type_[:200]!r}: expected Durable or Ephemeral")
    return None if type_ is None else _TYPES[type_]


def _metadata_of(form: Form, services: ApiServices) -> Metadata | None:
    text = form.fields.get("metadata")
    if text is None:
        return None
    metadata = _reader(services).decode(text, _metadata)
    metadata.check()
    return metadata


def _older_environment(form: Form, services: ApiServices) -> dict[str, str]:
    text = form.fields.get("env")
    return {} if text is None else _reader(services).decode(text, _key_values).key_values


def _older_files(form: Form, services: ApiServices, archive: Mapping[str, KeptFile] | None) -> FileChanges:
    text = form.fields.get("filesPermissions", b"").strip()
    given = FilesPermissions() if text in (b"", b"null") else _reader(services).decode(text, _files_permissions)
    permissions = {each.path: each.permissions for each in given.values}
    return component_changes(archive, permissions, [], replace=archive is not None)


def _older_links(form: Form, services: ApiServices) -> DynamicLinks | None:
    text = form.fields.get("dynamicLinking", b"").strip()
    return None if text in (b"", b"null") else links_from_json(_reader(services).decode(text, _any))


def _reader(services: ApiServices) -> JsonReader:
    limits = services.settings.limits.request
    return JsonReader(limits.json_body, limits.json_depth)
