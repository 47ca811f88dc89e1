"""Updates: what the new revision does is what the oplog says, or nothing has happened (invariants 16, 17, 18, 22)."""

from __future__ import annotations

from uuid import uuid4

import pytest

from golem_server.durable.guest_facts import GuestSettings
from golem_server.durable.signals import TransientFailure
from golem_server.durable.updates import check_mode
from golem_server.model.agent_types import agent_types_from_guest
from golem_server.model.component_agents import ComponentAgents
from golem_server.model.errors import InvalidWorkerRequest, InvocationFailed, WorkerNotFound
from golem_server.model.function_names import FunctionResolver
from golem_server.model.golem_variables import GolemVariables
from golem_server.model.ids import ComponentId
from golem_server.model.oplog import FailedUpdate, PendingUpdate, SuccessfulUpdate
from golem_server.model.status import StatusRecord, UpdateRecord, decode_status
from golem_server.model.types import Value
from golem_server.model.workers import WorkerCreation, WorkerStatus
from tests.durable.conftest import OpenScripted
from tests.durable.script_guest import Revision
from tests.durable.scripted import AT_ONCE, Scripted, error_of, quick
from tests.durable.world import abandon
from tests.host.called_workers import ACCOUNT, EMPTY, TARGET, CalledComponent
from tests.host.memory_store import MemoryOplogStore
from tests.model.agent_strategies import discovered

SAME = Revision(number=1)
OTHER = Revision(number=1, seed=7)
SAVING = Revision(number=1, saves="bytes", loads="bytes")


async def failure(scripted: Scripted) -> str:
    """Why the last update failed."""
    failed = [update for update in await records(scripted) if update.state == "failed"]
    return failed[-1].details or ""


async def records(scripted: Scripted) -> list[UpdateRecord]:
    """All updates of the worker."""
    return decode_status((await scripted.world.executor.find(scripted.worker)).columns.record).updates


async def created(scripted: Scripted) -> Scripted:
    """The same, with the worker made of the first revision."""
    await scripted.world.executor.create(scripted.worker, WorkerCreation())
    return scripted


# --- Automatic


async def test_an_idle_worker_is_replayed_by_the_new_revision(either: Scripted) -> None:
    before = await either.run("now", "random", ("effect", 1), ("file", 1))
    await either.update(await either.revise(SAME))
    assert await either.version() == 1
    assert await either.hash() == before
    assert await either.revision() == 1
    assert await either.updates() == (0, 1, 0)
    assert either.outside.effects[1] == 1
    await either.check_record()
    await either.world.crash()
    assert await either.version() == 1
    assert await either.hash() == before


async def test_a_worker_that_was_never_invoked_can_be_updated(scripted: Scripted) -> None:
    await created(scripted)
    await scripted.update(await scripted.revise(OTHER))
    assert await scripted.version() == 1
    assert await scripted.updates() == (0, 1, 0)


async def test_a_running_invocation_goes_on_under_the_new_revision(either: Scripted) -> None:
    await created(either)
    target = await either.revise(SAME)
    call = either.begin(("effect", 1), ("gate", 1), ("effect", 2), key="k")
    await either.outside.until("gate 1")
    await either.update(target)
    await either.outside.until("gate 1", 2)
    either.outside.open(1)
    result = await call
    assert await either.version() == 1
    assert await either.hash() == result
    assert await either.updates() == (0, 1, 0)
    assert either.outside.effects == {1: 1, 2: 1}
    await either.check_record()


async def test_a_running_invocation_goes_on_under_the_old_revision_when_history_differs(either: Scripted) -> None:
    await created(either)
    target = await either.revise(OTHER)
    first = await either.run("random")
    call = either.begin(("gate", 1), key="k")
    await either.outside.until("gate 1")
    await either.update(target)
    await either.outside.until("gate 1", 2)
    either.outside.open(1)
    result = await call
    assert result != first
    assert await either.version() == 0
    assert await either.hash() == result
    assert await either.updates() == (0, 0, 1)
    assert await failure(either) == (
        "Automatic update failed: Unexpected oplog entry: expected InvocationFinished with the recorded result, "
        "got another result"
    )
    await either.check_record()


async def test_a_function_that_is_gone_fails_the_update(scripted: Scripted) -> None:
    before = await scripted.hash()
    await scripted.update(await scripted.revise(Revision(number=1, has_hash=False)))
    assert await scripted.hash() == before
    assert await scripted.version() == 0
    assert "Can't find exported function" in await failure(scripted)


