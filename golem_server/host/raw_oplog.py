"""Oplog entries in the raw form, `oplog-entry` of golem:api@1.5: what oplog processors are handed.

A raw entry has everything that the public one has, but what went through functions is in opaque bytes, plugins are
named by their grants, and errors by their kind. The bytes are MessagePack of our own, to be handed back to
`enrich-oplog-entries`; `raw_oplog_reading.py` reads them (reference: host-interfaces, section 4.5).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from golem_server.host.golem_records import datetime_record, durable_function_type
from golem_server.host.oplog_invocations import is_agent_function
from golem_server.host.oplog_records import PublicEntries, case_name
from golem_server.model import oplog
from golem_server.model.ids import WorkerId
from golem_server.model.json_types import type_from_json
from golem_server.model.json_values import value_decoder
from golem_server.model.oplog import ConfigEntry, Entry, ErrorKind, Invocation
from golem_server.model.principals import uuid_record
from golem_server.model.types import Value
from golem_server.model.wit_values import value_to_nodes

ERROR_CASES: dict[ErrorKind, str] = {
    ErrorKind.UNKNOWN: "unknown",
    ErrorKind.TRANSIENT: "transient-error",
    ErrorKind.DETERMINISTIC_TRAP: "deterministic-trap",
    ErrorKind.OUT_OF_MEMORY: "out-of-memory",
    ErrorKind.STACK_OVERFLOW: "stack-overflow",
    ErrorKind.INTERNAL: "internal-error",
    ErrorKind.PERMANENT: "permanent-error",
}
"""The case of `worker-error` for each kind; those that say more about a limit are only read."""

FIXED_TEXTS = {"out-of-memory": "Out of memory", "stack-overflow": "Stack overflow"}
"""The messages of the cases without one, as they are recorded."""


class FinishedPayload(msgspec.Struct, array_like=True, frozen=True):
    """The result of an invocation, and which one it was, without its parameters: they say what the result means."""

    result: Value
    invocation: Invocation | None


class RawEntries:
    """Writes the entries of one worker in their order. `running` is the invocation that the first one lies in."""

    def __init__(self, worker_id: WorkerId, running: Invocation | None = None) -> None:
        self._public = PublicEntries("1.5", worker_id, None)
        self._running = running

    def entry(self, entry: Entry) -> Value:
        """`oplog-entry`."""
        kind = type(entry)
        whole = _WHOLE.get(kind)
        if whole is not None:
            return (case_name("1.5", kind), {"timestamp": datetime_record(entry.timestamp), **whole(self, entry)})
        case, record = self._public.entry(entry)
        other = _OTHER.get(kind)
        return (case, record if other is None else {**record, **other(entry)})

    def started(self, entry: oplog.InvocationStarted) -> dict[str, Value]:
        self._running = entry.invocation
        return self._invocation(entry.invocation, entry.timestamp)

    def pending(self, entry: oplog.PendingInvocation) -> dict[str, Value]:
        return self._invocation(entry.invocation, None)

    def finished(self, entry: oplog.InvocationFinished) -> dict[str, Value]:
        running, self._running = self._running, None
        return {
            "result": payload(FinishedPayload(entry.result, None if running is None else _described(running))),
            "consumed-fuel": entry.consumed_fuel,
            "component-revision": entry.component_revision,
        }

    def _invocation(self, invocation: Invocation, started: int | None) -> dict[str, Value]:
        context = self._public.context(invocation, started)
        stacks = context["invocation-context"]
        # The stacks that spans are linked to are left away; the payload has them.
        flat = [(case, {**span, "linked-context": None}) for case, span in (stacks[0] if stacks else ())]
        return {**context, "invocation-context": flat, "payload": payload(invocation)}


def raw_entry(worker_id: WorkerId, entry: Entry, running: Invocation | None = None) -> Value:
    """`oplog-entry` of one entry, which lies in the invocation `running` if any."""
    return RawEntries(worker_id, running).entry(entry)


def payload(content: Any) -> Value:
    """`oplog-payload`."""
    return ("inline", msgspec.msgpack.encode(content))


def _described(invocation: Invocation) -> Invocation:
    """What of an invocation says how to read its result."""
    parameters = invocation.parameters[:1] if is_agent_function(invocation.function) else []
    return Invocation(invocation.idempotency_key, invocation.function, parameters)


def _host_call(_writer: RawEntries, entry: oplog.HostCall) -> dict[str, Value]:
    return {
        "function-name": entry.function,
        "request": payload(entry.request),
        "response": payload(entry.response),
        "durable-function-type": durable_function_type(entry.category, entry.begin_index),
    }


def _grant(grant: Any) -> Value:
    return {"uuid": uuid_record(grant)}


def _create(entry: oplog.Create) -> dict[str, Value]:
    return {
        "initial-active-plugins": [_grant(plugin) for plugin in entry.initial_active_plugins],
        "local-agent-config": [_config(each) for each in entry.agent_config],
    }


def _config(entry: ConfigEntry) -> Value:
    type_ = type_from_json(entry.typ)
    return {"path": list(entry.path), "value": value_to_nodes(value_decoder(type_)(entry.value), type_)}


def _error(entry: oplog.Error) -> dict[str, Value]:
    case = ERROR_CASES.get(ErrorKind(entry.error_kind), "permanent-error")
    return {"error": (case, None if case in FIXED_TEXTS else entry.message)}


def _pending_update(entry: oplog.PendingUpdate) -> dict[str, Value]:
    if entry.snapshot is None:
        return {"description": ("automatic", entry.target_revision)}
    snapshot = {
        "target-revision": entry.target_revision,
        "payload": ("inline", entry.snapshot),
        "mime-type": entry.mime_type,
    }
    return {"description": ("snapshot-based", snapshot)}


def _successful_update(entry: oplog.SuccessfulUpdate) -> dict[str, Value]:
    return {"new-active-plugins": [_grant(plugin) for plugin in entry.new_active_plugins]}


def _resource(entry: oplog.CreateResource | oplog.DropResource) -> dict[str, Value]:
    return {"resource-type-id": {"name": entry.name, "owner": entry.owner}}


def _plugin(entry: Any) -> dict[str, Value]:
    return {"plugin-grant-id": _grant(entry.plugin)}


_WHOLE: dict[type[Entry], Callable[[RawEntries, Any], dict[str, Value]]] = {
    oplog.HostCall: _host_call,
    oplog.InvocationStarted: RawEntries.started,
    oplog.InvocationFinished: RawEntries.finished,
    oplog.PendingInvocation: RawEntries.pending,
}
"""All that raw entries of these kinds have besides their time."""

_OTHER: dict[type[Entry], Callable[[Any], dict[str, Value]]] = {
    oplog.Create: _create,
    oplog.Error: _error,
    oplog.PendingUpdate: _pending_update,
    oplog.SuccessfulUpdate: _successful_update,
    oplog.CreateResource: _resource,
    oplog.DropResource: _resource,
    oplog.ActivatePlugin: _plugin,
    oplog.DeactivatePlugin: _plugin,
    oplog.BeginRemoteTransaction: lambda entry: {"original-begin-index": entry.original_begin_index},
    oplog.Snapshot: lambda entry: {"data": ("inline", entry.data), "mime-type": entry.mime_type},
    oplog.OplogProcessorCheckpoint: _plugin,
}
"""What raw entries of these kinds have in the place of what the public ones have."""
