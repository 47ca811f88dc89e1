"""What a script may call of a component, and the enums and variants whose cases it may name.

A function is called by its short name on an instance. Where several interfaces export it, the script says which, by
`[interface]`, `[ns:pkg]` or `[ns:pkg/interface]`, at the call or when it makes the instance (reference gateway, 2.5).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from golem_server.gateway.rib.terms import case_payloads, named_types
from golem_server.model.errors import InvalidInput
from golem_server.model.function_names import parse_function_name, resolve
from golem_server.model.json_values import contains_handles
from golem_server.model.types import (
    ComponentType,
    EnumType,
    FunctionType,
    HandleType,
    Parameter,
    VariantType,
)

_VERSION = re.compile(r"@[^/]*")


@dataclass(frozen=True, slots=True)
class AgentConstructor:
    """A type of agents: a script makes one by a call of its name (in kebab case), and calls `interface`'s functions."""

    name: str
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True, slots=True)
class Callee:
    """A function to call. `name` is the full one to send, `[method]cart.add` of an interface in the form `i.{...}`."""

    interface: str | None
    raw: str
    type: FunctionType

    @property
    def name(self) -> str:
        """The full name: `ns:pkg/interface.{function}`."""
        return self.raw if self.interface is None else f"{self.interface}.{{{self.raw}}}"

    @property
    def gives_handle(self) -> bool:
        """Whether its result is a resource."""
        return isinstance(self.type.result, HandleType)

    @property
    def takes_handles(self) -> bool:
        """Whether a resource is a parameter or a part of one."""
        return any(contains_handles(parameter.type) for parameter in self.type.parameters)

    @property
    def is_constructor(self) -> bool:
        """Whether it makes a resource."""
        return self.raw.startswith("[constructor]")


class NoCallee(Exception):
    """There is no such function, or more than one; the text says which there are."""


class Exports:
    """The exports of a component, or none where a script must not call anything."""

    def __init__(self, component: ComponentType | None, agents: Sequence[AgentConstructor] = ()) -> None:
        self.component = component
        self.agents = {agent.name: agent for agent in agents}
        self._functions: dict[str, list[Callee]] = {}
        self._resources: dict[tuple[str, str], int] = {}
        everything: list[Callee] = []
        if component is not None:
            everything += [Callee(None, name, type_) for name, type_ in component.exported_functions.items()]
            for interface in component.exports.values():
                everything += [Callee(interface.name, raw, type_) for raw, type_ in interface.functions.items()]
                self._resources |= {(interface.name, name): number for name, number in interface.resources.items()}
        for callee in everything:
            if not callee.raw.startswith(("[method]", "[static]")):
                self._functions.setdefault(callee.raw.removeprefix("[constructor]"), []).append(callee)
        signatures = [callee.type for callee in everything]
        self.named_types: list[EnumType | VariantType] = list(
            named_types([part for type_ in signatures for part in (*(p.type for p in type_.parameters), type_.result)])
        )
        cases = [item for type_ in self.named_types for item in case_payloads(type_).items()]
        self.bare_cases = {name for name, payload in cases if payload is None}
        self.payload_cases = {name for name, payload in cases if payload is not None}

    def has_function(self, name: str) -> bool:
        """Whether the world itself exports a function of this name."""
        return self.component is not None and name in self.component.exported_functions

    def allows(self, restriction: str) -> bool:
        """Whether any exported interface fits a type parameter."""
        return self.component is not None and any(_fits(name, restriction) for name in self.component.exports)

    def function(self, name: str, restrictions: Sequence[str | None]) -> Callee:
        """The function or constructor of this short name that fits all the type parameters. Raises NoCallee."""
        given = [restriction for restriction in restrictions if restriction is not None]
        found = [
            callee
            for callee in self._functions.get(name, [])
            if not given or (callee.interface is not None and all(_fits(callee.interface, text) for text in given))
        ]
        if not found:
            where = f" in `{given[-1]}`" if given else ""
            raise NoCallee(f"function '{name}' not found{where}")
        if len(found) > 1:
            raise NoCallee(_ambiguity(name, [callee.interface or "" for callee in found]))
        return found[0]

    def resource(self, name: str, restriction: str | None) -> str:
        """The interface that has the resource. Raises NoCallee."""
        found = [
            interface
            for interface, resource in self._resources
            if resource == name and (restriction is None or _fits(interface, restriction))
        ]
        if not found:
            raise NoCallee(f"resource '{name}' not found")
        if len(found) > 1:
            raise NoCallee(_ambiguity(name, found))
        return found[0]

    def static(self, interface: str, resource: str, name: str) -> Callee:
        """A function of a resource that needs no instance of it; `new` is its constructor. Raises NoCallee."""
        raw = f"[constructor]{resource}" if name == "new" else f"[static]{resource}.{name}"
        return self._member(interface, raw, name)

    def method(self, handle: HandleType, name: str) -> Callee:
        """A method of a resource, or `drop`. Raises NoCallee."""
        for (interface, resource), number in self._resources.items():
            if number == handle.resource and not handle.host:
                try:
                    return self._member(interface, f"[method]{resource}.{name}", name)
                except NoCallee:
                    if name != "drop":
                        raise
                own = HandleType(number, owned=True, host=False, name=resource)
                return Callee(interface, f"[drop]{resource}", FunctionType((Parameter("self", own),), None))
        raise NoCallee(f"function '{name}' not found")

    def _member(self, interface: str, raw: str, name: str) -> Callee:
        functions = {} if self.component is None else self.component.exports[interface].functions
        if raw not in functions:
            raise NoCallee(f"function '{name}' not found")
        return Callee(interface, raw, functions[raw])

    def by_full_name(self, text: str) -> Callee:
        """The function that is called without an instance, by its full name. Raises NoCallee."""
        if self.component is None:
            raise NoCallee(f"function '{text}' not found")
        try:
            found = resolve(parse_function_name(text), self.component, text)
        except InvalidInput as error:
            raise NoCallee(error.message) from None
        return Callee(found.interface, found.function, found.type)


def _package(interface: str) -> str:
    return interface.partition("/")[0] if "/" in interface else ""


def _fits(interface: str, restriction: str) -> bool:
    """Whether an interface (`ns:pkg/name@1.0.0`) is one that a type parameter names, with or without its version."""
    version = _version(restriction)
    if version and version != _version(interface):
        return False
    name, wanted = _VERSION.sub("", interface), _VERSION.sub("", restriction)
    if "/" in wanted:
        return name == wanted
    return _package(name) == wanted if ":" in wanted else name.rpartition("/")[2] == wanted


def _version(name: str) -> str:
    found = _VERSION.findall(name)
    return found[-1] if found else ""


def _ambiguity(name: str, interfaces: Sequence[str]) -> str:
    names = [_VERSION.sub("", interface) for interface in interfaces]
    packages = sorted({_package(interface) for interface in names})
    if len(packages) > 1:
        choices = ", ".join(package or "the world" for package in packages)
        return (
            f"function '{name}' exists in multiple packages. specify a package name as type parameter from: {choices}"
        )
    shown = sorted({interface.rpartition("/")[2] for interface in names})
    if len(shown) == 1:
        shown = sorted(interfaces)
    return (
        f"multiple interfaces contain function '{name}'. "
        f"specify an interface name as type parameter from: {', '.join(shown)}"
    )