async def test_an_unknown_revision_fails_the_update_and_not_the_call(scripted: Scripted) -> None:
    before = await scripted.run("random")
    await scripted.update(17)
    assert await scripted.hash() == before
    assert await scripted.updates() == (0, 0, 1)
    assert "17 not found" in await failure(scripted)
    assert await scripted.revision() == 0


async def test_several_updates_are_applied_in_order_before_anything_else(scripted: Scripted) -> None:
    call = scripted.begin(("gate", 1), key="k")
    await scripted.outside.until("gate 1")
    targets = [await scripted.revise(revision) for revision in (SAME, OTHER, Revision(number=3, seed=7))]
    for target in targets:
        await scripted.update(target)
    await scripted.send("random", key="behind")
    # With no result recorded yet, nothing tells the second from the first.
    await scripted.until_written(SuccessfulUpdate, 3)
    scripted.outside.open(1)
    await call
    assert await scripted.version() == 3
    assert await scripted.updates() == (0, 3, 0)
    await scripted.check_record()


async def test_going_back_to_an_older_revision(scripted: Scripted) -> None:
    await scripted.run("random")
    await scripted.update(await scripted.revise(SAME))
    assert await scripted.version() == 1
    await scripted.update(0)
    # The call of `version` returned 1: the old revision returns something else.
    assert await scripted.version() == 1
    assert await scripted.updates() == (0, 1, 1)
    await scripted.update(await scripted.revise(SAME))
    assert await scripted.version() == 1
    assert await scripted.revision() == 2
    await scripted.update(1)
    assert await scripted.version() == 1
    assert await scripted.updates() == (0, 3, 1)


async def test_the_same_update_is_refused(scripted: Scripted) -> None:
    await scripted.run()
    target = await scripted.revise(SAME)
    with pytest.raises(InvalidWorkerRequest, match="already at the target version"):
        await scripted.update(0)
    await scripted.update(target, wake=False)
    with pytest.raises(InvalidWorkerRequest, match="same update is already in progress"):
        await scripted.update(target)
    await scripted.update(target, manual=True, wake=False)
    with pytest.raises(InvalidWorkerRequest, match="same update is already in progress"):
        await scripted.update(target, manual=True)
    assert await scripted.updates() == (2, 0, 0)
    with pytest.raises(WorkerNotFound):
        await scripted.world.executor.operations.update(scripted.other("nobody"), 1, automatic=True)


@pytest.mark.parametrize("status", [WorkerStatus.SUSPENDED, WorkerStatus.INTERRUPTED, WorkerStatus.RETRYING])
async def test_workers_that_wait_are_started_for_it(scripted: Scripted, status: WorkerStatus) -> None:
    await created(scripted)
    target = await scripted.revise(SAME)
    if status is WorkerStatus.SUSPENDED:
        call = scripted.begin("promise", ("sleep", 200), key="k")
    elif status is WorkerStatus.RETRYING:
        scripted.outside.answers[1] = [TransientFailure("busy"), TransientFailure("busy"), 0]
        call = scripted.begin(("gate", 2), ("answer", 1), ("gate", 1), key="k")
        scripted.outside.open(2)
        await scripted.outside.until("gate 1")
    else:
        call = scripted.begin(("gate", 1), key="k")
        await scripted.outside.until("gate 1")
        await scripted.interrupt()
    if status is not WorkerStatus.RETRYING:
        await scripted.until(status)
    await scripted.update(target)
    await scripted.until_written(SuccessfulUpdate)
    assert await scripted.revision() == 1
    scripted.outside.open(1)
    if status is WorkerStatus.INTERRUPTED:
        await error_of(call)
    if status is not WorkerStatus.SUSPENDED:
        assert await scripted.run(key="k") == await scripted.hash()
    else:
        await scripted.until(WorkerStatus.SUSPENDED)
    await scripted.check_record()


async def test_a_failed_worker_is_repaired(scripted: Scripted) -> None:
    await scripted.run("random")
    assert isinstance(await error_of(scripted.begin("trap", key="k")), InvocationFailed)
    await scripted.update(await scripted.revise(SAME))
    # The new code traps as well, after the update.
    await scripted.until_written(SuccessfulUpdate)
    await scripted.until(WorkerStatus.FAILED)
    assert await scripted.updates() == (0, 1, 0)
    await scripted.check_record()


async def test_nothing_happens_to_a_worker_that_has_exited(scripted: Scripted) -> None:
    await error_of(scripted.begin("exit", key="k"))
    kinds = await scripted.kinds()
    await scripted.update(await scripted.revise(SAME))
    assert await scripted.kinds() == kinds


