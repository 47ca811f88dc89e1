"""Snapshots that workers take by themselves: recovery begins with the newest, and does without where it must."""

from __future__ import annotations

from pathlib import Path

import pytest

from golem_server.durable import snapshot_recovery
from golem_server.durable.incarnation import Incarnation
from golem_server.durable.reverting import ToOplogIndex
from golem_server.model.agent_types import Snapshotting
from golem_server.model.initial_files import InitialFile
from golem_server.model.oplog import Snapshot
from golem_server.model.types import Value
from tests.durable.conftest import OpenScripted
from tests.durable.script_guest import Revision
from tests.durable.scripted import MovedClock, Scripted, Step

SAVING = Revision(saves="bytes", loads="bytes")


@pytest.fixture(autouse=True)
def every_three(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guest is no agent, so that a policy is put in its place."""
    take_snapshots(monkeypatch, Snapshotting("every-n-invocation", 3))


def take_snapshots(monkeypatch: pytest.MonkeyPatch, policy: Snapshotting) -> None:
    def policy_of(_incarnation: Incarnation) -> Snapshotting:
        return policy

    monkeypatch.setattr(snapshot_recovery, "policy_of", policy_of)


async def run(scripted: Scripted, times: int, *steps: Step) -> Value:
    """Run the same steps in several invocations; the last result."""
    return [await scripted.run(*steps) for _ in range(times)][-1]


async def snapshots(scripted: Scripted) -> list[int]:
    """The indexes of all snapshots, once the worker has nothing more to do: they are taken behind the answer."""
    await scripted.world.executor.visit(scripted.worker, lambda _folder: None)
    entries = await scripted.world.entries(scripted.worker)
    return [index for index, entry in enumerate(entries, 1) if isinstance(entry, Snapshot)]


async def test_recovery_begins_with_the_newest_snapshot(open_scripted: OpenScripted) -> None:
    scripted = await open_scripted(revision=SAVING)
    results = [await scripted.run("random", ("effect", number), key=f"k-{number}") for number in range(7)]
    result = results[-1]
    taken = await snapshots(scripted)
    assert len(taken) == 2
    assert (await scripted.record()).own_snapshot == taken[-1]
    await scripted.world.crash()
    assert await scripted.hash() == result
    # Answers of before are still true, and effects do not happen again.
    assert await scripted.run(key="k-6") == result
    assert all(count == 1 for count in scripted.outside.effects.values())
    await scripted.check_record()


async def test_it_is_replayed_where_a_snapshot_cannot_be_loaded(open_scripted: OpenScripted) -> None:
    for loads in ("bytes refuse", "bytes trap"):
        scripted = await open_scripted(revision=Revision(saves="bytes", loads=loads))
        result = await run(scripted, 4, "random", ("effect", 1))
        assert len(await snapshots(scripted)) == 1
        await scripted.world.crash()
        assert await scripted.hash() == result
        await scripted.run("random")
        await scripted.world.crash()
        assert await scripted.hash() != result


async def test_one_that_cannot_be_saved_costs_nothing(open_scripted: OpenScripted) -> None:
    scripted = await open_scripted(revision=Revision(saves="bytes trap", loads="bytes"))
    result = await run(scripted, 7, "random")
    assert await snapshots(scripted) == []
    assert await scripted.hash() == result
    await scripted.world.crash()
    assert await scripted.hash() == result


async def test_none_is_taken_of_a_worker_that_wrote_files(open_scripted: OpenScripted) -> None:
    scripted = await open_scripted(revision=SAVING)
    for _ in range(4):
        await scripted.run(("file", 1))
    assert await snapshots(scripted) == []


async def test_an_update_replays_everything_and_forgets_them(open_scripted: OpenScripted) -> None:
    scripted = await open_scripted(revision=SAVING)
    result = await run(scripted, 4, "random")
    await scripted.update(await scripted.revise(Revision(number=1, seed=7, saves="bytes", loads="bytes")))
    assert await scripted.hash() == result
    assert await scripted.updates() == (0, 0, 1)
    await scripted.update(await scripted.revise(Revision(number=2, saves="bytes", loads="bytes")))
    assert await scripted.hash() == result
    assert await scripted.updates() == (0, 1, 1)
    assert (await scripted.record()).own_snapshot == 0
    await scripted.world.crash()
    assert await scripted.hash() == result
    await scripted.check_record()


async def test_a_revert_behind_a_snapshot_does_without_it(open_scripted: OpenScripted) -> None:
    scripted = await open_scripted(revision=SAVING)
    results = [await scripted.run("random") for _ in range(3)]
    (taken,) = await snapshots(scripted)
    entries = await scripted.kinds()
    second = [index for index, kind in enumerate(entries, 1) if kind == "InvocationFinished"][1]
    assert second < taken
    await scripted.world.executor.operations.revert(scripted.worker, ToOplogIndex(second))
    assert (await scripted.record()).own_snapshot == 0
    assert await scripted.hash() == results[1]
    await scripted.world.crash()
    assert await scripted.hash() == results[1]


async def test_time_can_say_when(open_scripted: OpenScripted, monkeypatch: pytest.MonkeyPatch) -> None:
    take_snapshots(monkeypatch, Snapshotting("periodic", 60 * 10**9))
    clock = MovedClock()
    scripted = await open_scripted(revision=SAVING, clock=clock)
    await scripted.run("random")
    assert await snapshots(scripted) == []
    clock.ahead += 61
    await scripted.run("random")
    assert len(await snapshots(scripted)) == 1
    await scripted.run("random")
    assert len(await snapshots(scripted)) == 1


@pytest.mark.parametrize(
    ("names", "alone"),
    [
        ([], True),
        (["data/a"], True),
        (["data/a", "b"], False),
        (["data/a", "data/more/"], False),
        (["other/"], False),
        (["a"], False),
    ],
)
def test_files_of_the_guests_are_noticed(tmp_path: Path, names: list[str], alone: bool) -> None:
    files = InitialFile("/data/a", "0" * 64, 1)
    for name in names:
        path = tmp_path / name
        path.mkdir(parents=True) if name.endswith("/") else path.parent.mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.write_text("x")
    assert snapshot_recovery.has_initial_files_alone(tmp_path, (files,)) is alone
