"""Copies: everything up to the cut is the original's, everything after it the copy's own (invariant 20)."""

from __future__ import annotations

from uuid import uuid4

import pytest

from golem_server.durable.reverting import LastInvocations
from golem_server.model.errors import InvalidWorkerRequest, WorkerAlreadyExists, WorkerNotFound
from golem_server.model.ids import ComponentId, WorkerId
from golem_server.model.oplog import CancelPendingInvocation, Create, FailedUpdate
from golem_server.model.workers import WorkerCreation, WorkerStatus
from tests.durable.script_guest import Revision
from tests.durable.scripted import Scripted, error_of


async def fork(scripted: Scripted, name: str, cut_off: int | None = None) -> WorkerId:
    """Copy the worker."""
    target = scripted.other(name)
    await scripted.world.executor.operations.fork(scripted.worker, target, cut_off)
    return target


async def test_an_idle_worker_and_its_copy_go_their_own_ways(either: Scripted) -> None:
    before = await either.run("now", "random", ("effect", 1), ("file", 1), "variable", key="a")
    copy = await fork(either, "copy")
    assert await either.hash(copy) == before
    assert await either.run(key="a", worker=copy) == before
    assert await either.run("random", worker=copy) != await either.run("random")
    assert either.outside.effects[1] == 1
    original, copied = await either.entries(), await either.entries(copy)
    assert isinstance(original[0], Create)
    assert isinstance(copied[0], Create)
    assert copied[0].name == "copy"
    assert copied[0].instance_id != original[0].instance_id
    assert copied[1:5] == original[1:5]
    await either.check_record(copy)
    last = await either.hash(copy)
    await either.world.crash()
    assert await either.hash(copy) == last


async def test_a_copy_continues_the_invocation_that_the_cut_went_through(either: Scripted) -> None:
    call = either.begin(("effect", 1), ("gate", 1), ("effect", 2), key="k")
    await either.outside.until("gate 1")
    await either.send("random", key="waiting")
    copy = await fork(either, "copy")
    await either.outside.until("gate 1", 2)
    either.outside.open(1)
    result = await call
    assert await either.run(key="k", worker=copy) == result
    await either.run(key="waiting")
    assert either.outside.effects == {1: 1, 2: 2}
    assert any(isinstance(entry, CancelPendingInvocation) for entry in await either.entries(copy))
    await either.check_record(copy)
    assert (await either.record(copy)).pending == []


async def test_a_cut_in_the_past_forgets_what_came_later(either: Scripted) -> None:
    first = await either.run("random", key="a")
    place = (await either.record()).last_index
    await either.run("random", key="b")
    reverted_at = (await either.record()).last_index
    second = await either.hash()
    await either.world.executor.operations.revert(either.worker, LastInvocations(2))
    assert await either.hash() == first
    assert await either.hash(await fork(either, "early", place)) == first
    # The copy ends before the revert: for it the second invocation has happened.
    assert await either.hash(await fork(either, "later", reverted_at)) == second
    await either.check_record(either.other("later"))
    whole = await fork(either, "whole")
    assert await either.hash(whole) == first
    await either.world.crash()
    assert await either.hash(whole) == first
    await either.check_record(whole)


async def test_a_copy_of_a_copy_sees_the_names_that_its_history_saw(scripted: Scripted) -> None:
    await scripted.run("variable", key="a")
    copy = await fork(scripted, "copy")
    await scripted.run("variable", key="b", worker=copy)
    third = scripted.other("third")
    await scripted.world.executor.operations.fork(copy, third, None)
    last = await scripted.run("variable", key="c", worker=third)
    await scripted.world.crash()
    assert await scripted.hash(third) == last


async def test_updates_stay_with_the_original(scripted: Scripted) -> None:
    await scripted.world.executor.create(scripted.worker, WorkerCreation())
    target = await scripted.revise(Revision(number=1))
    call = scripted.begin(("gate", 1), key="k")
    await scripted.outside.until("gate 1")
    await scripted.interrupt()
    await error_of(call)
    await scripted.update(target, wake=False)
    await scripted.update(target, manual=True, wake=False)
    copy = await fork(scripted, "copy")
    await scripted.outside.until("gate 1", 2)
    scripted.outside.open(1)
    assert await scripted.version(copy) == 0
    failed = [entry.details for entry in await scripted.entries(copy) if isinstance(entry, FailedUpdate)]
    assert failed == ["cancelled by fork"] * 2
    assert await scripted.updates() == (2, 0, 0)
    assert await scripted.status() is WorkerStatus.INTERRUPTED
    await scripted.check_record(copy)


async def test_an_updated_worker_is_copied_with_its_snapshot(either: Scripted) -> None:
    await either.world.executor.create(either.worker, WorkerCreation())
    await either.update(await either.revise(Revision(saves="bytes", loads="bytes")))
    before = await either.run("random")
    await either.update(await either.revise(Revision(number=1, seed=7, loads="bytes")), manual=True)
    assert await either.hash() == before
    copy = await fork(either, "copy")
    assert await either.hash(copy) == before
    assert await either.version(copy) == 1


async def test_what_cannot_be_copied(scripted: Scripted) -> None:
    await scripted.run("random")
    end = (await scripted.record()).last_index
    for cut_off, reason in ((1, "must be at least 2"), (end + 1, f"must be at most {end}")):
        with pytest.raises(InvalidWorkerRequest, match=reason):
            await fork(scripted, "copy", cut_off)
    await fork(scripted, "copy")
    with pytest.raises(WorkerAlreadyExists):
        await fork(scripted, "copy")
    with pytest.raises(WorkerAlreadyExists):
        await fork(scripted, "w-1")
    operations = scripted.world.executor.operations
    with pytest.raises(WorkerNotFound):
        await operations.fork(scripted.other("nobody"), scripted.other("other"), None)
    with pytest.raises(InvalidWorkerRequest, match="of the same component"):
        await operations.fork(scripted.worker, WorkerId(ComponentId(uuid4()), "other"), None)
