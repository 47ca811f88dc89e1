"""Replay: whatever the moment of a crash, the worker goes on from what is committed (invariant 2), or says why not."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from golem_server.model.errors import FailedToResumeWorker, InvocationFailed, PreviousInvocationFailed
from golem_server.model.ids import WorkerNumber
from golem_server.model.oplog import Entry, HostCall, InvocationFinished, Log, NoOp, encode_entry
from golem_server.model.status import fold
from golem_server.model.workers import StoredEntry, StoredWorker, WorkerStatus
from tests.durable.conftest import OpenScripted
from tests.durable.script_guest import Outside
from tests.durable.scripted import Scripted, Step, error_of
from tests.host.memory_store import MemoryOplogStore

MIXED: list[list[Step]] = [
    ["now", "random", ("print", 1), ("file", 1), ("effect", 1), "variable"],
    ["key", "begin", "random", ("effect", 2), ("print", 2), "end", ("file", 22), ("warn", 3)],
    ["once", ("effect", 3), "repeatable", "mark", "random", ("effect", 4), ("jump", 9), "now"],
    ["nothing", "random", ("effect", 5), "smart", ("sleep", 0), "promise", ("answer", 7), "now", ("file", 1)],
]


def set_oplog(store: MemoryOplogStore, number: WorkerNumber, entries: Sequence[Entry]) -> None:
    """Let the store hold these entries and the status that goes with them."""
    encoded = [encode_entry(entry) for entry in entries]
    store._entries[number] = [  # pyright: ignore[reportPrivateUsage]
        StoredEntry(index, entry.kind, entry.timestamp, entry.data) for index, entry in enumerate(encoded, 1)
    ]
    row = store._workers[number]  # pyright: ignore[reportPrivateUsage]
    columns = fold(enumerate(entries, 1)).columns(None)
    store._workers[number] = StoredWorker(number=number, worker=row.worker, columns=columns)  # pyright: ignore[reportPrivateUsage]


async def test_everything_that_a_guest_learns_is_the_same_after_a_crash(either: Scripted) -> None:
    either.outside.answers[9] = [1, 0]
    results = [await either.run(*steps, key=str(number)) for number, steps in enumerate(MIXED)]
    entries = await either.entries()
    for _ in range(2):
        await either.world.crash()
        assert await either.hash() == results[-1]
        for number, result in enumerate(results):
            assert await either.run(key=str(number)) == result
    after = await either.entries()
    assert after[: len(entries)] == entries
    assert len(after) == len(entries) + 4
    assert either.outside.effects == {1: 1, 2: 1, 3: 1, 4: 2, 5: 1}
    await either.check_record()


async def test_every_prefix_of_the_oplog_leads_to_the_same_results(open_scripted: OpenScripted) -> None:
    store = MemoryOplogStore()
    beyond = Outside()
    scripted = await open_scripted(store, beyond=beyond)
    beyond.answers[9] = [1, 0]
    for number, steps in enumerate(MIXED):
        await scripted.send(*steps, key=str(number))
    results = [await scripted.run(key=str(number)) for number in range(len(MIXED))]
    whole = await scripted.entries()
    stored = await store.find_worker(scripted.worker)
    assert stored is not None
    once_begun = next(i for i, entry in enumerate(whole) if type(entry).__name__ == "BeginRemoteWrite") + 1
    for length in range(1, len(whole) + 1):
        await scripted.world.crash(start=False)
        set_oplog(store, stored.number, whole[:length])
        beyond.answers[9] = [0]
        await scripted.world.crash()
        if length in (once_begun, once_begun + 1):
            # A write that must not be repeated was cut off: the one thing that cannot be taken up again.
            assert isinstance(
                await error_of(scripted.begin(*MIXED[2], key="2")), InvocationFailed | PreviousInvocationFailed
            )
            continue
        finished = sum(isinstance(entry, InvocationFinished) for entry in whole[:length])
        for number, steps in enumerate(MIXED):
            result = await scripted.run(*steps, key=str(number))
            if number < finished:
                assert result == results[number]
        again = await scripted.entries()
        assert again[:length] == whole[:length]
        await scripted.check_record()
        last = await scripted.hash()
        await scripted.world.crash()
        assert await scripted.hash() == last


SIMPLE: st.SearchStrategy[Step] = st.one_of(
    st.sampled_from(["now", "random", "key", "variable", "promise", "mark"]),
    st.tuples(st.sampled_from(["print", "warn", "effect", "file", "answer"]), st.integers(0, 3)),
)
REGION = st.lists(SIMPLE, max_size=4).map(lambda steps: ["begin", *steps, "end"])
SCRIPTS = st.lists(st.one_of(SIMPLE.map(lambda step: [step]), REGION), max_size=6).map(
    lambda parts: [step for part in parts for step in part]
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(invocations=st.lists(SCRIPTS, min_size=1, max_size=3), cut=st.floats(0, 1))
async def test_any_scripts_cut_anywhere_give_what_was_told_before_and_then_replay(
    open_scripted: OpenScripted, invocations: list[list[Step]], cut: float
) -> None:
    store = MemoryOplogStore()
    scripted = await open_scripted(store)
    results = [await scripted.run(*steps, key=str(number)) for number, steps in enumerate(invocations)]
    whole = await scripted.entries()
    length = 1 + round(cut * (len(whole) - 1))
    stored = await store.find_worker(scripted.worker)
    assert stored is not None
    await scripted.world.crash(start=False)
    set_oplog(store, stored.number, whole[:length])
    await scripted.world.crash()
    finished = sum(isinstance(entry, InvocationFinished) for entry in whole[:length])
    for number, steps in enumerate(invocations):
        result = await scripted.run(*steps, key=str(number))
        assert number >= finished or result == results[number]
    last = await scripted.hash()
    await scripted.world.crash()
    assert await scripted.hash() == last
    await scripted.check_record()


async def test_lines_printed_before_a_crash_are_not_repeated(either: Scripted) -> None:
    either.begin(("print", 1), "random", ("print", 2), ("print", 2), ("gate", 1), ("print", 2), ("print", 3), key="a")
    await either.outside.until("gate 1")
    await either.until_written(Log, 3)
    await either.world.crash()
    await either.outside.until("gate 1", 2)
    either.outside.open(1)
    await either.run(key="a")
    lines = [entry.message for entry in await either.entries() if isinstance(entry, Log)]
    assert lines == ["1\n", "2\n", "2\n", "2\n", "3\n"]


async def diverged(open_scripted: OpenScripted, change: Entry | None, index: int) -> Scripted:
    """A worker in the middle of an invocation, with another entry at one place of its oplog."""
    store = MemoryOplogStore()
    scripted = await open_scripted(store)
    await scripted.run("random", "now", key="a")
    entries = await scripted.entries()
    if change is None:
        entries[index - 1] = msgspec.structs.replace(entries[index - 1], result=1)
    else:
        entries[index - 1] = change
    stored = await store.find_worker(scripted.worker)
    assert stored is not None
    await scripted.world.crash(start=False)
    set_oplog(store, stored.number, entries)
    await scripted.world.crash()
    return scripted


@pytest.mark.parametrize(
    "change",
    [
        HostCall(timestamp=1, function="another::function", request=None, response=1, category=1),
        NoOp(timestamp=1),
    ],
)
async def test_another_entry_than_the_guest_asks_for_fails_the_worker_and_says_which(
    open_scripted: OpenScripted, change: Entry
) -> None:
    scripted = await diverged(open_scripted, change, 3)
    error = await error_of(scripted.begin(key="b"))
    assert isinstance(error, InvocationFailed)
    assert "Unexpected oplog entry during replay: expected HostCall(random::get_random_u64)" in error.cause
    assert await scripted.status() is WorkerStatus.FAILED


async def test_another_result_than_the_recorded_one_does_not_start_and_writes_nothing(
    open_scripted: OpenScripted,
) -> None:
    scripted = await diverged(open_scripted, None, 5)
    entries = await scripted.entries()
    for _ in range(2):
        assert isinstance(await error_of(scripted.begin(key="b")), FailedToResumeWorker)
    assert await scripted.entries() == entries
    assert await scripted.status() is WorkerStatus.IDLE


async def test_an_oplog_longer_than_a_chunk_replays(open_scripted: OpenScripted) -> None:
    scripted = await open_scripted()
    long: list[Step] = [*["random"] * 3000, ("print", 1), "begin", "random", "end"]
    await scripted.run(*long)
    await scripted.run(*long)
    result = await scripted.run(*long)
    await scripted.world.crash()
    assert await scripted.hash() == result
