"""What guests of each Golem find in their environment, and how an operator chooses otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr
from wasmtime import wat2wasm

from golem_server.settings import ExecutorSettings, Settings
from tests.api.server import Client, ServerThread
from tests.guests.host_calls import ENVIRONMENT

OLD = bytes(wat2wasm(ENVIRONMENT))
NEW = bytes(wat2wasm(ENVIRONMENT.replace("wasi:cli/environment@0.2.0", "wasi:cli/environment@0.2.3")))

NAMES = {
    "1.2": ["WORKER_NAME", "COMPONENT_ID", "COMPONENT_VERSION"],
    "1.3": ["AGENT_ID", "WORKER_NAME", "COMPONENT_ID", "COMPONENT_VERSION"],
    "1.4": ["AGENT_ID", "WORKER_NAME", "COMPONENT_ID", "COMPONENT_REVISION"],
    "all": ["AGENT_ID", "WORKER_NAME", "COMPONENT_ID", "COMPONENT_REVISION", "COMPONENT_VERSION"],
}


def variables(client: Client, worker: str) -> dict[str, str]:
    """What a worker finds, in order."""
    found = client.post(f"{worker}/invoke-and-await?function=variables", {"params": []}).ok()["result"]["value"]
    return {name: value for name, value in found}


def names(release: str, *given: str) -> list[str]:
    """The variables that a client has given, then those of a release."""
    return [*given, *(f"GOLEM_{name}" for name in NAMES[release])]


def test_each_component_has_those_of_the_golem_that_it_was_made_for(client: Client) -> None:
    for wasm, release, revision in ((OLD, "1.2", "COMPONENT_VERSION"), (NEW, "1.4", "COMPONENT_REVISION")):
        component = client.create(wasm)["componentId"]
        workers = f"/v1/components/{component}/workers"
        client.post(workers, {"name": "w", "env": {"MINE": "1", "GOLEM_AGENT_ID": "x", "GOLEM_COMPONENT_ID": "y"}}).ok()
        found = variables(client, f"{workers}/w")
        assert list(found) == names(release, "MINE")
        assert found["GOLEM_WORKER_NAME"] == "w"
        assert found["GOLEM_COMPONENT_ID"] == component
        assert found[f"GOLEM_{revision}"] == "0"


@pytest.mark.parametrize("release", ["1.3", "all"])
def test_an_operator_chooses_for_new_workers(
    server: ServerThread, client: Client, tmp_path: Path, release: str
) -> None:
    component = f"/v1/components/{client.create(OLD)['componentId']}/workers"
    client.post(component, {"name": "older"}).ok()
    settings = Settings(
        port=0,
        data_directory=tmp_path,
        database_url=SecretStr(server.database_url),
        executor=ExecutorSettings.model_validate({"golem_variables": release}),
    )
    with ServerThread(settings) as other:
        there = Client(other.port)
        there.post(component, {"name": "newer"}).ok()
        assert list(variables(there, f"{component}/newer")) == names(release)
        assert list(variables(there, f"{component}/older")) == names("1.2")
