"""From values to the nodes of `wit-value`: one closure a type, built once. Parents are put before their children."""

from __future__ import annotations

from collections.abc import Callable
from itertools import repeat
from typing import TypeAlias, assert_never

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

NodeWriter: TypeAlias = Callable[[Value], dict[str, Value]]
"""Gives the `wit-value` record of a value, which must be one of the type."""

_Write: TypeAlias = Callable[[Value, Nodes], int]


def compile_node_writer(type_: WitType, handles: NodeHandles | None = None) -> NodeWriter:
    """The closure that writes values of the type as nodes."""
    write = _writer(type_, handles)

    def write_nodes(value: Value) -> dict[str, Value]:
        nodes: Nodes = []
        write(value, nodes)
        return {"nodes": nodes}

    return write_nodes


def _writer(type_: WitType, handles: NodeHandles | None) -> _Write:
    match type_:
        case Primitive():
            return _write_leaf(PRIMITIVE_CASES[type_], lambda value: value)
        case ListType(element):
            if isinstance(element, Primitive):
                return _write_leaves(element)
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
    def write(value: Value, nodes: Nodes) -> int:
        nodes.append((case, payload(value)))
        return len(nodes) - 1

    return write


def _write_leaves(element: Primitive) -> _Write:
    if element is Primitive.U8:
        return _write_bytes
    case = PRIMITIVE_CASES[element]

    def write(value: Value, nodes: Nodes) -> int:
        at = len(nodes)
        nodes.append(("list-value", list(range(at + 1, at + 1 + len(value)))))
        nodes.extend(zip(repeat(case), value))
        return at

    return write


# A node for each byte would take 60 bytes of memory: all that are equal are one.
_BYTE_NODES = [(PRIMITIVE_CASES[Primitive.U8], byte) for byte in range(256)]


def _write_bytes(value: Value, nodes: Nodes) -> int:
    at = len(nodes)
    nodes.append(("list-value", list(range(at + 1, at + 1 + len(value)))))
    nodes.extend([_BYTE_NODES[byte] for byte in value])
    return at


def _write_list(write: _Write) -> _Write:
    def write_list(value: Value, nodes: Nodes) -> int:
        at = len(nodes)
        nodes.append(None)
        nodes[at] = ("list-value", [write(item, nodes) for item in value])
        return at

    return write_list


def _write_tuple(writers: list[_Write]) -> _Write:
    def write_tuple(value: Value, nodes: Nodes) -> int:
        at = len(nodes)
        nodes.append(None)
        nodes[at] = ("tuple-value", [write(item, nodes) for write, item in zip(writers, value, strict=True)])
        return at

    return write_tuple


def _write_record(fields: list[tuple[str, _Write]]) -> _Write:
    def write_record(value: Value, nodes: Nodes) -> int:
        at = len(nodes)
        nodes.append(None)
        # Only options may be missing, and a missing one is none.
        nodes[at] = ("record-value", [write(value.get(name), nodes) for name, write in fields])
        return at

    return write_record


def _write_variant(cases: dict[str, tuple[int, _Write | None]]) -> _Write:
    def write_variant(value: Value, nodes: Nodes) -> int:
        name, payload = value
        number, write = cases[name]
        at = len(nodes)
        nodes.append(("variant-value", (number, None if write is None else at + 1)))
        if write is not None:
            write(payload, nodes)
        return at

    return write_variant


def _write_option(write: _Write, nested: bool) -> _Write:
    def write_option(value: Value, nodes: Nodes) -> int:
        at = len(nodes)
        if value is None:
            nodes.append(("option-value", None))
        else:
            nodes.append(("option-value", at + 1))
            write(value[0] if nested else value, nodes)
        return at

    return write_option


def _write_result(arms: dict[str, _Write | None]) -> _Write:
    def write_result(value: Value, nodes: Nodes) -> int:
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
