"""Types as they are while a script is checked: WIT types with holes.

A term is a WIT type that needs no holes (primitives, enums, variants, flags, handles), a structure of terms, or a
Variable. Of a variable that is not bound yet, a kind may be known: some number, a record with at least these fields, an
enum or variant with this case. Only scripts know units, ranges, instances of workers and names of resources.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from golem_server.gateway.rib.type_names import print_type
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


@dataclass(frozen=True, slots=True)
class Unit:
    """What has no value: `let`, and a call of a function without result."""


UNIT = Unit()


@dataclass(frozen=True, slots=True, eq=False)
class ListTerm:
    """`list<element>`."""

    element: Term


@dataclass(frozen=True, slots=True, eq=False)
class OptionTerm:
    """`option<inner>`."""

    inner: Term


@dataclass(frozen=True, slots=True, eq=False)
class ResultTerm:
    """`result<ok, err>`; an arm without payload is UNIT."""

    ok: Term
    err: Term


@dataclass(frozen=True, slots=True, eq=False)
class TupleTerm:
    """`tuple<...>`."""

    items: tuple[Term, ...]


@dataclass(frozen=True, slots=True, eq=False)
class RecordTerm:
    """A record with exactly these fields."""

    fields: dict[str, Term]


@dataclass(frozen=True, slots=True, eq=False)
class RangeTerm:
    """A range of numbers; `closed` if it has an end."""

    bound: Term
    closed: bool

    def fields(self) -> dict[str, Term]:
        """The record that a range is as a value."""
        to = {"to": self.bound} if self.closed else {}
        return {"from": self.bound, **to, "inclusive": Primitive.BOOL}


@dataclass(frozen=True, slots=True)
class InstanceTerm:
    """A worker; `restriction` is the interface or package whose functions may be called, None for all."""

    restriction: str | None


@dataclass(frozen=True, slots=True)
class ResourceNameTerm:
    """`worker.resource`, on which static functions are called."""

    interface: str
    resource: str


@dataclass(slots=True)
class NumberKind:
    """Some type of number. `low` and `high` are the least and greatest integers written for it."""

    fraction: bool = False
    low: int = 0
    high: int = 0


@dataclass(slots=True)
class TextKind:
    """A text literal: a string, or a char if it is one character."""

    single: bool


@dataclass(slots=True)
class RowKind:
    """A record with at least these fields.

    `given` are the fields that record literals of this type have; None where the record comes from elsewhere. Literals
    may differ: the type of `if c then {a: 1} else {b: 2}` has both fields.
    """

    fields: dict[str, Term]
    given: set[str] | None = None


@dataclass(slots=True)
class CaseKind:
    """An enum or variant with at least these cases; None stands for a case without payload."""

    cases: dict[str, Term | None]


@dataclass(slots=True)
class FlagsKind:
    """Flags with at least these names."""

    names: list[str]


@dataclass(slots=True)
class ArmKind:
    """The arm of a result that nothing has spoken of: it has no payload if nothing ever does."""


Kind: TypeAlias = NumberKind | TextKind | RowKind | CaseKind | FlagsKind | ArmKind


@dataclass(slots=True, eq=False)
class Variable:
    """A hole. Once `bound`, it stands for that term."""

    kind: Kind | None = None
    bound: Term | None = field(default=None)


Term: TypeAlias = (
    Variable
    | Unit
    | Primitive
    | ListTerm
    | OptionTerm
    | ResultTerm
    | TupleTerm
    | RecordTerm
    | RangeTerm
    | EnumType
    | VariantType
    | FlagsType
    | HandleType
    | InstanceTerm
    | ResourceNameTerm
)

INTEGERS: dict[Primitive, tuple[int, int]] = {
    primitive: (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    for primitive, bits, signed in (
        (Primitive.S8, 8, True),
        (Primitive.U8, 8, False),
        (Primitive.S16, 16, True),
        (Primitive.U16, 16, False),
        (Primitive.S32, 32, True),
        (Primitive.U32, 32, False),
        (Primitive.S64, 64, True),
        (Primitive.U64, 64, False),
    )
}
"""The types of integers with the least and greatest value of each."""

FLOATS = frozenset((Primitive.F32, Primitive.F64))


def prune(term: Term) -> Term:
    """What a term stands for: never a bound variable."""
    passed: list[Variable] = []
    while isinstance(term, Variable) and term.bound is not None:
        passed.append(term)
        term = term.bound
    # The next one to ask gets there at once, however long the chain was.
    for variable in passed[:-1]:
        variable.bound = term
    return term


def term_of(type_: WitType | None) -> Term:
    """The term of a complete type; UNIT for none."""
    match type_:
        case None:
            return UNIT
        case ListType(element):
            return ListTerm(term_of(element))
        case OptionType(inner):
            return OptionTerm(term_of(inner))
        case ResultType(ok, err):
            return ResultTerm(term_of(ok), term_of(err))
        case TupleType(items):
            return TupleTerm(tuple([term_of(item) for item in items]))
        case RecordType(fields):
            return RecordTerm({field.name: term_of(field.type) for field in fields})
        case _:
            return type_


def parts(term: Term) -> Iterable[Term]:
    """The terms directly within a pruned term, those that are known of a variable included."""
    match term:
        case ListTerm(inner) | OptionTerm(inner) | RangeTerm(inner, _):
            return (inner,)
        case ResultTerm(ok, err):
            return (ok, err)
        case TupleTerm(items):
            return items
        case RecordTerm(fields) | Variable(RowKind(fields)):
            return fields.values()
        case Variable(CaseKind(cases)):
            return [payload for payload in cases.values() if payload is not None]
        case _:
            return ()


def case_payloads(type_: EnumType | VariantType) -> dict[str, WitType | None]:
    """The cases of a type with their payloads."""
    if isinstance(type_, EnumType):
        return dict.fromkeys(type_.names)
    return {case.name: case.type for case in type_.cases}


def named_types(types: Iterable[WitType | None]) -> Iterator[EnumType | VariantType]:
    """The enums and variants among the types and their parts, each once."""
    seen: set[int] = set()
    found: set[WitType] = set()
    waiting = deque(type_ for type_ in types if type_ is not None)
    while waiting:
        type_ = waiting.popleft()
        if id(type_) in seen:
            continue
        seen.add(id(type_))
        if isinstance(type_, EnumType | VariantType) and type_ not in found:
            found.add(type_)
            yield type_
        waiting += _wit_parts(type_)


def _wit_parts(type_: WitType) -> list[WitType]:
    match type_:
        case ListType(inner) | OptionType(inner):
            return [inner]
        case ResultType(ok, err):
            return [arm for arm in (ok, err) if arm is not None]
        case TupleType(items):
            return list(items)
        case RecordType(fields):
            return [field.type for field in fields]
        case VariantType(cases):
            return [case.type for case in cases if case.type is not None]
        case _:
            return []


_SHOWN_DEPTH = 6


def show(term: Term, depth: int = 0) -> str:
    """A term for messages; what is not known is `_`, what lies deep is `...`."""
    term = prune(term)
    if depth > _SHOWN_DEPTH:
        return "..."

    def inner(part: Term) -> str:
        return show(part, depth + 1)

    match term:
        case Variable(kind):
            if isinstance(kind, RowKind):
                return f"record {{ {', '.join([f'{name}: {inner(part)}' for name, part in kind.fields.items()])} }}"
            return _show_kind(kind)
        case Unit():
            return "_" if depth else "unit"
        case ListTerm(element):
            return f"list<{inner(element)}>"
        case OptionTerm(payload):
            return f"option<{inner(payload)}>"
        case ResultTerm(ok, err):
            return f"result<{inner(ok)}, {inner(err)}>"
        case TupleTerm(items):
            return f"tuple<{', '.join([inner(item) for item in items])}>"
        case RecordTerm(fields):
            return f"record {{ {', '.join([f'{name}: {inner(part)}' for name, part in fields.items()])} }}"
        case _:
            return _show_other(term)


def _show_other(term: Term) -> str:
    match term:
        case RangeTerm():
            return "range"
        case InstanceTerm():
            return "instance"
        case ResourceNameTerm(_, resource):
            return f"resource {resource}"
        case Primitive() | EnumType() | VariantType() | FlagsType() | HandleType():
            return print_type(term)
        case _:
            return "_"


def _show_kind(kind: Kind | None) -> str:
    match kind:
        case NumberKind(fraction):
            # A number that nothing else speaks of would become one of these.
            return "f64" if fraction else "s32"
        case TextKind():
            return "string"
        case CaseKind(cases):
            return f"case {', '.join(cases)}"
        case FlagsKind(names):
            return f"flags<{', '.join(names)}>"
        case _:
            return "_"
