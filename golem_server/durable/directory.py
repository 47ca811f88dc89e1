"""What a guest can ask about the components and agent types of its environment."""

from __future__ import annotations

from typing import Protocol

from golem_server.model.component_agents import ImplementedAgentType
from golem_server.model.ids import ComponentId, EnvironmentId


class DirectorySource(Protocol):
    """Who knows: the registry."""

    async def agent_types(self, environment_id: EnvironmentId) -> list[ImplementedAgentType]:
        """All agent types of an environment, with the components that implement them, by name."""
        ...

    async def agent_type(self, environment_id: EnvironmentId, name: str) -> ImplementedAgentType | None:
        """The agent type of that name, None where there is none."""
        ...

    async def component_named(self, environment_id: EnvironmentId, name: str) -> ComponentId | None:
        """The component of that name, None where there is none."""
        ...


class ComponentDirectory:
    """The service of that name: what host functions ask for (`WorkerContext.service`)."""

    def __init__(self, source: DirectorySource) -> None:
        self.agent_types = source.agent_types
        self.agent_type = source.agent_type
        self.component_named = source.component_named
