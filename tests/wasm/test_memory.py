"""Nothing is leaked and nothing freed twice, however calls end."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable

import pytest

from golem_server.model.types import (
    Case,
    EnumType,
    Field,
    FlagsType,
    ListType,
    OptionType,
    Primitive,
    RecordType,
    ResultType,
    TupleType,
    VariantType,
)
from golem_server.wasm.errors import Trap, ValueMismatch
from tests.guests.busy import BUSY
from tests.guests.echo import PAD, echo_component
from tests.guests.resources import OFFERS_CARTS, SHOP, USES_THINGS
from tests.wasm.conftest import Guests, HostFunctions
from tests.wasm.test_resources import Things

EVERYTHING = RecordType(
    (
        Field("text", Primitive.STRING),
        Field("data", ListType(Primitive.U8)),
        Field("numbers", ListType(Primitive.F64)),
        Field("pairs", ListType(TupleType((Primitive.STRING, OptionType(Primitive.STRING))))),
        Field("choice", VariantType((Case("some", RecordType((Field("a", Primitive.STRING),))), Case("none", None)))),
        Field("answer", ResultType(ListType(Primitive.STRING), EnumType(("bad", "worse")))),
        Field("flags", FlagsType(("a", "b"))),
        Field("deep", OptionType(OptionType(Primitive.STRING))),
    )
)
VALUE = {
    "text": "t" * 100,
    "data": b"d" * 500,
    "numbers": [1.0] * 50,
    "pairs": [("a" * 50, "b" * 50), ("c", None)],
    "choice": ("some", {"a": "x" * 100}),
    "answer": ("err", "worse"),
    "flags": ["a", "b"],
    "deep": ("x" * 50,),
}
ROUNDS = 1500
ALLOWED_KIB = 1500  # one leaked value of those above a round would be several MiB


def resident_kib() -> int:
    """The memory of this process."""
    with open("/proc/self/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


async def check(rounds: Callable[[], Awaitable[None]]) -> None:
    """Run something twice; the second time must not need more memory."""
    await rounds()
    gc.collect()
    before = resident_kib()
    await rounds()
    gc.collect()
    assert resident_kib() - before < ALLOWED_KIB


async def test_values_are_freed(guests: Guests) -> None:
    async def slow(context: HostFunctions, value: object, pad: object) -> object:
        await asyncio.sleep(0)
        return value

    def quick(context: HostFunctions, value: object, pad: object) -> object:
        return value

    for function in (quick, slow):
        instance = await guests.start(echo_component(EVERYTHING), HostFunctions(mirror=function))

        async def rounds() -> None:
            for _ in range(ROUNDS):
                assert await instance.call(None, "relay", [VALUE, PAD]) == VALUE  # noqa: B023

        await check(rounds)


async def test_refused_values_are_freed(guests: Guests) -> None:
    instance = await guests.start(echo_component(EVERYTHING))

    async def rounds() -> None:
        for wrong in ({"flags": ["c"]}, {"deep": ["a", 1]}, {"pairs": [("a" * 500, "b" * 500), ("c", 5)]}):
            for _ in range(ROUNDS):
                with pytest.raises(ValueMismatch):
                    await instance.call(None, "echo", [{**VALUE, **wrong}, PAD])

    await check(rounds)


async def test_handles_are_freed(guests: Guests) -> None:
    def ignore(context: HostFunctions, value: int) -> None: ...

    things = Things()
    uses = await guests.start(USES_THINGS, things)
    offers = await guests.start(OFFERS_CARTS, HostFunctions(dropped=ignore))

    async def rounds() -> None:
        for _ in range(ROUNDS):
            await uses.call(None, "use-both", [])
            await uses.call(None, "use-all", [])
            cart = await offers.call(SHOP, "[constructor]cart", [1])
            await offers.call(SHOP, "[method]cart.value", [cart])
            await offers.drop_resource(cart)
        things.values.clear()
        things.dropped.clear()
        things.taken.clear()

    await check(rounds)


async def test_instances_are_freed_however_they_end(guests: Guests) -> None:
    async def slow(context: HostFunctions, a: int) -> int:
        await asyncio.Event().wait()
        return a

    async def rounds() -> None:
        for _ in range(100):
            (await guests.start(BUSY)).close()
            with pytest.raises(Trap):
                await (await guests.start(BUSY)).call(None, "unreachable", [])
            instance = await guests.start(BUSY, HostFunctions(slow=slow))
            call = asyncio.create_task(instance.call(None, "wait", [1]))
            await asyncio.sleep(0)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await guests.start(BUSY)  # forgotten
            guests.forget()

    await check(rounds)
