"""What becomes of an invocation that fails: counts and delays, restarts in the middle, the policy of the guest."""

import asyncio
from pathlib import Path

import pytest

from golem_server.durable.guest_facts import GuestSettings
from golem_server.durable.retry import Failure, delay_seconds, verdict_on
from golem_server.durable.signals import PermanentFailure, TransientFailure
from golem_server.model.errors import InvocationFailed, PreviousInvocationFailed, WorkerExited
from golem_server.model.oplog import Error, ErrorKind, Log, RetryPolicy
from golem_server.model.retry_policy import initial_state, named_default, step
from golem_server.model.workers import WorkerStatus
from tests.durable.conftest import OpenScripted
from tests.durable.scripted import Scripted, error_of, quick
from tests.host.host_worker import HostWorker

SLOW = RetryPolicy(max_attempts=3, min_delay=60_000, max_delay=60_000)


async def errors(scripted: Scripted) -> list[Error]:
    """The Error entries."""
    return [entry for entry in await scripted.entries() if isinstance(entry, Error)]


def test_the_default_policy_waits_100_300_and_900_milliseconds_and_some_jitter() -> None:
    policy = RetryPolicy()
    assert [delay_seconds(policy, attempts, 0.0) for attempts in range(4)] == pytest.approx([0.1, 0.3, 0.9, 1.0])
    assert delay_seconds(policy, 0, 1.0) == pytest.approx(0.115)
    assert delay_seconds(policy, 10_000, 0.0) == pytest.approx(1.0)
    named = named_default(policy).policy
    state, delays = initial_state(named), list[int | None]()
    for _ in range(5):
        state, delay = step(named, state, 0, {}, lambda: 0.0)
        delays.append(delay)
    assert delays == [100_000_000, 300_000_000, 900_000_000, None, None]


@pytest.mark.parametrize("kind", list(ErrorKind))
async def test_only_what_may_pass_is_tried_again(kind: ErrorKind, tmp_path: Path) -> None:
    worker = await HostWorker.create(tmp_path, [])

    def retriable() -> bool:
        return verdict_on(worker.context, Failure(kind, "text"), RuntimeError()).delay is not None

    passing = kind in (ErrorKind.UNKNOWN, ErrorKind.TRANSIENT, ErrorKind.OUT_OF_MEMORY)
    assert retriable() is passing
    await worker.context.begin_atomic_region()
    assert retriable() is (passing or kind is ErrorKind.DETERMINISTIC_TRAP)


async def test_a_failure_that_passes_is_not_seen_by_the_caller(either: Scripted) -> None:
    either.outside.answers[1] = [TransientFailure("busy"), RuntimeError("odd"), 5]
    await either.run("random", ("effect", 1), ("answer", 1))
    assert either.outside.asked[1] == 3
    assert either.outside.effects == {1: 1}
    assert [(error.retriable, error.retry_from) for error in await errors(either)] == [(True, 4), (True, 4)]
    assert (await either.record()).retry_counts == {}
    await either.check_record()


async def test_three_retries_then_the_worker_has_failed(either: Scripted) -> None:
    either.outside.answers[1] = [TransientFailure("busy")]
    error = await error_of(either.begin(("warn", 7), ("answer", 1)))
    assert isinstance(error, InvocationFailed)
    assert error.cause == "busy"
    assert error.stderr == "7\n"
    assert either.outside.asked[1] == 4
    assert [error.retriable for error in await errors(either)] == [True, True, True, False]
    assert await either.status() is WorkerStatus.FAILED
    await either.check_record()


async def test_failures_at_different_places_have_counts_of_their_own(scripted: Scripted) -> None:
    scripted.outside.answers[1] = [TransientFailure("one"), TransientFailure("one"), 1]
    scripted.outside.answers[2] = [TransientFailure("two"), TransientFailure("two"), 2]
    await scripted.run(("answer", 1), ("answer", 2))
    assert len({error.retry_from for error in await errors(scripted)}) == 2


async def test_a_failure_that_never_passes_is_not_tried_again(scripted: Scripted) -> None:
    scripted.outside.answers[1] = [PermanentFailure("never")]
    error = await error_of(scripted.begin(("answer", 1)))
    assert isinstance(error, InvocationFailed)
    assert scripted.outside.asked[1] == 1


async def test_a_trap_fails_at_once_but_inside_an_atomic_region_it_is_tried_again(scripted: Scripted) -> None:
    assert isinstance(await error_of(scripted.begin("trap", worker=scripted.other("w-2"))), InvocationFailed)
    inside = await error_of(scripted.begin("begin", ("effect", 1), "trap"))
    assert isinstance(inside, InvocationFailed)
    assert scripted.outside.effects == {1: 4}
    found = await errors(scripted)
    assert [error.retriable for error in found] == [True, True, True, False]
    assert all(error.inside_atomic_region for error in found)
    assert len({error.retry_from for error in found}) == 1
    await scripted.check_record()


async def test_exit_ends_the_worker_and_is_not_tried_again(scripted: Scripted) -> None:
    assert isinstance(await error_of(scripted.begin("exit")), WorkerExited)
    assert await scripted.status() is WorkerStatus.EXITED


async def test_attempts_made_before_a_restart_count(open_either: OpenScripted) -> None:
    scripted = await open_either(settings=quick(guest=GuestSettings(retry_policy=SLOW)))
    scripted.outside.answers[1] = [TransientFailure("busy")]
    scripted.begin(("answer", 1), key="a")
    for attempt in range(1, 4):
        await scripted.until_written(Error, attempt)
        assert await scripted.status() is WorkerStatus.RETRYING
        assert (await scripted.record()).retry_count == attempt
        await scripted.world.crash()
    await scripted.until(WorkerStatus.FAILED)
    assert scripted.outside.asked[1] == 4
    with pytest.raises(PreviousInvocationFailed):
        await scripted.run(key="a")


async def test_the_guest_can_set_its_own_policy_and_it_survives_a_restart(scripted: Scripted) -> None:
    scripted.outside.answers[1] = [TransientFailure("busy")]
    await scripted.run(("retry", 6))
    await scripted.world.crash()
    assert isinstance(await error_of(scripted.begin(("answer", 1))), InvocationFailed)
    assert scripted.outside.asked[1] == 7
    await scripted.check_record()


async def test_new_work_during_the_delay_waits_for_its_turn(open_scripted: OpenScripted) -> None:
    slower = RetryPolicy(max_attempts=3, min_delay=50, max_delay=50)
    scripted = await open_scripted(settings=quick(guest=GuestSettings(retry_policy=slower)))
    scripted.outside.answers[1] = [TransientFailure("busy"), 1]
    first = scripted.begin(("answer", 1))
    await scripted.until(WorkerStatus.RETRYING)
    second = scripted.begin(("effect", 1))
    await asyncio.gather(first, second)
    assert scripted.outside.effects == {1: 1}


async def test_log_lines_before_a_failure_are_not_repeated_by_the_attempts_after_it(scripted: Scripted) -> None:
    scripted.outside.answers[1] = [TransientFailure("busy"), TransientFailure("busy"), 1]
    await scripted.run(("print", 1), "random", ("print", 2), ("warn", 3), ("print", 2), ("answer", 1), ("print", 4))
    entries = await scripted.entries()
    lines = [entry.message for entry in entries if isinstance(entry, Log)]
    assert sorted(lines) == ["1\n", "2\n", "2\n", "3\n", "4\n"]
