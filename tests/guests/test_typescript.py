"""The TypeScript agents are built from the SDK's own component, with the program in its slot."""

from __future__ import annotations

import pytest
from wasmtime import wat2wasm

from golem_server.wasm.binary import binary_metadata
from tests.guests import typescript
from tests.guests.javascript_slot import NoSlot, fill_slot

pytestmark = pytest.mark.timeout(900)
"""The first run fetches the SDK."""


def test_a_program_is_put_behind_the_end_of_the_memory() -> None:
    built = typescript.build("counter")
    program = (typescript.SOURCES / "counter" / "main.js").read_bytes()
    assert built.count(len(program).to_bytes(4, "little") + program) == 1
    assert binary_metadata(built).initial_memory_bytes > 0


def test_only_an_empty_slot_is_filled() -> None:
    with pytest.raises(NoSlot, match="0 empty slots"):
        fill_slot(typescript.build("counter"), "export default 1;")
    with pytest.raises(NoSlot, match="0 empty slots"):
        fill_slot(bytes(wat2wasm("(component)")), "export default 1;")
