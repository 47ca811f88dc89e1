"""What the bytes of a component say before they are compiled, and what is said of bytes that are none."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golem_server.wasm.errors import InvalidComponent
from golem_server.wasm.introspection import binary_metadata, check_component
from tests.guests.busy import BUSY
from tests.wasm.conftest import binary

COMPONENT = binary(BUSY)


@pytest.mark.parametrize(
    ("wasm", "reason"),
    [
        (b"", "empty"),
        (b"(component)", "WebAssembly text"),
        (b"\n;; a comment\n(module)", "WebAssembly text"),
        (b"<html>", "not a WebAssembly file"),
        (b"\0as", "not a WebAssembly file"),
        (b"\0asm\x0d", "cut off after 5 bytes"),
        (binary("(module)"), "core WebAssembly module, not a component"),
        (b"\0asm\x0d\x00\x09\x00", "not a WebAssembly component"),
        (COMPONENT[:-5], "cut off or damaged"),
    ],
)
def test_bytes_that_are_no_component_are_refused_with_advice(wasm: bytes, reason: str) -> None:
    for look in (check_component, binary_metadata):
        with pytest.raises(InvalidComponent, match=reason):
            look(wasm)


def test_a_component_is_accepted() -> None:
    check_component(COMPONENT)
    assert binary_metadata(COMPONENT).memories == ((65536, None),)


def leb(value: int) -> bytes:
    """An unsigned LEB128 number."""
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + leb(value >> 7)


def string(text: str) -> bytes:
    """A string with its length."""
    return leb(len(text.encode())) + text.encode()


def custom(name: str, content: bytes) -> bytes:
    """A custom section."""
    body = string(name) + content
    return b"\0" + leb(len(body)) + body


def producers(**fields: list[tuple[str, str]]) -> bytes:
    """A producers section."""
    content = leb(len(fields))
    for name, values in fields.items():
        content += string(name) + leb(len(values)) + b"".join(string(a) + string(b) for a, b in values)
    return custom("producers", content)


def test_custom_sections_of_the_component_and_within_it_are_read() -> None:
    module = binary('(module (import "a" "b" (memory 1)) (memory 2 3))') + producers(language=[("Rust", "")])
    wasm = binary("(component)") + b"\x01" + leb(len(module)) + module
    wasm += custom("component-name", b"\0" + leb(len(string("shop:cart"))) + string("shop:cart"))
    wasm += custom("version", b"1.2.3")
    wasm += producers(language=[("C", "11"), ("C", "99")], sdk=[("golem", "1")])
    found = binary_metadata(wasm)
    assert found.memories == ((131072, 196608),)
    assert found.producers == (
        {"language": [("C", "11"), ("C", "99")], "sdk": [("golem", "1")]},
        {"language": [("Rust", "")]},
    )
    assert (found.root_package_name, found.root_package_version) == ("shop:cart", "1.2.3")


def test_a_name_that_is_no_package_is_none() -> None:
    wasm = binary("(component $thing)")
    assert binary_metadata(wasm).root_package_name is None


@given(
    cut=st.integers(0, len(COMPONENT)),
    flips=st.lists(st.tuples(st.integers(8, len(COMPONENT) - 1), st.integers(0, 255))),
)
def test_damaged_bytes_raise_nothing_else(cut: int, flips: list[tuple[int, int]]) -> None:
    damaged = bytearray(COMPONENT)
    for at, value in flips:
        damaged[at] = value
    with suppress(InvalidComponent):
        binary_metadata(bytes(damaged[:cut]))
