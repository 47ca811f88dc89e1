"""`wit-value`, the node list in which guests hand values to each other, to and from the values of `model/types.py`.

A `wit-value` is `{"nodes": [(case, payload), ...]}`; the first node is the value and its parts are named by their
positions (reference: host-interfaces, section 6). Field and case names are only in the type, so that a value cannot be
read without it. The writer puts parents before children, the reader takes any order.

The lists come from guests and may be anything that the node type allows: a position out of range, another node than the
type asks for, and lists that share parts until the value is astronomically large raise InvalidInput. A closure for each
type is compiled once; keep it where it is used often (`compile_node_reader`, `compile_node_writer`).
"""

from __future__ import annotations

from golem_server.model.node_reading import NodeReader, compile_node_reader
from golem_server.model.node_writing import NodeWriter, compile_node_writer
from golem_server.model.types import Value, WitType
from golem_server.model.wit_nodes import FREE_HANDLES, FreeHandles, NodeHandles
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
