"""Finds what a guest's path names, without ever leaving the directory that the path is relative to.

A path is walked name by name from an open directory. No step lets the kernel follow a symbolic link or `..`: links
are read and expanded here, and `..` goes back to a directory that the walk came through. So nothing outside can be
reached, even if names are exchanged for links while the walk is under way (reference: host-interfaces, section 3.4;
the rules are those of "path resolution" in the WASI filesystem proposal).
"""

from __future__ import annotations

import errno
import os
from types import TracebackType

from golem_server.host.filesystem_errors import FilesystemError

MAX_PATH_BYTES = 1024
"""The longest path (reference: reliability, section 3)."""

MAX_NAME_BYTES = 255
MAX_LINKS = 40
MAX_STEPS = 4096
"""Names that one walk looks at, links expanded: bounds the work that a tangle of links causes."""

MAX_DEPTH = 128
"""Directories below each other: bounds the descriptors of one walk, and lets whoever removes the tree recurse."""

HERE = b"."

_DIRECTORY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Place:
    """What a path names: `name` in the open directory `directory`, existing or not.

    `name` is `HERE` where the path names the directory itself. `as_directory` says that the path was written with
    a slash at its end. The directories opened on the way stay open until the `with` block ends.
    """

    def __init__(self, base: int) -> None:
        self._base = base
        self._opened: list[int] = []
        self.name = HERE
        self.as_directory = False

    @property
    def directory(self) -> int:
        """The descriptor of the directory that holds the name."""
        return self._opened[-1] if self._opened else self._base

    def stat(self) -> os.stat_result:
        """What is there now; a link is not followed. Raises FileNotFoundError."""
        return os.stat(self.name, dir_fd=self.directory, follow_symlinks=False)

    def find(self) -> os.stat_result | None:
        """The same, None where nothing is."""
        try:
            return self.stat()
        except FileNotFoundError:
            return None

    def descend(self, name: bytes) -> None:
        """Go on to a directory. Raises OSError for what is no directory, a link to one included."""
        if len(self._opened) >= MAX_DEPTH:
            raise FilesystemError("name-too-long")
        self._opened.append(os.open(name, _DIRECTORY, dir_fd=self.directory))

    def ascend(self) -> None:
        """Go back to the directory that the walk came from."""
        if not self._opened:
            raise FilesystemError("not-permitted")
        os.close(self._opened.pop())

    def close(self) -> None:
        """Close the directories of the walk."""
        while self._opened:
            os.close(self._opened.pop())

    def __enter__(self) -> Place:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def resolve(base: int, path: str, *, follow: bool) -> Place:
    """Where `path` leads from the open directory `base`; a link at its very end counts only if `follow` is set.

    Raises FilesystemError or OSError: `not-permitted` for paths and links that are absolute or lead above `base`,
    `no-entry` and `not-directory` for a missing directory on the way, `loop` for too many links.
    """
    encoded = encode_path(path)
    place = Place(base)
    try:
        _walk(place, encoded, follow)
    except BaseException:
        place.close()
        raise
    return place


def encode_path(path: str) -> bytes:
    """The path as the system takes it. Raises FilesystemError for one that is too long, empty or absolute."""
    encoded = path.encode("utf-8", "surrogatepass")
    if len(encoded) > MAX_PATH_BYTES:
        raise FilesystemError("name-too-long")
    if not encoded:
        raise FilesystemError("no-entry")
    if b"\0" in encoded:
        raise FilesystemError("invalid")
    if encoded.startswith(b"/"):
        raise FilesystemError("not-permitted")
    return encoded


def written_as_directory(path: str) -> bool:
    """Whether a path can only name a directory: then a link at its end is followed where something is looked up."""
    return _ends_as_directory(path.encode("utf-8", "surrogatepass"))


def _walk(place: Place, path: bytes, follow: bool) -> None:
    place.as_directory = _ends_as_directory(path)
    pending = _names_reversed(path)
    links = 0
    steps = 0
    while pending:
        name = pending.pop()
        steps += 1
        if steps > MAX_STEPS:
            raise FilesystemError("loop")
        if name == b"..":
            place.ascend()
            continue
        target = _enter(place, name) if pending else _link_target(place, name) if follow else None
        if target is None:
            if not pending:
                place.name = name
                return
            continue
        links += 1
        if links > MAX_LINKS:
            raise FilesystemError("loop")
        if target.startswith(b"/"):
            raise FilesystemError("not-permitted")
        if not pending and _ends_as_directory(target):
            place.as_directory = True
        pending.extend(_names_reversed(target))
    place.as_directory = True


def _enter(place: Place, name: bytes) -> bytes | None:
    """Go on to the directory `name`, or give the target of the link that is there."""
    try:
        place.descend(name)
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            target = _link_target(place, name)
            if target is not None:
                return target
        raise
    return None


def _link_target(place: Place, name: bytes) -> bytes | None:
    try:
        return os.readlink(name, dir_fd=place.directory)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT):
            return None
        raise


def _names_reversed(path: bytes) -> list[bytes]:
    names = [name for name in path.split(b"/") if name and name != b"."]
    if any(len(name) > MAX_NAME_BYTES for name in names):
        raise FilesystemError("name-too-long")
    names.reverse()
    return names


def _ends_as_directory(path: bytes) -> bool:
    return path.endswith((b"/", b"/.")) or path == b"."
