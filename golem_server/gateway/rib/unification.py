"""Makes two types one: the engine of type inference.

Numbers without a type, texts, records of which some fields are known, cases and flags are variables of a kind; unifying
merges what is known of them. What nothing determines gets its default at the end: `s32` or `f64`, `string`, the only
type that has the case, the listed flags (reference gateway, section 2.3).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from itertools import starmap

from golem_server.gateway.rib.terms import (
    FLOATS,
    INTEGERS,
    UNIT,
    ArmKind,
    CaseKind,
    FlagsKind,
    InstanceTerm,
    Kind,
    ListTerm,
    NumberKind,
    OptionTerm,
    RangeTerm,
    RecordTerm,
    ResourceNameTerm,
    ResultTerm,
    RowKind,
    Term,
    TextKind,
    TupleTerm,
    Unit,
    Variable,
    case_payloads,
    parts,
    prune,
    term_of,
)
from golem_server.model.types import (
    EnumType,
    Field,
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

_BUDGET = 500_000
"""Steps of unification per script. Types that double from line to line would otherwise take exponential time."""

_MAX_DEPTH = 50
"""Types within one another."""

_MAX_SIZE = 10_000
"""Types that a type is made of, each counted wherever it occurs."""


class TermMismatch(Exception):
    """Two terms are not one type; `path` leads to the place in the whole."""

    def __init__(self, expected: Term, found: Term) -> None:
        super().__init__("types do not match")
        self.expected = expected
        self.found = found
        self.path: list[str] = []


class Unresolved(Exception):
    """Nothing determines a type. `ambiguous` are the types that it may be, where these are known."""

    def __init__(self, ambiguous: Sequence[WitType] = ()) -> None:
        super().__init__("cannot determine the type")
        self.ambiguous = list(ambiguous)


class TypesTooLarge(Exception):
    """The types of the script take more work than it is worth."""


class Unifier:
    """Unifies terms. `named_types` are the enums and variants that cases may belong to."""

    def __init__(self, named_types: Sequence[EnumType | VariantType]) -> None:
        self._named = named_types
        self._budget = _BUDGET
        self._depth = 0
        # By the identity of terms, which are kept so that it stays theirs; with the sizes of the types.
        self._resolved: dict[int, tuple[Term, WitType | None, int]] = {}

    def spend(self) -> None:
        """Count a step of inference. Raises TypesTooLarge when there have been too many."""
        self._budget -= 1
        if self._budget < 0:
            raise TypesTooLarge

    @contextmanager
    def _deeper(self) -> Generator[None]:
        self.spend()
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise TypesTooLarge
        try:
            yield
        finally:
            self._depth -= 1

    def unify(self, expected: Term, found: Term) -> None:
        """Make the two one type. Raises TermMismatch and TypesTooLarge."""
        with self._deeper():
            self._unify(expected, found)

    def _unify(self, expected: Term, found: Term) -> None:
        expected, found = prune(expected), prune(found)
        if expected is found:
            return
        if isinstance(expected, Variable):
            self._unify_variable(expected, found, expected_first=True)
        elif isinstance(found, Variable):
            self._unify_variable(found, expected, expected_first=False)
        else:
            self._unify_structures(expected, found)

    def _unify_variable(self, variable: Variable, other: Term, *, expected_first: bool) -> None:
        if isinstance(other, Variable):
            if variable.kind is None or isinstance(variable.kind, ArmKind):
                self._check_occurrence(variable, other)
                variable.bound = other
                return
            if other.kind is None or isinstance(other.kind, ArmKind):
                self._check_occurrence(other, variable)
                other.bound = variable
                return
        self._check_occurrence(variable, other)
        mismatch = TermMismatch(variable, other) if expected_first else TermMismatch(other, variable)
        if isinstance(other, Variable):
            keep, give = (other, variable) if _is_selection(variable) else (variable, other)
            if not self._merge(keep.kind, give.kind):
                raise mismatch
            give.bound = keep
        else:
            self._fit(variable.kind, other, mismatch)
            variable.bound = other

    def _check_occurrence(self, variable: Variable, term: Term) -> None:
        """Raises TermMismatch if the variable is a part of the term: no type holds itself."""
        waiting = [prune(part) for part in parts(term)]
        seen: set[int] = set()
        while waiting:
            part = waiting.pop()
            if id(part) in seen:
                continue
            seen.add(id(part))
            self.spend()
            if part is variable:
                raise TermMismatch(variable, term)
            waiting += map(prune, parts(part))

    def _merge(self, kind: Kind | None, other: Kind | None) -> bool:
        """Add to the kind what the other says. Returns False if no type is of both."""
        match kind, other:
            case NumberKind(), NumberKind():
                kind.fraction |= other.fraction
                kind.low, kind.high = min(kind.low, other.low), max(kind.high, other.high)
            case TextKind(), TextKind():
                kind.single &= other.single
            case RowKind(), RowKind():
                self._merge_parts(kind.fields, other.fields)
                if kind.given is not None or other.given is not None:
                    kind.given = (kind.given or set()) | (other.given or set())
            case CaseKind(), CaseKind():
                self._merge_cases(kind.cases, other.cases)
            case FlagsKind(), FlagsKind():
                kind.names += [name for name in other.names if name not in kind.names]
            case _:
                return False
        return True

    def _merge_parts(self, fields: dict[str, Term], others: dict[str, Term]) -> None:
        for name, term in list(others.items()):
            if name in fields:
                self._at(name, fields[name], term)
            else:
                fields[name] = term

    def _merge_cases(self, cases: dict[str, Term | None], others: dict[str, Term | None]) -> None:
        for name, payload in list(others.items()):
            known = cases.setdefault(name, payload)
            if known is not None and payload is not None:
                self.unify(known, payload)
            elif known is not payload:
                raise TermMismatch(known or UNIT, payload or UNIT)

    def _fit(self, kind: Kind | None, term: Term, mismatch: TermMismatch) -> None:
        """Unify what is known of a variable with the term that it will be bound to."""
        match kind, term:
            case None, _:
                fits = True
            case ArmKind(), _:
                fits = True
            case NumberKind(fraction), Primitive():
                fits = term in FLOATS or (term in INTEGERS and not fraction)
            case TextKind(single), Primitive():
                fits = term is Primitive.STRING or (term is Primitive.CHAR and single)
            case RowKind(fields), RecordTerm(known):
                fits = self._fit_fields(fields, known)
            case RowKind(fields), RangeTerm():
                fits = self._fit_fields(fields, term.fields())
            case CaseKind(cases), (EnumType() | VariantType()):
                fits = self._fit_cases(cases, term)
            case FlagsKind(names), FlagsType(known_names):
                fits = set(names) <= set(known_names)
            case _:
                fits = False
        if not fits:
            raise mismatch

    def _fit_fields(self, fields: dict[str, Term], known: dict[str, Term]) -> bool:
        if not fields.keys() <= known.keys():
            return False
        for name, term in fields.items():
            self._at(name, known[name], term)
        return True

    def _fit_cases(self, cases: dict[str, Term | None], type_: EnumType | VariantType) -> bool:
        known = case_payloads(type_)
        for name, payload in cases.items():
            if name not in known or (known[name] is None) != (payload is None):
                return False
            if payload is not None:
                self.unify(term_of(known[name]), payload)
        return True

    def _at(self, name: str, expected: Term, found: Term) -> None:
        try:
            self.unify(expected, found)
        except TermMismatch as mismatch:
            mismatch.path.insert(0, name)
            raise

    def _unify_structures(self, expected: Term, found: Term) -> None:
        match expected, found:
            case (ListTerm(one), ListTerm(other)) | (OptionTerm(one), OptionTerm(other)):
                self.unify(one, other)
            case ResultTerm(), ResultTerm():
                self.unify(expected.ok, found.ok)
                self.unify(expected.err, found.err)
            case TupleTerm(items), TupleTerm(others) if len(items) == len(others):
                for item, other in zip(items, others, strict=True):
                    self.unify(item, other)
            case RecordTerm(), RecordTerm():
                self._unify_records(expected, found)
            case RangeTerm(), RangeTerm() if expected.closed == found.closed:
                self.unify(expected.bound, found.bound)
            case HandleType(), HandleType() if expected.resource == found.resource and expected.host == found.host:
                pass
            case _ if not isinstance(expected, ListTerm | TupleTerm | RangeTerm) and expected == found:
                pass
            case _:
                raise TermMismatch(expected, found)

    def _unify_records(self, expected: RecordTerm, found: RecordTerm) -> None:
        if expected.fields.keys() != found.fields.keys():
            raise TermMismatch(expected, found)
        for name, term in expected.fields.items():
            self._at(name, term, found.fields[name])

    def candidates(self, kind: CaseKind) -> list[EnumType | VariantType]:
        """The types that have all the cases."""
        return [
            type_
            for type_ in self._named
            if all(
                name in known and (known[name] is None) == (payload is None)
                for known in (case_payloads(type_),)
                for name, payload in kind.cases.items()
            )
        ]

    def missing_fields(self, expected: Term, found: Term, path: str = "") -> list[str]:
        """The paths of fields that the literals within what was found do not give, though they must."""
        expected, found = prune(expected), prune(found)
        match expected, found:
            case RecordTerm(fields), Variable(RowKind(known, given)):
                missing = [path + name for name in fields if given is not None and name not in given]
                pairs = [(fields[name], known[name], f"{path}{name}.") for name in fields if name in known]
            case (ListTerm(one), ListTerm(other)) | (OptionTerm(one), OptionTerm(other)):
                missing, pairs = [], [(one, other, path)]
            case _:
                return []
        with self._deeper():
            return missing + [name for pair in pairs for name in self.missing_fields(*pair)]

    def default(self, variable: Variable) -> bool:
        """Bind a variable to the default of its kind. Returns whether it has one. Raises TermMismatch."""
        match variable.kind:
            case NumberKind(fraction, low, high):
                fitting = (p for p in _DEFAULTS if INTEGERS[p][0] <= low and high <= INTEGERS[p][1])
                variable.bound = Primitive.F64 if fraction else next(fitting, Primitive.S32)
            case TextKind():
                variable.bound = Primitive.STRING
            case FlagsKind(names):
                variable.bound = FlagsType(tuple(names))
            case ArmKind():
                variable.bound = UNIT
            case CaseKind():
                candidates = self.candidates(variable.kind)
                if len(candidates) != 1:
                    return False
                self.unify(candidates[0], variable)
            case _:
                return False
        return True

    def resolve(self, term: Term) -> WitType | None:
        """The complete type; None for UNIT. Raises Unresolved, also for what has no value, and TypesTooLarge."""
        term = prune(term)
        if id(term) in self._resolved:
            return self._resolved[id(term)][1]
        with self._deeper():
            resolved = self._resolve(term)
        sizes = [self._resolved[id(part)][2] for part in map(prune, parts(term)) if id(part) in self._resolved]
        size = 1 + sum(sizes)
        if size > _MAX_SIZE:
            raise TypesTooLarge
        self._resolved[id(term)] = (term, resolved, size)
        return resolved

    def _resolve(self, term: Term) -> WitType | None:
        match term:
            case Unit():
                return None
            case ListTerm(element):
                return ListType(self.value_type(element))
            case OptionTerm(inner):
                return OptionType(self.value_type(inner))
            case ResultTerm(ok, err):
                return ResultType(self.resolve(ok), self.resolve(err))
            case TupleTerm(items):
                return TupleType(tuple([self.value_type(item) for item in items]))
            case RecordTerm(fields):
                return self._record(fields)
            case RangeTerm():
                return self._record(term.fields())
            case Variable(RowKind(fields, given)):
                # A record of which nothing but its used fields is known has these fields: so it is with `request`.
                return self._record(dict(sorted(fields.items())) if given is None else fields)
            case Variable(CaseKind() as kind):
                raise Unresolved(self.candidates(kind))
            case Variable() | InstanceTerm() | ResourceNameTerm():
                raise Unresolved
            case _:
                return term

    def value_type(self, term: Term) -> WitType:
        """The complete type of something that has a value. Raises Unresolved."""
        type_ = self.resolve(term)
        if type_ is None:
            raise Unresolved
        return type_

    def _record(self, fields: dict[str, Term]) -> WitType:
        resolved: Callable[[str, Term], Field] = lambda name, term: Field(name, self.value_type(term))  # noqa: E731
        return RecordType(tuple(starmap(resolved, fields.items())))


def _is_selection(variable: Variable) -> bool:
    """Whether only used fields of a record are known, so that the order of fields is for others to say."""
    return isinstance(variable.kind, RowKind) and variable.kind.given is None


_DEFAULTS = (Primitive.S32, Primitive.S64, Primitive.U64)
