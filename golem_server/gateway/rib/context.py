"""What the inference of one script shares between its parts: variables in scope, types to unify, errors to tell.

Inference goes through the tree once. For each expression it gives a term and a function that makes the code, which is
called when all types are known.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from golem_server.gateway.rib.code import Code
from golem_server.gateway.rib.errors import RibTypeError
from golem_server.gateway.rib.exports import Exports
from golem_server.gateway.rib.printer import print_expression, print_pattern
from golem_server.gateway.rib.syntax import Expression, Pattern
from golem_server.gateway.rib.terms import (
    UNIT,
    CaseKind,
    InstanceTerm,
    Kind,
    ResourceNameTerm,
    RowKind,
    Term,
    Variable,
    prune,
    show,
    term_of,
)
from golem_server.gateway.rib.type_names import print_type
from golem_server.gateway.rib.unification import TermMismatch, TypesTooLarge, Unifier, Unresolved
from golem_server.model.types import Primitive, WitType

_SHOWN_EXPRESSION = 1_000
_UNRESOLVED_HELP = (
    "try specifying the expected type explicitly",
    "if the issue persists, please review the script for potential type inconsistencies",
)


class Typed(NamedTuple):
    """An expression whose type is known as far as its parts tell. `emit` makes its code after `Context.solve`."""

    term: Term
    emit: Callable[[], Code]


@dataclass(frozen=True, slots=True)
class Global:
    """A variable that the caller of an evaluation gives: a record of which each script uses some fields.

    Under `text_fields` are records of what the caller has as text: strings unless the script wants another simple type.
    `other_fields` take the type that their use tells.
    """

    name: str
    text_fields: frozenset[str]
    other_fields: frozenset[str]


REQUEST = Global(
    "request",
    frozenset(("path", "query", "headers", "header", "request_id")),
    frozenset(("body", "auth")),
)
"""The request of a gateway's caller (reference gateway, section 1.7)."""

_TEXT_TYPES = frozenset(Primitive) - {Primitive.CHAR}


class Binding(NamedTuple):
    """A variable: its type and where its value is kept."""

    term: Term
    slot: int


