"""Which components have agents."""

from __future__ import annotations

import pytest

from golem_server.model.agent_types import agent_types_from_guest
from golem_server.model.component_agents import ComponentAgents, agent_interface
from golem_server.model.errors import InvalidInput
from golem_server.model.types import (
    ComponentType,
    FunctionType,
    InterfaceType,
    ListType,
    Primitive,
    ResultType,
    WitType,
)
from tests.model.agent_strategies import discovered

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


SHOP = ComponentAgents("golem:agent/guest@1.5.0", agent_types_from_guest(discovered("shop")), {}, takes_principal=True)


@pytest.mark.parametrize(
    "written", ['CartAgent("books","ann")', 'cart-agent("books", "ann")', ' CartAgent( "books" ,"ann")']
)
def test_an_agent_has_one_name_however_it_is_written(written: str) -> None:
    agent = SHOP.agent(written)
    assert agent.name == 'CartAgent("books","ann")'
    assert agent.id.type_name == agent.type.name == "CartAgent"


@pytest.mark.parametrize("written", ['Cart-Agent("a","b")', 'cartagent("a","b")', 'cart_agent("a","b")'])
def test_other_spellings_are_nobodys(written: str) -> None:
    with pytest.raises(InvalidInput):
        SHOP.agent(written)
