"""Calls to other workers as guests make them: what golem:rpc, golem:agent/host and generated clients have in common.

A guest holds a connection to a target worker. A call has a key that is the same in replay; its span and its outcome
are recorded. An asynchronous call is recorded each time that the guest asks for its result: what was still open when
the oplog ends is sent again, with the same key (reference: durability, section 9).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import CoroutineType
from typing import Protocol
from uuid import UUID, uuid5

import msgspec

from golem_server.durable.context import RecordedFunction, WorkerContext
from golem_server.durable.ports import WorkerComponent
from golem_server.durable.rpc import Caller
from golem_server.durable.signals import GuestError, PermanentFailure
from golem_server.durable.spans import Span
from golem_server.host.golem_records import worker_id_record
from golem_server.host.resources import Pollable
from golem_server.model.errors import (
    Conflict,
    Forbidden,
    GolemError,
    InvalidInput,
    InvocationFailed,
    NotFound,
    PreviousInvocationFailed,
    Unauthorized,
)
from golem_server.model.golem_variables import RESERVED_VARIABLES
from golem_server.model.ids import WorkerId
from golem_server.model.oplog import Category, ConfigEntry, Invocation
from golem_server.model.trace import TraceContext
from golem_server.model.types import Value

_ERROR_TEXTS = {
    "protocol-error": "Protocol error",
    "denied": "Denied",
    "not-found": "Not found",
    "remote-internal-error": "Remote internal error",
}


class Method(Protocol):
    """What a call runs in its target. `name` and `input` are what the oplog shows of it."""

    @property
    def name(self) -> str: ...

    @property
    def input(self) -> Value: ...

    @property
    def tells_agent_errors(self) -> bool:
        """Whether the guest's `rpc-error` has a case for the error that an agent gives."""
        ...

    def prepare(
        self, component: WorkerComponent, target: WorkerId, key: str, trace: TraceContext
    ) -> tuple[Invocation, Callable[[Value], Value]]:
        """The invocation, and what makes of its result the value that is recorded and given to the guest.

        Raises InvalidInput where the target has no such method or it takes something else.
        """
        ...


class Connection:
    """The resource `wasm-rpc`: a way to one target. Its span ends when the guest drops it."""

    def __init__(self, context: WorkerContext, target: WorkerId, span: Span) -> None:
        self.target = target
        self.span = span
        self._context = context

    def dropped(self) -> None:
        """The guest needs it no more."""
        self._context.spans.finish(self.span)


@dataclass(frozen=True, slots=True)
class OutgoingCall:
    """A call of which everything is known that its outcome depends on."""

    target: WorkerId
    method: Method
    key: UUID
    span: Span
    trace: TraceContext


class CancellationToken:
    """The resource `cancellation-token`: a scheduled call that can be taken back."""

    def __init__(self, schedule_id: UUID) -> None:
        self.schedule_id = schedule_id


class FutureResult:
    """The resource `future-invoke-result`: the outcome of an asynchronous call.

    After replay it is not known whether the call was sent: it is sent (again) when the guest next asks.
    """

    def __init__(self, context: WorkerContext, call: OutgoingCall) -> None:
        self.call = call
        self.consumed = False
        self.cancelled = False
        self._context = context
        self._task: asyncio.Task[Value] | None = None

    @property
    def sent(self) -> bool:
        """Whether this instance has sent the call."""
        return self._task is not None

    @property
    def settled(self) -> bool:
        """Whether asking for the result gives one."""
        return self.consumed or self.cancelled or (self._task is not None and self._task.done())

    def send(self) -> None:
        """Send the call if that was not done yet."""
        if self._task is None and not self.settled:
            self._task = self._context.workers.calls.in_background(outcome(self._context, self.call))

    async def wait(self) -> None:
        """Return when the call has its outcome. A cancelled waiter leaves the call alone."""
        self.send()
        if self._task is not None:
            await asyncio.wait({self._task})

    def outcome(self) -> Value:
        """The outcome of a call that has one."""
        assert self._task is not None
        return self._task.result()

    def close(self) -> None:
        """The instance is given up: the next one sends the call again. What the target has begun goes on.

        A guest that drops the future gives up nothing: the call goes on unheard.
        """
        if self._task is not None:
            self._task.cancel()


class FuturePollable(Pollable):
    """Ready when the call has its outcome."""

    def __init__(self, future: FutureResult) -> None:
        self._future = future

    def ready(self) -> bool:
        """Whether it has. Asked only live, when the call should be under way."""
        self._future.send()
        return self._future.settled

    async def wait(self) -> None:
        """Return when it has."""
        await self._future.wait()


# --- Connecting


def caller_of(context: WorkerContext, config: Sequence[ConfigEntry] = ()) -> Caller:
    """This worker as one who calls; `config` is that of an agent which is created by the call."""
    return Caller(
        agent_config=tuple(config),
        worker_id=context.worker_id,
        component_revision=context.component_revision,
        environment={name: text for name, text in context.environment.items() if name not in RESERVED_VARIABLES},
        retries=context.retries,
        pause=context.pause,
    )


