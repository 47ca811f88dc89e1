"""Streams of files. They read and write at once: a file of the worker's folder is never far away."""

from __future__ import annotations

import os

from golem_server.durable.context import WorkerContext
from golem_server.durable.signals import GuestError
from golem_server.host.filesystem_errors import FilesystemError, error_code
from golem_server.host.filesystem_sandbox import OpenFile
from golem_server.host.resources import CLOSED, MAX_PIECE_BYTES, InputStream, OutputStream, failed
from golem_server.model.types import Value

MAX_TRANSFER_BYTES = 1 << 20
"""How much one call writes at most (reference: reliability, section 3)."""

MAX_READ_BYTES = 256 << 10
"""How much one call reads at most. Streams give less at a time, but many programs expect as much as they ask for of a
file that they read by offset."""


class FileInputStream(InputStream):
    """Reads a file from an offset on."""

    def __init__(self, file: OpenFile, offset: int) -> None:
        self._file = file.share()
        self._offset = offset
        self._open = True

    def read(self, context: WorkerContext, length: int) -> Value:
        if length == 0:
            return ("ok", b"")
        try:
            content = read_at(self._file, length, self._offset)
        except OSError as error:
            code = error_code(error)
            return failed(context, code, code)
        if not content:
            return CLOSED
        self._offset += len(content)
        return ("ok", content)

    def blocking_read(self, context: WorkerContext, length: int) -> Value:
        return self.read(context, length)

    def skip(self, context: WorkerContext, length: int) -> Value:
        if length == 0:
            return ("ok", 0)
        skipped = min(length, max(0, self._file.size - self._offset))
        if not skipped:
            return CLOSED
        self._offset += skipped
        return ("ok", skipped)

    def blocking_skip(self, context: WorkerContext, length: int) -> Value:
        return self.skip(context, length)

    def dropped(self) -> None:
        """Let the file go."""
        self.close()

    def close(self) -> None:
        """The same, when the instance is given up."""
        if self._open:
            self._open = False
            self._file.release()


class FileOutputStream(OutputStream):
    """Writes a file from an offset on, or always at its end (`offset` None). After an error it is closed."""

    def __init__(self, file: OpenFile, offset: int | None) -> None:
        self._file = file.share()
        self._offset = offset
        self._open = True
        self._failed = False

    def check_write(self, context: WorkerContext) -> Value:
        return CLOSED if self._failed else ("ok", MAX_PIECE_BYTES)

    def write(self, context: WorkerContext, content: bytes) -> Value:
        if self._failed:
            return CLOSED
        if len(content) > MAX_TRANSFER_BYTES:
            raise GuestError(f"write of {len(content)} bytes, check-write permits {MAX_TRANSFER_BYTES}")
        offset = self._file.size if self._offset is None else self._offset
        try:
            self._file.write(content, offset)
        except (OSError, FilesystemError) as error:
            code = error_code(error)
            self._failed = True
            return failed(context, code, code)
        if self._offset is not None:
            self._offset += len(content)
        return ("ok", None)

    def flush(self, context: WorkerContext) -> Value:
        return CLOSED if self._failed else ("ok", None)

    def dropped(self) -> None:
        """Let the file go."""
        self.close()

    def close(self) -> None:
        """The same, when the instance is given up."""
        if self._open:
            self._open = False
            self._file.release()


def read_at(file: OpenFile, length: int, offset: int) -> bytes:
    """Up to `length` bytes of a file from `offset` on, nothing at its end."""
    if offset >= file.size:
        return b""
    return os.pread(file.number, min(length, MAX_READ_BYTES), offset)
