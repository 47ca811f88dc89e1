"""Joins two components into one: what the `socket` imports and the `plug` exports is wired, the rest is imported.

The new component declares the imports of both, instantiates the plug, then the socket with the plug's exports, and
exports what the socket exports. Nothing is compiled: the two are nested as they are, and only the declarations at their
beginnings are written again, with other indexes, since the imports of the whole need the same types. Where both import
the same interface each keeps an import of its own, told apart by build metadata in the version.

The binary format is that of the component model's specification (Binary.md); its words are used here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from golem_server.model.errors import InvalidInput
from golem_server.wasm.binary import ByteReader, Malformed, check_component, sections

HEADER = b"\0asm\x0d\0\x01\0"

CUSTOM, CORE_MODULE, COMPONENT, INSTANCE, ALIAS, TYPE, IMPORT, EXPORT = 0, 1, 4, 5, 6, 7, 10, 11

_FUNC, _VALUE, _TYPE, _COMPONENT, _INSTANCE = 1, 2, 3, 4, 5
_SORTS = (_FUNC, _VALUE, _TYPE, _COMPONENT, _INSTANCE)
_JOINED = (_FUNC, _INSTANCE)
"""Sorts of imports that a plug can satisfy."""

_FUNC_TYPES, _COMPONENT_TYPE, _INSTANCE_TYPE = (0x40, 0x43), 0x41, 0x42
_PRIMITIVES = {0x64, *range(0x73, 0x80)}
_LABELS = {0x6E, 0x6D}
_DEPTH_LIMIT = 100
_NO_ORDER = "the declarations of one of them have no order"
_VERSION = re.compile(r"(?P<interface>.+)@(?P<track>0\.0\.\d+|0\.\d+|\d+)(?P<rest>.*)")


class _Unsupported(Exception):
    """A declaration of a form that is not written again here."""


class _NotYet(Exception):
    """A declaration speaks of something that is not there yet."""


_Moved = dict[int, dict[int, int]]
"""The new indexes of a component's own, by sort and old index."""


@dataclass(frozen=True, slots=True)
class _Declaration:
    """A type, an alias or an import, which has a name; `content` describes it, `index` is the index that it gets."""

    section: int
    content: memoryview
    sort: int
    index: int
    name: str | None


@dataclass(slots=True)
class _World:
    """What a component declares before its code, and its exports (name and sort)."""

    wasm: bytes
    declarations: list[_Declaration] = field(default_factory=list[_Declaration])
    exports: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])

    @property
    def imports(self) -> dict[str, int]:
        """The sorts of its imports by name."""
        return {each.name: each.sort for each in self.declarations if each.name is not None}


def compose(socket: bytes, plug: bytes, *, show_joined: bool = False) -> bytes:
    """The component that both make. Raises InvalidInput where nothing fits, or where it cannot be done.

    With `show_joined` it also exports what was wired: an export can only speak of types that are seen from outside.
    """
    try:
        return _compose(_world(socket), _world(plug), show_joined)
    except Malformed:
        raise InvalidInput("The components cannot be joined: one of them is damaged") from None
    except _Unsupported as error:
        raise InvalidInput(f"The components cannot be joined: {error}; join them before the upload") from None


def _compose(socket: _World, plug: _World, show_joined: bool) -> bytes:
    offered = dict(plug.exports)
    joined = {name: export for name, sort in socket.imports.items() if (export := _fitting(name, sort, offered))}
    if not joined:
        raise InvalidInput(
            f"The components cannot be joined: what one imports ({_listed(socket.imports)}) and what the other exports "
            f"({_listed(offered)}) have nothing in common"
        )
    outer = _Outer()
    taken = {name for name in socket.imports if name not in joined}
    of_plug, of_socket = _moved(), _moved()
    if outer.declare(plug.declarations, of_plug, lambda name: _free(name, taken, plug.imports)):
        raise _Unsupported(_NO_ORDER)
    # Imports come first, so that the whole can be joined with others again.
    unjoined = [each for each in socket.declarations if each.name not in joined]
    late = outer.declare(unjoined, of_socket, lambda name: name)
    plugged = outer.instantiate(plug, of_plug)
    for each in socket.declarations:
        if each.name is not None and each.name in joined:
            of_socket[each.sort][each.index] = outer.alias(each.sort, plugged, joined[each.name])
        elif each in late and outer.declare([each], of_socket, lambda name: name):
            raise _Unsupported(_NO_ORDER)
    whole = outer.instantiate(socket, of_socket)
    if show_joined:
        for name, sort in plug.exports:
            if name in joined.values() and name not in dict(socket.exports):
                outer.export(plugged, name, sort)
    for name, sort in socket.exports:
        outer.export(whole, name, sort)
    return bytes(outer.wasm)


def _moved() -> _Moved:
    return {sort: {} for sort in _SORTS}


