"""Workers that update, revert and copy themselves: what they are told stays true, and they go on (golem:api/host)."""

from __future__ import annotations

import asyncio

import pytest

from golem_server.durable.reverting import LastInvocations
from golem_server.model.errors import GolemError, InvocationFailed
from golem_server.model.ids import WorkerId
from golem_server.model.oplog import HostCall, InvocationFinished, Revert, SuccessfulUpdate
from golem_server.model.workers import WorkerStatus
from tests.durable.script_guest import Revision
from tests.durable.scripted import Scripted, Step, error_of


async def copies(scripted: Scripted) -> list[WorkerId]:
    """All workers of the component but the first."""
    found, _ = await scripted.world.executor.operations.find(scripted.component, None, None, 10)
    return [stored.worker.worker_id for stored in found if stored.worker.worker_id != scripted.worker]


def cause(error: GolemError) -> str:
    """Why an invocation failed."""
    assert isinstance(error, InvocationFailed)
    return error.cause


@pytest.mark.parametrize("mode", ["repeatable", "once"])
@pytest.mark.parametrize("step", ["fork", ("copy", 3)])
async def test_original_and_copy_go_on_with_their_own_answers(either: Scripted, step: Step, mode: str) -> None:
    before = await either.run("random", key="before")
    result = await either.run(mode, ("effect", 1), step, ("effect", 2), key="k")
    (copy,) = await copies(either)
    copied = await either.run(key="k", worker=copy)
    assert copied != result
    assert await either.run(key="before", worker=copy) == before
    # What came before happened once, what comes after twice.
    assert either.outside.effects == {1: 1, 2: 2}
    if step == "fork":
        assert copy.name.startswith("w-1-")
        calls = [
            next(
                entry
                for entry in await either.entries(worker)
                if isinstance(entry, HostCall) and "fork" in entry.function
            )
            for worker in (either.worker, copy)
        ]
        assert [call.response["result"] for call in calls] == ["original", "forked"]
        assert calls[0].response["forked_phantom_id"] == calls[1].response["forked_phantom_id"]
    else:
        assert copy.name == "copy-3"
    await either.world.crash()
    assert await either.hash() == result
    assert await either.hash(copy) == copied
    assert await copies(either) == [copy]
    await either.check_record()
    await either.check_record(copy)


async def test_a_name_that_another_worker_has_is_refused(scripted: Scripted) -> None:
    other = scripted.other("copy-1")
    theirs = await scripted.run("random", worker=other)
    error = await error_of(scripted.begin(("copy", 1), key="k"))
    assert isinstance(error, InvocationFailed)
    assert await scripted.hash(other) == theirs


async def test_a_second_copy_under_the_same_name_is_refused(scripted: Scripted) -> None:
    await scripted.run(("copy", 1))
    assert isinstance(await error_of(scripted.begin(("copy", 1))), InvocationFailed)


async def test_a_copy_in_an_atomic_region_is_refused(scripted: Scripted) -> None:
    """The copy would be cut in its region, run it again, and copy itself without end."""
    error = await error_of(scripted.begin("begin", "fork", "end", key="k"))
    assert "atomic region" in cause(error)
    assert await copies(scripted) == []


async def test_an_update_of_itself_goes_on_in_the_new_revision(either: Scripted) -> None:
    await either.run("promise", "random")
    target = await either.revise(Revision(number=1))
    result = await either.run(("effect", 1), ("update", target), ("effect", 2), key="k")
    assert await either.version() == 1
    assert await either.hash() == result
    assert either.outside.effects == {1: 1, 2: 1}
    assert await either.updates() == (0, 1, 0)
    await either.world.crash()
    assert await either.run(key="k") == result
    assert await either.hash() == result
    await either.check_record()


async def test_an_update_of_itself_that_cannot_be_leaves_it_as_it_was(either: Scripted) -> None:
    await either.run("promise", "random")
    target = await either.revise(Revision(number=1, seed=7))
    result = await either.run(("update", target), ("effect", 1), key="k")
    assert await either.version() == 0
    assert await either.hash() == result
    assert await either.updates() == (0, 0, 1)
    assert either.outside.effects == {1: 1}


async def test_a_snapshot_update_of_itself_waits_for_its_turn(either: Scripted) -> None:
    await either.run("promise")
    saving = await either.revise(Revision(saves="bytes"))
    await either.update(saving)
    target = await either.revise(Revision(number=2, seed=7, loads="bytes"))
    result = await either.run(("save", target), ("effect", 1), key="k")
    assert await either.version() == 2
    assert await either.hash() == result
    assert either.outside.effects == {1: 1}
    kinds = [type(entry) for entry in await either.entries()]
    assert kinds.index(InvocationFinished) < len(kinds) - 1 - kinds[::-1].index(SuccessfulUpdate)


async def test_a_refused_update_of_itself_fails_the_call_for_good(scripted: Scripted) -> None:
    await scripted.run("promise")
    error = await error_of(scripted.begin(("update", 0), key="k"))
    assert "already at the target version" in cause(error)
    assert await scripted.updates() == (0, 0, 0)


async def test_a_worker_reverts_itself_and_is_usable(either: Scripted) -> None:
    first = await either.run("promise", "random", key="a")
    await either.run("random", key="b")
    error = await error_of(either.begin(("effect", 1), ("revert", 2), ("effect", 2), key="k"))
    assert "reverted" in error.message
    assert await either.hash() == first
    assert either.outside.effects == {1: 1}
    assert sum(isinstance(entry, Revert) for entry in await either.entries()) == 1
    await either.world.crash()
    assert await either.run(key="a") == first
    assert await either.hash() == first
    await either.check_record()


async def test_a_revert_of_itself_that_is_refused_fails_the_call(scripted: Scripted) -> None:
    await scripted.run("promise")
    async with asyncio.timeout(10):
        error = await error_of(scripted.begin(("revert", 9), key="k"))
    assert "Could not find 9 invocations to revert" in cause(error)
    assert not any(isinstance(entry, Revert) for entry in await scripted.entries())


async def test_a_refused_revert_does_not_stop_the_worker(scripted: Scripted) -> None:
    call = scripted.begin(("gate", 1), key="k")
    await scripted.outside.until("gate 1")
    with pytest.raises(GolemError, match="Could not find 9 invocations"):
        await scripted.world.executor.operations.revert(scripted.worker, LastInvocations(9))
    scripted.outside.open(1)
    async with asyncio.timeout(10):
        await call
    assert await scripted.status() is WorkerStatus.IDLE
