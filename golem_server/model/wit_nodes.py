"""What the two directions between values and the nodes of `wit-value` have in common; see `model/wit_values.py`."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

from golem_server.model.types import Primitive, Value

Nodes: TypeAlias = list[Any]
"""The nodes of a value, (case, payload) each."""

PRIMITIVE_CASES = {
    **{primitive: f"prim-{primitive.value}" for primitive in Primitive},
    Primitive.F32: "prim-float32",
    Primitive.F64: "prim-float64",
}
"""The cases of the nodes that have no parts."""


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
