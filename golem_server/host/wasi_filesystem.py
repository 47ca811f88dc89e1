"""wasi:filesystem, versions 0.2.0 to 0.2.9: a folder per worker, shown to the guest as `/` and `.`.

Nothing is recorded but the times of files (`filesystem_times`): the folder starts each time as it started the
first time, and replay executes the guest's operations again. So everything that a guest can learn of its files must
follow from its own operations alone (reference: host-interfaces, section 3.4).
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from stat import S_ISDIR
from typing import Any

from golem_server.durable.context import WorkerContext
from golem_server.durable.host_function import HostInterface
from golem_server.host.filesystem_descriptor import Descriptor
from golem_server.host.filesystem_errors import ERROR_CODES, FilesystemError, error_code
from golem_server.host.filesystem_paths import HERE, written_as_directory
from golem_server.host.filesystem_sandbox import Sandbox, key_of
from golem_server.host.filesystem_streams import MAX_TRANSFER_BYTES, FileInputStream, FileOutputStream, read_at
from golem_server.host.filesystem_times import (
    Target,
    attributes,
    change_times,
    metadata_hash,
    recorded_times,
)
from golem_server.host.resources import IoError
from golem_server.model.errors import UnexpectedOplogEntry
from golem_server.model.oplog import Category
from golem_server.model.types import Value

types = HostInterface("wasi:filesystem/types")
preopens = HostInterface("wasi:filesystem/preopens")

INTERFACES = [types, preopens]

_STAT = "filesystem::types::descriptor::stat"
_STAT_AT = "filesystem::types::descriptor::stat_at"
_ERRORS = (FilesystemError, OSError)


class DirectoryEntryStream:
    """The entries of a directory as they were when it was listed."""

    def __init__(self, sandbox: Sandbox, entries: list[tuple[str, str]]) -> None:
        self._sandbox = sandbox
        self._count = len(entries)
        self._entries = iter(entries)

    def next(self) -> Value:
        """The next `directory-entry`, None at the end."""
        entry = next(self._entries, None)
        return None if entry is None else {"type": entry[0], "name": entry[1]}

    def dropped(self) -> None:
        """The guest is done with it."""
        self._sandbox.listing_dropped(self._count)


@preopens.unrecorded("get-directories")
def get_directories(context: WorkerContext) -> Value:
    """The worker's folder under both of its names."""
    sandbox = Sandbox.of(context)
    return [(context.resources.add(Descriptor.root(sandbox, name)), name) for name in ("/", ".")]


def method(name: str) -> Callable[[Callable[..., Value]], Callable[..., Value]]:
    """Declare a method of `descriptor` by what it does: its value is the `ok` of a result, its errors the `err`."""

    def declare(function: Callable[..., Value]) -> Callable[..., Value]:
        def call(context: WorkerContext, handle: int, *arguments: Value) -> Value:
            descriptor = context.resources.get(handle, Descriptor)
            try:
                return ("ok", function(context, descriptor, *arguments))
            except _ERRORS as error:
                return ("err", error_code(error))

        types.unrecorded(f"[method]descriptor.{name}")(call)
        return function

    return declare


# --- Contents


@method("read-via-stream")
def read_via_stream(context: WorkerContext, descriptor: Descriptor, offset: int) -> Value:
    """A stream that reads from `offset` on."""
    return _keep(context, FileInputStream(descriptor.file_to_read(), offset))


@method("write-via-stream")
def write_via_stream(context: WorkerContext, descriptor: Descriptor, offset: int) -> Value:
    """A stream that writes from `offset` on."""
    return _keep(context, FileOutputStream(descriptor.file_to_write(), offset))


@method("append-via-stream")
def append_via_stream(context: WorkerContext, descriptor: Descriptor) -> Value:
    """A stream that writes at the end."""
    return _keep(context, FileOutputStream(descriptor.file_to_write(), None))


@method("read")
def read(context: WorkerContext, descriptor: Descriptor, length: int, offset: int) -> Value:
    """Bytes from `offset` on, and whether the end was reached: only when there are none, as in wasmtime."""
    content = read_at(descriptor.file_to_read(), length, offset)
    return (content, not content)


