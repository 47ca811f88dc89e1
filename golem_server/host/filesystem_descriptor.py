"""What a guest's descriptor stands for: an open file or directory, and what can be done below a directory.

Methods give plain results and raise FilesystemError or OSError; `filesystem_errors` says what becomes of these.
Where the text of the interface leaves room, the behaviour is that of wasmtime's own implementation, which the
libraries of guests are tested with: directories opened from a writable one are writable, a file that is opened with
`create` can be written.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Generator
from contextlib import contextmanager
from typing import TypeAlias

from golem_server.host.filesystem_errors import FilesystemError
from golem_server.host.filesystem_paths import HERE, MAX_PATH_BYTES, Place, resolve, written_as_directory
from golem_server.host.filesystem_sandbox import OpenFile, Sandbox, height, key_of

Flags: TypeAlias = Collection[str]

ROOT_FLAGS = ("read", "mutate-directory")

_FILE_FLAGS = ("read", "write", "file-integrity-sync", "data-integrity-sync", "requested-write-sync")
_WRITABLE_BITS = 0o222


class Descriptor:
    """An open file or directory.

    `file` is None for the worker's folder itself, which is opened when it is used. `path` is what the guest calls
    it, for the oplog's readers only. A regular file without a single permission to write is an initial file that the
    guest may only read: `read_only`.
    """

    def __init__(
        self, sandbox: Sandbox, file: OpenFile | None, *, directory: bool, flags: list[str], read_only: bool, path: str
    ) -> None:
        self.sandbox = sandbox
        self.is_directory = directory
        self.flags = flags
        self.read_only = read_only
        self.path = path
        self._file = file
        self._closed = False

    @classmethod
    def root(cls, sandbox: Sandbox, path: str) -> Descriptor:
        """The worker's folder."""
        return cls(sandbox, None, directory=True, flags=list(ROOT_FLAGS), read_only=False, path=path)

    def dropped(self) -> None:
        """Close it. Streams that were made of it go on."""
        self.close()

    def close(self) -> None:
        """The same, when the instance is given up."""
        if not self._closed:
            self._closed = True
            if self._file is not None:
                self._file.release()

    @property
    def type(self) -> str:
        """The case of `descriptor-type`."""
        return "directory" if self.is_directory else "regular-file"

    # --- The file

    def file(self) -> OpenFile:
        """The open file. Raises FilesystemError for a directory."""
        if self.is_directory or self._file is None:
            raise FilesystemError("bad-descriptor")
        return self._file

    def file_to_read(self) -> OpenFile:
        """The same, only where the descriptor allows reading."""
        file = self.file()
        if "read" not in self.flags:
            raise FilesystemError("bad-descriptor")
        return file

    def file_to_write(self) -> OpenFile:
        """The same, only where the descriptor allows writing."""
        file = self.file()
        if self.read_only:
            raise FilesystemError("not-permitted")
        if "write" not in self.flags:
            raise FilesystemError("bad-descriptor")
        return file

    @contextmanager
    def number(self) -> Generator[int, None, None]:
        """The system's descriptor of the file or directory, within the block."""
        if self._file is not None:
            yield self._file.number
        else:
            with self.sandbox.root() as number:
                yield number

    def status(self) -> os.stat_result:
        """What it is now."""
        with self.number() as number:
            return os.fstat(number)

    # --- What lies below a directory

    @contextmanager
    def place(self, path: str, *, follow: bool = False) -> Generator[Place, None, None]:
        """Where a path relative to this directory leads, within the block."""
        if not self.is_directory:
            raise FilesystemError("not-directory")
        with self.number() as number, resolve(number, path, follow=follow) as place:
            yield place

    def entries(self) -> list[tuple[str, str]]:
        """Types and names of what is in the directory, sorted by name."""
        if not self.is_directory:
            raise FilesystemError("not-directory")
        with self.number() as base:
            number = os.open(HERE, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=base)
        try:
            with os.scandir(number) as found:
                entries = [(_type_of_entry(entry), _text(os.fsencode(entry.name))) for entry in found]
        finally:
            os.close(number)
        entries.sort(key=lambda entry: entry[1])
        return entries

    def open(self, path: str, follow: bool, open_flags: Flags, flags: Flags) -> Descriptor:
        """Open what a path names, creating a file if `open_flags` say so."""
        create = "create" in open_flags
        exclusive = create and "exclusive" in open_flags
        if "directory" in open_flags and (create or "exclusive" in open_flags or "truncate" in open_flags):
            raise FilesystemError("invalid")
        self.sandbox.check_open()
        follow = follow or written_as_directory(path)
        with self.place(path, follow=follow and not exclusive) as place:
            before = place.find()
            if before is None:
                if not create:
                    raise FilesystemError("no-entry")
                number, mode = self._create(place), stat.S_IFREG | _WRITABLE_BITS
            else:
                _check_open(place, before.st_mode, create, exclusive, open_flags, flags)
                number, mode = _open(place, before.st_mode, create, flags), before.st_mode
        file = self.sandbox.opened(number)
        try:
            return self._opened(file, mode, path, create, open_flags, flags)
        except BaseException:
            file.release()
            raise

    def _create(self, place: Place) -> int:
        if place.as_directory:
            raise FilesystemError("is-directory")
        self.sandbox.check_name()
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        number = os.open(place.name, flags, 0o600, dir_fd=place.directory)
        self.sandbox.name_added()
        return number

    def _opened(
        self, file: OpenFile, mode: int, path: str, create: bool, open_flags: Flags, flags: Flags
    ) -> Descriptor:
        directory = stat.S_ISDIR(mode)
        if stat.S_IFMT(os.fstat(file.number).st_mode) != stat.S_IFMT(mode):
            raise FilesystemError("no-entry")
        read_only = not directory and not mode & _WRITABLE_BITS
        if "truncate" in open_flags:
            file.resize(0)
        if directory:
            kept = [flag for flag in ROOT_FLAGS if flag in flags]
        else:
            kept = [flag for flag in _FILE_FLAGS if flag in flags or (flag == "write" and create)]
            if read_only and "write" in kept:
                kept.remove("write")
        name = f"{self.path.rstrip('/')}/{path}"
        return Descriptor(self.sandbox, file, directory=directory, flags=kept, read_only=read_only, path=name)

    def create_directory(self, path: str) -> None:
        """Make a directory."""
        with self.place(path) as place:
            if place.find() is not None:
                raise FilesystemError("exist")
            self.sandbox.check_name()
            self.sandbox.check_depth(place.directory, 1)
            os.mkdir(place.name, 0o700, dir_fd=place.directory)
            self.sandbox.name_added()

    def remove_directory(self, path: str) -> None:
        """Remove an empty directory."""
        with self.place(path) as place:
            if place.name == HERE:
                raise FilesystemError("invalid")
            before = place.stat()
            os.rmdir(place.name, dir_fd=place.directory)
            self.sandbox.name_removed(before)

    def unlink(self, path: str) -> None:
        """Remove a name that is no directory's."""
        with self.place(path) as place:
            before = place.stat()
            if stat.S_ISDIR(before.st_mode):
                raise FilesystemError("is-directory")
            if place.as_directory:
                raise FilesystemError("not-directory")
            check_writable(before)
            os.unlink(place.name, dir_fd=place.directory)
            self.sandbox.name_removed(before)

    def rename(self, old_path: str, other: Descriptor, new_path: str) -> None:
        """Move what is at `old_path` to `new_path` below `other`, replacing what is there."""
        with self.place(old_path) as old, other.place(new_path) as new:
            if old.name == HERE or new.name == HERE:
                raise FilesystemError("busy")
            moved, replaced = old.stat(), new.find()
            directory = stat.S_ISDIR(moved.st_mode)
            if (old.as_directory or new.as_directory) and not directory:
                raise FilesystemError("not-directory")
            check_writable(moved)
            if replaced is not None:
                if key_of(replaced) == key_of(moved):
                    return
                check_writable(replaced)
            if directory and self.sandbox.depth(new.directory) > self.sandbox.depth(old.directory):
                self.sandbox.check_depth(new.directory, height(old.directory, old.name))
            os.rename(old.name, new.name, src_dir_fd=old.directory, dst_dir_fd=new.directory)
            if replaced is not None:
                self.sandbox.name_removed(replaced)

    def link(self, follow: bool, old_path: str, other: Descriptor, new_path: str) -> None:
        """Give a file a second name below `other`."""
        with self.place(old_path, follow=follow) as old, other.place(new_path) as new:
            found = old.stat()
            if stat.S_ISDIR(found.st_mode):
                raise FilesystemError("not-permitted")
            if old.as_directory:
                raise FilesystemError("not-directory")
            _check_new(new)
            self.sandbox.check_name()
            os.link(old.name, new.name, src_dir_fd=old.directory, dst_dir_fd=new.directory, follow_symlinks=False)
            self.sandbox.name_added()

    def symlink(self, target: str, path: str) -> None:
        """Make a symbolic link. Only links that are absolute are refused: whoever follows one is checked."""
        content = target.encode("utf-8", "surrogatepass")
        if content.startswith(b"/"):
            raise FilesystemError("not-permitted")
        if len(content) > MAX_PATH_BYTES:
            raise FilesystemError("name-too-long")
        if b"\0" in content:
            raise FilesystemError("invalid")
        with self.place(path) as place:
            _check_new(place)
            self.sandbox.check_name()
            os.symlink(content, place.name, dir_fd=place.directory)
            self.sandbox.name_added()

    def readlink(self, path: str) -> str:
        """What a symbolic link says."""
        with self.place(path) as place:
            if place.as_directory:
                raise FilesystemError("invalid")
            target = os.readlink(place.name, dir_fd=place.directory)
        if target.startswith(b"/"):
            raise FilesystemError("not-permitted")
        return _text(target)


