"""Every guest of the tests does what it says, on a host that remembers nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from golem_server.model.types import Value
from golem_server.wasm.errors import Trap, TrapKind
from golem_server.wasm.instance import Instance
from tests.guests import build
from tests.guests.conftest import Start
from tests.guests.plain_host import Exited, PlainHost


async def test_a_step_of_the_crash_guest_does_one_of_everything(start: Start) -> None:
    host = PlainHost(status=201)
    crash = await start(build("crash"), host)

    async def call(function: str, *arguments: Value) -> Any:
        return await crash.call("golem:it/crash", function, arguments)

    assert await call("file-size") == 0
    first_sum = await call("sum")
    lines = b""
    for n in (7, 8, 12345678901234567890):
        outcome = await call("step", n, "localhost:1234")
        assert outcome == {
            "count": await call("count"),
            "time-seconds": host.seconds,
            "random": outcome["random"],
            "status": 201,
        }
        lines += f"{n} {outcome['time-seconds']} {outcome['random']}\n".encode()
        request = host.requests[-1]
        assert (request.method, request.scheme, request.authority) == ("post", "HTTP", "localhost:1234")
        assert (request.path, request.body) == ("/effect", str(n).encode())
    assert host.files == {"log.txt": lines}
    assert host.stdout == lines
    assert await call("count") == 3
    assert await call("file-size") == len(lines)
    assert await call("sum") != first_sum
    assert host.live == {}


async def test_the_sum_of_the_crash_guest_tells_every_time_and_random_number_apart(start: Start) -> None:
    async def total(host: PlainHost) -> object:
        crash: Instance = await start(build("crash"), host)
        await crash.call("golem:it/crash", "step", [1, "a"])
        return await crash.call("golem:it/crash", "sum", [])

    other_random = PlainHost()
    next(other_random.randoms)
    assert await total(PlainHost()) == await total(PlainHost())
    assert await total(PlainHost()) != await total(PlainHost(seconds=1))
    assert await total(PlainHost()) != await total(other_random)


@pytest.fixture
def host() -> PlainHost:
    """A host on which nothing has happened."""
    return PlainHost()


async def calls(start: Start, name: str, host: PlainHost) -> Callable[..., Awaitable[Any]]:
    """Start a guest; gives what calls one of its functions."""
    instance = await start(build(name), host)

    async def call(function: str, *arguments: Value) -> Any:
        return await instance.call(f"golem:it/{name}", function, arguments)

    return call


async def test_the_counter_counts(start: Start, host: PlainHost) -> None:
    call = await calls(start, "counter", host)
    assert [await call("increment"), await call("add", 40), await call("increment"), await call("get")] == [
        1,
        41,
        42,
        42,
    ]


async def test_the_clock_loop_reads_the_clock_as_often_as_told(start: Start, host: PlainHost) -> None:
    call = await calls(start, "clock-loop", host)
    began = host.seconds
    assert await call("run", 3) == (began + 1) ^ (began + 2) ^ (began + 3) ^ 5
    assert await call("run", 0) == 0
    assert host.seconds == began + 3


async def test_the_sleeper_sleeps(start: Start, host: PlainHost) -> None:
    call = await calls(start, "sleeper", host)
    assert await call("sleep", 3_600_000_000_000) == 3_600_000_000_000
    assert host.live == {}


async def test_the_promiser_waits_for_its_promise(start: Start, host: PlainHost) -> None:
    call = await calls(start, "promiser", host)
    assert await call("create") == (2**64 - 1, 7, "w", 100)
    assert await call("await") == b"kept"
    assert await call("create") == (2**64 - 1, 7, "w", 101)
    assert await call("complete", b"by itself") is True
    assert host.promises == {100: b"kept", 101: b"by itself"}
    assert host.live == {}


@pytest.mark.parametrize(
    ("function", "arguments", "kind"),
    [
        ("unreachable", [], TrapKind.UNREACHABLE),
        ("overflow", [], TrapKind.STACK_OVERFLOW),
        ("complain", ["oh no"], TrapKind.UNREACHABLE),
    ],
)
async def test_the_trapper_traps(
    start: Start, host: PlainHost, function: str, arguments: list[Value], kind: TrapKind
) -> None:
    call = await calls(start, "trapper", host)
    with pytest.raises(Trap) as trapped:
        await call(function, *arguments)
    assert trapped.value.kind is kind
    assert host.stderr.decode() == "".join(arguments)


async def test_the_trapper_exits_spins_and_takes_all_memory(start: Start, host: PlainHost) -> None:
    for code in (0, 1, 7):
        call = await calls(start, "trapper", host)
        with pytest.raises(Exited) as exited:
            await call("exit", code)
        assert exited.value.args == (code,)
    call = await calls(start, "trapper", host)
    assert 0 < await call("memory-bomb") <= 1024
    assert await call("get") == 2
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(call("spin"), 0.05)


async def test_an_atomic_pair_is_two_effects_in_a_region(start: Start, host: PlainHost) -> None:
    call = await calls(start, "atomic", host)
    assert await call("pair", "localhost:80", 9) == 400
    assert [request.body for request in host.requests] == [b"9", b"10"]
    assert host.calls == ["mark-begin-operation", "mark-end-operation 42"]
    assert host.live == {}
    host.status = 500
    with pytest.raises(Trap):
        await call("pair", "localhost:80", 11)
    assert len(host.requests) == 3


async def test_a_jump_goes_back_when_the_number_is_odd(start: Start, host: PlainHost) -> None:
    call = await calls(start, "atomic", host)
    assert await call("jump") == (41, 1)
    assert await call("jump") == (41, 2)
    assert host.calls == ["get-oplog-index", "set-oplog-index 41", "get-oplog-index"]


async def test_carts_are_made_filled_merged_and_dropped(start: Start, host: PlainHost) -> None:
    carts = await start(build("carts"), host)

    async def call(function: str, *arguments: Value) -> Any:
        return await carts.call("golem:it/carts", function, arguments)

    mine, yours = await call("[constructor]cart", "me"), await call("[constructor]cart", "you")
    assert await call("[method]cart.add", mine, 5) == 5
    assert await call("[method]cart.add", mine, 6) == 11
    assert await call("[method]cart.add", yours, 100) == 100
    assert await call("[method]cart.owner", yours) == "you"
    assert await call("live") == 2
    ours = await call("[static]cart.merge", mine, yours)
    assert await call("live") == 1
    assert await call("[method]cart.owner", ours) == "me"
    assert await call("[method]cart.add", ours, 0) == 111
    await carts.drop_resource(ours)
    assert await call("live") == 0


async def test_keys_are_generated(start: Start, host: PlainHost) -> None:
    call = await calls(start, "keys", host)
    assert [await call("generate"), await call("generate")] == [(2**64 - 1, 1), (2**64 - 1, 2)]
    assert await call("count") == 2


async def test_persistence_levels_are_set_and_set_back(start: Start, host: PlainHost) -> None:
    call = await calls(start, "persistence", host)
    assert await call("level") == 2
    await call("set-level", 1)
    assert await call("level") == 1
    assert await call("quiet-clock", 1) == host.seconds ^ 5
    assert await call("set-idempotence", False) is True
    assert host.calls == [
        "set-oplog-persistence-level persist-remote-side-effects",
        "set-oplog-persistence-level persist-nothing",
        "set-oplog-persistence-level smart",
        "set-idempotence-mode False",
    ]


@pytest.mark.parametrize(
    ("function", "value"),
    [
        ("text", "grüße"),
        ("bytes", b"\x00\xff"),
        ("number", -0.5),
        ("signed", -(2**63)),
        ("letter", "ß"),
        ("maybe", 2**64 - 1),
        ("maybe", None),
        ("outcome", ("ok", "fine")),
        ("outcome", ("err", 404)),
        ("product", {"name": "tea", "price": 2.5, "tags": ["green", "", "loose"]}),
    ],
)
async def test_an_echo_comes_back(start: Start, host: PlainHost, function: str, value: Value) -> None:
    call = await calls(start, "echo", host)
    assert await call(function, value) == value
