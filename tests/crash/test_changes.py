"""A real server is killed at every commit of an update, a revert or a copy: it is done as a whole, or not at all.

Each worker has made some steps. A server that ends itself at its n-th commit is asked for the operation, once; the next
server finds the worker either as if nobody had asked or as it is when all is done. What was answered before the
kill is done, what was told to callers stays true, and the worker can be used.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.crash.changing_guest import changing_guest
from tests.crash.server import NOT_ANSWERED, ServerUnderTest

STEPS = 3
PLANS: tuple[tuple[str, str, int, bool, bool], ...] = (
    ("automatic", "before-commit", 1, False, False),
    ("automatic", "after-commit", 1, False, True),
    ("automatic", "before-commit", 2, True, True),
    ("snapshot-based", "after-commit", 1, False, True),
    ("snapshot-based", "before-commit", 2, True, True),
    ("snapshot-based", "before-commit", 3, True, True),
    ("revert", "after-commit", 1, False, True),
    ("fork", "after-commit", 1, False, True),
)
"""The operation, where the server is killed, and whether it was answered before and is done afterwards.

The first commit is the operation's own, and before it nothing has been asked, whatever the operation. What follows is
the work of an update.
"""


@dataclass
class Changed:
    """A worker that an operation is asked for, and what its callers were told: states by number of steps."""

    server: ServerUnderTest
    component: str
    operation: str
    name: str
    told: list[int] = field(default_factory=list[int])
    end: int = 0
    kept_until: int = 0

    @property
    def path(self) -> str:
        """Its address."""
        return f"/v1/components/{self.component}/workers/{self.name}"

    async def ask(self, function: str, key: str, name: str | None = None) -> Any:
        """Invoke it."""
        return await self.server.invoke(self.component, name or self.name, f"golem:it/changing.{{{function}}}", [], key)

    async def step(self, number: int, name: str | None = None) -> Any:
        """The same key gives the same answer."""
        return await self.ask("step", f"{self.name}-step-{number}", name)

    async def prepare(self) -> None:
        """Make the steps; a revert drops the last one."""
        for number in range(1, STEPS + 1):
            self.told.append(await self.step(number))
            self.kept_until, self.end = self.end, await self.last_index()

    async def last_index(self) -> int:
        """The end of its oplog."""
        status, answer = await self.server.request("GET", f"{self.path}/oplog", params={"from": "1", "count": "100"})
        assert status == 200, answer
        return len(answer["entries"])

    def request(self) -> tuple[str, dict[str, Any]]:
        """What is asked for."""
        if self.operation == "revert":
            return "revert", {"type": "RevertToOplogIndex", "lastOplogIndex": self.kept_until}
        if self.operation == "fork":
            target = {"componentId": self.component, "workerName": self.copy}
            return "fork", {"targetWorkerId": target, "oplogIndexCutoff": self.end}
        mode = "Automatic" if self.operation == "automatic" else "Manual"
        return "update", {"mode": mode, "targetVersion": 1}

    @property
    def copy(self) -> str:
        """The name of its copy."""
        return f"{self.name}-copy"

    async def check(self, answered: bool) -> bool:
        """It is as if nobody had asked, or all is done, and which of them; it must be done if that was answered."""
        state, version = (
            await self.ask("state", f"{self.name}-state"),
            await self.ask("version", f"{self.name}-version"),
        )
        _, metadata = await self.server.request("GET", self.path)
        reverted, updates = metadata["deletedRegions"], [update["type"] for update in metadata["updates"]]
        status, _ = await self.server.request("GET", f"/v1/components/{self.component}/workers/{self.copy}")
        if self.operation == "revert":
            done = len(reverted) == 1
            assert (version, updates, status) == (0, [], 404)
        elif self.operation == "fork":
            done = status == 200
            assert (version, updates, reverted) == (0, [], [])
        else:
            done = version == 1
            assert (updates, reverted, status) == (["SuccessfulUpdate"] * done, [], 404)
        assert done or not answered, f"{self.name} was answered and is not done"
        assert state == self.told[-2 if done and self.operation == "revert" else -1]
        kept = STEPS - (done and self.operation == "revert")
        for number in range(1, kept + 1):
            assert await self.step(number) == self.told[number - 1]
            if done and self.operation == "fork":
                assert await self.step(number, self.copy) == self.told[number - 1]
        after = await self.step(STEPS + 1)
        assert after not in self.told
        if done and self.operation == "fork":
            assert await self.ask("state", f"{self.name}-state", self.copy) == state
            assert await self.step(STEPS + 1, self.copy) not in (after, *self.told)
        self.told = [*self.told[:kept], after]
        return done

    async def check_again(self) -> None:
        """All of it is still so when another server builds the worker."""
        assert await self.ask("state", f"{self.name}-state-again") == self.told[-1]


@pytest.mark.timeout(300)
async def test_done_as_a_whole_or_not_at_all(database_url: str, tmp_path: Path) -> None:
    async with ServerUnderTest(database_url, tmp_path) as server:
        component = await server.upload("changing:test", changing_guest(0))
        workers = [Changed(server, component, plan[0], f"w-{number}") for number, plan in enumerate(PLANS)]
        for worker in workers:
            await worker.prepare()
        await revise(server, component)
        for worker, (operation, point, commit, is_answered, is_done) in zip(workers, PLANS, strict=True):
            plans = iter([{"point": point, "commit": commit}])
            server.next_plan = lambda plans=plans: next(plans, None)
            await server.kill()
            await server.revive()
            started = server.starts
            answered = await ask_once(server, worker)
            done = await worker.check(answered)
            assert server.starts == started + 1, f"{operation} was not killed {point} {commit}"
            assert done == is_done, f"{operation} killed {point} {commit}"
            # The kill may overtake the answer, never the other way round.
            assert is_answered or not answered
        await server.kill()
        await server.revive()
        for worker in workers:
            await worker.check_again()


async def revise(server: ServerUnderTest, component: str) -> None:
    """Upload the second revision."""
    form = aiohttp.FormData()
    form.add_field("component", changing_guest(1), filename="changing.wasm")
    status, answer = await server.request("PATCH", f"/v1/components/{component}", data=form)
    assert status == 200, answer


async def ask_once(server: ServerUnderTest, worker: Changed) -> bool:
    """Ask for the operation; whether there was an answer before the server was killed."""
    while True:
        status, _ = await server.request("GET", "/healthcheck")
        if status == 200:
            break
    path, body = worker.request()
    try:
        status, answer = await server.request_once("POST", f"{worker.path}/{path}", json=body)
    except NOT_ANSWERED:
        return False
    assert status == 200, answer
    return True
