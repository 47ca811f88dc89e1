"""Directories of a worker: names, links, renames."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.host.filesystem_guest import FilesystemGuest


@pytest.fixture
async def guest(tmp_path: Path) -> AsyncIterator[FilesystemGuest]:
    guest = await FilesystemGuest.create(tmp_path)
    yield guest
    guest.worker.context.close()


async def test_entries_are_sorted_by_name(guest: FilesystemGuest) -> None:
    for name in ("zz", "ä", "B", "a", "10", "9"):
        await guest.put(name, b"")
    await guest.get("create-directory-at", guest.root, "dir")
    await guest.get("symlink-at", guest.root, "nowhere", "link")
    assert await guest.names(guest.root) == [
        ("regular-file", "10"),
        ("regular-file", "9"),
        ("regular-file", "B"),
        ("regular-file", "a"),
        ("directory", "dir"),
        ("symbolic-link", "link"),
        ("regular-file", "zz"),
        ("regular-file", "ä"),
    ]
    assert await guest.names(await guest.open("dir", "directory")) == []


async def test_open_obeys_its_flags(guest: FilesystemGuest) -> None:
    await guest.put("f", b"text")
    await guest.get("create-directory-at", guest.root, "d")

    async def opened(path: str, *flags: str, access: tuple[str, ...] = ("read",)) -> str:
        tag, value = await guest.do("open-at", guest.root, [], path, list(flags), list(access))
        return "ok" if tag == "ok" else value

    assert await opened("none") == "no-entry"
    assert await opened("none/f") == "no-entry"
    assert await opened("f/x") == "not-directory"
    assert await opened("f", "directory") == "not-directory"
    assert await opened("f/") == "not-directory"
    assert await opened("f/.") == "not-directory"
    assert await opened("f", "create") == "ok"
    assert await opened("f", "create", "exclusive") == "exist"
    assert await opened("new", "create", "exclusive") == "ok"
    assert await opened("new/", "create", "exclusive") == "exist"
    assert await opened("other/", "create") == "is-directory"
    assert await opened("d") == await opened("d/") == await opened("d/.", "directory") == await opened(".") == "ok"
    assert await opened("d", access=("read", "write")) == "is-directory"
    assert await opened("d", "truncate") == await opened("d", "create") == "is-directory"
    assert await opened("d", "create", "exclusive") == "exist"
    assert await opened("d", "directory", "create") == "invalid"
    assert await opened("") == "no-entry"
    assert await opened("a\0b") == "invalid"
    assert await guest.content("f") == b"text"
    assert await opened("f", "truncate") == "ok"
    assert await guest.content("f") == b""


async def test_directories_are_made_and_removed(guest: FilesystemGuest) -> None:
    assert await guest.do("create-directory-at", guest.root, "a") == ("ok", None)
    assert await guest.do("create-directory-at", guest.root, "a/b/") == ("ok", None)
    for path in ("a", "a/", ".", "a/b/.."):
        assert await guest.do("create-directory-at", guest.root, path) == ("err", "exist")
    assert await guest.do("create-directory-at", guest.root, "x/y") == ("err", "no-entry")
    assert await guest.do("remove-directory-at", guest.root, "a") == ("err", "not-empty")
    assert await guest.do("remove-directory-at", guest.root, ".") == ("err", "invalid")
    await guest.put("a/f", b"")
    assert await guest.do("remove-directory-at", guest.root, "a/f") == ("err", "not-directory")
    assert await guest.do("unlink-file-at", guest.root, "a/b") == ("err", "is-directory")
    assert await guest.do("unlink-file-at", guest.root, ".") == ("err", "is-directory")
    assert await guest.do("unlink-file-at", guest.root, "a/f/") == ("err", "not-directory")
    assert await guest.do("unlink-file-at", guest.root, "a/f") == ("ok", None)
    assert await guest.do("unlink-file-at", guest.root, "a/f") == ("err", "no-entry")
    base = await guest.open("a", "directory")
    assert await guest.do("remove-directory-at", base, "b") == ("ok", None)
    assert await guest.do("remove-directory-at", guest.root, "a") == ("ok", None)
    assert await guest.do("create-directory-at", base, "c") == ("err", "no-entry")
    assert await guest.names(base) == []
    assert await guest.names(guest.root) == []


async def test_rename_moves_and_replaces(guest: FilesystemGuest) -> None:
    await guest.put("f", b"1")
    await guest.put("g", b"2")
    for path in ("d", "d/e", "full", "full/x"):
        await guest.get("create-directory-at", guest.root, path)

    async def renamed(old: str, new: str) -> str:
        tag, value = await guest.do("rename-at", guest.root, old, guest.root, new)
        return "ok" if tag == "ok" else value

    assert await renamed("f", "g") == "ok"
    assert await guest.content("g") == b"1"
    assert await renamed("f", "h") == "no-entry"
    assert await renamed("g", "g") == "ok"
    assert await renamed("g", "d") == "is-directory"
    assert await renamed("d", "g") == "not-directory"
    assert await renamed("g/", "h") == "not-directory"
    assert await renamed("g", "h/") == "not-directory"
    assert await renamed("d", "full") == "not-empty"
    assert await renamed("d", "d/e/f") == "invalid"
    assert await renamed(".", "x") == await renamed("d", ".") == "busy"
    assert await renamed("full", "d/moved/") == "ok"
    base = await guest.open("d", "directory")
    assert await guest.names(base) == [("directory", "e"), ("directory", "moved")]
    assert await guest.do("rename-at", base, "moved/x", guest.root, "x") == ("ok", None)
    assert await guest.names(guest.root) == [("directory", "d"), ("regular-file", "g"), ("directory", "x")]


async def test_hard_links_are_names_of_one_file(guest: FilesystemGuest) -> None:
    await guest.put("a", b"1")
    await guest.get("create-directory-at", guest.root, "d")
    await guest.get("symlink-at", guest.root, "a", "l")
    base = await guest.open("d", "directory")
    assert await guest.do("link-at", guest.root, [], "a", base, "b") == ("ok", None)
    assert await guest.do("link-at", guest.root, ["symlink-follow"], "l", base, "c") == ("ok", None)
    assert await guest.do("link-at", guest.root, [], "l", base, "m") == ("ok", None)
    assert await guest.do("link-at", guest.root, [], "a", base, "b") == ("err", "exist")
    assert await guest.do("link-at", guest.root, [], "d", base, "e") == ("err", "not-permitted")
    assert await guest.do("link-at", guest.root, [], "none", base, "e") == ("err", "no-entry")
    assert await guest.do("link-at", guest.root, [], "a", base, "e/") == ("err", "no-entry")
    await guest.put("a", b"2")
    assert await guest.content("d/b") == await guest.content("d/c") == b"2"
    assert await guest.names(base) == [("regular-file", "b"), ("regular-file", "c"), ("symbolic-link", "m")]
    assert await guest.do("rename-at", guest.root, "a", base, "b") == ("ok", None)
    assert await guest.content("a") == b"2"


async def test_links_are_followed_within_the_folder(guest: FilesystemGuest) -> None:
    await guest.get("create-directory-at", guest.root, "d")
    await guest.get("create-directory-at", guest.root, "d/e")
    await guest.put("f", b"top")
    for target, path in {"../../f": "d/e/up", "d/e": "short", "short/up": "chain", "later": "early"}.items():
        assert await guest.do("symlink-at", guest.root, target, path) == ("ok", None)
    assert await guest.content("chain") == await guest.content("short/up") == b"top"
    assert await guest.content("short/../../f") == b"top"
    assert await guest.get("readlink-at", guest.root, "short/up") == "../../f"
    assert await guest.do("readlink-at", guest.root, "f") == ("err", "invalid")
    assert await guest.do("readlink-at", guest.root, "none") == ("err", "no-entry")
    assert await guest.do("open-at", guest.root, [], "chain", [], ["read"]) == ("err", "loop")
    assert await guest.do("symlink-at", guest.root, "x", "chain") == ("err", "exist")
    assert await guest.do("create-directory-at", guest.root, "short") == ("err", "exist")
    assert await guest.do("remove-directory-at", guest.root, "short") == ("err", "not-directory")
    await guest.put("early", b"through the link")
    assert await guest.content("later") == b"through the link"
    flags = ["create", "exclusive"]
    assert await guest.do("open-at", guest.root, ["symlink-follow"], "early", flags, ["write"]) == ("err", "exist")
    assert await guest.do("unlink-file-at", guest.root, "early") == ("ok", None)
    assert await guest.content("later") == b"through the link"
    assert await guest.do("symlink-at", guest.root, "", "empty") == ("err", "no-entry")
    assert await guest.do("symlink-at", guest.root, "x", "slash/") == ("err", "no-entry")


async def test_files_stay_usable_while_they_are_open(guest: FilesystemGuest) -> None:
    file = await guest.open("a", "create")
    await guest.get("unlink-file-at", guest.root, "a")
    await guest.get("write", file, b"alive", 0)
    assert await guest.get("read", file, 10, 0) == (b"alive", False)
    assert (await guest.get("stat", file))["link-count"] == 0
    assert guest.sandbox.total_bytes == 5
    guest.drop(file)
    assert guest.sandbox.total_bytes == guest.sandbox.names == 0
