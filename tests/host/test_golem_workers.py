"""golem:api/host's functions for workers as a whole: recorded live, in replay the same without an effect.

Each in the shapes of golem:api 1.1, 1.3 and 1.5: what a guest gives has its version's names, and what it gets must have
all that its version's records have.
"""

from __future__ import annotations

import asyncio
from inspect import isawaitable
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from golem_server.durable.reverting import LastInvocations
from golem_server.durable.signals import GuestError
from golem_server.host import golem_workers
from golem_server.host.worker_filter_records import filter_of
from golem_server.model.errors import Unavailable, WorkerAlreadyExists, WorkerNotFound
from golem_server.model.ids import ComponentId, WorkerId, WorkerNumber
from golem_server.model.oplog import BeginRemoteWrite, Category, EndRemoteWrite, HostCall
from golem_server.model.status import StatusRecord
from golem_server.model.types import EnumType, FunctionType, Value
from golem_server.model.worker_filters import matches
from golem_server.model.workers import NewWorker, StoredWorker, WorkerStatus
from tests.host.changed_workers import ChangedWorkers
from tests.host.host_worker import WORKER_ID, HostWorker
from tests.host.recorded.world import as_recorded

HOST = "golem:api/host"
OTHER = WorkerId(WORKER_ID.component_id, "other-1")
COPY = WorkerId(WORKER_ID.component_id, "copy-1")
READ, WRITE = Category.READ_REMOTE, Category.WRITE_REMOTE

GENERATIONS = {"1.1.6": "worker", "1.3.0": "agent", "1.5.0": "agent"}
METADATA = {
    "1.1.6": {"worker-id", "args", "env", "status", "component-version", "retry-count"},
    "1.1.7": {"worker-id", "args", "env", "wasi-config-vars", "status", "component-version", "retry-count"},
    "1.3.0": {"agent-id", "args", "env", "config-vars", "status", "component-revision", "retry-count"},
    "1.5.0": {"agent-id", "args", "env", "config", "status", "component-revision", "retry-count", "environment-id"},
}
"""The fields of a worker's metadata in each version."""

OLD_FORK = FunctionType((), EnumType(("original", "forked")))


def named(version: str, worker_id: WorkerId) -> Value:
    """A worker's id as a guest of the version writes it."""
    number = worker_id.component_id.int
    component = {"uuid": {"high-bits": number >> 64, "low-bits": number & (1 << 64) - 1}}
    return {"component-id": component, "worker-name" if version < "1.2" else "agent-id": worker_id.name}


def row_of(name: str, number: int = 9, status: WorkerStatus = WorkerStatus.IDLE, **facts: Any) -> StoredWorker:
    """A worker that can be looked up."""
    worker = NewWorker(
        worker_id=WorkerId(WORKER_ID.component_id, name),
        environment_id=UUID(int=0xE1),
        created_by=UUID(int=0xAC),
        created_at=facts.get("created_at", 1_000),
        arguments=["one"],
        environment=facts.get("environment", {"COLOUR": "red"}),
        config=facts.get("config", {"size": "9"}),
    )
    columns = msgspec.structs.replace(
        StatusRecord().columns(None), status=status, component_revision=facts.get("revision", 2), retry_count=1
    )
    return StoredWorker(number=WorkerNumber(number), worker=worker, columns=columns)


async def changing(folder: Path) -> tuple[HostWorker, ChangedWorkers]:
    """A worker, and what it changes."""
    worker = await HostWorker.create(folder, golem_workers.INTERFACES)
    worker.workers.changes = changes = ChangedWorkers()
    changes.rows = [row_of(OTHER.name)]
    return worker, changes


async def old_fork(worker: HostWorker, name: str) -> Value:
    """fork() of golem:api 1.1."""
    function = worker.functions.function(HOST, "fork", OLD_FORK)
    assert function is not None
    answer = function(worker.context, name)
    return await answer if isawaitable(answer) else answer


