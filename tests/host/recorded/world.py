"""The one harness for all recorded functions: used live, and again in replay with everything outside out of reach.

A row says which function it is about, in what world a guest can use it, how, and what entry that makes:

    Row("wasi:random/random", "get-random-u64", "random::get_random_u64", Category.READ_LOCAL, use, world)
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from inspect import isawaitable
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import msgspec

from golem_server.durable.host_function import HostInterface
from golem_server.model.oplog import Category
from golem_server.model.types import Value
from tests.host.host_worker import HostWorker

T = TypeVar("T")


def nothing() -> None:
    """The effects of a world that has none, and what it takes to put them out of reach."""


@dataclass
class World:
    """A worker, and what it can reach.

    `effects` is what has happened outside so far. `disable` puts the outside out of reach: whoever asks for it in
    replay gets an error. `things` is for the row's own `use`.
    """

    worker: HostWorker
    effects: Callable[[], Any] = nothing
    disable: Callable[[], Any] = nothing
    things: dict[type, Any] = field(default_factory=dict[type, Any])

    def thing(self, type_: type[T]) -> T:
        """What the world has of this type."""
        return self.things[type_]

    async def call(self, interface: str, name: str, *arguments: Value) -> Value:
        """Call a host function."""
        return await self.worker.call(interface, name, *arguments)


@dataclass(frozen=True)
class Means:
    """What worlds are made of: a folder of the test's own, and the values of the fixtures that the row names."""

    folder: Path
    fixtures: dict[str, Any]


MakeWorld: TypeAlias = Callable[[Means], AbstractAsyncContextManager[World]]
Use: TypeAlias = Callable[[World], Awaitable[Value]]


@dataclass(frozen=True)
class Row:
    """A recorded function: how a guest uses it, giving all that it learned, and the entry that this makes.

    `request` is what the entry says of the arguments, where a row looks at it. `variant` tells the rows of one function
    apart. `fixtures` are those of pytest that the world is made of.
    """

    interface: str
    name: str
    record: str
    category: Category
    use: Use
    world: MakeWorld
    request: dict[str, Any] | None = None
    variant: str = ""
    fixtures: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.interface} {self.name} {self.variant}".strip()


def calling(interface: str, name: str, *arguments: Value) -> Use:
    """One call, and nothing else."""

    async def use(world: World) -> Value:
        return await world.call(interface, name, *arguments)

    return use


def plain_world(interfaces: Iterable[HostInterface]) -> MakeWorld:
    """A worker that needs nothing outside."""
    all_interfaces = list(interfaces)

    @asynccontextmanager
    async def world(means: Means) -> AsyncGenerator[World]:
        worker = await HostWorker.create(means.folder, all_interfaces)
        yield World(worker)
        worker.context.close()

    return world


def as_bytes(value: Value) -> bytes:
    """A value as an oplog would keep it: what comes from there has lists for tuples."""
    return msgspec.msgpack.encode(value)


def as_recorded(value: Value) -> Any:
    """The same to look at."""
    return msgspec.msgpack.decode(as_bytes(value))


async def check(row: Row, means: Means) -> None:
    """Use the function live, take the outside away, and use it again in replay: the same bytes, and no effect."""
    async with row.world(means) as world:
        worker = world.worker
        first = as_bytes(await row.use(world))
        calls = await worker.host_calls()
        mine = [call for call in calls if call.function == row.record]
        assert row.category in {call.category for call in mine}, [call.function for call in calls]
        if row.request is not None:
            assert as_recorded(row.request) in [as_recorded(call.request) for call in mine]
        effects = as_recorded(world.effects())

        disabled = world.disable()
        if isawaitable(disabled):
            await disabled
        worker.clock.advance(100)
        await worker.replay()
        assert not worker.context.is_live
        assert as_bytes(await row.use(world)) == first
        assert worker.context.is_live
        assert await worker.host_calls() == calls
        assert as_recorded(world.effects()) == effects
