"""Oplog entries as guests of golem:api/oplog see them, in the words of each generation of the interface.

A record carries the fields of all generations; the imported type takes its own. The *cases* differ, so that the
generation must be known: `1.1`, `1.3` or `1.5` (reference: host-interfaces, section 4.5). An entry of a kind that a
generation does not know is a `no-op` there, so that positions stay what they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from golem_server.host.golem_records import (
    datetime_record,
    durable_function_type,
    persistence_level_variant,
    uuid_record,
    worker_id_record,
)
from golem_server.host.oplog_invocations import InvocationRecords, recorded_value, typed_value
from golem_server.host.retry_records import named_policy_record, state_record
from golem_server.model import oplog
from golem_server.model.component_agents import Agent, ComponentAgents
from golem_server.model.errors import InvalidInput
from golem_server.model.function_names import FunctionResolver
from golem_server.model.ids import WorkerId, worker_id_from_text
from golem_server.model.invocation_spans import span_attributes
from golem_server.model.json_types import type_from_json
from golem_server.model.json_values import value_decoder
from golem_server.model.oplog import ConfigEntry, Entry, Invocation, LogLevel, PersistenceLevel, Region
from golem_server.model.retry_policy import named_default
from golem_server.model.trace import SpanData
from golem_server.model.types import TupleType, Value
from golem_server.model.wit_values import value_and_type_record

Generation: TypeAlias = Literal["1.1", "1.3", "1.5"]

_NANOSECONDS = 1_000_000

_CASES_1_5: dict[type[Entry], str] = {
    oplog.InvocationStarted: "agent-invocation-started",
    oplog.InvocationFinished: "agent-invocation-finished",
    oplog.PendingInvocation: "pending-agent-invocation",
    oplog.ChangeRetryPolicy: "set-retry-policy",
}
_CASES_1_3: dict[type[Entry], str] = {
    oplog.HostCall: "imported-function-invoked",
    oplog.InvocationStarted: "exported-function-invoked",
    oplog.InvocationFinished: "exported-function-completed",
    oplog.PendingInvocation: "pending-agent-invocation",
    oplog.CancelPendingInvocation: "cancel-invocation",
    oplog.ChangeRetryPolicy: "change-retry-policy",
    oplog.FilesystemStorageUsageUpdate: "no-op",
    oplog.Snapshot: "no-op",
    oplog.OplogProcessorCheckpoint: "no-op",
    oplog.SetRetryPolicy: "no-op",
    oplog.RemoveRetryPolicy: "no-op",
}
_CASES: dict[Generation, dict[type[Entry], str]] = {
    "1.5": _CASES_1_5,
    "1.3": _CASES_1_3,
    "1.1": {
        **_CASES_1_3,
        oplog.PendingInvocation: "pending-worker-invocation",
        oplog.BeginRemoteTransaction: "no-op",
        oplog.PreCommitRemoteTransaction: "no-op",
        oplog.PreRollbackRemoteTransaction: "no-op",
        oplog.CommittedRemoteTransaction: "no-op",
        oplog.RolledBackRemoteTransaction: "no-op",
    },
}


def case_name(generation: Generation, kind: type[Entry]) -> str:
    """The case that entries of a kind have in a generation."""
    return _CASES[generation].get(kind) or re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower()


class PublicEntries:
    """Writes the entries of one worker in their order.

    `functions` finds the types of its exports and `agents` are the agent types of its component, where they are known.
    """

    def __init__(
        self,
        generation: Generation,
        worker_id: WorkerId,
        functions: FunctionResolver | None,
        agents: ComponentAgents | None = None,
    ) -> None:
        self.generation: Generation = generation
        self.worker_id = worker_id
        self._agents = agents
        self._agent = self._agent_named(worker_id.name)
        self._invocations = InvocationRecords(functions, self._agent)
        self._running: Invocation | None = None

    def begin(self, invocation: Invocation | None) -> None:
        """The entries that follow are inside of this invocation."""
        self._running = invocation

    def entry(self, entry: Entry) -> Value:
        """`public-oplog-entry`, or `oplog-entry` up to 1.3."""
        kind = type(entry)
        case = case_name(self.generation, kind)
        at = datetime_record(entry.timestamp)
        fields = _FIELDS.get(kind)
        # Up to 1.1 a case without fields is the time itself.
        return (case, {"timestamp": at, **(at if fields is None or case == "no-op" else fields(self, entry))})

    def _agent_named(self, name: str) -> Agent | None:
        if self._agents is None:
            return None
        try:
            return self._agents.agent(name)
        except InvalidInput:
            return None

    def create(self, entry: oplog.Create) -> dict[str, Value]:
        worker_id = worker_id_record(WorkerId(self.worker_id.component_id, entry.name))
        agent = self._agent_named(entry.name)
        phantom = None if agent is None else agent.id.phantom
        parent = None if entry.parent is None else worker_id_from_text(entry.parent)
        account = {"uuid": uuid_record(entry.created_by), "value": str(entry.created_by)}
        config = sorted(entry.config.items())
        return {
            "agent-id": worker_id,
            "worker-id": worker_id,
            "agent-mode": "ephemeral" if entry.ephemeral else "durable",
            "component-revision": entry.component_revision,
            "component-version": entry.component_revision,
            "args": list(entry.arguments),
            "env": list(entry.environment.items()),
            "created-by": account,
            "account-id": account,
            "environment-id": {"uuid": uuid_record(entry.environment_id)},
            "parent": None if parent is None else worker_id_record(parent),
            "component-size": entry.component_size,
            "initial-total-linear-memory-size": entry.initial_memory_bytes,
            "initial-active-plugins": [_plugin(plugin) for plugin in entry.initial_active_plugins],
            "local-agent-config": [_config(each) for each in entry.agent_config],
            "config-vars": config,
            "original-phantom-id": None if phantom is None else uuid_record(phantom),
            "instance-id": uuid_record(entry.instance_id),
        }

    def host_call(self, entry: oplog.HostCall) -> dict[str, Value]:
        category = durable_function_type(entry.category, entry.begin_index)
        return {
            "function-name": entry.function,
            "request": recorded_value(entry.request),
            "response": recorded_value(entry.response),
            "durable-function-type": category,
            "wrapped-function-type": category,
        }

    def started(self, entry: oplog.InvocationStarted) -> dict[str, Value]:
        invocation = entry.invocation
        self.begin(invocation)
        if self.generation == "1.5":
            return {"invocation": self._invocations.variant(invocation, self.context(invocation, entry.timestamp))}
        return self._old_invocation(invocation, entry.timestamp)

    def pending(self, entry: oplog.PendingInvocation) -> dict[str, Value]:
        invocation = entry.invocation
        if self.generation == "1.5":
            return {"invocation": self._invocations.variant(invocation, self.context(invocation, None))}
        if invocation.update_to is not None:
            return {"invocation": ("manual-update", invocation.update_to)}
        old = self._old_invocation(invocation, None)
        return {"invocation": ("exported-function", {**old, "input": old["request"]})}

    def finished(self, entry: oplog.InvocationFinished) -> dict[str, Value]:
        running, self._running = self._running, None
        value = None
        if self.generation != "1.5":
            value = self._invocations.plain_result(running, entry.result)
            if value is None and self.generation == "1.1":
                value = typed_value((), TupleType(()))
        return {
            "result": self._invocations.result(running, entry.result),
            "response": value,
            "consumed-fuel": entry.consumed_fuel,
            "component-revision": entry.component_revision,
        }

    def pending_update(self, entry: oplog.PendingUpdate) -> dict[str, Value]:
        description: Value = ("auto-update", None)
        if entry.snapshot is not None:
            new = self.generation == "1.5"
            snapshot = {"payload": entry.snapshot, "mime-type": entry.mime_type}
            description = ("snapshot-based", snapshot if new else entry.snapshot)
        return {
            "target-revision": entry.target_revision,
            "target-version": entry.target_revision,
            "description": description,
            "update-description": description,
        }

    def _old_invocation(self, invocation: Invocation, started: int | None) -> dict[str, Value]:
        return {
            "function-name": invocation.function,
            "request": [value for _, value in self._invocations.parameters(invocation)],
            **self.context(invocation, started),
        }

    def context(self, invocation: Invocation, started: int | None) -> dict[str, Value]:
        """The key and the trace of an invocation; with its own span once it has `started`."""
        stack = invocation.invocation_context
        if started is not None and invocation.span_id:
            attributes = span_attributes(invocation, self.worker_id.name, self._agent)
            stack = [SpanData(invocation.span_id, started, attributes), *stack]
        return {
            "idempotency-key": invocation.idempotency_key,
            "trace-id": invocation.trace_id,
            "trace-states": list(invocation.trace_states),
            "invocation-context": _stacks(stack),
        }


def _stacks(stack: Sequence[SpanData]) -> list[list[Value]]:
    stacks: list[list[Value]] = []
    if stack:
        _add_stack(stacks, stack)
    return stacks


def _add_stack(stacks: list[list[Value]], stack: Sequence[SpanData]) -> int:
    position, spans = len(stacks), list[Value]()
    stacks.append(spans)
    for span, parent in zip(stack, [*stack[1:], None], strict=True):
        if span.start is None:
            spans.append(("external-span", {"span-id": span.span_id}))
            continue
        content = {
            "span-id": span.span_id,
            "start": datetime_record(span.start),
            "parent": None if parent is None else parent.span_id,
            "linked-context": _add_stack(stacks, span.linked) if span.linked else None,
            "attributes": _attributes(span.attributes),
            "inherited": span.inherited,
        }
        spans.append(("local-span", content))
    return position


def _attributes(attributes: Mapping[str, str]) -> list[Value]:
    return [{"key": key, "value": ("string", value)} for key, value in sorted(attributes.items())]


def _config(entry: ConfigEntry) -> Value:
    """`local-agent-config-entry`."""
    type_ = type_from_json(entry.typ)
    return {"path": list(entry.path), "value": value_and_type_record(value_decoder(type_)(entry.value), type_)}


def _plugin(grant: Any) -> Value:
    identity = uuid_record(grant)
    name = str(grant)
    return {
        "environment-plugin-grant-id": {"uuid": identity},
        "installation-id": identity,
        "plugin-priority": 0,
        "plugin-name": name,
        "plugin-version": "",
        "name": name,
        "version": "",
        "parameters": [],
    }


def _region(region: Region) -> dict[str, Value]:
    return {"start": region.start, "end": region.end}


def _revert(_writer: PublicEntries, entry: oplog.Revert) -> dict[str, Value]:
    region = _region(entry.dropped_region)
    return {"dropped-region": region, **region}


def _begin_index(_writer: PublicEntries, entry: Any) -> dict[str, Value]:
    return {"begin-index": entry.begin_index}


def _error(_writer: PublicEntries, entry: oplog.Error) -> dict[str, Value]:
    state = entry.retry_policy_state
    return {
        "error": entry.message,
        "retry-from": entry.retry_from,
        "inside-atomic-region": entry.inside_atomic_region,
        "retry-policy-state": None if state is None else state_record(state),
    }


def _successful_update(_writer: PublicEntries, entry: oplog.SuccessfulUpdate) -> dict[str, Value]:
    return {
        "target-revision": entry.target_revision,
        "target-version": entry.target_revision,
        "new-component-size": entry.new_component_size,
        "new-active-plugins": [_plugin(plugin) for plugin in entry.new_active_plugins],
    }


def _failed_update(_writer: PublicEntries, entry: oplog.FailedUpdate) -> dict[str, Value]:
    revision = entry.target_revision
    return {"target-revision": revision, "target-version": revision, "details": entry.details}


def _resource(_writer: PublicEntries, entry: oplog.CreateResource | oplog.DropResource) -> dict[str, Value]:
    return {"id": entry.id, "resource-id": entry.id, "name": entry.name, "owner": entry.owner}


def _log(_writer: PublicEntries, entry: oplog.Log) -> dict[str, Value]:
    return {"level": LogLevel(entry.level).name.lower(), "context": entry.context, "message": entry.message}


def _start_span(_writer: PublicEntries, entry: oplog.StartSpan) -> dict[str, Value]:
    return {
        "span-id": entry.span_id,
        "parent": entry.parent,
        "linked-context-id": entry.linked_context_id,
        "linked-context": entry.linked_context_id,
        "attributes": _attributes(entry.attributes),
    }


def _change_retry_policy(_writer: PublicEntries, entry: oplog.ChangeRetryPolicy) -> dict[str, Value]:
    policy = entry.policy
    old = {
        "max-attempts": policy.max_attempts,
        "min-delay": policy.min_delay * _NANOSECONDS,
        "max-delay": policy.max_delay * _NANOSECONDS,
        "multiplier": policy.multiplier,
        "max-jitter-factor": policy.max_jitter_factor,
    }
    return {"new-policy": old, "retry-policy": old, "policy": named_policy_record(named_default(policy))}


def _checkpoint(writer: PublicEntries, entry: oplog.OplogProcessorCheckpoint) -> dict[str, Value]:
    target = WorkerId(writer.worker_id.component_id, entry.target_worker)
    return {
        "plugin": _plugin(entry.plugin),
        "target-agent-id": worker_id_record(target),
        "confirmed-up-to": entry.confirmed_up_to,
        "sending-up-to": entry.sending_up_to,
        "last-batch-start": entry.last_batch_start,
    }


_FIELDS: dict[type[Entry], Callable[[PublicEntries, Any], dict[str, Value]]] = {
    oplog.Create: PublicEntries.create,
    oplog.HostCall: PublicEntries.host_call,
    oplog.InvocationStarted: PublicEntries.started,
    oplog.InvocationFinished: PublicEntries.finished,
    oplog.PendingInvocation: PublicEntries.pending,
    oplog.PendingUpdate: PublicEntries.pending_update,
    oplog.Error: _error,
    oplog.Jump: lambda _writer, entry: {"jump": _region(entry.jump), **_region(entry.jump)},
    oplog.Revert: _revert,
    oplog.EndAtomicRegion: _begin_index,
    oplog.EndRemoteWrite: _begin_index,
    oplog.PreCommitRemoteTransaction: _begin_index,
    oplog.PreRollbackRemoteTransaction: _begin_index,
    oplog.CommittedRemoteTransaction: _begin_index,
    oplog.RolledBackRemoteTransaction: _begin_index,
    oplog.BeginRemoteTransaction: lambda _writer, entry: {"transaction-id": entry.transaction_id},
    oplog.SuccessfulUpdate: _successful_update,
    oplog.FailedUpdate: _failed_update,
    oplog.GrowMemory: lambda _writer, entry: {"delta": entry.delta},
    oplog.FilesystemStorageUsageUpdate: lambda _writer, entry: {"delta": entry.delta},
    oplog.CreateResource: _resource,
    oplog.DropResource: _resource,
    oplog.Log: _log,
    oplog.ActivatePlugin: lambda _writer, entry: {"plugin": _plugin(entry.plugin)},
    oplog.DeactivatePlugin: lambda _writer, entry: {"plugin": _plugin(entry.plugin)},
    oplog.CancelPendingInvocation: lambda _writer, entry: {"idempotency-key": entry.idempotency_key},
    oplog.StartSpan: _start_span,
    oplog.FinishSpan: lambda _writer, entry: {"span-id": entry.span_id},
    oplog.SetSpanAttribute: lambda _writer, entry: {
        "span-id": entry.span_id,
        "key": entry.key,
        "value": ("string", entry.value),
    },
    oplog.ChangePersistenceLevel: lambda _writer, entry: {
        "persistence-level": persistence_level_variant(PersistenceLevel(entry.persistence_level))
    },
    oplog.Snapshot: lambda _writer, entry: {"data": {"data": entry.data, "mime-type": entry.mime_type}},
    oplog.OplogProcessorCheckpoint: _checkpoint,
    oplog.ChangeRetryPolicy: _change_retry_policy,
    oplog.SetRetryPolicy: lambda _writer, entry: {"policy": named_policy_record(entry.policy)},
    oplog.RemoveRetryPolicy: lambda _writer, entry: {"name": entry.name},
}
"""What an entry has besides its time; one that is not listed (Suspend, NoOp, Exited, ...) has nothing."""
