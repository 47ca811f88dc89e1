"""The converters of one function, compiled from its type once and used at every call.

Places are word indexes (see `native.WORDS`); the values of a function's parameters lie one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

from golem_server.model.errors import InternalBug
from golem_server.model.types import FunctionType, Value
from golem_server.wasm.errors import ValueMismatch
from golem_server.wasm.lifting import Handles, Lift, compile_lift
from golem_server.wasm.lowering import Lower, compile_lowering
from golem_server.wasm.native import VAL_SIZE

WORDS_PER_VALUE = VAL_SIZE // 8

LiftAll: TypeAlias = Callable[[int, Handles], Sequence[Value]]


class ImportConverters:
    """For a host function: its arguments to Python, its result to wasmtime.

    `lift_parameters(word, handles)` gives the arguments. `lower_result(value, word, handles)` raises InternalBug if the
    host function returned what does not fit: not the user's input is at fault then.
    """

    __slots__ = ("lift_parameters", "lower_result")

    def __init__(self, type: FunctionType) -> None:
        self.lift_parameters: LiftAll = _lift_all([compile_lift(parameter.type) for parameter in type.parameters])
        self.lower_result: Lower = (
            _lower_nothing if type.result is None else _lower_own(compile_lowering(type.result).lower)
        )


class ExportConverters:
    """For a guest's function: the arguments to wasmtime, its result to Python."""

    __slots__ = ("_lift", "_lowerings")

    def __init__(self, type: FunctionType) -> None:
        self._lowerings = [compile_lowering(parameter.type).lower for parameter in type.parameters]
        self._lift = None if type.result is None else compile_lift(type.result)

    def lower_parameters(self, values: Sequence[Value], word: int, handles: Handles) -> None:
        """Write the arguments. Those already written stay there if a later one is wrong (ValueMismatch)."""
        lowerings = self._lowerings
        if len(values) != len(lowerings):
            raise ValueMismatch("params", f"expected {len(lowerings)} parameters, got {len(values)}")
        index = 0
        try:
            for value in values:
                lowerings[index](value, word, handles)
                word += WORDS_PER_VALUE
                index += 1
        except ValueMismatch as wrong:
            raise wrong.within(f"params[{index}]") from None

    def lift_result(self, word: int, handles: Handles) -> Value:
        """The result; None if the function has none."""
        lift = self._lift
        return None if lift is None else lift(word, handles)


def _lift_all(lifts: list[Lift]) -> LiftAll:
    # Most host functions have no more than three parameters, and most calls are theirs.
    match lifts:
        case []:
            return lambda word, handles: ()
        case [first]:
            return lambda word, handles: (first(word, handles),)
        case [first, second]:
            return lambda word, handles: (first(word, handles), second(word + 4, handles))
        case [first, second, third]:
            return lambda word, handles: (first(word, handles), second(word + 4, handles), third(word + 8, handles))
        case _:
            parts = [(lift, index * WORDS_PER_VALUE) for index, lift in enumerate(lifts)]
            return lambda word, handles: [lift(word + offset, handles) for lift, offset in parts]


def _lower_nothing(value: Value, word: int, handles: Handles) -> None:
    if value is not None:
        raise InternalBug("a host function without result returned something")


def _lower_own(lower: Lower) -> Lower:
    def lower_result(value: Value, word: int, handles: Handles) -> None:
        try:
            lower(value, word, handles)
        except ValueMismatch as wrong:
            raise InternalBug(f"a host function returned a wrong value: {wrong.within('result')}") from None

    return lower_result
