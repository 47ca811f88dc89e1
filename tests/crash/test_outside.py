"""What guests keep outside of themselves, while a real server process is killed with SIGKILL again and again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from tests.crash.server import ServerUnderTest
from tests.guests import build

STEPS = 2


@pytest.mark.timeout(400)
@pytest.mark.parametrize("point", ["after-commit", "before-commit"])
async def test_values_and_numbers_are_written_once(database_url: str, tmp_path: Path, point: str) -> None:
    """Each life of the server ends one commit later than the one before, until the step is acknowledged: also between
    a write and the entry that tells of it."""
    async with ServerUnderTest(database_url, tmp_path) as server:
        component = await server.upload("store:test", build("store"))
        lives = kills = 0

        def further() -> dict[str, Any]:
            nonlocal lives
            lives += 1
            return {"point": point, "commit": lives}

        async def invoke(worker: str, function: str, *params: int, key: str) -> Any:
            return await server.invoke(component, worker, f"golem:it/store.{{{function}}}", list(params), key)

        server.next_plan = further
        for number in range(1, STEPS + 1):
            lives = 0
            await server.kill()
            await server.revive()
            assert await invoke("w-1", "step", number, key=f"step-{number}") == number
            kills += lives - 1
        server.next_plan = lambda: None
        await server.kill()
        await server.revive()
        for number in range(1, STEPS + 1):
            assert await invoke("w-1", "step", number, key=f"step-{number}") == number
        for worker in ("w-1", "w-2"):
            value = await invoke(worker, "value", key=f"value-{worker}")
            assert bytes(value) == b"%d" % STEPS
        assert await invoke("w-2", "step", 77, key="other") == STEPS + 1
        assert kills >= STEPS


async def test_a_large_value_is_the_same_after_a_kill(database_url: str, tmp_path: Path) -> None:
    pieces = 100
    expected = sum(32_768 + number % 256 for number in range(pieces))
    async with ServerUnderTest(database_url, tmp_path) as server:
        component = await server.upload("store:test", build("store"))

        async def carry(key: str) -> Any:
            return await server.invoke(component, "w-1", "golem:it/store.{carry}", [pieces], key)

        assert await carry("first") == expected
        await server.kill()
        await server.revive()
        # Replay reads the worker's own copy, whatever the key has by then.
        assert await server.invoke(component, "w-2", "golem:it/store.{step}", [5], "other") == 1
        assert await carry("second") == expected
        assert await carry("first") == expected


async def test_a_websocket_is_connected_again(database_url: str, tmp_path: Path) -> None:
    connections: list[ServerConnection] = []

    async def echo(connection: ServerConnection) -> None:
        connections.append(connection)
        async for message in connection:
            await connection.send(f"{len(connections)}: {message!s}")

    async with (
        serve(echo, "127.0.0.1", 0) as peer,
        ServerUnderTest(database_url, tmp_path) as server,
    ):
        url = f"ws://127.0.0.1:{peer.sockets[0].getsockname()[1]}/"
        component = await server.upload("socket:test", build("socket"))

        async def say(text: str) -> bytes:
            answer = await server.invoke(component, "w-1", "golem:it/socket.{say}", [url, text], f"say-{text}")
            return bytes(answer)

        assert [await say("one"), await say("two")] == [b"1: one", b"1: two"]
        await server.kill()
        await connections[0].wait_closed()
        await server.revive()
        assert await say("one") == b"1: one"
        assert len(connections) == 1
        assert await say("three") == b"2: three"
        assert await say("two") == b"1: two"
