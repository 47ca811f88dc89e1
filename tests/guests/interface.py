"""What an interface is that guests written as text can import."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Import:
    """What a label stands for: a function of an interface, or (`function` None) the drop of a resource."""

    label: str
    core: str
    function: str | None = None
    resource: str | None = None


@dataclass(frozen=True)
class Interface:
    """An importable interface: `name` is how guests and other interfaces here call it, `path` what WIT calls it.

    `uses` are types of earlier interfaces (`poll.pollable`), known here by the last part of their name. `types` come in
    order, `resource` standing for a resource type. `functions` have the component's type and the core signature.
    """

    name: str
    path: str
    version: str
    types: Mapping[str, str]
    functions: Mapping[str, tuple[str, str]]
    uses: tuple[str, ...] = field(default=())

    def find(self, label: str) -> Import | None:
        """What the label stands for, None if this interface has no such thing."""
        for function, (_, core) in self.functions.items():
            if label == _label(self.name, function):
                return Import(label, core, function=function)
        owner, _, member = label.partition(".")
        if member == "drop" and self.types.get(owner) == "resource":
            return Import(label, "(param i32)", resource=owner)
        return None

    def declaration(self, functions: Collection[str]) -> str:
        """The import in component text, with some of its functions, and its types under `$interface.type`."""
        version = f"@{self.version}" if self.version else ""
        parts = [f'(import "{self.path}{version}" (instance ${self.name}']
        for used in self.uses:
            short = used.partition(".")[2]
            parts.append(f"(alias outer $guest ${used} (type $used-{short}))")
            parts.append(f'(export "{short}" (type ${short} (eq $used-{short})))')
        for name, text in self.types.items():
            if text == "resource":
                parts.append(f'(export "{name}" (type ${name} (sub resource)))')
            else:
                parts.append(f'(type $new-{name} {text}) (export "{name}" (type ${name} (eq $new-{name})))')
        parts += [f'(export "{name}" (func {self.functions[name][0]}))' for name in functions]
        parts.append("))")
        parts += [f'(alias export ${self.name} "{name}" (type ${self.name}.{name}))' for name in self.types]
        return "\n".join(parts)


def _label(interface: str, function: str) -> str:
    kind, bracket, name = function.rpartition("]")
    if not bracket:
        return f"{interface}.{function}"
    return f"{name}.new" if kind == "[constructor" else name


def names(kind: str, of: str) -> str:
    """A type that is a list of names, which come with blanks between them."""
    quoted = [f'"{name}"' for name in of.split()]
    return f"({kind} {' '.join(quoted)})"


def enum(of: str) -> str:
    """The type of an enum with these names."""
    return names("enum", of)


def flags(of: str) -> str:
    """The type of flags with these names."""
    return names("flags", of)


WASI = "0.2.3"
