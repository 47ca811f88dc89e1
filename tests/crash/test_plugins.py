"""A real server is killed while oplog processors are told of workers: each entry arrives once, none is left out."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path
from typing import Any

import pytest

from golem_server.registry.accounts import DEFAULT_ACCOUNT_ID, DEFAULT_ENVIRONMENT_ID
from tests.crash.server import ServerUnderTest
from tests.guests import build
from tests.guests.processor import INTERFACE

INVOCATIONS = 60
KILLS = 12


async def posted(server: ServerUnderTest, path: str, content: Any) -> Any:
    status, answer = await server.request("POST", path, json=content)
    assert status == 200, answer
    return answer


async def installed(server: ServerUnderTest, source: str, processor: str) -> str:
    """Register the processor, grant it to the environment, install it on the source; the grant's id."""
    plugin = await posted(
        server,
        f"/v1/accounts/{DEFAULT_ACCOUNT_ID}/plugins",
        {
            "name": "counting",
            "version": "1",
            "description": "",
            "specs": {"type": "OplogProcessor", "componentId": processor, "componentRevision": 0},
        },
    )
    grant = await posted(server, f"/v1/envs/{DEFAULT_ENVIRONMENT_ID}/plugins", {"pluginRegistrationId": plugin["id"]})
    await posted(
        server, f"/v1/components/{source}/latest/plugins/installs", {"name": "counting", "version": "1", "priority": 1}
    )
    return grant["id"]


async def last_index(server: ServerUnderTest, component: str, worker: str) -> int:
    status, page = await server.request("GET", f"/v1/components/{component}/workers/{worker}/oplog?from=1&count=1")
    assert status == 200, page
    return page["lastIndex"]


@pytest.mark.timeout(400)
async def test_each_entry_is_told_once_whenever_the_server_is_killed(database_url: str, tmp_path: Path) -> None:
    seed = int(os.environ.get("CRASH_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"CRASH_SEED={seed}")
    moments = random.Random(seed)
    async with ServerUnderTest(database_url, tmp_path) as server:
        source = await server.upload("plugins:source", build("counter"))
        processor = await server.upload("plugins:processor", build("processor"))
        grant = await installed(server, source, processor)

        async def told(function: str, key: str) -> int:
            return await server.invoke(processor, f"plugin-{grant}", f"{INTERFACE}.{{{function}}}", [], key)

        async def work() -> None:
            for number in range(INVOCATIONS):
                await server.invoke(source, "w", "golem:it/counter.{add}", [1], f"add-{number}")

        async def kill() -> None:
            for _ in range(KILLS):
                await server.revive()
                await server.request("GET", "/healthcheck")
                await asyncio.sleep(moments.uniform(0, 0.5))
                await server.kill()
            await server.revive()

        async with asyncio.TaskGroup() as group:
            group.create_task(work())
            group.create_task(kill())
        last = await last_index(server, source, "w")
        for attempt in range(600):
            if await told("last", f"last-{attempt}") >= last:
                break
            await asyncio.sleep(0.05)
        assert await told("last", "last") == last
        assert await told("count", "count") == last
        assert await told("gaps", "gaps") == 0
