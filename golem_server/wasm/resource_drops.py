"""Gives a component functions that drop the resources it exports.

The C API drops a guest's resource only synchronously, and wasmtime refuses that for a store whose guests may yield. But
a component may export `canon resource.drop` as a function that takes an own handle, and such a function is called like
any other: on a fiber, with the guest's destructor and whatever host functions that calls. So these functions are
appended to the binary before it is compiled. Sections may follow each other in any order, hence nothing that is there
has to change; only the index spaces must be counted to know where the new definitions will lie.

Encodings are those of the component model's Binary.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from golem_server.wasm.binary import ByteReader, Malformed, sections

DROP_PREFIX = "golem-drop-resource-r"
"""The added functions are called so, followed by a number."""

_INSTANCE_SECTION, _ALIAS, _TYPE, _CANON, _IMPORT, _EXPORT = 5, 6, 7, 8, 10, 11
_FUNC, _TYPE_SORT, _INSTANCE = 0x01, 0x03, 0x05
_CORE_FUNC = 0x100  # sort 0x00 followed by the core sort 0x00
_MODULE = 0x111
_EXTERN_SORTS = {0x00: _MODULE, 0x01: _FUNC, 0x02: 0x02, 0x03: _TYPE_SORT, 0x04: 0x04, 0x05: _INSTANCE}
_LIFT, _LOWER = 0x00, 0x01
_RESOURCE_FUNCTIONS = {0x02, 0x03, 0x04}
_OPTIONS_WITH_INDEX = {0x03, 0x04, 0x05, 0x07, 0x08}
_OPTIONS_WITHOUT = {0x00, 0x01, 0x02, 0x06}


def with_resource_drops(wasm: bytes, resources: Iterable[tuple[str | None, str]]) -> bytes | None:
    """The component with a drop function for each (exported interface or None for the world, resource name).

    None if the binary holds something that this version cannot count.
    """
    spaces = _IndexSpaces()
    try:
        spaces.count(wasm)
        added = bytearray(wasm)
        for number, (interface, resource) in enumerate(resources):
            added += _drop(spaces, interface, resource, f"{DROP_PREFIX}{number}")
    except (Malformed, KeyError):
        return None
    return bytes(added)


class _IndexSpaces:
    """How many definitions of each sort a component has so far, and where its exports are."""

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.instances: dict[str, int] = {}
        self.types: dict[str, int] = {}

    def add(self, sort: int) -> int:
        """Count one more; gives its index."""
        index = self.counts.get(sort, 0)
        self.counts[sort] = index + 1
        return index

    def count(self, wasm: bytes) -> None:
        """Count what the component defines at its top level."""
        readers: dict[int, Callable[[ByteReader], None]] = {
            _ALIAS: self._alias,
            _CANON: self._canon,
            _IMPORT: self._import,
            _EXPORT: self._export,
        }
        counted = {_INSTANCE_SECTION: _INSTANCE, _TYPE: _TYPE_SORT}
        for section, contents in sections(memoryview(wasm)):
            reader = ByteReader(contents)
            if section in counted:
                sort = counted[section]
                self.counts[sort] = self.counts.get(sort, 0) + reader.number()
            elif section in readers:
                for _ in range(reader.number()):
                    readers[section](reader)

    @staticmethod
    def _sort(reader: ByteReader) -> int:
        sort = reader.byte()
        return 0x100 + reader.byte() if sort == 0 else sort

    def _alias(self, reader: ByteReader) -> None:
        sort = self._sort(reader)
        target = reader.byte()
        reader.number()
        if target == 0x02:
            reader.number()
        elif target in (0x00, 0x01):
            reader.name()
        else:
            raise Malformed
        self.add(sort)

    def _canon(self, reader: ByteReader) -> None:
        code = reader.byte()
        if code in (_LIFT, _LOWER):
            if reader.byte() != 0:
                raise Malformed
            reader.number()
            for _ in range(reader.number()):
                option = reader.byte()
                if option in _OPTIONS_WITH_INDEX:
                    reader.number()
                elif option not in _OPTIONS_WITHOUT:
                    raise Malformed
            if code == _LIFT:
                reader.number()
                self.add(_FUNC)
            else:
                self.add(_CORE_FUNC)
        elif code in _RESOURCE_FUNCTIONS:
            reader.number()
            self.add(_CORE_FUNC)
        else:
            raise Malformed  # the built-ins of asynchronous components, which this server does not run

    def _name(self, reader: ByteReader) -> str:
        if reader.byte() not in (0x00, 0x01):
            raise Malformed
        return reader.name()

    def _extern(self, reader: ByteReader) -> int:
        kind = reader.byte()
        if kind == 0x00:
            reader.byte()
            reader.number()
        elif kind == 0x02:
            raise Malformed  # values
        elif kind == 0x03:
            if reader.byte() == 0x00:
                reader.number()
        else:
            reader.number()
        return _EXTERN_SORTS[kind]

    def _import(self, reader: ByteReader) -> None:
        self._name(reader)
        self.add(self._extern(reader))

    def _export(self, reader: ByteReader) -> None:
        name = self._name(reader)
        sort = self._sort(reader)
        reader.number()
        if reader.byte() == 0x01:
            self._extern(reader)
        index = self.add(sort)
        if sort == _INSTANCE:
            self.instances[name] = index
        elif sort == _TYPE_SORT:
            self.types[name] = index


def _drop(spaces: _IndexSpaces, interface: str | None, resource: str, name: str) -> bytes:
    """The sections that define and export one drop function."""
    added = b""
    if interface is None:
        type_ = spaces.types[resource]
    else:
        instance = spaces.instances[interface]
        added += _section(_ALIAS, bytes([_TYPE_SORT, 0x00]) + _leb(instance) + _string(resource))
        type_ = spaces.add(_TYPE_SORT)
    added += _section(_CANON, b"\x03" + _leb(type_))
    drop = spaces.add(_CORE_FUNC)
    own, function_type = spaces.add(_TYPE_SORT), spaces.add(_TYPE_SORT)
    added += _section(_TYPE, b"\x69" + _leb(type_))
    added += _section(_TYPE, b"\x40\x01" + _string("resource") + _signed_leb(own) + b"\x01\x00")
    added += _section(_CANON, b"\x00\x00" + _leb(drop) + b"\x00" + _leb(function_type))
    function = spaces.add(_FUNC)
    added += _section(_EXPORT, b"\x00" + _string(name) + bytes([_FUNC]) + _leb(function) + b"\x00")
    spaces.add(_FUNC)
    return added


def _section(section: int, item: bytes) -> bytes:
    """A section of one item."""
    return bytes([section]) + _leb(len(item) + 1) + b"\x01" + item


def _string(text: str) -> bytes:
    encoded = text.encode()
    return _leb(len(encoded)) + encoded


def _leb(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _signed_leb(value: int) -> bytes:
    """A type index where it could also be the negative code of a primitive type."""
    encoded = bytearray()
    while value > 0x3F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
