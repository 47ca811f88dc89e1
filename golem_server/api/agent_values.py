"""What requests say of agents, in the form in which it is read."""

from __future__ import annotations

from golem_server.api.component_files import FileSettings
from golem_server.api.component_plugins import PluginInstallation, PluginUpdate
from golem_server.api.worker_configuration import ConfigValue


class Provision(FileSettings, rename="camel"):
    """What all agents of a type are to be given, in an upload or in a change of one."""

    env: dict[str, str] | None = None
    config: list[ConfigValue] | None = None
    plugin_installations: list[PluginInstallation] | None = None
    plugin_updates: list[PluginUpdate] | None = None