async def connect(context: WorkerContext, target: WorkerId, config: Sequence[ConfigEntry] = ()) -> Connection:
    """A connection (see `open_connection`)."""
    return Connection(context, target, await open_connection(context, target, config))


async def open_connection(context: WorkerContext, target: WorkerId, config: Sequence[ConfigEntry] = ()) -> Span:
    """The span of a connection, whose target is created if there is none. Nothing but the span is recorded.

    `config` is that of the target, if it is an agent that has to be created.

    Raises PermanentFailure if there is no such component, or it is somebody else's.
    """
    span = await context.spans.start({"name": "rpc-connection", "target_agent_id": str(target)})
    if await context.settle_replay():
        try:
            await context.workers.calls.connect(caller_of(context, config), target)
        except GolemError as error:
            raise PermanentFailure(error_text(rpc_error(error))) from error
    return span


def new_target_name(context: WorkerContext) -> str:
    """A name that no worker has, the same in replay: for targets that live for one connection."""
    return str(uuid5(context.keys.future(), str(context.worker_id)))


# --- Calling


async def begin_call(context: WorkerContext, connection: Connection, method: Method) -> OutgoingCall:
    """Give a call its key and its span. Raises GuestError where a worker calls itself."""
    if connection.target == context.worker_id:
        raise GuestError("RPC calls to the same agent are not supported")
    await context.deferred.run()
    # Callers whose clients choose the same keys must not be taken for one another by a target of both.
    key = uuid5(context.keys.future(), str(context.worker_id))
    span = await context.spans.start(
        {"name": "rpc-invocation", "function_name": method.name, "idempotency_key": str(key)}, parent=connection.span
    )
    return OutgoingCall(connection.target, method, key, span, context.spans.handed_on(span))


async def call_and_wait(context: WorkerContext, connection: Connection, method: Method) -> Value:
    """`result<..., rpc-error>`: what the target answered."""
    call = await begin_call(context, connection, method)
    response = await recorded(context, INVOKE_AND_AWAIT, call)
    context.spans.finish(call.span)
    return response


async def call_and_forget(context: WorkerContext, connection: Connection, method: Method) -> Value:
    """`result<_, rpc-error>`: whether the call is in the target's queue."""
    call = await begin_call(context, connection, method)
    response = await recorded(context, INVOKE, call)
    context.spans.finish(call.span)
    return response


async def call_later(context: WorkerContext, connection: Connection, method: Method) -> FutureResult:
    """Begin a call whose outcome the guest asks for later."""
    future = FutureResult(context, await begin_call(context, connection, method))
    if await context.settle_replay():
        # The key must be the same after a crash: what it depends on comes first.
        await context.oplog.commit()
        future.send()
    return future


async def result_of(context: WorkerContext, future: FutureResult) -> Value:
    """`option<result<..., rpc-error>>`: the outcome, once. Raises GuestError when it is asked for again."""
    if future.consumed:
        raise GuestError("future-invoke-result already consumed")
    state, result = await recorded(context, GET, future)
    if state == "pending":
        return None
    future.consumed = True
    context.spans.finish(future.call.span)
    return result


async def cancel_call(context: WorkerContext, future: FutureResult) -> None:
    """Give a call up, unless it has its outcome. If it waits in the target's queue it is taken out."""
    if await recorded(context, CANCEL, future):
        future.cancelled = True


async def schedule_call(
    context: WorkerContext, connection: Connection, method: Method, datetime: Value
) -> CancellationToken:
    """Have the target run a call at a time. Raises PermanentFailure where it cannot be made."""
    key = uuid5(context.keys.future(), str(context.worker_id))
    call = OutgoingCall(connection.target, method, key, connection.span, context.spans.handed_on(connection.span))
    state, detail = await recorded(context, SCHEDULE, call, datetime)
    if state == "err":
        raise PermanentFailure(error_text(detail))
    return CancellationToken(UUID(detail))


async def cancel_scheduled(context: WorkerContext, token: CancellationToken) -> None:
    """Take a scheduled call back, if its time has not come."""
    await recorded(context, CANCEL_SCHEDULED, token)


async def outcome(context: WorkerContext, call: OutgoingCall) -> Value:
    """Make a call: `("ok", value)` or `("err", rpc-error)`."""
    calls, caller = context.workers.calls, caller_of(context)
    try:
        invocation, respond = await _prepared(context, call)
        return ("ok", respond(await calls.call(caller, call.target, invocation, call.method.name)))
    except GolemError as error:
        return ("err", rpc_error(error, agent_errors=call.method.tells_agent_errors))


def traced(invocation: Invocation, trace: TraceContext) -> Invocation:
    """The invocation in the trace that the call continues."""
    return msgspec.structs.replace(
        invocation, trace_id=trace.trace_id, trace_states=trace.states, invocation_context=trace.spans
    )


