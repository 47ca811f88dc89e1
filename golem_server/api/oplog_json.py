"""Oplog entries as JSON, in the words of one generation of clients or the other (reference: rest-api, section 7).

The default words are those of 1.4.2; the official command line of 1.5 gets its own. An entry is a tagged union for
clients, so the two sets cannot share one answer.

What a guest passed to an exported function is shown with the types of the component. What passed a host function has no
type here and gets the plainest that fits it (`inferred`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from golem_server.api.agent_oplog_json import agent_invocation, agent_result
from golem_server.api.timestamps import timestamp_of_milliseconds
from golem_server.api.worker_json import agent_id_to_json, region_to_json, worker_id_to_json
from golem_server.model import oplog
from golem_server.model.agent_provisions import entry_to_json
from golem_server.model.component_agents import Agent
from golem_server.model.errors import GolemError
from golem_server.model.function_names import FunctionResolver, ResolvedFunction
from golem_server.model.ids import WorkerId, worker_id_from_text
from golem_server.model.invocation_spans import span_attributes
from golem_server.model.json_values import Json, SignatureJson, WorkerHandles, annotated_to_json, value_encoder
from golem_server.model.oplog import Category, Entry, Invocation, LogLevel, PersistenceLevel, RetryPolicy
from golem_server.model.retry_policy import named_default
from golem_server.model.retry_policy_json import named_policy_to_tagged, state_to_tagged
from golem_server.model.trace import SpanData
from golem_server.model.types import FunctionType, Primitive, Value
from golem_server.model.wit_values import value_and_type_value

_CLI_NAMES = {
    "ImportedFunctionInvoked": "HostCall",
    "ExportedFunctionInvoked": "AgentInvocationStarted",
    "ExportedFunctionCompleted": "AgentInvocationFinished",
    "PendingWorkerInvocation": "PendingAgentInvocation",
    "ChangeRetryPolicy": "SetRetryPolicy",
}
_NAMES = {
    "HostCall": "ImportedFunctionInvoked",
    "InvocationStarted": "ExportedFunctionInvoked",
    "InvocationFinished": "ExportedFunctionCompleted",
    "PendingInvocation": "PendingWorkerInvocation",
}
_CATEGORIES = {
    Category.READ_LOCAL: "ReadLocal",
    Category.WRITE_LOCAL: "WriteLocal",
    Category.READ_REMOTE: "ReadRemote",
    Category.WRITE_REMOTE: "WriteRemote",
    Category.WRITE_REMOTE_BATCHED: "WriteRemoteBatched",
    Category.WRITE_REMOTE_TRANSACTION: "WriteRemoteTransaction",
}
_WITH_INDEX = (Category.WRITE_REMOTE_BATCHED, Category.WRITE_REMOTE_TRANSACTION)

_PERSISTENCE = {
    PersistenceLevel.PERSIST_NOTHING: "PersistNothing",
    PersistenceLevel.PERSIST_REMOTE_SIDE_EFFECTS: "PersistRemoteSideEffects",
    PersistenceLevel.SMART: "Smart",
}


@dataclass(slots=True)
class OplogJson:
    """Writes the entries of one worker in their order. `cli` chooses the words of the command line.

    `functions` finds the types of exported functions. The function whose result an entry has is the one that began
    before it: `running` is its name where the first entry given is inside an invocation. `agent` is what the worker's
    name means, for an agent; its invocations are then shown as such, in the default words beside the exported function.
    """

    worker_id: WorkerId
    functions: FunctionResolver
    cli: bool = False
    running: str | None = None
    agent: Agent | None = None
    _invoked: Invocation | None = None

    def entry(self, entry: Entry, *, apart: bool = False) -> dict[str, Any]:
        """One entry; those before an entry that stands `apart` are not known."""
        if apart:
            self.running = None
        name = _NAMES.get(type(entry).__name__, type(entry).__name__)
        if self.cli:
            name = _CLI_NAMES.get(name, name)
        fields = _FIELDS.get(type(entry))
        return {
            "type": name,
            "timestamp": timestamp_of_milliseconds(entry.timestamp),
            **({} if fields is None else fields(self, entry)),
        }

    def create(self, entry: oplog.Create) -> dict[str, Any]:
        worker_id = WorkerId(self.worker_id.component_id, entry.name)
        who = {"agentId": agent_id_to_json(worker_id)} if self.cli else {"workerId": worker_id_to_json(worker_id)}
        return {
            **who,
            "componentRevision": entry.component_revision,
            "componentVersion": entry.component_revision,
            "args": entry.arguments,
            "env": entry.environment,
            "createdBy": str(entry.created_by),
            "environmentId": str(entry.environment_id),
            "parent": self._parent(entry),
            "componentSize": entry.component_size,
            "initialTotalLinearMemorySize": entry.initial_memory_bytes,
            "initialActivePlugins": [str(plugin) for plugin in entry.initial_active_plugins],
            "wasiConfigVars": [{"key": key, "value": value} for key, value in entry.config.items()],
            "originalPhantomId": self._phantom(),
            **self._agent_of(entry),
        }

    def _parent(self, entry: oplog.Create) -> dict[str, Any] | None:
        parent = None if entry.parent is None else worker_id_from_text(entry.parent)
        if parent is None:
            return None
        return agent_id_to_json(parent) if self.cli else worker_id_to_json(parent)

    def _phantom(self) -> str | None:
        phantom = None if self.agent is None else self.agent.id.phantom
        return None if phantom is None else str(phantom)

    def _agent_of(self, entry: oplog.Create) -> dict[str, Any]:
        if not entry.agent_type:
            return {}
        return {
            "agentMode": "Ephemeral" if entry.ephemeral else "Durable",
            "localAgentConfig": [entry_to_json(each) for each in entry.agent_config],
        }

    def host_call(self, entry: oplog.HostCall) -> dict[str, Any]:
        category: dict[str, Any] = {"type": _CATEGORIES[Category(entry.category)]}
        if entry.category in _WITH_INDEX:
            category["index"] = entry.begin_index
        return {
            "functionName": entry.function,
            "request": recorded_to_json(entry.request),
            "response": recorded_to_json(entry.response),
            "durableFunctionType": category,
        }

    def begin(self, invocation: Invocation) -> None:
        """The entries that follow are inside of this invocation."""
        self.running = invocation.function
        self._invoked = invocation

    def started(self, entry: oplog.InvocationStarted) -> dict[str, Any]:
        self.begin(entry.invocation)
        invocation = self._invocation(entry.invocation, entry.timestamp)
        return {"invocation": invocation} if self.cli else invocation

    def finished(self, entry: oplog.InvocationFinished) -> dict[str, Any]:
        result = self._result(entry.result)
        of_agent = None
        if self.agent is not None and self._invoked is not None:
            of_agent = agent_result(self.agent, self._invoked, entry.result)
        self.running = self._invoked = None
        if not self.cli:
            answer = {"response": result, "consumedFuel": entry.consumed_fuel}
            return answer if of_agent is None else {**answer, "result": of_agent}
        output = _data_value([] if result is None else [result])
        return {
            "result": of_agent or {"type": "AgentMethod", "output": output},
            "consumedFuel": entry.consumed_fuel,
            "componentRevision": entry.component_revision,
        }

    def pending(self, entry: oplog.PendingInvocation) -> dict[str, Any]:
        if entry.invocation.update_to is not None:
            return {"invocation": {"type": "ManualUpdate", "targetRevision": entry.invocation.update_to}}
        invocation = self._invocation(entry.invocation)
        return {"invocation": invocation if self.cli else {"type": "ExportedFunction", **invocation}}

    def _invocation(self, invocation: Invocation, started: int | None = None) -> dict[str, Any]:
        stack = invocation.invocation_context
        if started is not None and invocation.span_id:
            # The invocation's own span begins with it.
            attributes = span_attributes(invocation, self.worker_id.name, self.agent)
            stack = [SpanData(invocation.span_id, started, attributes), *stack]
        context = {
            "idempotencyKey": invocation.idempotency_key,
            "traceId": invocation.trace_id,
            "traceStates": invocation.trace_states,
            "invocationContext": invocation_context_to_json(stack),
        }
        of_agent = None if self.agent is None else agent_invocation(self.agent, invocation)
        if self.cli and of_agent is not None:
            return {**of_agent, **context}
        parameters = self._parameters(invocation)
        if self.cli:
            return {
                "type": "AgentMethodInvocation",
                "methodName": invocation.function,
                "functionInput": _data_value(parameters),
                **context,
            }
        answer = {"functionName": invocation.function, "request": parameters, **context}
        return answer if of_agent is None else {**answer, "invocation": {**of_agent, **context}}

    def _parameters(self, invocation: Invocation) -> list[Json]:
        values = invocation.parameters
        resolved = self._resolve(invocation.function)
        if resolved is not None and len(resolved.given_parameters) == len(values):
            handles = WorkerHandles(self.worker_id)
            try:
                pairs = zip(resolved.given_parameters, values, strict=True)
                return [annotated_to_json(parameter.type, value, handles) for parameter, value in pairs]
            except (TypeError, ValueError, KeyError, IndexError, AttributeError):
                # Recorded under a revision in which the function had another type.
                pass
        return [inferred(value) for value in values]

    def _result(self, value: Value) -> Json:
        resolved = None if self.running is None else self._resolve(self.running)
        if resolved is not None:
            try:
                return SignatureJson(FunctionType((), resolved.type.result)).encode_result(value, self.worker_id)
            except (TypeError, ValueError, KeyError, IndexError, AttributeError):
                pass
        return None if value is None else inferred(value)

    def _resolve(self, function: str) -> ResolvedFunction | None:
        try:
            return self.functions.resolve(function)
        except GolemError:
            return None


def recorded_to_json(value: Value) -> Json:
    """What passed a host function; a guest's own function brings the types of its values along."""
    record = cast("dict[str, Value]", value) if isinstance(value, dict) else {}
    if record.keys() == {"value", "typ"}:
        try:
            typ, content = value_and_type_value(record)
            return annotated_to_json(typ, content)
        except (GolemError, TypeError, ValueError, KeyError, IndexError, AttributeError):
            pass
    return inferred(value)


