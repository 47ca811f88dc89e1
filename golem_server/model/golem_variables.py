"""The variables that the server itself sets in a worker's environment, and which of them a guest gets.

Releases of Golem called the component's revision differently, and guests may count or list their variables. So each
guest gets those of the Golem that it was made for, which what it imports and exports tells (reference:
host-interfaces, the table of generations in section 1 and section 3.1).
"""

from __future__ import annotations

import re
from enum import IntEnum
from typing import TypeAlias

from golem_server.model.ids import WorkerId
from golem_server.model.types import ComponentType


class GolemVariables(IntEnum):
    """Whose variables a worker has. The numbers are kept in oplogs.

    `ALL` is what every worker had before they were told apart; those workers keep it, for replay compares results.
    """

    ALL = 0
    BY_COMPONENT = 1
    """Those of the component at the revision that runs."""
    GOLEM_1_2 = 2
    GOLEM_1_3 = 3
    GOLEM_1_4 = 4
    """Also those of 1.5."""


_NAMES: dict[GolemVariables, tuple[str, ...]] = {
    GolemVariables.ALL: (
        "GOLEM_AGENT_ID",
        "GOLEM_WORKER_NAME",
        "GOLEM_COMPONENT_ID",
        "GOLEM_COMPONENT_REVISION",
        "GOLEM_COMPONENT_VERSION",
        "GOLEM_AGENT_TYPE",
    ),
    GolemVariables.GOLEM_1_2: ("GOLEM_WORKER_NAME", "GOLEM_COMPONENT_ID", "GOLEM_COMPONENT_VERSION"),
    GolemVariables.GOLEM_1_3: (
        "GOLEM_AGENT_ID",
        "GOLEM_WORKER_NAME",
        "GOLEM_COMPONENT_ID",
        "GOLEM_COMPONENT_VERSION",
        "GOLEM_AGENT_TYPE",
    ),
    GolemVariables.GOLEM_1_4: (
        "GOLEM_AGENT_ID",
        "GOLEM_WORKER_NAME",
        "GOLEM_COMPONENT_ID",
        "GOLEM_COMPONENT_REVISION",
        "GOLEM_AGENT_TYPE",
    ),
}

RESERVED_VARIABLES = frozenset(_NAMES[GolemVariables.ALL])
"""Variables that only the server sets; given by anybody else they are left out."""

_Version: TypeAlias = tuple[int, ...]

_LAST_VERSIONS: dict[str, dict[GolemVariables, _Version]] = {
    "golem:api": {GolemVariables.GOLEM_1_2: (1, 1, 6), GolemVariables.GOLEM_1_3: (1, 1, 7)},
    "golem:durability": {GolemVariables.GOLEM_1_2: (1, 2, 0), GolemVariables.GOLEM_1_3: (1, 2, 1)},
}
"""The last version of a package that a release had, of those that every release changed."""

_LAST_RPC_OF_1_2 = (0, 2, 0)
"""The package golem:rpc was the same in 1.3 and 1.4."""

_WASI_OF_1_2 = (0, 2, 0)
"""What Golem's tools built against up to 1.2; those of later releases have 0.2.3."""

_INTERFACE = re.compile(r"(golem:[a-z-]+|wasi:cli)/[a-z-]+@(\d+)\.(\d+)\.(\d+)")


def variables_of(component: ComponentType) -> GolemVariables:
    """Whose variables a component was made for: by the versions of Golem's packages, else by that of wasi:cli."""
    versions = [_version(name) for name in (*component.imports, *component.exports)]
    by_golem = [of for package, version in versions if (of := _of_golem_package(package, version))]
    if by_golem:
        return max(by_golem)
    wasi = [version for package, version in versions if package == "wasi:cli"]
    return GolemVariables.GOLEM_1_2 if wasi and max(wasi) <= _WASI_OF_1_2 else GolemVariables.GOLEM_1_4


def _version(interface: str) -> tuple[str, _Version]:
    match = _INTERFACE.match(interface)
    return (match[1], tuple(int(number) for number in match.groups()[1:])) if match else ("", ())


def _of_golem_package(package: str, version: _Version) -> GolemVariables | None:
    """What a package says, None where it says nothing."""
    if package == "golem:rpc":
        return GolemVariables.GOLEM_1_2 if version <= _LAST_RPC_OF_1_2 else None
    if (last := _LAST_VERSIONS.get(package)) is None:
        return None
    return next((of for of, newest in last.items() if version <= newest), GolemVariables.GOLEM_1_4)


def golem_variables(
    of: GolemVariables, worker_id: WorkerId, name: str, revision: int, agent_type: str | None
) -> list[tuple[str, str]]:
    """The variables with their values, in a guest's order. `name` is what the worker was called at that time."""
    values = {
        "GOLEM_AGENT_ID": name,
        "GOLEM_WORKER_NAME": name,
        "GOLEM_COMPONENT_ID": str(worker_id.component_id),
        "GOLEM_COMPONENT_REVISION": str(revision),
        "GOLEM_COMPONENT_VERSION": str(revision),
        "GOLEM_AGENT_TYPE": agent_type,
    }
    return [(variable, value) for variable in _NAMES[of] if (value := values[variable]) is not None]
