"""What requests say of agents, in the form in which it is read.

Plugins of agents are not built yet: they are refused where they are asked for.
"""

from __future__ import annotations

from typing import Any

from golem_server.api.component_files import FileSettings
from golem_server.api.worker_configuration import ConfigValue
from golem_server.model.errors import InvalidInput

NO_PLUGINS = "Plugins of components are not available in this version"


class Provision(FileSettings, rename="camel"):
    """What all agents of a type are to be given, in an upload or in a change of one."""

    env: dict[str, str] | None = None
    config: list[ConfigValue] | None = None
    plugin_installations: list[Any] | None = None
    plugin_updates: list[Any] | None = None

    def refuse_what_is_missing(self) -> None:
        """Raise InvalidInput if something is asked for that this version does not have."""
        if self.plugin_installations or self.plugin_updates:
            raise InvalidInput(NO_PLUGINS)
