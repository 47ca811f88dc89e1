"""What can go wrong at the boundary to wasmtime.

InvalidComponent (InvalidInput)   the binary cannot be used; says why and what to change
ValueMismatch (InvalidInput)      a value does not fit its WIT type; says where
NoSuchExport (InvalidInput)       the component does not export that function
Trap                              the guest trapped; kind and wasmtime's text with the backtrace
UnknownImport                     the guest called an import that this server does not provide
InstanceDead                      the instance has trapped or was closed: build a new one
"""

from __future__ import annotations

from enum import Enum

from golem_server.model.errors import InvalidInput


class InvalidComponent(InvalidInput):
    """The binary is not a component that can be compiled. `reason` tells its author what to change."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ValueMismatch(InvalidInput):
    """A value does not fit its WIT type, at `path` (`params[0].items[2].price`)."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}" if path else problem)
        self.path = path
        self.problem = problem

    def within(self, outer: str) -> ValueMismatch:
        """The same mismatch seen from one level further out."""
        return ValueMismatch(outer + self.path, self.problem)


class NoSuchExport(InvalidInput):
    """The component exports no function of that name."""


class TrapKind(Enum):
    """Why a guest trapped, as far as wasmtime's message tells."""

    UNREACHABLE = "unreachable"
    STACK_OVERFLOW = "stack overflow"
    OUT_OF_BOUNDS = "out of bounds"
    INTEGER_DIVIDE_BY_ZERO = "integer divide by zero"
    INTEGER_OVERFLOW = "integer overflow"
    BAD_CONVERSION = "bad conversion to integer"
    INDIRECT_CALL = "bad indirect call"
    OUT_OF_MEMORY = "out of memory"
    CANNOT_ENTER = "cannot enter instance"
    BROKEN_CALL = "a host call that breaks the rules"
    OTHER = "other"


# Phrases of wasmtime's messages, in the order in which they are looked for. An allocator that got no memory ends in
# `unreachable`, so only the names in its backtrace tell: the functions that Rust and C call then.
_PHRASES: tuple[tuple[str, TrapKind], ...] = (
    ("handle_alloc_error", TrapKind.OUT_OF_MEMORY),
    ("rust_oom", TrapKind.OUT_OF_MEMORY),
    ("rg_oom", TrapKind.OUT_OF_MEMORY),
    ("exceeds memory limits", TrapKind.OUT_OF_MEMORY),
    ("exceeds table limits", TrapKind.OUT_OF_MEMORY),
    ("resource limit exceeded", TrapKind.OUT_OF_MEMORY),
    ("call stack exhausted", TrapKind.STACK_OVERFLOW),
    ("wasm `unreachable` instruction executed", TrapKind.UNREACHABLE),
    ("integer divide by zero", TrapKind.INTEGER_DIVIDE_BY_ZERO),
    ("integer overflow", TrapKind.INTEGER_OVERFLOW),
    ("invalid conversion to integer", TrapKind.BAD_CONVERSION),
    ("indirect call type mismatch", TrapKind.INDIRECT_CALL),
    ("uninitialized element", TrapKind.INDIRECT_CALL),
    ("undefined element", TrapKind.INDIRECT_CALL),
    ("null reference", TrapKind.INDIRECT_CALL),
    ("out of bounds", TrapKind.OUT_OF_BOUNDS),
    ("cannot enter component instance", TrapKind.CANNOT_ENTER),
    # What the canonical ABI forbids in a call of the host: forged, reused and confused handles, text that is none, more
    # bytes or handles than wasmtime moves.
    ("unknown handle index", TrapKind.BROKEN_CALL),
    ("used with the wrong type", TrapKind.BROKEN_CALL),
    ("while borrowed", TrapKind.BROKEN_CALL),
    ("borrow handles still remain", TrapKind.BROKEN_CALL),
    ("invalid utf-8", TrapKind.BROKEN_CALL),
    ("incomplete utf-8", TrapKind.BROKEN_CALL),
    ("not aligned", TrapKind.BROKEN_CALL),
    ("too much data is being copied", TrapKind.BROKEN_CALL),
    ("handle limit exceeded", TrapKind.BROKEN_CALL),
)


class Trap(Exception):
    """The guest trapped. `message` is wasmtime's text, with the wasm backtrace where there is one."""

    def __init__(self, kind: TrapKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message

    @classmethod
    def from_message(cls, message: str) -> Trap:
        """The trap of which wasmtime gave this text."""
        kind = next((kind for phrase, kind in _PHRASES if phrase in message), TrapKind.OTHER)
        return cls(kind, message)


class UnknownImport(Exception):
    """The guest called an imported function that nobody provides; `name` is `interface.{function}`."""

    def __init__(self, interface: str, function: str) -> None:
        self.name = f"{interface}.{{{function}}}" if interface else function
        super().__init__(f"the component called {self.name}, which this server does not provide")


class InstanceDead(Exception):
    """The instance has trapped, was cancelled or closed and cannot be entered again."""
