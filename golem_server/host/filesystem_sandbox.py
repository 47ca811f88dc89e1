"""A worker's folder as its guest may use it: how much it may hold, and what is open in it.

What counts is what the guest's own operations make, in bytes of contents (holes included) and in names, never
blocks of a disk: so that replay meets a limit where the live run met it. A file that lost its last name counts
until its last descriptor is closed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from golem_server.durable.context import WorkerContext
from golem_server.durable.signals import TransientFailure
from golem_server.host.filesystem_errors import FilesystemError
from golem_server.host.filesystem_paths import MAX_DEPTH
from golem_server.model.errors import InternalBug

_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

FileKey: TypeAlias = tuple[int, int]
"""What is the same for two descriptors of one object: device and inode. Never shown to the guest."""


@dataclass(frozen=True, slots=True)
class FilesystemLimits:
    """What one worker may keep in its folder (reference: reliability, section 3).

    `names` counts files, directories and links; `open_descriptors` what the guest holds open at one time, the
    preopened folder excepted; `listed_names` the names in directory listings that it has not dropped.
    """

    total_bytes: int = 1 << 30
    names: int = 10_000
    open_descriptors: int = 512
    listed_names: int = 100_000


class OpenFile:
    """An open descriptor of the system, shared by a guest's descriptor and the streams made of it."""

    def __init__(self, sandbox: Sandbox, number: int, key: FileKey) -> None:
        self._sandbox = sandbox
        self._references = 1
        self.number = number
        self.key = key

    @property
    def sandbox(self) -> Sandbox:
        """The folder that the file is in."""
        return self._sandbox

    def share(self) -> OpenFile:
        """The same file for one more holder, who must `release` it."""
        self._references += 1
        return self

    def release(self) -> None:
        """One holder is done; the last one closes the file."""
        self._references -= 1
        if self._references == 0:
            self._sandbox.close(self)

    @property
    def size(self) -> int:
        """The size of the contents in bytes."""
        return os.fstat(self.number).st_size

    def write(self, content: bytes, offset: int) -> None:
        """Write all of `content` at `offset`. Raises FilesystemError where the worker's space does not suffice."""
        if not content:
            return
        self._sandbox.charge_bytes(max(0, offset + len(content) - self.size))
        view = memoryview(content)
        while view:
            written = os.pwrite(self.number, view, offset)
            view = view[written:]
            offset += written

    def resize(self, size: int) -> None:
        """Cut the contents off or fill them up with zeroes. Raises FilesystemError like `write`."""
        self._sandbox.charge_bytes(size - self.size)
        os.ftruncate(self.number, size)


