"""Reads scripts: recursive descent with ordered choice, as the grammar says (reference gateway, section 2.2).

What surprises: all operators have equal rank and group to the right; `a-b` is one name; `(x)` is a tuple; braces are
tried as block, flags and record, in this order. Results of expressions and patterns are remembered by place, so that no
text is read twice by alternatives that begin alike and the time stays linear in the length of the script.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from golem_server.gateway.rib.errors import Position
from golem_server.gateway.rib.scanner import NoMatch, Scanner
from golem_server.gateway.rib.syntax import (
    AliasPattern,
    Annotated,
    Binary,
    Block,
    Boolean,
    Call,
    ConstructorPattern,
    Expression,
    Flags,
    For,
    If,
    Interpolation,
    Let,
    ListLiteral,
    ListPattern,
    LiteralPattern,
    Match,
    MethodCall,
    Name,
    Not,
    Number,
    Operator,
    OptionLiteral,
    Pattern,
    Range,
    Record,
    RecordPattern,
    Reduce,
    ResultLiteral,
    SelectField,
    SelectIndex,
    Text,
    Tuple,
    TuplePattern,
    Wildcard,
)
from golem_server.gateway.rib.type_names import TypeNames
from golem_server.model.errors import InvalidInput
from golem_server.model.function_names import parse_function_name

MAX_SCRIPT = 64 * 1024
"""Characters of a script."""

MAX_NESTING = 80
"""Expressions within one another; the right operand of an operator counts as being within it."""

MAX_DIGITS = 400
"""Characters of a number."""

KEYWORDS = frozenset(
    ("if", "then", "else", "match", "ok", "some", "err", "none", "let", "for", "yield", "reduce", "true", "false")
)
"""Words that name no variable."""

_WORD = re.compile(r"[^\W\d_][\w-]*")
_FLAG = re.compile(r"[\w-]+")
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+(?:[eE][+-]?[0-9]+)?)?")
_PLAIN_TEXT = re.compile(r'[^"${}]+')
_TYPE_PARAMETER = re.compile(r"[\w.@:/-]+")
_EXPORT = re.compile(r"(?:[A-Za-z0-9-]+:[A-Za-z0-9-]+/)?[A-Za-z0-9-]+(?:@[^\s{}]+?)?\.\{[^\s{}]*\}")
_FUNCTION = re.compile(r"[A-Za-z0-9-]+(?![\w-])")
_ALIAS = re.compile(r"\w+")
_OPERATOR = re.compile("|".join(re.escape(operator.value) for operator in Operator))

_Node = TypeVar("_Node")


def parse_script(text: str) -> Expression:
    """The tree of a script. Raises RibSyntaxError with the place and what was expected there."""
    outer = Scanner(text)
    if len(text) > MAX_SCRIPT:
        raise outer.error(f"the script is longer than {MAX_SCRIPT} characters", MAX_SCRIPT)
    stripped = text.strip()
    start = len(text) - len(text.lstrip())
    end = start + len(stripped)
    if stripped.startswith("${") and stripped.endswith("}"):
        # Scripts were once written like the interpolations of a text.
        start, end = start + 2, end - 1
    if text[start:end].rstrip().endswith(";"):
        reason = "unexpected `;` at the end of rib expression. note: `;` stands between expressions, not after the last"
        raise outer.error(reason, text.rindex(";", start, end))
    parser = _Parser(Scanner(text, start, end))
    try:
        return parser.script()
    except NoMatch:
        raise parser.scanner.furthest_error() from None


class _Parser:
    """One method for each rule; each reads the blanks after what it reads, and raises NoMatch if it does not fit."""

    def __init__(self, scanner: Scanner) -> None:
        self.scanner = scanner
        self.types = TypeNames(scanner)
        self._nesting = 0
        self._expressions: dict[int, tuple[Expression, int] | None] = {}
        self._patterns: dict[int, tuple[Pattern, int] | None] = {}
        self._constructs: dict[str, Callable[[Position], Expression]] = {
            "for": self._for,
            "reduce": self._reduce,
            "match": self._match,
            "let": self._let,
            "if": self._if,
            "true": partial(Boolean, value=True),
            "false": partial(Boolean, value=False),
            "none": partial(OptionLiteral, value=None),
        }
        self._by_character: dict[str, Callable[[], Expression]] = {
            "{": self._braces,
            "(": self._tuple,
            "[": self._list,
            '"': self._text,
            "!": self._not,
        }

    def script(self) -> Expression:
        self.scanner.skip()
        block = self._block()
        if self.scanner.at < self.scanner.end:
            raise self.scanner.fail("the end of the script")
        return block

    def _block(self) -> Expression:
        """Expressions with semicolons between; a single one stands for itself."""
        position = self.scanner.position()
        expressions = [self.expression()]
        while self.scanner.take(";"):
            expressions.append(self.expression())
        return expressions[0] if len(expressions) == 1 else Block(position, tuple(expressions))

    # Expressions

    def expression(self) -> Expression:
        """A whole expression: an operand, then perhaps an operator and the expression to its right."""
        scanner = self.scanner
        start = scanner.at
        if start in self._expressions:
            return self._remembered(self._expressions[start])
        self._expressions[start] = None
        self._enter()
        position = scanner.position()
        left = self._operand()
        if operator := scanner.match(_OPERATOR):
            scanner.at = operator.end()
            scanner.skip()
            left = Binary(position, Operator(operator[0]), left, self.expression())
        else:
            scanner.fail("an operator")
        self._nesting -= 1
        self._expressions[start] = (left, scanner.at)
        return left

    def _remembered(self, result: tuple[_Node, int] | None) -> _Node:
        if result is None:
            # Why it failed has been noted when it did.
            raise NoMatch
        node, self.scanner.at = result
        return node

    def _enter(self) -> None:
        self._nesting += 1
        if self._nesting > MAX_NESTING:
            raise self.scanner.error(f"the script nests more than {MAX_NESTING} expressions")

    def _attempt(self, *alternatives: Callable[[], _Node]) -> _Node:
        """The first alternative that fits."""
        start, nesting = self.scanner.at, self._nesting
        for alternative in alternatives:
            try:
                return alternative()
            except NoMatch:
                self.scanner.at, self._nesting = start, nesting
        raise NoMatch

    def _operand(self) -> Expression:
        """A simple expression with its indices, selections and method calls, or a range that begins with it."""
        scanner = self.scanner
        position = scanner.position()
        operand = self._indices(self._simple())
        while scanner.starts_with(".") and not scanner.starts_with(".."):
            scanner.expect(".")
            operand = self._annotation(position, self._indices(self._selection(position, operand)))
        if not scanner.starts_with(".."):
            return operand
        scanner.at += 2
        inclusive = scanner.starts_with("=")
        if inclusive:
            scanner.at += 1
        scanner.skip()
        try:
            end = self._attempt(self._simple)
        except NoMatch:
            if inclusive:
                raise
            end = None
        return self._indices(Range(position, operand, end, inclusive))

    def _indices(self, subject: Expression) -> Expression:
        while self.scanner.take("["):
            index = self.expression()
            self.scanner.expect("]")
            subject = SelectIndex(subject.position, subject, index)
        return subject

    def _selection(self, position: Position, subject: Expression) -> Expression:
        """What follows a dot: a method with its arguments, or a field."""
        start = self.scanner.at
        name = self.scanner.read(_WORD, "a field or function")[0]
        end = self.scanner.at
        self.scanner.at = start
        try:
            parameter, arguments = self._attempt(self._plain_call)
        except NoMatch:
            self.scanner.at = end
            return SelectField(position, subject, name)
        return MethodCall(position, subject, name, parameter, arguments)

    def _simple(self) -> Expression:
        """An expression that begins with its own mark or word, with its annotation."""
        scanner = self.scanner
        position = scanner.position()
        character = scanner.text[scanner.at : scanner.at + 1] if scanner.at < scanner.end else ""
        if rule := self._by_character.get(character):
            simple = rule()
        elif number := scanner.match(_NUMBER):
            if len(number[0]) > MAX_DIGITS:
                raise scanner.error(f"a number is longer than {MAX_DIGITS} characters")
            scanner.read(_NUMBER, "a number")
            simple = Number(position, number[0])
        elif word := scanner.match(_WORD):
            simple = self._word(position, word)
        else:
            raise scanner.fail("an expression")
        return self._annotation(position, simple)

    def _annotation(self, position: Position, expression: Expression) -> Expression:
        """The expression with the type that follows it, if one does; the colon may be missing."""
        start = self.scanner.at
        self.scanner.take(":")
        type_ = self.types.optional()
        if type_ is None:
            self.scanner.at = start
            return expression
        return Annotated(position, expression, type_)

    def _word(self, position: Position, word: re.Match[str]) -> Expression:
        scanner = self.scanner
        name = word[0]
        if construct := self._constructs.get(name):
            scanner.read(_WORD, name)
            return construct(position)
        if name in ("some", "ok", "err"):
            scanner.read(_WORD, name)
            scanner.expect("(")
            value = self.expression()
            scanner.expect(")")
            return OptionLiteral(position, value) if name == "some" else ResultLiteral(position, name == "ok", value)
        if export := scanner.match(_EXPORT):
            return self._direct_call(position, export)
        if name in KEYWORDS:
            raise scanner.fail("an expression")
        try:
            parameter, arguments = self._attempt(self._plain_call)
        except NoMatch:
            scanner.read(_WORD, "a name")
            return Name(position, name)
        return Call(position, name, parameter, arguments)

    def _plain_call(self) -> tuple[str | None, tuple[Expression, ...]]:
        """A function's name, its type parameter and arguments; the name is known to the caller."""
        self.scanner.read(_FUNCTION, "a function")
        parameter = None
        if self.scanner.take("["):
            parameter = self.scanner.read(_TYPE_PARAMETER, "an interface or package")[0]
            self.scanner.expect("]")
        return parameter, self._arguments()

    def _direct_call(self, position: Position, export: re.Match[str]) -> Expression:
        try:
            parse_function_name(export[0])
        except InvalidInput as error:
            raise self.scanner.error(error.message) from None
        self.scanner.read(_EXPORT, "a function")
        return Call(position, export[0], None, self._arguments())

    def _arguments(self) -> tuple[Expression, ...]:
        return self._enclosed("(", ")", self.expression)

    def _enclosed(self, opening: str, closing: str, item: Callable[[], _Node]) -> tuple[_Node, ...]:
        """Items with commas between, in brackets."""
        self.scanner.expect(opening)
        items: list[_Node] = []
        if not self.scanner.take(closing):
            items.append(item())
            while self.scanner.take(","):
                items.append(item())
            self.scanner.expect(closing)
        return tuple(items)

    def _tuple(self) -> Expression:
        return Tuple(self.scanner.position(), self._enclosed("(", ")", self.expression))

    def _list(self) -> Expression:
        return ListLiteral(self.scanner.position(), self._enclosed("[", "]", self.expression))

    def _not(self) -> Expression:
        position = self.scanner.position()
        self.scanner.expect("!")
        return Not(position, self.expression())

    def _braces(self) -> Expression:
        return self._attempt(self._inner_block, self._flags, self._record)

    def _inner_block(self) -> Expression:
        position = self.scanner.position()
        self.scanner.expect("{")
        block = self._block()
        if not isinstance(block, Block):
            raise self.scanner.fail("`;`")
        self.scanner.expect("}")
        return Block(position, block.expressions)

    def _flags(self) -> Expression:
        position = self.scanner.position()
        return Flags(position, self._enclosed("{", "}", lambda: self.scanner.read(_FLAG, "a flag")[0]))

    def _record(self) -> Expression:
        position = self.scanner.position()
        fields = self._enclosed("{", "}", self._field)
        keys = [key for key, _ in fields]
        if duplicates := sorted({key for key in keys if keys.count(key) > 1}):
            raise self.scanner.error(f"duplicate keys found in record: {', '.join(duplicates)}")
        return Record(position, fields)

    def _field(self) -> tuple[str, Expression]:
        key = self.scanner.read(_WORD, "a key")[0]
        self.scanner.expect(":")
        return key, self.expression()

    def _text(self) -> Expression:
        scanner = self.scanner
        position = scanner.position()
        parts: list[Expression] = []
        # Blanks belong to the text: nothing is skipped until it ends.
        scanner.at += 1
        while not scanner.starts_with('"'):
            start = scanner.position()
            if found := scanner.match(_PLAIN_TEXT):
                scanner.at = found.end()
                _add_part(parts, Text(start, found[0]))
            elif scanner.take("${"):
                _add_part(parts, self._block())
                if not scanner.starts_with("}"):
                    raise scanner.fail("`}`")
                scanner.at += 1
            else:
                raise scanner.fail('`"`')
        scanner.expect('"')
        match parts:
            case []:
                return Text(position, "")
            case [Text(_, value)]:
                return Text(position, value)
            case _:
                return Interpolation(position, tuple(parts))

    # Constructs that begin with a word, which has been read

    def _keyword(self, word: str) -> None:
        found = self.scanner.match(_WORD)
        if found is None or found[0] != word:
            raise self.scanner.fail(f"`{word}`")
        self.scanner.read(_WORD, word)

    def _variable(self) -> str:
        found = self.scanner.match(_WORD)
        if found is None or found[0] in KEYWORDS or found[0] == "instance":
            raise self.scanner.fail("a name for a variable")
        return self.scanner.read(_WORD, "a variable")[0]

    def _let(self, position: Position) -> Expression:
        name = self._variable()
        type_ = self.types.required() if self.scanner.take(":") else None
        self.scanner.expect("=")
        return Let(position, name, type_, self.expression())

    def _if(self, position: Position) -> Expression:
        condition = self.expression()
        self._keyword("then")
        consequence = self.expression()
        self._keyword("else")
        return If(position, condition, consequence, self.expression())

    def _for(self, position: Position) -> Expression:
        name = self._variable()
        self._keyword("in")
        iterable = self.expression()
        return For(position, name, iterable, self._body())

    def _reduce(self, position: Position) -> Expression:
        accumulator = self._variable()
        self.scanner.expect(",")
        name = self._variable()
        self._keyword("in")
        iterable = self.expression()
        self._keyword("from")
        initial = self.expression()
        return Reduce(position, accumulator, name, iterable, initial, self._body())

    def _body(self) -> tuple[Expression, ...]:
        """The block of a loop, which ends with the value that it yields."""
        self.scanner.expect("{")
        body: list[Expression] = []
        while not self._at_word("yield"):
            self.scanner.fail("`yield`")
            body.append(self.expression())
            self.scanner.expect(";")
        self._keyword("yield")
        body.append(self.expression())
        self.scanner.expect(";")
        self.scanner.expect("}")
        return tuple(body)

    def _at_word(self, word: str) -> bool:
        found = self.scanner.match(_WORD)
        return found is not None and found[0] == word

    def _match(self, position: Position) -> Expression:
        subject = self.expression()
        self.scanner.expect("{")
        arms = [self._arm()]
        while self.scanner.take(",") and not self.scanner.starts_with("}"):
            arms.append(self._arm())
        self.scanner.expect("}")
        return Match(position, subject, tuple(arms))

    def _arm(self) -> tuple[Pattern, Expression]:
        pattern = self.pattern()
        self.scanner.expect("=>")
        return pattern, self.expression()

    # Patterns

    def pattern(self) -> Pattern:
        """A pattern of a match arm."""
        start = self.scanner.at
        if start in self._patterns:
            return self._remembered(self._patterns[start])
        self._patterns[start] = None
        self._enter()
        pattern = self._attempt(
            self._constructor_pattern,
            self._tuple_pattern,
            self._list_pattern,
            self._record_pattern,
            self._wildcard,
            self._alias,
            self._literal_pattern,
        )
        self._nesting -= 1
        self._patterns[start] = (pattern, self.scanner.at)
        return pattern

    def _constructor_pattern(self) -> Pattern:
        position = self.scanner.position()
        name = self.scanner.read(_FLAG, "a pattern")[0]
        if name == "none" and not self.scanner.starts_with("("):
            return ConstructorPattern(position, name, ())
        return ConstructorPattern(position, name, self._enclosed("(", ")", self.pattern))

    def _tuple_pattern(self) -> Pattern:
        return TuplePattern(self.scanner.position(), self._enclosed("(", ")", self.pattern))

    def _list_pattern(self) -> Pattern:
        return ListPattern(self.scanner.position(), self._enclosed("[", "]", self.pattern))

    def _record_pattern(self) -> Pattern:
        position = self.scanner.position()
        fields = self._enclosed("{", "}", self._field_pattern)
        if not fields:
            raise self.scanner.fail("a key")
        return RecordPattern(position, fields)

    def _field_pattern(self) -> tuple[str, Pattern]:
        key = self.scanner.read(_WORD, "a key")[0]
        self.scanner.expect(":")
        return key, self.pattern()

    def _wildcard(self) -> Pattern:
        position = self.scanner.position()
        self.scanner.expect("_")
        return Wildcard(position)

    def _alias(self) -> Pattern:
        position = self.scanner.position()
        name = self.scanner.read(_ALIAS, "a pattern")[0]
        self.scanner.expect("@")
        return AliasPattern(position, name, self.pattern())

    def _literal_pattern(self) -> Pattern:
        position = self.scanner.position()
        return LiteralPattern(position, self.expression())


def _add_part(parts: list[Expression], part: Expression) -> None:
    """Add a part of a text; texts side by side become one."""
    if isinstance(part, Text) and parts and isinstance(parts[-1], Text):
        parts[-1] = Text(parts[-1].position, parts[-1].value + part.value)
    else:
        parts.append(part)