@method("write")
def write(context: WorkerContext, descriptor: Descriptor, buffer: bytes, offset: int) -> Value:
    """Write at `offset`; gives how much was written."""
    content = bytes(buffer[:MAX_TRANSFER_BYTES])
    descriptor.file_to_write().write(content, offset)
    return len(content)


@method("set-size")
def set_size(context: WorkerContext, descriptor: Descriptor, size: int) -> Value:
    """Cut the file off, or fill it up with zeroes."""
    descriptor.file_to_write().resize(size)


@method("advise")
def advise(context: WorkerContext, descriptor: Descriptor, offset: int, length: int, advice: str) -> Value:
    """Nothing is done with the advice."""
    descriptor.file()


@method("sync-data")
def sync_data(context: WorkerContext, descriptor: Descriptor) -> Value:
    """Nothing to do: what makes a worker's files durable is its oplog."""


@method("sync")
def sync(context: WorkerContext, descriptor: Descriptor) -> Value:
    """Nothing to do, like `sync_data`."""


# --- Attributes


@method("get-flags")
def get_flags(context: WorkerContext, descriptor: Descriptor) -> Value:
    """How it was opened."""
    return list(descriptor.flags)


@method("get-type")
def get_type(context: WorkerContext, descriptor: Descriptor) -> Value:
    """File or directory."""
    return descriptor.type


@method("set-times")
def set_times(context: WorkerContext, descriptor: Descriptor, access: Value, modification: Value) -> Value:
    """Set the times of what is open."""
    with _itself(descriptor) as target:
        change_times(context, target, access, modification)


@method("set-times-at")
def set_times_at(
    context: WorkerContext, descriptor: Descriptor, flags: Value, path: str, access: Value, modification: Value
) -> Value:
    """Set the times of what a path names."""
    with _named(descriptor, flags, path) as target:
        change_times(context, target, access, modification)


@types.unrecorded("[method]descriptor.is-same-object")
def is_same_object(context: WorkerContext, handle: int, other: int) -> Value:
    """Whether two descriptors are of one object. Both are open, so the system's numbers cannot have been used again."""
    first, second = (context.resources.get(number, Descriptor) for number in (handle, other))
    return key_of(first.status()) == key_of(second.status())


def _stat_request(context: WorkerContext, handle: int) -> Value:
    return {"path": context.resources.get(handle, Descriptor).path}


def _stat_at_request(context: WorkerContext, handle: int, _flags: Value, path: str) -> Value:
    return {"path": f"{context.resources.get(handle, Descriptor).path.rstrip('/')}/{path}"}


def _times(context: WorkerContext, handle: int) -> Value:
    return _live_times(_itself(context.resources.get(handle, Descriptor)))


def _times_at(context: WorkerContext, handle: int, flags: Value, path: str) -> Value:
    return _live_times(_named(context.resources.get(handle, Descriptor), flags, path))


def _attributes(context: WorkerContext, response: Value, handle: int) -> Value:
    return _with_times(_STAT, _itself(context.resources.get(handle, Descriptor)), response)


def _attributes_at(context: WorkerContext, response: Value, handle: int, flags: Value, path: str) -> Value:
    return _with_times(_STAT_AT, _named(context.resources.get(handle, Descriptor), flags, path), response)


stat = types.recorded("[method]descriptor.stat", Category.READ_LOCAL, _STAT, request=_stat_request)(_times)
stat.finish(_attributes)

stat_at = types.recorded("[method]descriptor.stat-at", Category.READ_LOCAL, _STAT_AT, request=_stat_at_request)(
    _times_at
)
stat_at.finish(_attributes_at)

hash_itself = types.recorded("[method]descriptor.metadata-hash", Category.READ_LOCAL, _STAT, request=_stat_request)(
    _times
)


@hash_itself.finish
def hash_of_itself(context: WorkerContext, response: Value, handle: int) -> Value:
    """The hash of a stat that is recorded as one."""
    return _hash(_attributes(context, response, handle))


hash_at = types.recorded(
    "[method]descriptor.metadata-hash-at", Category.READ_LOCAL, _STAT_AT, request=_stat_at_request
)(_times_at)


@hash_at.finish
def hash_of_named(context: WorkerContext, response: Value, handle: int, flags: Value, path: str) -> Value:
    """The hash of a stat-at that is recorded as one."""
    return _hash(_attributes_at(context, response, handle, flags, path))


# --- Directories


