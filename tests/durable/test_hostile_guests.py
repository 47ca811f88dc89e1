"""Guests that break the rules of handles, streams and polls: each fails by itself, and nobody else notices."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from golem_server.durable.resources import MAX_RESOURCES
from golem_server.host.wasi_io import MAX_POLLABLES
from golem_server.model.errors import InvocationFailed
from golem_server.model.ids import WorkerId
from golem_server.model.oplog import Error
from golem_server.model.workers import WorkerStatus
from golem_server.wasm.code_cache import CodeCache
from golem_server.wasm.engine import Engine
from tests.durable.memory_promises import MemoryPromiseStore
from tests.durable.world import World
from tests.guests.hostile import HOSTILE
from tests.host.memory import PeakMemory
from tests.host.memory_store import MemoryOplogStore

HOSTILE_FUNCTION = "golem:it/hostile.{%s}"
MAY_HOLD = 50 << 20

FAILING: list[tuple[str, tuple[Any, ...], str]] = [
    ("poll-many", (MAX_POLLABLES + 1,), f"poll of more than {MAX_POLLABLES} pollables"),
    ("poll-many", (100_000,), "handle limit exceeded"),
    ("wait-for-nothing", (), "poll of an empty list"),
    ("forge", (0,), "unknown handle index"),
    ("forge", (1,), "unknown handle index"),
    ("forge", (12345,), "unknown handle index"),
    ("forge", (0xFFFFFFFF,), "unknown handle index"),
    ("reuse", (), "unknown handle index"),
    ("drop-twice", (), "unknown handle index"),
    ("confuse", (), "used with the wrong type"),
    ("hoard", (MAX_RESOURCES + 1,), f"more than {MAX_RESOURCES} handles"),
    ("hoard", (1 << 30,), f"more than {MAX_RESOURCES} handles"),
    ("give", (100 << 20,), "too much data is being copied"),
    ("take", (), "random bytes"),
    ("out-of-memory-list", (), "out of bounds"),
    ("garble", (), "utf-8"),
]


@pytest.fixture
async def world(code: tuple[Engine, CodeCache], tmp_path: Path) -> AsyncGenerator[World]:
    """An executor over a store in memory."""
    store = MemoryOplogStore()
    async with World(store, MemoryPromiseStore(store), tmp_path, code=code) as world:
        yield world


@pytest.mark.parametrize(("function", "arguments", "message"), FAILING, ids=lambda value: str(value)[:30])
async def test_a_broken_rule_fails_the_worker_and_no_other(
    world: World, function: str, arguments: tuple[Any, ...], message: str
) -> None:
    component = await world.component(HOSTILE)
    worker, other = WorkerId(component, "hostile"), WorkerId(component, "other")
    assert await world.call(other, HOSTILE_FUNCTION % "fine") == 42
    with PeakMemory() as memory:
        with pytest.raises(InvocationFailed):
            await world.call(worker, HOSTILE_FUNCTION % function, *arguments)
        assert await world.call(other, HOSTILE_FUNCTION % "fine") == 42
    (error,) = [entry for entry in await world.entries(worker) if isinstance(entry, Error)]
    assert message in error.message, error
    assert await world.status(worker) is WorkerStatus.FAILED
    assert memory.growth < MAY_HOLD
    await world.crash()
    assert await world.call(other, HOSTILE_FUNCTION % "fine") == 42


@pytest.mark.parametrize(
    ("function", "arguments", "result"),
    [
        ("poll-many", (MAX_POLLABLES,), None),
        ("poll-many", (1,), None),
        ("hoard", (MAX_RESOURCES,), MAX_RESOURCES),
        ("give", (1 << 16,), None),
        ("inject", (), 0),
    ],
)
async def test_at_the_limit_all_is_well(
    world: World, function: str, arguments: tuple[Any, ...], result: int | None
) -> None:
    worker = WorkerId(await world.component(HOSTILE), "w")
    assert await world.call(worker, HOSTILE_FUNCTION % function, *arguments, key="k") == result
    await world.crash()
    assert await world.call(worker, HOSTILE_FUNCTION % function, *arguments, key="k") == result
    assert await world.call(worker, HOSTILE_FUNCTION % "fine") == 42
