"""Stores on the test's database, and batches to write."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest_asyncio

from golem_server.storage.blob_store import PostgresBlobStore
from golem_server.storage.database import Database
from golem_server.storage.oplog_store import PostgresOplogStore


@pytest_asyncio.fixture
async def blobs(database: Database) -> PostgresBlobStore:
    """The blob store."""
    return PostgresBlobStore(database)


@pytest_asyncio.fixture
async def store(database: Database, blobs: PostgresBlobStore) -> AsyncGenerator[PostgresOplogStore]:
    """An oplog store with one writer."""
    opened = PostgresOplogStore(database, blobs)
    await opened.open()
    yield opened
    await opened.close()
