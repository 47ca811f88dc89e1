"""Recorded functions of golem:agent/host, of name resolution, and of calls to other workers and agents."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from golem_server.model.oplog import Category
from golem_server.model.types import Value
from tests.host import test_golem_agent, test_golem_agent_rpc, test_rpc
from tests.host.called_workers import CalledWorkers
from tests.host.host_worker import HostWorker
from tests.host.recorded.world import MakeWorld, Means, Row, Use, World, calling
from tests.host.test_golem_agent import API, PHANTOM, Directory, strings, uuid_record
from tests.host.test_golem_agent_rpc import text as agent_text
from tests.host.test_rpc import ADD, NOTE, TYPES, text, u64

AGENT = "golem:agent/host"
READ, WRITE = Category.READ_REMOTE, Category.WRITE_REMOTE


# --- Agent types and names


@asynccontextmanager
async def directory_world(means: Means) -> AsyncGenerator[World]:
    """A worker in an environment with a shop, which is gone before the replay."""
    directory = Directory()
    worker = await test_golem_agent.new_worker(means.folder, directory, None)

    def close() -> None:
        directory.deployed = False

    yield World(worker, disable=close)
    worker.context.close()


def looked_up(interface: str, name: str, record: str, category: Category, *arguments: Value, variant: str = "") -> Row:
    use = calling(interface, name, *arguments)
    return Row(interface, name, f"golem::{record}", category, use, directory_world, variant=variant)


DIRECTORY_ROWS = [
    looked_up(AGENT, "get-all-agent-types", "agent::get_all_agent_types", READ),
    looked_up(AGENT, "get-agent-type", "agent::get_agent_type", READ, "CartAgent"),
    looked_up(AGENT, "get-agent-type", "agent::get_agent_type", READ, "NoAgent", variant="of none"),
    looked_up(
        AGENT,
        "make-agent-id",
        "agent::get_agent_type",
        READ,
        "CartAgent",
        strings("books", "ann"),
        uuid_record(PHANTOM),
    ),
    looked_up(API, "resolve-component-id", "api::resolve_component_id", WRITE, "shop"),
    looked_up(API, "resolve-agent-id", "api::resolve_component_id", WRITE, "shop", "any"),
    looked_up(API, "resolve-worker-id", "api::resolve_component_id", WRITE, "shop", "any"),
    looked_up(API, "resolve-agent-id-strict", "api::resolve_agent_id_strict", WRITE, "shop", "there"),
    looked_up(API, "resolve-worker-id-strict", "api::resolve_agent_id_strict", WRITE, "shop", "gone"),
]


# --- Calls


def calls_world(create: Callable[[Means], Awaitable[HostWorker]]) -> MakeWorld:
    """A worker that calls others, which do not answer any more when it is replayed."""

    @asynccontextmanager
    async def world(means: Means) -> AsyncGenerator[World]:
        worker = await create(means)
        called = worker.workers.called

        def effects() -> Value:
            sent = [invocation.idempotency_key for invocation in (*called.runs, *called.sent)]
            return [sent, called.cancelled, sorted(map(str, called.schedule.rows))]

        def disable() -> None:
            called.answers.clear()
            called.held.clear()

        yield World(worker, effects, disable, {CalledWorkers: called})
        worker.context.close()

    return world


async def caller_of_workers(means: Means) -> HostWorker:
    return await test_rpc.new_worker(means.folder)


async def caller_of_agents(means: Means) -> HostWorker:
    return await test_golem_agent_rpc.new_worker(means.folder)


WORKERS, AGENTS = calls_world(caller_of_workers), calls_world(caller_of_agents)


async def connected(world: World, interface: str) -> int:
    """A connection to the target."""
    connect = test_rpc.connect if interface == TYPES else test_golem_agent_rpc.connect
    return await connect(world.worker)


def given(interface: str, function: str) -> tuple[Value, ...]:
    """What names a function of the target and its arguments."""
    if interface == AGENT:
        return ("find", agent_text("tea"))
    return (function, [u64(2), u64(3)] if function == ADD else [text("hi")])


def on_connection(interface: str, name: str, *arguments: Value) -> Use:
    """One method of a connection."""

    async def use(world: World) -> Value:
        rpc = await connected(world, interface)
        return await world.call(interface, f"[method]wasm-rpc.{name}", rpc, *arguments)

    return use


def awaited(interface: str, *, cancelled: bool) -> Use:
    """A call in the background: looked at while it runs, given up or waited for, and looked at again."""
    function = ADD if interface == TYPES else test_golem_agent_rpc.INVOKE
    future_of = "[method]future-invoke-result."

    async def use(world: World) -> Value:
        gate = asyncio.Event()
        if world.worker.context.is_live:
            world.thing(CalledWorkers).held[function] = gate
        rpc = await connected(world, interface)
        future = await world.call(
            interface, "[method]wasm-rpc.async-invoke-and-await", rpc, *given(interface, function)
        )
        before = await world.call(interface, f"{future_of}get", future)
        if cancelled:
            await world.call(interface, f"{future_of}cancel", future)
        else:
            gate.set()
            pollable = await world.call(interface, f"{future_of}subscribe", future)
            await world.call("wasi:io/poll", "poll", [pollable])
        return [before, await world.call(interface, f"{future_of}get", future)]

    return use


def taken_back(interface: str) -> Use:
    """A scheduled call that does not happen."""
    at = test_rpc.AT if interface == TYPES else test_golem_agent_rpc.AT

    async def use(world: World) -> Value:
        schedule = on_connection(interface, "schedule-cancelable-invocation", at, *given(interface, NOTE))
        return await world.call(interface, "[method]cancellation-token.cancel", await schedule(world))

    return use


def call_rows(interface: str) -> list[Row]:
    """The rows of golem:rpc or of golem:agent."""
    world = WORKERS if interface == TYPES else AGENTS
    at = test_rpc.AT if interface == TYPES else test_golem_agent_rpc.AT

    def row(name: str, record: str, use: Use) -> Row:
        return Row(interface, f"[method]{name}", f"golem::rpc::{record}", WRITE, use, world)

    def connection_row(name: str, record: str, *arguments: Value) -> Row:
        return row(f"wasm-rpc.{name}", f"wasm-rpc::{record}", on_connection(interface, name, *arguments))

    rows = [
        connection_row("invoke-and-await", "invoke_and_await", *given(interface, ADD)),
        connection_row("invoke", "invoke", *given(interface, NOTE)),
        connection_row("schedule-invocation", "schedule_invocation", at, *given(interface, NOTE)),
        connection_row("schedule-cancelable-invocation", "schedule_invocation", at, *given(interface, NOTE)),
        row("future-invoke-result.get", "future-invoke-result::get", awaited(interface, cancelled=False)),
        row("cancellation-token.cancel", "cancellation-token::cancel", taken_back(interface)),
    ]
    if interface == AGENT:
        use = awaited(interface, cancelled=True)
        rows.append(row("future-invoke-result.cancel", "future-invoke-result::cancel", use))
    return rows


ROWS = [*DIRECTORY_ROWS, *call_rows(TYPES), *call_rows(AGENT)]
