"""Clients of other components that a component imports, as Golem's tools up to 1.4 generate them.

`shop:cart-client/cart-client` has resources that are *stubs*: of an interface of the target, with its functions as
methods (`api`), or of a resource that the target exports (`counter`). A stub is made for one worker, by name or with
`custom` by id. Its method `blocking-m` calls `m` and waits, `schedule-m` calls it at a time, a plain `m` without result
sends the call, and one with a result gives a resource `future-...-result` (reference: host-interfaces, section 5.4).

The dynamic links of a component say what its stubs stand for. Where they do not, it is found out from the target's
exports when a stub is made, and recorded. Calls are recorded as those of golem:rpc. An error of the target, for which
these methods have no place, is the guest's own failure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from golem_server.durable.context import RecordedFunction, WorkerContext
from golem_server.durable.host_function import HostFunctions, Implementation
from golem_server.durable.ports import WorkerComponent
from golem_server.durable.signals import GuestError, PermanentFailure
from golem_server.durable.spans import Span
from golem_server.host import rpc_calls
from golem_server.host.golem_records import uuid_of, uuid_record, worker_id_of
from golem_server.host.rpc_calls import Connection, FuturePollable, FutureResult
from golem_server.model.dynamic_links import EPHEMERAL, DynamicLinks, LinkTarget
from golem_server.model.errors import InvalidInput, NotFound
from golem_server.model.ids import ComponentId, WorkerId
from golem_server.model.oplog import Category, Invocation
from golem_server.model.trace import TraceContext
from golem_server.model.types import ComponentType, FunctionType, InterfaceType, OptionType, Value

_CLIENT = "-client"
_BLOCKING, _SCHEDULE = "blocking-", "schedule-"


@dataclass(frozen=True, slots=True)
class Stub:
    """A resource of a client: `methods` are the names of the target's functions that it calls."""

    import_name: str
    resource: str
    methods: frozenset[str]
    link: LinkTarget | None

    @property
    def component_name(self) -> str:
        """The component that is meant where none is named: that of the client's package."""
        if self.link is not None:
            return self.link.component
        return _package(self.import_name).removesuffix(_CLIENT)


class StubConnection(Connection):
    """A stub that the guest holds. `prefix` makes of a method the name of the target's function.

    `handle` is the target's own for a stub of a resource, which is dropped with it.
    """

    def __init__(
        self, context: WorkerContext, target: WorkerId, span: Span, interface: str, resource: str | None
    ) -> None:
        super().__init__(context, target, span)
        self._interface = interface
        self._resource = resource
        self.handle: int | None = None

    def function(self, method: str) -> str:
        """The target's function that a method calls."""
        name = method if self._resource is None else f"[method]{self._resource}.{method}"
        return f"{self._interface}.{{{name}}}"

    def arguments(self, given: tuple[Value, ...]) -> list[Value]:
        """What the target's function takes."""
        return list(given) if self.handle is None else [self.handle, *given]

    def dropped(self) -> None:
        """Drop the target's resource too, where that can be recorded."""
        if self.handle is None:
            super().dropped()
        else:
            self._context.deferred.add(self._drop_remotely)

    async def construct(self, given: tuple[Value, ...]) -> None:
        """Make the target's resource. Raises GuestError with what the target answered."""
        name = f"{self._interface}.{{[constructor]{self._resource}}}"
        self.handle = _result(name, await rpc_calls.call_and_wait(self._context, self, Values(name, list(given))))

    async def _drop_remotely(self) -> None:
        name = f"{self._interface}.{{[drop]{self._resource}}}"
        await rpc_calls.call_and_wait(self._context, self, Values(name, [self.handle]))
        super().dropped()


@dataclass(frozen=True, slots=True)
class Values:
    """A call with values as they are: the target's types are those that the client was generated from."""

    name: str
    input: Value

    @property
    def tells_agent_errors(self) -> bool:
        """No `rpc-error` of these versions has the case."""
        return False

    def prepare(
        self, component: WorkerComponent, target: WorkerId, key: str, trace: TraceContext
    ) -> tuple[Invocation, Callable[[Value], Value]]:
        """The invocation; its result stays what it is. Raises InvalidInput."""
        count = len(component.functions.resolve(self.name).given_parameters)
        if count != len(self.input):
            raise InvalidInput(f"{self.name} takes {count} parameters, got {len(self.input)}")
        invocation = Invocation(key, self.name, self.input, trace.trace_id, trace.states, trace.spans)
        return invocation, lambda result: result


