"""A real server is killed at every commit of a call from one worker to another: the target runs it once."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from tests.crash.server import ServerUnderTest
from tests.guests import build

CALLS = 3


@pytest.mark.timeout(400)
@pytest.mark.parametrize("point", ["after-commit", "before-commit"])
async def test_a_target_runs_once_whenever_the_server_is_killed(database_url: str, tmp_path: Path, point: str) -> None:
    async with ServerUnderTest(database_url, tmp_path) as server:
        target = UUID(await server.upload("calls:target", build("counter")))
        caller = await server.upload("calls:caller", build("caller"))

        async def ask(function: str, *parameters: Any, key: str) -> Any:
            return await server.invoke(caller, "c", f"golem:it/caller.{{{function}}}", list(parameters), key)

        halves = (target.int >> 64, target.int & ((1 << 64) - 1))
        await ask("target", *halves, "t", "golem:it/counter.{add}", key="aim")
        kills = lives = 0

        def further() -> dict[str, Any]:
            nonlocal lives
            lives += 1
            return {"point": point, "commit": lives}

        server.next_plan = further
        answers: dict[tuple[str, str], Any] = {}
        for number in range(1, CALLS + 1):
            lives = 0
            await server.kill()
            await server.revive()
            function, key = ("both" if number == 2 else "call"), f"call-{number}"
            answers[function, key] = await ask(function, 1, key=key)
            kills += lives - 1
        server.next_plan = lambda: None
        await server.kill()
        await server.revive()
        total = CALLS + 1
        counted = await server.invoke(str(target), "t", "golem:it/counter.{get}", [], "count")
        assert counted == total
        assert answers == {("call", "call-1"): 1, ("both", "call-2"): 2 + 3, ("call", "call-3"): 4}
        for (function, key), answer in answers.items():
            assert await ask(function, 1, key=key) == answer
        assert await ask("calls", key="calls") == total
        print(f"{point}: {kills} kills in {CALLS} invocations")
        assert kills >= CALLS
