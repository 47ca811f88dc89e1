"""Raw oplog entries turned back into entries: for guests that hand them to `enrich-oplog-entries`.

What a raw entry does not say and the public form does not show (the principal of a creation, whether a failure is
retried) is left at its default. Guests may hand in anything: InvalidInput or GuestError says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import msgspec

from golem_server.host.golem_records import category_of, persistence_level_of, worker_id_of
from golem_server.host.oplog_records import case_name
from golem_server.host.raw_oplog import ERROR_CASES, FIXED_TEXTS, FinishedPayload
from golem_server.host.retry_records import named_policy_of, state_of
from golem_server.model import oplog
from golem_server.model.agent_ids import agent_type_name
from golem_server.model.agent_types import AgentType
from golem_server.model.component_agents import ComponentAgents
from golem_server.model.errors import InvalidInput
from golem_server.model.json_encoding import compile_encoder
from golem_server.model.json_types import type_to_json
from golem_server.model.oplog import ConfigEntry, Entry, ErrorKind, Invocation, LogLevel, Region
from golem_server.model.principals import uuid_of
from golem_server.model.types import Value
from golem_server.model.wit_values import FREE_HANDLES, nodes_to_value, value_and_type_value

MAX_MILLISECONDS = (1 << 64) - 1

_ERROR_KINDS = {case: kind for kind, case in ERROR_CASES.items()}
_NOT_READABLE = (msgspec.DecodeError, RecursionError, UnicodeError)


class ReadEntry(msgspec.Struct, frozen=True):
    """An entry, and the invocation that it ends where it says so."""

    entry: Entry
    invocation: Invocation | None = None


def read_raw_entry(raw: Value, agents: ComponentAgents | None) -> ReadEntry:
    """The entry that `oplog-entry` is; `agents` are the agent types of its component.

    Raises InvalidInput or GuestError; an invocation in it may be any, with parameters of whatever type.
    """
    case, record = raw
    kind = _KINDS[case]
    at = record["timestamp"]
    timestamp = at["seconds"] * 1000 + at["nanoseconds"] // 1_000_000
    if timestamp > MAX_MILLISECONDS:
        raise InvalidInput("the time is too far away")
    if kind is oplog.InvocationFinished:
        finished = _read(record["result"], FinishedPayload)
        entry = oplog.InvocationFinished(
            timestamp=timestamp,
            result=finished.result,
            component_revision=record["component-revision"],
            consumed_fuel=record["consumed-fuel"],
        )
        return ReadEntry(entry, finished.invocation)
    if kind is oplog.Create:
        return ReadEntry(_create(timestamp, record, agents))
    fields = _FIELDS.get(kind)
    return ReadEntry(kind(timestamp=timestamp, **({} if fields is None else fields(record))))


def payload_bytes(variant: Value) -> bytes:
    """The bytes of an `oplog-payload`. Raises InvalidInput for one that is kept elsewhere: ours never are."""
    case, content = variant
    if case != "inline":
        raise InvalidInput("there is no payload of this id")
    return bytes(content)


def _read(variant: Value, type_: Any) -> Any:
    try:
        return msgspec.msgpack.decode(payload_bytes(variant), type=type_)
    except _NOT_READABLE as error:
        raise InvalidInput(f"the payload cannot be read: {error}") from None


def _read_value(variant: Value) -> Value:
    value: Value = _read(variant, Any)
    record = cast("dict[Any, Value]", value) if isinstance(value, dict) else {}
    if record.keys() == {"value", "typ"}:
        # It goes to the guest as it is, so that it has to be what it says.
        value_and_type_value(record, FREE_HANDLES)
    return cast(Value, value)


def _create(timestamp: int, record: Value, agents: ComponentAgents | None) -> oplog.Create:
    worker_id = worker_id_of(record["agent-id"])
    parent = record["parent"]
    found = None if agents is None else agents.type_of(agent_type_name(worker_id.name))
    return oplog.Create(
        timestamp=timestamp,
        component_id=worker_id.component_id,
        name=worker_id.name,
        component_revision=record["component-revision"],
        environment_id=uuid_of(record["environment-id"]["uuid"]),
        created_by=uuid_of(record["created-by"]["uuid"]),
        instance_id=uuid_of(record["instance-id"]),
        environment=dict(record["env"]),
        parent=None if parent is None else str(worker_id_of(parent)),
        component_size=record["component-size"],
        initial_memory_bytes=record["initial-total-linear-memory-size"],
        initial_active_plugins=[_grant(grant) for grant in record["initial-active-plugins"]],
        agent_type="" if found is None else found.name,
        ephemeral=record["agent-mode"] == "ephemeral",
        agent_config=[] if found is None else [_config(found, entry) for entry in record["local-agent-config"]],
    )


def _config(type_: AgentType, record: Value) -> ConfigEntry:
    path = tuple(record["path"])
    declared = next((each.value_type for each in type_.config if each.path == path), None)
    if declared is None:
        raise InvalidInput(f"agent type {type_.name} declares no configuration value {'.'.join(path)[:200]}")
    value = nodes_to_value(record["value"], declared)
    return ConfigEntry(list(path), type_to_json(declared), compile_encoder(declared, None)(value))


def _grant(record: Value) -> Any:
    return uuid_of(record["uuid"])


def _host_call(record: Value) -> dict[str, Any]:
    category, begin_index = category_of(record["durable-function-type"])
    return {
        "function": record["function-name"],
        "request": _read_value(record["request"]),
        "response": _read_value(record["response"]),
        "category": category,
        "begin_index": begin_index,
    }


def _invocation(record: Value) -> dict[str, Any]:
    return {"invocation": _read(record["payload"], Invocation)}


def _error(record: Value) -> dict[str, Any]:
    case, content = record["error"]
    state = record["retry-policy-state"]
    return {
        "error_kind": _ERROR_KINDS.get(case, ErrorKind.EXCEEDED_LIMIT),
        "message": content if isinstance(content, str) else FIXED_TEXTS.get(case, case.replace("-", " ").capitalize()),
        "retry_from": record["retry-from"],
        "inside_atomic_region": record["inside-atomic-region"],
        "retry_policy_state": None if state is None else state_of(state),
    }


def _region(record: Value) -> Region:
    return Region(record["start"], record["end"])


def _pending_update(record: Value) -> dict[str, Any]:
    case, content = record["description"]
    if case == "automatic":
        return {"target_revision": content}
    return {
        "target_revision": content["target-revision"],
        "snapshot": payload_bytes(content["payload"]),
        "mime_type": content["mime-type"],
    }


def _successful_update(record: Value) -> dict[str, Any]:
    return {
        "target_revision": record["target-revision"],
        "new_component_size": record["new-component-size"],
        "new_active_plugins": [_grant(grant) for grant in record["new-active-plugins"]],
    }


def _resource(record: Value) -> dict[str, Any]:
    type_id = record["resource-type-id"]
    return {"id": record["id"], "name": type_id["name"], "owner": type_id["owner"]}


def _plugin(record: Value) -> dict[str, Any]:
    return {"plugin": _grant(record["plugin-grant-id"])}


def _start_span(record: Value) -> dict[str, Any]:
    return {
        "span_id": record["span-id"],
        "parent": record["parent"],
        "linked_context_id": record["linked-context-id"],
        "attributes": {attribute["key"]: attribute["value"][1] for attribute in record["attributes"]},
    }


def _checkpoint(record: Value) -> dict[str, Any]:
    return {
        **_plugin(record),
        "target_worker": worker_id_of(record["target-agent-id"]).name,
        "confirmed_up_to": record["confirmed-up-to"],
        "sending_up_to": record["sending-up-to"],
        "last_batch_start": record["last-batch-start"],
    }


def _same(*names: str) -> Callable[[Value], dict[str, Any]]:
    """Reads fields that have the same name and value in both forms."""
    return lambda record: {name: record[name.replace("_", "-")] for name in names}


_begin_index = _same("begin_index")

_FIELDS: dict[type[Entry], Callable[[Value], dict[str, Any]]] = {
    oplog.HostCall: _host_call,
    oplog.InvocationStarted: _invocation,
    oplog.PendingInvocation: _invocation,
    oplog.Error: _error,
    oplog.Jump: lambda record: {"jump": _region(record["jump"])},
    oplog.Revert: lambda record: {"dropped_region": _region(record["dropped-region"])},
    oplog.EndAtomicRegion: _begin_index,
    oplog.EndRemoteWrite: _begin_index,
    oplog.PreCommitRemoteTransaction: _begin_index,
    oplog.PreRollbackRemoteTransaction: _begin_index,
    oplog.CommittedRemoteTransaction: _begin_index,
    oplog.RolledBackRemoteTransaction: _begin_index,
    oplog.BeginRemoteTransaction: _same("transaction_id", "original_begin_index"),
    oplog.PendingUpdate: _pending_update,
    oplog.SuccessfulUpdate: _successful_update,
    oplog.FailedUpdate: _same("target_revision", "details"),
    oplog.GrowMemory: _same("delta"),
    oplog.FilesystemStorageUsageUpdate: _same("delta"),
    oplog.CreateResource: _resource,
    oplog.DropResource: _resource,
    oplog.Log: lambda record: {
        "level": LogLevel[record["level"].upper()],
        "context": record["context"],
        "message": record["message"],
    },
    oplog.ActivatePlugin: _plugin,
    oplog.DeactivatePlugin: _plugin,
    oplog.CancelPendingInvocation: _same("idempotency_key"),
    oplog.StartSpan: _start_span,
    oplog.FinishSpan: _same("span_id"),
    oplog.SetSpanAttribute: lambda record: {**_same("span_id", "key")(record), "value": record["value"][1]},
    oplog.ChangePersistenceLevel: lambda record: {
        "persistence_level": persistence_level_of(record["persistence-level"])
    },
    oplog.Snapshot: lambda record: {"data": payload_bytes(record["data"]), "mime_type": record["mime-type"]},
    oplog.OplogProcessorCheckpoint: _checkpoint,
    oplog.SetRetryPolicy: lambda record: {"policy": named_policy_of(record["policy"])},
    oplog.RemoveRetryPolicy: _same("name"),
}
"""What an entry has besides its time; one that is not listed has nothing."""

_KINDS: dict[str, type[Entry]] = {
    case_name("1.5", kind): kind for kind in oplog.ENTRY_TYPES.values() if kind is not oplog.ChangeRetryPolicy
}