@pytest.mark.parametrize("version", GENERATIONS)
@pytest.mark.parametrize("verb", ["update", "revert", "fork"])
async def test_a_refusal_traps_live_and_in_replay(tmp_path: Path, version: str, verb: str) -> None:
    worker, changes = await changing(tmp_path)
    other, copy = named(version, OTHER), named(version, COPY)
    arguments = {
        "update": (other, 4, "automatic"),
        "revert": (other, ("revert-to-oplog-index", 3)),
        "fork": (other, copy, 5),
    }[verb]
    name = f"{verb}-{GENERATIONS[version]}"
    changes.refusal = WorkerNotFound(OTHER)
    with pytest.raises(GuestError) as live:
        await worker.call(HOST, name, *arguments)
    changes.disabled = True
    await worker.replay()
    with pytest.raises(GuestError) as replayed:
        await worker.call(HOST, name, *arguments)
    assert str(replayed.value) == str(live.value)
    assert worker.context.is_live


@pytest.mark.parametrize("version", METADATA)
async def test_metadata_has_all_that_its_version_has(tmp_path: Path, version: str) -> None:
    worker, _ = await changing(tmp_path)
    kind = "worker" if version < "1.2" else "agent"
    found = await worker.call(HOST, f"get-{kind}-metadata", named(version, OTHER))
    assert METADATA[version] <= set(found)
    assert (found["status"], found["retry-count"], found["env"]) == ("idle", 1, [("COLOUR", "red")])


async def test_what_the_server_cannot_do_now_is_not_recorded(tmp_path: Path) -> None:
    worker, changes = await changing(tmp_path)
    changes.refusal = Unavailable("the database is gone")
    other, copy = named("1.5.0", OTHER), named("1.5.0", COPY)
    for name, arguments in (
        ("update-agent", (other, 1, "automatic")),
        ("revert-agent", (other, ("revert-last-invocations", 1))),
        ("fork-agent", (other, copy, 5)),
        ("fork", ()),
    ):
        with pytest.raises(Unavailable):
            await worker.call(HOST, name, *arguments)
    assert await worker.host_calls() == []


@pytest.mark.parametrize("version", GENERATIONS)
async def test_a_revert_of_itself_never_returns(tmp_path: Path, version: str) -> None:
    worker, changes = await changing(tmp_path)
    call = asyncio.create_task(
        worker.call(HOST, f"revert-{GENERATIONS[version]}", named(version, WORKER_ID), ("revert-last-invocations", 1))
    )
    await changes.reverting.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert changes.asked == [("revert from within", WORKER_ID, LastInvocations(1))]
    assert await worker.host_calls() == []


@pytest.mark.parametrize("idempotent", [True, False])
@pytest.mark.parametrize("named_copy", [False, True])
async def test_fork_answers_in_each_shape(tmp_path: Path, named_copy: bool, idempotent: bool) -> None:
    worker, changes = await changing(tmp_path)

    async def fork() -> Value:
        worker.context.assume_idempotence = idempotent
        return await old_fork(worker, "copy-1") if named_copy else await worker.call(HOST, "fork")

    first = await fork()
    (call,) = await worker.host_calls()
    phantom = call.response["forked_phantom_id"]
    assert (call.function, call.category, call.request) == ("golem::api::fork", WRITE, {})
    if named_copy:
        assert first == "original"
    else:
        assert first == ("original", {"forked-phantom-id": phantom})
    uuid = UUID(int=phantom["high-bits"] << 64 | phantom["low-bits"])
    name = "copy-1" if named_copy else f"{WORKER_ID.name}-{uuid}"
    assert changes.asked == [("fork", WORKER_ID, WorkerId(WORKER_ID.component_id, name), None)]

    # What the copy finds: the same call with its own answer.
    answered = changes.then[0]
    assert isinstance(answered, HostCall)
    assert (answered.response["result"], answered.response["forked_phantom_id"]) == ("forked", phantom)
    ends = [entry.begin_index for entry in changes.then[1:] if isinstance(entry, EndRemoteWrite)]
    entries = await worker.entries()
    begins = [index for index, entry in enumerate(entries, 1) if isinstance(entry, BeginRemoteWrite)]
    assert ends == begins
    assert len(begins) == int(not idempotent)

    changes.disabled = True
    await worker.replay()
    assert as_recorded(await fork()) == as_recorded(first)
    assert worker.context.is_live


