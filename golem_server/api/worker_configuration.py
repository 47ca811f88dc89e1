"""The configuration variables of a new worker, in the words of all generations of clients.

1.4 sends `configVars`, a list of `{key, value}`; 1.5 sends `config`, a list of `{path, value}` with a path of names and
any JSON as value. Guests see one flat map: a path is joined by dots, a value that is no string is JSON text
(reference: host-interfaces, section 3.9).
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from golem_server.model.errors import InvalidInput

MAX_VARIABLES = 1000
MAX_BYTES = 1 << 20
"""Bytes of all names and values together."""


class ConfigVariable(msgspec.Struct, rename="camel"):
    """A variable of 1.4."""

    key: str
    value: str


class ConfigValue(msgspec.Struct, rename="camel"):
    """A value of 1.5."""

    path: list[str]
    value: Any


def configuration_variables(
    variables: list[ConfigVariable] | dict[str, str] | None, values: list[ConfigValue] | None
) -> dict[str, str]:
    """The flat map. Where a name comes twice the last one counts. Raises InvalidInput."""
    if isinstance(variables, dict):
        config = dict(variables)
    else:
        config = {variable.key: variable.value for variable in variables or []}
    for each in values or []:
        if not each.path:
            raise InvalidInput("The path of a configuration value cannot be empty")
        config[".".join(each.path)] = each.value if isinstance(each.value, str) else _json(each.value)
    if "" in config:
        raise InvalidInput("The name of a configuration variable cannot be empty")
    if len(config) > MAX_VARIABLES:
        raise InvalidInput(f"A worker cannot have more than {MAX_VARIABLES} configuration variables")
    if sum(len(name.encode()) + len(value.encode()) for name, value in config.items()) > MAX_BYTES:
        raise InvalidInput(f"The configuration variables of a worker cannot have more than {MAX_BYTES} bytes")
    return config


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
