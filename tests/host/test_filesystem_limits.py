"""What a worker's folder may hold, at the limits and one beyond."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from golem_server.durable.signals import TransientFailure
from golem_server.host.filesystem_errors import error_code
from golem_server.host.filesystem_sandbox import FilesystemLimits
from golem_server.model.types import Value
from tests.host.filesystem_guest import FOLLOW, FilesystemGuest

FULL = ("err", "insufficient-space")


async def test_bytes_are_limited_whatever_makes_a_file_grow(tmp_path: Path) -> None:
    guest = await FilesystemGuest.create(tmp_path, FilesystemLimits(total_bytes=100))
    file = await guest.open("a", "create")
    assert await guest.do("write", file, b"x" * 101, 0) == FULL
    assert await guest.do("write", file, b"x", 100) == FULL
    assert await guest.do("write", file, b"x", 2**63) == FULL
    assert await guest.do("write", file, b"x", 2**64 - 1) == FULL
    assert await guest.do("set-size", file, 101) == FULL
    assert await guest.do("set-size", file, 2**64 - 1) == FULL
    assert await guest.do("write", file, b"", 2**64 - 1) == ("ok", 0)
    assert guest.sandbox.total_bytes == 0
    assert await guest.do("write", file, b"x" * 99, 0) == ("ok", 99)
    assert await guest.do("write", file, b"y" * 99, 0) == ("ok", 99)
    assert await guest.do("write", file, b"z", 99) == ("ok", 1)
    assert await guest.do("write", file, b"z", 100) == FULL

    for stream in (await guest.get("append-via-stream", file), await guest.get("write-via-stream", file, 100)):
        assert await guest.error_code(await guest.stream("output-stream.write", stream, b"1")) == "insufficient-space"
        assert await guest.error_code(await guest.stream("output-stream.write", stream, b"1")) == "closed"
        assert await guest.error_code(await guest.stream("output-stream.check-write", stream)) == "closed"
        assert await guest.error_code(await guest.stream("output-stream.flush", stream)) == "closed"
    source = await guest.get("read-via-stream", file, 0)
    copy = await guest.get("append-via-stream", await guest.open("b", "create"))
    assert await guest.error_code(await guest.stream("output-stream.splice", copy, source, 1)) == "insufficient-space"
    overwrite = await guest.get("write-via-stream", file, 0)
    assert await guest.stream("output-stream.write", overwrite, b"x" * 100) == ("ok", None)


async def test_bytes_are_given_back(tmp_path: Path) -> None:
    guest = await FilesystemGuest.create(tmp_path, FilesystemLimits(total_bytes=100))
    content = b"x" * 100
    await guest.put("a", content)
    await guest.put("a", content)
    await guest.get("link-at", guest.root, [], "a", guest.root, "b")
    await guest.get("unlink-file-at", guest.root, "a")
    assert guest.sandbox.total_bytes == 100
    await guest.get("unlink-file-at", guest.root, "b")
    assert guest.sandbox.total_bytes == 0
    await guest.put("a", b"x" * 50)
    await guest.put("b", b"x" * 50)
    await guest.get("rename-at", guest.root, "a", guest.root, "b")
    assert (guest.sandbox.total_bytes, guest.sandbox.names) == (50, 1)
    held = await guest.open("b")
    stream = await guest.get("append-via-stream", held)
    await guest.put("c", b"")
    await guest.get("rename-at", guest.root, "c", guest.root, "b")
    assert guest.sandbox.total_bytes == 50
    guest.drop(held)
    assert await guest.stream("output-stream.write", stream, b"x" * 50) == ("ok", None)
    assert guest.sandbox.total_bytes == 100
    guest.drop(stream)
    assert guest.sandbox.total_bytes == 0


async def test_names_are_limited(tmp_path: Path) -> None:
    guest = await FilesystemGuest.create(tmp_path, FilesystemLimits(names=4))
    root = guest.root
    await guest.put("f", b"")
    await guest.get("create-directory-at", root, "d")
    await guest.get("symlink-at", root, "f", "s")
    await guest.get("link-at", root, [], "f", root, "l")
    assert await guest.do("open-at", root, [], "n", ["create"], ["write"]) == FULL
    assert await guest.do("create-directory-at", root, "n") == FULL
    assert await guest.do("symlink-at", root, "f", "n") == FULL
    assert await guest.do("link-at", root, [], "f", root, "n") == FULL
    assert await guest.do("open-at", root, [], "f", ["create"], ["write"]) != FULL
    for name, path in {"unlink-file-at": "s", "remove-directory-at": "d"}.items():
        await guest.get(name, root, path)
        await guest.put(f"new {path}", b"")
        assert await guest.do("create-directory-at", root, "n") == FULL


async def test_initial_files_count(tmp_path: Path) -> None:
    folder = tmp_path / "1"
    (folder / "d" / "e").mkdir(parents=True)
    (folder / "d" / "given").write_bytes(b"12345")
    (folder / "link").symlink_to("d")
    folder.rename(tmp_path / "template")
    guest = await FilesystemGuest.create(tmp_path)
    (tmp_path / "1").rmdir()
    (tmp_path / "template").rename(tmp_path / "1")
    guest.worker.context.local.clear()
    await guest.open_root()
    assert (guest.sandbox.total_bytes, guest.sandbox.names) == (5, 4)


async def test_paths_and_names_are_limited(tmp_path: Path) -> None:
    guest = await FilesystemGuest.create(tmp_path)
    await guest.put("n" * 255, b"")
    for path in ("n" * 256, "é" * 128, "a/" * 512 + "a", "./" * 512 + "f"):
        assert await guest.do("open-at", guest.root, [], path, ["create"], ["write"]) == ("err", "name-too-long")
    assert (await guest.do("open-at", guest.root, [], "./" * 511 + "ff", ["create"], ["write"]))[0] == "ok"
    assert await guest.do("symlink-at", guest.root, "x" * 1025, "l") == ("err", "name-too-long")
    assert await guest.do("symlink-at", guest.root, "x/" * 512, "l") == ("ok", None)


async def test_open_descriptors_are_limited(tmp_path: Path) -> None:
    guest = await FilesystemGuest.create(tmp_path, FilesystemLimits(open_descriptors=3))
    file = await guest.open("a", "create")
    stream = await guest.get("append-via-stream", file)
    await guest.open(".", "directory")
    await guest.open("a")
    refused = ("err", "insufficient-memory")
    assert await guest.do("open-at", guest.root, [], "b", ["create"], ["write"]) == refused
    assert guest.sandbox.names == 1
    guest.drop(file)
    assert await guest.do("open-at", guest.root, [], "a", [], ["read"]) == refused
    guest.drop(stream)
    await guest.open("a")


async def test_held_listings_are_limited(tmp_path: Path) -> None:
    guest = await FilesystemGuest.create(tmp_path, FilesystemLimits(listed_names=5))
    for name in ("a", "b"):
        await guest.put(name, b"")
    listings = [await guest.get("read-directory", guest.root) for _ in range(2)]
    assert await guest.do("read-directory", guest.root) == ("err", "insufficient-memory")
    guest.drop(listings[0])
    assert len(await guest.names(guest.root)) == 2


async def test_a_full_handle_table_leaves_nothing_open(tmp_path: Path) -> None:
    guest = await FilesystemGuest.create(tmp_path)
    file = await guest.open("a", "create")
    resources = guest.worker.context.resources
    while len(resources) < 10_000:
        resources.add(object())
    before = len(os.listdir("/proc/self/fd"))
    attempts: dict[str, tuple[Value, ...]] = {
        "open-at": ([], "a", [], ["read"]),
        "read-via-stream": (0,),
        "read-directory": (),
    }
    for name, arguments in attempts.items():
        with pytest.raises(Exception, match="more than 10000 handles"):
            await guest.do(name, file if name == "read-via-stream" else guest.root, *arguments)
    assert len(os.listdir("/proc/self/fd")) == before
    guest.drop(file)
    assert len(os.listdir("/proc/self/fd")) == before - 1


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EMFILE, errno.EDQUOT, errno.EROFS])
def test_errors_of_the_machine_are_not_told_to_the_guest(number: int) -> None:
    with pytest.raises(TransientFailure) as raised:
        error_code(OSError(number, os.strerror(number), "/server/path"))
    assert "/server/path" not in str(raised.value)


async def test_a_folder_that_is_gone_is_an_error_of_the_machine(tmp_path: Path) -> None:
    guest = await FilesystemGuest.create(tmp_path)
    guest.folder.rmdir()
    with pytest.raises(TransientFailure):
        await guest.do("stat-at", guest.root, FOLLOW, "a")
