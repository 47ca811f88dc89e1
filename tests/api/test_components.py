"""Components: upload, look up, update, download, delete, in all forms that clients use."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest

from tests.api.guest import API, guest
from tests.api.server import COMPONENTS, Client


def test_a_component_is_told_in_the_words_of_all_generations(client: Client) -> None:
    name = f"shop {uuid4()}"
    created = client.create(name=name)
    assert created["componentId"] == created["id"] == created["versionedComponentId"]["componentId"]
    assert created["componentName"] == name
    assert created["componentVersion"] == created["revision"] == 0
    assert created["componentSize"] == len(guest())
    (interface,) = created["metadata"]["exports"]
    assert interface["name"] == API
    assert {
        "name": "echo-u64",
        "parameters": [{"name": "v", "typ": {"type": "U64"}}],
        "result": {"typ": {"type": "U64"}},
        "results": [{"name": None, "typ": {"type": "U64"}}],
    } in interface["functions"]
    assert client.get(f"/v1/components/{created['id']}").ok() == created
    assert client.get(f"/v1/components/{created['id']}/revisions/0").ok() == created
    encoded = name.replace(" ", "%20")
    assert client.get(f"{COMPONENTS}/{encoded}").ok() == created
    assert created in client.get(COMPONENTS).ok()
    assert created in client.get(COMPONENTS, x_golem_cli_version="1.5.9").ok()["values"]


def test_the_binary_comes_back_as_it_was_uploaded(client: Client) -> None:
    created = client.create(guest("download"))
    answer = client.get(f"/v1/components/{created['id']}/revisions/0/wasm")
    assert (answer.status, answer.body) == (200, guest("download"))
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-length"] == str(len(guest("download")))
    client.get(f"/v1/components/{created['id']}/revisions/1/wasm").refused(404)
    for revision in ("-1", "x", "1.5", "9" * 19):
        client.get(f"/v1/components/{created['id']}/revisions/{revision}/wasm").refused(400, "revision")


def test_a_component_of_the_newer_form_has_a_strict_name_and_variables(client: Client) -> None:
    name = f"it:c{uuid4().hex}"
    metadata = json.dumps({"componentName": name, "env": {"A": "1"}, "agentTypes": [], "plugins": []})
    created = client.form("POST", COMPONENTS, {"metadata": metadata, "componentWasm": guest()}).ok()
    assert (created["componentName"], created["env"]) == (name, {"A": "1"})
    again = client.form("POST", COMPONENTS, {"metadata": metadata, "componentWasm": guest()})
    again.refused(409, name, "COMPONENT_NAME_ALREADY_EXISTS")
    loose = json.dumps({"componentName": "No Namespace"})
    client.form("POST", COMPONENTS, {"metadata": loose, "componentWasm": guest()}).refused(400, "namespace:name")


def test_the_oldest_form_may_carry_variables(client: Client) -> None:
    parts = {
        "name": f"old-{uuid4()}",
        "component": guest(),
        "componentType": "Durable",
        "env": '{"keyValues":{"A":""}}',
    }
    assert client.form("POST", COMPONENTS, parts).ok()["env"] == {"A": ""}


@pytest.mark.parametrize(
    "metadata",
    [
        {"fileOptions": {"/a": {"permissions": "read-only"}}},
        {"plugins": [{"environmentPluginGrantId": "x"}]},
        {"dynamicLinking": {"a": {}}},
        {"agentTypeProvisionConfigs": {"a": {"env": {"A": "1"}}}},
        {"env": {"A=B": "1"}},
        {"env": {"A": "\0"}},
        {"env": {"A": 1}},
        {"componentName": 1},
    ],
)
def test_what_cannot_be_done_is_refused_where_it_is_asked_for(client: Client, metadata: dict[str, object]) -> None:
    text = json.dumps({"componentName": f"it:c{uuid4().hex}", **metadata})
    client.form("POST", COMPONENTS, {"metadata": text, "componentWasm": guest()}).refused(400)


LINKS = {
    "a:b-client/b-client": {
        "type": "WasmRpc",
        "targets": {"api": {"interfaceName": "a:b-exports/api", "componentName": "a:b", "componentType": "Durable"}},
    }
}


def test_dynamic_links_stay_with_the_revision(client: Client) -> None:
    """In both forms of an upload; what is not given in an update stays as it is."""
    older = {"dynamicLinking": json.dumps({"dynamicLinking": LINKS})}
    made = client.form("POST", COMPONENTS, {"name": f"c-{uuid4()}", "component": guest(), **older}).ok()
    assert made["metadata"]["dynamicLinking"] == LINKS
    path = f"/v1/components/{made['componentId']}"
    again = client.form("PATCH", path, {"component": guest()}).ok()
    assert again["metadata"]["dynamicLinking"] == LINKS
    changed = {"metadata": json.dumps({"currentRevision": 1, "dynamicLinking": {}})}
    assert client.form("PATCH", path, changed).ok()["metadata"]["dynamicLinking"] == {}
    assert client.get(f"{path}/revisions/0").ok()["metadata"]["dynamicLinking"] == LINKS

    newer = {"metadata": json.dumps({"componentName": f"c:x{uuid4().hex[:8]}", "dynamicLinking": LINKS})}
    made = client.form("POST", COMPONENTS, {**newer, "componentWasm": guest()}).ok()
    assert made["metadata"]["dynamicLinking"] == LINKS


@pytest.mark.parametrize("links", ['{"a":1}', '{"a":{"type":"Other","targets":{}}}', "[]", "{"])
def test_dynamic_links_of_no_known_form_are_refused(client: Client, links: str) -> None:
    client.form("POST", COMPONENTS, {"name": f"c-{uuid4()}", "component": guest(), "dynamicLinking": links}).refused(
        400
    )


def test_of_workers_of_an_ephemeral_component_nothing_stays(client: Client) -> None:
    parts = {"name": f"c-{uuid4()}", "component": guest(), "componentType": "Ephemeral"}
    made = client.form("POST", COMPONENTS, parts).ok()
    assert made["componentType"] == "Ephemeral"
    component = f"/v1/components/{made['componentId']}"
    worker = f"{component}/workers/w"
    assert [client.call(worker, "increment", key=key).ok()["result"]["value"] for key in "aab"] == [1, 1, 1]
    entries = [item["entry"] for item in client.get(f"{worker}/oplog?from=1&count=100").ok()["entries"]]
    assert [entry["type"] for entry in entries].count("ExportedFunctionInvoked") == 2
    # The type is that of the revision before, unless it is said.
    assert client.form("PATCH", component, {"component": guest("b")}).ok()["componentType"] == "Ephemeral"
    changed = client.form("PATCH", component, {"component": guest(), "componentType": "Durable"}).ok()
    assert changed["componentType"] == "Durable"
    kept = f"{component}/workers/kept"
    assert [client.call(kept, "increment").ok()["result"]["value"] for _ in range(2)] == [1, 2]
    client.post(f"{worker}/update", {"mode": "Automatic", "targetVersion": 1}).refused(400, "cannot be updated")
    client.post(f"{kept}/update", {"mode": "Automatic", "targetVersion": 0}).refused(400, "cannot be changed")
    client.form("POST", COMPONENTS, {**parts, "componentType": "Eternal"}).refused(400, "Durable or Ephemeral")
    metadata = json.dumps({"componentName": "it:ephemeral", "componentType": "Ephemeral"})
    newer = client.form("POST", COMPONENTS, {"metadata": metadata, "componentWasm": guest()}).ok()
    assert newer["componentType"] == "Ephemeral"


def test_an_update_adds_a_revision_and_workers_keep_theirs(client: Client) -> None:
    component = client.component()
    assert client.call(f"{component}/workers/old", "increment").ok()["result"]["value"] == 1
    updated = client.form("PATCH", component, {"component": guest("second")}).ok()
    assert updated["revision"] == 1
    assert client.get(f"{component}/revisions/0").ok()["wasmHash"] != updated["wasmHash"]
    assert client.call(f"{component}/workers/old", "increment").ok()["result"]["value"] == 2
    assert client.get(f"{component}/workers/old").ok()["componentRevision"] == 0
    client.call(f"{component}/workers/new", "increment").ok()
    assert client.get(f"{component}/workers/new").ok()["componentRevision"] == 1


def test_an_update_of_the_newer_form_says_which_revision_it_knows(client: Client) -> None:
    component = client.component()
    metadata = json.dumps({"currentRevision": 0, "env": {"B": "2"}})
    updated = client.form("PATCH", component, {"metadata": metadata}).ok()
    assert (updated["revision"], updated["env"]) == (1, {"B": "2"})
    client.form("PATCH", component, {"metadata": metadata}).refused(409, "Concurrent update", "CONCURRENT_UPDATE")
    client.form("PATCH", component, {"metadata": "{}"}).refused(400, "currentRevision")
    client.form("PATCH", component, {"metadata": "{"}).refused(400)
    wasm = {"metadata": json.dumps({"currentRevision": 1}), "newComponentWasm": guest("third")}
    assert client.form("PATCH", component, wasm).ok()["componentSize"] == len(guest("third"))


@pytest.mark.parametrize(("headers", "status"), [({}, 200), ({"x-golem-cli-version": "1.5.9"}, 204)])
def test_a_deleted_component_and_its_workers_cannot_be_reached(
    client: Client, headers: dict[str, str], status: int
) -> None:
    component = client.component()
    worker = f"{component}/workers/w"
    client.invoke(f"{worker}/invoke", "spin").ok()
    client.send("DELETE", f"{component}?current_revision=7", headers=headers).refused(409)
    answer = client.send("DELETE", f"{component}?current_revision=0", headers=headers)
    assert (answer.status, answer.body) == (status, b"{}" if status == 200 else b"")
    client.get(component).refused(404, "not found", "COMPONENT_NOT_FOUND")
    client.get(worker).refused(404, "not found", "COMPONENT_NOT_FOUND")
    client.call(worker, "increment").refused(404, "not found", "COMPONENT_NOT_FOUND")
    client.get(f"{component}/workers").refused(404)
    client.get(f"{component}/revisions/0/wasm").refused(404)
    client.send("DELETE", component).refused(404)


def test_what_does_not_exist_is_not_found(client: Client) -> None:
    unknown = uuid4()
    client.get(f"/v1/envs/{unknown}/components").refused(404, str(unknown), "ENVIRONMENT_NOT_FOUND")
    client.get(f"/v1/envs/{unknown}/components/a:b").refused(404)
    client.form("POST", f"/v1/envs/{unknown}/components", {"name": "x", "component": guest()}).refused(404)
    for name in ("a:b", "a%3Ab", "%00", "a%2Fb", "x" * 300):
        client.get(f"{COMPONENTS}/{name}").refused(404, code="COMPONENT_NOT_FOUND")
    client.get(f"{COMPONENTS}/%FF").refused(400, "UTF-8")
    client.get(f"/v1/components/{unknown}").refused(404, str(unknown), "COMPONENT_NOT_FOUND")
    client.get(f"/v1/components/{unknown}/revisions/0").refused(404)
    client.get("/v1/components/not-a-uuid").refused(400, "expected a UUID")
    client.get("/v1/envs/not-a-uuid/components").refused(400, "expected a UUID")
