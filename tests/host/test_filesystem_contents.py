"""Files of a worker: contents, streams, attributes."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from golem_server.durable.signals import GuestError
from golem_server.host.resources import IoError
from tests.host.filesystem_guest import FOLLOW, TYPES, FilesystemGuest


@pytest.fixture
async def guest(tmp_path: Path) -> AsyncIterator[FilesystemGuest]:
    before = len(os.listdir("/proc/self/fd"))
    guest = await FilesystemGuest.create(tmp_path)
    yield guest
    guest.worker.context.close()
    assert len(os.listdir("/proc/self/fd")) == before


async def test_a_file_gives_back_what_was_written(guest: FilesystemGuest) -> None:
    file = await guest.open("a.txt", "create")
    assert await guest.get("write", file, b"hello", 0) == 5
    assert await guest.get("write", file, b"y!", 8) == 2
    assert await guest.get("read", file, 100, 0) == (b"hello\0\0\0y!", False)
    assert await guest.get("read", file, 2, 3) == (b"lo", False)
    assert await guest.get("read", file, 100, 10) == (b"", True)
    assert await guest.get("read", file, 100, 2**64 - 1) == (b"", True)
    assert (guest.folder / "a.txt").read_bytes() == b"hello\0\0\0y!"


async def test_one_call_moves_only_so_much(guest: FilesystemGuest) -> None:
    file = await guest.open("big", "create")
    content = os.urandom(3 << 19)
    assert await guest.get("write", file, content, 0) == 1 << 20
    assert await guest.get("write", file, content[1 << 20 :], 1 << 20) == 1 << 19
    first, _ = await guest.get("read", file, 2**64 - 1, 0)
    assert first == content[: 256 << 10]
    output = await guest.get("write-via-stream", file, 0)
    assert await guest.stream("output-stream.check-write", output) == ("ok", 32 << 10)
    with pytest.raises(GuestError, match="check-write permits"):
        await guest.stream("output-stream.write", output, bytes((1 << 20) + 1))


async def test_size_can_be_set(guest: FilesystemGuest) -> None:
    file = await guest.open("a", "create")
    await guest.get("set-size", file, 3)
    assert await guest.content("a") == b"\0\0\0"
    await guest.get("write", file, b"abc", 0)
    await guest.get("set-size", file, 1)
    assert await guest.content("a") == b"a"


async def test_streams_read_write_and_append(guest: FilesystemGuest) -> None:
    file = await guest.open("log", "create")
    output = await guest.get("write-via-stream", file, 2)
    assert await guest.stream("output-stream.write", output, b"abc") == ("ok", None)
    assert await guest.stream("output-stream.blocking-write-and-flush", output, b"def") == ("ok", None)
    end = await guest.get("append-via-stream", file)
    guest.drop(file)
    assert await guest.stream("output-stream.write", end, b"1") == ("ok", None)
    assert await guest.stream("output-stream.write", output, b"gh") == ("ok", None)
    assert await guest.stream("output-stream.write-zeroes", end, 2) == ("ok", None)
    assert await guest.stream("output-stream.blocking-flush", end) == ("ok", None)
    assert await guest.content("log") == b"\0\0abcdefgh\0\0"

    file = await guest.open("log")
    source = await guest.get("read-via-stream", file, 2)
    assert await guest.stream("input-stream.read", source, 0) == ("ok", b"")
    assert await guest.stream("input-stream.read", source, 3) == ("ok", b"abc")
    assert await guest.stream("input-stream.skip", source, 2) == ("ok", 2)
    assert await guest.stream("input-stream.skip", source, 0) == ("ok", 0)
    assert await guest.stream("input-stream.blocking-read", source, 100) == ("ok", b"fgh\0\0")
    assert await guest.stream("input-stream.read", source, 1) == ("err", ("closed", None))
    assert await guest.stream("input-stream.blocking-skip", source, 1) == ("err", ("closed", None))
    far = await guest.get("read-via-stream", file, 2**64 - 1)
    assert await guest.stream("input-stream.read", far, 1) == ("err", ("closed", None))


async def test_splice_copies_a_file(guest: FilesystemGuest) -> None:
    await guest.put("a", b"some text")
    source = await guest.get("read-via-stream", await guest.open("a"), 5)
    target = await guest.get("append-via-stream", await guest.open("b", "create"))
    assert await guest.stream("output-stream.splice", target, source, 3) == ("ok", 3)
    assert await guest.stream("output-stream.blocking-splice", target, source, 30) == ("ok", 1)
    assert await guest.content("b") == b"text"


async def test_a_descriptor_does_only_what_it_was_opened_for(guest: FilesystemGuest) -> None:
    await guest.put("a", b"x")
    reader = await guest.get("open-at", guest.root, [], "a", [], ["read"])
    writer = await guest.get("open-at", guest.root, [], "a", [], ["write"])
    assert await guest.get("get-flags", reader) == ["read"]
    assert await guest.get("get-flags", writer) == ["write"]
    for name, arguments in {
        "write": (b"y", 0),
        "set-size": (0,),
        "write-via-stream": (0,),
        "append-via-stream": (),
    }.items():
        assert await guest.do(name, reader, *arguments) == ("err", "bad-descriptor")
        assert await guest.do(name, guest.root, *arguments) == ("err", "bad-descriptor")
    for name, arguments in {"read": (1, 0), "read-via-stream": (0,)}.items():
        assert await guest.do(name, writer, *arguments) == ("err", "bad-descriptor")
        assert await guest.do(name, guest.root, *arguments) == ("err", "bad-descriptor")
    for name in ("read-directory",):
        assert await guest.do(name, reader) == ("err", "not-directory")
    for name in ("create-directory-at", "unlink-file-at", "remove-directory-at", "readlink-at"):
        assert await guest.do(name, reader, "a") == ("err", "not-directory")
    assert await guest.content("a") == b"x"


async def test_flags_and_types(guest: FilesystemGuest) -> None:
    await guest.get("create-directory-at", guest.root, "d")
    flags = ["read", "write", "data-integrity-sync"]
    file = await guest.get("open-at", guest.root, [], "f", ["create"], flags)
    assert await guest.get("get-flags", file) == flags
    assert await guest.get("get-type", file) == "regular-file"
    directory = await guest.open("d", "directory")
    assert await guest.get("get-flags", directory) == ["read"]
    assert await guest.get("get-type", directory) == "directory"
    assert await guest.get("get-flags", guest.root) == ["read", "mutate-directory"]
    for name in ("sync", "sync-data"):
        assert await guest.do(name, file) == await guest.do(name, guest.root) == ("ok", None)
    assert await guest.do("advise", file, 0, 10, "sequential") == ("ok", None)
    assert await guest.do("advise", directory, 0, 10, "normal") == ("err", "bad-descriptor")


async def test_stat_tells_type_size_links_and_times(guest: FilesystemGuest) -> None:
    await guest.put("a", b"12345")
    await guest.get("link-at", guest.root, [], "a", guest.root, "b")
    await guest.get("symlink-at", guest.root, "a", "l")
    file = await guest.open("a")
    found = await guest.get("stat", file)
    assert (found["type"], found["size"], found["link-count"]) == ("regular-file", 5, 2)
    assert found["status-change-timestamp"] is None
    assert found["data-modification-timestamp"]["seconds"] > 1_700_000_000
    assert await guest.get("stat-at", guest.root, FOLLOW, "l") == found
    link = await guest.get("stat-at", guest.root, [], "l")
    assert (link["type"], link["size"], link["link-count"]) == ("symbolic-link", 1, 1)
    await guest.get("create-directory-at", guest.root, "d")
    for directory in (await guest.get("stat", guest.root), await guest.get("stat-at", guest.root, [], "d/")):
        assert (directory["type"], directory["link-count"], directory["size"]) == ("directory", 1, 4096)
    assert await guest.do("stat-at", guest.root, [], "none") == ("err", "no-entry")
    assert await guest.do("stat-at", guest.root, [], "a/") == ("err", "not-directory")


async def test_times_can_be_set(guest: FilesystemGuest) -> None:
    await guest.put("a", b"")
    await guest.get("symlink-at", guest.root, "a", "l")
    file = await guest.open("a")
    then = {"seconds": 1_000_000, "nanoseconds": 999_999_999}
    now = {"seconds": 1_700_000_000, "nanoseconds": 0}
    assert await guest.do("set-times", file, ("timestamp", then), ("now", None)) == ("ok", None)
    found = await guest.get("stat", file)
    assert (found["data-access-timestamp"], found["data-modification-timestamp"]) == (then, now)
    await guest.get("set-times-at", guest.root, FOLLOW, "l", ("no-change", None), ("timestamp", then))
    found = await guest.get("stat", file)
    assert (found["data-access-timestamp"], found["data-modification-timestamp"]) == (then, then)
    await guest.get("set-times-at", guest.root, [], "l", ("now", None), ("now", None))
    assert (await guest.get("stat-at", guest.root, [], "l"))["data-modification-timestamp"] == now
    assert (await guest.get("stat", file))["data-modification-timestamp"] == then
    assert await guest.do("set-times", guest.root, ("now", None), ("now", None)) == ("ok", None)
    assert (await guest.get("stat", guest.root))["data-modification-timestamp"] == now
    wrong = {"seconds": 0, "nanoseconds": 10**9}
    assert await guest.do("set-times", file, ("timestamp", wrong), ("now", None)) == ("err", "invalid")
    late = {"seconds": 2**64 - 1, "nanoseconds": 0}
    assert await guest.do("set-times", file, ("timestamp", late), ("now", None)) == ("err", "overflow")


async def test_metadata_hash_follows_the_modification(guest: FilesystemGuest) -> None:
    await guest.put("a", b"1")
    file = await guest.open("a")
    first = await guest.get("metadata-hash", file)
    assert await guest.get("metadata-hash-at", guest.root, [], "a") == first
    assert set(first) == {"lower", "upper"}
    await guest.get("set-times", file, ("no-change", None), ("timestamp", {"seconds": 5, "nanoseconds": 0}))
    assert await guest.get("metadata-hash", file) != first
    assert await guest.do("metadata-hash-at", guest.root, [], "b") == ("err", "no-entry")
    assert {call.function for call in await guest.worker.host_calls()} == {
        "filesystem::types::descriptor::stat",
        "filesystem::types::descriptor::stat_at",
    }
    assert [call.request for call in await guest.worker.host_calls()][:2] == [{"path": "/a"}, {"path": "/a"}]


async def test_same_object(guest: FilesystemGuest) -> None:
    await guest.put("a", b"")
    await guest.put("c", b"")
    await guest.get("link-at", guest.root, [], "a", guest.root, "b")
    a, b, c = [await guest.open(name) for name in "abc"]
    method = "[method]descriptor.is-same-object"
    assert await guest.worker.call(TYPES, method, a, b) is True
    assert await guest.worker.call(TYPES, method, a, c) is False
    assert await guest.worker.call(TYPES, method, guest.root, guest.root + 1) is True


async def test_error_codes_are_taken_from_errors_of_files_only(guest: FilesystemGuest) -> None:
    resources = guest.worker.context.resources
    for code, expected in {"no-entry": "no-entry", "HTTP-protocol-error": None, None: None}.items():
        error = resources.add(IoError("text", code))
        assert await guest.worker.call(TYPES, "filesystem-error-code", error) == expected


async def test_unknown_handles_are_the_guests_error(guest: FilesystemGuest) -> None:
    file = await guest.open("a", "create")
    guest.drop(file)
    with pytest.raises(GuestError):
        await guest.do("read", file, 1, 0)
    with pytest.raises(GuestError):
        await guest.do("stat", 77)
    with pytest.raises(GuestError):
        await guest.worker.call(TYPES, "filesystem-error-code", guest.root)
