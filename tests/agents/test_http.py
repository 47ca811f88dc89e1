"""Agents behind their own HTTP routes keep what they were asked and what they wait for over `kill -9`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from golem_server.registry.accounts import DEFAULT_ENVIRONMENT_ID
from tests.agents.agent_server import AgentServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(900)]
"""The first run fetches the SDK and compiles it."""

ENVIRONMENT = f"/v1/envs/{DEFAULT_ENVIRONMENT_ID}"


async def deploy(server: AgentServer, domain: str, *agents: str) -> None:
    """Have these agents, and what else is staged, answer at the domain."""
    status, answer = await server.request("POST", f"{ENVIRONMENT}/domain-registrations", json={"domain": domain})
    assert status == 200, answer
    api: dict[str, Any] = {
        "domain": domain,
        "webhooksPrefix": "/webhooks/",
        "openapiEndpointPrefix": "/",
        "agents": {agent: {} for agent in agents},
    }
    status, answer = await server.request("POST", f"{ENVIRONMENT}/http-api-deployments", json=api)
    assert status == 200, answer
    _, plan = await server.request("GET", f"{ENVIRONMENT}/plan")
    wanted = {"currentRevision": plan["currentRevision"], "expectedDeploymentHash": plan["deploymentHash"]}
    status, answer = await server.request("POST", f"{ENVIRONMENT}/deployments", json=wanted | {"version": ""})
    assert status == 200, answer


async def call(server: AgentServer, domain: str, path: str, key: str, json: Any = None) -> tuple[int, Any]:
    """Call an agent, with a key so that it can be sent again after a kill."""
    headers = {"Host": domain, "Idempotency-Key": key}
    return await server.request("POST", path, headers=headers, json=json)


@asynccontextmanager
async def announced() -> AsyncGenerator[tuple[str, asyncio.Queue[str]]]:
    """A URL, and what is posted to it."""
    posted: asyncio.Queue[str] = asyncio.Queue()

    async def take(request: web.Request) -> web.Response:
        posted.put_nowait(await request.text())
        return web.Response()

    application = web.Application()
    application.router.add_post("/", take)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/", posted
    finally:
        await runner.cleanup()


async def test_a_webhook_outlives_the_server_that_gave_its_address(server: AgentServer) -> None:
    domain = f"webhooks.localhost:{server.deployed_port}"
    await deploy(server, domain, "CartAgent")
    async with announced() as (url, posted):
        body = {"announceTo": url}
        waiting = asyncio.create_task(call(server, domain, "/shops/s/carts/ann/webhook", "wait", body))
        address = await posted.get()
        assert address.startswith(f"http://{domain}/webhooks/cart-agent/")
        await server.kill()
        # The request that waits is sent again by itself, and finds its own call going on.
        await server.request("GET", "/healthcheck")
        path = address.removeprefix(f"http://{domain}")
        deployed = f"http://127.0.0.1:{server.deployed_port}{path}"
        async with aiohttp.ClientSession() as session:
            async with session.post(deployed, data=b"paid", headers={"Host": domain}) as answer:
                assert answer.status == 204
            assert await waiting == (200, "paid")
            await server.kill()
            assert await call(server, domain, "/shops/s/carts/ann/webhook", "wait", body) == (200, "paid")
            async with session.post(deployed, data=b"again", headers={"Host": domain}) as answer:
                assert answer.status == 204
        assert await call(server, domain, "/shops/s/carts/ann/webhook", "wait", body) == (200, "paid")
        # A kill in the middle of the announcement repeats it, with the address that is in the oplog.
        while not posted.empty():
            assert posted.get_nowait() == address


async def test_a_repeated_request_counts_once(server: AgentServer) -> None:
    await deploy(server, "counters.example.com", "CounterAgent")
    for number in range(1, 6):
        path = "/counters/killed/increment"
        calls = [asyncio.create_task(call(server, "counters.example.com", path, f"k-{number}")) for _ in range(3)]
        await asyncio.sleep(0)
        await server.kill()
        assert await asyncio.gather(*calls) == [(200, number)] * 3
