"""Initial files: what a worker finds in its folder when it is created, by the revision of its component.

A file has a path in the worker's folder, a content that is kept once however many revisions have it, and one of two
permissions. The same rules hold for those of a component and for those of an agent type (reference: rest-api,
section 8; cli-1.5, section 3.5).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from golem_server.model.errors import InvalidInput
from golem_server.model.json_types import Json

Permissions: TypeAlias = Literal["read-only", "read-write"]

MAX_PATH_BYTES = 1024
MAX_NAME_BYTES = 255
MAX_DEPTH = 100
"""Directories below each other; less than what guests may make themselves."""

_INVALID_PATH = "INVALID_FILE_PATH"


@dataclass(frozen=True, slots=True)
class InitialFile:
    """One file. `path` is absolute and canonical, `size` in bytes, `content_hash` BLAKE3 in hex."""

    path: str
    content_hash: str
    size: int
    permissions: Permissions = "read-only"

    @property
    def read_only(self) -> bool:
        """Whether the guest may not change it."""
        return self.permissions == "read-only"

    def to_json(self) -> dict[str, Json]:
        """What clients are told of it, in the words of all generations, and how it is kept."""
        return {
            "contentHash": self.content_hash,
            "key": self.content_hash,
            "path": self.path,
            "permissions": self.permissions,
            "size": self.size,
        }

    @classmethod
    def from_json(cls, json: Mapping[str, Json]) -> InitialFile:
        """What `to_json` made."""
        return cls(json["path"], json["contentHash"], json["size"], json["permissions"])


@dataclass(frozen=True, slots=True)
class FileChanges:
    """What a revision changes in the files of the one before, in this order: all that is `removed`, then `permissions`
    of files that stay, then files that are `added` or take the place of others. With `replace` none stays."""

    added: Sequence[InitialFile] = ()
    removed: Sequence[str] = ()
    permissions: Mapping[str, Permissions] = field(default_factory=dict[str, Permissions])
    replace: bool = False

    def applied(self, before: Iterable[InitialFile]) -> list[InitialFile]:
        """The files of the new revision, by path.

        Raises InvalidInput where a file to be changed is not there, or one would lie below another.
        """
        files = {} if self.replace else {file.path: file for file in before}
        for path in self.removed:
            if files.pop(path, None) is None:
                raise InvalidInput(f"Invalid file path: the revision before has no file {path}", code=_INVALID_PATH)
        for path, permissions in self.permissions.items():
            if path not in files:
                raise InvalidInput(f"Invalid file path: the revision before has no file {path}", code=_INVALID_PATH)
            files[path] = replace(files[path], permissions=permissions)
        files.update({file.path: file for file in self.added})
        check_files(files.values())
        return [file for _, file in sorted(files.items())]


NO_CHANGES = FileChanges()
"""The files stay as they are."""


def file_path(text: str) -> str:
    """The canonical form of a path in the worker's folder: `/data/a.txt`, also for `data//a.txt`. Raises InvalidInput.

    Paths that lead upwards are refused rather than resolved.
    """
    names = [name for name in text.split("/") if name not in ("", ".")]
    reason = None
    if not names:
        reason = "it names no file"
    elif ".." in names:
        reason = "it must not contain `..`"
    elif any(ord(character) < 32 or character == "\x7f" for character in text):
        reason = "it must not contain control characters"
    elif not _is_utf8(text):
        reason = "it is not valid Unicode"
    elif any(len(name.encode()) > MAX_NAME_BYTES for name in names):
        reason = f"a name is longer than {MAX_NAME_BYTES} bytes"
    elif len(text.encode()) > MAX_PATH_BYTES:
        reason = f"it is longer than {MAX_PATH_BYTES} bytes"
    elif len(names) > MAX_DEPTH:
        reason = f"it has more than {MAX_DEPTH} names"
    if reason is not None:
        raise InvalidInput(f"Invalid file path: {text[:200]!r}: {reason}", code=_INVALID_PATH)
    return "/" + "/".join(names)


def permissions_of(text: str | None) -> Permissions:
    """The permissions that a client means; read-only where it says nothing. Raises InvalidInput."""
    match (text or "read-only").lower():
        case "read-only" | "readonly" | "ro":
            return "read-only"
        case "read-write" | "readwrite" | "rw":
            return "read-write"
        case _:
            raise InvalidInput(f"Unknown file permissions {text!r}: expected read-only or read-write")


def check_files(files: Iterable[InitialFile]) -> None:
    """Raise InvalidInput where a file would have to be a directory too."""
    paths = {file.path for file in files}
    for path in paths:
        above = path.rpartition("/")[0]
        while above:
            if above in paths:
                raise InvalidInput(f"Invalid file path: {path} lies below {above}, which is a file", code=_INVALID_PATH)
            above = above.rpartition("/")[0]


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
