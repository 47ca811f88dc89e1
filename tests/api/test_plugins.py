"""Plugins: registered in the words of each generation, listed, granted to environments, deleted."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any
from uuid import uuid4

import pytest
from wasmtime import wat2wasm

from golem_server.registry.accounts import DEFAULT_ACCOUNT_ID, DEFAULT_ENVIRONMENT_ID
from tests.api.guest import guest
from tests.api.server import FORM_TYPE, Client, form_body

PLUGINS = f"/v1/accounts/{DEFAULT_ACCOUNT_ID}/plugins"
GRANTS = f"/v1/envs/{DEFAULT_ENVIRONMENT_ID}/plugins"
CLI = {"x-golem-cli-version": "1.5.9"}
TRANSFORMER = {
    "type": "ComponentTransformer",
    "validateUrl": "http://127.0.0.1:1/validate",
    "transformUrl": "http://127.0.0.1:1/transform",
}

PROCESSOR = """(component
  (core module $code (func (export "process")))
  (core instance $main (instantiate $code))
  (func $process (canon lift (core func $main "process")))
  (component $processor (import "process" (func $process)) (export "process" (func $process)))
  (instance $exported (instantiate $processor (with "process" (func $process))))
  (export "golem:api/oplog-processor@1.5.0" (instance $exported)))
