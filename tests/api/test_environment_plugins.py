"""Plugins that are installed on a whole environment: all its components have them, and tell of their workers."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr

from golem_server.settings import Settings
from golem_server.storage.embedded import EmbeddedPostgres
from tests.api.guest import guest
from tests.api.server import COMPONENTS, Client, ServerThread, worker_path
from tests.api.test_plugins import GRANTS, PLUGINS, TRANSFORMER, plugin
from tests.guests import build
from tests.guests.processor import INTERFACE
from tests.postgres import execute, url_of

INSTALLS = f"{GRANTS}/installs"


@pytest.fixture
def client(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A caller of a server of the test's own: what is installed changes all components of an environment."""
    name = f"everywhere_{uuid4().hex}"
    asyncio.run(execute(postgres.url, f"CREATE DATABASE {name} TEMPLATE template_migrated"))
    settings = Settings(
        port=0, data_directory=tmp_path_factory.mktemp("data"), database_url=SecretStr(url_of(postgres.url, name))
    )
    with ServerThread(settings) as thread:
        yield Client(thread.port)


@pytest.fixture
def processor(client: Client) -> str:
    """The id of a component that counts what it is told."""
    component: str = client.create(build("processor"))["componentId"]
    return component


@pytest.fixture
def grant(client: Client, processor: str) -> dict[str, Any]:
    """The grant of a plugin that it carries out."""
    return granted(client, {"type": "OplogProcessor", "componentId": processor, "componentRevision": 0})


