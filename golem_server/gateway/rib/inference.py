"""Finds the type of every expression of a script, and makes its code (reference gateway, section 2.3).

Types flow both ways: an untyped number takes the type that its uses demand, also through variables, and a field of the
request that of the parameter to which it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from golem_server.gateway.rib import code, syntax
from golem_server.gateway.rib.calls import Calls
from golem_server.gateway.rib.code import Code
from golem_server.gateway.rib.context import Context, Typed
from golem_server.gateway.rib.exports import NoCallee
from golem_server.gateway.rib.patterns import DeadCode, Patterns, Shape, TypedPattern, uncovered
from golem_server.gateway.rib.syntax import Expression, Operator
from golem_server.gateway.rib.terms import (
    FLOATS,
    INTEGERS,
    UNIT,
    ArmKind,
    FlagsKind,
    InstanceTerm,
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
    Variable,
    prune,
    show,
    term_of,
)
from golem_server.gateway.rib.values import Fault, arithmetic, comparison, field_of, interpolated, number_of
from golem_server.model.types import EnumType, FlagsType, OptionType, Primitive, Value, WitType

_ARITHMETIC = frozenset((Operator.ADD, Operator.SUBTRACT, Operator.MULTIPLY, Operator.DIVIDE))
_UNCOVERED_HELP = ("to ensure a complete match, add missing patterns or use wildcard (`_`)",)


class Inference:
    """Infers the expressions of one script, one method for each kind."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._calls = Calls(context, self.infer)
        self._patterns = Patterns(context, self.infer)
        # Each rule is called with nodes of its key's type alone, which a dictionary's type cannot say.
        self._rules: dict[type, Callable[[Any], Typed]] = {
            syntax.Text: self._text,
            syntax.Interpolation: self._interpolation,
            syntax.Number: self._number,
            syntax.Boolean: lambda node: Typed(Primitive.BOOL, lambda: code.constant(node.value)),
            syntax.Name: self._name,
            syntax.Annotated: self._annotated,
            syntax.Let: self._let,
            syntax.Block: lambda node: self._body(node, node.expressions),
            syntax.If: self._if,
            syntax.Binary: self._binary,
            syntax.Not: self._not,
            syntax.Flags: self._flags,
            syntax.Record: self._record,
            syntax.Tuple: self._tuple,
            syntax.ListLiteral: self._list,
            syntax.OptionLiteral: self._option,
            syntax.ResultLiteral: self._result,
            syntax.SelectField: self._select_field,
            syntax.SelectIndex: self._select_index,
            syntax.Range: self._range,
            syntax.Call: self._calls.call,
            syntax.MethodCall: self._calls.method,
            syntax.For: self._for,
            syntax.Reduce: self._reduce,
            syntax.Match: self._match,
        }

    def infer(self, node: Expression) -> Typed:
        """The type of an expression, and how to make its code. Raises RibTypeError."""
        typed = self._rules[type(node)](node)

        def emit() -> Code:
            made = typed.emit()
            # Within first: the innermost expression without a type is the one to tell.
            self._context.check(node, typed.term)
            return made

        return Typed(typed.term, emit)

    # Literals

    def _text(self, node: syntax.Text) -> Typed:
        return Typed(self._context.fresh(TextKind(len(node.value) == 1)), lambda: code.constant(node.value))

    def _interpolation(self, node: syntax.Interpolation) -> Typed:
        with self._context.scope():
            parts = [self.infer(part) for part in node.parts]

        def text(part: Expression, typed: Typed) -> Code:
            made = typed.emit()
            type_ = self._context.value_type(part, typed.term)
            if type_ is Primitive.STRING:
                return made
            return code.apply(partial(interpolated, type_), made, part.position)

        def emit() -> Code:
            return code.join([text(part, typed) for part, typed in zip(node.parts, parts, strict=True)], node.position)

        return Typed(Primitive.STRING, emit)

    def _number(self, node: syntax.Number) -> Typed:
        context = self._context
        kind = NumberKind(fraction=True)
        if node.is_integer:
            value = int(node.literal)
            kind = NumberKind(low=min(0, value), high=max(0, value))
        term = context.fresh(kind)

        def emit() -> Code:
            type_ = context.value_type(node, term)
            assert isinstance(type_, Primitive)
            try:
                return code.constant(number_of(node.literal, type_))
            except Fault as fault:
                raise context.error(node, str(fault)) from None

        return Typed(term, emit)

    def _flags(self, node: syntax.Flags) -> Typed:
        term = self._context.fresh(FlagsKind(list(dict.fromkeys(node.names))))

        def emit() -> Code:
            type_ = self._context.value_type(node, term)
            assert isinstance(type_, FlagsType)
            return code.constant([name for name in type_.names if name in node.names])

        return Typed(term, emit)

    # Variables and blocks

    def _name(self, node: syntax.Name) -> Typed:
        context = self._context
        if binding := context.names.get(node.name) or context.global_variable(node.name, node):
            return Typed(binding.term, lambda: code.load(binding.slot))
        if node.name not in context.exports.bare_cases:
            cause = f"Unsupported input in Rib script: Expected: {context.global_names}, found: {node.name}"
            raise context.error(node, cause)
        term = context.case(node.name, None)

        def emit() -> Code:
            is_enum = isinstance(context.value_type(node, term), EnumType)
            return code.constant(node.name if is_enum else (node.name, None))

        return Typed(term, emit)

    def _annotated(self, node: syntax.Annotated) -> Typed:
        typed = self.infer(node.expression)
        self._context.unify(node, term_of(node.type), typed.term)
        return typed

    def _let(self, node: syntax.Let) -> Typed:
        # The variable is not known in its own value: `let x = x` may mean a case of that name.
        typed = self.infer(node.value)
        if node.type is not None:
            self._context.unify(node.value, term_of(node.type), typed.term)
        slot = self._context.bind(node.name, typed.term)
        return Typed(UNIT, lambda: code.store(slot, typed.emit()))

    def _body(self, node: Expression, expressions: Sequence[Expression]) -> Typed:
        with self._context.scope():
            typed = [self.infer(expression) for expression in expressions]
        return Typed(typed[-1].term, lambda: code.sequence([part.emit() for part in typed], node.position))

    def _scoped(self, node: Expression) -> Typed:
        with self._context.scope():
            return self.infer(node)

    # Operators

    def _if(self, node: syntax.If) -> Typed:
        condition = self.infer(node.condition)
        self._context.unify(node.condition, Primitive.BOOL, condition.term)
        consequence, alternative = self._scoped(node.consequence), self._scoped(node.alternative)
        self._context.unify(node.alternative, consequence.term, alternative.term)

        def emit() -> Code:
            return code.choose(condition.emit(), consequence.emit(), alternative.emit())

        return Typed(consequence.term, emit)

    def _not(self, node: syntax.Not) -> Typed:
        operand = self.infer(node.operand)
        self._context.unify(node.operand, Primitive.BOOL, operand.term)
        return Typed(Primitive.BOOL, lambda: code.apply(lambda value: not value, operand.emit(), node.position))

    def _binary(self, node: syntax.Binary) -> Typed:
        left, right = self.infer(node.left), self._scoped(node.right)
        if node.operator in _ARITHMETIC:
            return self._arithmetic(node, left, right)
        if node.operator in (Operator.AND, Operator.OR):
            self._context.unify(node.left, Primitive.BOOL, left.term)
            self._context.unify(node.right, Primitive.BOOL, right.term)
            decided_by = node.operator is Operator.OR
            return Typed(Primitive.BOOL, lambda: code.short_circuit(left.emit(), right.emit(), decided_by=decided_by))
        return self._comparison(node, left, right)

    def _arithmetic(self, node: syntax.Binary, left: Typed, right: Typed) -> Typed:
        context = self._context
        context.unify(node.left, context.fresh(NumberKind()), left.term)
        context.unify(node.right, left.term, right.term)

        def emit() -> Code:
            codes = left.emit(), right.emit()
            type_ = context.value_type(node, left.term)
            assert isinstance(type_, Primitive)
            return code.apply_two(arithmetic(node.operator, type_), *codes, node.position)

        return Typed(left.term, emit)

    def _comparison(self, node: syntax.Binary, left: Typed, right: Typed) -> Typed:
        context = self._context

        def unify(last: bool) -> bool:
            one, other = prune(left.term), prune(right.term)
            if _is_number(one) and _is_number(other):
                # Numbers of all types compare with one another.
                return True
            if not last and (_is_free(one) or _is_free(other)):
                return False
            context.unify(node.right, one, other)
            return True

        context.defer(unify)

        def emit() -> Code:
            codes = left.emit(), right.emit()
            type_ = context.value_type(node.left, left.term)
            return code.apply_two(comparison(node.operator, type_), *codes, node.position)

        return Typed(Primitive.BOOL, emit)

    # Structures

    def _record(self, node: syntax.Record) -> Typed:
        typed = [self.infer(value) for _, value in node.fields]
        keys = [key for key, _ in node.fields]
        fields = {key: part.term for key, part in zip(keys, typed, strict=True)}
        term = self._context.fresh(RowKind(fields, set(keys)))

        def make(values: list[Value]) -> Value:
            return dict(zip(keys, values, strict=True))

        def emit() -> Code:
            whole = prune(term)
            if isinstance(whole, RecordTerm) and (missing := [name for name in whole.fields if name not in keys]):
                raise self._context.error(node, f"missing field(s) in record: `{', '.join(missing)}`")
            return code.collect([part.emit() for part in typed], make)

        return Typed(term, emit)

    def _tuple(self, node: syntax.Tuple) -> Typed:
        typed = [self.infer(item) for item in node.items]
        term = TupleTerm(tuple([part.term for part in typed]))
        return Typed(term, lambda: code.collect([part.emit() for part in typed], tuple))

    def _list(self, node: syntax.ListLiteral) -> Typed:
        element = self._context.fresh()
        typed: list[Typed] = []
        for item in node.items:
            typed.append(self.infer(item))
            self._context.unify(item, element, typed[-1].term)

        def emit() -> Code:
            return code.collect([part.emit() for part in typed], self._list_maker(node, element))

        return Typed(ListTerm(element), emit)

    def _list_maker(self, node: Expression, element: Term) -> Callable[[list[Value]], Value]:
        """What makes the value of a list: bytes of `u8`, a list of all else."""
        return bytes if self._context.value_type(node, element) is Primitive.U8 else list

    def _option(self, node: syntax.OptionLiteral) -> Typed:
        if node.value is None:
            return Typed(OptionTerm(self._context.fresh()), lambda: code.constant(None))
        typed = self.infer(node.value)
        value = node.value

        def emit() -> Code:
            made = typed.emit()
            nested = isinstance(self._context.value_type(value, typed.term), OptionType)
            return code.collect([made], lambda values: (values[0],)) if nested else made

        return Typed(OptionTerm(typed.term), emit)

    def _result(self, node: syntax.ResultLiteral) -> Typed:
        typed = self.infer(node.value)
        other = self._context.fresh(ArmKind())
        term = ResultTerm(typed.term, other) if node.is_ok else ResultTerm(other, typed.term)
        arm = "ok" if node.is_ok else "err"
        return Typed(term, lambda: code.collect([typed.emit()], lambda values: (arm, values[0])))

    def _select_field(self, node: syntax.SelectField) -> Typed:
        context = self._context
        subject = self.infer(node.subject)
        known = prune(subject.term)
        if isinstance(known, InstanceTerm):
            try:
                interface = context.exports.resource(node.field, known.restriction)
            except NoCallee as reason:
                raise context.error(node, str(reason)) from None
            return Typed(ResourceNameTerm(interface, node.field), subject.emit)
        if isinstance(known, RecordTerm) and node.field not in known.fields:
            raise context.error(node, f"the record has no field `{node.field}`: {show(known)}")
        field = context.fresh()
        context.unify(node, context.fresh(RowKind({node.field: field})), subject.term)

        def emit() -> Code:
            whole = prune(subject.term)
            kind = whole.kind if isinstance(whole, Variable) else None
            if isinstance(kind, RowKind) and kind.given is not None and node.field not in kind.given:
                raise context.error(node, f"the record has no field `{node.field}`: {show(whole)}")
            return code.apply(partial(field_of, node.field), subject.emit(), node.position)

        return Typed(field, emit)

    def _select_index(self, node: syntax.SelectIndex) -> Typed:
        context = self._context
        subject, index = self.infer(node.subject), self.infer(node.index)
        selected = context.fresh()

        def settle(last: bool) -> bool:
            whole, at = prune(subject.term), prune(index.term)
            if not last and (_is_free(whole) or (_is_free(at) and not isinstance(whole, TupleTerm))):
                return False
            if isinstance(at, RangeTerm):
                context.unify(node.subject, ListTerm(context.fresh()), whole)
                context.unify(node, selected, whole)
                return True
            context.unify(node.index, context.fresh(NumberKind()), at)
            if isinstance(whole, TupleTerm):
                for item in self._tuple_items(node, whole):
                    context.unify(node, selected, item)
            else:
                context.unify(node.subject, ListTerm(selected), whole)
            return True

        context.defer(settle)

        def emit() -> Code:
            codes = subject.emit(), index.emit()
            if isinstance(prune(index.term), RangeTerm):
                return code.part_of_list(*codes, node.position)
            if context.value_type(node.index, index.term) in FLOATS:
                raise context.error(node.index, "type mismatch. expected an integer as index, found a fraction")
            return code.element(*codes, node.position)

        return Typed(selected, emit)

    def _tuple_items(self, node: syntax.SelectIndex, whole: TupleTerm) -> Sequence[Term]:
        """The item that a literal index selects; all of them if it is only known when the script runs."""
        index = node.index.expression if isinstance(node.index, syntax.Annotated) else node.index
        if not isinstance(index, syntax.Number) or not index.is_integer:
            return whole.items
        at = int(index.literal)
        if not 0 <= at < len(whole.items):
            raise self._context.error(node, f"index out of bound: {at} (size: {len(whole.items)})")
        return whole.items[at : at + 1]

    def _range(self, node: syntax.Range) -> Typed:
        context = self._context
        bound = context.fresh(NumberKind())
        nodes = [node.start] if node.end is None else [node.start, node.end]
        typed: list[Typed] = []
        for part in nodes:
            typed.append(self.infer(part))
            context.unify(part, bound, typed[-1].term)
        keys = ("from", "to")[: len(typed)]

        def make(values: list[Value]) -> Value:
            return {**dict(zip(keys, values, strict=True)), "inclusive": node.inclusive}

        def emit() -> Code:
            codes = [part.emit() for part in typed]
            if context.value_type(node, bound) in FLOATS:
                raise context.error(node, "type mismatch. expected integers as bounds of a range, found fractions")
            return code.collect(codes, make)

        return Typed(RangeTerm(bound, node.end is not None), emit)

    # Loops and matches

    def _item(self, iterable: Expression, typed: Typed) -> Term:
        """The type of what a loop goes over."""
        context = self._context
        item = context.fresh()

        def settle(last: bool) -> bool:
            whole = prune(typed.term)
            if isinstance(whole, RangeTerm):
                context.unify(iterable, item, whole.bound)
                return True
            if _is_free(whole) and not last:
                return False
            context.unify(iterable, ListTerm(item), whole)
            return True

        context.defer(settle)
        return item

    def _for(self, node: syntax.For) -> Typed:
        context = self._context
        iterable = self.infer(node.iterable)
        with context.scope():
            slot = context.bind(node.name, self._item(node.iterable, iterable))
            body = self._body(node, node.body)

        def emit() -> Code:
            codes = iterable.emit(), body.emit()
            return code.loop(slot, *codes, self._list_maker(node.body[-1], body.term), node.position)

        return Typed(ListTerm(body.term), emit)

    def _reduce(self, node: syntax.Reduce) -> Typed:
        context = self._context
        iterable, initial = self.infer(node.iterable), self.infer(node.initial)
        with context.scope():
            accumulator = context.bind(node.accumulator, initial.term)
            item = context.bind(node.name, self._item(node.iterable, iterable))
            body = self._body(node, node.body)
        context.unify(node.body[-1], initial.term, body.term)

        def emit() -> Code:
            codes = iterable.emit(), initial.emit(), body.emit()
            return code.fold((accumulator, item), *codes, node.position)

        return Typed(initial.term, emit)

    def _match(self, node: syntax.Match) -> Typed:
        context = self._context
        subject = self.infer(node.subject)
        result = context.fresh()
        arms: list[tuple[Callable[[], code.Test], Typed]] = []
        patterns: list[TypedPattern] = []
        for pattern, value in node.arms:
            with context.scope():
                typed_pattern = self._patterns.pattern(pattern, subject.term)
                typed = self.infer(value)
            context.unify(value, result, typed.term)
            patterns.append(typed_pattern)
            arms.append((typed_pattern.emit, typed))

        def emit() -> Code:
            made = subject.emit()
            tests = [(test(), value.emit()) for test, value in arms]
            self._check_coverage(node, [typed.shape() for typed in patterns], context.type_of(node, subject.term))
            return code.match(made, tests, node.position)

        return Typed(result, emit)

    def _check_coverage(self, node: syntax.Match, shapes: Sequence[Shape], type_: WitType | None) -> None:
        try:
            missing = uncovered(shapes, type_)
        except DeadCode as dead:
            raise self._context.error(node, str(dead), (), _UNCOVERED_HELP) from None
        if missing:
            cause = f"non-exhaustive pattern match: the following patterns are not covered: `{', '.join(missing)}`"
            raise self._context.error(node, cause, (), _UNCOVERED_HELP)


def _is_free(term: Term) -> bool:
    return isinstance(term, Variable) and (term.kind is None or isinstance(term.kind, ArmKind))


def _is_number(term: Term) -> bool:
    if isinstance(term, Variable):
        return isinstance(term.kind, NumberKind)
    return isinstance(term, Primitive) and (term in INTEGERS or term in FLOATS)
