"""What a guest had printed behind the last entry that replay consumes: it prints it again, nobody sees it twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TypeAlias

from golem_server.model.oplog import Log

Line: TypeAlias = tuple[int, str, str]
"""Level, context and message."""


class PrintedLines:
    """Lines that are in the oplog already, how often each."""

    def __init__(self, lines: Mapping[Line, int] | None = None) -> None:
        self._left = Counter(lines or {})

    def again(self, entry: Log) -> bool:
        """Whether the line is one of them; each counts once."""
        if not self._left:
            return False
        line = (int(entry.level), entry.context, entry.message)
        if self._left[line] <= 0:
            return False
        self._left[line] -= 1
        return True
