"""Plugins: registered in the words of each generation, listed, granted to environments, deleted."""

from __future__ import annotations

import json
import time
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar
from uuid import uuid4

import pytest
from wasmtime import wat2wasm

from golem_server.registry.accounts import DEFAULT_ACCOUNT_ID, DEFAULT_ENVIRONMENT_ID
from tests.api.guest import guest
from tests.api.server import COMPONENTS, FORM_TYPE, NOBODYS, Client, form_body
from tests.guests import build
from tests.guests.processor import INTERFACE

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


@pytest.mark.parametrize("account", [NOBODYS, "nobody"])
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


# --- Installed and active


@pytest.fixture(scope="module")
def counting(client: Client) -> dict[str, Any]:
    """A grant of an oplog processor that counts, with the component that does."""
    component = client.create(build("processor"))
    specs = {"type": "OplogProcessor", "componentId": component["componentId"], "componentRevision": 0}
    registered = client.post(PLUGINS, plugin(specs=specs)).ok()
    return client.post(GRANTS, {"pluginRegistrationId": registered["id"]}).ok() | {"worker": component["componentId"]}


def told(client: Client, grant: dict[str, Any]) -> int:
    """How many entries the processor knows of."""
    worker = f"/v1/components/{grant['worker']}/workers/plugin-{grant['id']}/invoke-and-await"
    return client.invoke(worker, "count", interface=INTERFACE).ok()["result"]["value"]


def wait_until_told(client: Client, grant: dict[str, Any], entries: int) -> None:
    """Return when the processor knows of so many entries, and of no more."""
    deadline = time.monotonic() + 20
    while told(client, grant) < entries:
        assert time.monotonic() < deadline
    assert told(client, grant) == entries


def with_plugins(client: Client, *installations: dict[str, Any]) -> Any:
    """A component with these plugins."""
    metadata = json.dumps({"componentName": f"it:p{uuid4().hex}", "plugins": list(installations)})
    return client.form("POST", COMPONENTS, {"metadata": metadata, "componentWasm": guest()})


def installation(grant: dict[str, Any], priority: int = 0, **parameters: str) -> dict[str, Any]:
    return {"environmentPluginGrantId": grant["id"], "priority": priority, "parameters": parameters}


def test_a_component_shows_what_it_has_installed(client: Client, counting: dict[str, Any]) -> None:
    made = with_plugins(client, installation(counting, 3, a="b")).ok()
    (shown,) = made["installedPlugins"]
    assert shown["environmentPluginGrantId"] == shown["id"] == counting["id"]
    assert (shown["priority"], shown["parameters"]) == (3, {"a": "b"})
    assert shown["pluginName"] == counting["plugin"]["name"]
    assert shown["oplogProcessorComponentId"] == counting["worker"]
    path = f"/v1/components/{made['componentId']}"
    assert client.form("PATCH", path, {"component": guest()}).ok()["installedPlugins"] == [shown]

    def changed(*updates: dict[str, Any]) -> Any:
        current = client.get(path).ok()["revision"]
        metadata = json.dumps({"currentRevision": current, "pluginUpdates": list(updates)})
        return client.form("PATCH", path, {"metadata": metadata})

    grant = {"environmentPluginGrantId": counting["id"]}
    (updated,) = changed({"type": "Update", **grant, "newPriority": 5}).ok()["installedPlugins"]
    assert (updated["priority"], updated["parameters"]) == (5, {"a": "b"})
    assert changed({"type": "Uninstall", **grant}).ok()["installedPlugins"] == []
    changed({"type": "Uninstall", **grant}).refused(400, "is not installed")
    assert client.get(f"{path}/revisions/0").ok()["installedPlugins"] == [shown]


def test_plugins_that_cannot_be_installed_are_refused(client: Client, counting: dict[str, Any]) -> None:
    with_plugins(client, {"environmentPluginGrantId": str(uuid4())}).refused(400, "not found")
    with_plugins(client, installation(counting), installation(counting)).refused(400, "installed already")
    other = client.post(PLUGINS, plugin()).ok()
    second = client.post(GRANTS, {"pluginRegistrationId": other["id"]}).ok()
    with_plugins(client, installation(counting, 1), installation(second, 1)).refused(409, "same priority")
    form = {"metadata": json.dumps(plugin(specs={"type": "Library"})), "pluginWasm": guest()}
    library = client.form("POST", PLUGINS, form).ok()
    third = client.post(GRANTS, {"pluginRegistrationId": library["id"]}).ok()
    with_plugins(client, installation(third)).refused(400, "have nothing in common")


