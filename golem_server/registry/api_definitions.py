"""Definitions of HTTP APIs: create, change while they are drafts, look up, delete, and deploy at sites.

A definition is checked when it is written, so that what is deployed works as far as types tell. Deployed means final:
a definition becomes a draft again when the last site has lost it (reference: gateway, sections 1.3 and 1.6).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from golem_server.clock import Clock
from golem_server.model.api_definitions import ApiDefinition, ApiDeployment, DefinitionKey, Site, StoredDefinition
from golem_server.model.errors import Conflict, InvalidInput, NotFound
from golem_server.model.ids import EnvironmentId
from golem_server.model.types import ComponentType
from golem_server.registry.ports import ApiCompiler, ApiDefinitionStore

_ID = re.compile(r"[a-zA-Z0-9_-]*")
_HOST = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*|\[[0-9A-Fa-f:.]+\]")
_MAX_SITE = 255
_ATTEMPTS = 20


class ApiDefinitions:
    """The definitions of all environments. `changed` is called after what is deployed has changed."""

    def __init__(
        self, store: ApiDefinitionStore, compiler: ApiCompiler, clock: Clock, changed: Callable[[], None]
    ) -> None:
        self._store = store
        self._compiler = compiler
        self._clock = clock
        self._changed = changed

    async def create(self, environment_id: EnvironmentId, definition: ApiDefinition) -> StoredDefinition:
        """Check and write a definition. Raises InvalidInput, NotFound (security scheme), Conflict if it exists."""
        key = definition.key
        if await self._store.find_definition(environment_id, key) is not None:
            raise _exists(key)
        if not _ID.fullmatch(key.id):
            raise InvalidInput(
                f"Invalid name '{key.id}'. Names must start with a letter and contain only letters, numbers, "
                "underscores, and hyphens"
            )
        checked = await self._compiler.check(environment_id, definition)
        stored = replace(checked, definition=replace(checked.definition, created_at=self._now()))
        if not await self._store.add_definition(environment_id, stored):
            raise _exists(key)
        return stored

    async def update(self, environment_id: EnvironmentId, definition: ApiDefinition) -> StoredDefinition:
        """Replace a draft. Raises NotFound, and InvalidInput for what is no draft or is wrong."""
        key = definition.key
        before = await self._store.find_definition(environment_id, key)
        if before is None:
            raise NotFound(f"API definition not found: {key.id}")
        if not before.definition.draft:
            raise _no_draft(key)
        checked = await self._compiler.check(environment_id, definition)
        created_at = before.definition.created_at
        stored = replace(checked, definition=replace(checked.definition, created_at=created_at))
        if not await self._store.replace_definition(environment_id, stored):
            raise _no_draft(key)
        return stored

    async def find(self, environment_id: EnvironmentId, key: DefinitionKey) -> StoredDefinition:
        """A definition. Raises NotFound."""
        stored = await self._store.find_definition(environment_id, key)
        if stored is None:
            raise _unknown(key)
        return stored

    async def list(self, environment_id: EnvironmentId, id_: str | None = None) -> list[StoredDefinition]:
        """All definitions of an environment, or all versions of one id, by id and version."""
        return await self._store.list_definitions(environment_id, id_)

    async def delete(self, environment_id: EnvironmentId, key: DefinitionKey) -> None:
        """Delete a definition. Raises NotFound, and InvalidInput while a site has it."""
        sites = await self._store.delete_definition(environment_id, key)
        if sites is None:
            raise _unknown(key)
        if sites:
            raise InvalidInput(f"API definition deployed: {', '.join(sites)}")

    # --- Deployments

    async def deploy(self, environment_id: EnvironmentId, site: Site, keys: Sequence[DefinitionKey]) -> ApiDeployment:
        """Add definitions to a site, where those stay that it has.

        Raises NotFound (definition), InvalidInput for a site that no host can be or for routes that match the same,
        Conflict for a site of another environment.
        """
        _check_site(site)
        if not keys:
            raise InvalidInput("apiDefinitions: name at least one definition")
        for _ in range(_ATTEMPTS):
            wanted = [await self._deployable(environment_id, key) for key in dict.fromkeys(keys)]
            found = await self._store.definitions_at(str(site))
            if found is not None and found[0] != environment_id:
                raise Conflict(f"API deployment conflict error: {site}")
            present = [] if found is None else found[1]
            there = {each.definition.key for each in present}
            added = [each for each in wanted if each.definition.key not in there]
            conflicts = self._compiler.conflicts(added, present)
            if conflicts:
                raise InvalidInput(f"API deployment definitions conflict error: {', '.join(conflicts)}")
            if not added or await self._store.deploy(environment_id, site, added, present, self._now()):
                self._changed()
                return await self.deployment(environment_id, str(site))
        raise Conflict("The site was changed meanwhile; try again")

    async def deployment(self, environment_id: EnvironmentId, site: str) -> ApiDeployment:
        """What is at a site. Raises NotFound."""
        found = await self._store.find_deployment(environment_id, site)
        if found is None:
            raise NotFound("Api deployment not found", code="DEPLOYMENT_NOT_FOUND")
        return found

    async def deployments(self, environment_id: EnvironmentId, id_: str | None = None) -> list[ApiDeployment]:
        """The sites of an environment, or those that have definitions with an id, with these alone."""
        return await self._store.list_deployments(environment_id, id_)

    async def undeploy_site(self, environment_id: EnvironmentId, site: str) -> None:
        """Take everything from a site. Raises NotFound."""
        if not await self._store.undeploy(environment_id, site, None):
            raise NotFound(f"Unknown authority or domain: {site}", code="DEPLOYMENT_NOT_FOUND")
        self._changed()

    async def undeploy(self, environment_id: EnvironmentId, site: str, key: DefinitionKey) -> None:
        """Take one definition from a site. Raises NotFound."""
        if await self._store.find_deployment(environment_id, site) is None:
            raise NotFound("Site not found", code="DEPLOYMENT_NOT_FOUND")
        if not await self._store.undeploy(environment_id, site, key):
            raise NotFound("API definition not found")
        self._changed()

    async def check_component(self, environment_id: EnvironmentId, name: str, type_: ComponentType) -> None:
        """Raise Conflict if a component's new type lacks, or changes, what deployed scripts call of it."""
        used: dict[str, str] = {}
        for stored in await self._store.deployed_definitions(environment_id):
            used.update(stored.uses.get(name, {}))
        if not used:
            return
        there = self._compiler.signatures(type_)
        missing = sorted(function for function in used if function not in there)
        changed = sorted(
            f"{function}: {used[function]} became {there[function]}"
            for function in used
            if function in there and there[function] != used[function]
        )
        if missing or changed:
            parts = [f"Missing Functions: {', '.join(missing)}"] if missing else []
            parts += [f"Changed Functions: {'; '.join(changed)}"] if changed else []
            raise Conflict(
                f"Component Constraint Error: deployed API definitions call functions of {name}. {'. '.join(parts)}",
                code="COMPONENT_CONSTRAINT_ERROR",
            )

    async def _deployable(self, environment_id: EnvironmentId, key: DefinitionKey) -> StoredDefinition:
        stored = await self._store.find_definition(environment_id, key)
        if stored is None:
            raise NotFound(f"Unknown API {key}")
        return stored

    def _now(self) -> int:
        return self._clock.now_ns() // 1_000_000


def _exists(key: DefinitionKey) -> Conflict:
    return Conflict(f"API definition {key.id} already exists with the same version: {key.version}")


def _no_draft(key: DefinitionKey) -> InvalidInput:
    return InvalidInput(f"API definition is not draft: {key.id}")


def _unknown(key: DefinitionKey) -> NotFound:
    return NotFound(f"Can't find api definition with id {key.id}, and version {key.version}")


def _check_site(site: Site) -> None:
    host, colon, port = str(site).rpartition(":") if not str(site).endswith("]") else (str(site), "", "")
    name = host if colon else str(site)
    valid_port = not colon or (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65_536)
    if len(str(site)) > _MAX_SITE or not _HOST.fullmatch(name) or not valid_port:
        raise InvalidInput(f"site: `{str(site)[:200]}` is no host name, such as api.example.com or localhost:9006")