async def _prepared(context: WorkerContext, call: OutgoingCall) -> tuple[Invocation, Callable[[Value], Value]]:
    calls, key = context.workers.calls, str(call.key)
    component = await calls.component_of(caller_of(context), call.target)
    try:
        return call.method.prepare(component, call.target, key, call.trace)
    except InvalidInput:
        # An update may have come between the target's answer and its caller's end.
        answered = await calls.component_that_answered(call.target, key)
        if answered is None:
            raise
        return call.method.prepare(answered, call.target, key, call.trace)


async def recorded(context: WorkerContext, function: RecordedFunction, *arguments: Value) -> Value:
    """A recorded call, whether it answers at once or not."""
    response = context.recorded(function, arguments)
    return await response if response.__class__ is CoroutineType else response


# --- What is recorded


def _request(_context: WorkerContext, call: OutgoingCall) -> Value:
    return {
        "remote_agent_id": worker_id_record(call.target),
        "idempotency_key": str(call.key),
        "method_name": call.method.name,
        "input": call.method.input,
    }


async def _send(context: WorkerContext, call: OutgoingCall) -> Value:
    try:
        invocation, _ = await _prepared(context, call)
        await context.workers.calls.send(caller_of(context), call.target, invocation, call.method.name)
    except GolemError as error:
        return ("err", rpc_error(error, agent_errors=call.method.tells_agent_errors))
    return ("ok", None)


async def _get(context: WorkerContext, future: FutureResult) -> Value:
    if future.cancelled:
        return ("completed", ("err", ("protocol-error", "Invocation cancelled")))
    if not future.sent:
        future.send()
        # The guest may have learnt before a crash that the outcome is there, and then must get it.
        if await context.workers.calls.has_answer(future.call.target, str(future.call.key)):
            await future.wait()
    return ("completed", future.outcome()) if future.settled else ("pending", None)


async def _cancel(context: WorkerContext, future: FutureResult) -> bool:
    if future.settled:
        return False
    await context.workers.calls.cancel(future.call.target, str(future.call.key))
    future.close()
    return True


def _schedule_request(context: WorkerContext, call: OutgoingCall, datetime: Value) -> Value:
    return {**_request(context, call), "datetime": datetime}


async def _schedule(context: WorkerContext, call: OutgoingCall, datetime: Value) -> Value:
    due_at = datetime["seconds"] * 1000 - (-datetime["nanoseconds"] // 1_000_000)
    try:
        invocation, _ = await _prepared(context, call)
        await context.workers.calls.schedule(caller_of(context), call.target, due_at, invocation, call.key)
    except GolemError as error:
        return ("err", rpc_error(error))
    return ("ok", str(call.key))


async def _cancel_scheduled(context: WorkerContext, token: CancellationToken) -> None:
    await context.workers.calls.cancel_scheduled(caller_of(context), token.schedule_id)


def _of_future(context: WorkerContext, future: FutureResult) -> Value:
    return _request(context, future.call)


def _of_token(_context: WorkerContext, token: CancellationToken) -> Value:
    return {"schedule_id": str(token.schedule_id)}


INVOKE_AND_AWAIT = RecordedFunction(
    Category.WRITE_REMOTE, "golem::rpc::wasm-rpc::invoke_and_await", request=_request, live=outcome
)
INVOKE = RecordedFunction(Category.WRITE_REMOTE, "golem::rpc::wasm-rpc::invoke", request=_request, live=_send)
SCHEDULE = RecordedFunction(
    Category.WRITE_REMOTE, "golem::rpc::wasm-rpc::schedule_invocation", request=_schedule_request, live=_schedule
)
GET = RecordedFunction(Category.WRITE_REMOTE, "golem::rpc::future-invoke-result::get", request=_of_future, live=_get)
CANCEL = RecordedFunction(
    Category.WRITE_REMOTE, "golem::rpc::future-invoke-result::cancel", request=_of_future, live=_cancel
)
CANCEL_SCHEDULED = RecordedFunction(
    Category.WRITE_REMOTE, "golem::rpc::cancellation-token::cancel", request=_of_token, live=_cancel_scheduled
)


# --- Errors


def rpc_error(error: GolemError, *, agent_errors: bool = False) -> Value:
    """The `rpc-error` that tells a guest what ended its call; with `agent_errors` an agent's own error as it is."""
    match error:
        case InvocationFailed() | PreviousInvocationFailed() if agent_errors and error.agent_error is not None:
            return ("remote-agent-error", error.agent_error)
        case InvalidInput():
            return ("protocol-error", error.message)
        case NotFound():
            return ("not-found", error.message)
        case Forbidden() | Unauthorized() | Conflict():
            return ("denied", error.message)
        case InvocationFailed() | PreviousInvocationFailed():
            return ("remote-internal-error", f"{error.message}: {error.cause}")
        case _:
            return ("remote-internal-error", error.message)


def error_text(error: Value) -> str:
    """An `rpc-error` as a text."""
    kind, detail = error
    return f"{_ERROR_TEXTS.get(kind, kind)}: {detail}"
