"""Golem's own variables: which Golem a component was made for, and what its workers read."""

from __future__ import annotations

from uuid import UUID

import pytest

from golem_server.model.golem_variables import RESERVED_VARIABLES, GolemVariables, golem_variables, variables_of
from golem_server.model.ids import ComponentId, WorkerId
from golem_server.model.types import ComponentType, InterfaceType

WORKER = WorkerId(ComponentId(UUID(int=0xC)), "later-name")


def component(imports: str, exports: str = "") -> ComponentType:
    """A component with these interfaces."""
    imported, exported = ({name: InterfaceType(name, {}, {}) for name in names.split()} for names in (imports, exports))
    return ComponentType(imported, {}, exported, {})


@pytest.mark.parametrize(
    ("imports", "exports", "made_for"),
    [
        # What the components of Golem's own tests have, by release.
        ("wasi:cli/environment@0.2.0 wasi:http/types@0.2.0", "golem:component/api", GolemVariables.GOLEM_1_2),
        ("wasi:cli/environment@0.2.0", "golem:api/save-snapshot@0.2.2", GolemVariables.GOLEM_1_2),
        ("wasi:cli/environment@0.2.0 golem:api/host@1.1.6 golem:rpc/types@0.2.0", "", GolemVariables.GOLEM_1_2),
        ("wasi:cli/environment@0.2.0 golem:rpc/types@0.2.0", "", GolemVariables.GOLEM_1_2),
        ("wasi:cli/environment@0.2.3 golem:api/host@1.1.7 golem:rpc/types@0.2.2", "", GolemVariables.GOLEM_1_3),
        ("wasi:cli/environment@0.2.3 golem:durability/durability@1.2.1", "", GolemVariables.GOLEM_1_3),
        ("wasi:cli/environment@0.2.3 wasi:http/types@0.2.0", "golem:component/api", GolemVariables.GOLEM_1_4),
        ("wasi:cli/environment@0.2.3 wasi:cli/stdout@0.2.4", "", GolemVariables.GOLEM_1_4),
        ("wasi:cli/environment@0.2.3 golem:api/host@1.3.0 golem:rpc/types@0.2.2", "", GolemVariables.GOLEM_1_4),
        ("wasi:cli/environment@0.2.3 golem:rpc/types@0.2.2", "golem:agent/guest", GolemVariables.GOLEM_1_4),
        ("wasi:cli/environment@0.2.3 golem:api/host@1.5.0", "golem:agent/guest@1.5.0", GolemVariables.GOLEM_1_4),
        # Golem's packages say more than those that a compiler brings along.
        ("wasi:cli/environment@0.2.3 golem:api/host@1.1.6", "", GolemVariables.GOLEM_1_2),
        ("wasi:cli/environment@0.2.0 golem:api/host@1.3.0", "", GolemVariables.GOLEM_1_4),
        ("wasi:cli/environment@0.2.0", "golem:api/load-snapshot@1.3.0", GolemVariables.GOLEM_1_4),
        # A component that is composed of an old one and a new one is as new as that one.
        ("golem:api/host@1.1.6 golem:api/host@1.3.0", "", GolemVariables.GOLEM_1_4),
        ("wasi:cli/environment@0.2.0 wasi:cli/environment@0.2.3", "", GolemVariables.GOLEM_1_4),
        # Nothing is told.
        ("", "a:b/c", GolemVariables.GOLEM_1_4),
        ("golem:rdbms/postgres@0.0.1 example:wasi/cli@0.2.0", "", GolemVariables.GOLEM_1_4),
    ],
)
def test_the_interfaces_tell_which_golem_a_component_was_made_for(
    imports: str, exports: str, made_for: GolemVariables
) -> None:
    assert variables_of(component(imports, exports)) is made_for


@pytest.mark.parametrize(
    ("of", "names"),
    [
        (GolemVariables.GOLEM_1_2, "WORKER_NAME COMPONENT_ID COMPONENT_VERSION"),
        (GolemVariables.GOLEM_1_3, "AGENT_ID WORKER_NAME COMPONENT_ID COMPONENT_VERSION"),
        (GolemVariables.GOLEM_1_4, "AGENT_ID WORKER_NAME COMPONENT_ID COMPONENT_REVISION"),
        (GolemVariables.ALL, "AGENT_ID WORKER_NAME COMPONENT_ID COMPONENT_REVISION COMPONENT_VERSION"),
    ],
)
@pytest.mark.parametrize("agent_type", [None, "CounterAgent"])
def test_each_golem_has_its_own_names(of: GolemVariables, names: str, agent_type: str | None) -> None:
    expected = names.split()
    if agent_type is not None and of is not GolemVariables.GOLEM_1_2:
        expected.append("AGENT_TYPE")
    given = golem_variables(of, WORKER, "name-then", 12, agent_type)
    assert [name for name, _ in given] == [f"GOLEM_{name}" for name in expected]
    assert {name for name, _ in given} <= RESERVED_VARIABLES
    values = {name.removeprefix("GOLEM_"): value for name, value in given}
    assert values["WORKER_NAME"] == values.get("AGENT_ID", "name-then") == "name-then"
    assert values["COMPONENT_ID"] == str(WORKER.component_id)
    assert {values.get("COMPONENT_VERSION", "12"), values.get("COMPONENT_REVISION", "12")} == {"12"}
    assert values.get("AGENT_TYPE", agent_type) == agent_type
