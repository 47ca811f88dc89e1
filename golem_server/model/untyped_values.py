"""Data values whose schema is not known, for people to read.

The nodes of a value do not name its fields and cases. Where the schema is gone or is another's (an oplog may be read
long after the component that wrote it was changed), a type is made up that fits the value: records become tuples, a
case is `case2`, a flag `flag0`, and a list whose items look different becomes a tuple.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from golem_server.model.data_elements import reference_to_json
from golem_server.model.errors import InvalidInput
from golem_server.model.json_types import MAX_TYPE_DEPTH, Json, type_to_json
from golem_server.model.json_values import value_encoder
from golem_server.model.types import Primitive, Value
from golem_server.model.wit_nodes import PRIMITIVE_CASES

MAX_NODES = 100_000
"""How many nodes of a value are shown, shared ones counted at each place."""

_Typed = tuple[Json, Json]
_Part = Callable[[int], _Typed]

_PRIMITIVES = {case: (type_to_json(primitive), value_encoder(primitive)) for primitive, case in PRIMITIVE_CASES.items()}
_UNKNOWN = type_to_json(Primitive.BOOL)


def untyped_data_json(value: Value) -> dict[str, Json]:
    """The data value as `DataSchema.typed_json` gives it, with made-up types.

    Raises InvalidInput for values that contain themselves or are larger than what can be shown.
    """
    case, elements = value
    if case == "tuple":
        return {"type": "Tuple", "elements": [_element(element) for element in elements]}
    names: list[str] = list(dict.fromkeys(name for name, _ in elements))
    return {
        "type": "Multimodal",
        "elements": [
            {"name": name, "value": _element(element), "schemaIndex": names.index(name)} for name, element in elements
        ],
    }


def _element(element: Value) -> dict[str, Json]:
    kind, payload = element
    if kind != "component-model":
        return reference_to_json(kind, payload) | {"descriptor": {"restrictions": None}}
    typ, value = _Reader(payload["nodes"]).read(0, 0)
    return {"type": "ComponentModel", "value": {"typ": typ, "value": value}}


class _Reader:
    """The nodes of a value, and how many more of them may be read."""

    def __init__(self, nodes: Sequence[Any]) -> None:
        self._nodes = nodes
        self._left = MAX_NODES

    def read(self, at: int, depth: int) -> _Typed:
        """The made-up type and the value of a node, both as JSON."""
        self._left -= 1
        if self._left < 0 or depth > MAX_TYPE_DEPTH or not 0 <= at < len(self._nodes):
            raise InvalidInput("the value is too large to be shown, or none at all")
        case, payload = self._nodes[at]
        if case in _PRIMITIVES:
            typ, encode = _PRIMITIVES[case]
            return typ, encode(payload)
        return _READERS[case](payload, lambda part: self.read(part, depth + 1))


def _tuple(parts: Sequence[int], read: _Part) -> _Typed:
    items = [read(part) for part in parts]
    return {"type": "Tuple", "items": [typ for typ, _ in items]}, [value for _, value in items]


def _list(parts: Sequence[int], read: _Part) -> _Typed:
    items = [read(part) for part in parts]
    inner = items[0][0] if items else _UNKNOWN
    values = [value for _, value in items]
    if all(typ is inner or typ == inner for typ, _ in items):
        return {"type": "List", "inner": inner}, values
    return {"type": "Tuple", "items": [typ for typ, _ in items]}, values


def _option(part: int | None, read: _Part) -> _Typed:
    typ, value = (_UNKNOWN, None) if part is None else read(part)
    return {"type": "Option", "inner": typ}, value


def _variant(payload: Any, read: _Part) -> _Typed:
    name = f"case{payload[0]}"
    typ, value = (None, None) if payload[1] is None else read(payload[1])
    return {"type": "Variant", "cases": [{"name": name, "typ": typ}]}, {name: value}


def _result(payload: Any, read: _Part) -> _Typed:
    name, part = payload
    typ, value = (None, None) if part is None else read(part)
    return {"type": "Result", "ok": None, "err": None} | {name: typ}, {name: value}


def _enum(number: int, _: _Part) -> _Typed:
    return {"type": "Enum", "cases": [f"case{number}"]}, f"case{number}"


def _flags(flags: Sequence[bool], _: _Part) -> _Typed:
    names = [f"flag{at}" for at in range(len(flags))]
    return {"type": "Flags", "names": names}, [name for name, flag in zip(names, flags, strict=True) if flag]


def _handle(payload: Any, _: _Part) -> _Typed:
    uri, number = payload
    return {"type": "Handle", "resource_id": 0, "mode": "Borrowed"}, f"{uri['value']}/{number}"


_READERS: dict[str, Callable[[Any, _Part], _Typed]] = {
    "record-value": _tuple,
    "tuple-value": _tuple,
    "list-value": _list,
    "option-value": _option,
    "variant-value": _variant,
    "result-value": _result,
    "enum-value": _enum,
    "flags-value": _flags,
    "handle": _handle,
}
