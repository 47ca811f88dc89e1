"""Invocations and their results as guests of golem:api/oplog@1.5 see them: the variants `agent-invocation` and
`agent-invocation-result`.

In the oplog every invocation is the call of an exported function. What kind of invocation it is follows from the
function: the two by which agents are called, those that save and load a state, and that of oplog processors. Any other
function is shown as a method of its name (reference: host-interfaces, section 4.5).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from golem_server.model.component_agents import INITIALIZE, INVOKE, Agent
from golem_server.model.data_values import UNIT, DataSchema
from golem_server.model.errors import GolemError, InvalidInput
from golem_server.model.function_names import FunctionResolver, ResolvedFunction
from golem_server.model.inferred_values import inferred_type
from golem_server.model.metadata import AGENT_GUEST
from golem_server.model.oplog import Invocation
from golem_server.model.types import Value, WitType
from golem_server.model.wit_values import value_and_type_record

SAVE_SNAPSHOT = ("golem:api/save-snapshot", "save")
LOAD_SNAPSHOT = ("golem:api/load-snapshot", "load")
PROCESS_OPLOG = ("golem:api/oplog-processor", "process")

_OCTETS = "application/octet-stream"


class InvocationRecords:
    """Writes the invocations of one worker: `functions` finds the types of its exports, `agent` is what its name means.

    Either is None where it is not known, or where the worker is no agent.
    """

    def __init__(self, functions: FunctionResolver | None, agent: Agent | None) -> None:
        self._functions = functions
        self._agent = agent

    def variant(self, invocation: Invocation, context: dict[str, Value]) -> Value:
        """`agent-invocation`; `context` are the key and the trace."""
        if invocation.update_to is not None:
            return ("manual-update", {"target-revision": invocation.update_to})
        called = called_function(invocation.function)
        if called == SAVE_SNAPSHOT:
            return ("save-snapshot", None)
        if called == PROCESS_OPLOG:
            return ("process-oplog-entries", {"idempotency-key": invocation.idempotency_key})
        snapshot = _snapshot(invocation.parameters[0]) if called == LOAD_SNAPSHOT and invocation.parameters else None
        if snapshot is not None:
            return ("load-snapshot", {"snapshot": snapshot})
        return self._of_agent(invocation, context) or self._of_function(invocation, context)

    def result(self, invocation: Invocation | None, result: Value) -> Value:
        """`agent-invocation-result` of an invocation, None where it is not known which one ended."""
        called = None if invocation is None else called_function(invocation.function)
        if called in (LOAD_SNAPSHOT, PROCESS_OPLOG):
            case = "load-snapshot" if called == LOAD_SNAPSHOT else "process-oplog-entries"
            return (case, {"error": _error_text(result)})
        snapshot = _snapshot(result) if called == SAVE_SNAPSHOT else None
        if snapshot is not None:
            return ("save-snapshot", {"snapshot": snapshot})
        of_agent = None if invocation is None else self._result_of_agent(invocation, result)
        if of_agent is not None:
            return of_agent
        value = self.plain_result(invocation, result)
        return ("agent-method", {"output": _typed_data_value([] if value is None else [("", value)])})

    def parameters(self, invocation: Invocation) -> list[tuple[str, Value]]:
        """The parameters as `value-and-type`, with their names."""
        values = invocation.parameters
        resolved = self._resolved(invocation.function)
        if resolved is None or len(resolved.given_parameters) != len(values):
            return [(f"p{position}", typed_value(value, None)) for position, value in enumerate(values)]
        pairs = zip(resolved.given_parameters, values, strict=True)
        return [(parameter.name, typed_value(value, parameter.type)) for parameter, value in pairs]

    def plain_result(self, invocation: Invocation | None, result: Value) -> Value | None:
        """The result as `value-and-type`; None where there is none."""
        resolved = None if invocation is None else self._resolved(invocation.function)
        typ = None if resolved is None else resolved.type.result
        return None if result is None and typ is None else typed_value(result, typ)

    def _of_agent(self, invocation: Invocation, context: dict[str, Value]) -> Value | None:
        agent, parameters = self._agent, invocation.parameters
        if agent is None or len(parameters) < 2:
            return None
        if invocation.function == agent.agents.function(INITIALIZE):
            given = _schema_value(agent.type.constructor_schema, parameters[1])
            return ("agent-initialization", {"constructor-parameters": given, **context})
        if invocation.function == agent.agents.function(INVOKE):
            method = agent.type.method(parameters[0])
            given = _schema_value(None if method is None else method.input_schema, parameters[1])
            return ("agent-method-invocation", {"method-name": parameters[0], "function-input": given, **context})
        return None

    def _of_function(self, invocation: Invocation, context: dict[str, Value]) -> Value:
        given = _typed_data_value(self.parameters(invocation))
        return ("agent-method-invocation", {"method-name": invocation.function, "function-input": given, **context})

    def _result_of_agent(self, invocation: Invocation, result: Value) -> Value | None:
        agent = self._agent
        if agent is None:
            return None
        if invocation.function == agent.agents.function(INITIALIZE):
            return ("agent-initialization", {"output": _schema_value(None, UNIT)})
        if invocation.function == agent.agents.function(INVOKE) and invocation.parameters:
            method = agent.type.method(invocation.parameters[0])
            output = _schema_value(None if method is None else method.output_schema, result[1])
            return ("agent-method", {"output": output})
        return None

    def _resolved(self, function: str) -> ResolvedFunction | None:
        if self._functions is None:
            return None
        try:
            return self._functions.resolve(function)
        except GolemError:
            return None


def called_function(name: str) -> tuple[str, str]:
    """The interface, without its version, and the function that an invocation's name means."""
    interface, _, function = name.rpartition(".{")
    return interface.partition("@")[0], function.removesuffix("}")


