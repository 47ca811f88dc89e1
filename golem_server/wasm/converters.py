"""The converters of one function, compiled from its type once and used at every call."""

from __future__ import annotations

from collections.abc import Sequence

from golem_server.model.errors import InternalBug
from golem_server.model.types import FunctionType, Value
from golem_server.wasm.errors import ValueMismatch
from golem_server.wasm.lifting import Handles, compile_lift
from golem_server.wasm.lowering import compile_lowering
from golem_server.wasm.native import VAL_SIZE

_WORDS_PER_VALUE = VAL_SIZE // 8


class FunctionConverters:
    """Moves the parameters and the result of one function across the boundary, in both directions.

    Each direction is compiled when first needed: an import only ever lifts parameters and lowers its result, an
    export the other way round. Places are word indexes (see `native.WORDS`).
    """

    def __init__(self, type: FunctionType, *, imported: bool) -> None:
        self.type = type
        self.has_result = type.result is not None
        parameters = type.parameters
        if imported:
            self._lifts = [(compile_lift(p.type), index * _WORDS_PER_VALUE) for index, p in enumerate(parameters)]
            self._lowering = None if type.result is None else compile_lowering(type.result)
        else:
            self._lowerings = [compile_lowering(p.type) for p in parameters]
            self._lift = None if type.result is None else compile_lift(type.result)

    def lift_parameters(self, word: int, handles: Handles) -> list[Value]:
        """The arguments that wasmtime passes to an import."""
        return [lift(word + offset, handles) for lift, offset in self._lifts]

    def lower_result(self, value: Value, word: int, handles: Handles) -> None:
        """Give an import's result to wasmtime. Raises InternalBug if the host function returned what does not fit."""
        lowering = self._lowering
        if lowering is None:
            if value is not None:
                raise InternalBug("a host function without result returned something")
            return
        try:
            lowering.lower(value, word, handles)
        except ValueMismatch as wrong:
            # Not an InvalidInput: the user's request is not at fault.
            raise InternalBug(f"a host function returned a wrong value: {wrong.within('result')}") from None

    def lower_parameters(self, values: Sequence[Value], word: int, handles: Handles) -> None:
        """Write the arguments of an export. Values already written stay there if a later one is wrong."""
        lowerings = self._lowerings
        if len(values) != len(lowerings):
            raise ValueMismatch("params", f"expected {len(lowerings)} parameters, got {len(values)}")
        index = 0
        try:
            for value in values:
                lowerings[index].lower(value, word, handles)
                word += _WORDS_PER_VALUE
                index += 1
        except ValueMismatch as wrong:
            raise wrong.within(f"params[{index}]") from None

    def lift_result(self, word: int, handles: Handles) -> Value:
        """The result of an export; None if it has none."""
        lift = self._lift
        return None if lift is None else lift(word, handles)
