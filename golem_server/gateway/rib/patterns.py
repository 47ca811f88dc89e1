"""The patterns of a match: their types, their code, and whether they cover everything (reference gateway, section 2.4).

Options, results and variants must be covered, however deep within one another; an arm after one that fits everything is
dead. Numbers, texts, lists, tuples, records and enums may be left uncovered: then the match fails when it is run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from golem_server.gateway.rib import syntax
from golem_server.gateway.rib.code import Run, Test
from golem_server.gateway.rib.context import Context, Typed
from golem_server.gateway.rib.errors import RibRuntimeError
from golem_server.gateway.rib.printer import print_pattern
from golem_server.gateway.rib.syntax import Expression, Operator, Pattern
from golem_server.gateway.rib.terms import (
    ArmKind,
    CaseKind,
    ListTerm,
    OptionTerm,
    ResultTerm,
    RowKind,
    Term,
    TupleTerm,
    Variable,
    case_payloads,
    prune,
)
from golem_server.gateway.rib.unification import TermMismatch
from golem_server.gateway.rib.values import Fault, comparison, unwrapped
from golem_server.model.types import EnumType, OptionType, ResultType, Value, VariantType, WitType


@dataclass(frozen=True, slots=True)
class Shape:
    """What a pattern fits: everything, the values of a `case` whose payload fits `inner`, or neither of these."""

    pattern: Pattern
    everything: bool = False
    case: str | None = None
    inner: Shape | None = None


class TypedPattern(NamedTuple):
    """A pattern; both functions may be called after `Context.solve`."""

    emit: Callable[[], Test]
    shape: Callable[[], Shape]


class Patterns:
    """Infers patterns. `infer` is the inference of the expressions within them."""

    def __init__(self, context: Context, infer: Callable[[Expression], Typed]) -> None:
        self._context = context
        self._infer = infer

    def pattern(self, pattern: Pattern, term: Term) -> TypedPattern:
        """A pattern for values of a type; its variables are bound in the current scope."""
        match pattern:
            case syntax.Wildcard():
                return TypedPattern(lambda: _anything, lambda: Shape(pattern, everything=True))
            case syntax.AliasPattern(_, name, inner):
                return self._alias(name, self.pattern(inner, term), term)
            case syntax.ConstructorPattern():
                return self._constructor(pattern, term)
            case syntax.TuplePattern(_, items):
                terms = [self._context.fresh() for _ in items]
                self._context.unify(pattern, term, TupleTerm(tuple(terms)))
                return self._elements(pattern, list(enumerate(items)), terms, lambda value, at: value[at])
            case syntax.RecordPattern(_, fields):
                terms = [self._context.fresh() for _ in fields]
                row = RowKind({key: field for (key, _), field in zip(fields, terms, strict=True)})
                self._context.unify(pattern, term, self._context.fresh(row))
                return self._elements(pattern, list(fields), terms, lambda value, key: value.get(key))
            case syntax.ListPattern(_, items):
                return self._list(pattern, items, term)
            case syntax.LiteralPattern(_, syntax.Name() as name):
                return self._name(pattern, name, term)
            case syntax.LiteralPattern(_, expression):
                return self._literal(pattern, expression, term)

    def _alias(self, name: str, inner: TypedPattern, term: Term) -> TypedPattern:
        slot = self._context.bind(name, term)
        return TypedPattern(lambda: _binding(slot, inner.emit()), inner.shape)

    def _name(self, pattern: Pattern, name: syntax.Name, term: Term) -> TypedPattern:
        if self._is_case(name.name, prune(term)):
            return self._case(pattern, name.name, (), term)
        slot = self._context.bind(name.name, term)
        return TypedPattern(lambda: _binding(slot, _anything), lambda: Shape(pattern, everything=True))

    def _is_case(self, name: str, term: Term) -> bool:
        """Whether a bare name means a case of the type, rather than a variable."""
        if name in self._context.names:
            return False
        match term:
            case EnumType() | VariantType():
                return name in case_payloads(term)
            case Variable(None):
                kind = CaseKind({name: None})
            case Variable(CaseKind(cases)):
                kind = CaseKind({**cases, name: None})
            case _:
                return False
        return bool(self._context.unifier.candidates(kind))

    def _constructor(self, pattern: syntax.ConstructorPattern, term: Term) -> TypedPattern:
        context = self._context
        inner = context.fresh()
        match pattern.name:
            case "some" | "none":
                whole: Term = OptionTerm(inner)
            case "ok":
                whole = ResultTerm(inner, context.fresh(ArmKind()))
            case "err":
                whole = ResultTerm(context.fresh(ArmKind()), inner)
            case _:
                return self._case(pattern, pattern.name, pattern.arguments, term)
        arguments = pattern.arguments
        expected = 0 if pattern.name == "none" else 1
        if pattern.name in ("ok", "err"):
            inner.kind = ArmKind()
            expected = min(len(arguments), 1)
        self._check_arguments(pattern, pattern.name, expected, len(arguments))
        self._unify_case(pattern, pattern.name, term, whole)
        payload = self.pattern(arguments[0], inner) if arguments else None

        def emit() -> Test:
            test = None if payload is None else payload.emit()
            if pattern.name == "none":
                return _none
            if pattern.name == "some":
                assert test is not None
                return _some(test, context.value_type(pattern, inner))
            return _case_test(pattern.name, test)

        return TypedPattern(emit, lambda: Shape(pattern, False, pattern.name, payload and payload.shape()))

    def _check_arguments(self, pattern: Pattern, name: str, expected: int, found: int) -> None:
        if expected != found:
            raise self._context.error(
                pattern,
                f"invalid pattern match: missing arguments in constructor `{name}`. "
                f"expected {expected} arguments, found {found}",
            )

    def _unify_case(self, pattern: Pattern, name: str, term: Term, whole: Term) -> None:
        try:
            self._context.unifier.unify(term, whole)
        except TermMismatch:
            cause = f"invalid pattern match: cannot match to constructor `{name}`"
            raise self._context.error(pattern, cause) from None

    def _case(self, pattern: Pattern, name: str, arguments: Sequence[Pattern], term: Term) -> TypedPattern:
        """A case of an enum or variant."""
        context = self._context
        if name not in context.exports.bare_cases | context.exports.payload_cases:
            raise context.error(pattern, f"invalid pattern match: cannot match to constructor `{name}`")
        known = prune(term)
        if isinstance(known, EnumType | VariantType) and name in case_payloads(known):
            self._check_arguments(pattern, name, int(case_payloads(known)[name] is not None), len(arguments))
        self._check_arguments(pattern, name, min(len(arguments), 1), len(arguments))
        inner = context.fresh() if arguments else None
        self._unify_case(pattern, name, term, context.case(name, inner))
        payload = None if inner is None else self.pattern(arguments[0], inner)

        def emit() -> Test:
            test = None if payload is None else payload.emit()
            if isinstance(context.value_type(pattern, term), EnumType):
                return _equal(name)
            return _case_test(name, test)

        return TypedPattern(emit, lambda: Shape(pattern, False, name, payload and payload.shape()))

    def _elements(
        self,
        pattern: Pattern,
        items: Sequence[tuple[object, Pattern]],
        terms: Sequence[Term],
        select: Callable[[Value, object], Value],
    ) -> TypedPattern:
        """The elements of a tuple or record, each of which must fit its pattern."""
        typed = [self.pattern(item, term) for (_, item), term in zip(items, terms, strict=True)]

        def emit() -> Test:
            tests = [(key, inner.emit()) for (key, _), inner in zip(items, typed, strict=True)]

            async def test(run: Run, value: Value) -> bool:
                for key, inner in tests:
                    if not await inner(run, select(value, key)):
                        return False
                return True

            return test

        return TypedPattern(emit, lambda: Shape(pattern))

    def _list(self, pattern: Pattern, items: Sequence[Pattern], term: Term) -> TypedPattern:
        element = self._context.fresh()
        self._context.unify(pattern, term, ListTerm(element))
        typed = [self.pattern(item, element) for item in items]

        def emit() -> Test:
            tests = [inner.emit() for inner in typed]

            async def test(run: Run, value: Value) -> bool:
                # Neither is the length compared, nor does a pattern of no elements fit anything: as it always was.
                for at, inner in enumerate(tests):
                    if at >= len(value):
                        message = f"index out of bound: {at} (size: {len(value)})"
                        raise RibRuntimeError(message, pattern.position)
                    if not await inner(run, value[at]):
                        return False
                return bool(tests)

            return test

        return TypedPattern(emit, lambda: Shape(pattern))

    def _literal(self, pattern: Pattern, expression: Expression, term: Term) -> TypedPattern:
        typed = self._infer(expression)
        self._context.unify(expression, term, typed.term)

        def emit() -> Test:
            code = typed.emit()
            equal = comparison(Operator.EQUAL, self._context.value_type(expression, typed.term))

            async def test(run: Run, value: Value) -> bool:
                try:
                    return equal(value, await code(run))
                except Fault as fault:
                    raise RibRuntimeError(str(fault), pattern.position) from None

            return test

        return TypedPattern(emit, lambda: Shape(pattern))


async def _anything(run: Run, value: Value) -> bool:
    return True


async def _none(run: Run, value: Value) -> bool:
    return value is None


def _binding(slot: int, inner: Test) -> Test:
    async def test(run: Run, value: Value) -> bool:
        run.variables[slot] = value
        return await inner(run, value)

    return test


def _equal(name: str) -> Test:
    async def test(run: Run, value: Value) -> bool:
        return value == name

    return test


def _some(inner: Test, type_: WitType) -> Test:
    async def test(run: Run, value: Value) -> bool:
        # Upstream looks into the payload before it has tested that there is one; nobody can want that error.
        return value is not None and await inner(run, unwrapped(type_, value))

    return test


def _case_test(name: str, inner: Test | None) -> Test:
    async def test(run: Run, value: Value) -> bool:
        return value[0] == name and (inner is None or await inner(run, value[1]))

    return test


def uncovered(shapes: Sequence[Shape], type_: WitType | None) -> list[str]:
    """The cases that no shape fits, as `none` or `some(none)`. Raises DeadCode for a shape after one of everything."""
    catch_all = None
    for shape in shapes:
        if catch_all is not None:
            raise DeadCode(shape.pattern, catch_all.pattern)
        if shape.everything:
            catch_all = shape
    payloads = _payloads(type_)
    if payloads is None or all(shape.case is None for shape in shapes):
        return []
    used = {shape.case for shape in shapes}
    if catch_all is None and (missing := [name for name in payloads if name not in used]):
        return missing
    for name, payload in payloads.items():
        inner = [shape.inner for shape in shapes if shape.case == name and shape.inner is not None]
        if catch_all is not None and not any(shape.everything for shape in inner):
            inner.append(catch_all)
        if missing := uncovered(inner, payload):
            return [f"{name}({case})" for case in missing]
    return []


class DeadCode(Exception):
    """A pattern stands after one that fits everything."""

    def __init__(self, dead: Pattern, before: Pattern) -> None:
        super().__init__(
            f"dead code detected, pattern `{print_pattern(dead)}` is unreachable due to the existence of the pattern "
            f"`{print_pattern(before)}` prior to it"
        )


def _payloads(type_: WitType | None) -> dict[str, WitType | None] | None:
    """The cases that must be covered, those with payload first; None for a type of which none must be."""
    match type_:
        case OptionType(inner):
            return {"some": inner, "none": None}
        case ResultType(ok, err):
            return {"ok": ok, "err": err}
        case VariantType():
            payloads = case_payloads(type_)
            return dict(sorted(payloads.items(), key=lambda item: item[1] is None))
        case _:
            return None
