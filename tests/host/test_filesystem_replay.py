"""What a guest learned of its files stays true: replay builds the same folder and tells the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from golem_server.model.errors import UnexpectedOplogEntry
from golem_server.model.types import Value
from tests.host.filesystem_guest import FOLLOW, FilesystemGuest

NOW = ("now", None)


async def work(guest: FilesystemGuest) -> list[Value]:
    """Uses files in every way, and gives everything that was learned."""
    root = guest.root
    learned: list[Value] = []

    async def learn(name: str, descriptor: int, *arguments: Value) -> Value:
        result = await guest.do(name, descriptor, *arguments)
        learned.append(result)
        return result[1]

    await learn("create-directory-at", root, "d")
    file = await learn("open-at", root, FOLLOW, "d/f", ["create"], ["read", "write"])
    await learn("write", file, b"some content", 0)
    await learn("stat", file)
    await learn("metadata-hash", file)
    await learn("read", file, 100, 0)
    await learn("link-at", root, [], "d/f", root, "hard")
    await learn("symlink-at", root, "d/f", "soft")
    await learn("stat-at", root, FOLLOW, "soft")
    await learn("stat-at", root, [], "soft")
    await learn("metadata-hash-at", root, [], "soft")
    await learn("stat-at", root, [], "missing")
    await learn("metadata-hash-at", root, [], "missing")
    await learn("set-times", file, NOW, ("no-change", None))
    await learn("stat", file)
    stream = await learn("append-via-stream", file)
    learned.append(await guest.stream("output-stream.blocking-write-and-flush", stream, b", more"))
    await learn("set-times-at", root, FOLLOW, "soft", NOW, NOW)
    await learn("stat", file)
    guest.drop(stream)
    await learn("rename-at", root, "hard", root, "d/renamed")
    learned.append(await guest.names(await guest.open("d", "directory")))
    await learn("unlink-file-at", root, "soft")
    await learn("stat", root)
    await learn("metadata-hash", root)
    await learn("stat-at", root, [], "d/renamed")
    learned.append(len(guest.worker.context.resources))
    return learned


def contents(folder: Path) -> dict[str, bytes | str | None]:
    """Everything in a folder but times."""
    return {
        str(path.relative_to(folder)): str(path.readlink())
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else None
        for path in sorted(folder.rglob("*"))
    }


async def test_replay_learns_the_same_and_writes_nothing(tmp_path: Path) -> None:
    guest = await FilesystemGuest.create(tmp_path)
    first = await work(guest)
    files = contents(guest.folder)
    entries = await guest.worker.entries()
    for _ in range(2):
        before = len(os.listdir("/proc/self/fd"))
        guest.worker.clock.advance(1000)
        await guest.replay()
        assert await work(guest) == first
        assert guest.worker.context.is_live
        assert contents(guest.folder) == files
        assert await guest.worker.entries() == entries
        assert len(os.listdir("/proc/self/fd")) == before


async def test_the_live_run_goes_on_with_the_times_that_were_learned(tmp_path: Path) -> None:
    guest = await FilesystemGuest.create(tmp_path)
    await work(guest)
    then = (await guest.get("stat-at", guest.root, [], "d/renamed"))["data-modification-timestamp"]
    hashed = await guest.get("metadata-hash-at", guest.root, [], "d/renamed")
    guest.worker.clock.advance(1000)
    await guest.replay()
    await work(guest)
    await guest.get("stat-at", guest.root, [], "d/renamed")
    await guest.get("metadata-hash-at", guest.root, [], "d/renamed")
    calls = len(await guest.worker.host_calls())
    assert (await guest.get("stat-at", guest.root, [], "d/renamed"))["data-modification-timestamp"] == then
    assert await guest.get("metadata-hash-at", guest.root, [], "d/renamed") == hashed
    assert len(await guest.worker.host_calls()) == calls + 2


async def test_replay_stops_where_the_code_no_longer_makes_the_file(tmp_path: Path) -> None:
    guest = await FilesystemGuest.create(tmp_path)
    await guest.put("a", b"")
    await guest.get("stat-at", guest.root, [], "a")
    await guest.replay()
    with pytest.raises(UnexpectedOplogEntry, match="stat_at"):
        await guest.do("stat-at", guest.root, [], "a")


async def test_a_recorded_error_wins(tmp_path: Path) -> None:
    guest = await FilesystemGuest.create(tmp_path)
    assert await guest.do("stat-at", guest.root, [], "a") == ("err", "no-entry")
    await guest.replay()
    await guest.put("a", b"")
    assert await guest.do("stat-at", guest.root, [], "a") == ("err", "no-entry")
    assert (await guest.do("stat-at", guest.root, [], "a"))[0] == "ok"
