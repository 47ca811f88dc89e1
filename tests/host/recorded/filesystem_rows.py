"""Recorded functions of wasi:filesystem: what a guest learned of times and identities."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from golem_server.model.oplog import Category
from golem_server.model.types import Value
from tests.host.filesystem_guest import TYPES, FilesystemGuest
from tests.host.recorded.world import Means, Row, World


@asynccontextmanager
async def files_world(means: Means) -> AsyncGenerator[World]:
    """A worker with a folder. A life of the worker has a folder of its own: of the first nothing is left."""
    guest = await FilesystemGuest.create(means.folder)
    yield World(guest.worker, things={FilesystemGuest: guest})
    guest.worker.context.close()


def on_file(name: str, *, at: bool) -> Callable[[World], Awaitable[Value]]:
    """What is said of a file that the guest made, directly or by its path, and of none."""

    async def use(world: World) -> Value:
        guest = world.thing(FilesystemGuest)
        await guest.open_root()
        await guest.put("file", b"content")
        if not at:
            return await guest.do(name, await guest.open("file"))
        return [await guest.do(name, guest.root, [], path) for path in ("file", "missing")]

    return use


def row(name: str, record: str, *, at: bool = False) -> Row:
    """A method of a descriptor."""
    return Row(
        TYPES,
        f"[method]descriptor.{name}",
        f"filesystem::types::descriptor::{record}",
        Category.READ_LOCAL,
        on_file(name, at=at),
        files_world,
    )


ROWS = [
    row("stat", "stat"),
    row("stat-at", "stat_at", at=True),
    row("metadata-hash", "stat"),
    row("metadata-hash-at", "stat_at", at=True),
]
