"""Initial files of workers: laid down, protected, the same after a crash, exchanged where an update is in force."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from golem_server.durable.worker_files import copy_content, list_path
from golem_server.model.errors import InvalidInput, NotFound
from golem_server.model.ids import ComponentId, WorkerId
from golem_server.model.initial_files import InitialFile, Permissions
from golem_server.model.status import UpdateRecord, decode_status
from golem_server.model.types import Value
from golem_server.wasm.code_cache import CodeCache
from golem_server.wasm.engine import Engine
from tests.durable.memory_promises import MemoryPromiseStore
from tests.durable.world import World
from tests.guests import build
from tests.guests.files import files_guest
from tests.host.memory_store import MemoryOplogStore

NO_ENTRY, NOT_PERMITTED = ("err", 20), ("err", 31)
"""What the guest gives for these cases of `error-code`."""


class Files:
    """A worker of the guest that reads and writes its files."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.component: ComponentId
        self.worker: WorkerId

    def file(self, path: str, content: str, permissions: Permissions = "read-only") -> InitialFile:
        """An initial file whose content the world has."""
        data = content.encode()
        content_hash = blake3(data).hexdigest()
        self.world.contents[content_hash] = data
        return InitialFile(path, content_hash, len(data), permissions)

    async def begin(self, *files: InitialFile) -> None:
        """A component with these files, and the name of a worker of it."""
        self.component = await self.world.component(build("files"), files=files)
        self.worker = WorkerId(self.component, "w")

    async def revise(self, *files: InitialFile, edition: int = 2) -> None:
        """A new revision with these files, and the worker's automatic update to it."""
        await self.world.update(self.component, files_guest(edition).text(), files=files)
        revision = (await self.world.latest(self.component)).revision
        await self.world.executor.operations.update(self.worker, revision, automatic=True)

    async def read(self, path: str) -> Value:
        """The text of a file, or the error."""
        return _tuple(await self.world.call(self.worker, "golem:it/files.{read}", path))

    async def append(self, path: str, text: str) -> Value:
        """Whether text could be added to a file."""
        return _tuple(await self.world.call(self.worker, "golem:it/files.{append}", path, text))

    async def edition(self) -> Value:
        """Which code runs."""
        return await self.world.call(self.worker, "golem:it/files.{edition}")

    async def updates(self) -> list[UpdateRecord]:
        """What became of the updates."""
        return decode_status((await self.world.executor.find(self.worker)).columns.record).updates

    async def listed(self, path: str) -> list[tuple[Any, ...]]:
        """What somebody else sees."""
        entries = await self.world.executor.visit(self.worker, lambda folder: list_path(folder, path))
        return [(entry.name, entry.kind, entry.permissions, entry.size) for entry in entries]

    async def content(self, path: str) -> bytes:
        """The content that somebody else sees."""
        target = io.BytesIO()
        size = await self.world.executor.visit(self.worker, lambda folder: copy_content(folder, path, target))
        assert size == len(target.getvalue())
        return target.getvalue()


def _tuple(result: Value) -> Value:
    return tuple(result)


@pytest.fixture
async def files(code: tuple[Engine, CodeCache], tmp_path: Path) -> AsyncGenerator[Files]:
    """A world with the guest's code at hand."""
    store = MemoryOplogStore()
    async with World(store, MemoryPromiseStore(store), tmp_path, code=code) as world:
        yield Files(world)


async def test_a_guest_finds_its_files_and_may_change_some(files: Files) -> None:
    await files.begin(files.file("/data/fixed.txt", "fixed"), files.file("/own.txt", "own", "read-write"))
    for _ in range(2):
        assert await files.read("data/fixed.txt") == ("ok", "fixed")
        assert await files.append("data/fixed.txt", "!") == NOT_PERMITTED
        assert await files.read("missing") == NO_ENTRY
        await files.world.crash()
    assert await files.append("own.txt", " and more") == ("ok", None)
    assert await files.append("data/new.txt", "new") == ("ok", None)
    await files.world.crash()
    assert await files.read("own.txt") == ("ok", "own and more")
    assert await files.read("data/new.txt") == ("ok", "new")
    assert await files.read("data/fixed.txt") == ("ok", "fixed")


async def test_workers_do_not_share_what_they_write(files: Files) -> None:
    await files.begin(files.file("/own.txt", "own", "read-write"))
    await files.append("own.txt", "!")
    files.worker = WorkerId(files.component, "another")
    assert await files.read("own.txt") == ("ok", "own")


