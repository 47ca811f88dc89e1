"""PostgreSQL's types as a connection meets them, user-defined ones included, and values of them.

asyncpg takes arrays, ranges and composites apart; the scalars in them are the bytes of `rdbms_postgres_values.py`.
Values of
the interface are inline here: where it has handles of lazy values, the values themselves stand.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, cast

from asyncpg.types import Range

from golem_server.host.rdbms_errors import RdbmsError, unsupported_column
from golem_server.host.rdbms_postgres_values import NAME, RANGES, SCALARS, Scalar, decode_vector, encode_vector
from golem_server.model.types import Value

NULL: Value = ("null", None)

MAX_DEPTH = 32
"""How deep types and values may be nested."""


class Kind(Enum):
    """What a type is made of."""

    SCALAR = "scalar"
    RANGE = "range"
    ENUMERATION = "enumeration"
    COMPOSITE = "composite"
    DOMAIN = "domain"
    ARRAY = "array"
    OWN_RANGE = "user-defined range"
    VECTOR = "vector"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True)
class PostgresType:
    """A type.

    `name` is how the interface names it, `shown` its db-type-name, `sql` how a statement names it. `of` are the types
    that it is made of: the element, the bound, the base, the attributes (whose names are `attributes`).
    """

    oid: int
    kind: Kind
    name: str
    shown: str
    sql: str
    scalar: Scalar | None = None
    of: tuple[PostgresType, ...] = ()
    attributes: tuple[str, ...] = ()

    @property
    def described(self) -> Value:
        """The WIT value db-column-type, inline. Raises RdbmsError for a type that the interface does not have."""
        match self.kind:
            case Kind.SCALAR:
                assert self.scalar is not None
                return (self.scalar.case, None)
            case Kind.RANGE | Kind.VECTOR:
                return (self.name, None)
            case Kind.ENUMERATION:
                return ("enumeration", {"name": self.name})
            case Kind.COMPOSITE:
                attributes = [(name, type.described) for name, type in zip(self.attributes, self.of, strict=True)]
                return ("composite", {"name": self.name, "attributes": attributes})
            case Kind.DOMAIN:
                return ("domain", {"name": self.name, "base-type": self.of[0].described})
            case Kind.OWN_RANGE:
                return ("range", {"name": self.name, "base-type": self.of[0].described})
            case Kind.ARRAY:
                return ("array", self.of[0].described)
            case Kind.UNSUPPORTED:
                raise unsupported_column(self.shown)


def _scalar_type(scalar: Scalar) -> PostgresType:
    return PostgresType(
        scalar.oid, Kind.SCALAR, scalar.name, scalar.type_name, f'pg_catalog."{scalar.name}"', scalar=scalar
    )


_SCALAR_TYPES = {scalar.case: _scalar_type(scalar) for scalar in SCALARS}

BY_CASE: dict[str, PostgresType] = _SCALAR_TYPES | {
    name: PostgresType(oid, Kind.RANGE, name, name.upper(), f'pg_catalog."{name}"', of=(_SCALAR_TYPES[bound],))
    for name, (oid, bound) in RANGES.items()
}
"""PostgreSQL's own types by their case in db-value."""

BY_OID: dict[int, PostgresType] = {type.oid: type for type in (*BY_CASE.values(), _scalar_type(NAME))}
"""The same by their number in the catalogue."""

VECTORS = ("vector", "halfvec", "sparsevec")

NAMED = ("enumeration", "composite", "domain", "range")
"""Cases whose values name a user-defined type."""


RAW_ARRAYS = {1009: "_text", 1028: "_oid"}
"""Arrays that asyncpg takes apart in a way of its own, unless it is told not to: here they are bytes as well."""


def array_of(element: PostgresType, oid: int = 0) -> PostgresType:
    """The type of arrays of another. The number is only known where the database named the type."""
    return PostgresType(oid, Kind.ARRAY, element.name, element.shown + "[]", element.sql + "[]", of=(element,))


# --- From the database


