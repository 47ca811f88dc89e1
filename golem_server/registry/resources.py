"""Resources that an environment has a limited amount of: define, look up, change, delete.

Name and kind of limit never change (reference: cli-1.5, section 6).
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from uuid import uuid4

from golem_server.clock import Clock
from golem_server.model.errors import Conflict, InvalidInput, NotFound
from golem_server.model.ids import EnvironmentId
from golem_server.model.quota import (
    ENFORCEMENTS,
    MAX_AMOUNT,
    PERIODS,
    RATE,
    ResourceDefinition,
    ResourceDefinitionId,
    ResourceLimit,
)
from golem_server.registry.accounts import Accounts
from golem_server.registry.ports import ResourceStore

MAX_NAME_CHARACTERS = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceTerms:
    """What may change of a resource; None stays as it is."""

    limit: ResourceLimit | None = None
    enforcement: str | None = None
    unit: str | None = None
    units: str | None = None


class Resources:
    """The resources of all environments."""

    def __init__(self, store: ResourceStore, accounts: Accounts, clock: Clock) -> None:
        self._store = store
        self._accounts = accounts
        self._clock = clock

    async def define(
        self, environment_id: EnvironmentId, name: str, limit: ResourceLimit, terms: ResourceTerms
    ) -> ResourceDefinition:
        """Define a resource. Raises NotFound (environment), InvalidInput, and Conflict if there is one of that name."""
        await self._accounts.environment(environment_id)
        _check_text("name", name, empty=False)
        definition = ResourceDefinition(
            id=ResourceDefinitionId(uuid4()),
            revision=0,
            environment_id=environment_id,
            name=name,
            limit=limit,
            enforcement=terms.enforcement or "reject",
            unit=terms.unit or "",
            units=terms.units or "",
        )
        _check(definition)
        if not await self._store.add_resource(definition, self._clock.now_ns() // 1_000_000):
            raise Conflict(f"The environment has a resource {name} already", code="RESOURCE_DEFINITION_ALREADY_EXISTS")
        return definition

    async def resource(self, resource: ResourceDefinitionId) -> ResourceDefinition:
        """A resource. Raises NotFound."""
        found = await self._store.find_resource(resource)
        if found is None:
            raise unknown_resource(resource)
        return found

    async def named(self, environment_id: EnvironmentId, name: str) -> ResourceDefinition:
        """The resource of a name. Raises NotFound."""
        for found in await self.list(environment_id):
            if found.name == name:
                return found
        raise unknown_resource(name)

    async def list(self, environment_id: EnvironmentId) -> list[ResourceDefinition]:
        """The resources of an environment, by name. Raises NotFound."""
        await self._accounts.environment(environment_id)
        return await self._store.list_resources(environment_id)

    async def change(self, resource: ResourceDefinitionId, revision: int, terms: ResourceTerms) -> ResourceDefinition:
        """Change a resource that still has this revision. Raises NotFound, InvalidInput, Conflict."""
        current = await self.resource(resource)
        limit = terms.limit or current.limit
        if limit.kind != current.limit.kind:
            raise InvalidInput("The type of a resource's limit cannot change", code="RESOURCE_LIMIT_TYPE_MISMATCH")
        wanted = replace(
            current,
            revision=revision,
            limit=limit,
            enforcement=terms.enforcement or current.enforcement,
            unit=current.unit if terms.unit is None else terms.unit,
            units=current.units if terms.units is None else terms.units,
        )
        _check(wanted)
        if not await self._store.update_resource(wanted):
            raise _changed()
        return replace(wanted, revision=revision + 1)

    async def delete(self, resource: ResourceDefinitionId, revision: int) -> None:
        """Delete a resource that still has this revision; its use is limited no more. Raises NotFound, Conflict."""
        await self.resource(resource)
        if not await self._store.delete_resource(resource, revision):
            raise _changed()


def unknown_resource(resource: object) -> NotFound:
    """There is no such resource, or the caller may not know of it."""
    return NotFound(f"Resource definition not found: {resource}", code="RESOURCE_DEFINITION_NOT_FOUND")


def _changed() -> Conflict:
    return Conflict("The resource was changed meanwhile", code="CONCURRENT_UPDATE")


def _check(definition: ResourceDefinition) -> None:
    limit = definition.limit
    if definition.enforcement not in ENFORCEMENTS:
        raise InvalidInput(f"enforcementAction must be one of {', '.join(ENFORCEMENTS)}")
    amounts = [limit.value] if limit.max is None else [limit.value, limit.max]
    if not all(0 <= amount <= MAX_AMOUNT for amount in amounts):
        raise InvalidInput(f"The amounts of a limit must be from 0 to {MAX_AMOUNT}")
    if limit.kind == RATE and (limit.period not in PERIODS or limit.max is None):
        raise InvalidInput(f"A rate needs a `max`, and a `period` which is one of {', '.join(PERIODS)}")
    _check_text("unit", definition.unit, empty=True)
    _check_text("units", definition.units, empty=True)


def _check_text(what: str, text: str, *, empty: bool) -> None:
    if len(text) > MAX_NAME_CHARACTERS or not (text or empty):
        raise InvalidInput(f"Invalid {what} of a resource: at most {MAX_NAME_CHARACTERS} characters, and not empty")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise InvalidInput(f"Invalid {what} of a resource: it must not contain control characters")
