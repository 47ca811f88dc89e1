"""`wit-type`, the node list in which a guest describes a type, as WIT types and as the JSON of the REST API.

A `wit-type` is `{"nodes": [node, ...]}`; the first node is the type and a type's parts are named by their positions
(reference: host-interfaces, section 6). Since golem:rpc 0.2.2 a node is `{"name", "owner", "type": case}`, before that
it was the case alone: both are read, and the writer of either is chosen with `named`.

The lists come from guests. Parts may be shared, so that a short list can stand for an endless or an astronomically
large type: what is nested deeper than `MAX_TYPE_DEPTH` or has more than `MAX_TYPE_SIZE` parts is refused.

Names and owners of types exist only in the nodes and in JSON, not in `model/types.py`: between these two forms there
are functions of their own, which keep them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, assert_never

from golem_server.model.errors import InvalidInput
from golem_server.model.json_types import MAX_TYPE_DEPTH, Json, type_from_json, type_to_json
from golem_server.model.types import (
    Case,
    EnumType,
    Field,
    FlagsType,
    HandleType,
    ListType,
    OptionType,
    Primitive,
    RecordType,
    ResultType,
    TupleType,
    Value,
    VariantType,
    WitType,
)

__all__ = [
    "MAX_TYPE_SIZE",
    "nodes_to_type",
    "type_json_to_nodes",
    "type_nodes_to_json",
    "type_size",
    "type_to_nodes",
]

MAX_TYPE_SIZE = 20_000
"""How many parts a type may have, shared ones counted at each place where they are used."""

_PRIMITIVES = {f"prim-{primitive.value}-type": primitive for primitive in Primitive}


def nodes_to_type(record: Value) -> WitType:
    """The type that the nodes describe, without its names. Raises InvalidInput for nodes that describe none."""
    return _Nodes(record).read(0, "the type", 0)[0]


def type_size(record: Value) -> int:
    """How many parts the type has, shared ones counted at each place. Raises InvalidInput as `nodes_to_type` does."""
    return _Nodes(record).read(0, "the type", 0)[1]


def type_nodes_to_json(record: Value) -> dict[str, Json]:
    """The type as the REST API writes it, with the names and owners of its parts where the nodes have them."""
    nodes = _Nodes(record)
    nodes.read(0, "the type", 0)
    return nodes.json(0)


def type_json_to_nodes(json: Json, path: str = "typ") -> dict[str, Value]:
    """The nodes of the type that the JSON describes; names and owners are kept.

    Raises InvalidInput with the path to the wrong place, as `type_from_json` does.
    """
    return _written(type_from_json(json, path), json, named=True, path=path)


def type_to_nodes(type_: WitType, *, named: bool = True) -> dict[str, Value]:
    """The nodes of the type: nameless ones with `name` and `owner`, or (`named` False) the bare ones of 0.2.0."""
    return _written(type_, None, named=named, path="typ")


class _Nodes:
    """The nodes of one type, each read once."""

    def __init__(self, record: Value) -> None:
        self._nodes: Sequence[Any] = record["nodes"]
        self._read: dict[int, tuple[WitType, int] | None] = {}

    def node(self, at: int) -> Any:
        """The case and the payload at the position, from a node with or without names."""
        node = self._nodes[at]
        return node["type"] if node.__class__ is dict else node

    def read(self, at: int, user: str, depth: int) -> tuple[WitType, int]:
        """The type at the position and the number of its parts."""
        if at in self._read:
            if (known := self._read[at]) is None:
                raise InvalidInput(f"type node {at} contains itself")
            return known
        if not 0 <= at < len(self._nodes):
            raise InvalidInput(f"{user} refers to type node {at}, which does not exist")
        if depth > MAX_TYPE_DEPTH:
            raise InvalidInput(f"types are nested deeper than {MAX_TYPE_DEPTH} levels")
        self._read[at] = None
        case, payload = self.node(at)
        size = 1

        def part(child: int) -> WitType:
            nonlocal size
            type_, parts = self.read(child, f"type node {at}", depth + 1)
            size += parts
            if size > MAX_TYPE_SIZE:
                raise InvalidInput(f"the type has more than {MAX_TYPE_SIZE} parts")
            return type_

        type_ = _PRIMITIVES.get(case) or _READERS[case](payload, part)
        self._read[at] = type_, size
        return type_, size

    def json(self, at: int) -> dict[str, Json]:
        """The JSON of the type at the position, which was read before: its size is known to be bounded."""
        case, payload = self.node(at)
        if (primitive := _PRIMITIVES.get(case)) is not None:
            return type_to_json(primitive)

        def part(child: int | None) -> Json:
            return None if child is None else self.json(child)

        json = _JSON_WRITERS[case](payload, part)
        node = self._nodes[at]
        if node.__class__ is dict:
            json |= {key: node[key] for key in ("name", "owner") if node.get(key) is not None}
        return json


_Part = Callable[[int], WitType]


def _arm(child: int | None, part: _Part) -> WitType | None:
    return None if child is None else part(child)


_READERS: dict[str, Callable[[Any, _Part], WitType]] = {
    "record-type": lambda fields, part: RecordType(tuple(Field(name, part(child)) for name, child in fields)),
    "variant-type": lambda cases, part: VariantType(tuple(Case(name, _arm(child, part)) for name, child in cases)),
    "enum-type": lambda names, _: EnumType(tuple(names)),
    "flags-type": lambda names, _: FlagsType(tuple(names)),
    "tuple-type": lambda items, part: TupleType(tuple(part(child) for child in items)),
    "list-type": lambda child, part: ListType(part(child)),
    "option-type": lambda child, part: OptionType(part(child)),
    "result-type": lambda arms, part: ResultType(_arm(arms[0], part), _arm(arms[1], part)),
    "handle-type": lambda handle, _: HandleType(handle[0], owned=handle[1] == "owned", host=False),
}

_JSON_WRITERS: dict[str, Callable[[Any, Callable[[int | None], Json]], dict[str, Json]]] = {
    "record-type": lambda fields, part: {
        "type": "Record",
        "fields": [{"name": name, "typ": part(child)} for name, child in fields],
    },
    "variant-type": lambda cases, part: {
        "type": "Variant",
        "cases": [{"name": name, "typ": part(child)} for name, child in cases],
    },
    "enum-type": lambda names, _: {"type": "Enum", "cases": list(names)},
    "flags-type": lambda names, _: {"type": "Flags", "names": list(names)},
    "tuple-type": lambda items, part: {"type": "Tuple", "items": [part(child) for child in items]},
    "list-type": lambda child, part: {"type": "List", "inner": part(child)},
    "option-type": lambda child, part: {"type": "Option", "inner": part(child)},
    "result-type": lambda arms, part: {"type": "Result", "ok": part(arms[0]), "err": part(arms[1])},
    "handle-type": lambda handle, _: {
        "type": "Handle",
        "resource_id": handle[0],
        "mode": "Owned" if handle[1] == "owned" else "Borrowed",
    },
}


def _written(type_: WitType, json: Json, *, named: bool, path: str) -> dict[str, Value]:
    """The nodes, parents before children; names come from the JSON of the same type, if there is one."""
    nodes: list[Value] = []

    def write(type_: WitType, json: Json) -> int:
        at = len(nodes)
        if at >= MAX_TYPE_SIZE:
            raise InvalidInput(f"{path}: the type has more than {MAX_TYPE_SIZE} parts")
        nodes.append(None)

        def part(type_: WitType | None, *steps: str | int) -> int | None:
            return None if type_ is None else write(type_, _inner(json, steps))

        node = _node(type_, part)
        nodes[at] = {"name": _text(json, "name"), "owner": _text(json, "owner"), "type": node} if named else node
        return at

    write(type_, json)
    return {"nodes": nodes}


def _inner(json: Json, steps: tuple[str | int, ...]) -> Json:
    """The JSON at the end of the steps; None where there is none to begin with."""
    if json is not None:
        for step in steps:
            json = json[step]
    return json


def _text(json: Json, key: str) -> str | None:
    text: Json = None if json is None else json.get(key)
    return text if isinstance(text, str) else None


def _node(type_: WitType, part: Callable[..., int | None]) -> tuple[str, Value]:
    """The node of a type; `part` writes those of its parts, which are found in its JSON by these steps."""
    match type_:
        case Primitive():
            return f"prim-{type_.value}-type", None
        case ListType(element):
            return "list-type", part(element, "inner")
        case OptionType(inner):
            return "option-type", part(inner, "inner")
        case TupleType(items):
            return "tuple-type", [part(item, "items", at) for at, item in enumerate(items)]
        case RecordType(fields):
            parts = [(field.name, part(field.type, "fields", at, "typ")) for at, field in enumerate(fields)]
            return "record-type", parts
        case VariantType(cases):
            return "variant-type", [(case.name, part(case.type, "cases", at, "typ")) for at, case in enumerate(cases)]
        case ResultType(ok, err):
            return "result-type", (part(ok, "ok"), part(err, "err"))
        case EnumType(names):
            return "enum-type", list(names)
        case FlagsType(names):
            return "flags-type", list(names)
        case HandleType(resource, owned):
            return "handle-type", (resource, "owned" if owned else "borrowed")
        case _:
            assert_never(type_)