def _fitting(name: str, sort: int, offered: dict[str, int]) -> str | None:
    """The export that satisfies an import: of the same name, or of a version that is compatible."""
    if sort not in _JOINED:
        return None
    candidates = (name, *(other for other in offered if _compatible(name, other)))
    return next((export for export in candidates if offered.get(export) == sort), None)


def _compatible(name: str, other: str) -> bool:
    one, two = _VERSION.fullmatch(name), _VERSION.fullmatch(other)
    return one is not None and two is not None and one.group("interface", "track") == two.group("interface", "track")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)[:20]) or "nothing"


# --- Reading


def _world(wasm: bytes) -> _World:
    check_component(wasm)
    found = _World(wasm)
    declared: list[tuple[int, memoryview]] = []
    before: list[tuple[int, memoryview]] = []
    for section, contents in sections(memoryview(wasm)):
        before.append((section, contents))
        if section == IMPORT:
            declared += before
            before = []
        elif section == EXPORT:
            found.exports += _exports(ByteReader(contents))
    counts: Counter[int] = Counter()
    for section, contents in declared:
        if section in (TYPE, ALIAS, IMPORT):
            found.declarations += _declarations(section, ByteReader(contents), counts)
        elif section not in (CUSTOM, CORE_MODULE):
            raise _Unsupported("one of them has code before its imports")
    return found


def _declarations(section: int, reader: ByteReader, counts: Counter[int]) -> Iterator[_Declaration]:
    for _ in range(reader.number()):
        name = _external_name(reader) if section == IMPORT else None
        begin = reader.at
        sort = _Copy(reader, None).declaration(section)
        yield _Declaration(section, reader.data[begin : reader.at], sort, counts[sort], name)
        counts[sort] += 1


def _exports(reader: ByteReader) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for _ in range(reader.number()):
        name, sort = _external_name(reader), reader.byte()
        if sort not in (_FUNC, _TYPE, _INSTANCE):
            raise _Unsupported(f"the export {name} is of another sort than functions, types and interfaces")
        reader.number()
        if reader.byte():
            _Copy(reader, None).external(0)
        found.append((name, sort))
    return found


def _external_name(reader: ByteReader) -> str:
    if reader.byte() > 1:
        raise _Unsupported("a name in them has attributes")
    return reader.name()


# --- Writing


def _unsigned(number: int) -> bytes:
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def _signed(number: int) -> bytes:
    """A number that is not negative, in the encoding of those that may be."""
    written = _unsigned(number)
    return written if written[-1] < 0x40 else bytes((*written[:-1], written[-1] | 0x80, 0))


def _named(name: str) -> bytes:
    encoded = name.encode()
    return _unsigned(len(encoded)) + encoded


class _Outer:
    """The component in the making. `counts` is how many indexes of each sort there are."""

    def __init__(self) -> None:
        self.wasm = bytearray(HEADER)
        self.counts: Counter[int] = Counter()

    def section(self, section: int, contents: bytes | bytearray) -> None:
        """Add a section."""
        self.wasm += bytes((section,)) + _unsigned(len(contents)) + contents

    def declare(
        self, declarations: Iterable[_Declaration], moved: _Moved, named: Callable[[str], str]
    ) -> list[_Declaration]:
        """Declare what a component declares, imports under the names that `named` gives; where to is in `moved`.

        Returns what speaks of something that is not there yet.
        """
        late: list[_Declaration] = []
        for each in declarations:
            copy = _Copy(ByteReader(each.content), moved)
            try:
                copy.declaration(each.section)
            except _NotYet:
                late.append(each)
                continue
            name = b"" if each.name is None else b"\0" + _named(named(each.name))
            self.section(each.section, b"\x01" + name + copy.written)
            moved[each.sort][each.index] = self._next(each.sort)
        return late

    def instantiate(self, world: _World, moved: _Moved) -> int:
        """Nest a component and make an instance of it; the instance's index."""
        self.section(COMPONENT, world.wasm)
        given = [each for each in world.declarations if each.name is not None]
        contents = bytearray(b"\x01\0" + _unsigned(self._next(_COMPONENT)) + _unsigned(len(given)))
        for each in given:
            contents += _named(each.name or "") + bytes((each.sort,)) + _unsigned(moved[each.sort][each.index])
        self.section(INSTANCE, contents)
        return self._next(_INSTANCE)

    def export(self, instance: int, name: str, sort: int) -> None:
        """Export what an instance exports."""
        index = self.alias(sort, instance, name)
        self.section(EXPORT, b"\x01\0" + _named(name) + bytes((sort,)) + _unsigned(index) + b"\0")
        self._next(sort)

    def alias(self, sort: int, instance: int, name: str) -> int:
        """Give an instance's export an index."""
        self.section(ALIAS, bytes((1, sort, 0)) + _unsigned(instance) + _named(name))
        return self._next(sort)

    def _next(self, sort: int) -> int:
        self.counts[sort] += 1
        return self.counts[sort] - 1