async def test_without_wake_an_interrupted_worker_stays_so(either: Scripted) -> None:
    await created(either)
    target = await either.revise(SAME)
    call = either.begin(("gate", 1), key="k")
    await either.outside.until("gate 1")
    await either.interrupt()
    await error_of(call)
    await either.update(target, wake=False)
    assert await either.status() is WorkerStatus.INTERRUPTED
    assert await either.updates() == (1, 0, 0)
    assert (await either.kinds())[-1] == "PendingUpdate"
    await either.world.crash()
    assert await either.status() is WorkerStatus.INTERRUPTED
    either.outside.open(1)
    await either.run(key="k")
    assert await either.updates() == (0, 1, 0)


async def test_each_part_of_the_history_sees_the_environment_that_it_saw(scripted: Scripted) -> None:
    first = await scripted.run("variable")
    target = await scripted.revise(SAME, {"COLOUR": "blue", "SIZE": "9"})
    await scripted.update(target)
    second = await scripted.run("variable")
    await scripted.world.crash()
    assert await scripted.hash() == second != first
    assert await scripted.updates() == (0, 1, 0)
    await scripted.update(await scripted.revise(Revision(number=1)))
    assert await scripted.hash() == second
    assert await scripted.updates() == (0, 2, 0)
    third = await scripted.run("variable")
    await scripted.world.crash()
    assert await scripted.hash() == third


@pytest.mark.parametrize("made_for", [GolemVariables.GOLEM_1_2, GolemVariables.GOLEM_1_3, GolemVariables.GOLEM_1_4])
async def test_each_revision_has_the_variables_of_the_golem_that_it_was_made_for(
    open_scripted: OpenScripted, made_for: GolemVariables
) -> None:
    component = ComponentId(uuid4())
    read: list[Value] = []
    for updated in (True, False):
        scripted = await open_scripted(component=component)
        await scripted.run("variable")
        # The guest is a current one, as its interfaces say.
        target = await scripted.revise(SAME, golem_variables=made_for if updated else GolemVariables.GOLEM_1_4)
        await scripted.update(target)
        read.append(await scripted.run("variable"))
        await scripted.world.crash()
        assert await scripted.hash() == read[-1]
        assert await scripted.updates() == (0, 1, 0)
    assert (read[0] == read[1]) is (made_for is GolemVariables.GOLEM_1_4)


async def test_a_worker_keeps_the_choice_of_variables_that_it_began_with(open_scripted: OpenScripted) -> None:
    store, component = MemoryOplogStore(), ComponentId(uuid4())
    # This is what workers have that were made before there was a choice.
    of_all = quick(guest=GuestSettings(retry_policy=AT_ONCE, golem_variables=GolemVariables.ALL))
    before = await open_scripted(store, settings=of_all, component=component)
    await before.run("variable")
    twice = await before.run("variable")
    await abandon(before.world.executor)
    after = await open_scripted(store, component=component)
    assert await after.hash() == twice
    thrice = await after.run("variable")
    await after.world.crash()
    assert await after.hash() == thrice
    await after.check_record()
    chosen_later = await open_scripted(component=component)
    await chosen_later.run("variable")
    assert await chosen_later.run("variable") != twice


# --- By snapshot


@pytest.mark.parametrize("shape", ["bytes", "record"])
async def test_a_snapshot_carries_the_state_over(open_either: OpenScripted, shape: str) -> None:
    either = await open_either(revision=Revision(saves=shape, loads=shape))
    before = await either.run("now", "random", ("effect", 1), key="before")
    # The new revision would replay to something else.
    target = await either.revise(Revision(number=1, seed=7, saves=shape, loads=shape))
    await either.update(target, manual=True)
    assert await either.hash() == before
    assert await either.version() == 1
    assert await either.updates() == (0, 1, 0)
    after = await either.run("random", ("effect", 2), key="after")
    kinds = await either.kinds()
    await either.world.crash()
    assert await either.hash() == after
    assert await either.run(key="before") == before
    assert await either.run(key="after") == after
    assert either.outside.effects == {1: 1, 2: 1}
    assert (await either.kinds())[: len(kinds)] == kinds
    assert not any(kind in ("Log", "NoOp") for kind in kinds)
    await either.check_record()


async def test_it_waits_for_the_invocations_before_it(scripted: Scripted) -> None:
    await created(scripted)
    target = await scripted.revise(Revision(number=1, seed=7, loads="bytes"))
    await scripted.update(await scripted.revise(SAVING))
    call = scripted.begin(("gate", 1), key="first")
    await scripted.outside.until("gate 1")
    await scripted.send("random", key="second")
    await scripted.update(target, manual=True)
    await scripted.send("random", key="third")
    assert await scripted.updates() == (1, 1, 0)
    await scripted.world.crash()
    await scripted.outside.until("gate 1", 2)
    scripted.outside.open(1)
    call.cancel()
    await scripted.run(key="third")
    started = [kind for kind in await scripted.kinds() if kind in ("InvocationStarted", "SuccessfulUpdate")]
    assert started == ["SuccessfulUpdate", *["InvocationStarted"] * 2, "SuccessfulUpdate", "InvocationStarted"]
    assert await scripted.updates() == (0, 2, 0)
    await scripted.check_record()


