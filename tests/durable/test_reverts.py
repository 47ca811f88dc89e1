"""Reverts: what was dropped never happened, for the status, for replay and for updates (invariants 12, 19)."""

from __future__ import annotations

import pytest

from golem_server.durable.reverting import LastInvocations, RevertTarget, ToOplogIndex
from golem_server.model.errors import InvalidWorkerRequest, InvocationFailed, WorkerNotFound
from golem_server.model.oplog import InvocationStarted, Revert, SuccessfulUpdate
from golem_server.model.workers import WorkerCreation, WorkerStatus
from tests.durable.script_guest import Revision
from tests.durable.scripted import Scripted, error_of


async def revert(scripted: Scripted, target: RevertTarget) -> None:
    """Revert the worker."""
    await scripted.world.executor.operations.revert(scripted.worker, target)


async def starts(scripted: Scripted) -> list[int]:
    """Where the worker's invocations started."""
    return [index for index, entry in enumerate(await scripted.entries(), 1) if isinstance(entry, InvocationStarted)]


async def test_the_last_invocations_are_undone(either: Scripted) -> None:
    first = await either.run("random", ("effect", 1), key="a")
    await either.run("random", ("effect", 2), key="b")
    await either.run("now", key="c")
    await revert(either, LastInvocations(2))
    assert await either.hash() == first
    # The results are gone with the invocations, the effects are not.
    assert await either.run(("effect", 2), key="b") != first
    assert either.outside.effects == {1: 1, 2: 2}
    last = await either.hash()
    await either.world.crash()
    assert await either.hash() == last
    await revert(either, LastInvocations(3))
    assert await either.hash() == first
    await either.check_record()


async def test_a_failed_worker_is_usable_again(either: Scripted) -> None:
    first = await either.run("random")
    assert isinstance(await error_of(either.begin(("warn", 1), "trap", key="k")), InvocationFailed)
    failed_at = (await starts(either))[-1]
    await revert(either, ToOplogIndex(failed_at))
    # The invocation is started still: it runs again and fails again.
    await either.until(WorkerStatus.FAILED)
    assert isinstance(await error_of(either.begin(key="x")), Exception)
    await revert(either, LastInvocations(1))
    assert await either.status() is WorkerStatus.IDLE
    assert await either.hash() == first


async def test_a_running_worker_is_stopped_for_it(either: Scripted) -> None:
    first = await either.run("random")
    call = either.begin(("gate", 1), key="running")
    await either.outside.until("gate 1")
    await either.send("random", key="waiting")
    await revert(either, LastInvocations(1))
    assert "reverted" in (await error_of(call)).message
    result = await either.run(key="waiting")
    assert result != first
    # What was started does not come back, what waited does.
    assert len(await starts(either)) == 3
    await either.world.crash()
    assert await either.hash() == result


async def test_what_cannot_be_reverted(scripted: Scripted) -> None:
    await scripted.run("random")
    await scripted.run("random")
    end = (await scripted.record()).last_index
    for target, reason in (
        (ToOplogIndex(0), "Cannot revert a worker before the create oplog index"),
        (ToOplogIndex(end + 1), "but the oplog ends at"),
        (LastInvocations(3), "Could not find 3 invocations to revert"),
    ):
        with pytest.raises(InvalidWorkerRequest, match=reason):
            await revert(scripted, target)
    await revert(scripted, LastInvocations(1))
    with pytest.raises(InvalidWorkerRequest, match="deleted region in oplog to index"):
        await revert(scripted, ToOplogIndex(end))
    with pytest.raises(InvalidWorkerRequest, match="Could not find 2 invocations"):
        await revert(scripted, LastInvocations(2))
    with pytest.raises(WorkerNotFound):
        await scripted.world.executor.operations.revert(scripted.other("nobody"), LastInvocations(1))
    assert sum(isinstance(entry, Revert) for entry in await scripted.entries()) == 1


@pytest.mark.parametrize("manual", [False, True])
async def test_an_update_is_reverted_with_the_rest(either: Scripted, manual: bool) -> None:
    await either.world.executor.create(either.worker, WorkerCreation())
    saving = Revision(saves="bytes", loads="bytes")
    await either.update(await either.revise(saving))
    before = await either.run("random", key="a")
    place = (await either.record()).last_index
    seed = 7 if manual else 0
    await either.update(await either.revise(Revision(number=1, seed=seed, loads="bytes")), manual=manual)
    assert await either.version() == 1
    assert await either.hash() == before
    await revert(either, ToOplogIndex(place))
    assert await either.updates() == (0, 1, 0)
    assert await either.revision() == 1
    assert await either.version() == 0
    assert await either.hash() == before
    assert (await either.record()).snapshot_index == 0
    await either.check_record()
    await either.world.crash()
    assert await either.run(key="a") == before


async def test_a_sleeper_that_is_reverted_into_its_sleep_looks_at_the_time(scripted: Scripted) -> None:
    call = scripted.begin("promise", ("sleep", 200), key="k")
    await scripted.until(WorkerStatus.SUSPENDED)
    end = (await scripted.record()).last_index
    await scripted.world.executor.interrupt(scripted.worker, recover_immediately=False)
    call.cancel()
    await revert(scripted, ToOplogIndex(end))
    assert (await scripted.record()).status is WorkerStatus.SUSPENDED
    stored = await scripted.world.store.find_worker(scripted.worker)
    assert stored is not None
    await scripted.world.crash()
    # The scheduler finds it due; the guest then sleeps for what is left.
    await scripted.until(WorkerStatus.SUSPENDED)


async def test_an_invocation_that_an_update_interrupted_can_be_reverted(scripted: Scripted) -> None:
    await scripted.world.executor.create(scripted.worker, WorkerCreation())
    target = await scripted.revise(Revision(number=1))
    call = scripted.begin(("gate", 1), key="k")
    await scripted.outside.until("gate 1")
    await scripted.update(target)
    await scripted.until_written(SuccessfulUpdate)
    await revert(scripted, LastInvocations(1))
    await error_of(call)
    assert await scripted.version() == 0
    assert await scripted.updates() == (0, 0, 0)