def inferred(value: Value) -> Json:
    """A value whose WIT type is not known, annotated with the plainest type that fits it."""
    typ, json = _inferred(value)
    return {"typ": typ, "value": json}


def _inferred(value: Value) -> tuple[Json, Json]:
    if value is None:
        return {"type": "Option", "inner": {"type": "Str"}}, None
    if isinstance(value, bool):
        return {"type": "Bool"}, value
    if isinstance(value, int):
        return {"type": "U64" if value >= 0 else "S64"}, value
    if isinstance(value, float):
        return {"type": "F64"}, value_encoder(Primitive.F64)(value)
    if isinstance(value, str):
        return {"type": "Str"}, value
    if isinstance(value, bytes):
        return {"type": "List", "inner": {"type": "U8"}}, list(value)
    if isinstance(value, dict):
        fields = {str(name): _inferred(item) for name, item in cast("dict[Any, Any]", value).items()}
        typ = {"type": "Record", "fields": [{"name": name, "typ": typ} for name, (typ, _) in fields.items()]}
        return typ, {name: json for name, (_, json) in fields.items()}
    if isinstance(value, list | tuple):
        items = [_inferred(item) for item in cast("list[Any]", value)]
        types = [typ for typ, _ in items]
        json = [item for _, item in items]
        if types and all(typ == types[0] for typ in types):
            return {"type": "List", "inner": types[0]}, json
        return {"type": "Tuple", "items": types}, json
    return {"type": "Str"}, str(value)


