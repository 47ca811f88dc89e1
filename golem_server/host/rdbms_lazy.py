"""The lazy values of golem:rdbms/postgres: resources, by which values and types contain others.

Here and in the oplog the contained value stands where the interface has a handle: the value is *inline*. Handles are
made when a value goes to the guest, and given up when it comes from there.
"""

from __future__ import annotations

from collections.abc import Callable

from golem_server.durable.context import WorkerContext
from golem_server.durable.resources import ValueResource
from golem_server.durable.signals import GuestError
from golem_server.model.types import Value

MAX_PARTS = 1_000_000
"""How many values one may be made of. A guest can use a value twice in another one, again and again."""

MAX_DEPTH = 32
"""How deep values and types may be nested."""


class LazyValue(ValueResource):
    """The resource `lazy-db-value`, its value inline."""

    __slots__ = ("value",)

    def __init__(self, value: Value) -> None:
        self.value = value


class LazyColumnType(ValueResource):
    """The resource `lazy-db-column-type`, its type inline."""

    __slots__ = ("type",)

    def __init__(self, type: Value) -> None:
        self.type = type


def made_inline(context: WorkerContext, value: Value) -> Value:
    """A db-value of the guest with the values that its handles stand for. The handles stay."""
    inline = _replaced(value, lambda handle: context.resources.get(handle, LazyValue).value)
    _check_size(inline, _replaced)
    return inline


def released(context: WorkerContext, value: Value) -> None:
    """Free the handles in a db-value that the guest gave away."""

    def free(handle: int) -> Value:
        context.resources.take(handle, LazyValue)
        return None

    _replaced(value, free)


def with_handles(context: WorkerContext, value: Value) -> Value:
    """An inline db-value as the guest gets it."""
    return _replaced(value, lambda inner: context.resources.add_value(LazyValue(inner)))


def type_made_inline(context: WorkerContext, type: Value) -> Value:
    """A db-column-type of the guest with the types that its handles stand for; the handles are given up."""
    inline = _replaced_type(type, lambda handle: context.resources.take(handle, LazyColumnType).type)
    _check_size(inline, _replaced_type)
    return inline


def type_with_handles(context: WorkerContext, type: Value) -> Value:
    """An inline db-column-type as the guest gets it."""
    return _replaced_type(type, lambda inner: context.resources.add_value(LazyColumnType(inner)))


def _replaced(value: Value, replace: Callable[[Value], Value]) -> Value:
    case, payload = value
    match case:
        case "array":
            return (case, [replace(item) for item in payload])
        case "composite":
            return (case, {"name": payload["name"], "values": [replace(item) for item in payload["values"]]})
        case "domain":
            return (case, {"name": payload["name"], "value": replace(payload["value"])})
        case "range":
            bounds = {
                side: (bound, None if bound == "unbounded" else replace(inner))
                for side, (bound, inner) in payload["value"].items()
            }
            return (case, {"name": payload["name"], "value": bounds})
        case _:
            return value


def _replaced_type(type: Value, replace: Callable[[Value], Value]) -> Value:
    case, payload = type
    match case:
        case "array":
            return (case, replace(payload))
        case "composite":
            attributes = [(name, replace(inner)) for name, inner in payload["attributes"]]
            return (case, {"name": payload["name"], "attributes": attributes})
        case "domain" | "range":
            return (case, {"name": payload["name"], "base-type": replace(payload["base-type"])})
        case _:
            return type


def _check_size(value: Value, replaced: Callable[[Value, Callable[[Value], Value]], Value]) -> None:
    """See that a value stays within the bounds. Raises GuestError."""
    parts, depth, level = 0, 0, [value]
    while level:
        parts += len(level)
        depth += 1
        if parts > MAX_PARTS or depth > MAX_DEPTH:
            raise GuestError("a database value has too many parts")
        inner: list[Value] = []
        for outer in level:
            replaced(outer, inner.append)
            if len(inner) > MAX_PARTS:
                break
        level = inner