def granted(client: Client, specs: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A new plugin's grant."""
    registered = client.post(PLUGINS, plugin(specs=specs, **fields)).ok()
    grant: dict[str, Any] = client.post(GRANTS, {"pluginRegistrationId": registered["id"]}).ok()
    return grant


def wanted(grant: dict[str, Any], priority: int = 0, **parameters: str) -> dict[str, Any]:
    """The request that installs it."""
    return {"environmentPluginGrantId": grant["id"], "priority": priority, "parameters": parameters}


def plugins_of(client: Client, component: str) -> list[tuple[str, int, bool]]:
    """What a component has installed."""
    shown = client.get(component).ok()["installedPlugins"]
    return [(each["id"], each["priority"], each["fromEnvironment"]) for each in shown]


def test_all_components_have_it_and_their_new_workers_are_told_of(
    client: Client, processor: str, grant: dict[str, Any]
) -> None:
    before = client.component()
    old = worker_path(before, "old")
    client.call(old, "increment").ok()
    named = {"name": grant["plugin"]["name"], "version": "1", "priority": 3, "parameters": {"a": "b"}}
    installed = client.post(INSTALLS, named).ok()
    assert (installed["id"], installed["parameters"]) == (grant["id"], {"a": "b"})
    assert client.get(INSTALLS).ok() == [installed]
    after = client.component()
    metadata = json.dumps({"componentName": "it:newer"})
    newer = client.form("POST", COMPONENTS, {"metadata": metadata, "componentWasm": guest()}).ok()["componentId"]
    everywhere = [(grant["id"], 3, True)]
    for component in (before, after, f"/v1/components/{newer}"):
        assert plugins_of(client, component) == everywhere
    # Another binary changes nothing, and nobody is told of the processor's own workers.
    client.form("PATCH", before, {"component": guest("another")}).ok()
    assert plugins_of(client, before) == everywhere
    assert plugins_of(client, f"/v1/components/{processor}") == []

    # A worker that is there already has it from its update on.
    client.call(old, "increment").ok()
    assert client.get(old).ok()["activePlugins"] == []
    client.post(f"{old}/update", {"mode": "automatic", "targetRevision": 1}).ok()
    client.call(old, "increment").ok()
    new = worker_path(after, "new")
    client.call(new, "increment").ok()
    for worker in (old, new):
        assert client.get(worker).ok()["activePlugins"] == [grant["id"]]

    def last(worker: str) -> int:
        index: int = client.get(f"{worker}/oplog?from=1&count=1").ok()["lastIndex"]
        return index

    def told() -> int:
        worker = f"/v1/components/{processor}/workers/plugin-{grant['id']}/invoke-and-await"
        count: int = client.invoke(worker, "count", interface=INTERFACE).ok()["result"]["value"]
        return count

    entries = [item["entry"]["type"] for item in client.get(f"{old}/oplog?from=1&count=100").ok()["entries"]]
    expected = last(new) + last(old) - (entries.index("SuccessfulUpdate") + 1)
    deadline = time.monotonic() + 20
    while told() < expected:
        assert time.monotonic() < deadline
    client.post(f"{new}/deactivate-plugin?plugin-installation-id={grant['id']}", {}).ok()
    client.post(f"{new}/activate-plugin?plugin-priority=3", {}).ok()
    kinds = [item["entry"]["type"] for item in client.get(f"{new}/oplog?from=1&count=100").ok()["entries"]]
    assert kinds[-2:] == ["DeactivatePlugin", "ActivatePlugin"]


def test_it_is_taken_off_again(client: Client, grant: dict[str, Any]) -> None:
    shared, own = client.component(), client.component()
    client.post(f"{own}/latest/plugins/installs", {"name": grant["plugin"]["name"], "version": "1", "priority": 9}).ok()
    client.post(INSTALLS, wanted(grant, 1)).ok()
    assert plugins_of(client, shared) == [(grant["id"], 1, True)]
    # What it has of its own stays.
    assert plugins_of(client, own) == [(grant["id"], 9, False)]
    assert client.get(own).ok()["revision"] == 1
    assert client.send("DELETE", f"{INSTALLS}/{grant['id']}").ok() == {}
    assert client.get(INSTALLS).ok() == []
    assert plugins_of(client, shared) == plugins_of(client, client.component()) == []
    assert plugins_of(client, own) == [(grant["id"], 9, False)]
    client.send("DELETE", f"{INSTALLS}/{grant['id']}").refused(404, "Plugin installation not found")


def test_asked_for_again_it_finishes_what_was_cut_off(client: Client, grant: dict[str, Any]) -> None:
    component = client.component()
    client.post(INSTALLS, wanted(grant, 1)).ok()
    # As it is where the server was killed before it came to this component.
    client.send("DELETE", f"{component}/latest/plugins/installs/{grant['id']}").ok()
    client.post(INSTALLS, wanted(grant, 1)).ok()
    assert plugins_of(client, component) == [(grant["id"], 1, True)]
    revision = client.get(component).ok()["revision"]
    client.post(INSTALLS, wanted(grant, 1)).ok()
    assert client.get(component).ok()["revision"] == revision
    client.post(INSTALLS, wanted(grant, 2)).refused(400, "installed on the environment already")


def test_what_cannot_be_installed_changes_nothing(client: Client, processor: str, grant: dict[str, Any]) -> None:
    component = client.component()
    other = granted(client, {"type": "OplogProcessor", "componentId": processor, "componentRevision": 0})
    client.post(
        f"{component}/latest/plugins/installs", {"name": other["plugin"]["name"], "version": "1", "priority": 4}
    ).ok()
    client.post(INSTALLS, wanted(grant, 4)).refused(409, "same priority 4", "PLUGIN_PRIORITY_CONFLICT")
    client.post(INSTALLS, {"name": "nobody", "version": "1"}).refused(400, "grant it with POST")
    client.post(INSTALLS, {"priority": 1}).refused(400, "say which plugin")
    client.post(INSTALLS, {"environmentPluginGrantId": str(uuid4())}).refused(400, "not found")
    scope = {"type": "Component", "componentId": component.rpartition("/")[2]}
    client.post(INSTALLS, wanted(granted(client, TRANSFORMER, scope=scope))).refused(400, "may only be installed on")
    assert client.get(INSTALLS).ok() == []
    assert plugins_of(client, client.component()) == []
    client.get(f"/v1/envs/{uuid4()}/plugins/installs").refused(404)