def _data_value(elements: list[Json]) -> dict[str, Any]:
    return {"type": "Tuple", "elements": [{"type": "ComponentModel", "value": element} for element in elements]}


def _error(writer: OplogJson, entry: oplog.Error) -> dict[str, Any]:
    fields: dict[str, Any] = {"error": entry.message, "retryFrom": entry.retry_from}
    if writer.cli:
        state = entry.retry_policy_state
        fields["insideAtomicRegion"] = entry.inside_atomic_region
        fields["retryPolicyState"] = None if state is None else state_to_tagged(state)
    return fields


def _jump(_writer: OplogJson, entry: oplog.Jump) -> dict[str, Any]:
    return {"jump": region_to_json(entry.jump)}


def _revert(_writer: OplogJson, entry: oplog.Revert) -> dict[str, Any]:
    return {"droppedRegion": region_to_json(entry.dropped_region)}


def _end(
    _writer: OplogJson,
    entry: oplog.EndAtomicRegion
    | oplog.EndRemoteWrite
    | oplog.PreCommitRemoteTransaction
    | oplog.PreRollbackRemoteTransaction
    | oplog.CommittedRemoteTransaction
    | oplog.RolledBackRemoteTransaction,
) -> dict[str, Any]:
    return {"beginIndex": entry.begin_index}


