"""Blobs and promises: content by hash, streams, and what is left of an upload that breaks off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from blake3 import blake3

from golem_server.model.errors import InternalBug, NotFound
from golem_server.storage.blob_store import PART_BYTES, PostgresBlobStore
from golem_server.storage.database import Database


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    """A stream of these parts."""
    for part in parts:
        yield part


async def count(database: Database, table: str) -> int:
    """The rows of a table."""
    async with database.connection() as connection:
        return await connection.fetchval(f"SELECT count(*) FROM {table}")


@pytest.mark.parametrize("size", [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES, 5_000_000])
async def test_content_comes_back_however_it_was_put(blobs: PostgresBlobStore, database: Database, size: int) -> None:
    content = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    expected = blake3(content).hexdigest()
    assert await blobs.put("a", content) == expected
    assert await blobs.put_stream("b", pieces(content[: size // 3], b"", content[size // 3 :])) == (expected, size)
    for namespace in ("a", "b"):
        assert await blobs.get(namespace, expected) == content
        parts = [part async for part in blobs.get_stream(namespace, expected)]
        assert b"".join(parts) == content
        assert all(len(part) <= PART_BYTES for part in parts)


async def test_same_content_is_kept_once_in_a_namespace(blobs: PostgresBlobStore, database: Database) -> None:
    small, large = b"small", b"large" * PART_BYTES
    for content in (small, large):
        assert len(set(await asyncio.gather(*(blobs.put("n", content) for _ in range(4))))) == 1
        await blobs.put_stream("n", pieces(content))
    assert await count(database, "blobs") == 2
    assert await count(database, "blob_chunks") == 1 + 5


async def test_namespaces_are_deleted_as_a_whole_and_alone(blobs: PostgresBlobStore, database: Database) -> None:
    for namespace in ("one", "two"):
        await blobs.put(namespace, b"x")
        await blobs.put(namespace, b"y" * (2 * PART_BYTES))
    await blobs.delete_namespace("one")
    await blobs.delete_namespace("one")
    with pytest.raises(NotFound):
        await blobs.get("one", blake3(b"x").hexdigest())
    assert await blobs.get("two", blake3(b"x").hexdigest()) == b"x"
    await blobs.delete("two", blake3(b"x").hexdigest())
    assert await count(database, "blobs") == 1
    assert await count(database, "blob_chunks") == 2


async def test_upload_that_breaks_off_leaves_nothing(blobs: PostgresBlobStore, database: Database) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * (2 * PART_BYTES)
        raise ConnectionResetError("the client is gone")

    with pytest.raises(ConnectionResetError):
        await blobs.put_stream("n", broken())
    assert await count(database, "blobs") == 0
    assert await count(database, "blob_chunks") == 0


async def test_leftovers_of_a_killed_upload_are_invisible_and_removed(
    blobs: PostgresBlobStore, database: Database
) -> None:
    async with database.connection() as connection:
        await connection.execute("INSERT INTO blobs (namespace, size_bytes) VALUES ('n', 0), ('n', 0)")
    await blobs.put("n", b"whole")
    await blobs.delete_unfinished()
    assert await count(database, "blobs") == 3
    await blobs.delete_unfinished(timedelta(0))
    assert await count(database, "blobs") == 1


async def test_damaged_content_is_noticed(blobs: PostgresBlobStore, database: Database) -> None:
    content_hash = await blobs.put("n", b"sound")
    async with database.connection() as connection:
        await connection.execute("UPDATE blob_chunks SET data = 'soumd'")
    with pytest.raises(InternalBug):
        await blobs.get("n", content_hash)


@pytest.mark.parametrize("size", [0, 1, PART_BYTES, 35 * PART_BYTES + 7])
async def test_a_blob_is_copied_to_another_namespace(blobs: PostgresBlobStore, database: Database, size: int) -> None:
    content = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    content_hash = await blobs.put("a", content)
    await asyncio.gather(*(blobs.copy("a", content_hash, "b") for _ in range(3)))
    await blobs.delete("a", content_hash)
    assert await blobs.get("b", content_hash) == content
    assert await blobs.part("b", content_hash, 0) == content[:PART_BYTES]
    assert await count(database, "blobs") == 1
    for number in (-1, max(1, -(-size // PART_BYTES))):
        with pytest.raises(NotFound):
            await blobs.part("b", content_hash, number)
    with pytest.raises(NotFound):
        await blobs.copy("a", content_hash, "c")


async def test_a_copy_of_what_is_deleted_meanwhile_leaves_nothing(blobs: PostgresBlobStore, database: Database) -> None:
    content_hash = await blobs.put("a", b"x" * 3 * PART_BYTES)
    async with database.connection() as connection:
        await connection.execute("DELETE FROM blob_chunks WHERE part = 2")
    with pytest.raises(NotFound):
        await blobs.copy("a", content_hash, "b")
    assert await count(database, "blobs") == 1
    assert await count(database, "blob_chunks") == 2
