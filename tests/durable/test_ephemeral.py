"""Workers of ephemeral components, which are no agents: each invocation begins anew, whatever happens meanwhile."""

from __future__ import annotations

import pytest

from golem_server.durable.guest_facts import GuestSettings
from golem_server.model.errors import InvalidWorkerRequest, InvocationFailed
from golem_server.model.oplog import PendingInvocation
from golem_server.model.workers import WorkerStatus
from tests.durable.conftest import OpenScripted
from tests.durable.script_guest import Revision, script_guest
from tests.durable.scripted import Scripted, error_of, quick


@pytest.fixture
async def ephemeral(open_either: OpenScripted) -> Scripted:
    """A world whose component is ephemeral."""
    return await open_either(ephemeral=True)


async def test_nothing_stays_but_the_answers(ephemeral: Scripted) -> None:
    first = await ephemeral.run("key", ("effect", 1), ("file", 1), key="a")
    fresh = await ephemeral.hash(ephemeral.other("fresh"))
    assert await ephemeral.hash() == fresh != first
    await ephemeral.world.crash()
    assert await ephemeral.hash() == fresh
    assert await ephemeral.run(key="a") == first
    assert ephemeral.outside.effects == {1: 1}
    kinds = await ephemeral.kinds()
    assert [kind for kind in kinds if kind in ("Restart", "InvocationStarted")] == [
        "InvocationStarted",
        *["Restart", "InvocationStarted"] * 2,
    ]
    await ephemeral.check_record()


async def test_what_has_begun_goes_on_after_a_crash_without_what_was_before(ephemeral: Scripted) -> None:
    await ephemeral.run("random", key="before")
    ephemeral.begin(("effect", 1), ("gate", 1), ("effect", 2), key="k")
    await ephemeral.outside.until("gate 1")
    await ephemeral.send(key="behind")
    await ephemeral.until_written(PendingInvocation)
    await ephemeral.world.crash()
    await ephemeral.outside.until("gate 1", 2)
    ephemeral.outside.open(1)
    result = await ephemeral.run(key="k")
    assert await ephemeral.run(("effect", 3), ("gate", 1), ("effect", 4), worker=ephemeral.other("alone")) != result
    assert await ephemeral.run(key="behind") == await ephemeral.hash()
    assert ephemeral.outside.effects == {1: 1, 2: 1, 3: 1, 4: 1}
    await ephemeral.check_record()


async def test_it_does_not_leave_memory_in_the_middle(open_scripted: OpenScripted) -> None:
    brief = quick(guest=GuestSettings(longest_ephemeral_wait=0.05))
    ephemeral = await open_scripted(ephemeral=True, settings=brief)
    assert isinstance(await error_of(ephemeral.begin("promise", "await", key="k")), InvocationFailed)
    assert await ephemeral.status() is WorkerStatus.FAILED
    assert (await ephemeral.record()).has_ended_for_good


async def test_one_that_has_answered_has_ended(ephemeral: Scripted) -> None:
    await ephemeral.run()
    assert (await ephemeral.record()).has_ended_for_good
    stored = await ephemeral.world.store.find_worker(ephemeral.worker)
    assert stored is not None
    assert stored.columns.wake_at is not None


async def test_it_is_not_updated(ephemeral: Scripted) -> None:
    await ephemeral.run()
    await ephemeral.world.update(ephemeral.component, script_guest(Revision(number=1)), ephemeral=True)
    with pytest.raises(InvalidWorkerRequest, match="cannot be updated"):
        await ephemeral.update(1)
    with pytest.raises(InvalidWorkerRequest, match="cannot be changed"):
        await ephemeral.update(await ephemeral.revise(Revision(number=2)))
