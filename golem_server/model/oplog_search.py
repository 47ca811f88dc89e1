"""What a search finds in an oplog entry: the words for its kind, its texts, and the values that it holds by path."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any, cast

from golem_server.model import oplog
from golem_server.model.errors import InvalidInput
from golem_server.model.oplog import Entry, HostCall, SetSpanAttribute, StartSpan
from golem_server.model.types import Value
from golem_server.model.wit_values import value_and_type_value

MAX_VALUES = 10_000
"""Values of one entry that are looked at."""

MAX_DEPTH = 32

OTHER_NAMES: dict[type[Entry], tuple[str, ...]] = {
    oplog.HostCall: ("ImportedFunctionInvoked",),
    oplog.InvocationStarted: ("AgentInvocationStarted", "ExportedFunctionInvoked", "Invoke"),
    oplog.InvocationFinished: ("AgentInvocationFinished", "ExportedFunctionCompleted", "Invoke"),
    oplog.PendingInvocation: ("PendingAgentInvocation", "PendingWorkerInvocation", "Invoke"),
    oplog.PendingUpdate: ("Update",),
    oplog.SuccessfulUpdate: ("Update",),
    oplog.FailedUpdate: ("Update",),
    oplog.CancelPendingInvocation: ("CancelInvocation", "Cancel"),
    oplog.ChangePersistenceLevel: ("PersistenceLevel",),
}
"""What entries are called besides the name of their class."""


class SearchableEntry:
    """An entry as a query sees it (`oplog_query.Searchable`)."""

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        self._fields: list[tuple[str, str]] | None = None

    def texts(self) -> Iterable[str]:
        """The words for its kind, and what it says."""
        yield from kind_words(type(self._entry))
        told = _TEXTS.get(type(self._entry))
        if told is not None:
            yield from told(self._entry)

    def fields(self) -> Iterable[tuple[str, str]]:
        """The values in a host call's request and response, or in a span's attributes, by path in lower case."""
        if self._fields is None:
            self._fields = list(_fields(self._entry))
        return self._fields


@cache
def kind_words(kind: type[Entry]) -> tuple[str, ...]:
    """The words for a kind of entry: each of its names squashed and with hyphens."""
    words: list[str] = []
    for name in (kind.__name__, *OTHER_NAMES.get(kind, ())):
        words += [name.lower(), re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()]
    return tuple(dict.fromkeys(words))


_TEXTS: dict[type[Entry], Callable[[Any], Iterable[str]]] = {
    oplog.HostCall: lambda entry: (entry.function,),
    oplog.InvocationStarted: lambda entry: (entry.invocation.function, entry.invocation.idempotency_key),
    oplog.PendingInvocation: lambda entry: (entry.invocation.function, entry.invocation.idempotency_key),
    oplog.CancelPendingInvocation: lambda entry: (entry.idempotency_key,),
    oplog.Error: lambda entry: (entry.message,),
    oplog.Log: lambda entry: (entry.context, entry.message),
    oplog.PendingUpdate: lambda entry: (str(entry.target_revision),),
    oplog.SuccessfulUpdate: lambda entry: (str(entry.target_revision),),
    oplog.FailedUpdate: lambda entry: (str(entry.target_revision), entry.details or ""),
    oplog.CreateResource: lambda entry: (str(entry.id), entry.name, entry.owner),
    oplog.DropResource: lambda entry: (str(entry.id), entry.name, entry.owner),
    oplog.StartSpan: lambda entry: (
        entry.span_id,
        entry.parent or "",
        entry.linked_context_id or "",
        *entry.attributes,
    ),
    oplog.FinishSpan: lambda entry: (entry.span_id,),
    oplog.SetSpanAttribute: lambda entry: (entry.span_id, entry.key),
    oplog.ChangePersistenceLevel: lambda entry: (oplog.PersistenceLevel(entry.persistence_level).name.lower(),),
    oplog.BeginRemoteTransaction: lambda entry: (entry.transaction_id,),
    oplog.SetRetryPolicy: lambda entry: (entry.policy.name,),
    oplog.RemoveRetryPolicy: lambda entry: (entry.name,),
}


def _fields(entry: Entry) -> Iterator[tuple[str, str]]:
    if isinstance(entry, StartSpan):
        for key, value in entry.attributes.items():
            yield key.lower(), value
    elif isinstance(entry, SetSpanAttribute):
        yield entry.key.lower(), entry.value
    elif isinstance(entry, HostCall):
        left = [MAX_VALUES]
        for value in (entry.request, entry.response):
            yield from _values("", typed_content(value), left, MAX_DEPTH)


def typed_content(value: Value) -> Value:
    """The value of what a library of the guest recorded with its type; anything else as it is."""
    record = cast("dict[str, Value]", value) if isinstance(value, dict) else {}
    if record.keys() == {"value", "typ"}:
        try:
            return value_and_type_value(record)[1]
        except (InvalidInput, TypeError, ValueError, KeyError, IndexError, AttributeError):
            pass
    return cast(Value, value)


def _values(path: str, value: Value, left: list[int], depth: int) -> Iterator[tuple[str, str]]:
    """The single values inside of a value. What is in a list is at the list's own path and at its position's."""
    if left[0] <= 0 or depth <= 0 or value is None:
        return
    left[0] -= 1
    if isinstance(value, dict):
        for name, item in cast("dict[str, Value]", value).items():
            yield from _values(_inside(path, name), item, left, depth - 1)
    elif isinstance(value, list | tuple):
        items = cast("list[Value]", value)
        if len(items) == 2 and isinstance(items[0], str):
            # Perhaps a variant or a result: its case is a part of the path.
            yield from _values(_inside(path, items[0]), items[1], left, depth - 1)
        for position, item in enumerate(items):
            if left[0] <= 0:
                return
            yield from _values(_inside(path, str(position)), item, left, depth - 1)
            if not isinstance(item, dict | list | tuple):
                yield from _values(path, item, left, depth - 1)
    else:
        yield path, _text(value)


def _inside(path: str, name: str) -> str:
    return f"{path}.{name}".lower() if path else name.lower()


def _text(value: Value) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value).lower() if isinstance(value, bool) else str(value)
