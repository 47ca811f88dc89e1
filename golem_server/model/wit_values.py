"""`wit-value`, the node list in which guests hand values to each other, to and from the values of `model/types.py`.

A `wit-value` is `{"nodes": [(case, payload), ...]}`; the first node is the value and its parts are named by their
positions (reference: host-interfaces, section 6). Field and case names are only in the type, so that a value cannot be
read without it. The writer puts parents before children, the reader takes any order.

The lists come from guests and may be anything that the node type allows: a position out of range, another node than the
type asks for, and lists that share parts until the value is astronomically large raise InvalidInput. A closure for each
type is compiled once; keep it where it is used often (`compile_node_reader`, `compile_node_writer`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, Protocol, TypeAlias, assert_never

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
from golem_server.model.wit_types import (
    nodes_to_type,
    type_json_to_nodes,
    type_nodes_to_json,
    type_to_nodes,
)

__all__ = [
    "FREE_HANDLES",
    "FreeHandles",
    "NodeHandles",
    "NodeReader",
    "NodeWriter",
    "compile_node_reader",
    "compile_node_writer",
    "nodes_to_type",
    "nodes_to_value",
    "type_json_to_nodes",
    "type_nodes_to_json",
    "type_to_nodes",
    "value_and_type_record",
    "value_and_type_value",
    "value_to_nodes",
]

MAX_SHARED_NODES = 100_000
"""How often the nodes of a value may be used beyond once each."""

_Nodes: TypeAlias = list[Any]
_Read: TypeAlias = Callable[[_Nodes, int], Value]
_Write: TypeAlias = Callable[[Value, _Nodes], int]

NodeReader: TypeAlias = Callable[[Value], Value]
"""Gives the value of a `wit-value` record. Raises InvalidInput for nodes that are no value of the type."""

NodeWriter: TypeAlias = Callable[[Value], dict[str, Value]]
"""Gives the `wit-value` record of a value, which must be one of the type."""

_PRIMITIVE_CASES = {
    **{primitive: f"prim-{primitive.value}" for primitive in Primitive},
    Primitive.F32: "prim-float32",
    Primitive.F64: "prim-float64",
}
_USED = ("a node that was used already", None)


class NodeHandles(Protocol):
    """Turns handles into texts `<uri>/<number>` and back, as `WorkerHandles` and `FreeHandles` do."""

    def encode(self, number: Value) -> str:
        """The text of the handle."""
        ...

    def decode(self, text: str) -> Value:
        """What stands for the handle in values. Raises ValueError with the reason."""
        ...


class FreeHandles:
    """Handles of any worker: in values they are the texts `<uri>/<number>` themselves."""

    def encode(self, number: Value) -> str:
        """The text."""
        return number

    def decode(self, text: str) -> str:
        """The text. Raises ValueError where it is none of a handle."""
        uri, _, number = text.rpartition("/")
        if not uri:
            raise ValueError("expected handle, represented by a worker-url/resource-id string, got another string")
        if not (number.isascii() and number.isdigit()) or len(number) > 20 or int(number) >> 64:
            raise ValueError(f"Failed to parse resource-id section of the handle value: {number[:40]}")
        return text


FREE_HANDLES = FreeHandles()
"""The one instance that is needed."""


def value_to_nodes(value: Value, type_: WitType, handles: NodeHandles | None = None) -> dict[str, Value]:
    """The `wit-value` record of a value of the type. Handles need `handles` (ValueError without)."""
    return compile_node_writer(type_, handles)(value)


def nodes_to_value(record: Value, type_: WitType, handles: NodeHandles | None = None) -> Value:
    """The value that a `wit-value` record holds. Raises InvalidInput where it is no value of the type."""
    return compile_node_reader(type_, handles)(record)


def value_and_type_record(value: Value, type_: WitType, *, named: bool = True) -> dict[str, Value]:
    """`value-and-type`; `named` as for `type_to_nodes`."""
    return {"value": value_to_nodes(value, type_), "typ": type_to_nodes(type_, named=named)}


def value_and_type_value(record: Value, handles: NodeHandles | None = None) -> tuple[WitType, Value]:
    """The type and the value of a `value-and-type`. Raises InvalidInput where they are wrong or do not fit."""
    type_ = nodes_to_type(record["typ"])
    return type_, nodes_to_value(record["value"], type_, handles)


def compile_node_writer(type_: WitType, handles: NodeHandles | None = None) -> NodeWriter:
    """The closure that writes values of the type as nodes."""
    write = _writer(type_, handles)

    def write_nodes(value: Value) -> dict[str, Value]:
        nodes: _Nodes = []
        write(value, nodes)
        return {"nodes": nodes}

    return write_nodes


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


class _SharedNodes(_Nodes):
    """The nodes of a value that uses some of them more than once, with a bound on how often.

    Nodes that contain themselves end there too, if the type does not come to its end before.
    """

    def __init__(self, nodes: list[Any]) -> None:
        super().__init__(nodes)
        self._left = len(nodes) + MAX_SHARED_NODES

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
            return _read_leaf(_PRIMITIVE_CASES[type_])
        case ListType(element):
            if isinstance(element, Primitive):
                return _read_leaves(_PRIMITIVE_CASES[element], bytes if element is Primitive.U8 else list)
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
    def read(nodes: _Nodes, at: int) -> Value:
        case, value = nodes[at]
        if case != expected or at < 0:
            _mismatch(expected, at, case)
        nodes[at] = _USED
        return value

    return read


def _read_leaves(expected: str, make: Callable[[list[Any]], Value]) -> _Read:
    def read(nodes: _Nodes, at: int) -> Value:
        values: list[Any] = []
        for item in _parts(nodes, at, "list-value"):
            case, value = nodes[item]
            if case != expected or item < 0:
                _mismatch(expected, item, case)
            nodes[item] = _USED
            values.append(value)
        return make(values)

    return read


def _parts(nodes: _Nodes, at: int, expected: str) -> Any:
    """The payload of the node, which must be of the case."""
    case, payload = nodes[at]
    if case != expected or at < 0:
        _mismatch(expected, at, case)
    nodes[at] = _USED
    return payload


def _read_list(read: _Read) -> _Read:
    return lambda nodes, at: [read(nodes, item) for item in _parts(nodes, at, "list-value")]


def _read_tuple(readers: list[_Read]) -> _Read:
    def read_tuple(nodes: _Nodes, at: int) -> Value:
        parts = _parts(nodes, at, "tuple-value")
        if len(parts) != len(readers):
            raise InvalidInput(f"expected tuple of {len(readers)}, got tuple of {len(parts)} in value node {at}")
        return tuple([read(nodes, part) for read, part in zip(readers, parts, strict=True)])

    return read_tuple


def _read_record(fields: list[tuple[str, _Read]]) -> _Read:
    def read_record(nodes: _Nodes, at: int) -> Value:
        parts = _parts(nodes, at, "record-value")
        if len(parts) != len(fields):
            raise InvalidInput(f"expected record of {len(fields)}, got record of {len(parts)} in value node {at}")
        return {name: read(nodes, part) for (name, read), part in zip(fields, parts, strict=True)}

    return read_record


def _payload(read: _Read | None, nodes: _Nodes, part: int | None, at: int) -> Value:
    """The payload of a case, which is there exactly if the type says so."""
    if read is None:
        if part is not None:
            raise InvalidInput(f"the case in value node {at} has a payload, which its type has not")
        return None
    if part is None:
        raise InvalidInput(f"the case in value node {at} lacks its payload")
    return read(nodes, part)


def _read_variant(cases: list[tuple[str, _Read | None]]) -> _Read:
    def read_variant(nodes: _Nodes, at: int) -> Value:
        number: int
        number, part = _parts(nodes, at, "variant-value")
        if number >= len(cases):
            raise InvalidInput(f"expected one of {len(cases)} cases, got case {number} in value node {at}")
        name, read = cases[number]
        return name, _payload(read, nodes, part, at)

    return read_variant


def _read_enum(names: tuple[str, ...]) -> _Read:
    def read_enum(nodes: _Nodes, at: int) -> Value:
        number: int = _parts(nodes, at, "enum-value")
        if number >= len(names):
            raise InvalidInput(f"expected one of {len(names)} cases, got case {number} in value node {at}")
        return names[number]

    return read_enum


def _read_flags(names: tuple[str, ...]) -> _Read:
    def read_flags(nodes: _Nodes, at: int) -> Value:
        flags = _parts(nodes, at, "flags-value")
        if len(flags) != len(names):
            raise InvalidInput(f"expected {len(names)} flags, got {len(flags)} in value node {at}")
        return [name for name, flag in zip(names, flags, strict=True) if flag]

    return read_flags


def _read_option(read: _Read, nested: bool) -> _Read:
    def read_option(nodes: _Nodes, at: int) -> Value:
        part = _parts(nodes, at, "option-value")
        if part is None:
            return None
        value = read(nodes, part)
        return (value,) if nested else value

    return read_option


def _read_result(arms: dict[str, _Read | None]) -> _Read:
    def read_result(nodes: _Nodes, at: int) -> Value:
        name, part = _parts(nodes, at, "result-value")
        return name, _payload(arms[name], nodes, part, at)

    return read_result


def _read_handle(handles: NodeHandles | None) -> _Read:
    def read_handle(nodes: _Nodes, at: int) -> Value:
        uri, number = _parts(nodes, at, "handle")
        if handles is None:
            raise InvalidInput("a handle cannot be given here")
        try:
            return handles.decode(f"{uri['value']}/{number}")
        except ValueError as error:
            raise InvalidInput(str(error)) from None

    return read_handle


def _writer(type_: WitType, handles: NodeHandles | None) -> _Write:
    match type_:
        case Primitive():
            return _write_leaf(_PRIMITIVE_CASES[type_], lambda value: value)
        case ListType(element):
            if isinstance(element, Primitive):
                return _write_leaves(_PRIMITIVE_CASES[element])
            return _write_list(_writer(element, handles))
        case TupleType(items):
            return _write_tuple([_writer(item, handles) for item in items])
        case RecordType(fields):
            return _write_record([(field.name, _writer(field.type, handles)) for field in fields])
        case VariantType(cases):
            return _write_variant(
                {
                    case.name: (number, None if case.type is None else _writer(case.type, handles))
                    for number, case in enumerate(cases)
                }
            )
        case EnumType(names):
            return _write_leaf("enum-value", {name: number for number, name in enumerate(names)}.__getitem__)
        case FlagsType(names):
            return _write_leaf("flags-value", lambda value: [name in value for name in names])
        case OptionType(inner):
            return _write_option(_writer(inner, handles), isinstance(inner, OptionType))
        case ResultType(ok, err):
            arms = {"ok": ok, "err": err}
            return _write_result({name: None if arm is None else _writer(arm, handles) for name, arm in arms.items()})
        case HandleType():
            return _write_handle(handles)
        case _:
            assert_never(type_)


def _write_leaf(case: str, payload: Callable[[Value], Value]) -> _Write:
    def write(value: Value, nodes: _Nodes) -> int:
        nodes.append((case, payload(value)))
        return len(nodes) - 1

    return write


def _write_leaves(case: str) -> _Write:
    def write(value: Value, nodes: _Nodes) -> int:
        at = len(nodes)
        nodes.append(("list-value", list(range(at + 1, at + 1 + len(value)))))
        nodes.extend([(case, item) for item in value])
        return at

    return write


def _write_list(write: _Write) -> _Write:
    def write_list(value: Value, nodes: _Nodes) -> int:
        at = len(nodes)
        nodes.append(None)
        nodes[at] = ("list-value", [write(item, nodes) for item in value])
        return at

    return write_list


def _write_tuple(writers: list[_Write]) -> _Write:
    def write_tuple(value: Value, nodes: _Nodes) -> int:
        at = len(nodes)
        nodes.append(None)
        nodes[at] = ("tuple-value", [write(item, nodes) for write, item in zip(writers, value, strict=True)])
        return at

    return write_tuple


def _write_record(fields: list[tuple[str, _Write]]) -> _Write:
    def write_record(value: Value, nodes: _Nodes) -> int:
        at = len(nodes)
        nodes.append(None)
        # Only options may be missing, and a missing one is none.
        nodes[at] = ("record-value", [write(value.get(name), nodes) for name, write in fields])
        return at

    return write_record


def _write_variant(cases: dict[str, tuple[int, _Write | None]]) -> _Write:
    def write_variant(value: Value, nodes: _Nodes) -> int:
        name, payload = value
        number, write = cases[name]
        at = len(nodes)
        nodes.append(("variant-value", (number, None if write is None else at + 1)))
        if write is not None:
            write(payload, nodes)
        return at

    return write_variant


def _write_option(write: _Write, nested: bool) -> _Write:
    def write_option(value: Value, nodes: _Nodes) -> int:
        at = len(nodes)
        if value is None:
            nodes.append(("option-value", None))
        else:
            nodes.append(("option-value", at + 1))
            write(value[0] if nested else value, nodes)
        return at

    return write_option


def _write_result(arms: dict[str, _Write | None]) -> _Write:
    def write_result(value: Value, nodes: _Nodes) -> int:
        name, payload = value
        write = arms[name]
        at = len(nodes)
        nodes.append(("result-value", (name, None if write is None else at + 1)))
        if write is not None:
            write(payload, nodes)
        return at

    return write_result


def _write_handle(handles: NodeHandles | None) -> _Write:
    if handles is None:
        raise ValueError("a handle cannot be written without the worker that it belongs to")

    def payload(value: Value) -> Value:
        uri, _, number = handles.encode(value).rpartition("/")
        return {"value": uri}, int(number)

    return _write_leaf("handle", payload)
