"""Reads a component's bytes without compiling them: whether it is one at all, and what its custom sections say.

A component is a header and sections; sections 1 and 4 hold core modules and components again. Everything read here is
advisory (names of tools, sizes of memories), so whatever makes no sense is passed over, and only a broken outer
structure is an error. The binary format is that of the WebAssembly core and component-model specifications.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from golem_server.model.metadata import BinaryMetadata
from golem_server.wasm.errors import InvalidComponent

PAGE_BYTES = 65536

_MAGIC = b"\0asm"
_CORE_VERSION = b"\x01\x00\x00\x00"
_COMPONENT_LAYER = b"\x01\x00"
_DEPTH_LIMIT = 100

_CUSTOM, _CORE_MODULE, _COMPONENT, _CORE_MEMORY = 0, 1, 4, 5

_PACKAGE = re.compile(r"[a-z][a-z0-9-]*:[a-z][a-z0-9-]*")
_VERSION = re.compile(r"\d+\.\d+\.\d+(?:[-+][0-9A-Za-z.+-]+)?")


class Malformed(Exception):
    """The bytes end early or a number is too long."""


class ByteReader:
    """Reads the primitive encodings of WebAssembly from a slice. Everything raises Malformed at its end."""

    def __init__(self, data: memoryview) -> None:
        self.data = data
        self.at = 0

    @property
    def at_end(self) -> bool:
        """Whether everything has been read."""
        return self.at >= len(self.data)

    def byte(self) -> int:
        """The next byte."""
        if self.at >= len(self.data):
            raise Malformed
        value = self.data[self.at]
        self.at += 1
        return value

    def number(self) -> int:
        """An unsigned LEB128 number."""
        value = 0
        for shift in range(0, 70, 7):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return value
        raise Malformed

    def take(self, size: int) -> memoryview:
        """The next bytes, not copied."""
        if size > len(self.data) - self.at:
            raise Malformed
        taken = self.data[self.at : self.at + size]
        self.at += size
        return taken

    def name(self) -> str:
        """A string with its length before it."""
        return str(self.take(self.number()), "utf-8", "replace")


def check_component(wasm: bytes) -> None:
    """Raise InvalidComponent unless the bytes look like a whole component. Compiles nothing."""
    if not wasm:
        raise InvalidComponent("The component is empty (0 bytes): upload the .wasm file of a WebAssembly component")
    if not wasm.startswith(_MAGIC):
        if wasm.lstrip()[:1] == b"(" or wasm.lstrip().startswith(b";;"):
            raise InvalidComponent(
                "This is WebAssembly text (WAT), not a binary: translate it first, for example with `wasm-tools parse`"
            )
        raise InvalidComponent("This is not a WebAssembly file: it does not begin with the bytes 00 61 73 6d")
    if len(wasm) < 8:
        raise InvalidComponent(f"The component is cut off after {len(wasm)} bytes: upload the whole file")
    if wasm[4:8] == _CORE_VERSION:
        raise InvalidComponent(
            "This is a core WebAssembly module, not a component: build for the target wasm32-wasip2, or turn it into a "
            "component with `wasm-tools component new`"
        )
    if wasm[6:8] != _COMPONENT_LAYER:
        raise InvalidComponent(f"This is not a WebAssembly component: its version is {wasm[4:8].hex(' ')}")
    try:
        for _ in sections(memoryview(wasm)):
            pass
    except Malformed:
        raise InvalidComponent(
            f"The component is cut off or damaged: {len(wasm)} bytes end within a section. Upload the whole file"
        ) from None


def binary_metadata(wasm: bytes) -> BinaryMetadata:
    """What the custom sections and memories of a component say. Raises InvalidComponent alone."""
    check_component(wasm)
    found = _Found()
    try:
        _walk(memoryview(wasm), 0, found)
    except Malformed:
        raise InvalidComponent("The component is damaged: a module or component within it ends early") from None
    name = found.name if found.name is not None and _PACKAGE.fullmatch(found.name) else None
    version = found.version if found.version is not None and _VERSION.fullmatch(found.version) else None
    return BinaryMetadata(
        producers=tuple(producers for _, producers in sorted(found.producers, key=lambda item: item[0] > 0)),
        memories=tuple(found.memories),
        root_package_name=name,
        root_package_version=version,
    )


class _Found:
    def __init__(self) -> None:
        self.producers: list[tuple[int, dict[str, list[tuple[str, str]]]]] = []
        self.memories: list[tuple[int, int | None]] = []
        self.name: str | None = None
        self.version: str | None = None


def sections(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """(section id, contents) after the eight bytes of header."""
    reader = ByteReader(data)
    reader.take(8)
    while not reader.at_end:
        section = reader.byte()
        yield section, reader.take(reader.number())


def _walk(data: memoryview, depth: int, found: _Found) -> None:
    if depth > _DEPTH_LIMIT or len(data) < 8:
        return
    is_core = bytes(data[4:8]) == _CORE_VERSION
    for section, contents in sections(data):
        if section == _CUSTOM:
            _custom(contents, depth, found)
        elif is_core and section == _CORE_MEMORY:
            found.memories += _memories(contents)
        elif not is_core and section in (_CORE_MODULE, _COMPONENT):
            _walk(contents, depth + 1, found)


def _custom(contents: memoryview, depth: int, found: _Found) -> None:
    # A custom section may hold anything: what cannot be read is as if it were not there.
    try:
        reader = ByteReader(contents)
        name = reader.name()
        if name == "producers":
            found.producers.append((depth, _producers(reader)))
        elif depth == 0 and name == "component-name" and reader.byte() == 0:
            reader.number()
            found.name = reader.name()
        elif depth == 0 and name == "version":
            found.version = str(reader.data[reader.at :], "utf-8", "replace")
    except Malformed:
        return


def _producers(reader: ByteReader) -> dict[str, list[tuple[str, str]]]:
    fields: dict[str, list[tuple[str, str]]] = {}
    for _ in range(reader.number()):
        field = reader.name()
        fields.setdefault(field, []).extend((reader.name(), reader.name()) for _ in range(reader.number()))
    return fields


def _memories(contents: memoryview) -> list[tuple[int, int | None]]:
    memories: list[tuple[int, int | None]] = []
    reader = ByteReader(contents)
    try:
        for _ in range(reader.number()):
            flags = reader.byte()
            initial = reader.number()
            maximum = reader.number() if flags & 1 else None
            page = 1 << reader.number() if flags & 8 else PAGE_BYTES  # the custom-page-sizes proposal
            memories.append((initial * page, None if maximum is None else maximum * page))
    except Malformed:
        pass
    return memories
