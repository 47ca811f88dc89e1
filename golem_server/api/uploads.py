"""Multipart bodies: read as they arrive, large parts straight into files, everything bounded.

No part of an upload is ever whole in memory, and a file is written in a thread whenever a mebibyte has come together,
so that a slow disk holds up nobody else. Whatever becomes of the request, its files are removed.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncGenerator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from golem_server.api.errors import UnsupportedMediaType
from golem_server.api.services import ApiServices
from golem_server.model.errors import InvalidInput, TooLarge

_WRITE_BYTES = 1 << 20
_MAX_PARTS = 32


class Form:
    """A form that has been received: short parts as bytes, those that were named as files as paths."""

    def __init__(self) -> None:
        self.fields: dict[str, bytes] = {}
        self.files: dict[str, Path] = {}

    def text(self, name: str) -> str | None:
        """A short part as text, None where it is missing. Raises InvalidInput unless it is UTF-8."""
        value = self.fields.get(name)
        try:
            return None if value is None else value.decode()
        except UnicodeDecodeError:
            raise _invalid(f"part `{name}` is not UTF-8") from None

    def file(self, name: str) -> Path:
        """A part that must be there. Raises InvalidInput."""
        path = self.files.get(name)
        if path is None:
            raise _invalid(f"part `{name}` is missing")
        return path


@asynccontextmanager
async def received_form(request: Request, services: ApiServices, files: Collection[str]) -> AsyncGenerator[Form]:
    """The form of a request; parts with a name in `files` are in files until the end of the block.

    Raises UnsupportedMediaType for another content type, TooLarge, and InvalidInput for a body that is malformed or
    cut off.
    """
    boundary = _boundary(request)
    limits = services.settings.limits.request
    receiver = _Receiver(services.uploads, files, file_limit=limits.component_upload, field_limit=limits.json_body)
    try:
        parser = receiver.parser(boundary)
        limit = limits.component_upload + limits.json_body
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > limit:
            raise TooLarge(f"The body is larger than {limit} bytes")
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise TooLarge(f"The body is larger than {limit} bytes")
            parser.write(chunk)
            await receiver.flush(_WRITE_BYTES)
        parser.finalize()
        if not receiver.complete:
            raise _invalid("the body ends before the form does")
        await receiver.flush(1)
        receiver.close()
        yield receiver.form
    except FormParserError as error:
        raise _invalid(str(error)) from None
    finally:
        receiver.close()
        for path in receiver.form.files.values():
            path.unlink(missing_ok=True)


def _boundary(request: Request) -> bytes:
    media_type, options = parse_options_header(request.headers.get("content-type", ""))
    if media_type != b"multipart/form-data":
        raise UnsupportedMediaType("expected a body of multipart/form-data")
    encoding = request.headers.get("content-encoding", "identity")
    if encoding != "identity":
        raise UnsupportedMediaType(f"the content encoding {encoding} is not supported")
    boundary = options.get(b"boundary")
    if not boundary:
        raise _invalid("the content type names no boundary")
    return boundary


class _Receiver:
    """Takes what the parser finds; nothing here waits, so `flush` is called between chunks."""

    def __init__(self, folder: Path, files: Collection[str], *, file_limit: int, field_limit: int) -> None:
        self.form = Form()
        self.complete = False
        self._folder = folder
        self._names = files
        self._file_limit = file_limit
        self._field_limit = field_limit
        self._header_name = bytearray()
        self._header_value = bytearray()
        self._disposition = ""
        self._part = ""
        self._field: bytearray | None = None
        self._file: BinaryIO | None = None
        self._open: list[BinaryIO] = []
        self._unwritten: list[tuple[BinaryIO, bytes]] = []
        self._unwritten_size = 0
        self._part_size = 0
        self._fields_size = 0

    def parser(self, boundary: bytes) -> MultipartParser:
        """A parser that tells this receiver."""
        return MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begins,
                "on_header_field": lambda data, start, end: self._header_name.extend(data[start:end]),
                "on_header_value": lambda data, start, end: self._header_value.extend(data[start:end]),
                "on_header_end": self._header_ends,
                "on_headers_finished": self._content_begins,
                "on_part_data": self._content,
                "on_part_end": self._part_ends,
                "on_end": self._form_ends,
            },
        )

    async def flush(self, at: int) -> None:
        """Write what waits for its file, if it is at least `at` bytes."""
        if self._unwritten_size < at:
            return
        parts, self._unwritten = self._unwritten, []
        self._unwritten_size = 0
        await asyncio.to_thread(_write, parts)

    def close(self) -> None:
        """Close the files."""
        for file in self._open:
            file.close()
        self._open.clear()

    def _part_begins(self) -> None:
        self._disposition = ""
        if len(self.form.fields) + len(self.form.files) >= _MAX_PARTS:
            raise _invalid(f"more than {_MAX_PARTS} parts")

    def _header_ends(self) -> None:
        if bytes(self._header_name).lower() == b"content-disposition":
            self._disposition = self._header_value.decode("latin-1")
        self._header_name.clear()
        self._header_value.clear()

    def _content_begins(self) -> None:
        kind, options = parse_options_header(self._disposition)
        if kind != b"form-data" or not options.get(b"name"):
            raise _invalid("a part has no name")
        self._part = options[b"name"].decode("utf-8", "replace")
        if self._part in self.form.fields or self._part in self.form.files:
            raise _invalid(f"part `{self._part}` is there twice")
        self._part_size = 0
        if self._part in self._names:
            handle, path = tempfile.mkstemp(dir=self._folder, prefix="upload-")
            self.form.files[self._part] = Path(path)
            self._file = os.fdopen(handle, "wb", buffering=0)
            self._open.append(self._file)
        else:
            self._field = bytearray()

    def _content(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            self._part_size += end - start
            if self._part_size > self._file_limit:
                raise TooLarge(f"Part `{self._part}` is larger than {self._file_limit} bytes")
            self._unwritten.append((self._file, data[start:end]))
            self._unwritten_size += end - start
        elif self._field is not None:
            self._fields_size += end - start
            if self._fields_size > self._field_limit:
                raise TooLarge(f"The parts that are no files are larger than {self._field_limit} bytes")
            self._field += data[start:end]

    def _part_ends(self) -> None:
        if self._field is not None:
            self.form.fields[self._part] = bytes(self._field)
        self._field = self._file = None

    def _form_ends(self) -> None:
        self.complete = True


def _write(parts: list[tuple[BinaryIO, bytes]]) -> None:
    for file, data in parts:
        view = memoryview(data)
        # An unbuffered file may take less than it is given.
        while view:
            view = view[file.write(view) :]


def _invalid(reason: str) -> InvalidInput:
    return InvalidInput(f"parse multipart error: {reason}")
