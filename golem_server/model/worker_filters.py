"""Which workers somebody asks for: a condition over what is known of each (reference: rest-api, section 5).

`matches` is the rule; the store turns the same tree into a query. A worker that lacks a variable does not meet a
condition on it, whatever the comparator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from golem_server.model.workers import StoredWorker, WorkerStatus


class Comparator(Enum):
    """How an ordered value is compared."""

    EQUAL = "Equal"
    NOT_EQUAL = "NotEqual"
    GREATER_EQUAL = "GreaterEqual"
    GREATER = "Greater"
    LESS_EQUAL = "LessEqual"
    LESS = "Less"


class TextComparator(Enum):
    """How a text is compared; `LIKE` looks for a part of it."""

    EQUAL = "Equal"
    NOT_EQUAL = "NotEqual"
    LIKE = "Like"
    NOT_LIKE = "NotLike"
    STARTS_WITH = "StartsWith"


class Field(Enum):
    """A number that is known of each worker. `CREATED_AT` in milliseconds since the epoch."""

    STATUS = "status"
    REVISION = "component_revision"
    CREATED_AT = "created_at"


class Variables(Enum):
    """Variables that a worker was given."""

    ENVIRONMENT = "environment"
    CONFIG = "config"


@dataclass(frozen=True, slots=True)
class NameIs:
    """A condition on the name."""

    comparator: TextComparator
    value: str


@dataclass(frozen=True, slots=True)
class FieldIs:
    """A condition on a number."""

    field: Field
    comparator: Comparator
    value: int


@dataclass(frozen=True, slots=True)
class VariableIs:
    """A condition on a variable."""

    variables: Variables
    name: str
    comparator: TextComparator
    value: str


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every one holds; none at all holds always."""

    filters: tuple[WorkerFilter, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of them holds; none at all holds always."""

    filters: tuple[WorkerFilter, ...]


@dataclass(frozen=True, slots=True)
class NotThat:
    """It does not hold."""

    filter: WorkerFilter


WorkerFilter: TypeAlias = "NameIs | FieldIs | VariableIs | AllOf | AnyOf | NotThat"

_ORDERED: dict[Comparator, Callable[[int, int], bool]] = {
    Comparator.EQUAL: lambda found, wanted: found == wanted,
    Comparator.NOT_EQUAL: lambda found, wanted: found != wanted,
    Comparator.GREATER_EQUAL: lambda found, wanted: found >= wanted,
    Comparator.GREATER: lambda found, wanted: found > wanted,
    Comparator.LESS_EQUAL: lambda found, wanted: found <= wanted,
    Comparator.LESS: lambda found, wanted: found < wanted,
}
_TEXT: dict[TextComparator, Callable[[str, str], bool]] = {
    TextComparator.EQUAL: lambda found, wanted: found == wanted,
    TextComparator.NOT_EQUAL: lambda found, wanted: found != wanted,
    TextComparator.LIKE: lambda found, wanted: wanted in found,
    TextComparator.NOT_LIKE: lambda found, wanted: wanted not in found,
    TextComparator.STARTS_WITH: lambda found, wanted: found.startswith(wanted),
}


def matches(condition: WorkerFilter, stored: StoredWorker) -> bool:
    """Whether the worker meets the condition."""
    match condition:
        case NameIs(comparator, value):
            return _TEXT[comparator](stored.worker.worker_id.name, value)
        case FieldIs(field, comparator, value):
            return _ORDERED[comparator](_number(field, stored), value)
        case VariableIs(variables, name, comparator, value):
            given = stored.worker.environment if variables is Variables.ENVIRONMENT else stored.worker.config
            found = given.get(name)
            return found is not None and _TEXT[comparator](found, value)
        case AllOf(filters):
            return all(matches(inner, stored) for inner in filters)
        case AnyOf(filters):
            return not filters or any(matches(inner, stored) for inner in filters)
        case NotThat(inner):
            return not matches(inner, stored)


def _number(field: Field, stored: StoredWorker) -> int:
    if field is Field.STATUS:
        return stored.columns.status
    if field is Field.REVISION:
        return stored.columns.component_revision
    return stored.worker.created_at


def status_of(text: str) -> WorkerStatus:
    """The status of this name, in whatever case. Raises ValueError."""
    try:
        return WorkerStatus[text.upper()]
    except KeyError:
        raise ValueError(f"Unknown worker status: {text}") from None
