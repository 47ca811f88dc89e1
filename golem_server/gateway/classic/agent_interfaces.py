"""Agents as scripts see them: a constructor for each type, and an interface with a function for each of its methods.

    let counter = counter-agent("alpha");
    let n = counter.increment();

The names are those of the types and methods in kebab case, as guests of Golem 1.4 exported them; no component needs to
have them (reference: gateway, section 2.5; model/agent_functions.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from golem_server.gateway.rib import AgentConstructor
from golem_server.model.agent_functions import function_type, kebab_case
from golem_server.model.agent_types import AgentType
from golem_server.model.types import ComponentType, InterfaceType, Parameter
from golem_server.registry.components import RegisteredComponent


def is_agent_method(component: RegisteredComponent, function: str) -> bool:
    """Whether the full name of a function is that of a method of the component's agents."""
    interface, separator, _ = function.partition(".{")
    agents = component.agents
    return bool(separator) and agents is not None and any(kebab_case(name) == interface for name in agents.types)


def type_with_agents(component: RegisteredComponent) -> ComponentType:
    """The component's type, with an interface for each type of agents instead of what it may export as such."""
    if component.agents is None:
        return component.type
    added = {kebab_case(name): _interface(type_) for name, type_ in component.agents.types.items()}
    own = {name: each for name, each in component.type.exports.items() if _short(name) not in added}
    return replace(component.type, exports={**own, **added})


def agent_constructors(component: RegisteredComponent) -> Sequence[AgentConstructor]:
    """What makes agents; those whose parameters are texts or bytes without a type cannot be named in a script."""
    found: list[AgentConstructor] = []
    for name, type_ in () if component.agents is None else component.agents.types.items():
        schema = type_.constructor_schema
        elements = [(element.name, element.type) for element in schema.elements]
        if not schema.multimodal:
            parameters = tuple(Parameter(each, given) for each, given in elements if given is not None)
            if len(parameters) == len(elements):
                found.append(AgentConstructor(kebab_case(name), parameters))
    return found


def _interface(type_: AgentType) -> InterfaceType:
    functions = {kebab_case(method.name): function_type(method) for method in type_.methods}
    return InterfaceType(kebab_case(type_.name), functions, {})


def _short(interface: str) -> str:
    return interface.partition("@")[0].rpartition("/")[2]
