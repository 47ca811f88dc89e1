"""Agent types of real guests and of clients."""

from __future__ import annotations

import copy
from operator import itemgetter
from typing import Any

import pytest
from hypothesis import given

from golem_server.model.agent_types import (
    AgentType,
    ConfigDeclaration,
    Snapshotting,
    agent_types_from_guest,
    agent_types_from_json,
)
from golem_server.model.errors import InvalidInput
from golem_server.model.types import OptionType
from golem_server.model.types import Primitive as P
from tests.model.agent_strategies import discovered, with_lists
from tests.model.wit_strategies import JSON, details_of

COUNTER = AgentType.from_guest(discovered("counter")[0])
SHOP = {type_.name: type_ for type_ in agent_types_from_guest(discovered("shop"))}


def test_the_counter_as_clients_upload_it() -> None:
    json = COUNTER.to_json()
    assert {key: json[key] for key in json if key not in ("methods", "httpMount")} == {
        "typeName": "CounterAgent",
        "description": "A named number that remembers how it came about",
        "sourceLanguage": "typescript",
        "constructor": {
            "name": None,
            "description": "A named number that remembers how it came about",
            "promptHint": "Give the name of the counter",
            "inputSchema": {
                "type": "Tuple",
                "elements": [{"name": "name", "schema": {"type": "ComponentModel", "elementType": {"type": "Str"}}}],
            },
        },
        "dependencies": [],
        "mode": "Durable",
        "snapshotting": {"type": "Disabled"},
        "config": [],
    }
    assert json["httpMount"] == {
        "pathPrefix": [{"type": "Literal", "value": "counters"}, {"type": "PathVariable", "variableName": "name"}],
        "authDetails": {"required": False},
        "phantomAgent": False,
        "corsOptions": {"allowedPatterns": ["*"]},
        "webhookSuffix": [],
    }
    assert [method["name"] for method in json["methods"]] == sorted(
        ["increment", "add", "value", "history", "fail", "sleep", "roll", "uuid", "log", "environment"]
    )
    assert json["methods"][0] == {
        "name": "add",
        "description": "Adds n, which may be negative, and returns the new value",
        "promptHint": "",
        "inputSchema": {
            "type": "Tuple",
            "elements": [{"name": "n", "schema": {"type": "ComponentModel", "elementType": {"type": "F64"}}}],
        },
        "outputSchema": {
            "type": "Tuple",
            "elements": [{"name": "returnValue", "schema": {"type": "ComponentModel", "elementType": {"type": "F64"}}}],
        },
        "httpEndpoint": [
            {
                "httpMethod": {"type": "Post"},
                "pathSuffix": [{"type": "Literal", "value": "add"}],
                "headerVars": [],
                "queryVars": [],
                "authDetails": None,
                "corsOptions": {"allowedPatterns": []},
            }
        ],
    }


def test_the_shop_has_types_of_every_sort() -> None:
    assert list(SHOP) == ["CartAgent", "CatalogAgent", "CourierAgent", "TillAgent"]
    assert SHOP["CourierAgent"].mode == "ephemeral"
    till = SHOP["TillAgent"]
    assert till.mode == "durable"
    assert till.snapshotting == Snapshotting("every-n-invocation", 5)
    assert till.to_json()["snapshotting"] == {"type": "Enabled", "configType": "EveryNInvocation", "count": 5}
    assert till.config == (
        ConfigDeclaration("local", ("approveUpToCents",), OptionType(P.F64)),
        ConfigDeclaration("local", ("greeting",), OptionType(P.STRING)),
    )
    catalog = SHOP["CatalogAgent"]
    assert catalog.method("nothing") is None
    put = catalog.method("put")
    assert put is not None
    item = put.input_schema.to_json()["elements"][1]
    assert item["schema"]["elementType"] | {"fields": ...} == {
        "type": "Record",
        "fields": ...,
        "name": "Item",
        "owner": "./model",
    }
    leaflet = catalog.method("getLeaflet")
    assert leaflet is not None
    assert leaflet.output_schema.elements[0].restrictions == ("en", "de")
    echo = catalog.method("echo")
    assert echo is not None
    assert echo.http_endpoints[0]["pathSuffix"][1] == {"type": "RemainingPathVariable", "variableName": "rest"}
    assert echo.http_endpoints[0]["headerVars"] == [{"headerName": "X-Request-Id", "variableName": "requestId"}]


@pytest.mark.parametrize("type_", [COUNTER, *SHOP.values()], ids=lambda type_: type_.name)
def test_types_come_back_from_json_and_from_guests(type_: AgentType) -> None:
    from_json = AgentType.from_json(type_.to_json())
    assert from_json == type_
    assert from_json.to_json() == type_.to_json()
    assert AgentType.from_guest(type_.to_guest()) == type_


def test_a_type_goes_to_guests_as_it_came() -> None:
    record = discovered("counter")[0]
    record["methods"].sort(key=itemgetter("name"))
    assert with_lists(COUNTER.to_guest()) == with_lists(record)


def test_a_type_of_golem_1_4_lacks_what_came_later() -> None:
    record = discovered("counter")[0]
    for key in ("source-language", "http-mount", "snapshotting", "config"):
        del record[key]
    for method in record["methods"]:
        del method["http-endpoint"]
    type_ = AgentType.from_guest(record)
    assert (type_.source_language, type_.http_mount, type_.config) == ("", None, ())
    assert type_.snapshotting == Snapshotting("disabled")
    assert with_lists(type_.to_guest()["constructor"]) == with_lists(record["constructor"])
    assert all(method["http-endpoint"] == [] for method in type_.to_guest()["methods"])
    assert AgentType.from_json(type_.to_json()) == type_


