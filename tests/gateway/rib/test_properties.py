"""Whatever is written: well-typed scripts have the value they must have, all else ends in a clean error, and soon."""

import asyncio
import contextlib
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from golem_server.gateway.rib import CompiledScript, RibError, RibRuntimeError, RibTypeError
from golem_server.gateway.rib.parser import MAX_NESTING, parse_script
from golem_server.model.types import Value, WitType
from tests.gateway.rib.programs import programs
from tests.gateway.rib.scripts import SCRIPTS
from tests.gateway.rib.test_parser import NESTED, PIECES
from tests.gateway.rib.workers import Workers, compiled

REQUEST = {"path": {"user-id": 1}, "headers": {"name": "a", "age": 2}}


# Scripts are drawn in many small steps.
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]


def value_of(script: CompiledScript) -> Value:
    return asyncio.run(script.evaluate({"request": REQUEST}, Workers(), "bound"))


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
    except (TypeError, AttributeError, KeyError, IndexError) as error:
        # The workers answer every call with nothing, whatever type their functions have: not the script's fault.
        place = parse_script(text).position
        if "instance" not in text and ".{" not in text:
            raise AssertionError(text) from error
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
