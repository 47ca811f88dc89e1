"""An instance of a component: instantiated once, called one function at a time, dead after the first trap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from golem_server.model.types import FunctionType, Primitive, Value, WitType
from golem_server.wasm import native
from golem_server.wasm.converters import WORDS_PER_VALUE
from golem_server.wasm.errors import InstanceDead, ValueMismatch
from golem_server.wasm.fiber import Fiber
from golem_server.wasm.linking import LinkedComponent, LinkedExport
from golem_server.wasm.native import FUNC_SIZE, WORDS, Cell, call_async, val_delete


@dataclass(frozen=True, slots=True)
class Limits:
    """What one instance may have. Memory in bytes for each linear memory, tables in elements."""

    memory_bytes: int = 1 << 30
    table_elements: int = 16_384
    instances: int = 64
    tables: int = 64
    memories: int = 16


class ExportedFunction:
    """A function of one instance, looked up and ready to be called."""

    __slots__ = (
        "_cell",
        "address",
        "arguments",
        "converters",
        "owned_arguments",
        "parameter_count",
        "result_count",
        "type",
    )

    def __init__(self, export: LinkedExport) -> None:
        self.type: FunctionType = export.type
        self.converters = export.converters
        parameters = export.type.parameters
        self.parameter_count = len(parameters)
        self.result_count = 0 if export.type.result is None else 1
        # wasmtime's function, then the arguments of the call that is running.
        self._cell = Cell(FUNC_SIZE // 8 + len(parameters) * WORDS_PER_VALUE)
        self.address = self._cell.address
        self.arguments = self._cell.word + FUNC_SIZE // 8
        self.owned_arguments: tuple[int, ...] = tuple(
            self.arguments + index * WORDS_PER_VALUE
            for index, parameter in enumerate(parameters)
            if _owns_memory(parameter.type)
        )


def _owns_memory(type: WitType) -> bool:
    return not isinstance(type, Primitive) or type is Primitive.STRING


class Instance(Fiber):
    """A running component. Made by `create`; calls may come one after the other, from one event loop.

    After a trap, an exception out of a host function or a cancelled call it is `dead`: nothing can enter it again.
    """

    def __init__(self, linked: LinkedComponent, context: Any, limits: Limits) -> None:
        super().__init__(linked.engine, context)
        self.linked = linked
        self._instance = Cell(2)
        self._functions: dict[tuple[str | None, str], ExportedFunction] = {}
        self._drops_of: dict[int, ExportedFunction] = {}
        native.store_limiter(
            self._store,
            limits.memory_bytes,
            limits.table_elements,
            limits.instances,
            limits.tables,
            limits.memories,
        )

    @classmethod
    async def create(cls, linked: LinkedComponent, context: Any, limits: Limits) -> Instance:
        """Instantiate a component. Its start functions may call host functions, which get `context`.

        Raises Trap (OUT_OF_MEMORY if it needs more than `limits` allow), or the exception of a host function.
        """
        instance = cls(linked, context, limits)
        future = native.instantiate_async(
            linked.linker,
            instance._context,
            linked.compiled.address,
            instance._instance.address,
            instance._error << 3,
        )
        instance.begin(future, ())
        try:
            if not instance.run_slice():
                await instance.run()
            instance.finish()
        except BaseException:
            instance.abandon()
            raise
        return instance

    def prepare(self, interface: str | None, function: str) -> ExportedFunction:
        """Look a function up, for `call_prepared`. Kept, so that asking again is cheap. Raises NoSuchExport."""
        found = self._functions.get((interface, function))
        if found is None:
            if self.dead:
                raise InstanceDead("the instance has trapped or was closed")
            found = self._functions[interface, function] = self._bind(self.linked.export(interface, function))
        return found

    def _bind(self, export: LinkedExport) -> ExportedFunction:
        function = ExportedFunction(export)
        native.instance_get_func(self._instance.address, self._context, export.index, function.address)
        return function

    async def call(self, interface: str | None, function: str, arguments: Sequence[Value]) -> Value:
        """Call an exported function; `interface` is its full exported name, None for one of the world itself.

        Raises NoSuchExport, ValueMismatch (nothing has run, the instance is as before), Trap, or the very exception of
        a host function. Cancelling unwinds the guest wherever it is.
        """
        return await self.call_prepared(self.prepare(interface, function), arguments)

    async def call_prepared(
        self, function: ExportedFunction, arguments: Sequence[Value], entering: Callable[[], None] | None = None
    ) -> Value:
        """Like `call`, for a function of this instance that `prepare` gave.

        `entering` is called when the arguments have proved right and the guest is about to run.
        """
        self.check_idle()
        if function.parameter_count:
            self._lower(function, arguments)
        elif arguments:
            function.converters.lower_parameters(arguments, function.arguments, self)
        if entering is not None:
            entering()
        result = self._result
        WORDS[result] = 0
        future = call_async(
            function.address,
            self._context,
            function.arguments << 3,
            function.parameter_count,
            result << 3,
            function.result_count,
            self._error << 3,
        )
        self.begin(future, function.owned_arguments)
        try:
            if not self.run_slice():
                await self.run()
            self.finish()
        except BaseException:
            self.abandon()
            raise
        if not function.result_count:
            return None
        try:
            return function.converters.lift_result(result, self)
        finally:
            val_delete(result << 3)

    async def drop_resource(self, handle: int) -> None:
        """Drop a resource that the guest implements; its destructor runs like any call.

        Raises ValueMismatch if there is no such handle, else what `call` raises.
        """
        self.check_idle()
        found = self._handles.get(handle)
        if found is None:
            raise ValueMismatch("", f"there is no resource with handle {handle}")
        number = found[1]
        function = self._drops_of.get(number)
        if function is None:
            export = self.linked.resource_drop(number)
            if export is None:
                self.forget_handle(handle)  # the guest keeps what belongs to it until the instance ends
                return
            function = self._drops_of[number] = self._bind(export)
        await self.call_prepared(function, (handle,))

    def _lower(self, function: ExportedFunction, arguments: Sequence[Value]) -> None:
        for word in function.owned_arguments:
            WORDS[word] = 0
        self._consumed.clear()
        try:
            function.converters.lower_parameters(arguments, function.arguments, self)
        except BaseException:
            self.bulk = False
            for word in function.owned_arguments:
                val_delete(word << 3)
            raise
        for number in self._consumed:
            self.forget_handle(number)
        self._consumed.clear()
