"""What a component imports and exports, as the plain descriptors of `model.types`.

Read once per component through wasmtime's type API. Resource types are compared by identity, so that the `pollable` of
three interfaces is one number and two resources that share a name are two.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable, Iterator
from ctypes import byref
from dataclasses import dataclass
from typing import Any, cast

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
from golem_server.wasm.binary import BinaryMetadata, binary_metadata, check_component
from golem_server.wasm.native import bindings as c
from golem_server.wasm.resource_drops import DROP_PREFIX

__all__ = ["BinaryMetadata", "ComponentShape", "binary_metadata", "check_component", "read_shape"]

logger = logging.getLogger(__name__)

_PRIMITIVES: dict[int, Primitive] = {
    c.WASMTIME_COMPONENT_VALTYPE_BOOL.value: Primitive.BOOL,
    c.WASMTIME_COMPONENT_VALTYPE_S8.value: Primitive.S8,
    c.WASMTIME_COMPONENT_VALTYPE_U8.value: Primitive.U8,
    c.WASMTIME_COMPONENT_VALTYPE_S16.value: Primitive.S16,
    c.WASMTIME_COMPONENT_VALTYPE_U16.value: Primitive.U16,
    c.WASMTIME_COMPONENT_VALTYPE_S32.value: Primitive.S32,
    c.WASMTIME_COMPONENT_VALTYPE_U32.value: Primitive.U32,
    c.WASMTIME_COMPONENT_VALTYPE_S64.value: Primitive.S64,
    c.WASMTIME_COMPONENT_VALTYPE_U64.value: Primitive.U64,
    c.WASMTIME_COMPONENT_VALTYPE_F32.value: Primitive.F32,
    c.WASMTIME_COMPONENT_VALTYPE_F64.value: Primitive.F64,
    c.WASMTIME_COMPONENT_VALTYPE_CHAR.value: Primitive.CHAR,
    c.WASMTIME_COMPONENT_VALTYPE_STRING.value: Primitive.STRING,
}


def _pointer(type: Any, address: int | None) -> Any:
    """A pointer as the wheel's bindings want it."""
    return ctypes.cast(address or 0, cast(Any, ctypes.POINTER(type)))


class _Unsupported(Exception):
    """The type takes part in asynchronous WIT, which has no place in the descriptors."""


@dataclass(frozen=True, slots=True)
class ComponentShape:
    """A component's type and what linking needs beside it.

    `world_resources` are resources imported directly by the world: they must be defined at the root.
    `guest_resources` are the resources that the component implements and exports, each once, by interface (None for
    the world) and name.
    `resource_drops` maps a resource's number to the added function that drops it, see `resource_drops`.
    """

    type: ComponentType
    world_resources: dict[str, int]
    guest_resources: tuple[tuple[str | None, str], ...]
    resource_drops: dict[int, str]


class _Resources:
    """Numbers resource types by identity; the first ones met are the imported ones."""

    def __init__(self) -> None:
        self._known: list[tuple[Any, bool, str | None]] = []
        self.importing = True

    def number(self, pointer: Any, name: str | None = None) -> int:
        """The number of a resource type. Takes the pointer over."""
        for number, (known, host, known_name) in enumerate(self._known):
            if c.wasmtime_component_resource_type_equal(known, pointer):
                c.wasmtime_component_resource_type_delete(pointer)
                if known_name is None and name is not None:
                    self._known[number] = (known, host, name)
                return number
        self._known.append((pointer, self.importing, name))
        return len(self._known) - 1

    def handle(self, pointer: Any, *, owned: bool) -> HandleType:
        number = self.number(pointer)
        _, host, name = self._known[number]
        return HandleType(resource=number, owned=owned, host=host, name=name)

    def is_host(self, number: int) -> bool:
        return self._known[number][1]

    def delete(self) -> None:
        for pointer, _, _ in self._known:
            c.wasmtime_component_resource_type_delete(pointer)
        self._known.clear()


def read_shape(component: int, engine: int) -> ComponentShape:
    """The shape of a compiled component (a wasmtime_component_t) of an engine (a wasm_engine_t)."""
    component_pointer = _pointer(c.wasmtime_component_t, component)
    engine_pointer = _pointer(c.wasm_engine_t, engine)
    resources = _Resources()
    component_type = c.wasmtime_component_type(component_pointer)
    try:
        imports, imported_functions, world_resources = _externs(
            component_type, "component_type_import", engine_pointer, resources
        )
        resources.importing = False
        exports, exported_functions, exported_resources = _externs(
            component_type, "component_type_export", engine_pointer, resources
        )
        guest = _guest_resources(exports, exported_resources, resources)
    finally:
        c.wasmtime_component_type_delete(component_type)
        resources.delete()
    drops = {
        handle.resource: name
        for name, type in exported_functions.items()
        if name.startswith(DROP_PREFIX) and isinstance(handle := type.parameters[0].type, HandleType)
    }
    for name in drops.values():
        del exported_functions[name]
    return ComponentShape(
        ComponentType(imports, imported_functions, exports, exported_functions), world_resources, guest, drops
    )


