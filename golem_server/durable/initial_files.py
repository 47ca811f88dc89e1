"""Initial files in a worker's folder: laid down when an instance is built, exchanged where an update comes into force.

Contents are kept in a local folder by their hash, fetched once from the store. Each worker has copies: a file's links
are visible to guests, so that shared ones would tell a worker of the others.

An instance begins with the files of the revision that the worker began with, and they change where the history says
that the revision did: replay meets what the guest met (reference: durability, section 8).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from blake3 import blake3

from golem_server.model.errors import InternalBug, WorkerError
from golem_server.model.initial_files import InitialFile

READ_ONLY, READ_WRITE = 0o400, 0o600
"""Modes of files: without a bit to write a file is one that its guest may only read."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

Fetch = Callable[[str], AsyncIterator[bytes]]
"""The content with a hash, in parts. Raises NotFound."""


class FileSystemError(WorkerError):
    """An initial file cannot be put where it belongs; `path` is the file's in the worker's folder."""

    code = "INTERNAL_FILE_SYSTEM_ERROR"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"Failed to access file in worker filesystem {path}: {reason}")
        self.path = path
        self.reason = reason


class InitialFiles:
    """Gives workers their files. `cache` is a folder of this server's own, which survives restarts."""

    def __init__(self, cache: Path, fetch: Fetch) -> None:
        self._cache = cache
        self._fetch = fetch
        self._fetching: dict[str, asyncio.Task[None]] = {}

    async def fetch(self, files: Iterable[InitialFile]) -> None:
        """Have the contents of these files at hand, for `lay_down` and `exchange`. Raises NotFound, Unavailable."""
        for content_hash in {file.content_hash for file in files}:
            if (self._cache / content_hash).exists():
                continue
            task = self._fetching.get(content_hash)
            if task is None:
                task = self._fetching[content_hash] = asyncio.create_task(self._fetched(content_hash))
                task.add_done_callback(lambda _done, key=content_hash: self._fetching.pop(key, None))
            # Others may wait for the same content.
            await asyncio.shield(task)

    async def _fetched(self, content_hash: str) -> None:
        self._cache.mkdir(parents=True, exist_ok=True)
        unfinished = self._cache / f"{content_hash}.{uuid4()}"
        hasher = blake3()
        try:
            with unfinished.open("wb") as file:
                async for part in self._fetch(content_hash):
                    hasher.update(part)
                    await asyncio.to_thread(file.write, part)
                await asyncio.to_thread(_settle, file.fileno())
            if hasher.hexdigest() != content_hash:
                raise InternalBug(f"the content of an initial file is damaged: {content_hash}")
            unfinished.rename(self._cache / content_hash)
        finally:
            unfinished.unlink(missing_ok=True)

    def lay_down(self, folder: Path, files: Iterable[InitialFile]) -> None:
        """Put files into a new folder; blocks. Raises FileSystemError."""
        for file in files:
            self._put(folder, file)

    def exchange(self, folder: Path, before: Iterable[InitialFile], after: Sequence[InitialFile]) -> None:
        """Turn the files of one revision into those of another; blocks.

        What the guest may write is its own: such a file stays as it is, also where the new revision has none or another
        one. Raises FileSystemError where a file of the guest's is in the way, or one that it could write would become
        read-only.
        """
        existing = {file.path: file for file in before}
        wanted = {file.path for file in after}
        for file in existing.values():
            if file.read_only and file.path not in wanted:
                self._remove(folder, file.path)
        for file in after:
            earlier = existing.get(file.path)
            if earlier is None:
                if not self._make_room(folder, file):
                    self._put(folder, file)
            elif earlier.read_only:
                if earlier != file:
                    self._remove(folder, file.path)
                    self._put(folder, file)
            elif file.read_only:
                raise FileSystemError(file.path, "a file that could be written would become read-only")

    def _put(self, folder: Path, file: InitialFile) -> None:
        try:
            directory, name = _parent(folder, file.path, create=True)
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                target = os.open(name, flags, READ_WRITE, dir_fd=directory)
                with os.fdopen(target, "wb") as written, (self._cache / file.content_hash).open("rb") as content:
                    shutil.copyfileobj(content, written, 1 << 20)
                    if file.read_only:
                        os.fchmod(written.fileno(), READ_ONLY)
            finally:
                os.close(directory)
        except OSError as error:
            raise FileSystemError(file.path, error.strerror or str(error)) from error

    def _remove(self, folder: Path, path: str) -> None:
        try:
            directory, name = _parent(folder, path, create=False)
            try:
                os.unlink(name, dir_fd=directory)
            finally:
                os.close(directory)
        except FileNotFoundError:
            return
        except OSError as error:
            raise FileSystemError(path, error.strerror or str(error)) from error

    def _make_room(self, folder: Path, file: InitialFile) -> bool:
        """Whether the guest has a file there that stays; an empty directory gives way."""
        try:
            directory, name = _parent(folder, file.path, create=True)
            try:
                with suppress(FileNotFoundError):
                    found = os.stat(name, dir_fd=directory, follow_symlinks=False)
                    if stat.S_ISREG(found.st_mode) and not file.read_only:
                        return True
                    os.rmdir(name, dir_fd=directory)
                return False
            finally:
                os.close(directory)
        except OSError as error:
            raise FileSystemError(file.path, f"something else is there: {error.strerror or error}") from error


def _parent(folder: Path, path: str, *, create: bool) -> tuple[int, str]:
    """The open directory that a path's last name is in, and that name. No link of the guest's is followed."""
    *above, name = path.strip("/").split("/")
    directory = os.open(folder, _DIRECTORY)
    try:
        for step in above:
            if create:
                with suppress(FileExistsError):
                    os.mkdir(step, 0o700, dir_fd=directory)
            below = os.open(step, _DIRECTORY, dir_fd=directory)
            os.close(directory)
            directory = below
    except BaseException:
        os.close(directory)
        raise
    return directory, name


def _settle(number: int) -> None:
    os.fsync(number)
