"""What lies in a worker's folder, for those who look at it from outside between invocations.

No link is followed: the guest makes them, and where they lead is its own affair.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from golem_server.durable.initial_files import READ_ONLY
from golem_server.model.errors import InvalidInput, NotFound
from golem_server.model.initial_files import Permissions

_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_ABSENT = (errno.ENOENT, errno.ENOTDIR)


@dataclass(frozen=True, slots=True)
class FolderEntry:
    """A file or directory. `modified` in seconds since the epoch; `size` in bytes and `permissions` of files only."""

    name: str
    kind: Literal["file", "directory"]
    modified: int
    permissions: Permissions | None
    size: int | None


def list_path(folder: Path, path: str) -> list[FolderEntry]:
    """The entries of the directory that the path names, by name, or the one file. Raises NotFound and InvalidInput.

    Links and whatever else is neither file nor directory are left out.
    """
    number = _opened(folder, path)
    try:
        status = os.fstat(number)
        if not stat.S_ISDIR(status.st_mode):
            return [_entry(path.rpartition("/")[2], status)]
        with os.scandir(number) as found:
            statuses = {entry.name: entry.stat(follow_symlinks=False) for entry in found}
    finally:
        os.close(number)
    shown = {name: each for name, each in statuses.items() if stat.S_ISDIR(each.st_mode) or stat.S_ISREG(each.st_mode)}
    return [_entry(os.fsencode(name).decode("utf-8", "replace"), shown[name]) for name in sorted(shown)]


def copy_content(folder: Path, path: str, target: IO[bytes]) -> int:
    """Copy a file's content, and return its size in bytes. Raises NotFound, and InvalidInput for a directory."""
    number = _opened(folder, path)
    if stat.S_ISDIR(os.fstat(number).st_mode):
        os.close(number)
        raise _bad_type(path)
    with os.fdopen(number, "rb") as file:
        shutil.copyfileobj(file, target, 1 << 20)
        return file.tell()


def _entry(name: str, status: os.stat_result) -> FolderEntry:
    if stat.S_ISDIR(status.st_mode):
        return FolderEntry(name, "directory", int(status.st_mtime), None, None)
    read_only = stat.S_IMODE(status.st_mode) == READ_ONLY
    permissions: Permissions = "read-only" if read_only else "read-write"
    return FolderEntry(name, "file", int(status.st_mtime), permissions, status.st_size)


def _opened(folder: Path, path: str) -> int:
    """What the path names, open; a directory only where its content can be listed."""
    current = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    for name in filter(None, path.split("/")):
        if name == ".." or "\0" in name:  # A path never leads out of the worker's folder.
            os.close(current)
            raise NotFound(f"File not found: {path}", code="FILE_NOT_FOUND")
        try:
            below = os.open(name, _OPEN, dir_fd=current)
        except OSError as error:
            if error.errno in _ABSENT:
                raise NotFound(f"File not found: {path}", code="FILE_NOT_FOUND") from None
            raise _bad_type(path) from None
        finally:
            os.close(current)
        current = below
    mode = os.fstat(current).st_mode
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        os.close(current)
        raise _bad_type(path)
    return current


def _bad_type(path: str) -> InvalidInput:
    return InvalidInput(f"Bad file type: {path}", code="BAD_FILE_TYPE")
