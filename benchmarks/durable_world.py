"""An executor over a PostgreSQL of its own, without HTTP, for figures of the durable core."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from golem_server.storage.blob_store import PostgresBlobStore
from golem_server.storage.database import Database
from golem_server.storage.embedded import EmbeddedPostgres
from golem_server.storage.migrate import migrate
from golem_server.storage.oplog_store import PostgresOplogStore
from golem_server.storage.promise_store import PostgresPromiseStore
from tests.durable.world import World


@asynccontextmanager
async def durable_world(**how: Any) -> AsyncGenerator[World]:
    """Start all of it in a folder that is removed at the end. `how` are arguments of the World."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        postgres = EmbeddedPostgres(folder / "postgres")
        url = await postgres.start()
        try:
            await migrate(url)
            database = Database(url)
            await database.open()
            store = PostgresOplogStore(database, PostgresBlobStore(database))
            await store.open()
            async with World(store, PostgresPromiseStore(database), folder, **how) as world:
                yield world
            await store.close()
            await database.close()
        finally:
            await postgres.stop()