async def test_an_update_exchanges_what_the_guest_may_only_read(files: Files) -> None:
    await files.begin(
        files.file("/changed", "old"),
        files.file("/removed", "old"),
        files.file("/kept", "old"),
        files.file("/own", "old", "read-write"),
        files.file("/freed", "old"),
        files.file("/left", "old", "read-write"),
    )
    assert await files.read("changed") == ("ok", "old")
    assert await files.read("removed") == ("ok", "old")
    assert await files.read("added") == NO_ENTRY
    assert await files.append("own", " mine") == ("ok", None)
    await files.revise(
        files.file("/changed", "new"),
        files.file("/kept", "old"),
        files.file("/own", "new", "read-write"),
        files.file("/freed", "new", "read-write"),
        files.file("/deep/added", "new"),
    )
    for _ in range(3):
        # The second and third time after a replay of all of it, which must read the old contents first.
        assert await files.edition() == 2
        assert await files.read("changed") == ("ok", "new")
        assert await files.read("removed") == NO_ENTRY
        assert await files.read("kept") == ("ok", "old")
        assert await files.read("own") == ("ok", "old mine")
        assert await files.read("freed") == ("ok", "new")
        assert await files.read("deep/added") == ("ok", "new")
        assert await files.read("left") == ("ok", "old")
        assert await files.append("changed", "!") == NOT_PERMITTED
        await files.world.crash()
    assert await files.append("freed", "!") == ("ok", None)
    assert [update.state for update in await files.updates()] == ["successful"]


async def test_an_update_may_come_back(files: Files) -> None:
    await files.begin(files.file("/a", "one"))
    assert await files.read("a") == ("ok", "one")
    await files.revise(files.file("/a", "two"))
    assert await files.read("a") == ("ok", "two")
    await files.world.executor.operations.update(files.worker, 0, automatic=True)
    assert await files.read("a") == ("ok", "one")
    await files.world.crash()
    assert await files.read("a") == ("ok", "one")
    assert await files.edition() == 1


async def test_what_was_the_guests_does_not_become_read_only(files: Files) -> None:
    await files.begin(files.file("/a", "one", "read-write"))
    assert await files.read("a") == ("ok", "one")
    await files.revise(files.file("/a", "two"))
    assert await files.edition() == 1
    assert await files.read("a") == ("ok", "one")
    (update,) = await files.updates()
    assert update.state == "failed"
    assert "would become read-only" in (update.details or "")


async def test_a_file_of_the_guests_is_not_replaced(files: Files) -> None:
    await files.begin()
    assert await files.append("a", "mine") == ("ok", None)
    assert await files.append("b", "mine") == ("ok", None)
    await files.revise(files.file("/a", "new", "read-write"))
    assert await files.read("a") == ("ok", "mine")
    await files.revise(files.file("/a", "new", "read-write"), files.file("/b", "new"), edition=3)
    assert await files.read("b") == ("ok", "mine")
    assert await files.edition() == 2
    first, failed = await files.updates()
    assert (first.state, failed.state) == ("successful", "failed")
    assert "something else is there" in (failed.details or "")


async def test_others_see_the_folder_between_invocations(files: Files) -> None:
    await files.begin(files.file("/data/fixed.txt", "fixed"), files.file("/own.txt", "own", "read-write"))
    assert await files.listed("/") == [("data", "directory", None, None), ("own.txt", "file", "read-write", 3)]
    assert await files.listed("/data") == [("fixed.txt", "file", "read-only", 5)]
    assert await files.listed("/data/fixed.txt") == [("fixed.txt", "file", "read-only", 5)]
    await files.append("own.txt", "!")
    assert await files.content("/own.txt") == b"own!"
    await files.world.crash()
    assert await files.content("/own.txt") == b"own!"
    with pytest.raises(NotFound, match="File not found: /none"):
        await files.content("/none")
    with pytest.raises(NotFound):
        await files.listed("/own.txt/x")
    with pytest.raises(InvalidInput, match="Bad file type: /data"):
        await files.content("/data")


async def test_a_link_is_not_followed(files: Files, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    await files.begin()
    await files.listed("/")

    def link(folder: Path) -> None:
        (folder / "link").symlink_to(tmp_path / "secret")
        (folder / "up").symlink_to("..")

    await files.world.executor.visit(files.worker, link)
    assert await files.listed("/") == []
    for path in ("/link", "/up", "/up/secret"):
        with pytest.raises((InvalidInput, NotFound)):
            await files.content(path)


async def test_many_look_at_once_while_the_worker_works(files: Files) -> None:
    await files.begin(files.file("/own.txt", "", "read-write"))
    seen = await asyncio.gather(
        *(files.append("own.txt", "0123456789") for _ in range(20)), *(files.content("/own.txt") for _ in range(20))
    )
    for content in seen[20:]:
        assert content == b"0123456789" * (len(content) // 10)
    assert await files.content("/own.txt") == b"0123456789" * 20
