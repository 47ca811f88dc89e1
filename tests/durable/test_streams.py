"""Streams much longer than what a worker may hold: bounded memory, short turns of the loop, live and in replay."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from golem_server.durable.oplog import BACK_PRESSURE_BYTES
from golem_server.durable.replay import CHUNK_BYTES, LOOK_AHEAD_BYTES
from golem_server.garbage import unhurried_collection
from golem_server.host.http_client import HttpClient
from golem_server.model.ids import WorkerId
from golem_server.model.oplog import HostCall
from golem_server.storage.blob_store import PostgresBlobStore
from golem_server.storage.database import Database
from golem_server.storage.oplog_store import PostgresOplogStore
from golem_server.storage.promise_store import PostgresPromiseStore
from golem_server.wasm.code_cache import CodeCache
from golem_server.wasm.engine import Engine
from tests.durable.world import World
from tests.guests.streaming import PIECE, STREAMING
from tests.host.loop_turns import LoopTurns
from tests.host.memory import PeakMemory
from tests.host.stream_peer import stream_peer

PIECES = 480
SIZE = PIECES * PIECE
MAY_HOLD = 10 << 20
"""Bytes by which memory may grow: more than the buffers, and less than one stream."""

MAY_TAKE = 0.25
"""The share of the processor time of a whole stream that one turn of the loop may take, which is many pieces'."""


@pytest.fixture
async def world(database: Database, code: tuple[Engine, CodeCache], tmp_path: Path) -> AsyncGenerator[World]:
    """An executor over PostgreSQL, whose guests may use HTTP."""
    async with AsyncExitStack() as stack:
        # As the server does: many tests leave much to walk, and a walk over all of it would count as a turn.
        stack.enter_context(unhurried_collection())
        store = PostgresOplogStore(database, PostgresBlobStore(database))
        await store.open()
        stack.push_async_callback(store.close)
        client = HttpClient()
        await client.start()
        stack.push_async_callback(client.close)
        world = World(store, PostgresPromiseStore(database), tmp_path, services={HttpClient: client}, code=code)
        yield await stack.enter_async_context(world)


async def stream(world: World, worker: WorkerId, function: str, *arguments: Any, expected: int) -> None:
    """Call, lose the instance, and let it be built again; with bounds for both."""
    for life in ("live", "replayed"):
        with PeakMemory() as memory:
            async with LoopTurns() as turns:
                answer = await world.call(worker, f"golem:it/streaming.{{{function}}}", *arguments, key="k")
        assert answer == expected, life
        assert memory.growth < MAY_HOLD, life
        assert turns.longest < MAY_TAKE, life
        # The guest is interrupted at least at every other piece.
        assert turns.count > PIECES / 2, life
        await world.crash()


async def test_a_long_download(world: World) -> None:
    worker = WorkerId(await world.component(STREAMING), "w")
    async with stream_peer(SIZE) as (authority, _):
        await stream(world, worker, "download", authority, expected=SIZE)
    reads = [
        entry
        for entry in await world.entries(worker)
        if isinstance(entry, HostCall) and entry.function.endswith("blocking_read") and entry.response[0] == "ok"
    ]
    assert sum(len(entry.response[1]) for entry in reads) == SIZE
    assert max(len(entry.response[1]) for entry in reads) <= PIECE


async def test_a_long_upload(world: World) -> None:
    worker = WorkerId(await world.component(STREAMING), "w")
    async with stream_peer(0) as (authority, taken):
        await stream(world, worker, "upload", authority, PIECES, expected=200)
        assert int(await taken.readline()) == SIZE


async def test_a_long_file(world: World) -> None:
    worker = WorkerId(await world.component(STREAMING), "w")
    await stream(world, worker, "copy", PIECES, expected=SIZE)
    # Nothing of it is recorded.
    assert not [entry for entry in await world.entries(worker) if isinstance(entry, HostCall)]


async def test_a_crash_in_the_middle_of_a_long_download_sends_it_again(world: World) -> None:
    worker = WorkerId(await world.component(STREAMING), "w")
    async with stream_peer(SIZE) as (authority, _):
        lost = asyncio.ensure_future(world.call(worker, "golem:it/streaming.{download}", authority, key="k"))
        await world.until_written(worker, HostCall, PIECES // 4)
        await world.crash()
        lost.cancel()
        with PeakMemory() as memory:
            assert await world.call(worker, "golem:it/streaming.{download}", authority, key="k") == SIZE
        assert memory.growth < MAY_HOLD


def test_the_bounds_leave_room_for_the_buffers() -> None:
    assert BACK_PRESSURE_BYTES + CHUNK_BYTES + LOOK_AHEAD_BYTES < MAY_HOLD < SIZE
