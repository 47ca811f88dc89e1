"""What can be wrong with a script, each error with the place where it is.

RibError              an InvalidInput with a place in the script
 |- RibSyntaxError    the text is no script
 |- RibTypeError      the script can never work against this component
 '- RibRuntimeError   this evaluation failed: the data, a worker, or a limit
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from golem_server.model.errors import GolemError, InvalidInput


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a script; both numbers begin at 1."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


class RibError(GolemError):
    """Base of the errors of scripts."""

    def __init__(self, message: str, position: Position) -> None:
        super().__init__(message)
        self.position = position


class RibSyntaxError(RibError, InvalidInput):
    """The text cannot be read. `expected` lists what could have stood at the position."""

    def __init__(self, reason: str, position: Position, expected: Sequence[str] = ()) -> None:
        super().__init__(f"Parse error at line: {position.line}, column: {position.column}: {reason}", position)
        self.reason = reason
        self.expected = tuple(expected)


class RibTypeError(RibError, InvalidInput):
    """The types of a script do not fit (form of the text: reference gateway, section 2.4).

    `cause` is the reason alone, `expression` the re-printed expression that it is about.
    """

    def __init__(
        self,
        cause: str,
        position: Position,
        expression: str,
        *,
        details: Sequence[str] = (),
        help_lines: Sequence[str] = (),
    ) -> None:
        lines = [
            f"error in the following rib found at {position}",
            f"`{expression}`",
            f"cause: {cause}",
            *details,
            *(f"help: {line}" for line in help_lines),
        ]
        super().__init__("\n".join(lines), position)
        self.cause = cause
        self.expression = expression


class RibRuntimeError(RibError):
    """An evaluation failed. The text is what the caller of the gateway is told, without the position."""