def test_an_active_plugin_is_told_what_the_worker_does(client: Client, counting: dict[str, Any]) -> None:
    component = f"/v1/components/{with_plugins(client, installation(counting, 7)).ok()['componentId']}"
    worker = f"{component}/workers/w"
    before = told(client, counting)
    client.call(worker, "increment").ok()
    assert client.get(worker).ok()["activePlugins"] == [counting["id"]]

    def entries() -> int:
        return client.get(f"{worker}/oplog?from=1&count=1").ok()["lastIndex"]

    wait_until_told(client, counting, before + entries())
    client.post(f"{worker}/deactivate-plugin?plugin-priority=7", {}).ok()
    client.post(f"{worker}/deactivate-plugin?plugin-installation-id={counting['id']}", {}).ok()
    assert client.get(worker).ok()["activePlugins"] == []
    known = before + entries()
    wait_until_told(client, counting, known)
    client.call(worker, "increment").ok()
    silent = entries()
    client.post(f"{worker}/activate-plugin?plugin-installation-id={counting['id']}", {}).ok()
    assert client.get(worker).ok()["activePlugins"] == [counting["id"]]
    client.call(worker, "increment").ok()
    wait_until_told(client, counting, known + entries() - silent - 1)
    kinds = [item["entry"]["type"] for item in client.get(f"{worker}/oplog?from=1&count=100").ok()["entries"]]
    assert kinds.count("ActivatePlugin") == kinds.count("DeactivatePlugin") == 1


def test_an_activation_names_a_plugin_of_the_workers_component(client: Client, counting: dict[str, Any]) -> None:
    worker = f"{client.component()}/workers/w"
    client.call(worker, "increment").ok()
    client.post(f"{worker}/activate-plugin", {}).refused(400, "plugin-installation-id")
    client.post(f"{worker}/activate-plugin?plugin-installation-id=x", {}).refused(400, "expected a UUID")
    answer = client.post(f"{worker}/activate-plugin?plugin-installation-id={counting['id']}", {})
    answer.refused(400, "does not belong to this worker's component")
    nobody = f"{worker.rpartition('/')[0]}/nobody/activate-plugin?plugin-priority=1"
    client.post(nobody, {}).refused(404)


def test_the_oldest_way_to_install_makes_a_revision(client: Client, counting: dict[str, Any]) -> None:
    component = client.component()
    wanted = {"name": counting["plugin"]["name"], "version": "1", "priority": 2, "parameters": {"x": "y"}}
    made = client.post(f"{component}/latest/plugins/installs", wanted).ok()
    assert made["revision"] == 1
    (shown,) = client.get(f"{component}/latest/plugins/installs").ok()
    assert (shown["priority"], shown["parameters"]) == (2, {"x": "y"})
    client.post(f"{component}/latest/plugins/installs", {**wanted, "version": "2"}).refused(400, "grant it")
    removed = client.send("DELETE", f"{component}/latest/plugins/installs/{counting['id']}").ok()
    assert (removed["revision"], removed["installedPlugins"]) == (2, [])
    client.send("DELETE", f"{component}/latest/plugins/installs/{counting['id']}").refused(404)


# --- Apps and libraries

DOUBLING = """(component
  (core module $code (func (export "double") (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2))))
  (core instance $main (instantiate $code))
  (func $double (param "n" u32) (result u32) (canon lift (core func $main "double")))
  (instance $exported (export "double" (func $double)))
  (export "it:library/doubling@1.2.0" (instance $exported)))
"""
QUADRUPLING = """(component
  (import "it:library/doubling@1.0.0" (instance $library (export "double" (func (param "n" u32) (result u32)))))
  (core func $double (canon lower (func $library "double")))
  (core module $code
    (import "library" "double" (func $double (param i32) (result i32)))
    (func (export "quadruple") (param i32) (result i32) (call $double (call $double (local.get 0)))))
  (core instance $main (instantiate $code (with "library" (instance (export "double" (func $double))))))
  (func $quadruple (param "n" u32) (result u32) (canon lift (core func $main "quadruple")))
  (instance $exported (export "quadruple" (func $quadruple)))
  (export "it:app/quadrupling" (instance $exported)))
"""