def _guest_resources(
    exports: dict[str, InterfaceType], exported: dict[str, int], resources: _Resources
) -> tuple[tuple[str | None, str], ...]:
    found: dict[int, tuple[str | None, str]] = {}
    for name, number in exported.items():
        found.setdefault(number, (None, name))
    for interface in exports.values():
        for name, number in interface.resources.items():
            found.setdefault(number, (interface.name, name))
    return tuple(place for number, place in found.items() if not resources.is_host(number))


def _externs(
    owner: Any, prefix: str, engine: Any, resources: _Resources
) -> tuple[dict[str, InterfaceType], dict[str, FunctionType], dict[str, int]]:
    interfaces: dict[str, InterfaceType] = {}
    functions: dict[str, FunctionType] = {}
    own_resources: dict[str, int] = {}
    for name, item in _items(owner, prefix, engine):
        kind = item.kind
        if kind == c.WASMTIME_COMPONENT_ITEM_COMPONENT_INSTANCE.value:
            instance = item.of.component_instance
            _, members, owned = _externs(instance, "component_instance_type_export", engine, resources)
            interfaces[name] = InterfaceType(name, members, owned)
            c.wasmtime_component_instance_type_delete(instance)
        elif kind == c.WASMTIME_COMPONENT_ITEM_COMPONENT_FUNC.value:
            pointer = item.of.component_func
            try:
                functions[name] = _function(pointer, resources)
            except _Unsupported as reason:
                logger.info("function %s uses %s and is left out", name, reason)
            finally:
                c.wasmtime_component_func_type_delete(pointer)
        elif kind == c.WASMTIME_COMPONENT_ITEM_RESOURCE.value:
            own_resources[name] = resources.number(item.of.resource, name)
        else:
            c.wasmtime_component_item_delete(byref(item))
    return interfaces, functions, own_resources


def _items(owner: Any, prefix: str, engine: Any) -> Iterator[tuple[str, Any]]:
    count = getattr(c, f"wasmtime_{prefix}_count")(owner, engine)
    nth = getattr(c, f"wasmtime_{prefix}_nth")
    found: list[tuple[str, Any]] = []
    for index in range(count):
        name, size = ctypes.POINTER(ctypes.c_char)(), ctypes.c_size_t()
        extern = _pointer(c.wasmtime_component_extern_t, None)
        if not nth(owner, engine, index, byref(name), byref(size), byref(extern)):
            continue
        item = c.wasmtime_component_item_t()
        c.wasmtime_component_extern_type(extern, byref(item))
        c.wasmtime_component_extern_delete(extern)
        found.append((ctypes.string_at(name, size.value).decode(), item))
    # Resources first, functions last: resources give the handles in functions their names.
    order = {c.WASMTIME_COMPONENT_ITEM_RESOURCE.value: 0, c.WASMTIME_COMPONENT_ITEM_COMPONENT_FUNC.value: 2}
    found.sort(key=lambda entry: order.get(entry[1].kind, 1))
    return iter(found)


def _function(pointer: Any, resources: _Resources) -> FunctionType:
    if c.wasmtime_component_func_type_async(pointer):
        raise _Unsupported("the asynchronous calling convention")
    parameters: list[Parameter] = []
    for index in range(c.wasmtime_component_func_type_param_count(pointer)):
        name, size = ctypes.POINTER(ctypes.c_char)(), ctypes.c_size_t()
        valtype = c.wasmtime_component_valtype_t()
        c.wasmtime_component_func_type_param_nth(pointer, index, byref(name), byref(size), byref(valtype))
        parameter = ctypes.string_at(name, size.value).decode()
        parameters.append(Parameter(parameter, _valtype(valtype, resources)))
    valtype = c.wasmtime_component_valtype_t()
    has_result = c.wasmtime_component_func_type_result(pointer, byref(valtype))
    return FunctionType(tuple(parameters), _valtype(valtype, resources) if has_result else None)


def _valtype(valtype: Any, resources: _Resources) -> WitType:
    """The descriptor of a wasmtime_component_valtype_t, which is freed."""
    primitive = _PRIMITIVES.get(valtype.kind)
    if primitive is not None:
        return primitive
    read = _READERS.get(valtype.kind)
    if read is None:
        c.wasmtime_component_valtype_delete(byref(valtype))
        raise _Unsupported("a future, stream, map or error-context type")
    if read is _own or read is _borrow:  # these take the pointer over
        return read(valtype.of, resources)
    try:
        return read(valtype.of, resources)
    finally:
        c.wasmtime_component_valtype_delete(byref(valtype))


