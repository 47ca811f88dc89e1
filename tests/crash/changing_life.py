"""A worker that is invoked, updated, reverted and copied while its server is killed, and all that must be true of it.

`points` are what the worker was like between two operations, as its client was told; the last one is what it is like
now. A revert goes back to an earlier one, a copy begins with some of them. Each operation is asked for until it is
known to be done, and after each the worker is asked for everything: an operation that was done in part would show.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from tests.crash.server import NOT_ANSWERED, ServerUnderTest

NO_SUCH_REVISION = 99
PENDING = "PendingUpdate"


@dataclass(frozen=True)
class Kind:
    """A component with some revisions that all replay to the same: how its workers are used, and what they can."""

    component: str
    interface: str
    state: str
    parameters: Callable[[int], list[Any]]
    revisions: int
    saves: bool


@dataclass(frozen=True)
class Point:
    """Where its oplog ended, the answers to its steps by key, its state, revision, and how its updates ended."""

    end: int
    answers: dict[str, Any]
    state: Any
    revision: int
    updates: tuple[str, ...]


@dataclass
class Life:
    """One worker of a kind. `numbers` numbers the steps of all workers, `moments` decides what is done."""

    server: ServerUnderTest
    kind: Kind
    name: str
    numbers: itertools.count[int]
    moments: random.Random
    points: list[Point] = field(default_factory=list[Point])
    done: list[str] = field(default_factory=list[str])
    deck: list[Callable[[], Awaitable[None]]] = field(default_factory=list[Callable[[], Awaitable[None]]])
    copies: list[Life] = field(default_factory=list["Life"])

    @property
    def path(self) -> str:
        """Its address."""
        return f"/v1/components/{self.kind.component}/workers/{self.name}"

    @property
    def now(self) -> Point:
        """What it is like."""
        return self.points[-1]

    async def begin(self) -> None:
        """The first step creates it."""
        self.points.append(Point(0, {}, None, self.kind.revisions - 1, ()))
        await self.step()

    async def go_on(self) -> None:
        """One operation more: in the order of a shuffled deck, so that none is left out for long."""
        if not self.deck:
            changes = [self.update, self.update, self.update_while_it_steps, self.revert, self.fork, self.interrupt]
            self.deck = [self.step, self.step, *changes]
            self.moments.shuffle(self.deck)
        operation = self.deck.pop()
        await operation()
        self.done.append(operation.__name__)

    # --- Operations

    async def step(self) -> None:
        """One invocation."""
        await self._arrive(await self._stepped(), self.now)

    async def update(self) -> None:
        """An update, which may be one that fails."""
        await self._arrive({}, await self._updated())

    async def update_while_it_steps(self) -> None:
        """Both at the same time."""
        async with asyncio.TaskGroup() as both:
            step = both.create_task(self._stepped())
            updated = await self._updated()
        await self._arrive(step.result(), updated)

    async def revert(self) -> None:
        """Back to an earlier point."""
        if all(point.state == self.now.state for point in self.points[1:]):
            await self.step()
        target = self.moments.choice([point for point in self.points[1:] if point.state != self.now.state])

        async def is_done() -> bool:
            state = await self._ask_state()
            assert state in (target.state, self.now.state), f"{self.name} is neither reverted nor as it was"
            return state == target.state

        await self._until_done("revert", {"type": "RevertToOplogIndex", "lastOplogIndex": target.end}, is_done)
        self.points = self.points[: self.points.index(target) + 1]
        await self._arrive({}, self.now)

    async def fork(self) -> None:
        """A copy of what it was like at some point, which then goes its own way."""
        number = self.moments.randrange(1, len(self.points))
        points = self.points[: number + 1]
        copy = replace(self, name=f"{self.name}-{next(self.numbers)}", points=points, done=[], deck=[], copies=[])
        target = {"componentId": self.kind.component, "workerName": copy.name}

        async def is_done() -> bool:
            status, _ = await self.server.request("GET", copy.path)
            return status == 200

        await self._until_done("fork", {"targetWorkerId": target, "oplogIndexCutoff": copy.now.end}, is_done)
        self.copies.append(copy)
        await copy._arrive({}, copy.now)
        await copy.step()
        await self._arrive({}, self.now)

    async def interrupt(self) -> None:
        """It is stopped and started."""
        for operation in ("interrupt", "resume"):
            status, answer = await self.server.request("POST", f"{self.path}/{operation}", json={})
            assert status == 200, answer
        await self._arrive({}, self.now)

    # --- How they are done

    async def _stepped(self) -> dict[str, Any]:
        number = next(self.numbers)
        key = f"step-{number}"
        return {key: await self._invoke("step", self.kind.parameters(number), key)}

    async def _updated(self) -> Point:
        """Ask for an update; what the worker is like when it is over."""
        before = self.now
        target = self.moments.choice(
            [NO_SUCH_REVISION, *(each for each in range(self.kind.revisions) if each != before.revision)]
        )
        mode = self.moments.choice(["Automatic", "Manual"])

        async def is_done() -> bool:
            return len((await self._metadata())["updates"]) > len(before.updates)

        await self._until_done("update", {"mode": mode, "targetVersion": target}, is_done)
        if target == NO_SUCH_REVISION or (mode == "Manual" and not self.kind.saves):
            return replace(before, updates=(*before.updates, "FailedUpdate"))
        return replace(before, updates=(*before.updates, "SuccessfulUpdate"), revision=target)

    async def _until_done(self, operation: str, body: Any, is_done: Callable[[], Awaitable[bool]]) -> None:
        """Ask until there is an answer. Where there was none, it is either done or not."""
        while True:
            await self.server.request("GET", "/healthcheck")
            try:
                status, answer = await self.server.request_once("POST", f"{self.path}/{operation}", json=body)
            except NOT_ANSWERED:
                if await is_done():
                    return
                continue
            assert status in (200, 503), f"{self.name} {operation} {body}: {answer}"
            if status == 200:
                return

    async def _arrive(self, answers: dict[str, Any], expected: Point) -> None:
        """The worker is at a new point: what was expected, and these answers more."""
        state = await self._ask_state()
        metadata = await self._metadata()
        assert answers or state == self.now.state, f"{self.name} has changed by itself"
        _, page = await self.server.request("GET", f"{self.path}/oplog", params={"from": "1", "count": "1"})
        told = expected.answers | answers
        updates = tuple(update["type"] for update in metadata["updates"])
        found = Point(page["lastIndex"], told, state, metadata["componentRevision"], updates)
        assert found == replace(expected, end=found.end, answers=told, state=state), self.name
        self.points.append(found)

    async def check(self) -> None:
        """All that its client was told is still true."""
        for key, answer in self.now.answers.items():
            number = int(key.removeprefix("step-"))
            assert await self._invoke("step", self.kind.parameters(number), key) == answer, f"{self.name} {key}"
        await self._arrive({}, self.now)
        for copy in self.copies:
            await copy.check()

    async def _invoke(self, function: str, parameters: list[Any], key: str) -> Any:
        name = f"{self.kind.interface}.{{{function}}}"
        return await self.server.invoke(self.kind.component, self.name, name, parameters, key)

    async def _ask_state(self) -> Any:
        return await self._invoke(self.kind.state, [], f"state-{next(self.numbers)}")

    async def _metadata(self) -> Any:
        status, metadata = await self.server.request("GET", self.path)
        assert status == 200, metadata
        return metadata
