"""Worlds for tests: an executor over a store in memory or in PostgreSQL, with the guest that follows scripts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from golem_server.storage.blob_store import PostgresBlobStore
from golem_server.storage.database import Database
from golem_server.storage.oplog_store import PostgresOplogStore
from golem_server.storage.promise_store import PostgresPromiseStore
from golem_server.wasm.code_cache import CodeCache
from golem_server.wasm.engine import Engine
from tests.durable.memory_promises import MemoryPromiseStore
from tests.durable.scripted import Scripted, scripted_world
from tests.host.memory_store import MemoryOplogStore

OpenScripted = Callable[..., Awaitable[Scripted]]


@pytest.fixture(scope="session")
def code(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, CodeCache]]:
    """One engine and code cache for all worlds."""
    engine = Engine()
    cache = CodeCache(engine, tmp_path_factory.mktemp("code"))
    yield engine, cache
    cache.close()
    engine.close()


@pytest.fixture
async def open_scripted(code: tuple[Engine, CodeCache], tmp_path: Path) -> AsyncGenerator[OpenScripted]:
    """Opens worlds over a store in memory; the arguments are those of `scripted_world`."""
    async with AsyncExitStack() as stack:

        async def opened(store: MemoryOplogStore | None = None, **how: Any) -> Scripted:
            memory = MemoryOplogStore() if store is None else store
            world = scripted_world(memory, MemoryPromiseStore(memory), tmp_path, code, **how)
            return await stack.enter_async_context(world)

        yield opened


@pytest.fixture
async def scripted(open_scripted: OpenScripted) -> Scripted:
    """A world with all settings as they are."""
    return await open_scripted()


@pytest.fixture
async def open_stored(
    code: tuple[Engine, CodeCache], tmp_path: Path, database: Database
) -> AsyncGenerator[OpenScripted]:
    """The same over PostgreSQL. All share the database."""
    async with AsyncExitStack() as stack:

        async def opened(folder: str = "", **how: Any) -> Scripted:
            store = PostgresOplogStore(database, PostgresBlobStore(database), keep_rows=3)
            await store.open()
            stack.push_async_callback(store.close)
            world = scripted_world(store, PostgresPromiseStore(database), tmp_path / folder, code, **how)
            return await stack.enter_async_context(world)

        yield opened


@pytest.fixture(params=["memory", "postgres"])
def open_either(request: pytest.FixtureRequest) -> OpenScripted:
    """Opens worlds in memory and then in PostgreSQL: for what must hold on the real store too."""
    opened: OpenScripted = request.getfixturevalue("open_scripted" if request.param == "memory" else "open_stored")
    return opened


@pytest.fixture
async def either(open_either: OpenScripted) -> Scripted:
    """The same, with all settings as they are."""
    return await open_either()
