"""Puts a JavaScript program into the component that Golem's TypeScript SDK brings for it.

That component (`wasm/agent_guest.wasm` of the npm package) holds a JavaScript engine, the SDK, and an empty slot, which
Golem's own command line fills when it builds an agent. The slot is a mark of 40 bytes in a data segment of the engine's
module:

    0   b"WASM_RQJS_SLOT\\x01\\x00"
    16  u32, which program belongs here: 0 is the main one
    20  u32, the address of the program, 0 while there is none
    24  b"WASM_RQJS_SLTND\\x00"

and a program is a u32 with its length, then its text in UTF-8. It goes behind what is the end of the memory: the engine
takes all that lies between its own data and that end for its heap, and pages after it only by `memory.grow`. So the
memory begins with more pages, and one more data segment fills them. All numbers are little-endian.
"""

from __future__ import annotations

from collections.abc import Callable

from golem_server.wasm.binary import PAGE_BYTES, ByteReader, sections

_BEGINNING, _END = b"WASM_RQJS_SLOT\x01\x00", b"WASM_RQJS_SLTND\x00"
_PROGRAM_AT, _ADDRESS_AT, _END_AT, _SIZE = 16, 20, 24, 40

_HEADER = 8
_CORE_MODULE, _COMPONENT = 1, 4
_MEMORY, _DATA, _DATA_COUNT = 5, 11, 12
_HAS_MAXIMUM = 1
_I32_CONST, _END_OF_EXPRESSION = b"\x41", b"\x0b"


class NoSlot(Exception):
    """The component has not exactly one empty slot for a main program, or one that this tool cannot fill."""


def fill_slot(component: bytes, program: str) -> bytes:
    """The component with the program (the text of one ES module) as its main one. Raises NoSlot."""
    filled: list[bytes] = []
    result = _component(component, program.encode(), filled)
    if len(filled) != 1:
        raise NoSlot(f"{len(filled)} empty slots for a main program, not one")
    return result


def _component(component: bytes, program: bytes, filled: list[bytes]) -> bytes:
    def changed(section: int, content: bytes) -> bytes:
        if _BEGINNING not in content:
            return content
        if section == _COMPONENT:
            return _component(content, program, filled)
        if section == _CORE_MODULE and _slots(content):
            filled.append(content)
            return _module(content, program)
        return content

    return _with_sections(component, changed)


def _module(module: bytes, program: bytes) -> bytes:
    """A core module with its slot filled."""
    payload = len(program).to_bytes(4, "little") + program
    memory = next((bytes(content) for section, content in sections(memoryview(module)) if section == _MEMORY), b"")
    new_memory, address = _grown(memory, len(payload))

    def changed(section: int, content: bytes) -> bytes:
        if section == _MEMORY:
            return new_memory
        if section == _DATA_COUNT:
            return _unsigned(ByteReader(memoryview(content)).number() + 1)
        if section == _DATA:
            (slot,) = _slots(content)
            at = slot + _ADDRESS_AT
            content = content[:at] + address.to_bytes(4, "little") + content[at + 4 :]
            reader = ByteReader(memoryview(content))
            count = reader.number()
            return _unsigned(count + 1) + content[reader.at :] + _segment(address, payload)
        return content

    return _with_sections(module, changed)


def _grown(memory: bytes, size: int) -> tuple[bytes, int]:
    """The memory section with room for `size` more bytes, and the address where they begin."""
    reader = ByteReader(memoryview(memory))
    if reader.number() != 1:
        raise NoSlot("the module with the slot has not exactly one memory")
    flags = reader.byte()
    if flags & ~_HAS_MAXIMUM:
        raise NoSlot(f"the module with the slot has a memory of an unknown sort ({flags:#x})")
    pages = reader.number()
    more = pages + -(-size // PAGE_BYTES)
    limits = _unsigned(more)
    if flags & _HAS_MAXIMUM:
        limits += _unsigned(max(more, reader.number()))
    return _unsigned(1) + bytes([flags]) + limits, pages * PAGE_BYTES


def _segment(address: int, payload: bytes) -> bytes:
    """An active data segment of memory 0."""
    where = _I32_CONST + _signed(address - (1 << 32) if address >= 1 << 31 else address) + _END_OF_EXPRESSION
    return _unsigned(0) + where + _unsigned(len(payload)) + payload


def _slots(data: bytes) -> list[int]:
    """Where the empty slots for a main program begin. The code too holds the first mark, without the second."""
    found: list[int] = []
    at = data.find(_BEGINNING)
    while at >= 0:
        slot = data[at : at + _SIZE]
        if slot[_END_AT:] == _END and not any(slot[_PROGRAM_AT:_END_AT]):
            found.append(at)
        at = data.find(_BEGINNING, at + 1)
    return found


def _with_sections(binary: bytes, change: Callable[[int, bytes], bytes]) -> bytes:
    """The binary with each section's content as `change` gives it."""
    parts = [binary[:_HEADER]]
    for section, content in sections(memoryview(binary)):
        new = change(section, bytes(content))
        parts += (bytes([section]), _unsigned(len(new)), new)
    return b"".join(parts)


def _unsigned(number: int) -> bytes:
    """LEB128."""
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


def _signed(number: int) -> bytes:
    """Signed LEB128."""
    encoded = bytearray()
    while not -0x40 <= number < 0x40:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number & 0x7F])