@pytest.mark.parametrize("name", ["", "a/b", "a b", "-a", "x" * 2000])
async def test_a_copy_needs_a_name_that_workers_may_have(tmp_path: Path, name: str) -> None:
    worker, changes = await changing(tmp_path)
    with pytest.raises(GuestError, match="Worker name must"):
        await old_fork(worker, name)
    target = named("1.1.6", WorkerId(WORKER_ID.component_id, name))
    with pytest.raises(GuestError, match="Worker name must"):
        await worker.call(HOST, "fork-worker", named("1.1.6", OTHER), target, 5)
    assert changes.asked == []


async def test_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    worker, changes = await changing(tmp_path)
    changes.refusal = WorkerAlreadyExists(OTHER)
    with pytest.raises(GuestError, match="already exists"):
        await old_fork(worker, "somebody")


async def test_metadata_of_nobody_is_none_for_ever(tmp_path: Path) -> None:
    worker, changes = await changing(tmp_path)
    assert await worker.call(HOST, "get-agent-metadata", named("1.5.0", COPY)) is None
    changes.rows.append(row_of(COPY.name))
    await worker.replay()
    assert await worker.call(HOST, "get-agent-metadata", named("1.5.0", COPY)) is None


# --- Enumeration


@pytest.mark.parametrize("version", METADATA)
@pytest.mark.parametrize("count", [0, 1, 50, 51, 120])
async def test_an_enumeration_gives_every_worker_once(tmp_path: Path, version: str, count: int) -> None:
    worker, changes = await changing(tmp_path)
    changes.rows = [row_of(f"w-{number:03}", number) for number in range(1, count + 1)]
    resource = "get-workers" if version < "1.2" else "get-agents"
    component = named(version, OTHER)["component-id"]
    handle = await worker.call(HOST, f"[constructor]{resource}", component, None, True)
    found: list[str] = []
    pages = 0
    while (page := await worker.call(HOST, f"[method]{resource}.get-next", handle)) is not None:
        assert 0 < len(page) <= golem_workers.PAGE
        assert all(METADATA[version] <= set(record) for record in page)
        id_name, name = ("worker-id", "worker-name") if version < "1.2" else ("agent-id", "agent-id")
        found += [record[id_name][name] for record in page]
        pages += 1
    assert found == [f"w-{number:03}" for number in range(1, count + 1)]
    assert pages == -(-count // golem_workers.PAGE)
    assert await worker.call(HOST, f"[method]{resource}.get-next", handle) is None


async def test_an_enumeration_goes_on_behind_the_workers_of_before(tmp_path: Path) -> None:
    """Whatever has become of them: the guest's answer may be made of what it was told."""
    worker, changes = await changing(tmp_path)
    changes.rows = [row_of(f"w-{number:03}", number) for number in range(1, 61)]

    async def listed(pages: int) -> list[Any]:
        handle = await worker.call(HOST, "[constructor]get-agents", named("1.5.0", OTHER)["component-id"], None, True)
        return [await worker.call(HOST, "[method]get-agents.get-next", handle) for _ in range(pages)]

    await listed(1)
    changes.rows = [row_of(f"w-{number:03}", number) for number in range(40, 71)]
    await worker.replay()
    _, second, third = await listed(3)
    assert [record["agent-id"]["agent-id"] for record in second] == [f"w-{number:03}" for number in range(51, 71)]
    assert third is None


async def test_the_workers_of_another_component_are_not_mixed_in(tmp_path: Path) -> None:
    worker, _ = await changing(tmp_path)
    component = named("1.5.0", WorkerId(ComponentId(UUID(int=5)), ""))["component-id"]
    handle = await worker.call(HOST, "[constructor]get-agents", component, None, False)
    assert await worker.call(HOST, "[method]get-agents.get-next", handle) is None


SUBJECT = row_of(
    "alpha-1", 1, WorkerStatus.SUSPENDED, revision=4, created_at=500, environment={"A": "green"}, config={"b": "seven"}
)
ORDERED = {
    "equal": (False, True, False),
    "not-equal": (True, False, True),
    "greater-equal": (True, True, False),
    "greater": (True, False, False),
    "less-equal": (False, True, True),
    "less": (False, False, True),
}
"""Whether the subject's value is that of one less, of the same, and of one more."""

TEXTS = {
    "equal": (True, False, False, False),
    "not-equal": (False, True, True, True),
    "like": (True, True, True, False),
    "not-like": (False, False, False, True),
    "starts-with": (True, False, True, False),
}
"""The same for its text, a part from its middle, its beginning, and something else."""


def holds(*every: list[tuple[str, Any]]) -> bool:
    """Whether an any-filter of these all-filters finds the subject."""
    return matches(filter_of({"filters": [{"filters": filters} for filters in every]}), SUBJECT)


@pytest.mark.parametrize("comparator", ORDERED)
@pytest.mark.parametrize(("case", "value"), [("version", 4), ("created-at", 500)])
def test_numbers_are_compared(case: str, value: int, comparator: str) -> None:
    found = [holds([(case, {"comparator": comparator, "value": value + more})]) for more in (-1, 0, 1)]
    assert tuple(found) == ORDERED[comparator]


@pytest.mark.parametrize("comparator", ["equal", "not-equal"])
@pytest.mark.parametrize("status", WorkerStatus)
def test_statuses_are_compared(status: WorkerStatus, comparator: str) -> None:
    same = holds([("status", {"comparator": comparator, "value": status.text.lower()})])
    assert same == ((status is WorkerStatus.SUSPENDED) == (comparator == "equal"))


@pytest.mark.parametrize("comparator", TEXTS)
@pytest.mark.parametrize(
    ("case", "variable", "texts"),
    [
        ("name", None, ("alpha-1", "pha", "alp", "beta")),
        ("env", "A", ("green", "ree", "gr", "red")),
        ("config", "b", ("seven", "eve", "sev", "nine")),
        ("wasi-config-vars", "b", ("seven", "eve", "sev", "nine")),
    ],
)
def test_texts_are_compared(case: str, variable: str | None, texts: tuple[str, ...], comparator: str) -> None:
    of = {} if variable is None else {"name": variable}
    found = [holds([(case, {**of, "comparator": comparator, "value": text})]) for text in texts]
    assert tuple(found) == TEXTS[comparator]


@pytest.mark.parametrize("comparator", TEXTS)
@pytest.mark.parametrize("case", ["env", "config", "wasi-config-vars"])
def test_a_variable_that_is_not_there_meets_nothing(case: str, comparator: str) -> None:
    assert not holds([(case, {"name": "missing", "comparator": comparator, "value": "x"})])


def test_any_of_the_lists_whose_conditions_all_hold() -> None:
    yes = ("name", {"comparator": "equal", "value": "alpha-1"})
    no = ("version", {"comparator": "less", "value": 4})
    assert holds([yes, yes])
    assert not holds([yes, no])
    assert holds([yes, no], [yes])
    assert not holds([yes, no], [no, yes], [no])
    assert holds([no], [])
    assert holds()


async def test_an_enumeration_gives_those_that_meet_the_filter(tmp_path: Path) -> None:
    worker, changes = await changing(tmp_path)
    changes.rows = [row_of(f"w-{number:03}", number, revision=number % 3) for number in range(1, 200)]
    component = named("1.5.0", OTHER)["component-id"]
    condition = {
        "filters": [
            {
                "filters": [
                    ("version", {"comparator": "equal", "value": 1}),
                    ("name", {"comparator": "starts-with", "value": "w-0"}),
                ]
            },
            {"filters": [("name", {"comparator": "equal", "value": "w-199"})]},
        ]
    }
    handle = await worker.call(HOST, "[constructor]get-agents", component, condition, True)
    found: list[str] = []
    while (page := await worker.call(HOST, "[method]get-agents.get-next", handle)) is not None:
        found += [record["agent-id"]["agent-id"] for record in page]
    assert found == [f"w-{number:03}" for number in range(1, 100, 3)] + ["w-199"]
