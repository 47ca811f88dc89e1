"""The names of types in scripts: `list<u8>`, `result<_, string>`. Reads annotations, and prints types for messages.

Records, enums, variants and flags cannot be written in a script; they are printed the way errors show them.
"""

from __future__ import annotations

import re
from typing import assert_never

from golem_server.gateway.rib.scanner import NoMatch, Scanner
from golem_server.model.types import (
    EnumType,
    FlagsType,
    HandleType,
    ListType,
    OptionType,
    Primitive,
    RecordType,
    ResultType,
    TupleType,
    VariantType,
    WitType,
)

_MAX_NESTING = 40
_PRIMITIVES = {primitive.value: primitive for primitive in Primitive}
# No minus sign ends a name: `1:u8-2` is a subtraction.
_TYPE = re.compile(rf"(?:{'|'.join(_PRIMITIVES)}|(?:list|option|tuple)(?=\s*<)|result)(?![\w])")


class TypeNames:
    """Reads the names of types from a scanner."""

    def __init__(self, scanner: Scanner) -> None:
        self._scanner = scanner
        self._nesting = 0

    def optional(self) -> WitType | None:
        """The type whose name comes next, None where no name of a type does. Raises NoMatch for half a name."""
        return None if self._scanner.match(_TYPE) is None else self.required()

    def required(self) -> WitType:
        """The type whose name comes next. Raises NoMatch if there is none."""
        self._nesting += 1
        if self._nesting > _MAX_NESTING:
            raise self._scanner.error(f"a type nests more than {_MAX_NESTING} types")
        try:
            name = self._scanner.read(_TYPE, "a type")[0]
            return _PRIMITIVES.get(name) or self._compound(name)
        finally:
            self._nesting -= 1

    def _compound(self, name: str) -> WitType:
        scanner = self._scanner
        if name == "result":
            return self._result()
        scanner.expect("<")
        items = [self.required()]
        while name == "tuple" and scanner.take(","):
            items.append(self.required())
        scanner.expect(">")
        if name == "tuple":
            return TupleType(tuple(items))
        return ListType(items[0]) if name == "list" else OptionType(items[0])

    def _result(self) -> WitType:
        scanner = self._scanner
        # `result < 1` compares a variable's annotation with nothing sensible, but `x: result` may end a script.
        start = scanner.at
        if not scanner.take("<"):
            return ResultType(None, None)
        try:
            ok = None if scanner.take("_") else self.required()
            err = None
            if scanner.take(",") and not scanner.take("_"):
                err = self.required()
            scanner.expect(">")
        except NoMatch:
            scanner.at = start
            return ResultType(None, None)
        return ResultType(ok, err)


def print_type(type_: WitType | None) -> str:
    """A type as scripts and messages write it; `_` for the absent payload of a result."""
    match type_:
        case None:
            return "_"
        case Primitive():
            return type_.value
        case ListType(element):
            return f"list<{print_type(element)}>"
        case OptionType(inner):
            return f"option<{print_type(inner)}>"
        case TupleType(items):
            return f"tuple<{', '.join(map(print_type, items))}>"
        case ResultType(ok, err):
            return _print_result(ok, err)
        case _:
            return _print_named(type_)


def _print_result(ok: WitType | None, err: WitType | None) -> str:
    if err is not None:
        return f"result<{print_type(ok)}, {print_type(err)}>"
    return "result" if ok is None else f"result<{print_type(ok)}>"


def _print_named(type_: RecordType | VariantType | EnumType | FlagsType | HandleType) -> str:
    match type_:
        case RecordType(fields):
            return f"record {{ {', '.join(f'{field.name}: {print_type(field.type)}' for field in fields)} }}"
        case VariantType(cases):
            shown = (case.name if case.type is None else f"{case.name}({print_type(case.type)})" for case in cases)
            return f"variant {{ {', '.join(shown)} }}"
        case EnumType(names):
            return f"enum {{ {', '.join(names)} }}"
        case FlagsType(names):
            return f"flags<{', '.join(names)}>"
        case HandleType(name=name):
            return "resource" if name is None else f"resource<{name}>"
        case _:
            assert_never(type_)