def test_json_of_a_client_is_kept_and_may_leave_out_what_is_null() -> None:
    json = copy.deepcopy(COUNTER.to_json())
    del json["sourceLanguage"], json["constructor"]["name"], json["methods"][0]["promptHint"]
    json["httpMount"] = None
    json["newer"] = {"kept": True}
    type_ = AgentType.from_json(json)
    assert type_.to_json() is json
    assert type_.http_mount is None
    assert type_.to_guest()["source-language"] == ""


def _changed(path: str, value: Any) -> Any:
    """The counter's JSON with another value at the path, in which numbers are positions."""
    json: Any = copy.deepcopy(COUNTER.to_json())
    *steps, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    place = json
    for step in steps:
        place = place[step]
    place[last] = value
    return json


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("typeName", None, "agentType: key 'typeName' not found"),
        ("typeName", 5, "agentType.typeName: expected string, got number"),
        ("typeName", "A(b", 'an agent type cannot have the name "A(b": agent ids begin with it'),
        ("typeName", " A", 'an agent type cannot have the name " A": agent ids begin with it'),
        ("typeName", "", 'an agent type cannot have the name "": agent ids begin with it'),
        ("mode", "durable", "agentType.mode: expected one of Durable, Ephemeral"),
        ("methods", {}, "agentType.methods: expected list, got record"),
        ("methods/1/name", "add", "agent type CounterAgent has two methods of one name"),
        (
            "methods/0/inputSchema/type",
            "List",
            'agentType.methods[0].inputSchema.type: expected "Tuple" or "Multimodal"',
        ),
        (
            "methods/0/inputSchema/elements/0/schema/elementType",
            {"type": "U65"},
            'agentType.methods[0].inputSchema.elements[0].schema.elementType: unknown type "U65"',
        ),
        (
            "constructor/inputSchema/elements/0/schema/type",
            "Text",
            "agentType.constructor.inputSchema.elements[0].schema.type: expected one of ComponentModel, "
            "UnstructuredText, UnstructuredBinary",
        ),
        (
            "snapshotting",
            {"type": "Enabled", "configType": "EveryNInvocation", "count": 65536},
            "agentType.snapshotting.count: expected a number from 0 to 65535",
        ),
        (
            "methods/0/httpEndpoint/0/httpMethod",
            {"type": "POST"},
            "agentType.methods[0].httpEndpoint[0].httpMethod.type: expected one of Get, Head, Post, Put, Delete, "
            "Connect, Options, Trace, Patch, Custom",
        ),
    ],
)
def test_wrong_json_is_told_with_its_place(path: str, value: Any, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        AgentType.from_json(_changed(path, value))
    assert caught.value.message == message


def test_every_case_of_the_http_and_snapshot_records() -> None:
    json = _changed("httpMount/pathPrefix", [{"type": "SystemVariable", "value": "AgentVersion"}])
    json["methods"][0]["httpEndpoint"][0]["httpMethod"] = {"type": "Custom", "value": "PURGE"}
    json["snapshotting"] = {"type": "Enabled", "configType": "Periodic", "durationNanos": 1 << 63}
    type_ = AgentType.from_json(json)
    record = type_.to_guest()
    assert record["http-mount"]["path-prefix"] == [("system-variable", "agent-version")]
    assert record["methods"][0]["http-endpoint"][0]["http-method"] == ("custom", "PURGE")
    assert record["snapshotting"] == ("enabled", ("periodic", 1 << 63))
    assert type_.snapshotting == Snapshotting("periodic", 1 << 63)
    assert AgentType.from_guest(record).to_json() == json
    json["snapshotting"] = {"type": "Enabled", "configType": "Default"}
    assert AgentType.from_json(json).snapshotting == Snapshotting("default")


def test_two_types_of_one_name_are_refused() -> None:
    with pytest.raises(InvalidInput, match="two agent types with the name CounterAgent"):
        agent_types_from_guest(discovered("counter") * 2)
    with pytest.raises(InvalidInput, match="two agent types with the name CounterAgent"):
        agent_types_from_json([COUNTER.to_json()] * 2)


def test_types_that_are_short_in_nodes_and_huge_without_sharing_are_refused() -> None:
    nodes: list[Any] = [("tuple-type", [at + 1, at + 1]) for at in range(13)]
    type_ = {"nodes": [{"name": None, "owner": None, "type": node} for node in [*nodes, ("prim-u8-type", None)]]}
    record = discovered("counter")[0]
    for method in record["methods"]:
        method["input-schema"] = ("tuple", [(str(at), ("component-model", type_)) for at in range(2)])
    with pytest.raises(InvalidInput, match="the types in agent type CounterAgent are too large"):
        AgentType.from_guest(record)


@given(JSON)
def test_any_json_raises_nothing_but_invalid_input(json: Any) -> None:
    details_of(InvalidInput, lambda: agent_types_from_json(json))
    details_of(InvalidInput, lambda: agent_types_from_json([json]))
    for key in COUNTER.to_json():
        details_of(InvalidInput, lambda key=key: AgentType.from_json(COUNTER.to_json() | {key: json}))