class Context:
    """The state of one inference."""

    def __init__(self, exports: Exports, globals_: Sequence[Global], *, pure: bool) -> None:
        self.exports = exports
        self.pure = pure
        self.unifier = Unifier(exports.named_types)
        self.names: ChainMap[str, Binding] = ChainMap()
        self.slots = 0
        self.called: set[str] = set()
        self.globals: dict[str, Binding] = {}
        self._specifications = {specification.name: specification for specification in globals_}
        self._first_uses: dict[str, Expression] = {}
        self._variables: list[Variable] = []
        self._terms: dict[int, tuple[WitType, Term]] = {}
        self._deferred: list[Callable[[bool], bool]] = []

    # Variables

    def fresh(self, kind: Kind | None = None) -> Variable:
        """A type that is not known yet."""
        variable = Variable(kind)
        self._variables.append(variable)
        return variable

    def bind(self, name: str, term: Term) -> int:
        """A new variable of the script in the current scope; the slot of its value."""
        self.slots += 1
        self.names[name] = Binding(term, self.slots - 1)
        return self.slots - 1

    @contextmanager
    def scope(self) -> Generator[None]:
        """Variables that are bound within are not known outside."""
        outer = self.names
        self.names = outer.new_child()
        try:
            yield
        finally:
            self.names = outer

    def global_variable(self, name: str, node: Expression) -> Binding | None:
        """The variable of this name that the caller of an evaluation gives, if there is such."""
        if name not in self._specifications:
            return None
        if name not in self.globals:
            self.slots += 1
            self.globals[name] = Binding(self.fresh(RowKind({})), self.slots - 1)
            self._first_uses[name] = node
        return self.globals[name]

    @property
    def global_names(self) -> str:
        """The names of all globals, for messages."""
        return ", ".join(self._specifications)

    # Types

    def unify(self, node: Expression | Pattern, expected: Term, found: Term, details: Sequence[str] = ()) -> None:
        """Make the two one type. Raises RibTypeError about the node."""
        try:
            self.unifier.unify(expected, found)
        except TermMismatch as mismatch:
            path = f" at path: `{'.'.join(mismatch.path)}`" if mismatch.path else ""
            cause = f"type mismatch{path}. expected {show(mismatch.expected)}, found {show(mismatch.found)}"
            raise self.error(node, cause, details) from None
        except TypesTooLarge:
            raise self.error(node, "the types of the script are too large") from None

    def case(self, name: str, payload: Term | None) -> Term:
        """The type of a case: the only enum or variant that has it, or one that is not known yet."""
        kind = CaseKind({name: payload})
        variable = self.fresh(kind)
        if len(candidates := self.unifier.candidates(kind)) == 1:
            self.unifier.unify(candidates[0], variable)
        return variable

    def term(self, type_: WitType | None) -> Term:
        """The term of a type of a function; the same one whenever it is asked for."""
        if type_ is None:
            return UNIT
        if id(type_) not in self._terms:
            # The type is kept with its term, so that its identity stays its own.
            self._terms[id(type_)] = type_, term_of(type_)
        return self._terms[id(type_)][1]

    def value_type(self, node: Expression | Pattern, term: Term) -> WitType:
        """The complete type of a node that has a value, once all is known. Raises RibTypeError."""
        type_ = self.type_of(node, term)
        if type_ is None:
            raise self.error(node, "type mismatch. expected a value, found unit")
        return type_

    def type_of(self, node: Expression | Pattern, term: Term) -> WitType | None:
        """The complete type of a node, once all is known; None if it has no value. Raises RibTypeError."""
        try:
            return self.unifier.resolve(term)
        except Unresolved as unresolved:
            if unresolved.ambiguous:
                shown = ", ".join([f"`{print_type(type_)}`" for type_ in unresolved.ambiguous])
                raise self.error(node, f"ambiguous types: {shown}") from None
            raise self.error(node, "cannot determine the type", help_lines=_UNRESOLVED_HELP) from None
        except TypesTooLarge:
            raise self.error(node, "the types of the script are too large") from None

    def check(self, node: Expression, term: Term) -> None:
        """Check that a node's type is known; raises RibTypeError."""
        if not isinstance(prune(term), InstanceTerm | ResourceNameTerm):
            self.type_of(node, term)

    def error(
        self, node: Expression | Pattern, cause: str, details: Sequence[str] = (), help_lines: Sequence[str] = ()
    ) -> RibTypeError:
        """An error about a node."""
        shown = print_expression(node) if isinstance(node, Expression) else print_pattern(node)
        return RibTypeError(cause, node.position, shown[:_SHOWN_EXPRESSION], details=details, help_lines=help_lines)

    # What must wait

    def defer(self, attempt: Callable[[bool], bool]) -> None:
        """Try something now, and again whenever more is known, until it returns True.

        It is called with True when nothing more will be known unless it decides something itself.
        """
        if not attempt(False):
            self._deferred.append(attempt)

    def solve(self, script: Expression) -> None:
        """Decide all that is open. Raises RibTypeError."""
        try:
            self._settle(last=False)
            self._settle(last=True)
            for name in self.globals:
                self._settle_global(name)
            # A default may settle something that leads to other defaults.
            while self._default() or self._settle(last=True):
                pass
        except TypesTooLarge:
            raise self.error(script, "the types of the script are too large") from None

    def _settle(self, *, last: bool) -> bool:
        """Try the deferred until none succeeds any more. Returns whether any did."""
        any_settled = False
        while True:
            before = len(self._deferred)
            waiting, self._deferred = self._deferred, []
            for attempt in waiting:
                self.unifier.spend()
                if not attempt(last):
                    self._deferred.append(attempt)
            if len(self._deferred) >= before:
                return any_settled
            any_settled = True

    def _default(self) -> bool:
        changed = False
        for variable in self._variables:
            if variable.bound is None and variable.kind is not None:
                changed |= self.unifier.default(variable)
        return changed

    def _settle_global(self, name: str) -> None:
        """Check which fields of a global are used, and make strings of its texts."""
        specification, node = self._specifications[name], self._first_uses[name]
        variable = prune(self.globals[name].term)
        fields = variable.kind.fields if isinstance(variable, Variable) and isinstance(variable.kind, RowKind) else {}
        for field, term in fields.items():
            if field not in specification.text_fields | specification.other_fields:
                raise self.error(node, f"invalid rib script with unknown input: {name}.{field}")
            within = prune(term)
            if field not in specification.text_fields:
                continue
            if not isinstance(within, Variable) or not isinstance(within.kind, RowKind):
                raise self.error(node, f"{name}.{field} can only be used by its fields")
            for key, text in within.kind.fields.items():
                self._settle_text(node, f"{name}.{field}.{key}", prune(text))

    def _settle_text(self, node: Expression, path: str, text: Term) -> None:
        if isinstance(text, Variable) and text.kind is None:
            text.bound = Primitive.STRING
        elif isinstance(text, Variable):
            self.unifier.default(text)
        if (type_ := prune(text)) not in _TEXT_TYPES:
            raise self.error(node, f"{path} cannot be of type {show(type_)}")
