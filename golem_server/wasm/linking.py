"""Gives a component its imports: one linker per component, each import under its exact name.

wasmtime's linker takes `golem:api@1.1.6` and `@1.5.0` for the same interface although their functions differ, so no
linker is shared between components. A function that nobody provides becomes one that traps with its name when it is
called: a component that never calls it runs.
"""

from __future__ import annotations

import ctypes
import logging
from collections.abc import Callable, Coroutine
from ctypes import c_void_p
from types import CoroutineType
from typing import Any, Protocol, TypeAlias, cast

from golem_server.model.types import ComponentType, FunctionType, HandleType, Parameter
from golem_server.wasm import native
from golem_server.wasm.code_cache import CompiledComponent
from golem_server.wasm.converters import ExportConverters, ImportConverters
from golem_server.wasm.engine import Engine
from golem_server.wasm.errors import InvalidComponent, NoSuchExport, UnknownImport
from golem_server.wasm.fiber import STORES, HostCall, Started
from golem_server.wasm.native import DONE, IS_DONE, WORDS

logger = logging.getLogger(__name__)

HostImport: TypeAlias = Callable[..., Any]
"""`f(context, *arguments)`: gives the result, or a coroutine of it, which is awaited on the event loop."""


class Resolver(Protocol):
    """Says which host function serves an import."""

    def function(self, interface: str, name: str, type: FunctionType) -> HostImport | None:
        """The function for an import, None if there is none.

        `interface` is the full imported name with its version (`wasi:cli/environment@0.2.3`), empty for a function
        imported directly by the world; `name` is the raw WIT name (`[method]input-stream.read`).
        """
        ...


class LinkedExport:
    """An exported function of a linked component: where it is, and its converters."""

    __slots__ = ("converters", "index", "name", "type")

    def __init__(self, index: int, type: FunctionType, name: str) -> None:
        self.index = index
        self.type = type
        self.name = name
        self.converters = ExportConverters(type)

    def __del__(self) -> None:
        native.export_index_delete(self.index)


class LinkedComponent:
    """A component with all its imports defined, ready to be instantiated any number of times.

    Raises InvalidComponent if its imports cannot be defined.
    """

    def __init__(self, engine: Engine, compiled: CompiledComponent, resolver: Resolver) -> None:
        self.engine = engine
        self.compiled = compiled
        self.type: ComponentType = compiled.type
        self._resolver = resolver
        self._callbacks: list[Any] = []  # called by wasmtime for as long as the linker lives
        self._exports: dict[tuple[str | None, str], LinkedExport] = {}
        self.linker: int = native.linker_new(engine.address)
        self._define_all()

    def export(self, interface: str | None, function: str) -> LinkedExport:
        """An exported function; `interface` is its full name, None for one exported directly by the world.

        Raises NoSuchExport.
        """
        found = self._exports.get((interface, function))
        if found is None:
            found = self._exports[interface, function] = self._find_export(interface, function)
        return found

    def resource_drop(self, number: int) -> LinkedExport | None:
        """The function that drops resources of the guest's type with this number, if it could be added."""
        name = self.compiled.shape.resource_drops.get(number)
        if name is None:
            return None
        found = self._exports.get((None, name))
        if found is None:
            handle = HandleType(number, owned=True, host=False)
            type = FunctionType((Parameter("resource", handle),), None)
            found = self._exports[None, name] = self._locate(None, name, type, name)
        return found

    def _find_export(self, interface: str | None, function: str) -> LinkedExport:
        if interface is None:
            members, full_name = self.type.exported_functions, function
        else:
            exported = self.type.exports.get(interface)
            members, full_name = exported.functions if exported else {}, f"{interface}.{{{function}}}"
        type = members.get(function)
        if type is None:
            raise NoSuchExport(f"The component exports no function {full_name}")
        return self._locate(interface, function, type, full_name)

    def _locate(self, interface: str | None, function: str, type: FunctionType, full_name: str) -> LinkedExport:
        parent = 0
        if interface is not None:
            encoded = interface.encode()
            parent = native.component_export_index(self.compiled.address, 0, encoded, len(encoded))
        encoded = function.encode()
        index = native.component_export_index(self.compiled.address, parent, encoded, len(encoded))
        if parent:
            native.export_index_delete(parent)
        return LinkedExport(index, type, full_name)

    def _define_all(self) -> None:
        root = native.linker_root(self.linker)
        try:
            for name, number in self.compiled.shape.world_resources.items():
                self._define_resource(root, name, number)
            for name, type in self.type.imported_functions.items():
                self._define_function(root, "", name, type)
            for interface in self.type.imports.values():
                encoded = interface.name.encode()
                cell = native.Cell(1)
                _check(native.linker_add_instance(root, encoded, len(encoded), cell.address))
                instance = WORDS[cell.word]
                try:
                    for name, number in interface.resources.items():
                        self._define_resource(instance, name, number)
                    for name, type in interface.functions.items():
                        self._define_function(instance, interface.name, name, type)
                finally:
                    native.linker_instance_delete(instance)
        finally:
            native.linker_instance_delete(root)
        # What introspection leaves out (asynchronous functions) must exist too.
        _check(native.linker_trap_unknown(self.linker, self.compiled.address))

    def _define_function(self, instance: int, interface: str, name: str, type: FunctionType) -> None:
        host = self._resolver.function(interface, name, type)
        if host is None:
            logger.debug("nobody provides %s.{%s}", interface, name)
            host = _unknown(interface, name)
        callback = _callback(host, ImportConverters(type))
        self._callbacks.append(callback)
        encoded = name.encode()
        _check(native.linker_add_func_async(instance, encoded, len(encoded), ctypes.cast(callback, c_void_p), 0, 0))

    def _define_resource(self, instance: int, name: str, number: int) -> None:
        encoded = name.encode()
        type = native.resource_type_new_host(number)
        destructor = ctypes.cast(_destroy, c_void_p)
        error = native.linker_add_resource(instance, encoded, len(encoded), type, destructor, 0, 0)
        native.resource_type_delete(type)
        _check(error)

    def __del__(self) -> None:
        linker: int = getattr(self, "linker", 0)
        if linker:
            native.linker_delete(linker)
            self.linker = 0


