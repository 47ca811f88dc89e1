"""Every guest of the tests does what it says, on a host that remembers nothing."""

from __future__ import annotations

from typing import Any

from golem_server.model.types import Value
from golem_server.wasm.instance import Instance
from tests.guests import build
from tests.guests.conftest import Start
from tests.guests.plain_host import PlainHost


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
