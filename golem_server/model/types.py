"""WIT types as plain descriptors: what a component imports and exports, read once and kept.

A type is an immutable tree of the classes below. Values of these types are plain Python objects:

| WIT | Python |
| --- | --- |
| bool, integers, f32 and f64, char, string | bool, int, float, one-character str, str |
| list<T>, list<u8> | list, bytes |
| record | dict by WIT field name; a missing key of an option type reads as none |
| tuple | tuple (lists are accepted) |
| variant | (case name, payload or None) |
| enum, flags | case name, list of set names in declaration order |
| option<T> | None or the value; where T is an option itself, some(x) is the 1-tuple (x,) |
| result<A, B> | ("ok", value or None) or ("err", value or None) |
| own, borrow | int: the resource's number in the worker's table |

All of them can be written as MessagePack, which gives tuples back as lists: whatever takes a value
accepts both.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

Value: TypeAlias = Any
"""A WIT value in the representation of this file's table."""


class Primitive(Enum):
    """The types without parts. The value is the name in WIT."""

    BOOL = "bool"
    S8 = "s8"
    U8 = "u8"
    S16 = "s16"
    U16 = "u16"
    S32 = "s32"
    U32 = "u32"
    S64 = "s64"
    U64 = "u64"
    F32 = "f32"
    F64 = "f64"
    CHAR = "char"
    STRING = "string"


@dataclass(frozen=True, slots=True)
class ListType:
    """`list<element>`."""

    element: WitType


@dataclass(frozen=True, slots=True)
class Field:
    """A named field of a record."""

    name: str
    type: WitType


@dataclass(frozen=True, slots=True)
class RecordType:
    """`record` with its fields in declaration order."""

    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class TupleType:
    """`tuple<...>`."""

    items: tuple[WitType, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """A case of a variant; `type` is None where it carries nothing."""

    name: str
    type: WitType | None


@dataclass(frozen=True, slots=True)
class VariantType:
    """`variant` with its cases in declaration order."""

    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class EnumType:
    """`enum`."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FlagsType:
    """`flags`."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OptionType:
    """`option<inner>`."""

    inner: WitType


@dataclass(frozen=True, slots=True)
class ResultType:
    """`result<ok, err>`; an absent arm is None."""

    ok: WitType | None
    err: WitType | None


@dataclass(frozen=True, slots=True)
class HandleType:
    """`own<resource>` or `borrow<resource>`.

    `resource` numbers the resource type within its component: equal numbers are one type.
    `host` is True where the host implements the resource (it is imported), False where the guest does.
    """

    resource: int
    owned: bool
    host: bool
    name: str | None = None


WitType: TypeAlias = (
    Primitive
    | ListType
    | RecordType
    | TupleType
    | VariantType
    | EnumType
    | FlagsType
    | OptionType
    | ResultType
    | HandleType
)


@dataclass(frozen=True, slots=True)
class Parameter:
    """A named parameter of a function."""

    name: str
    type: WitType


@dataclass(frozen=True, slots=True)
class FunctionType:
    """The signature of an import or export; `result` is None where nothing is returned."""

    parameters: tuple[Parameter, ...]
    result: WitType | None


@dataclass(frozen=True, slots=True)
class InterfaceType:
    """An imported or exported instance.

    `functions` are by raw WIT name (`[method]cart.add`), in declaration order; `resources` are resource names with
    their numbers (see `HandleType.resource`).
    """

    name: str
    functions: dict[str, FunctionType]
    resources: dict[str, int]


@dataclass(frozen=True, slots=True)
class ComponentType:
    """Everything that a component imports and exports.

    Keys of the two dictionaries of interfaces are the full names as written in the component
    (`wasi:cli/environment@0.2.3`); functions directly in the world are under `functions`.
    """

    imports: dict[str, InterfaceType]
    imported_functions: dict[str, FunctionType]
    exports: dict[str, InterfaceType]
    exported_functions: dict[str, FunctionType]
