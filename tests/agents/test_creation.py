"""Agents are created with what their type and their creator give them, and found by any spelling of their names."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from golem_server.model.agent_types import agent_types_from_guest
from tests.agents.agent_server import CLI, AgentServer, data_value
from tests.guests import typescript
from tests.model.agent_strategies import discovered

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(900)]
"""The first run fetches the SDK and compiles it."""


async def component_of(server: AgentServer, name: str) -> str:
    """The path of a component."""
    environment = "/v1/envs/784fc8da-0283-4042-baba-f0b13bb101d2/components"
    _, component = await server.request("GET", f"{environment}/{name}")
    return f"/v1/components/{component['componentId']}"


async def test_a_name_is_found_in_every_spelling(server: AgentServer) -> None:
    cart = server.agent("CartAgent", "b c", "d/e")
    await cart.value("notes")
    assert cart.id == 'CartAgent("b c","d/e")'
    component = await component_of(server, "shop")
    for spelling in (cart.id, ' CartAgent ( "b c" , "d/e" )', 'CartAgent("b\\u0020c","d\\u002fe")'):
        status, metadata = await server.request("GET", f"{component}/workers/{quote(spelling, safe='')}")
        assert (status, metadata["agentId"]["agentId"]) == (200, cart.id)
    for wrong in ("CartAgent", "NoAgent()", "CartAgent(1,2)", 'CartAgent("a")'):
        body: dict[str, Any] = {"name": wrong}
        status, answer = await server.request("POST", f"{component}/workers", json=body)
        assert (status, answer["code"]) == (400, "INVALID_WORKER_ID"), answer
        assert answer["error"].startswith("Invalid agent id: ")
    assert (await server.request("GET", f"{component}/workers/{quote('NoAgent(1)', safe='')}"))[0] == 404
    assert (await server.request("GET", f"{component}/workers/{quote('a/b', safe='')}"))[0] == 400


async def test_the_creator_gives_variables_and_configuration(server: AgentServer) -> None:
    component = await component_of(server, "shop")
    name = 'TillAgent("configured")'
    body = {"name": name, "env": {"COLOUR": "red"}, "config": [{"path": ["greeting"], "value": "Moin,"}]}
    status, created = await server.request("POST", f"{component}/workers", json=body)
    assert (status, created["agentId"]["agentId"]) == (200, name)
    till = server.agent("TillAgent", "configured")
    assert await till.value("greeting") == "Moin, configured"
    metadata = await till.metadata()
    assert metadata["env"] == {"COLOUR": "red"}
    greeting = {"type": "Option", "inner": {"type": "Str"}}
    assert metadata["config"] == [{"path": ["greeting"], "value": {"typ": greeting, "value": "Moin,"}}]
    # The same agent again is no mistake, another one of that name is.
    assert (await server.request("POST", f"{component}/workers", json=body))[0] == 200
    status, answer = await server.request("POST", f"{component}/workers", json=body | {"env": {"COLOUR": "blue"}})
    assert status == 409, answer
    await server.kill()
    assert await till.value("greeting") == "Moin, configured"
    assert await server.agent("TillAgent", "plain").value("greeting") == "Welcome to plain"


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ([{"path": ["greeting"], "value": 7}], "greeting: expected"),
        ([{"path": ["colour"], "value": "red"}], "declares no configuration value colour"),
    ],
)
async def test_configuration_must_be_what_the_type_declares(
    server: AgentServer, config: list[Any], reason: str
) -> None:
    body = {"name": 'TillAgent("wrong")', "config": config}
    status, answer = await server.request("POST", f"{await component_of(server, 'shop')}/workers", json=body)
    assert (status, reason in answer["error"]) == (400, True), answer


async def test_a_new_ephemeral_agent_has_a_name_of_its_own(server: AgentServer) -> None:
    component = await component_of(server, "shop")
    names: set[str] = set()
    for _ in range(2):
        _, created = await server.request("POST", f"{component}/workers", json={"name": 'CourierAgent("x")'})
        names.add(created["agentId"]["agentId"])
    assert len(names) == 2


async def test_a_client_says_types_and_provisions_with_its_upload(server: AgentServer) -> None:
    types = [type_.to_json() for type_ in agent_types_from_guest(discovered("counter"))]
    types[0] = {**types[0], "typeName": "RenamedAgent", "description": "as the client says"}
    metadata: dict[str, Any] = {
        "componentName": "test:renamed",
        "agentTypes": types,
        "agentTypeProvisionConfigs": {"RenamedAgent": {"env": {"COLOUR": "green"}, "config": []}},
    }
    status, created = await server.create_component("", typescript.build("counter"), json.dumps(metadata))
    assert status == 200, created
    assert created["metadata"]["agentTypes"] == types
    assert created["metadata"]["agentTypeProvisionConfigs"]["RenamedAgent"]["env"] == {"COLOUR": "green"}
    # The guest itself knows no such type, and says so when the agent is constructed.
    renamed = server.agent("RenamedAgent", "x")
    status, answer = await renamed.call("value")
    assert (status, answer["code"]) == (500, "INTERNAL_AGENT_EXECUTION_FAILED")
    assert "RenamedAgent" in answer["workerError"]["cause"]


async def test_variables_of_a_type_reach_its_agents(server: AgentServer) -> None:
    types = [type_.to_json() for type_ in agent_types_from_guest(discovered("counter"))]
    metadata = {
        "componentName": "test:provisioned",
        "agentTypes": types,
        "agentTypeProvisionConfigs": {"CounterAgent": {"env": {"COLOUR": "green"}}},
    }
    _, created = await server.create_component("", typescript.build("counter"), json.dumps(metadata))
    name = quote('CounterAgent("p")', safe="")
    path = f"/v1/components/{created['componentId']}/workers/{name}"
    status, answer = await server.request(
        "POST",
        f"{path}/invoke-and-await",
        params={"function": "golem:agent/guest.{invoke}"},
        json={"params": [{"value": value} for value in _environment("COLOUR")]},
    )
    assert status == 200, answer
    nodes = answer["result"]["value"]["ok"]["tuple"][0]["component-model"]["nodes"]
    assert {"prim-string": "green"} in nodes


def _environment(variable: str) -> list[Any]:
    """The parameters of a direct call of `environment`, from somebody who pretends to be an agent."""
    component_id = {"uuid": {"high-bits": 1, "low-bits": 2}}
    argument = {"component-model": {"nodes": [{"prim-string": variable}]}}
    principal = {"agent": {"agent-id": {"component-id": component_id, "agent-id": "nobody"}}}
    return ["environment", {"tuple": [argument]}, principal]


async def test_nobody_can_pretend_to_be_somebody_else(server: AgentServer) -> None:
    catalog = server.agent("CatalogAgent", "identity")
    assert await catalog.value("whoAmI") == "golem-user"
    status, answer = await server.request(
        "POST",
        f"{catalog.path}/invoke-and-await",
        params={"function": "golem:agent/guest.{invoke}"},
        json={"params": [{"value": "whoAmI"}, {"value": {"tuple": []}}, {"value": _environment("")[2]}]},
    )
    assert status == 200, answer
    nodes = answer["result"]["value"]["ok"]["tuple"][0]["component-model"]["nodes"]
    assert nodes == [{"prim-string": "golem-user"}]


async def test_calls_can_wait_for_their_time(server: AgentServer) -> None:
    cart = server.agent("CartAgent", "times", "ann")
    assert await cart.value("notes") == []
    status, answer = await cart.call("remind", "now", mode="schedule")
    assert (status, answer["result"]) == (200, None)
    status, answer = await cart.call("remind", "soon", mode="schedule", scheduleAt="2020-01-31T12:00:00Z")
    assert (status, answer["result"]) == (200, None)
    status, answer = await cart.call("remind", "never", mode="schedule", scheduleAt="2020-01-31T12:00:00")
    assert status == 400, answer
    await server.kill()
    while len(notes := await cart.value("notes")) < 2:
        pass
    assert sorted(note.split(" ")[1] for note in notes) == ["now", "soon"]


async def test_what_is_asked_for_must_be_there(server: AgentServer) -> None:
    body = {
        "appName": "default",
        "envName": "default",
        "agentTypeName": "CounterAgent",
        "parameters": data_value("x"),
        "methodName": "value",
        "methodParameters": data_value(),
    }
    for changed, status, code in [
        ({"appName": "other"}, 404, "ENVIRONMENT_NOT_FOUND"),
        ({"deploymentRevision": 1}, 404, "DEPLOYMENT_NOT_FOUND"),
        ({"ownerAccountEmail": "nobody@here"}, 404, "ACCOUNT_NOT_FOUND"),
        ({"ownerAccountEmail": " "}, 400, "VALIDATION_ERROR"),
        ({"mode": "later"}, 400, "VALIDATION_ERROR"),
        ({"ownerAccountEmail": " Initial@User "}, 200, None),
    ]:
        answered, answer = await server.request("POST", "/v1/agents/invoke-agent", json=body | changed, headers=CLI)
        assert (answered, answer.get("code")) == (status, code), answer
