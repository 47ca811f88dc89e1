"""Invocations: the route that everybody waits for, written against ASGI itself.

It matches the path, reads the body, decodes the parameters and writes the answer without the framework's dependency
and model layers, each of which costs more than the invocation of a loaded worker. Both operations, `invoke` and
`invoke-and-await`, are this one path; they differ in what is waited for (reference: rest-api, section 4).

What is asked for again and again is remembered: workers by the segments of the path, functions by the query string,
and converters by the export. All three are bounded and only save time.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import ClientDisconnect

from golem_server.api.authentication import credential
from golem_server.api.errors import answer_of, unexpected
from golem_server.api.json_bodies import EMPTY_OBJECT, JsonReader
from golem_server.api.paths import parse_uuid, parse_worker_name, visible_component
from golem_server.api.services import ApiServices
from golem_server.asgi import Receive, Scope, Send
from golem_server.durable.executor import Executor
from golem_server.model.component_agents import is_agent_function
from golem_server.model.errors import Conflict, InvalidInput
from golem_server.model.function_names import ResolvedFunction
from golem_server.model.ids import AccountId, ComponentId, WorkerId
from golem_server.model.json_values import Json, SignatureJson
from golem_server.model.oplog import Invocation
from golem_server.model.principals import user_principal
from golem_server.model.trace import NO_TRACE, TraceContext, parse_trace_headers
from golem_server.model.types import FunctionType, Value
from golem_server.model.workers import WorkerCreation

AWAIT = b"invoke-and-await"
FORGET = b"invoke"

_MAX_REMEMBERED = 10_000
_MAX_REMEMBERED_QUERY = 500
_RANDOM_BYTES = 16 * 256

_encode = msgspec.json.Encoder().encode


class InvokeParameters(msgspec.Struct):
    """The body of an invocation. Integers stay exact whatever their size."""

    params: list[Any] | None = None


_parameters = msgspec.json.Decoder(InvokeParameters)


class _Signature:
    """The JSON of one export's parameters and result, ready for use. Keeps the export, whose identity is its key."""

    __slots__ = ("_json", "_prefix", "function", "resolved", "takes_principal")

    def __init__(self, resolved: ResolvedFunction) -> None:
        self.resolved = resolved
        self._json = SignatureJson(FunctionType(resolved.given_parameters, resolved.type.result))
        self._prefix: bytes | None = None
        # The arguments of an indexed resource are in its name only.
        self.function = resolved.export_name if resolved.indexed is None else None
        self.takes_principal = is_agent_function(resolved) and len(resolved.type.parameters) > 2

    def decode(self, params: Json, worker_id: WorkerId) -> list[Value]:
        """The values of the request's parameters. Raises InvalidInput."""
        return self._json.decode_parameters(params, worker_id)

    def encode(self, value: Value, worker_id: WorkerId) -> bytes:
        """The answer's body."""
        annotated = self._json.encode_result(value, worker_id)
        if annotated is None:
            return b'{"result":null}'
        if self._prefix is None:
            self._prefix = b'{"result":{"typ":' + _encode(annotated["typ"]) + b',"value":'
        return self._prefix + _encode(annotated["value"]) + b"}}"