@pytest.mark.parametrize(
    ("kind", "own", "plugins"), [("Library", QUADRUPLING, DOUBLING), ("App", DOUBLING, QUADRUPLING)]
)
def test_an_app_and_a_library_are_joined_with_the_component(client: Client, kind: str, own: str, plugins: str) -> None:
    form = {"metadata": json.dumps(plugin(specs={"type": kind})), "pluginWasm": bytes(wat2wasm(plugins))}
    registered = client.form("POST", PLUGINS, form).ok()
    grant = client.post(GRANTS, {"pluginRegistrationId": registered["id"]}).ok()
    metadata = json.dumps({"componentName": f"it:p{uuid4().hex}", "plugins": [installation(grant)]})
    made = client.form("POST", COMPONENTS, {"metadata": metadata, "componentWasm": bytes(wat2wasm(own))}).ok()
    assert [export["name"] for export in made["metadata"]["exports"]] == ["it:app/quadrupling"]
    path = f"/v1/components/{made['componentId']}"
    call = f"{path}/workers/w/invoke-and-await"
    assert client.invoke(call, "quadruple", 3, interface="it:app/quadrupling").ok()["result"]["value"] == 12
    # Without the plugin it is again what was uploaded.
    client.send("DELETE", f"{path}/latest/plugins/installs/{grant['id']}").ok()
    assert client.get(f"{path}/revisions/1/wasm").body == bytes(wat2wasm(own))


# --- Component transformers


class Transformer(BaseHTTPRequestHandler):
    """Answers what the test put into `answer`, and keeps what it was sent in `asked`."""

    answer: ClassVar[tuple[int, bytes]] = (200, b"{}")
    asked: ClassVar[list[bytes]] = []

    def do_POST(self) -> None:
        """Read the form, whatever its length."""
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        self.asked.append(body)
        status, content = self.answer
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def transforming(client: Client) -> Iterator[dict[str, Any]]:
    """A grant of a component transformer, which answers what a test wants."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Transformer) as server:
        serving = Thread(target=server.serve_forever)
        serving.start()
        url = f"http://127.0.0.1:{server.server_port}/"
        specs = {"type": "ComponentTransformer", "validateUrl": url, "transformUrl": url}
        registered = client.post(PLUGINS, plugin(specs=specs)).ok()
        yield client.post(GRANTS, {"pluginRegistrationId": registered["id"]}).ok()
        server.shutdown()
        serving.join()


def test_a_transformer_changes_the_component(client: Client, transforming: dict[str, Any]) -> None:
    added = {"path": "/note", "permissions": "read-write", "content": b64encode(b"note").decode()}
    changed = {"data": b64encode(guest("changed")).decode(), "additionalFiles": [added], "env": {"ADDED": "1"}}
    Transformer.answer = (200, json.dumps(changed).encode())
    Transformer.asked.clear()
    made = with_plugins(client, installation(transforming, 1, colour="red")).ok()
    (form,) = Transformer.asked
    for part in (b'name="colour"\r\n\r\nred', b'name="metadata"', b'name="component"', guest()):
        assert part in form
    path = f"/v1/components/{made['componentId']}"
    assert client.get(f"{path}/revisions/0/wasm").body == guest("changed")
    assert (made["env"], made["originalEnv"]) == ({"ADDED": "1"}, {})
    assert ([file["path"] for file in made["files"]], made["originalFiles"]) == (["/note"], [])
    assert client.get(f"{path}/workers/w/file-contents/note").body == b"note"

    # Without the plugin it is again what was uploaded.
    removed = client.send("DELETE", f"{path}/latest/plugins/installs/{transforming['id']}").ok()
    assert client.get(f"{path}/revisions/1/wasm").body == guest()
    assert (removed["env"], removed["files"]) == ({}, [])


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (500, b"no", "it answers 500: no"),
        (302, b"", "it answers 302"),
        (200, b"no json", "cannot be read"),
        (200, b'{"data":"?"}', "cannot be read"),
        (200, b'{"data":"AAAA"}', "Invalid component"),
        (200, b'{"additionalFiles":[{"path":"/../x","content":""}]}', "Invalid file path"),
    ],
)
def test_a_transformer_that_fails_makes_no_component(
    client: Client, transforming: dict[str, Any], status: int, body: bytes, reason: str
) -> None:
    Transformer.answer = (status, body)
    with_plugins(client, installation(transforming)).refused(400, reason)
