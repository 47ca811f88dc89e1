"""No path leads out of a worker's folder."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from golem_server.host.filesystem_errors import FilesystemError
from golem_server.host.filesystem_paths import MAX_DEPTH, resolve
from golem_server.model.types import Value
from tests.host.filesystem_guest import FOLLOW, FilesystemGuest

NOW = ("now", None)

OUTSIDE = [
    "..",
    "../secret",
    "/",
    "/secret",
    "//secret",
    "/etc/passwd",
    "d/../../secret",
    "d/../..",
    "./../secret",
    "d/./.././../secret",
    "out/secret",
    "out",
    "absolute",
    "absolute/secret",
    "d/up",
    "d/up/secret",
    "chained/secret",
]


@pytest.fixture
async def guest(tmp_path: Path) -> AsyncIterator[FilesystemGuest]:
    (tmp_path / "secret").write_text("canary")
    guest = await FilesystemGuest.create(tmp_path)
    await guest.get("create-directory-at", guest.root, "d")
    await guest.get("symlink-at", guest.root, "..", "out")
    await guest.get("symlink-at", guest.root, "../..", "d/up")
    await guest.get("symlink-at", guest.root, "d/up", "chained")
    # A guest cannot make this one.
    os.symlink(tmp_path, guest.folder / "absolute")
    yield guest
    guest.worker.context.close()
    assert (tmp_path / "secret").read_text() == "canary"
    assert sorted(os.listdir(tmp_path)) == ["1", "secret"]


@pytest.mark.parametrize("path", OUTSIDE)
async def test_every_function_refuses_paths_that_lead_out(guest: FilesystemGuest, path: str) -> None:
    root = guest.root
    await guest.put("f", b"")
    attempts: list[tuple[str, tuple[Value, ...]]] = [
        ("open-at", (FOLLOW, path, [], ["read"])),
        ("open-at", (FOLLOW, path, ["create"], ["read", "write"])),
        ("open-at", (FOLLOW, path, ["truncate"], ["read", "write"])),
        ("open-at", (FOLLOW, path, ["directory"], ["read"])),
        ("stat-at", (FOLLOW, path)),
        ("metadata-hash-at", (FOLLOW, path)),
        ("set-times-at", (FOLLOW, path, NOW, NOW)),
        ("link-at", (FOLLOW, path, root, "stolen")),
        ("create-directory-at", (f"{path}/new",)),
        ("remove-directory-at", (f"{path}/secret",)),
        ("unlink-file-at", (f"{path}/secret",)),
        ("readlink-at", (f"{path}/secret",)),
        ("rename-at", (f"{path}/secret", root, "stolen")),
        ("rename-at", ("f", root, f"{path}/secret")),
        ("link-at", ([], f"{path}/secret", root, "stolen")),
        ("link-at", ([], "f", root, f"{path}/planted")),
        ("symlink-at", ("f", f"{path}/planted")),
    ]
    for name, arguments in attempts:
        result = await guest.do(name, root, *arguments)
        assert result == ("err", "not-permitted"), (name, arguments, result)


async def test_a_directory_is_a_root_of_its_own(guest: FilesystemGuest) -> None:
    await guest.put("top", b"")
    base = await guest.open("d", "directory")
    for path in ("..", "../top", "up", "up/x"):
        assert await guest.do("stat-at", base, FOLLOW, path) == ("err", "not-permitted")
    await guest.get("create-directory-at", guest.root, "elsewhere")
    await guest.get("rename-at", guest.root, "d", guest.root, "elsewhere/d")
    assert await guest.do("stat-at", base, FOLLOW, "../../top") == ("err", "not-permitted")


async def test_absolute_links_are_neither_made_nor_read(guest: FilesystemGuest) -> None:
    assert await guest.do("symlink-at", guest.root, "/etc/passwd", "l") == ("err", "not-permitted")
    assert await guest.do("readlink-at", guest.root, "absolute") == ("err", "not-permitted")
    assert (await guest.get("stat-at", guest.root, [], "absolute"))["type"] == "symbolic-link"
    assert await guest.do("unlink-file-at", guest.root, "absolute") == ("ok", None)


async def test_links_that_turn_in_circles_end(guest: FilesystemGuest) -> None:
    await guest.get("symlink-at", guest.root, "self", "self")
    await guest.get("symlink-at", guest.root, "pong", "ping")
    await guest.get("symlink-at", guest.root, "ping", "pong")
    for path in ("self", "self/x", "ping", "ping/x"):
        assert await guest.do("stat-at", guest.root, FOLLOW, path) == ("err", "loop")
    # Each link doubles the way: without a bound the last one would take 2 ** 30 steps.
    await guest.get("symlink-at", guest.root, "d/" + "../d/" * 150, "l0")
    for number in range(30):
        await guest.get("symlink-at", guest.root, f"l{number}/../l{number}", f"l{number + 1}")
    assert await guest.do("stat-at", guest.root, FOLLOW, "l30") == ("err", "loop")


async def test_directories_cannot_be_nested_without_end(guest: FilesystemGuest) -> None:
    base = guest.root
    for depth in range(MAX_DEPTH):
        await guest.get("create-directory-at", base, "n")
        below = await guest.open("n", "directory", base=base)
        if depth:
            guest.drop(base)
        base = below
    assert await guest.do("create-directory-at", base, "n") == ("err", "name-too-long")
    assert await guest.do("rename-at", guest.root, "d", base, "d") == ("err", "name-too-long")
    await guest.get("create-directory-at", guest.root, "m")
    assert await guest.do("rename-at", guest.root, "n", guest.root, "m/n") == ("err", "name-too-long")
    assert await guest.do("rename-at", guest.root, "n", guest.root, "o") == ("ok", None)
    assert await guest.do("stat-at", guest.root, [], "/".join("o" + "n" * (MAX_DEPTH - 1))) == await guest.do(
        "stat", base
    )


async def test_special_files_are_not_opened(guest: FilesystemGuest) -> None:
    os.mkfifo(guest.folder / "pipe")
    for flags in ([], ["create"], ["truncate"]):
        assert await guest.do("open-at", guest.root, [], "pipe", flags, ["read"]) == ("err", "unsupported")
    assert ("unknown", "pipe") in await guest.names(guest.root)


async def test_initial_files_can_be_read_only(guest: FilesystemGuest) -> None:
    file = guest.folder / "given"
    file.write_text("given")
    file.chmod(0o444)
    await guest.put("mine", b"mine")
    root = guest.root
    opened = await guest.open("given")
    assert await guest.get("get-flags", opened) == ["read"]
    for name, arguments in {
        "write": (b"x", 0),
        "set-size": (0,),
        "write-via-stream": (0,),
        "append-via-stream": (),
        "set-times": (NOW, NOW),
    }.items():
        assert await guest.do(name, opened, *arguments) == ("err", "not-permitted")
    truncating = await guest.do("open-at", root, [], "given", ["truncate"], ["read", "write"])
    assert truncating == ("err", "not-permitted")
    assert await guest.do("set-times-at", root, [], "given", NOW, NOW) == ("err", "not-permitted")
    assert await guest.do("unlink-file-at", root, "given") == ("err", "not-permitted")
    assert await guest.do("rename-at", root, "given", root, "other") == ("err", "not-permitted")
    assert await guest.do("rename-at", root, "mine", root, "given") == ("err", "not-permitted")
    assert await guest.content("given") == b"given"


async def test_a_name_exchanged_for_a_link_during_the_walk_leads_nowhere(tmp_path: Path) -> None:
    """The race is made certain: the exchange happens between the walk's look at the name and the use of it."""
    root, outside = tmp_path / "root", tmp_path / "outside"
    (root / "d").mkdir(parents=True)
    outside.mkdir()
    (outside / "secret").write_text("canary")
    number = os.open(root, os.O_PATH | os.O_DIRECTORY)
    try:
        with resolve(number, "d/secret", follow=True) as place:
            (root / "d").rename(root / "old")
            (root / "d").symlink_to(outside)
            assert place.find() is None
        with pytest.raises(FilesystemError, match="not-permitted"):
            resolve(number, "d/secret", follow=True)
        with resolve(number, "last", follow=True) as place:
            (root / "last").symlink_to(outside / "secret")
            with pytest.raises(OSError, match="symbolic links"):
                os.open(place.name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=place.directory)
    finally:
        os.close(number)
