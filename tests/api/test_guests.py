"""Guests with more to them, through the API: resources by handle and by index, exits, complaints, all WIT types."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.server import Answer, Client
from tests.guests import build


class Worker:
    """A worker of one of the small guests, and how its functions are called."""

    def __init__(self, client: Client, guest: str) -> None:
        self.client = client
        self.interface = f"golem:it/{guest}"
        self.path = f"/v1/components/{client.create(build(guest))['id']}/workers/w"

    def ask(self, function: str, *params: object) -> Answer:
        """Invoke and await."""
        return self.client.invoke(f"{self.path}/invoke-and-await", function, *params, interface=self.interface)

    def call(self, function: str, *params: object) -> Any:
        """The value of the result."""
        return self.ask(function, *params).ok()["result"]["value"]


def test_a_resource_is_used_by_its_handle(client: Client) -> None:
    carts = Worker(client, "carts")
    made = carts.ask("cart.new", "ann").ok()["result"]
    assert made["typ"]["type"] == "Handle"
    handle = made["value"]
    assert handle.startswith(f"urn:worker:{carts.path.split('/')[3]}/w/")
    assert carts.call("[method]cart.add", handle, 5) == 5
    assert carts.call("cart.add", handle, 2) == 7
    assert carts.call("cart.owner", handle) == "ann"
    (instance,) = client.get(carts.path).ok()["exportedResourceInstances"]
    assert instance["description"]["resourceName"] == "cart"
    assert carts.ask("cart.drop", handle).ok() == {"result": None}
    assert carts.call("live") == 0
    assert client.get(carts.path).ok()["exportedResourceInstances"] == []
    carts.ask("cart.add", "urn:worker:other/w/1", 2).refused(400, "the handle belongs to another worker")


def test_a_resource_is_used_by_the_arguments_of_its_constructor(client: Client) -> None:
    carts = Worker(client, "carts")
    assert carts.call('cart("bob").add', 5) == 5
    assert carts.call('cart("bob").add', 1) == 6
    assert carts.call('cart("eve").add', 1) == 1
    assert carts.call("live") == 2
    carts.ask("cart(7).add", 1).refused(400)


def test_a_guest_that_exits_takes_no_more(client: Client) -> None:
    trapper = Worker(client, "trapper")
    error = trapper.ask("exit", 0).refused(500, "exited")
    assert error["golemError"]["type"] == "RuntimeError"
    assert client.get(trapper.path).ok()["status"] == "Exited"
    trapper.ask("get").refused(500, "The previously invoked function exited")
    client.send("POST", f"{trapper.path}/resume").refused(500, "The previously invoked function exited")


def test_what_a_guest_complains_is_part_of_the_error(client: Client) -> None:
    trapper = Worker(client, "trapper")
    error = trapper.ask("complain", "it hurts").refused(500, "Invocation Failed")
    assert "it hurts" in error["workerError"]["stderr"]
    assert error["golemError"]["details"].endswith(error["workerError"]["stderr"])
    assert "it hurts" in client.get(trapper.path).ok()["lastError"]


@pytest.mark.parametrize(
    ("function", "value"),
    [
        ("text", "☃"),
        ("bytes", [0, 255]),
        ("number", -0.5),
        ("letter", 0x1F600),
        ("maybe", None),
        ("maybe", 2**64 - 1),
        ("outcome", {"ok": "fine"}),
        ("outcome", {"err": 7}),
        ("product", {"name": "p", "price": 1.5, "tags": ["a", ""]}),
    ],
)
def test_values_of_many_types_come_back(client: Client, function: str, value: object) -> None:
    assert Worker(client, "echo").call(function, value) == value


def test_all_faults_of_a_value_are_told_with_their_places(client: Client) -> None:
    answer = Worker(client, "echo").ask("product", {"name": 1, "price": "x", "tags": ["a", 2]})
    details = answer.refused(400)["errors"]
    assert [detail.partition(":")[0] for detail in details] == [
        "params[0].name",
        "params[0].price",
        "params[0].tags[1]",
    ]
