"""Writes component text around a core module: its imports, found by what the code calls, and its exports.

A guest is the text of a core module's fields and a table of exported functions. Its code calls host functions by label,
and nothing else has to be said about them:

    (call $wall-clock.now (i32.const 32))          a function: last part of the interface, function
    (call $output-stream.subscribe (local.get $s)) a method: resource, method
    (call $fields.new)                             a constructor
    (call $descriptor.drop (local.get $d))         drops a handle of an imported resource

Parameters and results are those of the canonical ABI: more than 16 flat parameters or more than one flat result go
through memory. What the module may use besides: `$memory` (data below 65536 is its own), and `$free-all`, to be called
at the end of every exported function, which frees whatever the host has put into memory.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.guests.echo import MEMORY
from tests.guests.imports import Import, Interface
from tests.guests.rpc_imports import INTERFACES

_OPTIONS = "(memory (core memory $mem)) (realloc (core func $realloc))"
_BUILTINS = ("new", "rep", "drop")
_CALL = re.compile(r"\(call \$([a-z0-9-]+\.[a-z0-9-]+)")


@dataclass(frozen=True)
class Guest:
    """A component in the making.

    `core` are the fields of the core module, which exports a function for each key of `functions`; its value is the
    component type's fields (`(param "n" u64) (result string)`). `types` are named types of the exported interface and
    `resources` its resource types; as WIT wants, both are known by `$name` in `functions`. A resource named `cart` has
    the core functions `$cart.new` (representation to handle), `$cart.rep` and `$cart.drop` (of a handle), and the
    module exports its destructor as `cart.drop`.
    """

    interface: str
    functions: Mapping[str, str]
    core: str
    types: Mapping[str, str] = field(default_factory=dict[str, str])
    resources: tuple[str, ...] = ()

    def text(self) -> str:
        """The component as text."""
        labels = sorted(set(_CALL.findall(self.core)))
        own = {f"{resource}.{builtin}" for resource in self.resources for builtin in _BUILTINS}
        imports = [_import(label) for label in labels if label not in own]
        parts = ["(component $guest"]
        parts += _instances(imports)
        parts.append(MEMORY)
        parts += [_lowered(interface, imported) for interface, imported in imports]
        parts += self._resources()
        parts.append(self._module([imported for _, imported in imports]))
        parts += self._exports()
        return "\n".join(parts) + ")"

    def _resources(self) -> list[str]:
        parts: list[str] = []
        for resource in self.resources:
            # The destructor is needed before the module that has it: it is called through a table filled later.
            parts += [
                f"""(core module $destructor-of-{resource}
                  (type $destructor (func (param i32)))
                  (table (export "table") 1 1 funcref)
                  (func (export "drop") (param i32)
                    (call_indirect (type $destructor) (local.get 0) (i32.const 0))))
                (core module $fill-{resource}
                  (import "" "table" (table 1 1 funcref))
                  (import "" "drop" (func $drop (param i32)))
                  (elem (i32.const 0) func $drop))
                (core instance $destructor-of-{resource} (instantiate $destructor-of-{resource}))
                (alias core export $destructor-of-{resource} "drop" (core func $drop-{resource}))
                (type ${resource} (resource (rep i32) (dtor (core func $drop-{resource}))))
                (core func ${resource}.new (canon resource.new ${resource}))
                (core func ${resource}.rep (canon resource.rep ${resource}))
                (core func ${resource}.drop (canon resource.drop ${resource}))"""
            ]
        return parts

    def _module(self, imports: list[Import]) -> str:
        own = [f"{resource}.{builtin}" for resource in self.resources for builtin in _BUILTINS]
        signatures = {imported.label: imported.core for imported in imports}
        signatures |= {name: "(param i32)" if name.endswith(".drop") else "(param i32) (result i32)" for name in own}
        names = list(signatures)
        exports = [f'(export "{name}" (func ${name}))' for name in names]
        lines = ["(core module $module"]
        lines += [f'(import "host" "{name}" (func ${name} {signatures[name]}))' for name in names]
        lines += [
            '(import "memory" "memory" (memory $memory 2))',
            '(import "memory" "free-all" (func $free-all))',
            f"{self.core})",
            f"(core instance $host {' '.join(exports)})",
            '(core instance $i (instantiate $module (with "host" (instance $host)) (with "memory" (instance $m))))',
        ]
        lines += [
            f"""(core instance (instantiate $fill-{resource} (with "" (instance
                  (export "table" (table $destructor-of-{resource} "table"))
                  (export "drop" (func $i "{resource}.drop"))))))"""
            for resource in self.resources
        ]
        return "\n".join(lines)

    def _exports(self) -> list[str]:
        parts = [f"(type ${name} {text})" for name, text in self.types.items()]
        if self.resources:
            return parts + self._shim()
        exported = [f'(export "{name}" (type ${name}))' for name in self.types]
        for name, type in self.functions.items():
            parts.append(self._lift(name, type))
            exported.append(f'(export "{name}" (func $lifted-{name}))')
        return [*parts, f'(instance $exported {" ".join(exported)}) (export "{self.interface}" (instance $exported))']

    def _lift(self, name: str, type: str) -> str:
        lifted = f'(canon lift (core func $i "{name}") {_OPTIONS})'
        return f"(func {_lifted(name)} {type} {lifted})"

    def _shim(self) -> list[str]:
        # The functions of a resource must name the resource as it is exported, which only a component around them can.
        inner, given, parts = ["(component $shim"], list[str](), list[str]()
        for resource in self.resources:
            inner.append(f'(import "{resource}-type" (type $inner-{resource} (sub resource)))')
            given.append(f'(with "{resource}-type" (type ${resource}))')
        for number, (name, type) in enumerate(self.functions.items()):
            parts.append(self._lift(name, type))
            inner_type = self._renamed(type, "inner-")
            inner.append(f'(import "function-{number}" (func {_lifted(name)} {inner_type}))')
            given.append(f'(with "function-{number}" (func {_lifted(name)}))')
        inner += [f'(export $outer-{resource} "{resource}" (type $inner-{resource}))' for resource in self.resources]
        for name, type in self.functions.items():
            inner.append(f'(export "{name}" (func {_lifted(name)}) (func {self._renamed(type, "outer-")}))')
        return [
            *parts,
            *inner,
            ")",
            f"(instance $exported (instantiate $shim {' '.join(given)}))",
            f'(export "{self.interface}" (instance $exported))',
        ]

    def _renamed(self, type: str, prefix: str) -> str:
        for resource in self.resources:
            type = re.sub(rf"\${resource}\b", f"${prefix}{resource}", type)
        return type


def _lifted(name: str) -> str:
    return "$lifted-" + name.replace("[", "").replace("]", "-")


def _import(label: str) -> tuple[Interface, Import]:
    for interface in INTERFACES:
        imported = interface.find(label)
        if imported is not None:
            return interface, imported
    raise KeyError(f"no interface in tests/guests/imports.py has {label}")


def _instances(imports: list[tuple[Interface, Import]]) -> list[str]:
    """Import the interfaces and those whose types they use, in an order in which each type exists before it is used."""
    needed: set[str] = set()

    def need(interface: Interface) -> None:
        needed.add(interface.name)
        for used in interface.uses:
            need(next(other for other in INTERFACES if other.name == used.partition(".")[0]))

    called: dict[str, list[str]] = {}
    for interface, imported in imports:
        need(interface)
        if imported.function is not None:
            called.setdefault(interface.name, []).append(imported.function)
    return [
        interface.declaration(called.get(interface.name, ())) for interface in INTERFACES if interface.name in needed
    ]


def _lowered(interface: Interface, imported: Import) -> str:
    if imported.function is None:
        return f"(core func ${imported.label} (canon resource.drop ${interface.name}.{imported.resource}))"
    lowered = f'(canon lower (func ${interface.name} "{imported.function}") {_OPTIONS})'
    return f"(core func ${imported.label} {lowered})"