def is_agent_function(name: str) -> bool:
    """Whether it is one of the two functions by which agents are called."""
    interface, function = called_function(name)
    return interface == AGENT_GUEST and function in (INITIALIZE, INVOKE)


def recorded_value(value: Value) -> Value:
    """`value-and-type` of what passed a host function; a guest's own function brought it as such."""
    record: dict[str, Value] = cast("dict[str, Value]", value) if isinstance(value, dict) else {}
    if record.keys() == {"value", "typ"} and "nodes" in (record["value"] or ()):
        return _with_nodes(record)
    return typed_value(value, None)


def typed_value(value: Value, typ: WitType | None) -> Value:
    """`value-and-type` of a value; of the plainest type that fits it where its own is not known or does not fit."""
    if typ is not None:
        try:
            return _with_nodes(value_and_type_record(value, typ))
        except (GolemError, TypeError, ValueError, KeyError, IndexError, AttributeError):
            # Recorded under a revision in which the function had another type.
            pass
    inferred, plain = inferred_type(value)
    return _with_nodes(value_and_type_record(plain, inferred))


def _with_nodes(record: dict[str, Value]) -> Value:
    """Up to 1.1 a value is given without its type: then the record is the value itself."""
    nodes: Value = record["value"]["nodes"]
    return {**record, "nodes": nodes}


def _typed_data_value(named: Sequence[tuple[str, Value]]) -> Value:
    return {
        "value": ("tuple", [("component-model", value["value"]) for _, value in named]),
        "schema": ("tuple", [(name, ("component-model", value["typ"])) for name, value in named]),
    }


def _schema_value(schema: DataSchema | None, value: Value) -> Value:
    """`typed-data-value`; an empty one where the schema is that of another revision, which does not fit."""
    if schema is not None:
        try:
            schema.check(value)
            return {"value": value, "schema": schema.to_guest()}
        except (InvalidInput, TypeError, ValueError, KeyError, IndexError, AttributeError):
            pass
    nothing: list[Value] = []
    return {"value": UNIT, "schema": ("tuple", nothing)}


def _error_text(result: Value) -> str | None:
    parts = cast("Sequence[Any]", result) if isinstance(result, list | tuple) else ()
    return str(parts[1]) if len(parts) == 2 and parts[0] == "err" else None


def _snapshot(value: Value) -> Value | None:
    """`snapshot-data` of what the function that saves gives, in either of its shapes."""
    record: dict[str, Any] = cast("dict[str, Any]", value) if isinstance(value, dict) else {"payload": value}
    data, mime_type = record.get("payload"), record.get("mime-type", _OCTETS)
    if not isinstance(data, bytes | bytearray) or not isinstance(mime_type, str):
        return None
    return {"data": bytes(data), "mime-type": mime_type}
