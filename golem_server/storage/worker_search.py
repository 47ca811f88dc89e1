"""Turns a condition on workers into SQL.

All of it but for variables, which are kept encoded, is exact. For those the query narrows the rows down by the bytes
that a match must contain, and `exact` says that the rows must be looked at once more (`model.worker_filters.matches`).
"""

from __future__ import annotations

import msgspec

from golem_server.model.worker_filters import (
    AllOf,
    AnyOf,
    Comparator,
    FieldIs,
    NameIs,
    NotThat,
    TextComparator,
    VariableIs,
    WorkerFilter,
)

_OPERATORS = {
    Comparator.EQUAL: "=",
    Comparator.NOT_EQUAL: "<>",
    Comparator.GREATER_EQUAL: ">=",
    Comparator.GREATER: ">",
    Comparator.LESS_EQUAL: "<=",
    Comparator.LESS: "<",
}
_encode = msgspec.msgpack.Encoder().encode


class SearchQuery:
    """The condition as text with parameters `$n`, after `first` that are taken."""

    def __init__(self, condition: WorkerFilter, first: int) -> None:
        self.parameters: list[object] = []
        self.exact = True
        self._first = first
        self.text = self._condition(condition, widen=True)

    def _parameter(self, value: object) -> str:
        self.parameters.append(value)
        return f"${self._first + len(self.parameters)}"

    def _condition(self, condition: WorkerFilter, *, widen: bool) -> str:
        """Rows that meet the condition: perhaps some more with `widen`, else perhaps some less."""
        match condition:
            case NameIs(comparator, value):
                return self._name(comparator, value)
            case FieldIs(field, comparator, value):
                return f"{field.value} {_OPERATORS[comparator]} {self._parameter(value)}::bigint"
            case VariableIs():
                return self._variable(condition, widen=widen)
            case AllOf(filters):
                return _joined(" AND ", [self._condition(inner, widen=widen) for inner in filters])
            case AnyOf(filters):
                return _joined(" OR ", [self._condition(inner, widen=widen) for inner in filters])
            case NotThat(inner):
                return f"NOT ({self._condition(inner, widen=not widen)})"

    def _name(self, comparator: TextComparator, value: str) -> str:
        if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
            # No name contains these, and PostgreSQL's text cannot.
            return "true" if comparator in (TextComparator.NOT_EQUAL, TextComparator.NOT_LIKE) else "false"
        if comparator is TextComparator.STARTS_WITH:
            pattern = value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
            return f"name LIKE {self._parameter(pattern + '%')}::text"
        parameter = f"{self._parameter(value)}::text"
        if comparator is TextComparator.EQUAL:
            return f"name = {parameter}"
        if comparator is TextComparator.NOT_EQUAL:
            return f"name <> {parameter}"
        operator = ">" if comparator is TextComparator.LIKE else "="
        return f"position({parameter} IN name) {operator} 0"

    def _variable(self, condition: VariableIs, *, widen: bool) -> str:
        self.exact = False
        if not widen:
            return "false"
        contained = _encode(condition.name)
        if condition.comparator is TextComparator.EQUAL:
            contained += _encode(condition.value)
        return f"position({self._parameter(contained)}::bytea IN {condition.variables.value}) > 0"


def _joined(operator: str, parts: list[str]) -> str:
    return "(" + operator.join(parts) + ")" if parts else "true"