def _check(error: int | None) -> None:
    if error:
        raise InvalidComponent(f"The component's imports cannot be defined: {native.take_message(error)}")


def _unknown(interface: str, name: str) -> HostImport:
    def unknown(context: object, *arguments: object) -> None:
        raise UnknownImport(interface, name)

    return unknown


def _callback(host: HostImport, converters: ImportConverters) -> Any:
    """What wasmtime calls for an import.

    On the event loop's thread the host function runs at once; a coroutine is run up to its first real wait, so that one
    that waits for nothing costs no suspension. In a pool thread nothing of the host runs: the call is noted and the
    guest suspended, and the event loop takes over.
    """
    lift, lower = converters.lift_parameters, converters.lower_result

    def call(
        data: int,
        context: int,
        type_: int,
        arguments: int,
        argument_count: int,
        results: int,
        result_count: int,
        error: int,
        continuation: int,
    ) -> None:
        answer = continuation >> 3
        WORDS[answer] = IS_DONE
        WORDS[answer + 2] = 0
        fiber = STORES[context]
        try:
            values = lift(arguments >> 3, fiber)
            if fiber.in_pool or fiber.heavy:
                WORDS[answer + 1] = fiber.suspend(HostCall(host, values, None, lower, results >> 3))
                return
            fiber.host_calls += 1
            value = host(fiber.context, *values)
            if type(value) is CoroutineType:
                coroutine = cast("Coroutine[Any, Any, Any]", value)
                try:
                    waits_for = coroutine.send(None)
                except StopIteration as stop:
                    value = stop.value
                else:
                    started = Started(coroutine, waits_for)
                    WORDS[answer + 1] = fiber.suspend(HostCall(host, values, started, lower, results >> 3))
                    return
            lower(value, results >> 3, fiber)
            WORDS[answer + 1] = DONE
        except BaseException as failure:  # whatever it is, it must not be lost in a C callback
            WORDS[answer + 1] = DONE
            WORDS[error >> 3] = fiber.fail(failure)

    return native.HostCallback(call)


def _on_drop(data: int, context: int, rep: int) -> int:
    fiber = STORES[context]
    try:
        fiber.resource_dropped(rep)
    except BaseException as failure:
        return fiber.fail(failure)
    return 0


_destroy = native.ResourceDestructor(_on_drop)
