"""When what a worker did becomes durable, and what it costs (the commit rule of the durable context)."""

from golem_server.durable import oplog as oplog_module
from golem_server.model.oplog import HostCall, InvocationStarted
from tests.durable.conftest import OpenScripted
from tests.durable.scripted import NEVER_BY_TIME, Scripted, quick
from tests.host.memory_store import MemoryOplogStore


async def test_a_short_computation_that_is_awaited_is_exactly_one_commit(open_scripted: OpenScripted) -> None:
    store = MemoryOplogStore()
    scripted = await open_scripted(store, settings=quick(first_commit_after=NEVER_BY_TIME))
    await scripted.run()
    before = store.batches
    await scripted.run("now", "random", ("print", 1), ("file", 2), "variable", ("answer", 1))
    assert store.batches == before + 1


async def test_the_first_invocation_of_a_new_worker_is_its_creation_and_one_commit(open_scripted: OpenScripted) -> None:
    store = MemoryOplogStore()
    scripted = await open_scripted(store, settings=quick(first_commit_after=NEVER_BY_TIME))
    await scripted.run("now")
    assert store.batches == 1
    assert await scripted.kinds() == ["Create", "InvocationStarted", "HostCall", "InvocationFinished"]


async def test_an_invocation_that_nobody_awaits_is_durable_before_it_is_acknowledged(either: Scripted) -> None:
    await either.send(("gate", 1))
    assert "PendingInvocation" in await either.kinds()
    await either.world.crash()
    await either.outside.until("gate 1")


async def test_a_remote_write_is_committed_before_it_happens(either: Scripted) -> None:
    either.outside.silent.add(7)
    either.begin("now", ("effect", 7))
    await either.outside.until("effect 7")
    assert await either.kinds() == ["Create", "InvocationStarted", "HostCall"]


async def test_a_write_that_must_not_be_repeated_has_its_beginning_committed_before_it_happens(
    either: Scripted,
) -> None:
    either.outside.silent.add(7)
    either.begin("once", ("effect", 7))
    await either.outside.until("effect 7")
    assert await either.kinds() == ["Create", "InvocationStarted", "BeginRemoteWrite"]


async def test_the_answer_of_a_remote_write_is_durable_before_the_guest_goes_on(either: Scripted) -> None:
    either.begin(("effect", 7), ("gate", 1))
    await either.outside.until("gate 1")
    assert await either.kinds() == ["Create", "InvocationStarted", "HostCall"]


async def test_what_a_long_running_guest_did_becomes_durable_while_it_runs(open_scripted: OpenScripted) -> None:
    scripted = await open_scripted(settings=quick(first_commit_after=0.001))
    scripted.begin("now", "random", "spin")
    await scripted.until_written(HostCall, 2)
    await scripted.interrupt()


async def test_a_wait_in_memory_makes_what_came_before_it_durable(either: Scripted) -> None:
    either.begin("now", ("sleep", 90))
    await either.until_written(HostCall, 2)
    assert await either.kinds() == ["Create", "InvocationStarted", "HostCall", "HostCall"]


async def test_a_guest_that_makes_more_entries_than_are_buffered_waits_for_their_commit(
    open_scripted: OpenScripted,
) -> None:
    store = MemoryOplogStore()
    scripted = await open_scripted(store, settings=quick(first_commit_after=NEVER_BY_TIME))
    await scripted.run()
    before = store.batches
    count = oplog_module.BACK_PRESSURE_ENTRIES + 10
    await scripted.run(*["random"] * count)
    assert store.batches == before + 2
    entries = await scripted.entries()
    assert sum(isinstance(entry, HostCall) for entry in entries) == count
    assert sum(isinstance(entry, InvocationStarted) for entry in entries) == 2