class ClientFunctions:
    """Finds what a component's imports are bound to: host functions, else the clients among them."""

    def __init__(self, functions: HostFunctions, component: ComponentType, links: DynamicLinks) -> None:
        self._functions = functions
        self._clients = {interface.name: _Client(interface, links) for interface in component.imports.values()}

    def function(self, interface: str, name: str, type: FunctionType) -> Implementation | None:
        """The implementation for an import (`wasm.linking.Resolver`)."""
        found = self._functions.function(interface, name, type)
        client = self._clients.get(interface)
        return client.function(name, type) if found is None and client is not None else found


@dataclass(slots=True)
class _Client:
    """One imported interface, as far as it is a client."""

    interface: InterfaceType
    links: DynamicLinks
    _stubs: dict[str, Stub | None] = field(default_factory=dict[str, Stub | None])

    def function(self, name: str, type: FunctionType) -> Implementation | None:
        kind, bracket, member = name.rpartition("]")
        resource, _, method = member.partition(".")
        if kind == "[method" and _is_future(resource, self.interface.functions):
            return _get(type) if method == "get" else _subscribe
        stub = self._stub(resource) if bracket else None
        if stub is None:
            return None
        if kind == "[constructor" or (kind == "[static" and method == "custom"):
            return _construct(stub)
        return _method(method, type) if kind == "[method" else None

    def _stub(self, resource: str) -> Stub | None:
        if resource not in self._stubs:
            self._stubs[resource] = self._read_stub(resource)
        return self._stubs[resource]

    def _read_stub(self, resource: str) -> Stub | None:
        functions = self.interface.functions
        if f"[constructor]{resource}" not in functions and f"[static]{resource}.custom" not in functions:
            return None
        name = self.interface.name
        link = self.links.find(name, resource) or self.links.find(name.partition("@")[0], resource)
        if link is None and not _package(name).endswith(_CLIENT):
            return None
        prefix = f"[method]{resource}."
        methods = frozenset(_target_method(name.removeprefix(prefix)) for name in functions if name.startswith(prefix))
        return Stub(name, resource, methods, link)


def _package(interface: str) -> str:
    return interface.partition("@")[0].partition("/")[0]


def _is_future(resource: str, functions: Mapping[str, FunctionType]) -> bool:
    wanted = {f"[method]{resource}.get", f"[method]{resource}.subscribe"}
    own = {name for name in functions if name.rpartition("]")[2].partition(".")[0] == resource}
    return resource.startswith("future-") and resource.endswith("-result") and bool(own) and own <= wanted


def _target_method(name: str) -> str:
    for prefix in (_BLOCKING, _SCHEDULE):
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


# --- Making stubs


def _construct(stub: Stub) -> Implementation:
    async def construct(context: WorkerContext, *arguments: Value) -> Value:
        target, given = await _target(context, stub, arguments)
        meaning: Value
        if stub.link is not None:
            interface = stub.link.interface
            meaning = (interface, interface.partition("@")[0].endswith(f"/{stub.resource}"))
        else:
            meaning = await rpc_calls.recorded(context, FIND_EXPORT, stub, target)
        interface, plain = meaning
        span = await rpc_calls.open_connection(context, target)
        connection = StubConnection(context, target, span, interface, None if plain else stub.resource)
        if not plain:
            await connection.construct(given)
        return context.resources.add(connection)

    return construct


async def _target(context: WorkerContext, stub: Stub, arguments: tuple[Value, ...]) -> tuple[WorkerId, Any]:
    """The worker that a stub is made for, and the arguments that are left."""
    first = arguments[0] if arguments else None
    if isinstance(first, dict) and "component-id" in first:
        return worker_id_of(first), arguments[1:]
    if isinstance(first, dict) and first.keys() == {"uuid"}:
        return WorkerId(ComponentId(uuid_of(first["uuid"])), rpc_calls.new_target_name(context)), arguments[1:]
    component = ComponentId(uuid_of(await rpc_calls.recorded(context, FIND_COMPONENT, stub)))
    if isinstance(first, str) and (stub.link is None or stub.link.component_type != EPHEMERAL):
        return WorkerId(component, first), arguments[1:]
    return WorkerId(component, rpc_calls.new_target_name(context)), arguments


