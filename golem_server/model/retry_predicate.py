"""Predicates of retry policies: trees over the properties of a failure (reference: durability, section 6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TypeAlias

import msgspec

MAX_ALTERNATIVES = 64
"""What the braces of a pattern may stand for."""

PropertyValue: TypeAlias = str | int | bool
Properties: TypeAlias = Mapping[str, PropertyValue]


class RetryEvaluationError(Exception):
    """A predicate cannot be decided for these properties."""


class PropertyMissing(RetryEvaluationError):
    """A property that the predicate needs is not there."""


class Node(msgspec.Struct, array_like=True, frozen=True):
    """Base of everything in a tree."""

    def children(self) -> Sequence[Node]:
        """The nodes right below this one."""
        return [child for child in map(self.__getattribute__, self.__struct_fields__) if isinstance(child, Node)]


class Compare(Node, tag="compare", frozen=True):
    """`operator` is `eq`, `neq`, `gt`, `gte`, `lt` or `lte`."""

    operator: str
    property: str
    value: PropertyValue


class Exists(Node, tag="exists", frozen=True):
    """The property is there."""

    property: str


class OneOf(Node, tag="one-of", frozen=True):
    """The property has one of the values."""

    property: str
    values: list[PropertyValue]


class TextTest(Node, tag="text", frozen=True):
    """`test` is `matches` (a glob), `starts-with` or `contains`."""

    test: str
    property: str
    text: str


class And(Node, tag="and", frozen=True):
    """Both hold."""

    left: Predicate
    right: Predicate


class Or(Node, tag="or", frozen=True):
    """One of them holds."""

    left: Predicate
    right: Predicate


class Not(Node, tag="not", frozen=True):
    """It does not hold."""

    predicate: Predicate


class Constant(Node, tag="constant", frozen=True):
    """Always, or never."""

    value: bool


Predicate: TypeAlias = Compare | Exists | OneOf | TextTest | And | Or | Not | Constant


def matches(predicate: Predicate, properties: Properties) -> bool:
    """Whether the predicate holds. Raises PropertyMissing, or RetryEvaluationError for what cannot be compared."""
    match predicate:
        case Compare():
            order = _compare(_property(properties, predicate.property), predicate.value, predicate.property)
            return _OPERATORS[predicate.operator](order)
        case Exists():
            return predicate.property in properties
        case OneOf():
            return _one_of(predicate, properties)
        case TextTest():
            text = _as_text(_property(properties, predicate.property), predicate.property)
            return _TEXT_TESTS[predicate.test](text, predicate.text)
        case And():
            return matches(predicate.left, properties) and matches(predicate.right, properties)
        case Or():
            return matches(predicate.left, properties) or matches(predicate.right, properties)
        case Not():
            return not matches(predicate.predicate, properties)
        case Constant():
            return predicate.value


def mentions(tree: Node, name: str) -> bool:
    """Whether the tree asks for the property."""
    return getattr(tree, "property", None) == name or any(mentions(child, name) for child in tree.children())


def applies(predicate: Predicate, properties: Properties) -> bool:
    """Whether the predicate holds, where what a missing property would decide does not."""
    return _leniently(predicate, properties) is True


def _leniently(predicate: Predicate, properties: Properties) -> bool | None:
    """None where a property is missing that could decide."""
    match predicate:
        case And():
            sides = (_leniently(predicate.left, properties), _leniently(predicate.right, properties))
            return None if None in sides else all(sides)
        case Or():
            sides = (_leniently(predicate.left, properties), _leniently(predicate.right, properties))
            return True if True in sides else None if None in sides else False
        case Not():
            inner = _leniently(predicate.predicate, properties)
            return None if inner is None else not inner
        case _:
            try:
                return matches(predicate, properties)
            except PropertyMissing:
                return None


_OPERATORS: dict[str, Callable[[int], bool]] = {
    "eq": lambda order: order == 0,
    "neq": lambda order: order != 0,
    "gt": lambda order: order > 0,
    "gte": lambda order: order >= 0,
    "lt": lambda order: order < 0,
    "lte": lambda order: order <= 0,
}

_TEXT_TESTS: dict[str, Callable[[str, str], bool]] = {
    "matches": lambda text, pattern: glob_matches(text, pattern),
    "starts-with": str.startswith,
    "contains": lambda text, part: part in text,
}


def glob_matches(text: str, pattern: str) -> bool:
    """Whether a text fits a pattern: `?` is one character and `*` any number of them, neither with a `/` among them;
    `**` is anything; `[a-z]`, `[!a]` and `{one,two}` are as in a shell; a backslash takes the next one literally.

    Takes time in proportion to the lengths of both.
    """
    return any(_fits(text, alternative) for alternative in _alternatives(pattern))


Token: TypeAlias = Callable[[str], bool]


@lru_cache(256)
def _alternatives(pattern: str) -> tuple[tuple[tuple[bool, Token], ...], ...]:
    """The patterns without braces that it stands for, as tokens: whether one repeats, and what it accepts."""
    waiting, plain = [pattern], list[str]()
    while waiting:
        text = waiting.pop()
        closed = text.find("}")
        opened = text.rfind("{", 0, max(closed, 0))
        if opened < 0 or len(waiting) + len(plain) > MAX_ALTERNATIVES:
            plain.append(text)
            continue
        choices = text[opened + 1 : closed].split(",")
        waiting.extend(text[:opened] + choice + text[closed + 1 :] for choice in choices)
    return tuple(_tokens(text) for text in plain)


def _tokens(pattern: str) -> tuple[tuple[bool, Token], ...]:
    tokens: list[tuple[bool, Token]] = []
    at = 0
    while at < len(pattern):
        character = pattern[at]
        at += 1
        if character == "*":
            anything = pattern[at : at + 1] == "*"
            at += anything
            tokens.append((True, _anything if anything else _no_slash))
        elif character == "?":
            tokens.append((False, _no_slash))
        elif character == "[" and pattern.find("]", at + 1) > 0:
            end = pattern.find("]", at + 1)
            tokens.append((False, _one_of_class(pattern[at:end])))
            at = end + 1
        else:
            if character == "\\" and at < len(pattern):
                character = pattern[at]
                at += 1
            tokens.append((False, character.__eq__))
    return tuple(tokens)


def _anything(_character: str) -> bool:
    return True


def _no_slash(character: str) -> bool:
    return character != "/"


def _one_of_class(text: str) -> Token:
    negated = text[0] in "!^"
    members = text[1:] if negated else text
    ranges: list[tuple[str, str]] = []
    at = 0
    while at < len(members):
        is_range = members[at + 1 : at + 2] == "-" and at + 2 < len(members)
        last = members[at + 2] if is_range else members[at]
        ranges.append((members[at], last))
        at += 3 if is_range else 1

    def accepts(character: str) -> bool:
        return any(first <= character <= last for first, last in ranges) is not negated

    return accepts


def _fits(text: str, tokens: Sequence[tuple[bool, Token]]) -> bool:
    def closed(states: set[int]) -> set[int]:
        for state in sorted(states):
            while state < len(tokens) and tokens[state][0]:
                state += 1
                states.add(state)
        return states

    states = closed({0})
    for character in text:
        following: set[int] = set()
        for state in states:
            if state < len(tokens) and tokens[state][1](character):
                following.add(state if tokens[state][0] else state + 1)
        states = closed(following)
        if not states:
            return False
    return len(tokens) in states


def _property(properties: Properties, name: str) -> PropertyValue:
    if name not in properties:
        raise PropertyMissing(f"the failure has no property {name}")
    return properties[name]


def _one_of(predicate: OneOf, properties: Properties) -> bool:
    actual = _property(properties, predicate.property)
    failure: RetryEvaluationError | None = None
    for value in predicate.values:
        try:
            if _compare(actual, value, predicate.property) == 0:
                return True
        except RetryEvaluationError as error:
            failure = failure or error
    if failure is not None:
        raise failure
    return False


def _compare(actual: PropertyValue, expected: PropertyValue, name: str) -> int:
    """Less than, equal to or greater than zero. Numbers and texts are compared as what is expected."""
    if isinstance(actual, bool) or isinstance(expected, bool):
        if isinstance(actual, bool) and isinstance(expected, bool):
            return int(actual) - int(expected)
    elif isinstance(expected, int):
        number = actual if isinstance(actual, int) else _number(actual)
        if number is not None:
            return (number > expected) - (number < expected)
    else:
        text = str(actual)
        return (text > expected) - (text < expected)
    raise RetryEvaluationError(f"the property {name} is {actual!r}, which cannot be compared with {expected!r}")


def _number(text: str) -> int | None:
    digits = text.removeprefix("-") if text.startswith("-") else text.removeprefix("+")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) < 20 else None


def _as_text(value: PropertyValue, name: str) -> str:
    if isinstance(value, bool):
        raise RetryEvaluationError(f"the property {name} is a boolean, not a text")
    return str(value)
