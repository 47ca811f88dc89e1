"""Durable functions that a guest makes itself: it asks whether it is live, and writes or reads what the call gave.

A guest usually opens a zone without persistence around the effect, live only: in replay it does not go through it
but reads what was persisted behind it. So the zone is left out here. Where nothing is behind it, it is not known that
the effect was completed, and the guest is told that it is live, to do it again.
"""

from __future__ import annotations

from golem_server.durable.context import WorkerContext
from golem_server.durable.signals import GuestError
from golem_server.model.oplog import Category, HostCall
from golem_server.model.types import Value


async def is_live(context: WorkerContext) -> bool:
    """Whether the guest is to do the effect of a function of its own now."""
    while not await context.settle_replay():
        cursor = context.cursor
        assert cursor is not None, "replay is not over"
        if not cursor.opens_unrecorded_zone():
            return False
        if not await cursor.skip_unrecorded_zone():
            await context.go_live_skipping_after(cursor.next_index - 1)
    return True


async def begin(context: WorkerContext, category: Category, begin_index: int | None) -> int:
    """Begin a function: the index that names it. Where the effect must not be lost sight of, an entry is written."""
    if begin_index is not None:
        return begin_index
    if category == Category.WRITE_REMOTE_BATCHED or (
        category == Category.WRITE_REMOTE and not context.assume_idempotence
    ):
        return await context.begin_remote_write()
    await context.settle_replay()
    return context.position


async def end(
    context: WorkerContext, category: Category, begin_index: int | None, begun: int, *, forced_commit: bool
) -> None:
    """End a function that `begin` gave the index of."""
    opened = category == Category.WRITE_REMOTE_BATCHED and begin_index is None
    if opened or (category == Category.WRITE_REMOTE and context.is_open_write(begun)):
        await context.end_remote_write(begun)
    elif await context.settle_replay() and (forced_commit or category >= Category.WRITE_REMOTE):
        await context.oplog.commit()


def persist(
    context: WorkerContext, name: str, request: Value, response: Value, category: Category, begin_index: int | None
) -> None:
    """Record what a function gave. Raises GuestError in replay, where the guest must read it."""
    if not context.is_live:
        raise GuestError(f"{name} was persisted before: in replay it has to be read")
    context.append(
        HostCall(
            timestamp=context.now_ms(),
            function=name,
            request=request,
            response=response,
            category=category,
            begin_index=begin_index,
        )
    )


async def read(context: WorkerContext) -> HostCall:
    """What the next function gave. Raises GuestError where nothing is persisted; the name is for the guest to check."""
    if await is_live(context):
        raise GuestError("no persisted invocation is left to be read: the worker is live")
    return await context.take(HostCall)