class Sandbox:
    """The folder of one instance, with what its guest has used of the limits."""

    def __init__(self, root: Path, limits: FilesystemLimits) -> None:
        self._root = root
        self._limits = limits
        self._open: dict[FileKey, set[OpenFile]] = {}
        self._open_count = 0
        self._nameless: set[FileKey] = set()
        self._listed = 0
        self.total_bytes, self.names = _usage(root)

    @staticmethod
    def of(context: WorkerContext) -> Sandbox:
        """The sandbox of the worker's instance, made at first use."""
        sandbox = context.local.get(Sandbox)
        if sandbox is None:
            try:
                sandbox = context.local[Sandbox] = Sandbox(context.files, _limits(context))
                context.on_files_changed.append(sandbox.count_again)
            except OSError as error:
                raise TransientFailure(f"the worker's folder cannot be read: {error.strerror}") from error
        return sandbox

    # --- The folder

    @contextmanager
    def root(self) -> Generator[int, None, None]:
        """The folder's own directory, open within the block.

        It is opened anew each time, so that a worker that waits holds no descriptor of the system: there are many.
        """
        try:
            number = os.open(self._root, _DIRECTORY)
        except OSError as error:
            raise TransientFailure(f"the worker's folder cannot be opened: {error.strerror}") from error
        try:
            yield number
        finally:
            os.close(number)

    def check_depth(self, directory: int, levels: int) -> None:
        """Raise FilesystemError if something of `levels` directories is too much below the open `directory`."""
        if self.depth(directory) + levels > MAX_DEPTH:
            raise FilesystemError("name-too-long")

    def depth(self, directory: int) -> int:
        """How many steps up the folder itself is. Raises FilesystemError for a directory that was removed."""
        with self.root() as root:
            top = key_of(os.fstat(root))
        current = os.dup(directory)
        try:
            for depth in range(MAX_DEPTH + 1):
                if key_of(os.fstat(current)) == top:
                    return depth
                parent = os.open(b"..", _DIRECTORY, dir_fd=current)
                os.close(current)
                current = parent
        finally:
            os.close(current)
        raise FilesystemError("no-entry")

    # --- What it holds

    def count_again(self) -> None:
        """The folder was changed by somebody else than the guest."""
        nameless = sum(next(iter(self._open[key])).size for key in self._nameless)
        named, self.names = _usage(self._root)
        self.total_bytes = named + nameless

    def charge_bytes(self, delta: int) -> None:
        """The contents grow, or shrink. Raises FilesystemError when they would grow too much."""
        if delta > 0 and self.total_bytes + delta > self._limits.total_bytes:
            raise FilesystemError("insufficient-space")
        self.total_bytes += delta

    def check_name(self) -> None:
        """Raise FilesystemError if there is no room for one more name."""
        if self.names >= self._limits.names:
            raise FilesystemError("insufficient-space")

    def name_added(self) -> None:
        """Something was created or linked."""
        self.names += 1

    def name_removed(self, before: os.stat_result) -> None:
        """A name is gone; `before` is what it named."""
        self.names -= 1
        if not stat.S_ISREG(before.st_mode) or before.st_nlink > 1:
            return
        key = key_of(before)
        if key in self._open:
            self._nameless.add(key)
        else:
            self.total_bytes -= before.st_size

    # --- What is open

    def check_open(self) -> None:
        """Raise FilesystemError if the guest holds too much open."""
        if self._open_count >= self._limits.open_descriptors:
            raise FilesystemError("insufficient-memory")

    def opened(self, number: int) -> OpenFile:
        """Take over a descriptor of the system that was just opened."""
        key = key_of(os.fstat(number))
        self._open_count += 1
        file = OpenFile(self, number, key)
        self._open.setdefault(key, set()).add(file)
        return file

    def close(self, file: OpenFile) -> None:
        """The last holder of an open file is done with it."""
        left = self._open[file.key]
        left.discard(file)
        self._open_count -= 1
        if not left:
            del self._open[file.key]
            if file.key in self._nameless:
                self._nameless.discard(file.key)
                self.total_bytes -= file.size
        os.close(file.number)

    def listing_made(self, names: int) -> None:
        """A directory was listed. Raises FilesystemError when the guest holds too many listings."""
        if self._listed + names > self._limits.listed_names:
            raise FilesystemError("insufficient-memory")
        self._listed += names

    def listing_dropped(self, names: int) -> None:
        """The listing is gone."""
        self._listed -= names


def key_of(status: os.stat_result) -> FileKey:
    """The identity of what `status` is of."""
    return (status.st_dev, status.st_ino)


def height(directory: int, name: bytes) -> int:
    """How many directories are below each other in the directory `name` of the open `directory`, itself included."""
    number = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=directory)
    try:
        with os.scandir(number) as entries:
            below = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
            # Most file systems count `..` of subdirectories as links: two links say that there are none.
            deep = [os.fsencode(entry.name) for entry in below if entry.stat(follow_symlinks=False).st_nlink != 2]
        return 1 + max((height(number, found) for found in deep), default=1 if below else 0)
    finally:
        os.close(number)


def _usage(root: Path) -> tuple[int, int]:
    """Bytes and names in a folder: initial files count like those that the guest makes."""
    total_bytes = names = 0
    pending = [str(root)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                names += 1
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    total_bytes += entry.stat(follow_symlinks=False).st_size
    return total_bytes, names


def _limits(context: WorkerContext) -> FilesystemLimits:
    given = context.local.get(FilesystemLimits)
    if given is not None:
        return given
    try:
        return context.service(FilesystemLimits)
    except InternalBug:
        return FilesystemLimits()
