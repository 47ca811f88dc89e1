"""Filters of workers: as texts of three words, and as trees in JSON (reference: rest-api, section 5)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from golem_server.model.errors import InvalidInput
from golem_server.model.worker_filters import (
    AllOf,
    AnyOf,
    Comparator,
    Field,
    FieldIs,
    NameIs,
    NotThat,
    TextComparator,
    VariableIs,
    Variables,
    WorkerFilter,
    status_of,
)

C = TypeVar("C", Comparator, TextComparator)

_MAX_NUMBER = (1 << 63) - 1
_TEXT_WORDS = {
    TextComparator.EQUAL: ("=", "==", "equal", "eq"),
    TextComparator.NOT_EQUAL: ("!=", "notequal", "ne"),
    TextComparator.LIKE: ("like",),
    TextComparator.NOT_LIKE: ("notlike",),
    TextComparator.STARTS_WITH: ("startswith",),
}
_WORDS = {
    Comparator.EQUAL: ("=", "==", "equal", "eq"),
    Comparator.NOT_EQUAL: ("!=", "notequal", "ne"),
    Comparator.GREATER_EQUAL: (">=", "greaterequal", "ge"),
    Comparator.GREATER: (">", "greater", "gt"),
    Comparator.LESS_EQUAL: ("<=", "lessequal", "le"),
    Comparator.LESS: ("<", "less", "lt"),
}
_TEXT_COMPARATORS = {word: comparator for comparator, words in _TEXT_WORDS.items() for word in words}
_COMPARATORS = {word: comparator for comparator, words in _WORDS.items() for word in words}
_MODES = ("durable", "ephemeral")


def filter_of_texts(texts: list[str]) -> WorkerFilter | None:
    """All of `<property> <comparator> <value>`; None where there are none. Raises InvalidInput."""
    return AllOf(tuple(map(filter_of_text, texts))) if texts else None


def filter_of_text(text: str) -> WorkerFilter:
    """The condition that one text of three words says. Raises InvalidInput."""
    words = text.split()
    if len(words) != 3:
        raise _invalid(f"Invalid filter: {text}")
    name, word, value = words
    if name == "name":
        return NameIs(_text_comparator(word), value)
    for prefix, variables in (("env.", Variables.ENVIRONMENT), ("config.", Variables.CONFIG)):
        if name.startswith(prefix) and len(name) > len(prefix):
            return VariableIs(variables, name[len(prefix) :], _text_comparator(word), value)
    if name in ("version", "revision"):
        return FieldIs(Field.REVISION, _comparator(word), _whole_number(value))
    if name == "status":
        return FieldIs(Field.STATUS, _comparator(word), _status(value))
    if name in ("createdAt", "created_at"):
        return FieldIs(Field.CREATED_AT, _comparator(word), _moment(value))
    if name == "mode":
        return _mode(_comparator(word), value)
    raise _invalid(f"Invalid filter: {text}")


def filter_of_json(json: Any) -> WorkerFilter:
    """The condition that an object tagged by `type` says. Raises InvalidInput."""
    if not isinstance(json, dict):
        raise _invalid("Invalid filter: expected an object")
    fields = cast("dict[str, Any]", json)
    reader = _READERS.get(str(fields.get("type")))
    if reader is None:
        raise _invalid(f"Invalid filter: unknown type {fields.get('type')!r}")
    return reader(fields)


def _list_of_json(fields: dict[str, Any]) -> tuple[WorkerFilter, ...]:
    filters = fields.get("filters")
    if not isinstance(filters, list):
        raise _invalid("Invalid filter: expected a list of filters")
    return tuple(map(filter_of_json, cast("list[Any]", filters)))


def _variable_of_json(variables: Variables) -> Callable[[dict[str, Any]], WorkerFilter]:
    return lambda fields: VariableIs(
        variables, _text(fields, "name"), _text_comparator(_text(fields, "comparator")), _text(fields, "value")
    )


def _field_of_json(field: Field, value_of: Callable[[str], int]) -> Callable[[dict[str, Any]], WorkerFilter]:
    def read(fields: dict[str, Any]) -> WorkerFilter:
        return FieldIs(field, _comparator(_text(fields, "comparator")), value_of(str(fields.get("value"))))

    return read


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise _invalid(f"Invalid filter: expected a text as {name}")
    return value


def _text_comparator(word: str) -> TextComparator:
    comparator = _TEXT_COMPARATORS.get(word.lower())
    if comparator is None:
        raise _invalid(f"Unknown String Filter Comparator: {word}")
    return comparator


def _comparator(word: str) -> Comparator:
    comparator = _COMPARATORS.get(word.lower())
    if comparator is None:
        raise _invalid(f"Unknown Filter Comparator: {word}")
    return comparator


def _whole_number(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or int(text) > _MAX_NUMBER:
        raise _invalid(f"Invalid filter value: expected a non-negative integer, got {text}")
    return int(text)


def _status(text: str) -> int:
    try:
        return status_of(text)
    except ValueError as error:
        raise _invalid(f"Invalid filter value: {error}") from None


def _moment(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise _invalid(f"Invalid filter value: expected a time of RFC 3339, got {text}") from None


def _mode(comparator: Comparator, text: str) -> WorkerFilter:
    """Every worker that is kept is durable."""
    if text.lower() not in _MODES:
        raise _invalid(f"Invalid filter value: unknown mode {text}")
    wanted = _MODES.index(text.lower())
    holds = {
        Comparator.EQUAL: wanted == 0,
        Comparator.NOT_EQUAL: wanted != 0,
        Comparator.GREATER_EQUAL: wanted == 0,
        Comparator.GREATER: False,
        Comparator.LESS_EQUAL: True,
        Comparator.LESS: wanted > 0,
    }
    return AllOf(()) if holds[comparator] else NotThat(AllOf(()))


_READERS: dict[str, Callable[[dict[str, Any]], WorkerFilter]] = {
    "Name": lambda fields: NameIs(_text_comparator(_text(fields, "comparator")), _text(fields, "value")),
    "Status": _field_of_json(Field.STATUS, _status),
    "Version": _field_of_json(Field.REVISION, _whole_number),
    "Revision": _field_of_json(Field.REVISION, _whole_number),
    "CreatedAt": _field_of_json(Field.CREATED_AT, _moment),
    "Env": _variable_of_json(Variables.ENVIRONMENT),
    "WasiConfigVars": _variable_of_json(Variables.CONFIG),
    "Config": _variable_of_json(Variables.CONFIG),
    "Mode": lambda fields: _mode(_comparator(_text(fields, "comparator")), _text(fields, "value")),
    "And": lambda fields: AllOf(_list_of_json(fields)),
    "Or": lambda fields: AnyOf(_list_of_json(fields)),
    "Not": lambda fields: NotThat(filter_of_json(fields.get("filter"))),
}


def _invalid(message: str) -> InvalidInput:
    return InvalidInput(message, code="INVALID_AGENT_FILTER")
