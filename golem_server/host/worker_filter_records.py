"""`agent-any-filter` and `worker-any-filter` as guests give them: any of some lists of conditions that all hold."""

from __future__ import annotations

from collections.abc import Callable

from golem_server.model.types import Value
from golem_server.model.worker_filters import (
    AllOf,
    AnyOf,
    Comparator,
    Field,
    FieldIs,
    NameIs,
    TextComparator,
    VariableIs,
    Variables,
    WorkerFilter,
)
from golem_server.model.worker_filters import status_of as status_named

_COMPARATORS = {comparator.name.lower().replace("_", "-"): comparator for comparator in Comparator}
_TEXT_COMPARATORS = {comparator.name.lower().replace("_", "-"): comparator for comparator in TextComparator}


def filter_of(record: Value) -> WorkerFilter:
    """The condition of an any-filter."""
    return AnyOf(tuple(AllOf(tuple(map(_property, every["filters"]))) for every in record["filters"]))


def _property(variant: Value) -> WorkerFilter:
    case, condition = variant
    return _CASES[case](condition)


def _name(condition: Value) -> WorkerFilter:
    return NameIs(_TEXT_COMPARATORS[condition["comparator"]], condition["value"])


def _status(condition: Value) -> WorkerFilter:
    return FieldIs(Field.STATUS, _COMPARATORS[condition["comparator"]], status_named(condition["value"]))


def _number(field: Field) -> Callable[[Value], WorkerFilter]:
    return lambda condition: FieldIs(field, _COMPARATORS[condition["comparator"]], condition["value"])


def _variable(variables: Variables) -> Callable[[Value], WorkerFilter]:
    return lambda condition: VariableIs(
        variables, condition["name"], _TEXT_COMPARATORS[condition["comparator"]], condition["value"]
    )


_CASES: dict[str, Callable[[Value], WorkerFilter]] = {
    "name": _name,
    "status": _status,
    "version": _number(Field.REVISION),
    "revision": _number(Field.REVISION),
    # Milliseconds since the epoch, as Golem reads it.
    "created-at": _number(Field.CREATED_AT),
    "env": _variable(Variables.ENVIRONMENT),
    "wasi-config-vars": _variable(Variables.CONFIG),
    "config": _variable(Variables.CONFIG),
}