async def test_an_automatic_one_while_a_manual_one_waits(open_scripted: OpenScripted) -> None:
    scripted = await open_scripted(revision=SAVING)
    automatic = await scripted.revise(SAVING)
    manual = await scripted.revise(Revision(number=2, seed=7, loads="bytes"))
    call = scripted.begin(("gate", 1), key="k")
    await scripted.outside.until("gate 1")
    await scripted.update(automatic)
    await scripted.update(manual, manual=True)
    await scripted.outside.until("gate 1", 2)
    scripted.outside.open(1)
    result = await call
    assert await scripted.hash() == result
    assert await scripted.version() == 2
    assert await scripted.updates() == (0, 2, 0)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (Revision(), SAVING, "failed to get a snapshot for manual update: save-snapshot is not exported"),
        (Revision(saves="bytes trap"), SAVING, "failed to get a snapshot for manual update: "),
        (SAVING, Revision(number=1), "Manual update failed to load snapshot: load-snapshot is not exported"),
        (SAVING, Revision(number=1, loads="bytes refuse"), "Manual update failed to load snapshot: not this one"),
        (SAVING, Revision(number=1, loads="record trap"), "Manual update failed to load snapshot: "),
    ],
)
async def test_a_snapshot_that_fails_leaves_the_old_revision(
    open_scripted: OpenScripted, old: Revision, new: Revision, reason: str
) -> None:
    scripted = await open_scripted(revision=old)
    before = await scripted.run("random", ("effect", 1))
    await scripted.update(await scripted.revise(new), manual=True)
    assert await scripted.hash() == before
    assert await scripted.version() == old.number
    assert await scripted.updates() == (0, 0, 1)
    assert (await failure(scripted)).startswith(reason)
    await scripted.world.crash()
    assert await scripted.hash() == before
    assert (await scripted.record()).snapshot_index == 0
    await scripted.check_record()


async def test_an_automatic_update_after_a_snapshot_replays_from_it(open_scripted: OpenScripted) -> None:
    scripted = await open_scripted(revision=SAVING)
    await scripted.run("random")
    await scripted.update(await scripted.revise(Revision(number=2, seed=7, saves="bytes", loads="bytes")), manual=True)
    before = await scripted.run("random", "variable")
    await scripted.update(await scripted.revise(Revision(number=3, seed=8, saves="bytes", loads="bytes")))
    assert await scripted.hash() == before
    assert await scripted.version() == 3
    await scripted.update(await scripted.revise(Revision(number=4, seed=9)))
    assert await scripted.version() == 3
    assert "load-snapshot is not exported" in await failure(scripted)
    await scripted.update(await scripted.revise(Revision(number=5, seed=9, loads="bytes")), manual=True)
    assert await scripted.hash() == before
    assert await scripted.version() == 5
    assert await scripted.updates() == (0, 3, 1)
    await scripted.world.crash()
    assert await scripted.hash() == before


async def test_a_queued_update_can_be_cancelled_like_an_invocation(scripted: Scripted) -> None:
    scripted.begin(("gate", 1), key="k")
    await scripted.outside.until("gate 1")
    await scripted.update(await scripted.revise(SAVING), manual=True)
    (queued,) = await records(scripted)
    assert queued.key is not None
    assert await scripted.world.executor.operations.cancel_pending(scripted.worker, queued.key)
    assert await scripted.updates() == (0, 0, 0)
    scripted.outside.open(1)
    await scripted.hash()
    assert not {PendingUpdate, FailedUpdate} & {type(entry) for entry in await scripted.entries()}


@pytest.mark.parametrize("kept", [True, False])
def test_an_agents_mode_is_for_ever(kept: bool) -> None:
    shop = ComponentAgents("golem:agent/guest", agent_types_from_guest(discovered("shop")), {}, takes_principal=True)
    component = CalledComponent(TARGET.component_id, ACCOUNT, FunctionResolver(EMPTY), agents=shop)
    for name, durable in (("CartAgent", True), ("CourierAgent", False)):
        status = StatusRecord(agent_type=name, ephemeral=not kept)
        if durable is kept:
            check_mode(status, component)
        else:
            with pytest.raises(InvalidWorkerRequest, match="cannot be changed by an update"):
                check_mode(status, component)
