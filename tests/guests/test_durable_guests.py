"""Guests run on the whole executor, lose their process in the middle of their life, and go on from where they were."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from golem_server.host.http_client import HttpClient
from golem_server.model.ids import WorkerId
from golem_server.model.types import Value
from golem_server.wasm.code_cache import CodeCache
from golem_server.wasm.engine import Engine
from tests.crash.witness import Witness
from tests.durable.memory_promises import MemoryPromiseStore
from tests.durable.world import World
from tests.guests import build, languages
from tests.host.memory_store import MemoryOplogStore

pytestmark = pytest.mark.timeout(900)
"""The first run fetches and runs compilers."""


@pytest.fixture
async def world(tmp_path: Path, guest_code: tuple[Engine, CodeCache]) -> AsyncIterator[World]:
    """An executor over a store in memory, with HTTP."""
    http = HttpClient()
    await http.start()
    store = MemoryOplogStore()
    services: dict[type[Any], Any] = {HttpClient: http}
    async with World(store, MemoryPromiseStore(store), tmp_path, services=services, code=guest_code) as world:
        yield world
    await http.close()


@pytest.fixture
async def witness() -> AsyncIterator[Witness]:
    """Sees the effects of guests."""
    async with Witness() as witness:
        yield witness


async def calls(world: World, interface: str, wasm: bytes) -> Callable[..., Awaitable[Any]]:
    """Start a worker; gives what calls a function of its interface."""
    worker = WorkerId(await world.component(wasm), "w-1")

    async def call(function: str, *arguments: Value) -> Any:
        return await world.call(worker, f"golem:it/{interface}.{{{function}}}", *arguments)

    return call


async def test_the_crash_guest_remembers_every_step(world: World, witness: Witness) -> None:
    call = await calls(world, "crash", build("crash"))
    steps = [(n, await call("step", n, witness.authority)) for n in (1, 2)]
    remembered = [await call("count"), await call("sum"), await call("file-size")]
    await world.crash()
    assert [await call("count"), await call("sum"), await call("file-size")] == remembered
    steps.append((3, await call("step", 3, witness.authority)))
    lines = [f"{n} {outcome['time-seconds']} {outcome['random']}\n" for n, outcome in steps]
    assert await call("file-size") == sum(map(len, lines))
    assert [(outcome["count"], outcome["status"]) for _, outcome in steps] == [(1, 201), (2, 201), (3, 201)]
    assert witness.without_key == 0
    assert list(witness.requests.values()) == [1, 1, 1]
    assert list(witness.bodies.values()) == [{b"1"}, {b"2"}, {b"3"}]


async def test_a_promise_outlives_its_process(world: World) -> None:
    call = await calls(world, "promiser", build("promiser"))
    await call("create")
    await world.crash()
    assert await call("complete", b"kept") is True
    await world.crash()
    assert await call("await") == b"kept"
    assert await call("complete", b"too late") is False


async def test_a_jump_is_not_taken_again(world: World) -> None:
    call = await calls(world, "atomic", build("atomic"))
    jumps = [await call("jump") for _ in range(8)]
    await world.crash()
    jumps.append(await call("jump"))
    assert all(number % 2 == 0 for _, number in jumps)
    assert len({index for index, _ in jumps}) == 9


@pytest.mark.parametrize("language", ["javascript", "python"])
async def test_a_script_goes_on_after_a_crash(world: World, language: str) -> None:
    call = await calls(world, "script", languages.build(language))
    assert await call("increment") == 1
    await call("say", "hello")
    before = await call("look")
    await world.crash()
    after = await call("look")
    assert after["count"] == 1
    assert after["milliseconds"] >= before["milliseconds"]
    assert after["random"] != before["random"]
    assert await call("increment") == 2


async def test_fetch_in_javascript_has_its_effect_once(world: World, witness: Witness) -> None:
    call = await calls(world, "fetching", languages.build("fetch"))
    url = f"http://{witness.authority}/effect"
    assert [await call("post", url, "one"), await call("post", url, "two")] == ["201 seen", "201 seen"]
    await world.crash()
    assert await call("count") == 2
    assert await call("post", url, "three") == "201 seen"
    assert list(witness.requests.values()) == [1, 1, 1]
    assert list(witness.bodies.values()) == [{b"one"}, {b"two"}, {b"three"}]
