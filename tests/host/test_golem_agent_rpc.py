"""Calls to other agents through golem:agent/host: recorded, replayed, cancelled; who is called, and as whom."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from golem_server.durable.directory import ComponentDirectory
from golem_server.durable.signals import GuestError
from golem_server.host import golem_agent, golem_agent_rpc, wasi_io
from golem_server.model.errors import GolemError, InvocationFailed, PreviousInvocationFailed
from golem_server.model.ids import WorkerId
from golem_server.model.oplog import HostCall
from golem_server.model.principals import agent_principal
from golem_server.model.types import Value
from tests.host.called_workers import CalledWorkers
from tests.host.host_worker import START_NS, WORKER_ID, HostWorker
from tests.host.test_golem_agent import HOST, SHOP, SHOP_COMPONENT, Directory
from tests.host.test_rpc import plain

INVOKE = "golem:agent/guest@1.5.0.{invoke}"
TEAS = WorkerId(SHOP_COMPONENT, 'CatalogAgent("teas")')
AT = {"seconds": START_NS // 10**9 + 60, "nanoseconds": 0}
NOTHING: Value = ("tuple", [("component-model", {"nodes": [("option-value", None)]})])


def text(content: str) -> Value:
    return ("tuple", [("component-model", {"nodes": [("prim-string", content)]})])


async def new_worker(tmp_path: Path) -> HostWorker:
    interfaces = [*golem_agent.INTERFACES, *golem_agent_rpc.INTERFACES, *wasi_io.INTERFACES]
    worker = await HostWorker.create(
        tmp_path, interfaces, services={ComponentDirectory: ComponentDirectory(Directory())}
    )
    called = worker.workers.called = CalledWorkers()
    called.agents = SHOP

    def answer(_method: str, _input: Value, _principal: Value) -> Value:
        return ("ok", NOTHING)

    called.answers = {INVOKE: answer}
    return worker


async def connect(worker: HostWorker, type_name: str = "CatalogAgent", parameters: Value = None) -> int:
    return await worker.call(HOST, "[constructor]wasm-rpc", type_name, parameters or text("teas"), None, [])


def names(calls: list[HostCall]) -> list[str]:
    return [entry.function.removeprefix("golem::") for entry in calls]


async def test_the_target_sees_who_calls(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    rpc = await connect(worker)
    result = await worker.call(HOST, "[method]wasm-rpc.invoke-and-await", rpc, "find", text("tea"))
    assert plain(result) == plain(("ok", NOTHING))
    (run,) = worker.workers.called.runs
    assert run.parameters == ["find", text("tea"), agent_principal(WORKER_ID)]
    await worker.call(HOST, "[method]wasm-rpc.schedule-invocation", rpc, AT, "find", text("tea"))
    (row,) = worker.workers.called.schedule.rows.values()
    assert row.invocation.parameters[2] == ("anonymous", None)


async def test_a_call_that_was_cancelled_stays_so(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    called = worker.workers.called
    called.held[INVOKE] = asyncio.Event()
    cancelled = plain(("err", ("protocol-error", "Invocation cancelled")))

    async def run() -> None:
        rpc = await connect(worker)
        future = await worker.call(HOST, "[method]wasm-rpc.async-invoke-and-await", rpc, "find", text("tea"))
        assert await worker.call(HOST, "[method]future-invoke-result.get", future) is None
        await worker.call(HOST, "[method]future-invoke-result.cancel", future)
        assert plain(await worker.call(HOST, "[method]future-invoke-result.get", future)) == cancelled

    await run()
    assert len(called.cancelled) == 1
    calls = await worker.host_calls()
    assert names(calls)[1:] == [f"rpc::future-invoke-result::{name}" for name in ("get", "cancel", "get")]
    await worker.replay()
    await run()
    assert worker.context.is_live
    assert await worker.host_calls() == calls
    assert (len(called.runs), len(called.cancelled)) == (1, 1)


async def test_cancelling_what_is_complete_changes_nothing(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    rpc = await connect(worker)
    future = await worker.call(HOST, "[method]wasm-rpc.async-invoke-and-await", rpc, "find", text("tea"))
    pollable = await worker.call(HOST, "[method]future-invoke-result.subscribe", future)
    await worker.call("wasi:io/poll", "poll", [pollable])
    await worker.call(HOST, "[method]future-invoke-result.cancel", future)
    result = plain(await worker.call(HOST, "[method]future-invoke-result.get", future))
    assert result == plain(("ok", NOTHING))
    assert worker.workers.called.cancelled == []


async def test_an_ephemeral_agent_has_the_same_new_phantom_in_replay(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    await connect(worker, "CourierAgent")
    await connect(worker, "CourierAgent")
    created = list(worker.workers.called.created)
    assert len({target.name for target in created}) == 2
    await worker.replay()
    await connect(worker, "CourierAgent")
    rpc = await connect(worker, "CourierAgent")
    await worker.call(HOST, "[method]wasm-rpc.invoke", rpc, "count", ("tuple", []))
    assert list(worker.workers.called.created) == created


async def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    with pytest.raises(GuestError, match="no agent type NoAgent"):
        await connect(worker, "NoAgent")
    with pytest.raises(GuestError):
        await connect(worker, "CatalogAgent", ("tuple", []))
    rpc = await connect(worker)
    missing = await worker.call(HOST, "[method]wasm-rpc.invoke-and-await", rpc, "missing", text("x"))
    assert plain(missing)[1][0] == "protocol-error"
    wrong = await worker.call(HOST, "[method]wasm-rpc.invoke", rpc, "find", ("tuple", []))
    assert plain(wrong)[1][0] == "protocol-error"


AGENT_ERROR: Value = ("custom-error", {"value": {"nodes": [("prim-u8", 7)]}, "typ": {"nodes": []}})
FAILURES: list[tuple[GolemError, Value]] = [
    (InvocationFailed("7", agent_error=AGENT_ERROR), ("remote-agent-error", AGENT_ERROR)),
    (PreviousInvocationFailed("7", agent_error=AGENT_ERROR), ("remote-agent-error", AGENT_ERROR)),
    (InvocationFailed("trap"), ("remote-internal-error", "Invocation Failed: trap")),
]


@pytest.mark.parametrize(("failure", "expected"), FAILURES, ids=["agent's error", "earlier agent's error", "trap"])
async def test_an_agents_error_comes_as_it_is(tmp_path: Path, failure: GolemError, expected: Value) -> None:
    worker = await new_worker(tmp_path)

    def fail(_method: str, _input: Value, _principal: Value) -> Value:
        raise failure

    worker.workers.called.answers = {INVOKE: fail}

    async def run() -> tuple[Any, Any]:
        rpc = await connect(worker)
        at_once = await worker.call(HOST, "[method]wasm-rpc.invoke-and-await", rpc, "find", text("tea"))
        future = await worker.call(HOST, "[method]wasm-rpc.async-invoke-and-await", rpc, "find", text("tea"))
        pollable = await worker.call(HOST, "[method]future-invoke-result.subscribe", future)
        await worker.call("wasi:io/poll", "poll", [pollable])
        return plain(at_once), plain(await worker.call(HOST, "[method]future-invoke-result.get", future))

    told = await run()
    assert told == (plain(("err", expected)), plain(("err", expected)))
    calls = await worker.host_calls()
    worker.workers.called.answers = {}
    await worker.replay()
    assert await run() == told
    assert worker.context.is_live
    assert await worker.host_calls() == calls