@method("read-directory")
def read_directory(context: WorkerContext, descriptor: Descriptor) -> Value:
    """The entries, sorted by name: the order of the system follows from no operation of the guest."""
    entries = descriptor.entries()
    descriptor.sandbox.listing_made(len(entries))
    return context.resources.add(DirectoryEntryStream(descriptor.sandbox, entries))


@types.unrecorded("[method]directory-entry-stream.read-directory-entry")
def read_directory_entry(context: WorkerContext, handle: int) -> Value:
    """The next entry."""
    return ("ok", context.resources.get(handle, DirectoryEntryStream).next())


@method("open-at")
def open_at(
    context: WorkerContext, descriptor: Descriptor, path_flags: Value, path: str, open_flags: Value, flags: Value
) -> Value:
    """Open or create what a path names."""
    return _keep(context, descriptor.open(path, "symlink-follow" in path_flags, open_flags, flags))


@method("create-directory-at")
def create_directory_at(context: WorkerContext, descriptor: Descriptor, path: str) -> Value:
    """Make a directory."""
    descriptor.create_directory(path)


@method("remove-directory-at")
def remove_directory_at(context: WorkerContext, descriptor: Descriptor, path: str) -> Value:
    """Remove an empty directory."""
    descriptor.remove_directory(path)


@method("unlink-file-at")
def unlink_file_at(context: WorkerContext, descriptor: Descriptor, path: str) -> Value:
    """Remove a name that is no directory's."""
    descriptor.unlink(path)


@method("rename-at")
def rename_at(context: WorkerContext, descriptor: Descriptor, old_path: str, other: int, new_path: str) -> Value:
    """Move, replacing what is there."""
    descriptor.rename(old_path, context.resources.get(other, Descriptor), new_path)


@method("link-at")
def link_at(
    context: WorkerContext, descriptor: Descriptor, old_flags: Value, old_path: str, other: int, new_path: str
) -> Value:
    """Give a file one more name."""
    follow = "symlink-follow" in old_flags
    descriptor.link(follow, old_path, context.resources.get(other, Descriptor), new_path)


@method("symlink-at")
def symlink_at(context: WorkerContext, descriptor: Descriptor, old_path: str, new_path: str) -> Value:
    """Make a symbolic link."""
    descriptor.symlink(old_path, new_path)


@method("readlink-at")
def readlink_at(context: WorkerContext, descriptor: Descriptor, path: str) -> Value:
    """What a symbolic link says."""
    return descriptor.readlink(path)


@types.unrecorded("filesystem-error-code")
def filesystem_error_code(context: WorkerContext, error: int) -> Value:
    """The code behind a stream's error, if it was a file's."""
    code = context.resources.get(error, IoError).code
    return code if isinstance(code, str) and code in ERROR_CODES else None


def _live_times(place: AbstractContextManager[Target]) -> Value:
    """The response of a stat: the times, or the error."""
    try:
        with place as target:
            return ("ok", recorded_times(target.stat()))
    except _ERRORS as error:
        return ("err", error_code(error))


def _with_times(record: str, place: AbstractContextManager[Target], response: Value) -> Value:
    """The result of a stat whose times are known, in both modes."""
    if response[0] == "err":
        return ("err", response[1])
    try:
        with place as target:
            return ("ok", attributes(target, response[1]))
    except _ERRORS as error:
        raise UnexpectedOplogEntry(f"HostCall({record}) of a file that is missing", error_code(error)) from error


def _hash(result: Value) -> Value:
    return ("ok", metadata_hash(result[1])) if result[0] == "ok" else result


@contextmanager
def _itself(descriptor: Descriptor) -> Generator[Target, None, None]:
    with descriptor.number() as number:
        yield Target(number, HERE if descriptor.is_directory else None)


@contextmanager
def _named(descriptor: Descriptor, flags: Value, path: str) -> Generator[Target, None, None]:
    follow = "symlink-follow" in flags or written_as_directory(path)
    with descriptor.place(path, follow=follow) as place:
        if place.as_directory and not S_ISDIR(place.stat().st_mode):
            raise FilesystemError("not-directory")
        yield Target(place.directory, place.name)


def _keep(context: WorkerContext, resource: Any) -> int:
    """Give a resource a handle; it is closed if there is none left."""
    try:
        return context.resources.add(resource)
    except BaseException:
        resource.close()
        raise
