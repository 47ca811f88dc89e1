"""Functions that the server adds to a component because it exports something that cannot be called from outside.

`wasi:http/incoming-handler` takes handles of resources, which only the server can make. A component that exports it (in
a version 0.2.x) has the function `golem:http/incoming-handler.{handle}` too, which takes a request as a record and
gives the response (reference: host-interfaces, section 5.3).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from golem_server.model.http_messages import HANDLE_TYPE
from golem_server.model.types import ComponentType, InterfaceType

INCOMING_HANDLER = "golem:http/incoming-handler"
HANDLE_HTTP = f"{INCOMING_HANDLER}.{{handle}}"
"""The function's name in an invocation."""

_WASI_HANDLER = re.compile(r"wasi:http/incoming-handler@0\.2\.\d+")


@dataclass(frozen=True, slots=True)
class VirtualExport:
    """An added interface, and the name of the exported one behind it, which has functions of the same names."""

    type: InterfaceType
    behind: str


def virtual_exports(component: ComponentType) -> list[VirtualExport]:
    """What the server adds to this component."""
    if INCOMING_HANDLER in component.exports:
        return []
    for name, interface in component.exports.items():
        if _WASI_HANDLER.fullmatch(name) and "handle" in interface.functions:
            return [VirtualExport(InterfaceType(INCOMING_HANDLER, {"handle": HANDLE_TYPE}, {}), name)]
    return []
