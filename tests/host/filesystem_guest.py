"""A guest that uses its files: the functions of wasi:filesystem under short names, called as a guest calls them.

Handles are those of the instance, as in a guest: after `replay` the same calls must be made again to get them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from golem_server.host import wasi_filesystem, wasi_io
from golem_server.host.filesystem_sandbox import FilesystemLimits, Sandbox
from golem_server.model.types import Value
from tests.host.host_worker import HostWorker

TYPES = "wasi:filesystem/types"
STREAMS = "wasi:io/streams"
FOLLOW = ["symlink-follow"]


class FilesystemGuest:
    """One worker, with its root directory open as `root`."""

    def __init__(self, worker: HostWorker) -> None:
        self.worker = worker
        self.root = 0

    @classmethod
    async def create(cls, folder: Path, limits: FilesystemLimits | None = None) -> FilesystemGuest:
        """A new worker in a new folder."""
        services: dict[type[Any], Any] = {} if limits is None else {FilesystemLimits: limits}
        interfaces = [*wasi_filesystem.INTERFACES, *wasi_io.INTERFACES]
        guest = cls(await HostWorker.create(folder, interfaces, services=services))
        await guest.open_root()
        return guest

    async def open_root(self) -> None:
        """What the start of every guest does."""
        directories = await self.worker.call("wasi:filesystem/preopens", "get-directories")
        assert [name for _, name in directories] == ["/", "."]
        self.root = directories[0][0]

    async def replay(self) -> None:
        """Start again from the oplog."""
        await self.worker.replay()
        await self.open_root()

    @property
    def folder(self) -> Path:
        """Where the files of this life are."""
        return self.worker.context.files

    @property
    def sandbox(self) -> Sandbox:
        """The host's account of the folder."""
        return Sandbox.of(self.worker.context)

    async def do(self, name: str, descriptor: int, *arguments: Value) -> Value:
        """A method of a descriptor: the whole result."""
        return await self.worker.call(TYPES, f"[method]descriptor.{name}", descriptor, *arguments)

    async def get(self, name: str, descriptor: int, *arguments: Value) -> Value:
        """A method of a descriptor that must succeed: its value."""
        tag, value = await self.do(name, descriptor, *arguments)
        assert tag == "ok", (name, arguments, value)
        return value

    async def stream(self, name: str, stream: int, *arguments: Value) -> Value:
        """A method of a stream; `name` begins with `input-stream.` or `output-stream.`."""
        return await self.worker.call(STREAMS, f"[method]{name}", stream, *arguments)

    def drop(self, handle: int) -> None:
        """Drop a handle."""
        self.worker.context.resource_dropped(handle)

    async def open(self, path: str, *open_flags: str, base: int | None = None, follow: bool = True) -> int:
        """Open for reading and, unless it is a directory, writing."""
        flags = ["read"] if "directory" in open_flags else ["read", "write"]
        path_flags = FOLLOW if follow else []
        return await self.get("open-at", base or self.root, path_flags, path, list(open_flags), flags)

    async def put(self, path: str, content: bytes) -> None:
        """Write a whole file."""
        file = await self.open(path, "create", "truncate")
        assert await self.get("write", file, content, 0) == len(content)
        self.drop(file)

    async def content(self, path: str) -> bytes:
        """Read a whole file of less than 1 MiB."""
        file = await self.get("open-at", self.root, FOLLOW, path, [], ["read"])
        content, _ = await self.get("read", file, 1 << 20, 0)
        self.drop(file)
        return content

    async def names(self, directory: int) -> list[tuple[str, str]]:
        """Types and names of a directory's entries."""
        listing = await self.get("read-directory", directory)
        found: list[tuple[str, str]] = []
        while True:
            method = "[method]directory-entry-stream.read-directory-entry"
            tag, entry = await self.worker.call(TYPES, method, listing)
            assert tag == "ok"
            if entry is None:
                self.drop(listing)
                return found
            found.append((entry["type"], entry["name"]))

    async def error_code(self, result: Value) -> str | None:
        """The code in the result of a stream that failed."""
        tag, error = result
        assert tag == "err"
        if error[0] == "closed":
            return "closed"
        return await self.worker.call(TYPES, "filesystem-error-code", error[1])
