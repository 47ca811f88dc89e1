"""golem:durability: what libraries need to make functions of their own durable, in all versions of the interface.

Values come as `value-and-type` or, in 1.2, as bytes; either is kept as it came (`durable/custom_functions.py`).
"""

from __future__ import annotations

from golem_server.durable import custom_functions
from golem_server.durable.context import WorkerContext
from golem_server.durable.host_function import HostInterface
from golem_server.durable.signals import GuestError
from golem_server.host.golem_records import (
    category_of,
    datetime_record,
    durable_function_type,
    persistence_level_variant,
)
from golem_server.host.resources import Pollable
from golem_server.model.ids import PromiseId
from golem_server.model.oplog import HostCall
from golem_server.model.types import FunctionType, RecordType, Value

durability = HostInterface("golem:durability/durability")

INTERFACES = [durability]


@durability.unrecorded("observe-function-call")
def observe_function_call(_context: WorkerContext, _interface: str, _function: str) -> Value:
    """For metrics of libraries; nothing is counted per function."""


@durability.special("begin-durable-function")
async def begin_durable_function(context: WorkerContext, function_type: Value) -> Value:
    """Begins a function; gives the index that its other calls name."""
    return await custom_functions.begin(context, *category_of(function_type))


@durability.special("end-durable-function")
async def end_durable_function(
    context: WorkerContext, function_type: Value, begin_index: int, forced_commit: bool
) -> Value:
    """Ends a function."""
    category, batch = category_of(function_type)
    await custom_functions.end(context, category, batch, begin_index, forced_commit=forced_commit)


@durability.special("current-durable-execution-state")
async def current_durable_execution_state(context: WorkerContext) -> Value:
    """Whether the guest is to do the effect of its next function, and how much is recorded."""
    return {
        "is-live": await custom_functions.is_live(context),
        "persistence-level": persistence_level_variant(context.persistence_level),
    }


@durability.special("persist-durable-function-invocation")
def persist(context: WorkerContext, function_name: str, request: Value, response: Value, function_type: Value) -> Value:
    """Records what a function gave."""
    custom_functions.persist(context, function_name, request, response, *category_of(function_type))


@durability.special("persist-typed-durable-function-invocation")
def persist_typed(
    context: WorkerContext, function_name: str, request: Value, response: Value, function_type: Value
) -> Value:
    """The same with typed values (1.2, where the other takes bytes)."""
    custom_functions.persist(context, function_name, request, response, *category_of(function_type))


@durability.special("read-persisted-durable-function-invocation", accepts=lambda type: not _is_typed(type))
async def read_persisted_bytes(context: WorkerContext) -> Value:
    """What the next function gave, as bytes (1.2)."""
    return _persisted(await custom_functions.read(context), typed=False)


@durability.special("read-persisted-durable-function-invocation")
async def read_persisted(context: WorkerContext) -> Value:
    """What the next function gave."""
    return _persisted(await custom_functions.read(context), typed=True)


@durability.special("read-persisted-typed-durable-function-invocation")
async def read_persisted_typed(context: WorkerContext) -> Value:
    """What the next function gave, as a typed value (1.2)."""
    return _persisted(await custom_functions.read(context), typed=True)


def _is_typed(type: FunctionType) -> bool:
    result = type.result
    fields = result.fields if isinstance(result, RecordType) else ()
    return all(isinstance(field.type, RecordType) for field in fields if field.name == "response")


def _persisted(call: HostCall, *, typed: bool) -> Value:
    if isinstance(call.response, bytes) is typed:
        kind = "a typed value" if typed else "bytes"
        raise GuestError(f"the response of {call.function} was not persisted as {kind}")
    return {
        "timestamp": datetime_record(call.timestamp),
        "function-name": call.function,
        "response": call.response,
        "function-type": durable_function_type(call.category, call.begin_index),
        "entry-version": "v2",
    }


# --- lazy-initialized-pollable


class LazyPollable:
    """The resource `lazy-initialized-pollable`: a place for a pollable that is not there yet."""

    def __init__(self) -> None:
        self.pollable: Pollable | None = None

    def target(self) -> Pollable | None:
        """The pollable behind this place and those that it leads to."""
        pollable = self.pollable
        while isinstance(pollable, SubscribedPlace):
            pollable = pollable.place.pollable
        return pollable


class SubscribedPlace(Pollable):
    """A pollable of a place: as ready as what is in it, and ready while it is empty."""

    def __init__(self, place: LazyPollable) -> None:
        self.place = place

    @property
    def deadline_ns(self) -> int | None:  # type: ignore[override]
        """That of the pollable in the place."""
        target = self.place.target()
        return None if target is None else target.deadline_ns

    @property
    def promise(self) -> PromiseId | None:  # type: ignore[override]
        """That of the pollable in the place."""
        target = self.place.target()
        return None if target is None else target.promise

    def ready(self) -> bool:
        target = self.place.target()
        return target is None or target.ready()

    async def look_up(self) -> None:
        target = self.place.target()
        if target is not None:
            await target.look_up()

    async def wait(self) -> None:
        target = self.place.target()
        if target is not None:
            await target.wait()


@durability.unrecorded("[constructor]lazy-initialized-pollable")
def new_lazy_pollable(context: WorkerContext) -> Value:
    """An empty place."""
    return context.resources.add(LazyPollable())


@durability.unrecorded("[method]lazy-initialized-pollable.set")
def set_lazy_pollable(context: WorkerContext, handle: int, pollable: int) -> Value:
    """Puts a pollable into the place, and whoever subscribed to it waits for that."""
    place = context.resources.get(handle, LazyPollable)
    given = context.resources.take(pollable, Pollable)
    inner: Pollable | None = given
    while isinstance(inner, SubscribedPlace):
        if inner.place is place:
            raise GuestError("a pollable cannot wait for itself")
        inner = inner.place.pollable
    place.pollable = given


@durability.unrecorded("[method]lazy-initialized-pollable.subscribe")
def subscribe_lazy_pollable(context: WorkerContext, handle: int) -> Value:
    """A pollable that is as ready as the one in the place."""
    return context.resources.add(SubscribedPlace(context.resources.get(handle, LazyPollable)))
