"""Answers that were given before an update are given again for their keys, whatever became of their functions."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.server import Answer, Client, worker_path
from tests.crash.changing_guest import changing_guest

CHANGING = "golem:it/changing"


class Changed:
    """A worker that an update by snapshot has brought to a revision without `step`, whose `version` is a boolean."""

    def __init__(self, client: Client) -> None:
        self.client = client
        created = client.create(changing_guest(0))
        self.component = f"/v1/components/{created['componentId']}"
        self.worker = worker_path(self.component, "w")
        self.step = self.ask("step", "a-step").ok()
        self.version = self.ask("version", "a-version").ok()
        client.form("PATCH", self.component, {"component": changing_guest(1, steps=False, version="bool")}).ok()
        client.post(f"{self.worker}/update", {"mode": "Manual", "targetVersion": 1}).ok()
        assert self.ask("version").ok()["result"] == {"typ": {"type": "Bool"}, "value": True}

    def ask(
        self, function: str, key: str | None = None, *params: object, operation: str = "invoke-and-await"
    ) -> Answer:
        """Invoke a function of the guest."""
        return self.client.invoke(f"{self.worker}/{operation}", function, *params, key=key, interface=CHANGING)


@pytest.fixture(scope="module")
def changed(client: Client) -> Changed:
    """The worker, after its update."""
    return Changed(client)


def test_of_a_function_that_is_gone(changed: Changed) -> None:
    assert changed.ask("step", "a-step").ok() == changed.step
    assert changed.ask("step", "a-step", operation="invoke").ok() == {}
    for key in (None, "another"):
        changed.ask("step", key).refused(400, "Can't find exported function")
        changed.ask("step", key, operation="invoke").refused(400, "Can't find exported function")


def test_in_the_type_of_then(changed: Changed) -> None:
    assert changed.version["result"] == {"typ": {"type": "U32"}, "value": 0}
    assert changed.ask("version", "a-version").ok() == changed.version


def test_of_a_worker_that_is_not_in_memory(server: Any, changed: Changed) -> None:
    changed.client.post(f"{changed.worker}/interrupt", {}).ok()
    server.run(unloaded)
    assert changed.ask("step", "a-step").ok() == changed.step
    server.run(unloaded)
    assert changed.ask("version", "a-version").ok() == changed.version


async def unloaded(services: Any) -> None:
    """Drop all workers from memory that have nothing to do."""
    for worker in list(services.executor._workers.values()):
        worker.unload()


def test_the_rules_for_parameters_are_those_of_then(changed: Changed) -> None:
    changed.ask("step", "a-step", 1).refused(400, "parameters")


def test_a_revert_takes_the_answer_away(client: Client) -> None:
    changed = Changed(client)
    client.post(f"{changed.worker}/revert", {"type": "RevertToOplogIndex", "lastOplogIndex": 1}).ok()
    # Back at the first revision, which has the function.
    assert changed.ask("step", "a-step").ok() != changed.step
