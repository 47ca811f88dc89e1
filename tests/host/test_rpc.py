"""Calls to other workers, as a guest of golem:rpc makes them: live, in replay, and from the one into the other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from golem_server.durable.signals import GuestError, PermanentFailure
from golem_server.host import golem_rpc, wasi_io
from golem_server.host.golem_records import uuid_record, worker_id_record
from golem_server.model.errors import InvocationFailed
from golem_server.model.ids import ComponentId, WorkerId
from golem_server.model.oplog import FinishSpan, StartSpan
from golem_server.model.retry_policy import CountBox, NamedRetryPolicy, Periodic
from golem_server.model.retry_predicate import And, Compare
from golem_server.model.types import ComponentType, FunctionType, InterfaceType, Parameter, Primitive, Value
from tests.host.called_workers import OTHER_ACCOUNT, TARGET, CalledWorkers
from tests.host.host_worker import START_NS, WORKER_ID, HostWorker

TYPES = "golem:rpc/types"
INTERFACES = [*golem_rpc.INTERFACES, *wasi_io.INTERFACES]
ADD, NOTE = "a:b/api.{add}", "a:b/api.{note}"

U64 = Primitive.U64
API = ComponentType(
    imports={},
    imported_functions={},
    exports={
        "a:b/api": InterfaceType(
            "a:b/api",
            {
                "add": FunctionType((Parameter("x", U64), Parameter("y", U64)), U64),
                "note": FunctionType((Parameter("text", Primitive.STRING),), None),
            },
            {},
        )
    },
    exported_functions={},
)


def add(x: int, y: int) -> int:
    return x + y


def note(_text: str) -> None:
    return None


Open = Callable[..., Awaitable[HostWorker]]


def u64(number: int) -> Value:
    return {"nodes": [("prim-u64", number)]}


def text(content: str) -> Value:
    return {"nodes": [("prim-string", content)]}


def plain(value: Value) -> Any:
    """With lists for tuples, as what comes out of an oplog has them."""
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}  # pyright: ignore[reportUnknownVariableType]
    return value


SUM_OF_5 = plain(("ok", {"nodes": [("tuple-value", [1]), ("prim-u64", 5)]}))


async def new_worker(folder: Path) -> HostWorker:
    """A worker that can call one that adds and takes notes."""
    variables = {"A": "1", "GOLEM_AGENT_ID": "x", "GOLEM_WORKER_NAME": "y"}
    worker = await HostWorker.create(folder, INTERFACES, environment=variables)
    called = worker.workers.called = CalledWorkers(API)
    called.answers = {ADD: add, NOTE: note}
    return worker


@pytest.fixture
def open_worker(tmp_path: Path) -> Open:
    return lambda: new_worker(tmp_path)


async def connect(worker: HostWorker, target: WorkerId = TARGET) -> int:
    return await worker.call(TYPES, "[constructor]wasm-rpc", worker_id_record(target))


async def call(worker: HostWorker, rpc: int, function: str = ADD, *parameters: Value) -> Any:
    given = list(parameters) or [u64(2), u64(3)]
    return plain(await worker.call(TYPES, "[method]wasm-rpc.invoke-and-await", rpc, function, given))


async def begin(worker: HostWorker, rpc: int, x: int = 2) -> int:
    return await worker.call(TYPES, "[method]wasm-rpc.async-invoke-and-await", rpc, ADD, [u64(x), u64(3)])


async def get(worker: HostWorker, future: int) -> Any:
    return plain(await worker.call(TYPES, "[method]future-invoke-result.get", future))


async def poll(worker: HostWorker, *futures: int) -> list[int]:
    pollables = [await worker.call(TYPES, "[method]future-invoke-result.subscribe", future) for future in futures]
    return await worker.call("wasi:io/poll", "poll", pollables)


async def keys(worker: HostWorker) -> list[str]:
    return [invocation.idempotency_key for invocation in worker.workers.called.runs]


AT = {"seconds": START_NS // 10**9 + 60, "nanoseconds": 1}


async def test_the_target_is_created_with_the_callers_variables(open_worker: Open) -> None:
    worker = await open_worker()
    await connect(worker)
    assert worker.workers.called.created == {TARGET: {"A": "1"}}


async def test_the_entry_names_the_target(open_worker: Open) -> None:
    worker = await open_worker()
    await call(worker, await connect(worker))
    (entry,) = await worker.host_calls()
    assert plain(entry.request)["remote_agent_id"] == worker_id_record(TARGET)
    worker.workers.called.created.clear()
    await worker.replay()
    await call(worker, await connect(worker))
    assert worker.workers.called.created == {}


async def test_a_repeated_call_has_the_key_of_the_first(open_worker: Open) -> None:
    worker = await open_worker()
    assert await call(worker, await connect(worker)) == SUM_OF_5
    first = await keys(worker)
    # Killed after the target had finished: neither the outcome nor the end of the span was kept.
    entries = worker.store.entries(worker.number)
    del entries[-2:]
    await worker.replay(keep_buffered=False)
    assert await call(worker, await connect(worker)) == SUM_OF_5
    assert await keys(worker) == first


async def test_each_call_has_a_key_of_its_own(open_worker: Open) -> None:
    worker = await open_worker()
    rpc = await connect(worker)
    await call(worker, rpc)
    futures = [await begin(worker, rpc, x) for x in range(3)]
    for future in futures:
        await poll(worker, future)
    await call(worker, rpc)
    assert len(set(await keys(worker))) == 5


async def test_two_futures_are_polled(open_worker: Open) -> None:
    worker = await open_worker()
    called = worker.workers.called
    rpc = await connect(worker)
    gate = called.held[ADD] = asyncio.Event()
    one, two = await begin(worker, rpc, 1), await begin(worker, rpc, 2)
    assert await get(worker, one) is None
    gate.set()
    await asyncio.sleep(0.01)
    assert sorted(await poll(worker, one, two)) == [0, 1]
    assert await get(worker, two) == SUM_OF_5
    assert (await get(worker, one))[0] == "ok"
    with pytest.raises(GuestError, match="already consumed"):
        await get(worker, one)
    calls = await worker.host_calls()
    assert [entry.function.rpartition("::")[2] for entry in calls] == ["get", "poll", "get", "get"]

    await worker.replay()
    rpc = await connect(worker)
    one, two = await begin(worker, rpc, 1), await begin(worker, rpc, 2)
    assert await get(worker, one) is None
    assert sorted(await poll(worker, one, two)) == [0, 1]
    assert await get(worker, two) == SUM_OF_5
    assert (await get(worker, one))[0] == "ok"
    assert worker.context.is_live
    assert len(called.runs) == 2


async def test_a_call_that_was_open_is_sent_again_when_replay_is_over(open_worker: Open) -> None:
    worker = await open_worker()
    called = worker.workers.called
    gate = called.held[ADD] = asyncio.Event()
    future = await begin(worker, await connect(worker))
    assert await get(worker, future) is None
    await asyncio.sleep(0)
    assert len(called.runs) == 1

    await worker.replay()
    future = await begin(worker, await connect(worker))
    assert len(called.runs) == 1
    assert await get(worker, future) is None
    assert worker.context.is_live
    assert await get(worker, future) is None
    gate.set()
    assert await poll(worker, future) == [0]
    assert await get(worker, future) == SUM_OF_5
    assert len(set(await keys(worker))) == 1


async def test_a_guest_that_saw_the_result_come_gets_it_after_a_crash(open_worker: Open) -> None:
    worker = await open_worker()
    future = await begin(worker, await connect(worker))
    assert await poll(worker, future) == [0]
    await worker.replay()
    future = await begin(worker, await connect(worker))
    assert await poll(worker, future) == [0]
    assert worker.context.is_live
    assert await get(worker, future) == SUM_OF_5


async def test_a_future_that_is_dropped_or_lost_leaves_the_target_alone(open_worker: Open) -> None:
    worker = await open_worker()
    called = worker.workers.called
    rpc = await connect(worker)
    worker.context.resources.drop(await begin(worker, rpc))
    gate = called.held[ADD] = asyncio.Event()
    await begin(worker, rpc)
    await asyncio.sleep(0)
    worker.context.close()
    gate.set()
    await asyncio.sleep(0)
    assert len(called.runs) == 2
    assert called.cancelled == []


async def test_a_scheduled_call_is_one_row_until_it_is_cancelled(open_worker: Open) -> None:
    worker = await open_worker()
    rows = worker.workers.called.schedule.rows
    method = "[method]wasm-rpc.schedule-cancelable-invocation"
    token = await worker.call(TYPES, method, await connect(worker), AT, NOTE, [text("hi")])
    ((schedule_id, row),) = rows.items()
    assert row.due_at == (START_NS // 10**9 + 60) * 1000 + 1
    assert (row.invocation.function, row.invocation.parameters) == (NOTE, ["hi"])
    assert row.invocation.idempotency_key == str(schedule_id)

    # Killed before the entry was kept: the row is written again in its place.
    del worker.store.entries(worker.number)[-1:]
    await worker.replay(keep_buffered=False)
    token = await worker.call(TYPES, method, await connect(worker), AT, NOTE, [text("hi")])
    assert list(rows) == [schedule_id]
    await worker.call(TYPES, "[method]cancellation-token.cancel", token)
    assert rows == {}
    assert (await worker.host_calls())[-1].function == "golem::rpc::cancellation-token::cancel"

    calls = await worker.host_calls()
    await worker.replay()
    token = await worker.call(TYPES, method, await connect(worker), AT, NOTE, [text("hi")])
    await worker.call(TYPES, "[method]cancellation-token.cancel", token)
    assert await worker.host_calls() == calls
    assert rows == {}


async def test_errors_are_those_of_the_interface(open_worker: Open) -> None:
    worker = await open_worker()
    rpc = await connect(worker)
    missing = await call(worker, rpc, "a:b/api.{missing}", u64(1))
    assert missing[0] == "err"
    assert missing[1][0] == "protocol-error"
    assert (await call(worker, rpc, ADD, u64(1)))[1][0] == "protocol-error"
    assert (await call(worker, rpc, ADD, u64(1), text("2")))[1][0] == "protocol-error"

    def fail(*_arguments: Value) -> Value:
        raise InvocationFailed("it broke", "stderr")

    worker.workers.called.answers[ADD] = fail
    assert await call(worker, rpc) == ["err", ["remote-internal-error", "Invocation Failed: it broke"]]
    future = await begin(worker, rpc)
    await poll(worker, future)
    assert (await get(worker, future))[1][0] == "remote-internal-error"


async def test_who_may_not_be_called(open_worker: Open) -> None:
    worker = await open_worker()
    with pytest.raises(PermanentFailure, match="Not found"):
        await connect(worker, WorkerId(ComponentId(UUID(int=0)), "w"))
    with pytest.raises(PermanentFailure, match="Denied"):
        await connect(worker, WorkerId(OTHER_ACCOUNT, "w"))
    own = await connect(worker, WORKER_ID)
    with pytest.raises(GuestError, match="same agent"):
        await call(worker, own)
    with pytest.raises(GuestError, match="same agent"):
        await begin(worker, own)
    await worker.call(TYPES, "[method]wasm-rpc.schedule-invocation", own, AT, NOTE, [text("to myself")])
    assert len(worker.workers.called.schedule.rows) == 1


async def test_calls_carry_the_trace(open_worker: Open) -> None:
    worker = await open_worker()
    rpc = await connect(worker)
    await call(worker, rpc)
    worker.context.resources.drop(rpc)
    spans = [entry for entry in await worker.entries() if isinstance(entry, StartSpan | FinishSpan)]
    connection, invocation, invocation_ends, connection_ends = spans
    assert isinstance(connection, StartSpan)
    assert isinstance(invocation, StartSpan)
    assert connection.attributes["name"] == "rpc-connection"
    assert invocation.attributes["name"] == "rpc-invocation"
    assert invocation.parent == connection.span_id
    assert [invocation_ends.span_id, connection_ends.span_id] == [invocation.span_id, connection.span_id]
    (run,) = worker.workers.called.runs
    assert [span.span_id for span in run.invocation_context[:2]] == [invocation.span_id, connection.span_id]
    assert run.trace_id == worker.context.spans.trace_id


async def test_an_ephemeral_target_has_the_same_new_name_in_replay(open_worker: Open) -> None:
    worker = await open_worker()
    component = {"uuid": uuid_record(TARGET.component_id)}
    first = await worker.call(TYPES, "[static]wasm-rpc.ephemeral", component)
    second = await worker.call(TYPES, "[static]wasm-rpc.ephemeral", component)
    await call(worker, second)
    names = list(worker.workers.called.created)
    assert len(names) == 2
    await worker.replay()
    assert await worker.call(TYPES, "[static]wasm-rpc.ephemeral", component) == first
    rpc = await worker.call(TYPES, "[static]wasm-rpc.ephemeral", component)
    await call(worker, rpc)
    await call(worker, rpc)
    assert list(worker.workers.called.created) == names


async def test_types_and_values_come_out_of_pairs(open_worker: Open) -> None:
    worker = await open_worker()
    pair = {"value": u64(1), "typ": {"nodes": [("prim-u64-type", None)]}}
    assert await worker.call(TYPES, "extract-value", pair) == pair["value"]
    assert await worker.call(TYPES, "extract-type", pair) == pair["typ"]
    uuid = uuid_record(TARGET.component_id)
    assert await worker.call(TYPES, "parse-uuid", await worker.call(TYPES, "uuid-to-string", uuid)) == ("ok", uuid)
    assert (await worker.call(TYPES, "parse-uuid", "no uuid"))[0] == "err"


async def test_a_full_queue_is_tried_again_by_the_named_policies(open_worker: Open) -> None:
    worker = await open_worker()
    called = worker.workers.called
    noun = Compare("eq", "noun-uri", f"worker://{TARGET}")
    for verb, name in (("invoke-and-await", ADD), ("invoke", NOTE)):
        mine = And(And(noun, Compare("eq", "verb", verb)), Compare("eq", "function", name))
        await worker.context.retries.set(NamedRetryPolicy(verb, 9, mine, CountBox(5, Periodic(60 * 10**9))))
    rpc = await connect(worker)
    started = worker.clock.nanoseconds
    called.full = 5
    assert await call(worker, rpc) == SUM_OF_5
    assert worker.clock.nanoseconds - started == 5 * 60 * 10**9
    called.full = 5
    assert await worker.call(TYPES, "[method]wasm-rpc.invoke", rpc, NOTE, [text("x")]) == ("ok", None)
    assert worker.clock.nanoseconds - started == 10 * 60 * 10**9
    # One more than the policy allows.
    called.full = 6
    assert (await call(worker, rpc))[0] == "err"
    assert (called.full, len(called.runs), len(called.sent)) == (0, 1, 1)


async def test_calls_carry_the_same_spans_in_replay(open_worker: Open) -> None:
    worker = await open_worker()

    async def guest() -> Any:
        rpc = await connect(worker)
        seen = [await call(worker, rpc)]
        future = await begin(worker, rpc)
        await poll(worker, future)
        seen.append(await get(worker, future))
        worker.context.resources.drop(rpc)
        return seen

    first = await guest()
    entries = await worker.entries()
    connection, *calls = [entry for entry in entries if isinstance(entry, StartSpan)]
    assert connection.attributes == {"name": "rpc-connection", "target_agent_id": str(TARGET)}
    assert [started.parent for started in calls] == [connection.span_id] * 2
    for started, run in zip(calls, worker.workers.called.runs, strict=True):
        assert started.attributes == {
            "name": "rpc-invocation",
            "function_name": ADD,
            "idempotency_key": run.idempotency_key,
        }
        assert [span.span_id for span in run.invocation_context[:2]] == [started.span_id, connection.span_id]
    finished = [entry.span_id for entry in entries if isinstance(entry, FinishSpan)]
    assert finished == [*(started.span_id for started in calls), connection.span_id]
    runs = list(worker.workers.called.runs)
    await worker.replay()
    assert await guest() == first
    assert worker.context.is_live
    assert await worker.entries() == entries
    # Killed after the target had run, before the outcome was kept: the call goes out in the same span.
    worker.store.cut(worker.number, entries.index(calls[0]) + 1)
    worker.workers.called.results.clear()
    await worker.replay(keep_buffered=False)
    await call(worker, await connect(worker))
    assert worker.workers.called.runs == [*runs, runs[0]]