def _pending_update(_writer: OplogJson, entry: oplog.PendingUpdate) -> dict[str, Any]:
    description: dict[str, Any] = {"type": "Automatic"}
    if entry.snapshot is not None:
        description = {"type": "SnapshotBased", "payload": list(entry.snapshot), "mimeType": entry.mime_type}
    return {"targetRevision": entry.target_revision, "description": description}


def _successful_update(_writer: OplogJson, entry: oplog.SuccessfulUpdate) -> dict[str, Any]:
    return {
        "targetRevision": entry.target_revision,
        "newComponentSize": entry.new_component_size,
        "newActivePlugins": [str(plugin) for plugin in entry.new_active_plugins],
    }


def _failed_update(_writer: OplogJson, entry: oplog.FailedUpdate) -> dict[str, Any]:
    return {"targetRevision": entry.target_revision, "details": entry.details}


def _delta(_writer: OplogJson, entry: oplog.GrowMemory | oplog.FilesystemStorageUsageUpdate) -> dict[str, Any]:
    return {"delta": entry.delta}


def _resource(_writer: OplogJson, entry: oplog.CreateResource | oplog.DropResource) -> dict[str, Any]:
    return {"id": entry.id, "name": entry.name, "owner": entry.owner}


def _log(_writer: OplogJson, entry: oplog.Log) -> dict[str, Any]:
    return {"level": LogLevel(entry.level).name.capitalize(), "context": entry.context, "message": entry.message}


def _plugin(_writer: OplogJson, entry: oplog.ActivatePlugin | oplog.DeactivatePlugin) -> dict[str, Any]:
    return {"plugin": str(entry.plugin)}


def _cancel(_writer: OplogJson, entry: oplog.CancelPendingInvocation) -> dict[str, Any]:
    return {"idempotencyKey": entry.idempotency_key}


def invocation_context_to_json(stack: list[SpanData]) -> list[list[dict[str, Any]]]:
    """A stack of spans, followed by those that it links to; a link is the position of the other stack."""
    stacks: list[list[dict[str, Any]]] = []
    if stack:
        _add_stack(stacks, stack)
    return stacks


def _add_stack(stacks: list[list[dict[str, Any]]], stack: list[SpanData]) -> int:
    spans: list[dict[str, Any]] = []
    position = len(stacks)
    stacks.append(spans)
    for span, parent in zip(stack, [*stack[1:], None], strict=True):
        if span.start is None:
            spans.append({"type": "ExternalSpan", "spanId": span.span_id})
            continue
        spans.append(
            {
                "type": "LocalSpan",
                "spanId": span.span_id,
                "start": timestamp_of_milliseconds(span.start),
                "parentId": None if parent is None else parent.span_id,
                "linkedContext": _add_stack(stacks, span.linked) if span.linked else None,
                "attributes": _attributes(span.attributes),
                "inherited": span.inherited,
            }
        )
    return position


def _attributes(attributes: Mapping[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"type": "String", "value": value}} for key, value in sorted(attributes.items())]


def _start_span(_writer: OplogJson, entry: oplog.StartSpan) -> dict[str, Any]:
    return {
        "spanId": entry.span_id,
        "parentId": entry.parent,
        "linkedContext": entry.linked_context_id,
        "attributes": _attributes(entry.attributes),
    }


def _finish_span(_writer: OplogJson, entry: oplog.FinishSpan) -> dict[str, Any]:
    return {"spanId": entry.span_id}


def _span_attribute(_writer: OplogJson, entry: oplog.SetSpanAttribute) -> dict[str, Any]:
    return {"spanId": entry.span_id, "key": entry.key, "value": {"type": "String", "value": entry.value}}


