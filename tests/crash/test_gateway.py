"""Calls through a deployed HTTP API while a real server process is killed: with an idempotency key each has one effect.

The script of the route calls two workers one after the other, so that a request may be cut off between its effects.
Clients send a request again, with its key, until it is answered. The seed of a run is printed; `CRASH_SEED` repeats it.
"""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path
from typing import Any

import pytest

from tests.crash.server import ServerUnderTest
from tests.guests import build

SOAK = os.environ.get("SOAK") == "1"
REQUESTS = 500 if SOAK else 15
CLIENTS = 4
HOST = "carts.example.com"
RESPONSE = """let n: u64 = request.body;
let cart = instance("cart-${request.path.user}");
let shop = instance("shop-${request.path.user}");
let in-cart = cart.add(n);
let sold = shop.add(n);
{status: 200, body: {cart: in-cart, shop: sold}}"""


async def _deploy(server: ServerUnderTest) -> str:
    """Deploy the API; the id of its component."""
    component = await server.upload("shop:carts", build("counter"))
    binding = {"component": {"name": "shop:carts"}, "response": RESPONSE}
    routes = [{"method": "Post", "path": "/carts/{user}", "binding": binding}]
    definition = {"id": "carts", "version": "1", "routes": routes}
    status, answer = await server.request("POST", "/v1/api/definitions", json=definition)
    assert status == 200, answer
    site = {"apiDefinitionId": "carts", "version": "1", "site": {"host": HOST}}
    status, answer = await server.request("POST", "/v1/api/deployments", json=site)
    assert status == 200, answer
    return component


async def _add(server: ServerUnderTest, user: int, key: str) -> Any:
    headers = {"Host": HOST, "Idempotency-Key": key}
    status, answer = await server.request("POST", f"/carts/{user}", json=1, headers=headers)
    assert status == 200, answer
    return answer


@pytest.mark.timeout(3600 if SOAK else 300)
async def test_a_repeated_request_has_one_effect(database_url: str, tmp_path: Path) -> None:
    """Every client's requests count one by one in both workers, whatever was cut off; old keys keep their answers."""
    seed = int(os.environ.get("CRASH_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"CRASH_SEED={seed}")
    moments = random.Random(seed)
    async with ServerUnderTest(database_url, tmp_path) as server:
        await _deploy(server)

        def plan() -> dict[str, Any]:
            return {"point": moments.choice(("before-commit", "after-commit")), "commit": moments.randrange(1, 12)}

        async def client(user: int) -> None:
            for number in range(1, REQUESTS + 1):
                answer = await _add(server, user, f"{user}-{number}")
                assert answer == {"cart": number, "shop": number}

        server.next_plan = plan
        await server.kill()
        await server.revive()
        async with asyncio.TaskGroup() as clients:
            for user in range(CLIENTS):
                clients.create_task(client(user))
        server.next_plan = lambda: None
        await server.kill()
        await server.revive()
        for user in range(CLIENTS):
            for number in (1, REQUESTS // 2, REQUESTS):
                assert await _add(server, user, f"{user}-{number}") == {"cart": number, "shop": number}
            assert await _add(server, user, "new") == {"cart": REQUESTS + 1, "shop": REQUESTS + 1}
        assert server.starts > REQUESTS // 10
        print(f"killed {server.starts - 1} times")
