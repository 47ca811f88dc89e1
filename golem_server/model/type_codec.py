"""Component types and binary metadata as JSON-able data and back: how a component's revision keeps them.

Kept with each revision so that questions about it, and the check of a call's parameters, need no compiled code. Types
are written into one table, each once however often it is used, and come back as shared objects: the types of a
component are a graph whose tree can be many times larger.

A type in the table is a list: its kind, then its parts. A part is the name of a primitive, the index of an earlier type
in the table, or null for an absent one.
"""

from __future__ import annotations

from typing import Any, assert_never, cast

from golem_server.model.metadata import BinaryMetadata
from golem_server.model.types import (
    Case,
    ComponentType,
    EnumType,
    Field,
    FlagsType,
    FunctionType,
    HandleType,
    InterfaceType,
    ListType,
    OptionType,
    Parameter,
    Primitive,
    RecordType,
    ResultType,
    TupleType,
    VariantType,
    WitType,
)

_PRIMITIVES = {primitive.value: primitive for primitive in Primitive}


def component_type_to_data(component: ComponentType) -> dict[str, Any]:
    """The component's type as dictionaries, lists, strings, numbers and None."""
    table = _Writer()
    return {
        "imports": table.interfaces(component.imports),
        "imported_functions": table.functions(component.imported_functions),
        "exports": table.interfaces(component.exports),
        "exported_functions": table.functions(component.exported_functions),
        "types": table.types,
    }


def component_type_from_data(data: dict[str, Any]) -> ComponentType:
    """The component's type that `component_type_to_data` wrote."""
    table = _Reader(data["types"])
    return ComponentType(
        imports=table.interfaces(data["imports"]),
        imported_functions=table.functions(data["imported_functions"]),
        exports=table.interfaces(data["exports"]),
        exported_functions=table.functions(data["exported_functions"]),
    )


def binary_metadata_to_data(binary: BinaryMetadata) -> dict[str, Any]:
    """The metadata as dictionaries, lists, strings, numbers, None and the bytes of the WIT."""
    return {
        "producers": [dict(section) for section in binary.producers],
        "memories": [list(memory) for memory in binary.memories],
        "root_package_name": binary.root_package_name,
        "root_package_version": binary.root_package_version,
        "binary_wit": binary.binary_wit,
    }


def binary_metadata_from_data(data: dict[str, Any]) -> BinaryMetadata:
    """The metadata that `binary_metadata_to_data` wrote."""
    return BinaryMetadata(
        producers=tuple(
            {field: [(name, version) for name, version in tools] for field, tools in section.items()}
            for section in data["producers"]
        ),
        memories=tuple((initial, maximum) for initial, maximum in data["memories"]),
        root_package_name=data["root_package_name"],
        root_package_version=data["root_package_version"],
        binary_wit=data["binary_wit"],
    )


class _Writer:
    """Fills the table of types."""

    def __init__(self) -> None:
        self.types: list[list[Any]] = []
        self._by_content: dict[tuple[Any, ...], int] = {}
        # By identity, so that a shared part is walked once; the objects live as long as the component's type.
        self._by_object: dict[int, int] = {}

    def interfaces(self, interfaces: dict[str, InterfaceType]) -> dict[str, Any]:
        return {
            name: {"functions": self.functions(interface.functions), "resources": dict(interface.resources)}
            for name, interface in interfaces.items()
        }

    def functions(self, functions: dict[str, FunctionType]) -> dict[str, Any]:
        return {
            name: [
                [[parameter.name, self.part(parameter.type)] for parameter in function.parameters],
                self.part(function.result),
            ]
            for name, function in functions.items()
        }

    def part(self, type_: WitType | None) -> str | int | None:
        if type_ is None:
            return None
        if isinstance(type_, Primitive):
            return type_.value
        index = self._by_object.get(id(type_))
        if index is None:
            row = self._row(type_)
            index = self._by_content.setdefault(_key(row), len(self.types))
            if index == len(self.types):
                self.types.append(row)
            self._by_object[id(type_)] = index
        return index

    def _row(self, type_: WitType) -> list[Any]:
        match type_:
            case Primitive():
                return [type_.value]
            case ListType(element):
                return ["list", self.part(element)]
            case OptionType(inner):
                return ["option", self.part(inner)]
            case TupleType(items):
                return ["tuple", [self.part(item) for item in items]]
            case RecordType(fields):
                return ["record", [[field.name, self.part(field.type)] for field in fields]]
            case VariantType(cases):
                return ["variant", [[case.name, self.part(case.type)] for case in cases]]
            case EnumType(names):
                return ["enum", list(names)]
            case FlagsType(names):
                return ["flags", list(names)]
            case ResultType(ok, err):
                return ["result", self.part(ok), self.part(err)]
            case HandleType(resource, owned, host, name):
                return ["handle", resource, owned, host, name]
            case _:
                assert_never(type_)


def _key(row: list[Any]) -> tuple[Any, ...]:
    """A row as something that can be looked up; the kinds of its parts count, for True equals 1."""
    parts: list[Any] = []
    for part in row:
        is_list = isinstance(part, list)
        parts += (list, _key(cast("list[Any]", part))) if is_list else (type(part), part)
    return tuple(parts)


class _Reader:
    """Builds the types of the table, each after those it refers to."""

    def __init__(self, rows: list[list[Any]]) -> None:
        self._types: list[WitType] = []
        for row in rows:
            self._types.append(self._type(row[0], row[1:]))

    def interfaces(self, data: dict[str, Any]) -> dict[str, InterfaceType]:
        return {
            name: InterfaceType(name, self.functions(interface["functions"]), dict(interface["resources"]))
            for name, interface in data.items()
        }

    def functions(self, data: dict[str, Any]) -> dict[str, FunctionType]:
        return {
            name: FunctionType(
                tuple(Parameter(parameter, self._part(type_)) for parameter, type_ in parameters),
                self._optional(result),
            )
            for name, (parameters, result) in data.items()
        }

    def _optional(self, reference: str | int | None) -> WitType | None:
        return None if reference is None else self._part(reference)

    def _part(self, reference: str | int) -> WitType:
        return _PRIMITIVES[reference] if isinstance(reference, str) else self._types[reference]

    def _type(self, kind: str, parts: list[Any]) -> WitType:
        match kind:
            case "list":
                return ListType(self._part(parts[0]))
            case "option":
                return OptionType(self._part(parts[0]))
            case "tuple":
                return TupleType(tuple(self._part(item) for item in parts[0]))
            case "record":
                return RecordType(tuple(Field(name, self._part(type_)) for name, type_ in parts[0]))
            case "variant":
                return VariantType(tuple(Case(name, self._optional(type_)) for name, type_ in parts[0]))
            case "enum":
                return EnumType(tuple(parts[0]))
            case "flags":
                return FlagsType(tuple(parts[0]))
            case "result":
                return ResultType(self._optional(parts[0]), self._optional(parts[1]))
            case "handle":
                return HandleType(*parts)
            case _:
                raise ValueError(f"unknown kind of type: {kind}")