def _persistence(_writer: OplogJson, entry: oplog.ChangePersistenceLevel) -> dict[str, Any]:
    return {"persistenceLevel": {"type": _PERSISTENCE[PersistenceLevel(entry.persistence_level)]}}


def _begin_transaction(_writer: OplogJson, entry: oplog.BeginRemoteTransaction) -> dict[str, Any]:
    return {"transactionId": entry.transaction_id}


def _snapshot(_writer: OplogJson, entry: oplog.Snapshot) -> dict[str, Any]:
    return {"data": {"type": "Raw", "data": list(entry.data), "mimeType": entry.mime_type}}


def _checkpoint(_writer: OplogJson, entry: oplog.OplogProcessorCheckpoint) -> dict[str, Any]:
    return {
        "plugin": str(entry.plugin),
        "targetAgentId": entry.target_worker,
        "confirmedUpTo": entry.confirmed_up_to,
        "sendingUpTo": entry.sending_up_to,
        "lastBatchStart": entry.last_batch_start,
    }


def _change_retry_policy(writer: OplogJson, entry: oplog.ChangeRetryPolicy) -> dict[str, Any]:
    named = {"policy": named_policy_to_tagged(named_default(entry.policy))} if writer.cli else {}
    return {"newPolicy": retry_policy_to_json(entry.policy), **named}


def _set_retry_policy(_writer: OplogJson, entry: oplog.SetRetryPolicy) -> dict[str, Any]:
    return {"policy": named_policy_to_tagged(entry.policy)}


def retry_policy_to_json(policy: RetryPolicy) -> dict[str, Any]:
    """A retry policy; its delays are texts such as `100ms`."""
    return {
        "maxAttempts": policy.max_attempts,
        "minDelay": f"{policy.min_delay}ms",
        "maxDelay": f"{policy.max_delay}ms",
        "multiplier": policy.multiplier,
        "maxJitterFactor": policy.max_jitter_factor,
    }


def _remove_retry_policy(_writer: OplogJson, entry: oplog.RemoveRetryPolicy) -> dict[str, Any]:
    return {"name": entry.name}


_FIELDS: dict[type[Entry], Callable[[OplogJson, Any], dict[str, Any]]] = {
    oplog.Create: OplogJson.create,
    oplog.HostCall: OplogJson.host_call,
    oplog.InvocationStarted: OplogJson.started,
    oplog.InvocationFinished: OplogJson.finished,
    oplog.PendingInvocation: OplogJson.pending,
    oplog.Error: _error,
    oplog.Jump: _jump,
    oplog.Revert: _revert,
    oplog.EndAtomicRegion: _end,
    oplog.EndRemoteWrite: _end,
    oplog.PreCommitRemoteTransaction: _end,
    oplog.PreRollbackRemoteTransaction: _end,
    oplog.CommittedRemoteTransaction: _end,
    oplog.RolledBackRemoteTransaction: _end,
    oplog.PendingUpdate: _pending_update,
    oplog.SuccessfulUpdate: _successful_update,
    oplog.FailedUpdate: _failed_update,
    oplog.GrowMemory: _delta,
    oplog.FilesystemStorageUsageUpdate: _delta,
    oplog.CreateResource: _resource,
    oplog.DropResource: _resource,
    oplog.Log: _log,
    oplog.ActivatePlugin: _plugin,
    oplog.DeactivatePlugin: _plugin,
    oplog.CancelPendingInvocation: _cancel,
    oplog.StartSpan: _start_span,
    oplog.FinishSpan: _finish_span,
    oplog.SetSpanAttribute: _span_attribute,
    oplog.ChangePersistenceLevel: _persistence,
    oplog.BeginRemoteTransaction: _begin_transaction,
    oplog.Snapshot: _snapshot,
    oplog.OplogProcessorCheckpoint: _checkpoint,
    oplog.ChangeRetryPolicy: _change_retry_policy,
    oplog.SetRetryPolicy: _set_retry_policy,
    oplog.RemoveRetryPolicy: _remove_retry_policy,
}
"""What an entry has besides its type and time; one that is not listed (Suspend, NoOp, Exited, ...) has nothing."""
