"""How a host function is declared: its name, its durability category, and its live effect.

A module of the host room declares the functions of one WIT interface:

    interface = HostInterface("wasi:clocks/wall-clock")

    @interface.recorded("now", Category.READ_LOCAL, "wall_clock::now")
    def now(context: WorkerContext) -> Value:
        return split(context.clock.now_ns())

The function is the *live effect*: in replay it does not run, its recorded response is used. It returns a
plain value, or is `async def` where it must wait. What is recorded is its return value; where the guest
needs something else (a handle, say), a second function makes it from the response, in both modes:

    @interface.recorded("subscribe-duration", Category.READ_LOCAL, "monotonic_clock::subscribe_duration")
    def subscribe_duration(context: WorkerContext, duration: int) -> Value: ...

    @subscribe_duration.finish
    def _(context: WorkerContext, response: Value, duration: int) -> Value: ...

Functions whose effects are the worker's own and happen again in replay are `unrecorded`; those that write entries
of their own kind are `special` and use the context's primitives themselves. No function has replay code of its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import CoroutineType
from typing import Any, TypeAlias

from golem_server.durable.context import WorkerContext
from golem_server.durable.recorded_function import RecordedFunction
from golem_server.model.oplog import Category
from golem_server.model.types import FunctionType, Value

Implementation: TypeAlias = Callable[..., Any]
"""`f(context, *arguments)` -> value or coroutine of one."""

RequestOf: TypeAlias = Callable[..., Value]
"""`f(context, *arguments)` -> what the oplog keeps of the arguments, for observers."""


@dataclass(frozen=True, slots=True)
class HostFunction:
    """A declared host function. `call` is what the guest's import is bound to."""

    interface: str
    name: str
    category: Category | None
    record: str | None
    special: bool
    call: Implementation
    accepts: Callable[[FunctionType], bool] | None = None


class Recorded:
    """A recorded function while it is declared: it can be given a `finish`."""

    def __init__(self, category: Category, record: str, live: Implementation, request: RequestOf | None) -> None:
        self._function = RecordedFunction(category, record, request or _request_from_parameters(live), live)
        self._finish: Implementation | None = None

    def finish(self, function: Implementation) -> Implementation:
        """Let `function(context, response, *arguments)` make the guest's result of the response, in both modes."""
        self._finish = function
        return function

    def __call__(self, context: WorkerContext, *arguments: Value) -> Any:
        """Do the call: record it in live mode, take it from the oplog in replay."""
        result = context.recorded(self._function, arguments)
        if self._finish is None:
            return result
        if result.__class__ is CoroutineType:
            return self._finish_later(context, result, arguments)
        return self._finish(context, result, *arguments)

    async def _finish_later(self, context: WorkerContext, result: Any, arguments: tuple[Value, ...]) -> Value:
        assert self._finish is not None
        finished = self._finish(context, await result, *arguments)
        if finished.__class__ is CoroutineType:
            return await finished
        return finished


class HostInterface:
    """The functions of one WIT interface, whatever its version.

    `name` is the interface without version. Where a function has different shapes in different versions,
    declare each with `accepts`, a predicate on the imported type; the first that accepts is taken.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.functions: list[HostFunction] = []

    def recorded(
        self,
        name: str,
        category: Category,
        record: str,
        *,
        request: RequestOf | None = None,
        accepts: Callable[[FunctionType], bool] | None = None,
    ) -> Callable[[Implementation], Recorded]:
        """Declare a recorded function. `record` is the name in the oplog, `request` what is kept of the arguments
        (default: all of them by parameter name)."""

        def declare(live: Implementation) -> Recorded:
            recorded = Recorded(category, record, live, request)
            self.functions.append(HostFunction(self.name, name, category, record, False, recorded, accepts))
            return recorded

        return declare

    def unrecorded(
        self, name: str, *, accepts: Callable[[FunctionType], bool] | None = None
    ) -> Callable[[Implementation], Implementation]:
        """Declare a function that runs in replay as it ran live."""
        return self._plain(name, False, accepts)

    def special(
        self,
        name: str,
        *,
        accepts: Callable[[FunctionType], bool] | None = None,
        records: RecordedFunction | None = None,
    ) -> Callable[[Implementation], Implementation]:
        """Declare a function that deals with the oplog itself, through the context's primitives.

        `records` is the recorded function that it calls once, where it does: its category and record are this one's.
        """
        return self._plain(name, True, accepts, records)

    def _plain(
        self,
        name: str,
        special: bool,
        accepts: Callable[[FunctionType], bool] | None,
        records: RecordedFunction | None = None,
    ) -> Callable[[Implementation], Implementation]:
        category, record = (None, None) if records is None else (records.category, records.name)

        def declare(function: Implementation) -> Implementation:
            self.functions.append(HostFunction(self.name, name, category, record, special, function, accepts))
            return function

        return declare


class HostFunctions:
    """All declared host functions; finds the one for an import. This is what linking asks (`wasm.linking.Resolver`)."""

    def __init__(self, interfaces: Iterable[HostInterface]) -> None:
        self._functions: dict[tuple[str, str], list[HostFunction]] = {}
        for interface in interfaces:
            for function in interface.functions:
                self._functions.setdefault((function.interface, function.name), []).append(function)

    def function(self, interface: str, name: str, type: FunctionType) -> Implementation | None:
        """The implementation for `name` of the imported `interface` (with or without a version), or None."""
        for candidate in self._functions.get((interface.partition("@")[0], name), ()):
            if candidate.accepts is None or candidate.accepts(type):
                return candidate.call
        return None

    def all(self) -> list[HostFunction]:
        """Every declared function, by interface and name."""
        return [function for _, group in sorted(self._functions.items()) for function in group]


def _request_from_parameters(live: Implementation) -> RequestOf:
    names = list(inspect.signature(live).parameters)[1:]

    def request(_context: WorkerContext, *arguments: Value) -> Value:
        return dict(zip(names, arguments, strict=True))

    return request
