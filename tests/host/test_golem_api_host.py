"""golem:api/host: the shapes of all versions, and what guests do to their own durability."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from golem_server.durable.guest_facts import GuestSettings
from golem_server.durable.signals import GuestError, PermanentFailure, RestartWorker, SuspendWorker
from golem_server.host import golem_api_host, golem_promises, wasi_clocks, wasi_io
from golem_server.host.golem_records import promise_id_of, uuid_of, uuid_record, worker_id_of, worker_id_record
from golem_server.model.ids import OplogIndex, PromiseId, WorkerId, derived_idempotency_key
from golem_server.model.oplog import (
    BeginAtomicRegion,
    Category,
    ChangePersistenceLevel,
    ChangeRetryPolicy,
    EndAtomicRegion,
    Jump,
    NoOp,
    PersistenceLevel,
    Region,
    RetryPolicy,
)
from golem_server.model.types import Value
from tests.host.host_worker import ENVIRONMENT_ID, WORKER_ID, HostWorker

INTERFACES = [
    *golem_api_host.INTERFACES,
    *golem_promises.INTERFACES,
    *wasi_io.INTERFACES,
    *wasi_clocks.INTERFACES,
]
HOST = "golem:api/host@1.3.0"
POLL = "wasi:io/poll"


async def new_worker(tmp_path: Path, **facts: Any) -> HostWorker:
    return await HostWorker.create(tmp_path, INTERFACES, **facts)


def names_of(record: Value, *names: str) -> Value:
    """The fields that one version of a record has."""
    return {name: record[name] for name in names}


async def kinds(worker: HostWorker) -> list[type]:
    return [type(entry) for entry in await worker.entries()][2:]


# --- Records


def test_ids_carry_the_names_of_all_versions() -> None:
    record = worker_id_record(WORKER_ID)
    component_id = {"uuid": {"high-bits": 0xC0FFEE, "low-bits": 0x1234}}
    assert names_of(record, "component-id", "agent-id") == {"component-id": component_id, "agent-id": "worker-1"}
    assert names_of(record, "component-id", "worker-name") == {"component-id": component_id, "worker-name": "worker-1"}
    assert worker_id_of(names_of(record, "component-id", "agent-id")) == WORKER_ID
    assert worker_id_of(names_of(record, "component-id", "worker-name")) == WORKER_ID
    assert uuid_of(uuid_record(ENVIRONMENT_ID)) == ENVIRONMENT_ID


# --- Promises


async def test_a_promise_has_the_index_of_the_call_that_made_it(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    first = await worker.call(HOST, "create-promise")
    second = await worker.call(HOST, "create-promise")
    assert [promise_id_of(record).oplog_index for record in (first, second)] == [3, 4]
    assert promise_id_of(names_of(first, "worker-id", "oplog-idx")) == PromiseId(WORKER_ID, OplogIndex(3))
    assert promise_id_of(names_of(first, "agent-id", "oplog-idx")) == PromiseId(WORKER_ID, OplogIndex(3))
    assert {call.category for call in await worker.host_calls()} == {Category.WRITE_LOCAL}
    await worker.replay()
    assert await worker.call(HOST, "create-promise") == first
    assert await worker.call(HOST, "create-promise") == second


async def test_a_guest_waits_for_its_promise_outside_of_memory(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)

    async def waits() -> Value:
        promise = await worker.call(HOST, "create-promise")
        handle = await worker.call(HOST, "get-promise", names_of(promise, "agent-id", "oplog-idx"))
        assert await worker.call(HOST, "[method]get-promise-result.get", handle) is None
        pollable = await worker.call(HOST, "[method]get-promise-result.subscribe", handle)
        await worker.call(POLL, "[method]pollable.block", pollable)
        return await worker.call(HOST, "[method]get-promise-result.get", handle)

    promise = PromiseId(WORKER_ID, OplogIndex(3))
    with pytest.raises(SuspendWorker) as raised:
        await waits()
    assert raised.value.promises == (promise,)
    await worker.workers.complete_promise(promise, b"done")
    await worker.replay()
    assert await waits() == b"done"
    calls = await worker.host_calls()
    assert [(call.function, call.category) for call in calls[1:]] == [
        ("golem::api::get_promise_result", Category.READ_REMOTE),
        ("io::poll::poll", Category.READ_LOCAL),
        ("golem::api::get_promise_result", Category.READ_REMOTE),
    ]
    worker.workers.data.clear()
    await worker.replay()
    assert await waits() == b"done"


async def test_a_promise_and_a_short_timer_wait_in_memory(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    promise = await worker.call(HOST, "create-promise")
    handle = await worker.call(HOST, "get-promise", promise)
    pollable = await worker.call(HOST, "[method]get-promise-result.subscribe", handle)
    timer = await worker.call("wasi:clocks/monotonic-clock", "subscribe-duration", 1_000_000_000)
    pausing = asyncio.Event()

    async def pause(seconds: float) -> None:
        pausing.set()
        await asyncio.Event().wait()

    worker.context.pause = pause
    polling = asyncio.ensure_future(worker.call(POLL, "poll", [timer, pollable]))
    await pausing.wait()
    await worker.workers.complete_promise(promise_id_of(promise), b"")
    assert await polling == [1]
    assert await worker.call(POLL, "[method]pollable.ready", pollable) is True


async def test_another_workers_promise_can_be_completed_and_not_read(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    promise = PromiseId(WorkerId(WORKER_ID.component_id, "another"), OplogIndex(9))
    record = {"worker-id": {**worker_id_record(promise.worker_id)}, "oplog-idx": 9}
    handle = await worker.call(HOST, "get-promise", record)
    with pytest.raises(GuestError, match="created by another worker"):
        await worker.call(HOST, "[method]get-promise-result.get", handle)
    pollable = await worker.call(HOST, "[method]get-promise-result.subscribe", handle)
    polling = asyncio.ensure_future(worker.call(POLL, "poll", [pollable]))
    assert await worker.call(HOST, "complete-promise", record, b"data") is True
    assert await polling == [0]
    assert worker.workers.data == {promise: b"data"}


async def test_the_first_completion_wins_and_is_durable_before_others_see_it(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    promise = await worker.call(HOST, "create-promise")
    assert await worker.call(HOST, "complete-promise", promise, b"one") is True
    assert worker.context.oplog.committed_index == 3
    assert await worker.call(HOST, "complete-promise", promise, b"two") is False
    assert worker.workers.data == {promise_id_of(promise): b"one"}
    calls = await worker.host_calls()
    assert [(call.function, call.category, call.response) for call in calls[1:]] == [
        ("golem::api::complete_promise", Category.WRITE_LOCAL, True),
        ("golem::api::complete_promise", Category.WRITE_LOCAL, False),
    ]
    assert calls[1].request == {"promise_id": promise}
    worker.workers.data.clear()
    await worker.replay()
    promise = await worker.call(HOST, "create-promise")
    assert await worker.call(HOST, "complete-promise", promise, b"one") is True
    assert await worker.call(HOST, "complete-promise", promise, b"two") is False
    assert worker.workers.data == {}


async def test_a_promise_that_was_never_created_traps(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    promise = {"agent-id": worker_id_record(WORKER_ID), "oplog-idx": 77}
    worker.workers.missing.add(promise_id_of(promise))
    for name, arguments in [("complete-promise", (promise, b"")), ("poll-promise", (promise,))]:
        with pytest.raises(GuestError, match="Promise not found"):
            await worker.call(HOST, name, *arguments)


async def test_promises_of_the_first_generation(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    promise = names_of(await worker.call(HOST, "create-promise"), "worker-id", "oplog-idx")
    assert await worker.call(HOST, "poll-promise", promise) is None
    with pytest.raises(SuspendWorker) as raised:
        await worker.call(HOST, "await-promise", promise)
    assert raised.value.promises == (promise_id_of(promise),)
    await worker.workers.complete_promise(promise_id_of(promise), b"data")
    assert await worker.call(HOST, "await-promise", promise) == b"data"
    assert await worker.call(HOST, "poll-promise", promise) == b"data"
    assert await worker.call(HOST, "delete-promise", promise) is None
    assert [(call.function, call.category) for call in (await worker.host_calls())[1:]] == [
        ("golem::api::poll_promise", Category.READ_REMOTE),
        ("golem::api::poll_promise", Category.READ_REMOTE),
        ("golem::api::delete_promise", Category.WRITE_LOCAL),
    ]
    await worker.replay()
    await worker.call(HOST, "create-promise")
    assert await worker.call(HOST, "poll-promise", promise) is None
    assert await worker.call(HOST, "await-promise", promise) == b"data"


# --- The oplog


async def test_an_index_can_be_gone_back_to(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    index = await worker.call(HOST, "get-oplog-index")
    assert index == 3
    await worker.call("wasi:clocks/wall-clock", "now")
    with pytest.raises(RestartWorker):
        await worker.call(HOST, "set-oplog-index", index)
    entries = await worker.entries()
    assert [type(entry) for entry in entries[2:]][::2] == [NoOp, Jump]
    assert isinstance(entries[4], Jump)
    assert entries[4].jump == Region(4, 5)

    await worker.replay()
    assert await worker.call(HOST, "get-oplog-index") == index
    assert worker.context.is_live
    with pytest.raises(PermanentFailure, match="forward"):
        await worker.call(HOST, "set-oplog-index", 100)
    with pytest.raises(PermanentFailure, match="deleted region"):
        await worker.call(HOST, "set-oplog-index", 4)


async def test_a_commit_makes_everything_durable(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    await worker.call("wasi:clocks/wall-clock", "now")
    assert worker.context.oplog.committed_index == 1
    await worker.call(HOST, "oplog-commit", 3)
    assert worker.context.oplog.committed_index == 3
    await worker.replay()
    await worker.call(HOST, "oplog-commit", 3)
    assert not worker.context.is_live


async def test_an_atomic_region_happens_again_as_a_whole(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    begin = await worker.call(HOST, "mark-begin-operation")
    key = await worker.call(HOST, "generate-idempotency-key")
    before = await worker.call("wasi:clocks/wall-clock", "now")
    worker.clock.advance(1)
    await worker.replay()
    assert await worker.call(HOST, "mark-begin-operation") == begin
    assert await worker.call(HOST, "generate-idempotency-key") == key
    assert await worker.call("wasi:clocks/wall-clock", "now") != before
    await worker.call(HOST, "mark-end-operation", begin)
    assert (await kinds(worker))[0] is BeginAtomicRegion
    assert (await kinds(worker))[-1] is EndAtomicRegion
    with pytest.raises(GuestError, match="no atomic region"):
        await worker.call(HOST, "mark-end-operation", begin)


async def test_a_guest_can_trap(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    with pytest.raises(GuestError, match="guest-requested trap: enough"):
        await worker.call(HOST, "trap", "enough")


# --- How it is recorded and tried again


@pytest.mark.parametrize("name", ["persist-nothing", "persist-remote-side-effects"])
async def test_the_persistence_level(tmp_path: Path, name: str) -> None:
    worker = await new_worker(tmp_path)
    assert await worker.call(HOST, "get-oplog-persistence-level") == ("smart", None)
    await worker.call(HOST, "set-oplog-persistence-level", [name, None])
    assert await worker.call(HOST, "get-oplog-persistence-level") == (name, None)
    await worker.call(HOST, "set-oplog-persistence-level", (name, None))
    await worker.call(HOST, "set-oplog-persistence-level", ("smart", None))
    levels = [entry for entry in await worker.entries() if isinstance(entry, ChangePersistenceLevel)]
    assert [entry.persistence_level for entry in levels] == [
        PersistenceLevel[name.upper().replace("-", "_")],
        PersistenceLevel.SMART,
    ]


async def test_the_idempotence_mode(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    assert await worker.call(HOST, "get-idempotence-mode") is True
    await worker.call(HOST, "set-idempotence-mode", False)
    assert await worker.call(HOST, "get-idempotence-mode") is False
    key = await worker.call(HOST, "generate-idempotency-key")
    assert uuid_of(key) == derived_idempotency_key("key-1", 4)
    worker.context.append(NoOp(timestamp=0))
    await worker.replay()
    await worker.call(HOST, "set-idempotence-mode", False)
    assert await worker.call(HOST, "generate-idempotency-key") == key


async def test_generated_keys_differ_and_are_recorded(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    keys = [uuid_of(await worker.call(HOST, "generate-idempotency-key")) for _ in range(3)]
    assert len(set(keys)) == 3
    assert all(isinstance(key, UUID) for key in keys)
    assert {(call.function, call.category) for call in await worker.host_calls()} == {
        ("golem::api::generate_idempotency-key", Category.WRITE_REMOTE)
    }
    await worker.replay()
    assert [uuid_of(await worker.call(HOST, "generate-idempotency-key")) for _ in range(3)] == keys


async def test_a_key_never_equals_that_of_an_open_remote_write(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    begin = await worker.context.begin_remote_write()
    key = uuid_of(await worker.call(HOST, "generate-idempotency-key"))
    assert key != worker.context.derive_idempotency_key(begin)


async def test_the_retry_policy_is_what_the_guest_set_also_in_replay(tmp_path: Path) -> None:
    settings = GuestSettings(retry_policy=RetryPolicy(5, 10, 20, 2.0, None))
    worker = await new_worker(tmp_path, settings=settings)
    default = {
        "max-attempts": 5,
        "min-delay": 10_000_000,
        "max-delay": 20_000_000,
        "multiplier": 2.0,
        "max-jitter-factor": None,
    }
    own = {
        "max-attempts": 7,
        "min-delay": 1_000_000,
        "max-delay": 2_000_000,
        "multiplier": 1.5,
        "max-jitter-factor": 0.25,
    }

    async def guest() -> None:
        assert await worker.call(HOST, "get-retry-policy") == default
        await worker.call(HOST, "set-retry-policy", own)
        assert await worker.call(HOST, "get-retry-policy") == own

    await guest()
    assert worker.context.retry_policy == RetryPolicy(7, 1, 2, 1.5, 0.25)
    assert await kinds(worker) == [ChangeRetryPolicy]
    await worker.replay()
    await guest()
    assert worker.context.retry_policy == RetryPolicy(7, 1, 2, 1.5, 0.25)


# --- About itself


async def test_metadata_carry_the_names_of_all_versions(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path, environment={"A": "1"}, arguments=["x"])
    metadata = await worker.call(HOST, "get-self-metadata")
    worker_id = worker_id_record(WORKER_ID)
    environment_id = {"uuid": uuid_record(ENVIRONMENT_ID)}
    everyones = {"args": ["x"], "env": [("A", "1")], "status": "running", "retry-count": 0}
    versions: list[dict[str, Any]] = [
        {"worker-id": worker_id, "component-version": 3},
        {"worker-id": worker_id, "component-version": 3, "wasi-config-vars": []},
        {"agent-id": worker_id, "component-revision": 3, "config-vars": []},
        {"agent-id": worker_id, "component-revision": 3, "config": [], "environment-id": environment_id},
    ]
    for version in versions:
        expected = {**everyones, **version}
        assert names_of(metadata, *expected) == expected
    assert (await worker.host_calls())[0].function == "golem::api::get_self_metadata"
    await worker.replay()
    again = await worker.call(HOST, "get-self-metadata")
    assert {**again, "env": [tuple(variable) for variable in again["env"]]} == metadata