def _free(name: str, taken: set[str], others: Iterable[str]) -> str:
    """A name for an import, the same unless that is taken; another is none of `others` either."""
    if name not in taken:
        return name
    if "@" not in name:
        raise _Unsupported(f"both import {name}, which has no version")
    number, used = 1, taken | set(others)
    while (other := f"{name}{'.' if '+' in name else '+'}plug{number}") in used:
        number += 1
    return other


class _Copy:
    """Copies declarations, with the component's own indexes as `moved` has them, None for as they are.

    `depth` counts the scopes of instance and component types around a part, which have indexes of their own. Raises
    _NotYet for an index that has not moved.
    """

    def __init__(self, reader: ByteReader, moved: _Moved | None) -> None:
        self._reader = reader
        self._moved = moved
        self.written = bytearray()

    def declaration(self, section: int) -> int:
        """One declaration of a section; its sort."""
        if section == TYPE:
            self.type(0)
            return _TYPE
        return self.alias(0) if section == ALIAS else self.external(0)

    def type(self, depth: int) -> None:
        """A deftype."""
        form = self._byte()
        if form in _FUNC_TYPES:
            self._function(depth)
        elif form in (_COMPONENT_TYPE, _INSTANCE_TYPE):
            for _ in range(self._number()):
                self._declaration(depth + 1)
        else:
            self._value_type(form, depth)

    def external(self, depth: int) -> int:
        """An externdesc; the sort of what it describes."""
        form = self._byte()
        if form == _TYPE:
            if self._byte() == 0:
                self._index(_TYPE, depth)
        elif form in (_FUNC, _COMPONENT, _INSTANCE):
            self._index(_TYPE, depth)
        else:
            raise _Unsupported("they import or export something else than functions, types and interfaces")
        return form

    def alias(self, depth: int) -> int:
        """An alias; its sort."""
        sort, target = self._byte(), self._byte()
        if sort not in _SORTS:
            raise _Unsupported("one of them has code before its imports")
        if target == 0:
            self._index(_INSTANCE, depth)
            self._name()
        elif target == 2:
            # It counts outwards; only what belongs to the component itself has moved.
            outwards = self._number()
            self._index(sort, depth - outwards)
        else:
            raise _Unsupported("one of them has code before its imports")
        return sort

    def _declaration(self, depth: int) -> None:
        if depth > _DEPTH_LIMIT:
            raise _Unsupported("the types of one of them are nested too deeply")
        form = self._byte()
        if form == 1:
            self.type(depth)
        elif form == 2:
            self.alias(depth)
        elif form in (3, 4):
            self.written += bytes((self._reader.byte(),))
            self._name()
            self.external(depth)
        else:
            raise _Unsupported("an interface of them declares core types")

    def _function(self, depth: int) -> None:
        for _ in range(self._number()):
            self._name()
            self._value(depth)
        if self._byte() == 0:
            self._value(depth)
        elif self._byte() != 0:
            raise _Unsupported("a function of them has several results")

    def _value_type(self, form: int, depth: int) -> None:
        if form in (0x72, 0x71, 0x6F, *_LABELS):
            for _ in range(self._number()):
                if form != 0x6F:
                    self._name()
                if form == 0x71:
                    self._optional(depth)
                    self._byte()
                elif form not in _LABELS:
                    self._value(depth)
        elif form in (0x70, 0x6B, 0x67):
            self._value(depth)
            if form == 0x67:
                self._number()
        elif form in (0x6A, 0x66, 0x65):
            for _ in range(2 if form == 0x6A else 1):
                self._optional(depth)
        elif form in (0x69, 0x68):
            self._index(_TYPE, depth)
        elif form not in _PRIMITIVES:
            raise _Unsupported(f"a type of them has the form {form:#x}")

    def _optional(self, depth: int) -> None:
        if self._byte():
            self._value(depth)

    def _value(self, depth: int) -> None:
        """A valtype: a primitive type or the index of a type."""
        at = self._reader.at
        first = self._reader.byte()
        if first in _PRIMITIVES:
            self.written.append(first)
            return
        self._reader.at = at
        self.written += _signed(self._where(_TYPE, depth))

    def _index(self, sort: int, depth: int) -> None:
        self.written += _unsigned(self._where(sort, depth))

    def _where(self, sort: int, depth: int) -> int:
        index = self._reader.number()
        if depth or self._moved is None:
            return index
        moved = self._moved.get(sort, {}).get(index)
        if moved is None:
            raise _NotYet
        return moved

    def _byte(self) -> int:
        byte = self._reader.byte()
        self.written.append(byte)
        return byte

    def _number(self) -> int:
        number = self._reader.number()
        self.written += _unsigned(number)
        return number

    def _name(self) -> None:
        self.written += _named(self._reader.name())
