"""Programs that run inside the server in tests and benchmarks.

`build(name)` gives the binary of a guest written as component text; which there are is said in the files of their code:
`crash` in crash.py, `caller` in caller.py, `files` in files.py, `processor` in processor.py, `store` and `socket` in
outside.py, the small ones in small.py.
`languages.py` builds guests from real languages.
"""

from __future__ import annotations

from functools import cache

import wasmtime

from tests.guests.caller import CALLER
from tests.guests.component_text import Guest
from tests.guests.crash import CRASH
from tests.guests.files import FILES
from tests.guests.outside import OUTSIDE
from tests.guests.processor import PROCESSOR
from tests.guests.small import SMALL

TEXT_GUESTS: dict[str, Guest] = (
    {"caller": CALLER, "crash": CRASH, "files": FILES, "processor": PROCESSOR} | SMALL | OUTSIDE
)
"""All guests that `build` knows."""


@cache
def build(name: str) -> bytes:
    """The component's binary. Built once in a process."""
    return bytes(wasmtime.wat2wasm(TEXT_GUESTS[name].text()))
