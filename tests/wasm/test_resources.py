"""Resources of the host in the guest's hands, and resources of the guest in the worker's table."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from golem_server.model.types import HandleType
from golem_server.wasm.errors import InstanceDead, ValueMismatch
from tests.guests.resources import OFFERS_CARTS, SHOP, USES_THINGS
from tests.wasm.conftest import Compile, Guests, HostFunctions


class Things(HostFunctions):
    """The host side of `thing`: a table of values by number."""

    def __init__(self, *, waiting: bool = False) -> None:
        super().__init__()
        self.values: dict[int, int] = {}
        self.taken: list[int] = []
        self._numbers = itertools.count(100)
        functions = {
            "make": self._make,
            "take": self._take,
            "[method]thing.value": self._value,
            "both": self._both,
            "all": self._all,
        }
        for name, function in functions.items():
            self.functions[name] = _later(function) if waiting else function

    def _make(self, context: HostFunctions, value: int) -> int:
        assert context is self
        number = next(self._numbers)
        self.values[number] = value
        return number

    def _take(self, context: HostFunctions, thing: int) -> None:
        self.taken.append(thing)

    def _value(self, context: HostFunctions, thing: int) -> int:
        return self.values[thing]

    def _both(self, context: HostFunctions, a: int, b: int) -> int:
        return self.values[a] + self.values[b]

    def _all(self, context: HostFunctions, things: list[int]) -> int:
        return sum(self.values[thing] for thing in things)


def _later(function: Callable[..., Any]) -> Callable[..., Any]:
    async def later(*arguments: object) -> object:
        await asyncio.sleep(0)
        return function(*arguments)

    return later


@pytest.mark.parametrize("waiting", [False, True])
async def test_two_borrowed_handles_reach_one_host_function(guests: Guests, waiting: bool) -> None:
    # wasmtime 50.0.1 traps this unless concurrency support is off, see the engine's configuration.
    things = Things(waiting=waiting)
    instance = await guests.start(USES_THINGS, things)
    assert await instance.call(None, "use-both", []) == 42
    assert await instance.call(None, "use-all", []) == 6
    assert things.dropped == [100, 102, 103, 104]
    assert things.taken == [101]


@pytest.mark.parametrize("waiting", [False, True])
async def test_host_resources_pass_through_exports(guests: Guests, waiting: bool) -> None:
    things = Things(waiting=waiting)
    things.values = {7: 70, 8: 80}
    instance = await guests.start(USES_THINGS, things)
    assert await instance.call(None, "pass-on", [7]) == 7
    assert await instance.call(None, "look", [8]) == 80
    assert await instance.call(None, "look", [8]) == 80
    assert things.dropped == []


async def test_a_drop_in_a_pool_thread_is_told_on_the_loop(guests: Guests) -> None:
    things = Things()
    instance = await guests.start(USES_THINGS, things)
    await instance.call(None, "spin-and-drop", [50_000_000])
    assert things.dropped == [100]


async def test_imported_and_exported_resources_are_told_apart(compile_text: Compile) -> None:
    uses = (await compile_text(USES_THINGS)).type
    (imported,) = uses.imports.values()
    look = uses.exported_functions["look"].parameters[0].type
    assert look == HandleType(imported.resources["thing"], owned=False, host=True, name="thing")

    offers = (await compile_text(OFFERS_CARTS)).type
    shop = offers.exports[SHOP]
    assert set(shop.resources) == {"cart", "coin"}
    assert shop.resources["cart"] != shop.resources["coin"]
    cart = HandleType(shop.resources["cart"], owned=True, host=False, name="cart")
    assert shop.functions["[constructor]cart"].result == cart
    assert list(offers.exported_functions) == []  # the added functions are not shown


async def test_exported_resources_live_across_calls(guests: Guests) -> None:
    dropped: list[int] = []

    async def tell(context: HostFunctions, value: int) -> None:
        await asyncio.sleep(0)
        dropped.append(value)

    instance = await guests.start(OFFERS_CARTS, HostFunctions(dropped=tell))
    first = await instance.call(SHOP, "[constructor]cart", [11])
    second = await instance.call(SHOP, "[constructor]cart", [12])
    coin = await instance.call(SHOP, "[constructor]coin", [13])
    assert (first, second, coin) == (0, 1, 2)
    assert await instance.call(SHOP, "[method]cart.value", [first]) == 11
    assert await instance.call(SHOP, "[method]cart.value", [second]) == 12

    passed = await instance.call(SHOP, "pass-on", [first])
    assert passed == 3
    with pytest.raises(ValueMismatch, match=r"params\[0\]: there is no resource with handle 0"):
        await instance.call(SHOP, "[method]cart.value", [first])
    with pytest.raises(ValueMismatch, match="handle 2 is of another resource than cart"):
        await instance.call(SHOP, "[method]cart.value", [coin])

    await instance.drop_resource(passed)
    await instance.drop_resource(coin)
    assert dropped == [11]
    with pytest.raises(ValueMismatch, match="there is no resource with handle 3"):
        await instance.drop_resource(passed)
    assert await instance.call(SHOP, "[method]cart.value", [second]) == 12
    await instance.drop_resource(second)
    assert dropped == [11, 12]


async def test_a_failing_destructor_ends_the_instance_with_its_error(guests: Guests) -> None:
    def fail(context: HostFunctions, value: int) -> None:
        raise ZeroDivisionError

    instance = await guests.start(OFFERS_CARTS, HostFunctions(dropped=fail))
    cart = await instance.call(SHOP, "[constructor]cart", [11])
    with pytest.raises(ZeroDivisionError):
        await instance.drop_resource(cart)
    with pytest.raises(InstanceDead):
        await instance.drop_resource(cart)


async def test_a_failing_host_destructor_ends_the_call_with_its_error(guests: Guests) -> None:
    class Failing(Things):
        def resource_dropped(self, rep: int) -> None:
            raise ZeroDivisionError

    for function, arguments in (("use-both", []), ("spin-and-drop", [50_000_000])):
        instance = await guests.start(USES_THINGS, Failing())
        with pytest.raises(ZeroDivisionError):
            await instance.call(None, function, arguments)
        assert instance.dead
