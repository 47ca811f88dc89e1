"""The text of a script while it is read: position, blanks and comments, and the furthest point where reading failed.

The parser tries alternatives in order. An alternative that does not fit raises NoMatch and costs nothing but the
position; the error told in the end is about the furthest place that any alternative reached, with all that could have
stood there.
"""

from __future__ import annotations

import re
from bisect import bisect_right

from golem_server.gateway.rib.errors import Position, RibSyntaxError

_BLANK = re.compile(r"(?:\s+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_SHOWN = re.compile(r"[\w-]{1,40}|.", re.DOTALL)


class NoMatch(Exception):
    """What was tried does not stand here. Carries nothing: the scanner keeps the furthest failure."""


class Scanner:
    """A script, or the part of it from `start` to `end`, and how far it has been read (`at`)."""

    def __init__(self, text: str, start: int = 0, end: int | None = None) -> None:
        self.text = text
        self.at = start
        self.end = len(text) if end is None else end
        self._lines = [0, *(found.end() for found in re.finditer("\n", text))]
        self._furthest = start
        self._expected: dict[str, None] = {}
        self._failure = NoMatch()

    def position(self, at: int | None = None) -> Position:
        """The line and column of an offset; of the current one if none is given."""
        offset = self.at if at is None else at
        line = bisect_right(self._lines, offset)
        return Position(line, offset - self._lines[line - 1] + 1)

    def skip(self) -> None:
        """Pass over blanks and comments."""
        if found := _BLANK.match(self.text, self.at, self.end):
            self.at = found.end()

    def fail(self, expected: str) -> NoMatch:
        """The exception to raise because something else than expected stands here."""
        if self.at > self._furthest:
            self._furthest = self.at
            self._expected.clear()
        if self.at == self._furthest:
            self._expected[expected] = None
        return self._failure

    def starts_with(self, token: str) -> bool:
        """Whether the token comes next; blanks are not passed over."""
        return self.text.startswith(token, self.at, self.end)

    def take(self, token: str) -> bool:
        """Read the token and the blanks after it, if it comes next."""
        if not self.starts_with(token):
            # Counts as something that could have stood here.
            self.fail(f"`{token}`")
            return False
        self.at += len(token)
        self.skip()
        return True

    def expect(self, token: str) -> None:
        """Read the token and the blanks after it. Raises NoMatch when something else stands here."""
        if not self.take(token):
            raise self._failure

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """What the pattern matches here; nothing is read."""
        return pattern.match(self.text, self.at, self.end)

    def read(self, pattern: re.Pattern[str], expected: str) -> re.Match[str]:
        """Read what the pattern matches and the blanks after it. Raises NoMatch."""
        found = self.match(pattern)
        if found is None:
            raise self.fail(expected)
        self.at = found.end()
        self.skip()
        return found

    def error(self, reason: str, at: int | None = None) -> RibSyntaxError:
        """An error that ends the reading, at the offset or the current place."""
        return RibSyntaxError(reason, self.position(at))

    def furthest_error(self) -> RibSyntaxError:
        """The error to tell when no alternative fits."""
        expected = list(self._expected)
        found = _SHOWN.match(self.text, self._furthest, self.end)
        shown = f"`{found[0]}`" if found else "the end of the script"
        return RibSyntaxError(
            f"expected {' or '.join(expected)}, found {shown}", self.position(self._furthest), expected
        )
