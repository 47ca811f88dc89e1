"""Values cross the boundary unchanged, whatever their type, and wrong ones are refused with the place."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings

from golem_server.model.types import (
    Case,
    EnumType,
    Field,
    FlagsType,
    FunctionType,
    ListType,
    OptionType,
    Parameter,
    Primitive,
    RecordType,
    ResultType,
    TupleType,
    Value,
    VariantType,
    WitType,
)
from golem_server.wasm.code_cache import CodeCache
from golem_server.wasm.engine import Engine
from golem_server.wasm.errors import ValueMismatch
from golem_server.wasm.instance import Instance, Limits
from golem_server.wasm.linking import LinkedComponent
from tests.guests.echo import PAD, can_be_written, echo_component
from tests.model.wit_strategies import same_value, typed_values
from tests.wasm.conftest import Guests, HostFunctions, binary


def mirror(context: HostFunctions, value: Value, pad: Value) -> Value:
    return value


async def slow_mirror(context: HostFunctions, value: Value, pad: Value) -> Value:
    await asyncio.sleep(0)
    return value


async def _echoes(engine: Engine, folder: Path, type: WitType, value: Value) -> list[Value]:
    wasm = binary(echo_component(type))

    async def fetch() -> bytes:
        return wasm

    cache = CodeCache(engine, folder)
    compiled = await cache.load(hashlib.sha256(wasm).hexdigest(), fetch)
    assert compiled.type.exported_functions["echo"].result == type
    answers: list[Value] = []
    for function in (mirror, slow_mirror):
        host = HostFunctions(mirror=function)
        instance = await Instance.create(LinkedComponent(engine, compiled, host), host, Limits())
        answers += [
            await instance.call(None, "echo", [value, PAD]),
            await instance.call(None, "relay", [value, PAD]),
            await instance.call(None, "echo", [value, PAD]),
        ]
        instance.close()
    cache.close()
    return answers


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(typed=typed_values())
def test_any_value_of_any_type_comes_back_unchanged(
    engine: Engine, tmp_path: Path, typed: tuple[WitType, Value]
) -> None:
    type, value = typed
    assume(can_be_written(type))
    for answer in asyncio.run(_echoes(engine, tmp_path, type, value)):
        assert same_value(answer, value)


@pytest.mark.parametrize(
    ("type", "given_value", "lifted"),
    [
        (TupleType((Primitive.U8, Primitive.STRING)), [1, "a"], (1, "a")),
        (ListType(Primitive.U8), [0, 255], b"\x00\xff"),
        (ListType(Primitive.U8), bytearray(b"ab"), b"ab"),
        (ListType(Primitive.U8), memoryview(b"abcd")[::2], b"ac"),
        (ListType(Primitive.F64), [1, 2.5, 3, 4], [1.0, 2.5, 3.0, 4.0]),
        (Primitive.F32, 7, 7.0),
        (FlagsType(("a", "b", "c")), {"c", "a"}, ["a", "c"]),
        (FlagsType(("a", "b", "c")), ("c", "c"), ["c"]),
        (OptionType(OptionType(Primitive.U8)), [None], (None,)),
        (ResultType(None, Primitive.STRING), ["err", "no"], ("err", "no")),
        (
            RecordType((Field("a", Primitive.U8), Field("b-c", OptionType(Primitive.U8)))),
            {"a": 1, "unknown": 2},
            {"a": 1, "b-c": None},
        ),
    ],
)
async def test_lenient_forms_are_accepted(guests: Guests, type: WitType, given_value: Any, lifted: Value) -> None:
    instance = await guests.start(echo_component(type), HostFunctions(mirror=mirror))
    assert same_value(await instance.call(None, "echo", [given_value, PAD]), lifted)


ITEM = RecordType((Field("name", Primitive.STRING), Field("price", Primitive.F64)))
ORDER = RecordType(
    (Field("items", ListType(ITEM)), Field("shape", VariantType((Case("box", Primitive.U8), Case("bag", None)))))
)


@pytest.mark.parametrize(
    ("type", "wrong", "message"),
    [
        (
            ORDER,
            {"items": [{"name": "a", "price": 1.0}, {"name": "a", "price": "1"}], "shape": ("bag", None)},
            "params[0].items[1].price: expected f64, got string",
        ),
        (ORDER, {"items": [{"name": "a"}], "shape": ("bag", None)}, "params[0].items[0].price: is missing"),
        (
            ORDER,
            {"items": [], "shape": ("box", 256)},
            "params[0].shape.box: expected u8, got integer 256, which is out of range",
        ),
        (ORDER, {"items": [], "shape": ("bag", 1)}, "params[0].shape.bag: expected no payload, got integer 1"),
        (ORDER, {"items": [], "shape": ("can", 1)}, "params[0].shape: expected a case of box, bag, got 'can'"),
        (ORDER, [], "params[0]: expected record, got a list of 0"),
        (
            ListType(Primitive.U32),
            [1, 2, 3, 4, -1],
            "params[0][4]: expected u32, got integer -1, which is out of range",
        ),
        (ListType(Primitive.U32), [1, 2, 3, 4, True], "params[0][4]: expected u32, got bool"),
        (ListType(Primitive.U8), [1, 300], "params[0][1]: expected u8, got integer 300"),
        (ListType(Primitive.U8), "text", "params[0]: expected list<u8>, got string"),
        (Primitive.BOOL, 1, "params[0]: expected bool, got integer 1"),
        (Primitive.CHAR, "ab", "params[0]: expected char (a string of one Unicode scalar value), got string"),
        (Primitive.STRING, "\ud800", "params[0]: expected string, got one with a lone surrogate"),
        (Primitive.F64, 10**1000, "params[0]: expected f64, got a huge integer, which is out of range"),
        (EnumType(("a", "b")), "c", "params[0]: expected one of a, b, got 'c'"),
        (FlagsType(("a", "b")), ["a", "c"], "params[0][1]: expected one of a, b, got 'c'"),
        (TupleType((Primitive.U8, Primitive.U8)), [1], "params[0]: expected a tuple of 2, got a list of 1"),
        (ResultType(None, None), ("maybe", None), "params[0]: expected ok or err, got 'maybe'"),
        (OptionType(Primitive.STRING), 5, "params[0]: expected string, got integer 5"),
    ],
)
async def test_a_wrong_value_is_refused_with_its_place(guests: Guests, type: WitType, wrong: Any, message: str) -> None:
    instance = await guests.start(echo_component(type), HostFunctions(mirror=mirror))
    with pytest.raises(ValueMismatch) as refused:
        await instance.call(None, "echo", [wrong, PAD])
    assert refused.value.message == message
    assert not instance.dead


async def test_the_number_of_parameters_is_checked(guests: Guests) -> None:
    instance = await guests.start(echo_component(Primitive.U8), HostFunctions(mirror=mirror))
    with pytest.raises(ValueMismatch, match="params: expected 2 parameters, got 1"):
        await instance.call(None, "echo", [1])


async def test_a_mebibyte_crosses_both_ways(guests: Guests) -> None:
    instance = await guests.start(echo_component(ListType(Primitive.U8)), HostFunctions(mirror=mirror))
    for size in (0, 1, 2047, 2048, 2049, 1 << 20):
        data = os.urandom(size)
        assert await instance.call(None, "relay", [data, PAD]) == data


async def test_a_long_list_is_moved_beside_the_loop(guests: Guests) -> None:
    instance = await guests.start(echo_component(ListType(Primitive.U8)), HostFunctions(mirror=slow_mirror))
    hops: list[bool] = []
    slices = instance._pool_slices  # pyright: ignore[reportPrivateUsage]

    def counted() -> bool:
        hops.append(True)
        return slices()

    instance._pool_slices = counted  # pyright: ignore[reportPrivateUsage]
    data = os.urandom(1 << 17)
    assert await instance.call(None, "relay", [data, PAD]) == data
    assert len(hops) >= 2  # once for the argument, once for the host function's result


async def test_parameters_and_results_are_described(guests: Guests) -> None:
    instance = await guests.start(echo_component(ORDER), HostFunctions(mirror=mirror))
    pad = TupleType((Primitive.U64,) * 17)
    expected = FunctionType((Parameter("v", ORDER), Parameter("pad", pad)), ORDER)
    assert instance.linked.type.exported_functions["echo"] == expected
    assert instance.linked.type.imports["host"].functions["mirror"] == expected