class Invocations:
    """The ASGI application of both operations. `services` gives them once the application has started."""

    def __init__(self, services: Callable[[], ApiServices]) -> None:
        self._services = services
        self._reader: JsonReader | None = None
        self._workers: dict[tuple[bytes, bytes], WorkerId] = {}
        self._functions: dict[bytes, str] = {}
        self._signatures: dict[int, _Signature] = {}
        self._creations: dict[AccountId, WorkerCreation] = {}
        self._random_keys = _RandomKeys()

    @staticmethod
    def matches(scope: Scope) -> bool:
        """Whether a request with this method and path is an invocation."""
        path: bytes = scope["raw_path"]
        return (
            path.startswith(b"/v1/components/")
            and (path.endswith(b"/invoke-and-await") or path.endswith(b"/invoke"))
            and scope["method"] == "POST"
            and path.count(b"/") == 6
            and path.split(b"/", 5)[4] == b"workers"
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one invocation."""
        status, headers = 200, _JSON
        try:
            body = await self._answer(scope, receive)
        except ClientDisconnect:
            return
        except Exception as error:
            answer = answer_of(error) or unexpected(error, self._services().metrics.error)
            status, body = answer.status, answer.body
            headers = [*_JSON, *((name.encode(), value.encode()) for name, value in answer.headers.items())]
        headers = [*headers, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: Scope, receive: Receive) -> bytes:
        services = self._services()
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        caller = await services.tokens.authenticate(credential(headers))
        _, _, _, component, _, name, operation = scope["raw_path"].split(b"/")
        worker_id = self._workers.get((component, name))
        component_id = worker_id.component_id if worker_id is not None else _component_id(component)
        registered = await visible_component(services, component_id, caller)
        if worker_id is None:
            worker_id = WorkerId(component_id, parse_worker_name(name.decode("latin-1"), registered))
            _remember(self._workers, (component, name), worker_id)
        function = self._function(scope["query_string"])
        if self._reader is None:
            limits = services.settings.limits.request
            self._reader = JsonReader(limits.json_body, limits.json_depth)
        body = await self._reader.read(receive, headers, _parameters)
        executor = services.executor
        key, trace = _key_and_trace(headers)
        try:
            resolved = executor.function_of_loaded(worker_id, function)
            if resolved is None:
                resolved = await executor.operations.function_of(worker_id, function)
            signature = self._signature(resolved)
            parameters = signature.decode(body.params or [], worker_id)
        except InvalidInput:
            older = await self._older_signature(executor, worker_id, key, function)
            if older is None:
                raise
            signature, parameters = older, older.decode(body.params or [], worker_id)
        creation = self._creations.get(caller.account_id)
        if creation is None:
            creation = WorkerCreation(principal=user_principal(caller.account_id))
            _remember(self._creations, caller.account_id, creation)
        if signature.takes_principal:
            # Nobody can pretend to be somebody else.
            parameters[2] = creation.principal
        invocation = Invocation(
            key or self._random_keys.next(),
            signature.function or function,
            parameters,
            trace.trace_id,
            trace.states,
            trace.spans,
        )
        if operation == FORGET:
            await executor.invoke(worker_id, invocation, creation)
            return EMPTY_OBJECT
        result = await executor.invoke_and_await(worker_id, invocation, creation)
        try:
            if key is not None and executor.operations.answers.may_be_older(worker_id):
                signature = await self._older_signature(executor, worker_id, key, function) or signature
            return signature.encode(result, worker_id)
        except (InvalidInput, TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
            # The result is not of this function's type: the key is that of a call of another one.
            raise Conflict("The idempotency key was used for another function of this worker") from error

    async def _older_signature(
        self, executor: Executor, worker_id: WorkerId, key: str | None, function: str
    ) -> _Signature | None:
        """What the function was when the key got its answer, if that was before the worker's last update."""
        if key is None:
            return None
        component = await executor.component_that_answered(worker_id, key)
        return None if component is None else self._signature(component.functions.resolve(function))

    def _function(self, query: bytes) -> str:
        function = self._functions.get(query)
        if function is None:
            try:
                parameters = dict(reversed(parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict")))
            except ValueError:
                raise InvalidInput("failed to parse parameter `function`: expected UTF-8") from None
            function = parameters.get("function")
            if function is None:
                raise InvalidInput("failed to parse parameter `function`: it is missing")
            if len(query) <= _MAX_REMEMBERED_QUERY:
                _remember(self._functions, query, function)
        return function

    def _signature(self, resolved: ResolvedFunction) -> _Signature:
        # By identity: comparing exports would compare whole types. The signature keeps its export alive, so that
        # the number cannot become another's.
        signature = self._signatures.get(id(resolved))
        if signature is None:
            signature = _Signature(resolved)
            _remember(self._signatures, id(resolved), signature)
        return signature


_JSON: list[tuple[bytes, bytes]] = [(b"content-type", b"application/json")]


def _component_id(segment: bytes) -> ComponentId:
    return ComponentId(parse_uuid("component_id", segment.decode("latin-1")))


def _remember(known: dict[Any, Any], key: object, value: object) -> None:
    if len(known) >= _MAX_REMEMBERED:
        known.clear()
    known[key] = value


class _RandomKeys:
    """Random UUIDs of version 4 as text. The system is asked for randomness once for many: asking is what costs."""

    def __init__(self) -> None:
        self._digits = ""
        self._at = 0

    def next(self) -> str:
        """A key that nobody has had before."""
        at = self._at
        if at == len(self._digits):
            self._digits, at = os.urandom(_RANDOM_BYTES).hex(), 0
        self._at = at + 32
        digits = self._digits[at : at + 32]
        variant = "89ab"[int(digits[16], 16) & 3]
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def _key_and_trace(headers: list[tuple[bytes, bytes]]) -> tuple[str | None, TraceContext]:
    """The idempotency key that the caller chose, and the trace that the request belongs to."""
    key = parent = None
    for name, value in headers:
        if name == b"idempotency-key":
            key = key or value.decode("utf-8", "replace")
        elif name == b"traceparent":
            parent = value
    if parent is None:
        return key, NO_TRACE
    states = (value.decode("latin-1") for name, value in headers if name == b"tracestate")
    return key, parse_trace_headers(parent.decode("latin-1"), states) or NO_TRACE
