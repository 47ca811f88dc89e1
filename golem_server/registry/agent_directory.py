"""Which agent types an environment has, and which component implements each.

As long as nothing is deployed, an environment's agent types are those of its components' latest revisions. Answers are
remembered for a few seconds, like the latest revisions themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from golem_server.clock import Clock
from golem_server.model.agent_types import AgentType
from golem_server.model.component_agents import ComponentAgents, ImplementedAgentType
from golem_server.model.errors import NotFound
from golem_server.model.ids import AccountId, ComponentId, EnvironmentId
from golem_server.registry.accounts import Accounts
from golem_server.registry.components import Components, RegisteredComponent

_MAX_REMEMBERED = 1_000


@dataclass(frozen=True, slots=True)
class RegisteredAgentType:
    """An agent type with the component that implements it, at its latest revision."""

    type: AgentType
    agents: ComponentAgents
    component: RegisteredComponent


@dataclass(frozen=True, slots=True)
class _Remembered:
    types: Mapping[str, RegisteredAgentType]
    changes: int
    fresh_until: float


class AgentDirectory:
    """Agent types by environment and name."""

    def __init__(
        self, components: Components, accounts: Accounts, clock: Clock, *, remember: timedelta = timedelta(seconds=5)
    ) -> None:
        self._components = components
        self._accounts = accounts
        self._clock = clock
        self._remember = remember.total_seconds()
        self._environments: dict[EnvironmentId, _Remembered] = {}
        self._names: dict[tuple[AccountId, str, str], tuple[EnvironmentId, float]] = {}

    async def environment(self, owner: AccountId, application: str, environment: str) -> EnvironmentId:
        """An account's environment by its name and that of its application. Raises NotFound."""
        key, now = (owner, application, environment), self._clock.monotonic()
        known = self._names.get(key)
        if known is not None and now < known[1]:
            return known[0]
        self._names.pop(key, None)
        found = (await self._accounts.environment_named(owner, application, environment)).environment.id
        if len(self._names) >= _MAX_REMEMBERED:
            self._names.clear()
        self._names[key] = found, now + self._remember
        return found

    async def types(self, environment_id: EnvironmentId) -> Mapping[str, RegisteredAgentType]:
        """All agent types of an environment by name, in the order of names. Raises NotFound (environment).

        Of several components with a type of one name the first one by its own name counts.
        """
        changes, now = self._components.changes, self._clock.monotonic()
        known = self._environments.get(environment_id)
        if known is not None and known.changes == changes and now < known.fresh_until:
            return known.types
        found: dict[str, RegisteredAgentType] = {}
        for component in await self._components.list(environment_id):
            if component.agents is not None:
                for name, type_ in component.agents.types.items():
                    found.setdefault(name, RegisteredAgentType(type_, component.agents, component))
        types = dict(sorted(found.items()))
        if len(self._environments) >= _MAX_REMEMBERED:
            self._environments.clear()
        self._environments[environment_id] = _Remembered(types, changes, now + self._remember)
        return types

    # --- What agents ask

    async def agent_types(self, environment_id: EnvironmentId) -> list[ImplementedAgentType]:
        """All agent types of an environment, with the components that implement them."""
        types = await self.types(environment_id)
        return [ImplementedAgentType(each.type, each.component.component_id) for each in types.values()]

    async def agent_type(self, environment_id: EnvironmentId, name: str) -> ImplementedAgentType | None:
        """The agent type of that name, None where there is none."""
        found = (await self.types(environment_id)).get(name)
        return None if found is None else ImplementedAgentType(found.type, found.component.component_id)

    async def component_named(self, environment_id: EnvironmentId, name: str) -> ComponentId | None:
        """The component of that name, None where there is none."""
        try:
            return (await self._components.by_name(environment_id, name)).component_id
        except NotFound:
            return None
