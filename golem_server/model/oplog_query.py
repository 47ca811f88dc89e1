"""The query language of oplog searches: a subset of Lucene's (reference: durability, section 2).

    term            a text that contains it, in whatever case
    "phrase"        a text that contains exactly this
    /regex/         a text in which the expression is found
    field:clause    the same for one field alone; `=` is as good as `:`, and `a.b` is a field inside of another
    NOT x, x AND y, x OR y, (x)     AND binds tighter than OR; what stands side by side must all hold, and binds loosest

A backslash takes the next character literally. Queries come from anywhere: their length, depth and size are bounded,
and regular expressions are those of RE2, which take time in proportion to the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, cast

import re2  # pyright: ignore[reportMissingTypeStubs]

from golem_server.model.errors import InvalidInput

MAX_LENGTH = 4096
MAX_DEPTH = 32
MAX_PARTS = 256

_SPECIAL = frozenset(' \t\n\r+-!():^<>=[]"{}~\\/　')
_BLANK = frozenset(" \t\n\r　")
_INSIDE = frozenset("+-")
_KEYWORDS = ("AND", "OR", "NOT")


class Searchable(Protocol):
    """What of an entry can be searched: its texts, and the values in its fields by dotted path."""

    def texts(self) -> Iterable[str]: ...

    def fields(self) -> Iterable[tuple[str, str]]: ...


@dataclass(frozen=True, slots=True)
class Leaf:
    """A test of one text; `kind` is `term`, `phrase` or `regex`."""

    kind: str
    text: str
    test: Callable[[str], bool]

    def matches(self, entry: Searchable, field: str | None) -> bool:
        """Whether one of the texts passes, or of the values of the field."""
        if field is not None:
            return any(self.test(value) for path, value in entry.fields() if path == field)
        return any(map(self.test, entry.texts())) or any(self.test(value) for _, value in entry.fields())


@dataclass(frozen=True, slots=True)
class All:
    """All of the parts hold."""

    parts: Sequence[Query]

    def matches(self, entry: Searchable, field: str | None) -> bool:
        """Whether it holds."""
        return all(part.matches(entry, field) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Any_:
    """One of the parts holds."""

    parts: Sequence[Query]

    def matches(self, entry: Searchable, field: str | None) -> bool:
        """Whether it holds."""
        return any(part.matches(entry, field) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Negation:
    """The part does not hold."""

    part: Query

    def matches(self, entry: Searchable, field: str | None) -> bool:
        """Whether it holds."""
        return not self.part.matches(entry, field)


@dataclass(frozen=True, slots=True)
class InField:
    """The part holds for one field; `path` is in lower case."""

    path: str
    part: Query

    def matches(self, entry: Searchable, field: str | None) -> bool:
        """Whether it holds."""
        return self.part.matches(entry, self.path)


Query: TypeAlias = Leaf | All | Any_ | Negation | InField


def parse_query(text: str) -> Query:
    """The query of a text. Raises InvalidInput that says what is wrong, and where."""
    if len(text) > MAX_LENGTH:
        raise InvalidInput(f"the query has more than {MAX_LENGTH} characters")
    return _Parser(_tokens(text)).whole()


# --- Tokens


@dataclass(frozen=True, slots=True)
class _Token:
    """`kind` is `(`, `)`, `:`, a keyword, `term`, `phrase`, `regex` or `end`."""

    kind: str
    text: str
    at: int


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    while at < len(text):
        character = text[at]
        if character in _BLANK:
            at += 1
        elif character in "()":
            tokens.append(_Token(character, character, at))
            at += 1
        elif character in ":=":
            tokens.append(_Token(":", character, at))
            at += 1
        elif character in '"/':
            content, end = _quoted(text, at)
            tokens.append(_Token("phrase" if character == '"' else "regex", content, at))
            at = end
        elif character in _SPECIAL and character != "\\":
            raise InvalidInput(f"unexpected `{character}` at position {at} of the query; a backslash before it helps")
        else:
            word, end = _word(text, at)
            tokens.append(_Token(text[at:end] if text[at:end] in _KEYWORDS else "term", word, at))
            at = end
    tokens.append(_Token("end", "", len(text)))
    return tokens


def _quoted(text: str, at: int) -> tuple[str, int]:
    quote, parts, end = text[at], list[str](), at + 1
    while end < len(text):
        if text[end] == quote:
            return "".join(parts), end + 1
        if text[end] == "\\" and text[end + 1 : end + 2] == quote:
            end += 1
        parts.append(text[end])
        end += 1
    raise InvalidInput(f"the `{quote}` at position {at} of the query is not closed")


def _word(text: str, at: int) -> tuple[str, int]:
    parts, end = list[str](), at
    while end < len(text):
        character = text[end]
        if character == "\\":
            if end + 1 == len(text):
                raise InvalidInput("the query ends with a backslash")
            parts.append(text[end + 1])
            end += 2
        elif character in _SPECIAL and (end == at or character not in _INSIDE):
            break
        else:
            parts.append(character)
            end += 1
    return "".join(parts), end


# --- Grammar


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._parts = 0

    def whole(self) -> Query:
        """The whole text."""
        query = self._side_by_side(0)
        if self._next.kind != "end":
            raise self._unexpected()
        return query

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self, kind: str) -> bool:
        if self._next.kind != kind:
            return False
        self._at += 1
        return True

    def _unexpected(self) -> InvalidInput:
        token = self._next
        what = "end" if token.kind == "end" else f"`{token.text}`"
        return InvalidInput(f"unexpected {what} at position {token.at} of the query")

    def _side_by_side(self, depth: int) -> Query:
        if depth > MAX_DEPTH:
            raise InvalidInput(f"the query is nested more than {MAX_DEPTH} deep")
        parts: list[Query] = []
        while self._next.kind not in ("end", ")"):
            parts.append(self._disjunction(depth))
        return parts[0] if len(parts) == 1 else All(parts)

    def _disjunction(self, depth: int) -> Query:
        parts = [self._conjunction(depth)]
        while self._take("OR"):
            parts.append(self._conjunction(depth))
        return parts[0] if len(parts) == 1 else Any_(parts)

    def _conjunction(self, depth: int) -> Query:
        parts = [self._negation(depth)]
        while self._take("AND"):
            parts.append(self._negation(depth))
        return parts[0] if len(parts) == 1 else All(parts)

    def _negation(self, depth: int) -> Query:
        negated = False
        while self._take("NOT"):
            negated = not negated
        clause = self._clause(depth)
        return Negation(clause) if negated else clause

    def _clause(self, depth: int) -> Query:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise InvalidInput(f"the query has more than {MAX_PARTS} parts")
        if self._next.kind == "term" and self._tokens[self._at + 1].kind == ":":
            path = self._next.text.lower()
            self._at += 2
            return InField(path, self._group_or_leaf(depth))
        return self._group_or_leaf(depth)

    def _group_or_leaf(self, depth: int) -> Query:
        if self._take("("):
            query = self._side_by_side(depth + 1)
            if not self._take(")"):
                raise self._unexpected()
            return query
        token = self._next
        if token.kind not in ("term", "phrase", "regex"):
            raise self._unexpected()
        self._at += 1
        return _leaf(token)


def _leaf(token: _Token) -> Leaf:
    text = token.text
    if token.kind == "regex":
        return Leaf(token.kind, text, _regex(text))
    if token.kind == "phrase":
        return Leaf(token.kind, text, lambda value: text in value)
    lowered = text.lower()
    return Leaf(token.kind, text, lambda value: lowered in value.lower())


def _regex(pattern: str) -> Callable[[str], bool]:
    compiler = cast(Any, re2)
    options = compiler.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        compiled = compiler.compile(pattern, options=options)
    except (compiler.error, UnicodeError) as error:
        raise InvalidInput(f"Invalid regular expression: {_error_text(error)}") from error
    return lambda value: compiled.search(value) is not None


def _error_text(error: Exception) -> str:
    told = error.args[0] if error.args else error
    return told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)
