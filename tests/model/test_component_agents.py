"""Which components have agents."""

from __future__ import annotations

import pytest

from golem_server.model.component_agents import agent_interface
from golem_server.model.types import (
    ComponentType,
    FunctionType,
    InterfaceType,
    ListType,
    Primitive,
    ResultType,
    WitType,
)

TYPES = ListType(Primitive.STRING)


def component(**functions: WitType) -> ComponentType:
    """A component that exports the guest interface of agents with these functions, which take nothing."""
    of_type = {name.replace("_", "-"): FunctionType((), result) for name, result in functions.items()}
    return ComponentType({}, {}, {"golem:agent/guest": InterfaceType("golem:agent/guest", of_type, {})}, {})


@pytest.mark.parametrize(
    ("functions", "interface"),
    [
        ({"discover_agent_types": ResultType(TYPES, Primitive.STRING)}, "golem:agent/guest"),
        ({"discover_agent_types": TYPES}, None),
        ({"invoke": TYPES}, None),
    ],
    ids=["today", "before errors could be told", "without discovery"],
)
def test_an_older_guest_interface_is_that_of_a_component_without_agents(
    functions: dict[str, WitType], interface: str | None
) -> None:
    assert agent_interface(component(**functions)) == interface