"""


def plugin(**fields: Any) -> dict[str, Any]:
    """A request with a name of its own."""
    return {"name": f"p-{uuid4()}", "version": "1", "description": "d", "specs": TRANSFORMER, **fields}


@pytest.fixture(scope="module")
def processor(client: Client) -> dict[str, Any]:
    """The specs of an oplog processor."""
    component = client.create(bytes(wat2wasm(PROCESSOR)))
    return {"type": "OplogProcessor", "componentId": component["componentId"], "componentRevision": 0}


def test_a_plugin_is_what_was_registered(client: Client, processor: dict[str, Any]) -> None:
    wanted = plugin(specs=processor, icon=b64encode(b"icon").decode(), homepage="http://x", scope={"type": "Global"})
    made = client.post(PLUGINS, wanted).ok()
    specs = {**processor, "componentVersion": 0}
    assert made == {
        **wanted,
        "id": made["id"],
        "accountId": str(DEFAULT_ACCOUNT_ID),
        "spec": specs,
        "specs": specs,
        "owner": {"type": "Account", "accountId": str(DEFAULT_ACCOUNT_ID)},
    }
    assert client.get(f"/v1/plugins/{made['id']}").ok() == made
    assert made in client.get(PLUGINS).ok()


def test_older_clients_send_the_icon_as_numbers_and_newer_ones_call_the_specs_spec(
    client: Client, component: str
) -> None:
    wanted = plugin(icon=[0, 255], scope={"type": "Component", "componentId": component.rpartition("/")[2]})
    wanted["spec"] = {**wanted.pop("specs"), "jsonSchema": {"type": "object"}, "providedWitPackage": "a:b"}
    made = client.post(PLUGINS, wanted).ok()
    assert made["icon"] == b64encode(b"\0\xff").decode()
    assert made["scope"] == wanted["scope"]
    assert made["specs"] == made["spec"] == wanted["spec"]


@pytest.mark.parametrize("kind", ["App", "Library"])
def test_what_is_joined_with_a_component_brings_its_binary(client: Client, kind: str) -> None:
    wanted = plugin(specs={"type": kind})
    client.post(PLUGINS, wanted).refused(400, "Required wasm file missing")

    def form(wasm: bytes) -> Any:
        body = form_body({"metadata": json.dumps(wanted), "pluginWasm": wasm})
        return client.send("POST", PLUGINS, body, {"content-type": FORM_TYPE})

    form(b"no wasm").refused(400, "Invalid component")
    assert form(guest()).ok()["specs"] == {"type": kind}


def test_the_official_client_is_shown_what_it_knows(client: Client, processor: dict[str, Any]) -> None:
    transformer = client.post(PLUGINS, plugin()).ok()
    made = client.post(PLUGINS, plugin(specs=processor)).ok()
    shown = client.send("GET", PLUGINS, headers=CLI).ok()["values"]
    assert made in shown
    assert transformer["id"] not in [each["id"] for each in shown]


def test_names_and_versions_are_taken_once_until_deleted(client: Client) -> None:
    wanted = plugin()
    made = client.post(PLUGINS, wanted).ok()
    client.post(PLUGINS, wanted).refused(409, "already exists", "PLUGIN_REGISTRATION_ALREADY_EXISTS")
    client.post(PLUGINS, {**wanted, "version": "2"}).ok()
    path = f"/v1/plugins/{made['id']}"
    assert client.send("DELETE", path).ok() == made
    client.get(path).refused(404, "Registered plugin not found", "PLUGIN_REGISTRATION_NOT_FOUND")
    client.send("DELETE", path).refused(404)
    assert made not in client.get(PLUGINS).ok()
    client.post(PLUGINS, wanted).ok()


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"name": ""}, "plugin name"),
        ({"name": "a\nb"}, "control characters"),
        ({"version": "x" * 300}, "plugin version"),
        ({"icon": "?"}, "icon"),
        ({"icon": [256]}, "icon"),
        ({"specs": None}, "specs"),
        ({"specs": {"type": "Other"}}, "type"),
        ({"specs": {"type": "ComponentTransformer"}}, "validateUrl"),
        ({"specs": {"type": "OplogProcessor", "componentId": "x", "componentRevision": 0}}, "componentId"),
        ({"specs": {"type": "OplogProcessor", "componentId": str(uuid4())}}, "componentRevision"),
        (
            {"specs": {"type": "OplogProcessor", "componentId": str(uuid4()), "componentRevision": 0}},
            "Target component for oplog processor does not exist",
        ),
        ({"scope": {"type": "Component", "componentId": "x"}}, "scope.componentId"),
    ],
)
def test_a_wrong_plugin_is_refused(client: Client, change: dict[str, Any], text: str) -> None:
    client.post(PLUGINS, plugin(**change)).refused(400, text)


def test_an_oplog_processor_must_be_one(client: Client, component: str) -> None:
    specs = {"type": "OplogProcessor", "componentId": component.rpartition("/")[2], "componentRevision": 0}
    client.post(PLUGINS, plugin(specs=specs)).refused(400, "does not export golem:api/oplog-processor")
    client.post(PLUGINS, plugin(specs={**specs, "componentRevision": 7})).refused(400, "does not exist")


@pytest.mark.parametrize("account", [str(uuid4()), "nobody"])
def test_an_unknown_account_has_no_plugins(client: Client, account: str) -> None:
    client.get(f"/v1/accounts/{account}/plugins").refused(404, "not found", "ACCOUNT_NOT_FOUND")
    client.post(f"/v1/accounts/{account}/plugins", plugin()).refused(404, "not found")


def test_a_grant_outlives_the_deletion_of_its_plugin(client: Client) -> None:
    made = client.post(PLUGINS, plugin()).ok()
    client.post(GRANTS, {"pluginRegistrationId": str(uuid4())}).refused(404)
    grant = client.post(GRANTS, {"pluginRegistrationId": made["id"]}).ok()
    assert grant["plugin"] == made
    assert grant["pluginAccount"]["email"] == "initial@user"
    client.post(GRANTS, {"pluginRegistrationId": made["id"]}).refused(409, "has this plugin")
    path = f"/v1/environment-plugins/{grant['id']}"
    client.send("DELETE", f"/v1/plugins/{made['id']}").ok()
    assert client.get(path).ok() == grant
    assert grant in client.get(GRANTS).ok()["values"]
    assert client.send("DELETE", path).status == 204
    client.get(path).refused(404)
    assert grant not in client.get(GRANTS).ok()["values"]
