"""The syntax tree of a script (reference gateway, section 2.2).

Nodes are immutable. Two are equal when they mean the same text: where they stand (`position`) does not count, so that a
tree can be compared with that of its own printed form.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from golem_server.gateway.rib.errors import Position
from golem_server.model.types import WitType


@dataclass(frozen=True, slots=True)
class Node:
    """Base of all nodes. `position` is that of the first character."""

    position: Position = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Text(Node):
    """`"text"`: there are no escapes, so the value holds no quote, dollar sign or brace."""

    value: str


@dataclass(frozen=True, slots=True)
class Interpolation(Node):
    """`"text ${expression} text"`; at least one part is no Text, and no two Texts follow one another."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Number(Node):
    """A number as written: `-1`, `2.5`, `6.022e-23`."""

    literal: str

    @property
    def is_integer(self) -> bool:
        """Whether it is written without a fraction."""
        return "." not in self.literal


@dataclass(frozen=True, slots=True)
class Boolean(Node):
    """`true` or `false`."""

    value: bool


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A variable, the global `request`, or a case without payload of an enum or variant."""

    name: str


@dataclass(frozen=True, slots=True)
class Annotated(Node):
    """`expression: type`; the colon may be left out."""

    expression: Expression
    type: WitType


@dataclass(frozen=True, slots=True)
class Let(Node):
    """`let name: type = value`."""

    name: str
    type: WitType | None
    value: Expression


@dataclass(frozen=True, slots=True)
class Block(Node):
    """`{ a; b }`, and a whole script of more than one expression. Its value is that of the last."""

    expressions: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class If(Node):
    """`if condition then consequence else alternative`."""

    condition: Expression
    consequence: Expression
    alternative: Expression


class Operator(Enum):
    """The binary operators. None binds tighter than another, all group to the right."""

    GREATER_OR_EQUAL = ">="
    LESS_OR_EQUAL = "<="
    EQUAL = "=="
    LESS = "<"
    GREATER = ">"
    AND = "&&"
    OR = "||"
    ADD = "+"
    SUBTRACT = "-"
    MULTIPLY = "*"
    DIVIDE = "/"


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """`left operator right`, where the right operand is everything that follows."""

    operator: Operator
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Not(Node):
    """`!operand`, where the operand is everything that follows."""

    operand: Expression


@dataclass(frozen=True, slots=True)
class Flags(Node):
    """`{a, b}`."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Record(Node):
    """`{a: 1, b: "x"}`; keys differ."""

    fields: tuple[tuple[str, Expression], ...]


@dataclass(frozen=True, slots=True)
class Tuple(Node):
    """`(a, b)`. One element in parentheses is a tuple as well."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class ListLiteral(Node):
    """`[a, b]`."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class OptionLiteral(Node):
    """`some(value)`, or `none` where the value is None."""

    value: Expression | None


@dataclass(frozen=True, slots=True)
class ResultLiteral(Node):
    """`ok(value)` or `err(value)`."""

    is_ok: bool
    value: Expression


@dataclass(frozen=True, slots=True)
class SelectField(Node):
    """`subject.field`."""

    subject: Expression
    field: str


@dataclass(frozen=True, slots=True)
class SelectIndex(Node):
    """`subject[index]`, where the index may be a range."""

    subject: Expression
    index: Expression


@dataclass(frozen=True, slots=True)
class Range(Node):
    """`start..end`, `start..=end`, or `start..` where the end is None."""

    start: Expression
    end: Expression | None
    inclusive: bool


@dataclass(frozen=True, slots=True)
class Call(Node):
    """`function[parameter](arguments)`: a case with payload, an instance, an agent, or an export called directly.

    `function` is a name, or an export with its interface (`golem:it/api.{add-item}`). `type_parameter` is the text
    between the square brackets.
    """

    function: str
    type_parameter: str | None
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class MethodCall(Node):
    """`subject.method[parameter](arguments)`: a call of a worker's function or of a resource's method."""

    subject: Expression
    method: str
    type_parameter: str | None
    arguments: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class For(Node):
    """`for name in iterable { body; yield value; }`; the body's last expression is the yielded one."""

    name: str
    iterable: Expression
    body: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Reduce(Node):
    """`reduce accumulator, name in iterable from initial { body; yield value; }`."""

    accumulator: str
    name: str
    iterable: Expression
    initial: Expression
    body: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Match(Node):
    """`match subject { pattern => value, ... }`."""

    subject: Expression
    arms: tuple[tuple[Pattern, Expression], ...]


@dataclass(frozen=True, slots=True)
class Wildcard(Node):
    """The pattern `_`."""


@dataclass(frozen=True, slots=True)
class AliasPattern(Node):
    """`name @ pattern`."""

    name: str
    pattern: Pattern


@dataclass(frozen=True, slots=True)
class ConstructorPattern(Node):
    """`none`, `some(p)`, `ok(p)`, `err(p)`, or a variant's case with its payload."""

    name: str
    arguments: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True)
class TuplePattern(Node):
    """`(p, q)`."""

    items: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True)
class ListPattern(Node):
    """`[p, q]`: fits the first elements of a list; how many more there are does not count."""

    items: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True)
class RecordPattern(Node):
    """`{key: p}`: fits some of the fields of a record."""

    fields: tuple[tuple[str, Pattern], ...]


@dataclass(frozen=True, slots=True)
class LiteralPattern(Node):
    """An expression to compare with; a Name binds a variable, or is a case without payload."""

    expression: Expression


Expression: TypeAlias = (
    Text
    | Interpolation
    | Number
    | Boolean
    | Name
    | Annotated
    | Let
    | Block
    | If
    | Binary
    | Not
    | Flags
    | Record
    | Tuple
    | ListLiteral
    | OptionLiteral
    | ResultLiteral
    | SelectField
    | SelectIndex
    | Range
    | Call
    | MethodCall
    | For
    | Reduce
    | Match
)

Pattern: TypeAlias = (
    Wildcard | AliasPattern | ConstructorPattern | TuplePattern | ListPattern | RecordPattern | LiteralPattern
)