def decode(type: PostgresType, raw: Any) -> Value:
    """The db-value, inline, of what asyncpg gives for a value of this type. Raises RdbmsError."""
    if raw is None:
        return NULL
    match type.kind:
        case Kind.SCALAR:
            assert type.scalar is not None
            return (type.scalar.case, type.scalar.decode(raw))
        case Kind.RANGE:
            return (type.name, _decode_range(type, raw, _payload_of(type.of[0])))
        case Kind.ENUMERATION:
            return ("enumeration", {"name": type.name, "value": _text(raw)})
        case Kind.COMPOSITE:
            values = [decode(part, item) for part, item in zip(type.of, cast("Sequence[Any]", raw), strict=True)]
            return ("composite", {"name": type.name, "values": values})
        case Kind.DOMAIN:
            return ("domain", {"name": type.name, "value": decode(type.of[0], raw)})
        case Kind.ARRAY:
            return ("array", _decode_items(type.of[0], _unpacked(raw) if isinstance(raw, bytes) else raw))
        case Kind.OWN_RANGE:
            bound = type.of[0]
            return ("range", {"name": type.name, "value": _decode_range(type, raw, lambda item: decode(bound, item))})
        case Kind.VECTOR:
            return (type.name, decode_vector(type.name, raw))
        case Kind.UNSUPPORTED:
            raise unsupported_column(type.shown)


def _decode_items(element: PostgresType, raw: Any) -> list[Value]:
    # More than one dimension comes as lists in lists, which no element is by itself.
    return [
        ("array", _decode_items(element, item)) if isinstance(item, list) else decode(element, item) for item in raw
    ]


def _unpacked(data: bytes) -> list[Any]:
    """The items of an array in its binary form, in lists for each dimension."""
    dimensions, _, _ = struct.unpack_from("!iii", data)
    lengths = [struct.unpack_from("!ii", data, 12 + 8 * number)[0] for number in range(dimensions)]
    position = 12 + 8 * dimensions

    def item() -> bytes | None:
        nonlocal position
        (length,) = struct.unpack_from("!i", data, position)
        start = position + 4
        position = start + max(length, 0)
        return None if length < 0 else data[start:position]

    def level(number: int) -> list[Any]:
        if number == dimensions:
            return []
        last = number == dimensions - 1
        return [item() if last else level(number + 1) for _ in range(lengths[number])]

    return level(0)


def _packed(oid: int, items: list[Any]) -> bytes:
    """The binary form of an array of elements of this type. Raises RdbmsError if its lists are not equally long."""
    lengths: list[int] = []
    level: list[Any] = items
    while level:
        lengths.append(len(level))
        if not isinstance(level[0], list):
            break
        level = cast("list[Any]", level[0])
    leaves: list[bytes | None] = []

    def collect(item: Any, depth: int) -> None:
        if depth == len(lengths):
            if isinstance(item, list):
                raise _uneven()
            leaves.append(item)
        elif not isinstance(item, list) or len(cast("list[Any]", item)) != lengths[depth]:
            raise _uneven()
        else:
            for inner in cast("list[Any]", item):
                collect(inner, depth + 1)

    if lengths:
        collect(items, 0)
    parts = [struct.pack("!iii", len(lengths), None in leaves, oid)]
    parts += [struct.pack("!ii", length, 1) for length in lengths]
    for leaf in leaves:
        parts += [struct.pack("!i", -1)] if leaf is None else [struct.pack("!i", len(leaf)), leaf]
    return b"".join(parts)


def _uneven() -> RdbmsError:
    return RdbmsError.parameter("the arrays of one dimension have different lengths")


def _payload_of(type: PostgresType) -> Callable[[Any], Value]:
    assert type.scalar is not None
    return type.scalar.decode


def _decode_range(type: PostgresType, raw: Range[Any], bound: Callable[[Any], Value]) -> Value:
    if raw.isempty:
        zero = _zero(type)
        return {"start": ("excluded", bound(zero)), "end": ("excluded", bound(zero))}

    def decoded(value: Any, included: bool) -> Value:
        return ("unbounded", None) if value is None else ("included" if included else "excluded", bound(value))

    return {"start": decoded(raw.lower, raw.lower_inc), "end": decoded(raw.upper, raw.upper_inc)}


