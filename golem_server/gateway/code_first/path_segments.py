"""Paths of code-first routes as lists of segments, and request paths as they are matched with them.

System variables are no segments: they are literals once it is known what is deployed (reference: gateway, section 3.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import unquote_to_bytes

from golem_server.gateway.code_first.declarations import InvalidDeclaration
from golem_server.model.agent_functions import kebab_case
from golem_server.model.json_types import Json


@dataclass(frozen=True, slots=True)
class Literal:
    """Exactly this text."""

    text: str


@dataclass(frozen=True, slots=True)
class Variable:
    """One segment, whatever it is."""

    name: str


@dataclass(frozen=True, slots=True)
class Remaining:
    """All segments that are left, at least one."""

    name: str


Segment: TypeAlias = Literal | Variable | Remaining
Shape: TypeAlias = tuple[str | None, ...]
"""A path without the names of its variables; what follows None is `...` for the remaining ones."""

_REST = "..."


class MalformedPath(Exception):
    """The path of a request is no text."""


def declared_segments(declared: Sequence[Json], type_name: str, revision: int) -> list[Segment]:
    """The segments of a path that an agent type declares. Raises InvalidDeclaration for a literal with a slash."""
    segments: list[Segment] = []
    for segment in declared:
        match segment["type"]:
            case "PathVariable":
                segments.append(Variable(segment["variableName"]))
            case "RemainingPathVariable":
                segments.append(Remaining(segment["variableName"]))
            case "SystemVariable":
                segments.append(Literal(kebab_case(type_name) if segment["value"] == "AgentType" else str(revision)))
            case _:
                if "/" in (text := segment["value"]):
                    raise InvalidDeclaration(f"a segment of a path cannot have a slash in it: {text[:100]!r}")
                # A request's path never begins or ends with an empty segment, so that it would match nothing.
                segments += [Literal(text)] if text else []
    return segments


def prefix_segments(prefix: str) -> list[Segment]:
    """The segments of a prefix such as `/webhooks/`."""
    return [Literal(text) for text in prefix.split("/") if text]


def shape_of(segments: Sequence[Segment]) -> Shape:
    """What two paths have in common that match the same requests."""
    shape: list[str | None] = []
    for segment in segments:
        match segment:
            case Literal(text):
                shape.append(f"={text}")
            case Variable():
                shape.append(None)
            case Remaining():
                shape.append(_REST)
    return tuple(shape)


def printed(segments: Sequence[Segment]) -> str:
    """A path for people: `/shops/{shop}/{+rest}`."""
    return "/" + "/".join(
        segment.text
        if isinstance(segment, Literal)
        else f"{{{'+' if isinstance(segment, Remaining) else ''}{segment.name}}}"
        for segment in segments
    )


def request_segments(path: str) -> list[str]:
    """The segments of a request's path, each decoded after it was cut out; none of `/`.

    Golem 1.5.9 decodes before it cuts, so that no value in a path can have a slash.
    Raises MalformedPath where a segment is not UTF-8.
    """
    trimmed = path.strip("/")
    try:
        return [unquote_to_bytes(part.encode("latin-1")).decode() for part in trimmed.split("/")] if trimmed else []
    except UnicodeDecodeError:
        raise MalformedPath from None