def type_of(mode: int) -> str:
    """The case of `descriptor-type` for a file's mode. Nothing else can come to be in a worker's folder."""
    if stat.S_ISDIR(mode):
        return "directory"
    if stat.S_ISLNK(mode):
        return "symbolic-link"
    return "regular-file" if stat.S_ISREG(mode) else "unknown"


def _type_of_entry(entry: os.DirEntry[str]) -> str:
    """The same for an entry of a listing, without asking the system about each."""
    if entry.is_symlink():
        return "symbolic-link"
    if entry.is_dir(follow_symlinks=False):
        return "directory"
    return "regular-file" if entry.is_file(follow_symlinks=False) else "unknown"


def _check_open(place: Place, mode: int, create: bool, exclusive: bool, open_flags: Flags, flags: Flags) -> None:
    """Raise FilesystemError if what exists must not be opened in this way."""
    if exclusive:
        raise FilesystemError("exist")
    if stat.S_ISLNK(mode):
        raise FilesystemError("loop")
    if stat.S_ISDIR(mode):
        if create or "write" in flags or "truncate" in open_flags:
            raise FilesystemError("is-directory")
    elif not stat.S_ISREG(mode):
        raise FilesystemError("unsupported")
    elif place.as_directory or "directory" in open_flags:
        raise FilesystemError("not-directory")
    elif "truncate" in open_flags and not mode & _WRITABLE_BITS:
        raise FilesystemError("not-permitted")


def _open(place: Place, mode: int, create: bool, flags: Flags) -> int:
    # Without O_NONBLOCK a pipe put there by someone else would hold up the server.
    kept = os.O_NOFOLLOW | os.O_NONBLOCK
    if stat.S_ISDIR(mode):
        return os.open(place.name, kept | os.O_RDONLY | os.O_DIRECTORY, dir_fd=place.directory)
    writable = bool(mode & _WRITABLE_BITS)
    return os.open(place.name, kept | (os.O_RDWR if writable else os.O_RDONLY), dir_fd=place.directory)


def _check_new(place: Place) -> None:
    if place.find() is not None:
        raise FilesystemError("exist")
    if place.as_directory:
        raise FilesystemError("no-entry")


def check_writable(status: os.stat_result) -> None:
    """Raise FilesystemError for an initial file that the guest may only read."""
    if stat.S_ISREG(status.st_mode) and not status.st_mode & _WRITABLE_BITS:
        raise FilesystemError("not-permitted")


def _text(name: bytes) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError as error:
        raise FilesystemError("illegal-byte-sequence") from error