_LENGTHS = {
    **{"int2": 2, "int4": 4, "int8": 8, "numeric": 8, "float4": 4, "float8": 8},
    **{"date": 4, "time": 8, "timestamp": 8, "timestamptz": 8, "money": 8},
}
"""How long a zero is."""


def _zero(type: PostgresType) -> bytes:
    """Some value of the bounds' type: nothing lies between it and itself, which is how to say `empty`."""
    bound = type.of[0]
    if bound.scalar is None or bound.scalar.name not in _LENGTHS:
        raise RdbmsError.response(f"an empty {type.name} cannot be expressed")
    return bytes(_LENGTHS[bound.scalar.name])


def _text(raw: Any) -> str:
    return raw.decode() if isinstance(raw, bytes) else str(raw)


# --- To the database


def key_of(value: Value) -> str | None:
    """What decides the type of a parameter: a case, with the name of a user-defined type; None for null.

    Raises RdbmsError for an array of different things.
    """
    case, payload = value
    if case == "null":
        return None
    if case in NAMED:
        return f"{case} {payload['name']}"
    if case != "array":
        return str(case)
    keys = [key_of(item) for item in payload]
    first = next((key for key in keys if key is not None), None)
    if first is None:
        return None
    for index, key in enumerate(keys):
        if key is not None and key != first:
            raise RdbmsError.parameter(
                f"Array element '{_shown(payload[index])}' with index {index} has different type than expected "
                f"(value do not have '{first.removeprefix('array ')}' type)"
            )
    return first if first.startswith("array ") else f"array {first}"


def encode(type: PostgresType, value: Value) -> Any:
    """What asyncpg is to send for a db-value, inline, as a parameter of this type. Raises RdbmsError."""
    case, payload = value
    if case == "null":
        return None
    match type.kind:
        case Kind.DOMAIN:
            return encode(type.of[0], payload["value"] if case == "domain" else value)
        case Kind.ARRAY if case == "array":
            items = _encode_items(type.of[0], payload)
            return _packed(type.of[0].oid, items) if type.oid in RAW_ARRAYS else items
        case Kind.SCALAR if type.scalar is not None and _fits(type.scalar.case, case):
            return type.scalar.encode(payload)
        case Kind.RANGE if case == type.name and type.of[0].scalar is not None:
            return _encode_range(payload, type.of[0].scalar.encode)
        case Kind.ENUMERATION if case == "enumeration":
            return payload["value"].encode()
        case Kind.COMPOSITE if case == "composite":
            return _encode_composite(type, payload["values"])
        case Kind.OWN_RANGE if case == "range":
            return _encode_range(payload["value"], lambda item: encode(type.of[0], item))
        case Kind.VECTOR if case == type.name:
            return encode_vector(case, payload)
        case _:
            raise RdbmsError.parameter(f"'{_shown(value)}' is no value of type {type.shown}")


_TEXTS = frozenset({"text", "varchar", "bpchar"})


def _fits(expected: str, case: str) -> bool:
    return case == expected or (case in _TEXTS and expected in _TEXTS)


def _encode_items(element: PostgresType, items: list[Value]) -> list[Any]:
    return [
        _encode_items(element, payload) if case == "array" else encode(element, (case, payload))
        for case, payload in items
    ]


def _encode_range(value: Value, bound: Callable[[Any], Any]) -> Range[Any]:
    (start, lower), (end, upper) = value["start"], value["end"]
    return Range(
        None if start == "unbounded" else bound(lower),
        None if end == "unbounded" else bound(upper),
        lower_inc=start == "included",
        upper_inc=end == "included",
    )


def _encode_composite(type: PostgresType, values: list[Value]) -> tuple[Any, ...]:
    if len(values) != len(type.of):
        raise RdbmsError.parameter(f"a value of {type.name} has {len(type.of)} attributes, not {len(values)}")
    return tuple(encode(part, value) for part, value in zip(type.of, values, strict=True))


def _shown(value: Value) -> str:
    case, payload = value
    return str(payload)[:100] if payload is not None else str(case)
