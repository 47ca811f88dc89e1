"""Attributes of files: what a guest sees of them, and the times, which are the one thing that replay cannot repeat.

A stat runs in both modes. The times that it found live are its recorded response; in replay they take the place of
those found then and are set on the file, so that later calls build on the times that the guest knows. Facts that
depend on the disk (sizes and links of directories, the time of the last status change) are constants.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct

from golem_server.durable.context import WorkerContext
from golem_server.host.filesystem_descriptor import check_writable, type_of
from golem_server.host.filesystem_errors import FilesystemError
from golem_server.model.types import Value

DIRECTORY_BYTES = 4096
"""The size of every directory."""

_ACCESS = "data-access-timestamp"
_MODIFICATION = "data-modification-timestamp"
_MAX_SECONDS = (1 << 63) // 1_000_000_000


class Target:
    """An open file, or a name in an open directory, that has attributes."""

    def __init__(self, number: int, name: bytes | None) -> None:
        self._number = number
        self._name = name

    def stat(self) -> os.stat_result:
        """The attributes now; a link is not followed."""
        if self._name is None:
            return os.fstat(self._number)
        return os.stat(self._name, dir_fd=self._number, follow_symlinks=False)

    def set_times(self, access_ns: int, modification_ns: int) -> None:
        """Set the times, in nanoseconds since the epoch."""
        times = (access_ns, modification_ns)
        if self._name is None:
            os.utime(self._number, ns=times)
        else:
            os.utime(self._name, ns=times, dir_fd=self._number, follow_symlinks=False)


def recorded_times(status: os.stat_result) -> Value:
    """What the oplog keeps of a stat."""
    return {_ACCESS: datetime_of(status.st_atime_ns), _MODIFICATION: datetime_of(status.st_mtime_ns)}


def attributes(target: Target, times: Value) -> Value:
    """The `descriptor-stat` of a file with its recorded times, which are also set on it."""
    status = target.stat()
    access_ns, modification_ns = nanoseconds_of(times[_ACCESS]), nanoseconds_of(times[_MODIFICATION])
    if (access_ns, modification_ns) != (status.st_atime_ns, status.st_mtime_ns):
        target.set_times(access_ns, modification_ns)
    directory = stat.S_ISDIR(status.st_mode)
    return {
        "type": type_of(status.st_mode),
        "link-count": 1 if directory else status.st_nlink,
        "size": DIRECTORY_BYTES if directory else status.st_size,
        _ACCESS: times[_ACCESS],
        _MODIFICATION: times[_MODIFICATION],
        "status-change-timestamp": None,
    }


def metadata_hash(found: Value) -> Value:
    """A `metadata-hash-value` of the attributes that replay repeats."""
    modified = found[_MODIFICATION]
    packed = struct.pack("<QIQ", modified["seconds"], modified["nanoseconds"], found["size"])
    lower, upper = struct.unpack("<QQ", hashlib.blake2b(packed, digest_size=16).digest())
    return {"lower": lower, "upper": upper}


def change_times(context: WorkerContext, target: Target, access: Value, modification: Value) -> None:
    """Apply two `new-timestamp` values. Raises FilesystemError for a time that no file can have."""
    status = target.stat()
    check_writable(status)
    now = context.clock.now_ns()
    target.set_times(
        _new_time(access, status.st_atime_ns, now),
        _new_time(modification, status.st_mtime_ns, now),
    )


def datetime_of(nanoseconds: int) -> Value:
    """A `datetime` of nanoseconds since the epoch. What is before the epoch has no such value and becomes 0."""
    seconds, rest = divmod(max(0, nanoseconds), 1_000_000_000)
    return {"seconds": seconds, "nanoseconds": rest}


def nanoseconds_of(moment: Value) -> int:
    """Nanoseconds since the epoch of a `datetime`."""
    return moment["seconds"] * 1_000_000_000 + moment["nanoseconds"]


def _new_time(new: Value, current_ns: int, now_ns: int) -> int:
    case, moment = new
    if case == "no-change":
        return current_ns
    if case == "now":
        return now_ns
    if moment["nanoseconds"] >= 1_000_000_000:
        raise FilesystemError("invalid")
    if moment["seconds"] >= _MAX_SECONDS:
        raise FilesystemError("overflow")
    return nanoseconds_of(moment)
