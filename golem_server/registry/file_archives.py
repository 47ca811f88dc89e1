"""Archives of initial files: a zip is read entry by entry, and each file kept by its content.

Nothing of an archive is believed before it is looked at: how many files there are and how large they become is known
from its directory and bounded before the first byte is unpacked, and unpacking stops where an entry is larger than it
said. Only files and directories are taken; a path that is absolute or leads upwards, a link or a device spoils the
whole archive.
"""

from __future__ import annotations

import asyncio
import stat
import zipfile
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from golem_server.model.errors import InvalidInput, TooLarge
from golem_server.model.initial_files import file_path
from golem_server.registry.ports import WasmStore

FILE_NAMESPACE = "files"
"""The blob namespace of the contents of initial files."""

_READ_BYTES = 1 << 20
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError)
"""What the standard library raises for archives that are damaged, encrypted, or packed in an unknown way."""


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """How much one archive may hold: files, and bytes of their contents together."""

    files: int = 10_000
    total_bytes: int = 1 << 30


@dataclass(frozen=True, slots=True)
class KeptFile:
    """The content of a file of an archive: its BLAKE3 in hex, and its size in bytes."""

    content_hash: str
    size: int


async def keep_files(archive: Path, store: WasmStore, limits: ArchiveLimits) -> dict[str, KeptFile]:
    """Keep the contents of all files of an archive; what they are called in it is given as canonical paths.

    Takes a few MiB of memory, whatever the archive holds. Raises InvalidInput for an archive that cannot be taken, and
    TooLarge for one that holds too much.
    """
    try:
        with await asyncio.to_thread(zipfile.ZipFile, archive) as opened:
            entries = _checked(opened, limits)
            kept: dict[str, KeptFile] = {}
            for path, entry in entries.items():
                content_hash, size = await store.put_stream(FILE_NAMESPACE, _content(opened, entry))
                kept[path] = KeptFile(content_hash, size)
            return kept
    except _BROKEN as error:
        raise _malformed(str(error) or type(error).__name__) from error


def _checked(archive: zipfile.ZipFile, limits: ArchiveLimits) -> dict[str, zipfile.ZipInfo]:
    """The files of the archive by path."""
    entries: dict[str, zipfile.ZipInfo] = {}
    total = 0
    for entry in archive.infolist():
        name = entry.filename.replace("\\", "/")
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if name.startswith("/") or name[1:2] == ":":
            raise _malformed(f"{name[:200]!r} is an absolute path")
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _malformed(f"{name[:200]!r} is neither a file nor a directory")
        if ".." in name.split("/"):
            raise _malformed(f"{name[:200]!r} leads out of the archive")
        if entry.is_dir() or kind == stat.S_IFDIR:
            continue
        try:
            path = file_path(name)
        except InvalidInput as error:
            raise _malformed(error.message) from None
        if path in entries:
            raise _malformed(f"{path} is there twice")
        entries[path] = entry
        total += entry.file_size
        if len(entries) > limits.files:
            raise TooLarge(f"The archive has more than {limits.files} files")
        if total > limits.total_bytes:
            raise TooLarge(f"The files of the archive have more than {limits.total_bytes} bytes together")
    return entries


async def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> AsyncIterator[bytes]:
    """An entry in pieces. The library gives no more of it than its directory said, and checks its sum at the end."""
    file: IO[bytes] = await asyncio.to_thread(archive.open, entry)
    size = 0
    try:
        while piece := await asyncio.to_thread(file.read, _READ_BYTES):
            size += len(piece)
            yield piece
    finally:
        file.close()
    if size != entry.file_size:
        raise _malformed(f"{entry.filename[:200]!r} is cut off")


def _malformed(reason: str) -> InvalidInput:
    return InvalidInput(f"Malformed component archive: {reason}", code="MALFORMED_ARCHIVE")
