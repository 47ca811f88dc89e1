"""Agent types: what a component says of the agents that it implements.

An agent type comes from a guest, as the record that `discover-agent-types` returns, or as the JSON that a client
uploads with the component (cli-1.5, section 4), and goes out in both forms. Guests of Golem 1.4 know fewer fields; the
record for guests has all of them, and the converters take those that the guest's import declares.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from typing import Any, Literal, TypeAlias

from golem_server.model.agent_shapes import agent_type_shape
from golem_server.model.data_values import DataSchema
from golem_server.model.errors import InvalidInput
from golem_server.model.json_types import Json
from golem_server.model.types import Value, WitType
from golem_server.model.wit_types import nodes_to_type, type_size

AgentMode: TypeAlias = Literal["durable", "ephemeral"]

MAX_AGENT_TYPE_SIZE = 200_000
"""How many parts all types in a guest's agent type may have together: sharing them, a guest can give any number."""


@dataclass(frozen=True, slots=True)
class AgentMethod:
    """A method of an agent; `http_endpoints` are in their JSON form."""

    name: str
    description: str
    prompt_hint: str | None
    input_schema: DataSchema
    output_schema: DataSchema
    http_endpoints: Sequence[Json]


@dataclass(frozen=True, slots=True)
class ConfigDeclaration:
    """A configuration value that the agent may ask for, given with the agent (`local`) or kept as a secret."""

    source: Literal["local", "secret"]
    path: tuple[str, ...]
    value_type: WitType


@dataclass(frozen=True, slots=True)
class Snapshotting:
    """When snapshots are taken. `amount` is nanoseconds for `periodic` and invocations for `every-n-invocation`."""

    kind: Literal["disabled", "default", "periodic", "every-n-invocation"]
    amount: int = 0


@dataclass(frozen=True, slots=True)
class AgentType:
    """An agent type, read once.

    `http_mount` is the JSON form, None for agents that are not mounted. What `to_json` and `to_guest` give is shared
    and must not be changed.
    """

    name: str
    description: str
    source_language: str
    mode: AgentMode
    constructor_schema: DataSchema
    methods: tuple[AgentMethod, ...]
    config: tuple[ConfigDeclaration, ...]
    snapshotting: Snapshotting
    http_mount: Json
    _json: dict[str, Json] = field(repr=False, compare=False)
    _record: dict[str, Value] = field(repr=False)
    _methods: dict[str, AgentMethod] = field(repr=False, compare=False)

    @classmethod
    def from_guest(cls, record: Value) -> AgentType:
        """From the record of a guest of any version.

        Methods, dependencies and configuration are put in order, as golem-cli does it before it uploads agent types.
        Raises InvalidInput for types that cannot be, for too large ones, and for names that are there twice.
        """
        if sum(map(type_size, _types_in(record))) > MAX_AGENT_TYPE_SIZE:
            raise InvalidInput(f"the types in agent type {record['type-name'][:100]} are too large")
        json = agent_type_shape.to_json(record)
        for described in (json, *json["dependencies"]):
            described["methods"].sort(key=itemgetter("name"))
        json["dependencies"].sort(key=itemgetter("typeName"))
        json["config"].sort(key=itemgetter("path"))
        return cls._made(json, agent_type_shape.to_guest(json, "agentType"))

    @classmethod
    def from_json(cls, json: Json, path: str = "agentType") -> AgentType:
        """From the JSON of a client, which `to_json` gives back unchanged.

        Raises InvalidInput with the path to the wrong place.
        """
        return cls._made(json, agent_type_shape.to_guest(json, path))

    @classmethod
    def _made(cls, json: dict[str, Json], record: dict[str, Any]) -> AgentType:
        name: str = record["type-name"]
        if not name or "(" in name or name != name.strip():
            raise InvalidInput(f'an agent type cannot have the name "{name[:100]}": agent ids begin with it')
        # Only what the record says is used: in the JSON whatever has a default may be missing.
        whole = agent_type_shape.to_json(record)
        methods = tuple(
            _method(method, method_json)
            for method, method_json in zip(record["methods"], whole["methods"], strict=True)
        )
        by_name = {method.name: method for method in methods}
        if len(by_name) != len(methods):
            raise InvalidInput(f"agent type {name} has two methods of one name")
        return cls(
            name=name,
            description=record["description"],
            source_language=record["source-language"],
            mode=record["mode"],
            constructor_schema=DataSchema.from_guest(record["constructor"]["input-schema"]),
            methods=methods,
            config=tuple(
                ConfigDeclaration(declared["source"], tuple(declared["path"]), nodes_to_type(declared["value-type"]))
                for declared in record["config"]
            ),
            snapshotting=_snapshotting(record["snapshotting"]),
            http_mount=whole["httpMount"],
            _json=json,
            _record=record,
            _methods=by_name,
        )

    def to_json(self) -> dict[str, Json]:
        """The JSON form."""
        return self._json

    def to_guest(self) -> dict[str, Value]:
        """The `agent-type` record with the fields of all versions."""
        return self._record

    def method(self, name: str) -> AgentMethod | None:
        """The method of that name, None if there is none."""
        return self._methods.get(name)


def agent_types_from_guest(records: Sequence[Value]) -> list[AgentType]:
    """What `discover-agent-types` returned, by name. Raises InvalidInput as `AgentType.from_guest` does."""
    return _distinct(sorted((AgentType.from_guest(record) for record in records), key=lambda type_: type_.name))


def agent_types_from_json(json: Json, path: str = "agentTypes") -> list[AgentType]:
    """The agent types that a client uploads, in its order. Raises InvalidInput with the path to the wrong place."""
    if json.__class__ is not list:
        raise InvalidInput(f"{path}: expected a list")
    return _distinct([AgentType.from_json(item, f"{path}[{at}]") for at, item in enumerate(json)])


def _types_in(record: dict[str, Any]) -> Iterator[Value]:
    """The type nodes in the record of a guest."""
    described = [record, *record["dependencies"]]
    schemas = [each["constructor"]["input-schema"] for each in described]
    for method in chain.from_iterable(each["methods"] for each in described):
        schemas += (method["input-schema"], method["output-schema"])
    for _, elements in schemas:
        yield from (payload for _, (kind, payload) in elements if kind == "component-model")
    yield from (declared["value-type"] for declared in record.get("config", ()))


def _distinct(types: list[AgentType]) -> list[AgentType]:
    names: set[str] = set()
    for type_ in types:
        if type_.name in names:
            raise InvalidInput(f"there are two agent types with the name {type_.name}")
        names.add(type_.name)
    return types


def _method(record: dict[str, Any], json: dict[str, Json]) -> AgentMethod:
    return AgentMethod(
        name=record["name"],
        description=record["description"],
        prompt_hint=record["prompt-hint"],
        input_schema=DataSchema.from_guest(record["input-schema"]),
        output_schema=DataSchema.from_guest(record["output-schema"]),
        http_endpoints=json["httpEndpoint"],
    )


def _snapshotting(value: Value) -> Snapshotting:
    case, config = value
    if case == "disabled":
        return Snapshotting("disabled")
    kind, amount = config
    return Snapshotting(kind, amount or 0)
