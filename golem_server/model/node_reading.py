"""From the nodes of `wit-value` to values: one closure a type, built once. See `model/wit_values.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias, assert_never

from golem_server.model.errors import InvalidInput
from golem_server.model.types import (
    EnumType,
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
from golem_server.model.wit_nodes import PRIMITIVE_CASES, NodeHandles, Nodes

NodeReader: TypeAlias = Callable[[Value], Value]
"""Gives the value of a `wit-value` record. Raises InvalidInput for nodes that are no value of the type."""

MAX_SHARED_NODES = 100_000
"""How often the nodes of a value may be used beyond once each."""

_Read: TypeAlias = Callable[[Nodes, int], Value]

_USED = ("a node that was used already", None)


def compile_node_reader(type_: WitType, handles: NodeHandles | None = None) -> NodeReader:
    """The closure that reads values of the type from nodes."""
    read = _reader(type_, handles)

    def read_nodes(record: Value) -> Value:
        nodes: list[Any] = record["nodes"]
        try:
            # Each node is struck off as it is read: a tree has each of its nodes once, and is no larger than its list.
            try:
                return read(list(nodes), 0)
            except _SharedNode:
                return read(_SharedNodes(nodes), 0)
        except IndexError:
            raise InvalidInput("a value node refers to a node that does not exist") from None

    return read_nodes


class _SharedNode(Exception):
    """A node is met for the second time."""


class _SharedNodes(Nodes):
    """The nodes of a value that uses some of them more than once, with a bound on how often.

    Nodes that contain themselves end there too, if the type does not come to its end before.
    """

    def __init__(self, nodes: list[Any]) -> None:
        super().__init__(nodes)
        self._left: int = len(nodes) + MAX_SHARED_NODES

    def __getitem__(self, at: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise InvalidInput(f"the nodes of a value are used more than {MAX_SHARED_NODES} times")
        return super().__getitem__(at)

    def __setitem__(self, at: Any, node: Any) -> None:
        """Nodes are not struck off."""


def _mismatch(expected: str, at: int, case: str) -> NoReturn:
    if case == _USED[0]:
        raise _SharedNode
    if at < 0:
        raise IndexError
    raise InvalidInput(f"expected {expected}, got {case} in value node {at}")


def _reader(type_: WitType, handles: NodeHandles | None) -> _Read:
    match type_:
        case Primitive():
            return _read_leaf(PRIMITIVE_CASES[type_])
        case ListType(element):
            if isinstance(element, Primitive):
                return _read_leaves(PRIMITIVE_CASES[element], bytes if element is Primitive.U8 else list)
            return _read_list(_reader(element, handles))
        case TupleType(items):
            return _read_tuple([_reader(item, handles) for item in items])
        case RecordType(fields):
            return _read_record([(field.name, _reader(field.type, handles)) for field in fields])
        case VariantType(cases):
            return _read_variant(
                [(case.name, None if case.type is None else _reader(case.type, handles)) for case in cases]
            )
        case EnumType(names):
            return _read_enum(names)
        case FlagsType(names):
            return _read_flags(names)
        case OptionType(inner):
            return _read_option(_reader(inner, handles), isinstance(inner, OptionType))
        case ResultType(ok, err):
            arms = {"ok": ok, "err": err}
            return _read_result({name: None if arm is None else _reader(arm, handles) for name, arm in arms.items()})
        case HandleType():
            return _read_handle(handles)
        case _:
            assert_never(type_)


def _read_leaf(expected: str) -> _Read:
    def read(nodes: Nodes, at: int) -> Value:
        case, value = nodes[at]
        if case != expected or at < 0:
            _mismatch(expected, at, case)
        nodes[at] = _USED
        return value

    return read


def _read_leaves(expected: str, make: Callable[[list[Any]], Value]) -> _Read:
    def read(nodes: Nodes, at: int) -> Value:
        values: list[Any] = []
        for item in _parts(nodes, at, "list-value"):
            case, value = nodes[item]
            if case != expected or item < 0:
                _mismatch(expected, item, case)
            nodes[item] = _USED
            values.append(value)
        return make(values)

    return read


def _parts(nodes: Nodes, at: int, expected: str) -> Any:
    """The payload of the node, which must be of the case."""
    case, payload = nodes[at]
    if case != expected or at < 0:
        _mismatch(expected, at, case)
    nodes[at] = _USED
    return payload


def _read_list(read: _Read) -> _Read:
    return lambda nodes, at: [read(nodes, item) for item in _parts(nodes, at, "list-value")]


def _read_tuple(readers: list[_Read]) -> _Read:
    def read_tuple(nodes: Nodes, at: int) -> Value:
        parts = _parts(nodes, at, "tuple-value")
        if len(parts) != len(readers):
            raise InvalidInput(f"expected tuple of {len(readers)}, got tuple of {len(parts)} in value node {at}")
        return tuple([read(nodes, part) for read, part in zip(readers, parts, strict=True)])

    return read_tuple


def _read_record(fields: list[tuple[str, _Read]]) -> _Read:
    def read_record(nodes: Nodes, at: int) -> Value:
        parts = _parts(nodes, at, "record-value")
        if len(parts) != len(fields):
            raise InvalidInput(f"expected record of {len(fields)}, got record of {len(parts)} in value node {at}")
        return {name: read(nodes, part) for (name, read), part in zip(fields, parts, strict=True)}

    return read_record


def _payload(read: _Read | None, nodes: Nodes, part: int | None, at: int) -> Value:
    """The payload of a case, which is there exactly if the type says so."""
    if read is None:
        if part is not None:
            raise InvalidInput(f"the case in value node {at} has a payload, which its type has not")
        return None
    if part is None:
        raise InvalidInput(f"the case in value node {at} lacks its payload")
    return read(nodes, part)


def _read_variant(cases: list[tuple[str, _Read | None]]) -> _Read:
    def read_variant(nodes: Nodes, at: int) -> Value:
        number: int
        number, part = _parts(nodes, at, "variant-value")
        if number >= len(cases):
            raise InvalidInput(f"expected one of {len(cases)} cases, got case {number} in value node {at}")
        name, read = cases[number]
        return name, _payload(read, nodes, part, at)

    return read_variant


def _read_enum(names: tuple[str, ...]) -> _Read:
    def read_enum(nodes: Nodes, at: int) -> Value:
        number: int = _parts(nodes, at, "enum-value")
        if number >= len(names):
            raise InvalidInput(f"expected one of {len(names)} cases, got case {number} in value node {at}")
        return names[number]

    return read_enum


def _read_flags(names: tuple[str, ...]) -> _Read:
    def read_flags(nodes: Nodes, at: int) -> Value:
        flags = _parts(nodes, at, "flags-value")
        if len(flags) != len(names):
            raise InvalidInput(f"expected {len(names)} flags, got {len(flags)} in value node {at}")
        return [name for name, flag in zip(names, flags, strict=True) if flag]

    return read_flags


def _read_option(read: _Read, nested: bool) -> _Read:
    def read_option(nodes: Nodes, at: int) -> Value:
        part = _parts(nodes, at, "option-value")
        if part is None:
            return None
        value = read(nodes, part)
        return (value,) if nested else value

    return read_option


def _read_result(arms: dict[str, _Read | None]) -> _Read:
    def read_result(nodes: Nodes, at: int) -> Value:
        name, part = _parts(nodes, at, "result-value")
        return name, _payload(arms[name], nodes, part, at)

    return read_result


def _read_handle(handles: NodeHandles | None) -> _Read:
    def read_handle(nodes: Nodes, at: int) -> Value:
        uri, number = _parts(nodes, at, "handle")
        if handles is None:
            raise InvalidInput("a handle cannot be given here")
        try:
            return handles.decode(f"{uri['value']}/{number}")
        except ValueError as error:
            raise InvalidInput(str(error)) from None

    return read_handle
