"""Atomic regions, jumps, persistence levels, the idempotence mode, with crashes where they matter (invariants 3-6)."""

import pytest

from golem_server.durable.context import NOT_REPEATABLE
from golem_server.model.errors import InvocationFailed
from golem_server.model.oplog import Jump, Region
from golem_server.model.workers import WorkerStatus
from tests.durable.scripted import Scripted, error_of


async def test_a_write_cut_off_before_its_record_is_repeated_with_the_same_idempotency_key(either: Scripted) -> None:
    either.outside.silent.add(1)
    either.begin("random", ("effect", 1), "random", key="a")
    await either.outside.until("effect 1")
    either.outside.silent.clear()
    await either.world.crash()
    assert await either.run(key="a") is not None
    assert either.outside.effects == {1: 2}
    assert len(set(either.outside.keys[1])) == 1


async def test_a_write_cut_off_before_its_record_that_must_not_be_repeated_fails_the_invocation(
    either: Scripted,
) -> None:
    either.outside.silent.add(1)
    either.begin("once", ("effect", 1), key="a")
    await either.outside.until("effect 1")
    either.outside.silent.clear()
    await either.world.crash()
    await either.until(WorkerStatus.FAILED)
    assert either.outside.effects == {1: 1}
    assert (await either.record()).last_error == NOT_REPEATABLE


async def test_writes_that_must_not_be_repeated_and_are_complete_replay(either: Scripted) -> None:
    before = await either.run("once", ("effect", 1), ("effect", 2), "repeatable", ("effect", 3))
    await either.world.crash()
    assert await either.hash() == before
    assert either.outside.effects == {1: 1, 2: 1, 3: 1}


async def test_generated_idempotency_keys_are_the_same_after_a_crash(either: Scripted) -> None:
    before = await either.run("key", "key", "begin", "key", "end", key="not-a-uuid")
    await either.world.crash()
    assert await either.hash() == before


async def test_an_atomic_region_cut_off_is_repeated_whole_and_nothing_before_it(either: Scripted) -> None:
    either.begin(("effect", 1), "begin", ("effect", 2), "random", ("effect", 3), ("gate", 1), "end", key="a")
    await either.outside.until("gate 1")
    await either.world.crash()
    await either.outside.until("gate 1", 2)
    await either.world.crash()
    await either.outside.until("gate 1", 3)
    either.outside.open(1)
    result = await either.run(key="a")
    assert either.outside.effects == {1: 1, 2: 3, 3: 3}
    assert len(set(either.outside.keys[2])) == 1
    assert len(set(either.outside.keys[3])) == 1
    await either.world.crash()
    assert await either.hash() == result
    assert either.outside.effects == {1: 1, 2: 3, 3: 3}
    await either.check_record()


async def test_a_closed_atomic_region_is_not_repeated(either: Scripted) -> None:
    either.begin("begin", ("effect", 1), "begin", ("effect", 2), "end", "end", ("effect", 3), ("gate", 1), key="a")
    await either.outside.until("gate 1")
    await either.world.crash()
    either.outside.open(1)
    await either.run(key="a")
    assert either.outside.effects == {1: 1, 2: 1, 3: 1}


async def test_a_nested_region_cut_off_repeats_the_outer_one(either: Scripted) -> None:
    either.begin("begin", ("effect", 1), "begin", ("effect", 2), "end", ("gate", 1), "end", key="a")
    await either.outside.until("gate 1")
    await either.world.crash()
    either.outside.open(1)
    await either.run(key="a")
    assert either.outside.effects == {1: 2, 2: 2}


async def test_a_region_that_its_invocation_left_open_undoes_no_result(either: Scripted) -> None:
    first = await either.run("begin", "random", ("effect", 1), key="a")
    second = await either.run("random", ("effect", 2), key="b")
    await either.world.crash()
    assert await either.hash() == second
    assert await either.run(key="a") == first
    third = await either.run("end", key="c")
    await either.world.crash()
    assert await either.hash() == third
    assert either.outside.effects == {1: 1, 2: 1}


async def test_an_invocation_queued_while_a_region_is_cut_off_runs_and_replays(either: Scripted) -> None:
    either.begin("begin", ("effect", 1), ("gate", 1), "end", key="a")
    await either.outside.until("gate 1")
    await either.send("random", key="b")
    await either.world.crash()
    await either.outside.until("gate 1", 2)
    await either.send("random", key="c")
    either.outside.open(1)
    result = await either.run("random", key="d")
    await either.world.crash()
    assert await either.hash() == result
    jumps = [(index, entry) for index, entry in enumerate(await either.entries(), 1) if isinstance(entry, Jump)]
    assert [(entry.jump.end, index) for index, entry in jumps] == [(index, index) for index, _ in jumps]
    await either.check_record()


async def test_a_jump_back_repeats_what_follows_and_keeps_what_came_before(either: Scripted) -> None:
    either.outside.answers[5] = [1, 1, 0]
    result = await either.run(("effect", 1), "mark", ("effect", 2), "random", ("print", 3), ("jump", 5), key="a")
    assert either.outside.effects == {1: 1, 2: 3}
    regions = [entry.jump for entry in await either.entries() if isinstance(entry, Jump)]
    assert len(regions) == 2
    assert regions[0].start == regions[1].start == 5
    await either.check_record()
    assert (await either.record()).skipped_regions == [Region(regions[0].start, regions[1].end)]
    await either.world.crash()
    assert await either.hash() == result
    assert await either.run(key="a") == result
    assert either.outside.effects == {1: 1, 2: 3}


async def test_a_jump_out_of_the_invocation_takes_its_results_back(either: Scripted) -> None:
    await either.run("mark", ("effect", 1), key="a")
    either.outside.answers[5] = [1, 0]
    error = await error_of(either.begin(("jump", 5), key="b"))
    assert "Jumping back" in error.message
    assert await either.run(key="a") is not None
    assert either.outside.effects == {1: 2}
    await either.check_record()


@pytest.mark.parametrize("crash", [True, False])
async def test_a_zone_without_persistence_that_was_closed_is_not_repeated(either: Scripted, crash: bool) -> None:
    either.begin(("effect", 1), "nothing", ("effect", 2), "random", "smart", ("effect", 3), ("gate", 1), key="a")
    await either.outside.until("gate 1")
    if crash:
        await either.world.crash()
        await either.outside.until("gate 1", 2)
    either.outside.open(1)
    result = await either.run(key="a")
    await either.world.crash()
    assert await either.hash() == result
    assert either.outside.effects == {1: 1, 2: 1, 3: 1}


async def test_a_zone_without_persistence_that_was_not_closed_runs_again_from_its_start(either: Scripted) -> None:
    either.begin(("effect", 1), "nothing", ("effect", 2), ("gate", 1), "smart", key="a")
    await either.outside.until("gate 1")
    await either.world.crash()
    either.outside.open(1)
    result = await either.run(key="a")
    assert either.outside.effects == {1: 1, 2: 2}
    await either.world.crash()
    assert await either.hash() == result
    await either.check_record()


async def test_a_jump_forward_or_into_what_was_dropped_fails_the_invocation(scripted: Scripted) -> None:
    scripted.outside.answers[5] = [1]
    assert isinstance(await error_of(scripted.begin(("jump", 5))), InvocationFailed)
    assert "deleted region" in ((await scripted.record()).last_error or "")