def _part(get: Callable[..., Any], *arguments: Any, resources: _Resources) -> WitType:
    valtype = c.wasmtime_component_valtype_t()
    get(*arguments, byref(valtype))
    return _valtype(valtype, resources)


def _list(of: Any, resources: _Resources) -> WitType:
    return ListType(_part(c.wasmtime_component_list_type_element, of.list, resources=resources))


def _record(of: Any, resources: _Resources) -> WitType:
    fields: list[Field] = []
    for index in range(c.wasmtime_component_record_type_field_count(of.record)):
        name, size = ctypes.POINTER(ctypes.c_char)(), ctypes.c_size_t()
        valtype = c.wasmtime_component_valtype_t()
        c.wasmtime_component_record_type_field_nth(of.record, index, byref(name), byref(size), byref(valtype))
        field = ctypes.string_at(name, size.value).decode()
        fields.append(Field(field, _valtype(valtype, resources)))
    return RecordType(tuple(fields))


def _tuple(of: Any, resources: _Resources) -> WitType:
    nth = c.wasmtime_component_tuple_type_types_nth
    count = c.wasmtime_component_tuple_type_types_count(of.tuple)
    return TupleType(tuple(_part(nth, of.tuple, index, resources=resources) for index in range(count)))


def _variant(of: Any, resources: _Resources) -> WitType:
    cases: list[Case] = []
    for index in range(c.wasmtime_component_variant_type_case_count(of.variant)):
        name, size = ctypes.POINTER(ctypes.c_char)(), ctypes.c_size_t()
        has_payload, valtype = ctypes.c_bool(), c.wasmtime_component_valtype_t()
        c.wasmtime_component_variant_type_case_nth(
            of.variant, index, byref(name), byref(size), byref(has_payload), byref(valtype)
        )
        case = ctypes.string_at(name, size.value).decode()
        cases.append(Case(case, _valtype(valtype, resources) if has_payload.value else None))
    return VariantType(tuple(cases))


def _names(pointer: Any, count: Callable[[Any], int], nth: Callable[..., Any]) -> tuple[str, ...]:
    names: list[str] = []
    for index in range(count(pointer)):
        name, size = ctypes.POINTER(ctypes.c_char)(), ctypes.c_size_t()
        nth(pointer, index, byref(name), byref(size))
        names.append(ctypes.string_at(name, size.value).decode())
    return tuple(names)


def _enum(of: Any, resources: _Resources) -> WitType:
    count, nth = c.wasmtime_component_enum_type_names_count, c.wasmtime_component_enum_type_names_nth
    return EnumType(_names(of.enum_, count, nth))


def _flags(of: Any, resources: _Resources) -> WitType:
    count, nth = c.wasmtime_component_flags_type_names_count, c.wasmtime_component_flags_type_names_nth
    return FlagsType(_names(of.flags, count, nth))


def _option(of: Any, resources: _Resources) -> WitType:
    return OptionType(_part(c.wasmtime_component_option_type_ty, of.option, resources=resources))


def _result(of: Any, resources: _Resources) -> WitType:
    arms: list[WitType | None] = []
    for get in (c.wasmtime_component_result_type_ok, c.wasmtime_component_result_type_err):
        valtype = c.wasmtime_component_valtype_t()
        arms.append(_valtype(valtype, resources) if get(of.result, byref(valtype)) else None)
    return ResultType(arms[0], arms[1])


def _own(of: Any, resources: _Resources) -> WitType:
    return resources.handle(of.own, owned=True)


def _borrow(of: Any, resources: _Resources) -> WitType:
    return resources.handle(of.borrow, owned=False)


_READERS: dict[int, Callable[[Any, _Resources], WitType]] = {
    c.WASMTIME_COMPONENT_VALTYPE_LIST.value: _list,
    c.WASMTIME_COMPONENT_VALTYPE_RECORD.value: _record,
    c.WASMTIME_COMPONENT_VALTYPE_TUPLE.value: _tuple,
    c.WASMTIME_COMPONENT_VALTYPE_VARIANT.value: _variant,
    c.WASMTIME_COMPONENT_VALTYPE_ENUM.value: _enum,
    c.WASMTIME_COMPONENT_VALTYPE_FLAGS.value: _flags,
    c.WASMTIME_COMPONENT_VALTYPE_OPTION.value: _option,
    c.WASMTIME_COMPONENT_VALTYPE_RESULT.value: _result,
    c.WASMTIME_COMPONENT_VALTYPE_OWN.value: _own,
    c.WASMTIME_COMPONENT_VALTYPE_BORROW.value: _borrow,
}
