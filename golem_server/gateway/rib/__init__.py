"""Rib, the expression language of HTTP APIs: from the text of a script to a value (reference gateway, section 2).

Promises that whatever text is given, reading, checking and evaluating it ends in bounded time with a value or an error
that says where. Depends on the model alone.
"""

from golem_server.gateway.rib.code import Invoker
from golem_server.gateway.rib.context import REQUEST, Global
from golem_server.gateway.rib.errors import Position, RibError, RibRuntimeError, RibSyntaxError, RibTypeError
from golem_server.gateway.rib.exports import AgentConstructor
from golem_server.gateway.rib.script import CompiledScript, compile_script

__all__ = [
    "REQUEST",
    "AgentConstructor",
    "CompiledScript",
    "Global",
    "Invoker",
    "Position",
    "RibError",
    "RibRuntimeError",
    "RibSyntaxError",
    "RibTypeError",
    "compile_script",
]
