"""The `function` of an invocation: its grammar, and the export that it names.

    name     := identifier                                  a function exported directly by the world
              | [ns ":" pkg "/"] iface ["@" semver] "." "{" ref "}"
    ref      := identifier
              | res ".new"    | "[constructor]" res
              | res ".drop"   | "[drop]" res
              | res "." meth  | "[method]" res "." meth
              | "[static]" res "." meth
              | res "(" args ")" "." ("new" | "drop" | meth)  |  "[static]" res "(" args ")" "." meth

(reference: rest-api, section 4). The last line is that of indexed resources: the pair of the resource's name and the
texts of the arguments names one instance in the worker, which is constructed with them when there is none yet.

An interface is named exactly as it is exported; without a version it may also be the only exported version. The
functions that the server adds to a component (`virtual_exports`) are found like its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import cached_property

from golem_server.model.errors import InvalidInput
from golem_server.model.json_values import SignatureJson
from golem_server.model.types import ComponentType, FunctionType, HandleType, InterfaceType, Parameter, Value
from golem_server.model.virtual_exports import virtual_exports
from golem_server.model.wave import parse_wave, split_arguments

MAX_FUNCTION_NAME = 16 * 1024
"""Characters of a function name; the arguments of an indexed resource are part of it."""

_CACHED_NAMES = 1024

_IDENTIFIER = r"[A-Za-z0-9-]+"
_SEMVER = (
    r"(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)\.(?:0|[1-9]\d*)"
    r"(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
)
_WORLD = re.compile(_IDENTIFIER, re.ASCII)
_INTERFACE = re.compile(rf"(?:{_IDENTIFIER}:{_IDENTIFIER}/)?{_IDENTIFIER}(?:@{_SEMVER})?", re.ASCII)
_REFERENCE = re.compile(
    rf"(?P<tag>\[(?:constructor|drop|method|static)\])?(?P<first>{_IDENTIFIER})"
    rf"(?:\((?P<arguments>.*)\))?(?:\.(?P<member>{_IDENTIFIER}))?",
    re.ASCII | re.DOTALL,
)


class Operation(Enum):
    """What calling the function does."""

    CALL = "call"
    CONSTRUCT = "construct"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class FunctionName:
    """A function name after parsing.

    `interface` is the name as written, None for a function of the world. `candidates` are the raw WIT names to look
    for, in this order. `resource` is given where the name speaks of one, `arguments` (texts) where it is indexed.
    """

    interface: str | None
    candidates: tuple[str, ...]
    operation: Operation = Operation.CALL
    resource: str | None = None
    arguments: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class IndexedResource:
    """The instance on which an indexed function works.

    `resource` and `arguments` (their texts) are its identity within the worker. `constructor` is the raw name of the
    constructor in the same interface, `values` what to call it with when there is no such instance.
    """

    resource: str
    arguments: tuple[str, ...]
    constructor: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class ResolvedFunction:
    """An export of a component.

    `interface` is the full name as exported, None for the world; `function` is the raw WIT name (`[method]cart.add`,
    for DROP `[drop]cart`, which is no export), `type` its signature; that of a drop takes the handle and gives nothing.
    `behind` is the exported interface that carries it out, where `interface` is one that the server adds.
    """

    interface: str | None
    function: str
    type: FunctionType
    operation: Operation = Operation.CALL
    indexed: IndexedResource | None = None
    behind: str | None = None

    @property
    def exported_interface(self) -> str | None:
        """The interface in which the component itself has the function."""
        return self.interface if self.behind is None else self.behind

    @property
    def export_name(self) -> str:
        """The name as an oplog and an answer write it: `ns:p/i.{[method]cart.add}`."""
        return self.function if self.interface is None else f"{self.interface}.{{{self.function}}}"

    @property
    def given_parameters(self) -> tuple[Parameter, ...]:
        """The parameters that the caller gives: without the handle, and the constructor's, of an indexed resource."""
        if self.indexed is None:
            return self.type.parameters
        if self.operation is not Operation.CALL:
            return ()
        return self.type.parameters[1:] if self.function.startswith("[method]") else self.type.parameters

    @cached_property
    def json(self) -> SignatureJson:
        """Reads the JSON of the given parameters and writes that of the result. Compiled once."""
        return SignatureJson(FunctionType(self.given_parameters, self.type.result))


def parse_function_name(text: str) -> FunctionName:
    """Read a function name. Raises InvalidInput that says what does not fit the grammar."""
    if len(text) > MAX_FUNCTION_NAME:
        raise _invalid(text, f"it is longer than {MAX_FUNCTION_NAME} characters")
    if _WORLD.fullmatch(text):
        return FunctionName(None, (text,))
    interface, separator, rest = text.partition(".{")
    if not separator:
        raise _invalid(text, "expected a name, or an interface with the function in braces: ns:pkg/interface.{name}")
    if not _INTERFACE.fullmatch(interface):
        raise _invalid(text, "expected an interface such as ns:pkg/interface or ns:pkg/interface@1.0.0 before the dot")
    if not rest.endswith("}"):
        raise _invalid(text, "expected } at the end")
    reference = _REFERENCE.fullmatch(rest[:-1])
    if reference is None:
        raise _invalid(text, "expected a function, resource.new, resource.drop or resource.method within the braces")
    tag, first, member = reference["tag"], reference["first"], reference["member"]
    arguments = None
    if reference["arguments"] is not None:
        try:
            arguments = tuple(split_arguments(reference["arguments"]))
        except InvalidInput as error:
            raise _invalid(text, error.message) from None
    return _reference(text, interface, tag, first, member, arguments)


