"""Recorded functions of golem:api/host for workers as a whole, in the shapes of golem:api 1.1, 1.3 and 1.5."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from golem_server.durable.reverting import LastInvocations, ToOplogIndex
from golem_server.model.types import Value
from tests.host.changed_workers import ChangedWorkers
from tests.host.recorded.world import Means, Row, Use, World, as_recorded, calling
from tests.host.test_golem_workers import (
    COPY,
    GENERATIONS,
    HOST,
    OTHER,
    READ,
    WRITE,
    changing,
    named,
    old_fork,
    row_of,
)


@asynccontextmanager
async def changing_world(means: Means) -> AsyncGenerator[World]:
    """A worker among 61 others; nobody can be changed or looked up when it is replayed."""
    worker, changes = await changing(means.folder)
    changes.rows += [row_of(f"w-{number:03}", number) for number in range(100, 160)]

    def disable() -> None:
        changes.disabled = True
        changes.rows.clear()

    yield World(worker, lambda: [str(asked) for asked in changes.asked], disable, {ChangedWorkers: changes})
    worker.context.close()


def having(use: Use, *effect: object) -> Use:
    """The same, and it must have had this effect."""

    async def checked(world: World) -> Value:
        answer = await use(world)
        assert world.thing(ChangedWorkers).asked == [effect]
        return answer

    return checked


def about_others(version: str, kind: str) -> list[Row]:
    """The rows of a generation, whose functions say worker or agent."""
    other, copy = named(version, OTHER), named(version, COPY)

    def row(name: str, record: str, use: Use, request: dict[str, Value], variant: str = "") -> Row:
        category = READ if name.startswith("get") else WRITE
        return Row(
            HOST, name, f"golem::api::{record}", category, use, changing_world, request, f"{version} {variant}".strip()
        )

    def updated(mode: str) -> Row:
        use = having(calling(HOST, f"update-{kind}", other, 4, mode), "update", OTHER, 4, mode == "automatic")
        request = {"agent_id": other, "target_revision": 4, "mode": mode}
        return row(f"update-{kind}", "update_worker", use, request, mode)

    def reverted(case: str, target: ToOplogIndex | LastInvocations) -> Row:
        use = having(calling(HOST, f"revert-{kind}", other, (case, 3)), "revert", OTHER, target)
        return row(f"revert-{kind}", "revert_worker", use, {"agent_id": other, "target": {case: 3}}, case)

    forked = having(calling(HOST, f"fork-{kind}", other, copy, 5), "fork", OTHER, COPY, 5)
    copied = {"source_agent_id": other, "target_agent_id": copy, "oplog_index_cut_off": 5}
    looked_up = calling(HOST, f"get-{kind}-metadata", other)
    return [
        updated("automatic"),
        updated("snapshot-based"),
        reverted("revert-to-oplog-index", ToOplogIndex(3)),
        reverted("revert-last-invocations", LastInvocations(3)),
        row(f"fork-{kind}", "fork_worker", forked, copied),
        row(f"get-{kind}-metadata", "get_agent_metadata", looked_up, {"agent_id": other}),
    ]


def listed(resource: str) -> Use:
    """All pages of an enumeration."""
    component = named("1.1.6" if resource == "get-workers" else "1.5.0", OTHER)["component-id"]

    async def use(world: World) -> Value:
        handle = await world.call(HOST, f"[constructor]{resource}", component, None, True)
        pages: list[Value] = []
        while (page := await world.call(HOST, f"[method]{resource}.get-next", handle)) is not None:
            pages.append(as_recorded(page))
        return [*pages, len(pages)]

    return use


async def fork(world: World) -> Value:
    return await world.call(HOST, "fork")


async def fork_by_name(world: World) -> Value:
    return await old_fork(world.worker, "copy-1")


FORK, PAGES = "golem::api::fork", "golem::api::get_agents::get_next"
ROWS = [
    *(row for version, kind in GENERATIONS.items() for row in about_others(version, kind)),
    Row(HOST, "fork", FORK, WRITE, fork, changing_world, {}),
    Row(HOST, "fork", FORK, WRITE, fork_by_name, changing_world, {}, "by name"),
    Row(HOST, "[method]get-workers.get-next", PAGES, READ, listed("get-workers"), changing_world),
    Row(HOST, "[method]get-agents.get-next", PAGES, READ, listed("get-agents"), changing_world),
]
