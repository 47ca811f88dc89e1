"""What agents are given besides the parameters of their constructors: configuration and environment variables.

A component's revision says what all agents of a type get (its *provision*); whoever creates an agent may give more,
and wins. The JSON is that of cli-1.5, sections 3.5 and 4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from golem_server.model.agent_types import AgentType
from golem_server.model.errors import InvalidInput
from golem_server.model.initial_files import NO_CHANGES, FileChanges, InitialFile
from golem_server.model.json_encoding import compile_encoder
from golem_server.model.json_types import Json, type_to_json
from golem_server.model.json_values import ValueErrors, contains_handles, value_decoder
from golem_server.model.oplog import ConfigEntry
from golem_server.model.plugins import InstalledPlugin

ConfigPath = tuple[str, ...]
"""What a configuration value is called."""


class GivenConfig(Protocol):
    """A value of a configuration as a client gives it."""

    @property
    def path(self) -> Sequence[str]:
        """What it is called."""
        ...

    @property
    def value(self) -> Json:
        """Its plain JSON."""
        ...


def config_entries(type_: AgentType, given: Sequence[GivenConfig]) -> list[ConfigEntry]:
    """Values of an agent's configuration, with their declared types. Raises InvalidInput.

    Only what the type declares as `local` can be given; secrets are kept elsewhere.
    """
    declared = {declaration.path: declaration for declaration in type_.config}
    entries: dict[ConfigPath, ConfigEntry] = {}
    for each in given:
        key, shown = tuple(each.path), ".".join(each.path)[:200]
        declaration = declared.get(key)
        if declaration is None:
            raise InvalidInput(f"Agent type {type_.name} declares no configuration value {shown}")
        if declaration.source != "local":
            raise InvalidInput(f"The configuration value {shown} of agent type {type_.name} is a secret")
        if key in entries:
            raise InvalidInput(f"The configuration value {shown} is given twice")
        if contains_handles(declaration.value_type):
            raise InvalidInput(f"The configuration value {shown} of agent type {type_.name} cannot be given")
        try:
            decoded = value_decoder(declaration.value_type)(each.value)
        except ValueErrors as errors:
            raise errors.under(f"config.{shown}") from None
        encoded = compile_encoder(declaration.value_type, None)(decoded)
        entries[key] = ConfigEntry(list(key), type_to_json(declaration.value_type), encoded)
    return list(entries.values())


class GivenProvision(Protocol):
    """What a client wants all agents of a type to get; None leaves what was there before."""

    @property
    def env(self) -> Mapping[str, str] | None:
        """Environment variables."""
        ...

    @property
    def config(self) -> Sequence[GivenConfig] | None:
        """Values of the configuration."""
        ...


@dataclass(frozen=True, slots=True)
class Provision:
    """What every agent of a type is given: environment variables, and values of its configuration."""

    environment: dict[str, str]
    config: dict[ConfigPath, ConfigEntry]
    files: tuple[InitialFile, ...] = ()
    plugins: tuple[InstalledPlugin, ...] = ()

    @classmethod
    def from_json(cls, json: Json) -> Provision:
        """What `provisions_json` made."""
        entries = [
            ConfigEntry(entry["path"], entry["value"]["typ"], entry["value"]["value"]) for entry in json["config"]
        ]
        files = tuple(map(InitialFile.from_json, json["files"]))
        plugins = tuple(map(InstalledPlugin.from_json, json["plugins"]))
        return cls(json["env"], {tuple(entry.path): entry for entry in entries}, files, plugins)


NOTHING = Provision({}, {})
"""The provision of a type for which nobody has given anything."""


@dataclass(frozen=True, slots=True)
class GivenAgents:
    """What a client says of the agents of a component that it uploads; None where it says nothing.

    `types` are agent types as JSON, `provisions` what their agents are to be given, by the type's name, `files` what
    changes in their files, and `plugins` those that they have from now on.
    """

    types: list[Json] | None = None
    provisions: Mapping[str, GivenProvision] | None = None
    files: Mapping[str, FileChanges] = field(default_factory=dict[str, FileChanges])
    plugins: Mapping[str, Sequence[InstalledPlugin]] = field(default_factory=dict[str, Sequence[InstalledPlugin]])


def provisions_json(types: Sequence[AgentType], given: GivenAgents, before: Mapping[str, Json]) -> dict[str, Json]:
    """The provisions of a component's revision as JSON, where the revision before had those of `before`.

    Raises InvalidInput for an unknown agent type and for configuration values that it does not declare so.
    """
    by_name = {type_.name: type_ for type_ in types}
    made = {name: json for name, json in before.items() if name in by_name}
    for name, wanted in (given.provisions or {}).items():
        type_ = by_name.get(name)
        if type_ is None:
            raise InvalidInput(f"The component has no agent type {name[:200]}")
        earlier = made.get(name, {"env": {}, "config": [], "files": [], "plugins": []})
        config = earlier["config"]
        if wanted.config is not None:
            config = [entry_to_json(entry) for entry in config_entries(type_, wanted.config)]
        env = earlier["env"] if wanted.env is None else dict(wanted.env)
        kept = given.files.get(name, NO_CHANGES).applied(map(InitialFile.from_json, earlier["files"]))
        plugins = earlier["plugins"]
        if name in given.plugins:
            plugins = [plugin.to_json() for plugin in given.plugins[name]]
        made[name] = {"env": env, "config": config, "plugins": plugins, "files": [file.to_json() for file in kept]}
    return made


def entry_to_json(entry: ConfigEntry) -> dict[str, Json]:
    """A value of a configuration with its type."""
    return {"path": entry.path, "value": {"typ": entry.typ, "value": entry.value}}