def _reference(
    text: str, interface: str, tag: str | None, first: str, member: str | None, arguments: tuple[str, ...] | None
) -> FunctionName:
    constructor = FunctionName(interface, (f"[constructor]{first}",), Operation.CONSTRUCT, first, arguments)
    drop = FunctionName(interface, (), Operation.DROP, first, arguments)
    if tag in ("[constructor]", "[drop]"):
        if member is not None or arguments is not None:
            raise _invalid(text, f"expected only the name of a resource after {tag}")
        return constructor if tag == "[constructor]" else drop
    if member is None:
        if tag is not None or arguments is not None:
            raise _invalid(text, "expected the name of a method after the resource")
        return FunctionName(interface, (first,))
    if tag is None and member == "new":
        return constructor
    if tag is None and member == "drop":
        return drop
    method, static = f"[method]{first}.{member}", f"[static]{first}.{member}"
    candidates = (static,) if tag == "[static]" else (method, static)
    return FunctionName(interface, candidates, Operation.CALL, first, arguments)


def _invalid(text: str, reason: str) -> InvalidInput:
    return InvalidInput(f"Invalid request: Invalid function name {text[:200]}: {reason}")


class FunctionResolver:
    """Finds the exports of one component by function name, and remembers the names that were asked for."""

    def __init__(self, component: ComponentType) -> None:
        self.component = component
        self._resolved: dict[str, ResolvedFunction] = {}

    def resolve(self, text: str) -> ResolvedFunction:
        """The export that a function name means. Raises InvalidInput if the name is wrong or there is none."""
        resolved = self._resolved.get(text)
        if resolved is None:
            resolved = resolve(parse_function_name(text), self.component, text)
            # Arguments of indexed resources make the number of names unbounded; beginning anew is cheap.
            if len(self._resolved) >= _CACHED_NAMES:
                self._resolved.clear()
            self._resolved[text] = resolved
        return resolved


def resolve(name: FunctionName, component: ComponentType, text: str) -> ResolvedFunction:
    """The export that a parsed name means; `text` is the name in messages. Raises InvalidInput if there is none."""
    missing = InvalidInput(f"Invalid request: Can't find exported function in component ({text[:200]})")
    if name.interface is None:
        function = component.exported_functions.get(name.candidates[0])
        if function is None:
            raise missing
        return ResolvedFunction(None, name.candidates[0], function)
    interface = _interface(name.interface, component, text)
    if interface is None:
        return _virtual(name, component, missing)
    if name.operation is Operation.DROP:
        resolved = _drop(name, interface)
    else:
        found = next((raw for raw in name.candidates if raw in interface.functions), None)
        resolved = found and ResolvedFunction(interface.name, found, interface.functions[found], name.operation)
    if not resolved:
        raise missing
    if name.arguments is None:
        return resolved
    return ResolvedFunction(
        resolved.interface, resolved.function, resolved.type, name.operation, _indexed(name, interface, missing)
    )


def _interface(name: str, component: ComponentType, text: str) -> InterfaceType | None:
    exact = component.exports.get(name)
    if exact is not None or "@" in name:
        return exact
    versions = [export for export in component.exports if export.startswith(f"{name}@")]
    if len(versions) > 1:
        raise InvalidInput(
            f"Invalid request: {text[:200]} does not say which version of {name}: the component exports "
            + ", ".join(sorted(versions))
        )
    return component.exports[versions[0]] if versions else None


def _virtual(name: FunctionName, component: ComponentType, missing: InvalidInput) -> ResolvedFunction:
    for virtual in virtual_exports(component):
        function = virtual.type.functions.get(name.candidates[0]) if name.candidates else None
        if virtual.type.name == name.interface and function is not None:
            return ResolvedFunction(virtual.type.name, name.candidates[0], function, behind=virtual.behind)
    raise missing


def _drop(name: FunctionName, interface: InterfaceType) -> ResolvedFunction | None:
    number = interface.resources.get(name.resource or "")
    if number is None:
        return None
    handle = HandleType(number, owned=True, host=False, name=name.resource)
    signature = FunctionType((Parameter("self", handle),), None)
    return ResolvedFunction(interface.name, f"[drop]{name.resource}", signature, Operation.DROP)


def _indexed(name: FunctionName, interface: InterfaceType, missing: InvalidInput) -> IndexedResource:
    resource, texts = name.resource or "", name.arguments or ()
    raw = f"[constructor]{resource}"
    constructor = interface.functions.get(raw)
    if constructor is None:
        raise missing
    count = len(constructor.parameters)
    if len(texts) != count:
        raise InvalidInput(f"Invalid request: {resource} is constructed with {count} parameters, got {len(texts)}")
    values: list[Value] = []
    for text, parameter in zip(texts, constructor.parameters, strict=True):
        try:
            values.append(parse_wave(text, parameter.type))
        except InvalidInput as error:
            raise InvalidInput(
                f"Invalid request: parameter {parameter.name} of {resource} cannot be read: {error.message}"
            ) from None
    return IndexedResource(resource, texts, raw, tuple(values))
