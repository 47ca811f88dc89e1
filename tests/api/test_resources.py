"""Resources of an environment over REST."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from golem_server.registry.accounts import DEFAULT_ENVIRONMENT_ID
from tests.api.server import JSON, Client

RESOURCES = f"/v1/envs/{DEFAULT_ENVIRONMENT_ID}/resources"
RATE = {"type": "Rate", "value": 100, "period": "minute", "max": 1000}


def wanted(**fields: Any) -> dict[str, Any]:
    """A request with a name of its own."""
    texts = {"enforcementAction": "reject", "unit": "token", "units": "tokens"}
    return {"name": f"r-{uuid4()}", "limit": RATE, **texts, **fields}


def patch(client: Client, path: str, content: str) -> Any:
    return client.send("PATCH", path, content.encode(), JSON)


@pytest.mark.parametrize("limit", [RATE, {"type": "Capacity", "value": 5}, {"type": "Concurrency", "value": 0}])
def test_a_resource_is_what_was_defined(client: Client, limit: dict[str, Any]) -> None:
    request = wanted(limit=limit)
    made = client.post(RESOURCES, request).ok()
    assert made == {**request, "id": made["id"], "revision": 0, "environmentId": str(DEFAULT_ENVIRONMENT_ID)}
    assert client.get(f"/v1/resources/{made['id']}").ok() == made
    assert client.get(f"{RESOURCES}/{made['name']}").ok() == made
    assert made in client.get(RESOURCES).ok()["values"]
    client.post(RESOURCES, request).refused(409, "already")


def test_a_resource_is_changed_and_deleted_at_its_revision(client: Client) -> None:
    path = f"/v1/resources/{client.post(RESOURCES, wanted()).ok()['id']}"
    changed = patch(client, path, '{"currentRevision": 0, "enforcementAction": "throttle"}').ok()
    assert (changed["revision"], changed["enforcementAction"], changed["limit"]) == (1, "throttle", RATE)
    assert client.get(path).ok() == changed
    patch(client, path, '{"currentRevision": 0, "unit": "x"}').refused(409)
    patch(client, path, '{"currentRevision": 1, "limit": {"type": "Capacity", "value": 1}}').refused(400, "type")
    client.send("DELETE", f"{path}?current_revision=0").refused(409)
    client.send("DELETE", path).refused(400)
    assert client.send("DELETE", f"{path}?current_revision=1").status == 204
    client.get(path).refused(404)


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"name": "x" * 256},
        {"name": "a\u0000b"},
        {"enforcementAction": "maybe"},
        {"limit": {"type": "Rate", "value": 1, "period": "century", "max": 1}},
        {"limit": {"type": "Rate", "value": 1, "period": "day"}},
        {"limit": {"type": "Capacity", "value": -1}},
        {"limit": {"type": "Capacity", "value": 2**63}},
        {"limit": {"type": "Other", "value": 1}},
    ],
)
def test_what_is_no_resource_is_refused(client: Client, fields: dict[str, Any]) -> None:
    client.post(RESOURCES, wanted(**fields)).refused(400)


def test_unknown_ones_are_not_found(client: Client) -> None:
    client.get(f"/v1/resources/{uuid4()}").refused(404)
    client.get(f"/v1/envs/{uuid4()}/resources").refused(404)
    client.get(f"{RESOURCES}/none").refused(404)
