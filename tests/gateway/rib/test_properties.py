"""Whatever is written: well-typed scripts have the value they must have, all else ends in a clean error, and soon."""

import asyncio
import contextlib
import time
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from golem_server.gateway.rib import CompiledScript, RibError, RibRuntimeError, RibTypeError
from golem_server.gateway.rib.parser import MAX_NESTING, parse_script
from golem_server.model.function_names import parse_function_name, resolve
from golem_server.model.types import (
    EnumType,
    FlagsType,
    HandleType,
    ListType,
    OptionType,
    Primitive,
    RecordType,
    ResultType,
    TupleType,
    Value,
    VariantType,
    WitType,
)
from tests.gateway.rib.programs import programs
from tests.gateway.rib.scripts import SCRIPTS
from tests.gateway.rib.test_parser import NESTED, PIECES
from tests.gateway.rib.workers import SHOP, Workers, compiled


def some_value(type_: WitType | None) -> Value:
    """A value of a type."""
    match type_:
        case None:
            return None
        case Primitive.BOOL:
            return True
        case Primitive.STRING | Primitive.CHAR:
            return "a"
        case Primitive.F32 | Primitive.F64:
            return 1.5
        case Primitive():
            return 3
        case ListType(Primitive.U8):
            return b"\x01\x02"
        case ListType(element):
            return [some_value(element)] * 2
        case OptionType(inner):
            value = some_value(inner)
            return (value,) if isinstance(inner, OptionType) else value
        case TupleType(items):
            return tuple(map(some_value, items))
        case RecordType(fields):
            return {field.name: some_value(field.type) for field in fields}
        case _:
            return some_named_value(type_)


def some_named_value(type_: ResultType | VariantType | EnumType | FlagsType | HandleType) -> Value:
    match type_:
        case ResultType(ok, _):
            return "ok", some_value(ok)
        case VariantType(cases):
            return cases[0].name, some_value(cases[0].type)
        case EnumType(names):
            return names[0]
        case FlagsType(names):
            return list(names)
        case HandleType():
            return 1


class TypedWorkers(Workers):
    """Workers that answer every call with a value of the type of its result."""

    async def invoke(
        self, worker_name: str | None, function: str, parameters: Sequence[Value], call_number: int
    ) -> Value:
        await super().invoke(worker_name, function, parameters, call_number)
        if "[drop]" in function:
            return None
        return some_value(resolve(parse_function_name(function), SHOP, function).type.result)


# Scripts are drawn in many small steps.
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]


def value_of(script: CompiledScript) -> Value:
    inputs = {name: some_value(type_) for name, type_ in script.inputs.items()}
    value = asyncio.run(script.evaluate(inputs, TypedWorkers(), "bound"))
    with contextlib.suppress(RibRuntimeError):
        script.output_of(value)
    return value


@given(programs())
@settings(deadline=None, max_examples=150, suppress_health_check=SLOW)
def test_well_typed_scripts_print_parse_and_evaluate_to_the_same(program: tuple[str, WitType, Value]) -> None:
    text, type_, value = program
    script = compiled(text)
    assert script.output == type_
    assert value_of(script) == value
    printed = compiled(script.text)
    assert printed.tree == script.tree
    assert printed.output == type_
    assert value_of(printed) == value


def quickly_run(text: str) -> None:
    """Compile and, if it compiles, evaluate: nothing but errors of scripts may be raised, and that soon."""
    began = time.process_time()
    try:
        value_of(compiled(text))
    except RibError as error:
        place = error.position
    else:
        place = parse_script(text).position
    assert place.line >= 1
    assert time.process_time() - began < 3


@given(st.sampled_from(SCRIPTS), st.data())
@settings(deadline=None, max_examples=150)
def test_mutated_scripts_end_cleanly(script: str, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(script)))
        end = min(len(script), at + data.draw(st.integers(0, 4)))
        script = script[:at] + data.draw(PIECES | st.just("")) + script[end:]
    quickly_run(script)


WORDS = [word for script in SCRIPTS for word in script.replace(";", " ; ").replace("(", " ( ").split(" ") if word]


@given(st.lists(st.sampled_from(sorted(set(WORDS))), max_size=25).map(" ".join))
@settings(deadline=None, max_examples=150)
def test_shuffled_words_end_cleanly(script: str) -> None:
    quickly_run(script)


@pytest.mark.parametrize("form", NESTED)
def test_the_deepest_script_is_compiled_and_run(form: str) -> None:
    """Nothing that walks the tree runs out of stack before the parser says that it is too deep."""
    text = "x"
    for _ in range(MAX_NESTING - 2):
        text = form.format(text)
    script = f"let x = true; {text}"
    assert parse_script(script)
    with contextlib.suppress(RibTypeError, RibRuntimeError):
        value_of(compiled(script))
