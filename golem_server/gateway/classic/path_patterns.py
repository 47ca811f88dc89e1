"""The path of a route: literal segments, variables, and at the end perhaps a variable for all that remains.

    pattern  := ["/"] (segment "/")* [segment] ["?" "{" name "}" ("&" "{" name "}")*]
    segment  := literal | "{" name "}" | "{+" name "}"     the last form only at the end

What follows the question mark declares the names that scripts may use; it has no part in matching (reference: gateway,
section 1.4).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from urllib.parse import unquote_to_bytes

from golem_server.model.errors import InvalidInput

MAX_PATH = 4_096
"""Characters of a pattern."""

_LITERAL = re.compile(r"[^/{}?&]+")
_PARAMETER = re.compile(r"\{([^{}]+)\}")


class SegmentKind(Enum):
    """What a segment of a pattern stands for."""

    LITERAL = "literal"
    VARIABLE = "variable"
    REMAINING = "remaining"


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment: the text of a literal, or the name of a variable."""

    kind: SegmentKind
    text: str

    def __str__(self) -> str:
        if self.kind is SegmentKind.LITERAL:
            return self.text
        return f"{{+{self.text}}}" if self.kind is SegmentKind.REMAINING else f"{{{self.text}}}"


@dataclass(frozen=True, slots=True)
class PathPattern:
    """A pattern. `query` are the names of the query's parameters that scripts may use."""

    segments: tuple[Segment, ...]
    query: tuple[str, ...] = ()

    def __str__(self) -> str:
        path = "".join(f"/{segment}" for segment in self.segments) or "/"
        return path if not self.query else f"{path}?{'&'.join(f'{{{name}}}' for name in self.query)}"

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of the variables, in order."""
        return tuple(segment.text for segment in self.segments if segment.kind is not SegmentKind.LITERAL)

    @property
    def shape(self) -> tuple[tuple[SegmentKind, str], ...]:
        """What two patterns have in common that match the same paths: variables are equal whatever their names."""
        return tuple(
            (segment.kind, segment.text if segment.kind is SegmentKind.LITERAL else "") for segment in self.segments
        )


def parse_path_pattern(text: str) -> PathPattern:
    """Read a pattern. Raises InvalidInput that says what is wrong."""
    if len(text) > MAX_PATH:
        raise _invalid(text, f"it is longer than {MAX_PATH} characters")
    path, question, query = _split_query(text)
    parts = path.strip().removeprefix("/").split("/")
    if parts[-1].strip() == "":
        parts.pop()
    segments = [_segment(part, text, last=at == len(parts) - 1) for at, part in enumerate(parts)]
    names = [segment.text for segment in segments if segment.kind is not SegmentKind.LITERAL]
    for name in names:
        if names.count(name) > 1:
            raise _invalid(text, f"the variable {name} comes twice")
    return PathPattern(tuple(segments), tuple(_parameters(query, text)) if question else ())


def _split_query(text: str) -> tuple[str, str, str]:
    """The path, the question mark, and what follows: the mark may also be part of a variable's name."""
    depth = 0
    for at, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if character == "?" and depth <= 0:
            return text[:at], "?", text[at + 1 :]
    return text, "", ""


def _segment(part: str, text: str, *, last: bool) -> Segment:
    part = part.strip()
    if _LITERAL.fullmatch(part):
        return Segment(SegmentKind.LITERAL, part)
    if not part.startswith("{") or not part.endswith("}"):
        raise _invalid(
            text, f"a variable takes a whole segment, not a part as in `{part}`" if part else "empty segment"
        )
    name = part[1:-1]
    remaining = name.startswith("+")
    name = name.removeprefix("+").strip()
    if not name or "{" in name or "}" in name:
        raise _invalid(text, f"`{part}` is no variable")
    if remaining and not last:
        raise _invalid(text, f"`{part}` can only be the last segment")
    return Segment(SegmentKind.REMAINING if remaining else SegmentKind.VARIABLE, name)


def _parameters(query: str, text: str) -> list[str]:
    names: list[str] = []
    for part in query.split("&"):
        match = _PARAMETER.fullmatch(part.strip())
        if match is None:
            raise _invalid(text, f"expected {{name}} in the query, got `{part.strip()}`")
        names.append(match[1].strip())
    return names


def _invalid(text: str, reason: str) -> InvalidInput:
    return InvalidInput(f"Failed to parse path `{text[:200]}`: {reason}")


def request_segments(path: str) -> list[str] | None:
    """The segments of a request's path, decoded after they were split; None for one that is not UTF-8.

    `/` has no segments; an empty segment between two slashes is one.
    """
    stripped = path.strip("/")
    if not stripped:
        return []
    if "%" not in stripped and stripped.isascii():
        return stripped.split("/")
    try:
        return [unquote_to_bytes(part.encode("latin-1")).decode("utf-8", "strict") for part in stripped.split("/")]
    except UnicodeDecodeError:
        return None