def _stub_request(_context: WorkerContext, stub: Stub, *_target: Value) -> Value:
    return {"client": stub.import_name, "resource": stub.resource, "component_name": stub.component_name}


async def _find_component(context: WorkerContext, stub: Stub) -> Value:
    """The id of the component that a stub calls, in the caller's environment."""
    try:
        component = await context.workers.calls.component_named(rpc_calls.caller_of(context), stub.component_name)
    except NotFound as error:
        raise PermanentFailure(f"Failed to resolve component {stub.component_name}: {error.message}") from error
    return uuid_record(component.component_id)


async def _find_export(context: WorkerContext, stub: Stub, target: WorkerId) -> Value:
    """The interface of the target that a stub calls, and whether the stub is one of its functions."""
    try:
        component = await context.workers.calls.component_of(rpc_calls.caller_of(context), target)
    except NotFound as error:
        raise PermanentFailure(f"Not found: {error.message}") from error
    candidates: list[tuple[str, bool]] = []
    for name, interface in component.functions.component.exports.items():
        of_resource = {f"[method]{stub.resource}.{method}" for method in stub.methods}
        if name.partition("@")[0].endswith(f"/{stub.resource}") and stub.methods <= interface.functions.keys():
            candidates.append((name, True))
        elif stub.resource in interface.resources and of_resource <= interface.functions.keys():
            candidates.append((name, False))
    if len(candidates) != 1:
        found = ", ".join(name for name, _ in candidates) or "none"
        raise PermanentFailure(
            f"{stub.resource} of {stub.import_name} has no dynamic link, and {len(candidates)} exports of its target"
            f" fit it: {found}"
        )
    return candidates[0]


FIND_COMPONENT = RecordedFunction(
    Category.READ_REMOTE, "golem::rpc::client::find_component", request=_stub_request, live=_find_component
)
FIND_EXPORT = RecordedFunction(
    Category.READ_REMOTE, "golem::rpc::client::find_export", request=_stub_request, live=_find_export
)


# --- Using them


def _method(name: str, type: FunctionType) -> Implementation:
    method = _target_method(name)

    def call_of(context: WorkerContext, handle: int, given: tuple[Value, ...]) -> tuple[StubConnection, Values]:
        stub = context.resources.get(handle, StubConnection)
        return stub, Values(stub.function(method), stub.arguments(given))

    async def blocking(context: WorkerContext, handle: int, *given: Value) -> Value:
        stub, call = call_of(context, handle, given)
        return _result(call.name, await rpc_calls.call_and_wait(context, stub, call))

    async def scheduled(context: WorkerContext, handle: int, *given: Value) -> Value:
        stub, call = call_of(context, handle, given[:-1])
        return context.resources.add(await rpc_calls.schedule_call(context, stub, call, given[-1]))

    async def later(context: WorkerContext, handle: int, *given: Value) -> Value:
        stub, call = call_of(context, handle, given)
        return context.resources.add(await rpc_calls.call_later(context, stub, call))

    async def forget(context: WorkerContext, handle: int, *given: Value) -> Value:
        stub, call = call_of(context, handle, given)
        _result(call.name, await rpc_calls.call_and_forget(context, stub, call))

    if name.startswith(_BLOCKING):
        return blocking
    if name.startswith(_SCHEDULE):
        return scheduled
    return forget if type.result is None else later


def _subscribe(context: WorkerContext, handle: int) -> Value:
    return context.resources.add(FuturePollable(context.resources.get(handle, FutureResult)))


def _get(type: FunctionType) -> Implementation:
    nested = isinstance(type.result, OptionType) and isinstance(type.result.inner, OptionType)

    async def get(context: WorkerContext, handle: int) -> Value:
        future = context.resources.get(handle, FutureResult)
        outcome = await rpc_calls.result_of(context, future)
        if outcome is None:
            return None
        result = _result(future.call.method.name, outcome)
        return (result,) if nested else result

    return get


def _result(function: str, outcome: Value) -> Value:
    state, result = outcome
    if state == "err":
        raise GuestError(f"RPC invocation of {function} failed with: {rpc_calls.error_text(result)}")
    return result
