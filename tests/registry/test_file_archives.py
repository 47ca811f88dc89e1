"""Archives of initial files: what is taken, and everything that is refused before it can do harm."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from blake3 import blake3

from golem_server.model.errors import InvalidInput, TooLarge
from golem_server.registry.file_archives import ArchiveLimits, KeptFile, keep_files

Fill = Callable[[zipfile.ZipFile], None]


class Contents:
    """Keeps contents in memory, and how large a piece it was given."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.largest_piece = 0

    async def put_stream(self, namespace: str, parts: AsyncIterator[bytes]) -> tuple[str, int]:
        """Keep it."""
        assert namespace == "files"
        content = b""
        async for part in parts:
            self.largest_piece = max(self.largest_piece, len(part))
            content += part
        content_hash = blake3(content).hexdigest()
        self.kept[content_hash] = content
        return content_hash, len(content)

    async def get(self, namespace: str, content_hash: str) -> bytes:
        """What was kept."""
        return self.kept[content_hash]

    async def get_stream(self, namespace: str, content_hash: str) -> AsyncIterator[bytes]:
        """The same."""
        yield self.kept[content_hash]


def archive(folder: Path, fill: Fill) -> Path:
    """A zip with what `fill` writes."""
    path = folder / "files.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as written:
        fill(written)
    return path


def entry(name: str, kind: int) -> zipfile.ZipInfo:
    """An entry that says of itself that it is of this kind."""
    info = zipfile.ZipInfo(name)
    info.external_attr = (kind | 0o777) << 16
    return info


async def kept(path: Path, contents: Contents | None = None, **limits: int) -> dict[str, KeptFile]:
    return await keep_files(path, contents or Contents(), ArchiveLimits(**limits))


async def test_files_are_kept_by_content(tmp_path: Path) -> None:
    def fill(written: zipfile.ZipFile) -> None:
        written.writestr("data/", "")
        written.writestr("data/a.txt", "same")
        written.writestr("./b//c.txt", "same")
        written.writestr("windows\\d.txt", "other")

    contents = Contents()
    found = await kept(archive(tmp_path, fill), contents)
    assert set(found) == {"/data/a.txt", "/b/c.txt", "/windows/d.txt"}
    assert found["/data/a.txt"] == found["/b/c.txt"] == KeptFile(blake3(b"same").hexdigest(), 4)
    assert sorted(contents.kept.values()) == [b"other", b"same"]


async def test_a_large_file_comes_in_pieces(tmp_path: Path) -> None:
    contents = Contents()
    found = await kept(archive(tmp_path, lambda written: written.writestr("zeroes", bytes(20 << 20))), contents)
    assert found["/zeroes"].size == 20 << 20
    assert contents.largest_piece <= 1 << 20


REFUSED: dict[str, tuple[Fill, str]] = {
    "absolute": (lambda written: written.writestr("/etc/passwd", "x"), "absolute"),
    "drive": (lambda written: written.writestr("C:\\x", "x"), "absolute"),
    "upwards": (lambda written: written.writestr("a/../../b", "x"), "out of the archive"),
    "upwards within": (lambda written: written.writestr("a/../b", "x"), "out of the archive"),
    "link": (lambda written: written.writestr(entry("link", stat.S_IFLNK), "/etc/passwd"), "neither a file"),
    "device": (lambda written: written.writestr(entry("null", stat.S_IFCHR), ""), "neither a file"),
    "pipe": (lambda written: written.writestr(entry("pipe", stat.S_IFIFO), ""), "neither a file"),
    "control characters": (lambda written: written.writestr("a\nb", "x"), "control characters"),
    "long name": (lambda written: written.writestr("x" * 256, "x"), "longer than 255"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_is_dangerous_spoils_the_archive(tmp_path: Path, case: str) -> None:
    fill, reason = REFUSED[case]
    contents = Contents()
    with pytest.raises(InvalidInput, match=f"Malformed component archive: .*{reason}"):
        await kept(archive(tmp_path, fill), contents)
    assert contents.kept == {}


async def test_two_files_of_one_path_are_refused(tmp_path: Path) -> None:
    def fill(written: zipfile.ZipFile) -> None:
        written.writestr("a/b", "1")
        written.writestr("a//b", "2")

    with pytest.raises(InvalidInput, match="twice"):
        await kept(archive(tmp_path, fill))


async def test_bombs_are_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    contents = Contents()
    bomb = archive(tmp_path, lambda written: written.writestr("bomb", bytes(8 << 20)))
    assert bomb.stat().st_size < 20_000
    with pytest.raises(TooLarge, match="bytes together"):
        await kept(bomb, contents, total_bytes=(8 << 20) - 1)

    def fill(written: zipfile.ZipFile) -> None:
        for number in range(11):
            written.writestr(str(number), "")

    many = archive(tmp_path, fill)
    with pytest.raises(TooLarge, match="more than 10 files"):
        await kept(many, contents, files=10)
    assert contents.kept == {}


async def test_an_entry_that_is_larger_than_it_says_is_refused(tmp_path: Path) -> None:
    path = archive(tmp_path, lambda written: written.writestr("liar", bytes(1 << 20)))
    content = path.read_bytes()
    size = (1 << 20).to_bytes(4, "little")
    assert content.count(size) == 2
    path.write_bytes(content.replace(size, (10).to_bytes(4, "little")))
    with pytest.raises(InvalidInput, match="Malformed component archive"):
        await kept(path)


@pytest.mark.parametrize("cut", [0, 10, 60, -1])
async def test_an_archive_that_is_damaged_is_refused(tmp_path: Path, cut: int) -> None:
    path = archive(tmp_path, lambda written: written.writestr("a", io.BytesIO(bytes(range(256))).read()))
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InvalidInput, match="Malformed component archive"):
        await kept(path)


async def test_a_changed_byte_is_noticed(tmp_path: Path) -> None:
    path = archive(tmp_path, lambda written: written.writestr("a", bytes(range(256)), zipfile.ZIP_STORED))
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match="Malformed component archive"):
        await kept(path)
