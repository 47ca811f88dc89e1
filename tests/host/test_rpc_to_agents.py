"""Agents as guests of Golem 1.4 call them: through golem:rpc, by the name of a function that each method is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from golem_server.host import golem_rpc, wasi_io
from golem_server.host.golem_records import worker_id_record
from golem_server.model.component_agents import ComponentAgents
from golem_server.model.errors import InvocationFailed
from golem_server.model.ids import WorkerId
from golem_server.model.principals import ANONYMOUS, agent_principal
from golem_server.model.types import Value
from tests.host.called_workers import CalledWorkers
from tests.host.host_worker import START_NS, WORKER_ID, HostWorker
from tests.host.test_golem_agent import SHOP, SHOP_COMPONENT
from tests.host.test_rpc import API, note, plain

TYPES = "golem:rpc/types"
OLD_SHOP = ComponentAgents("golem:agent/guest", list(SHOP.types.values()), {}, takes_principal=False)
INVOKE = "golem:agent/guest@1.5.0.{invoke}"
OLD_INVOKE = "golem:agent/guest.{invoke}"
TEAS = WorkerId(SHOP_COMPONENT, 'CatalogAgent("teas")')
AT = {"seconds": START_NS // 10**9 + 60, "nanoseconds": 0}


def text(content: str) -> Value:
    return {"nodes": [("prim-string", content)]}


LEAFLET: Value = {"nodes": [("variant-value", (0, 1)), ("prim-string", "http://a/leaflet.txt")]}


async def new_worker(tmp_path: Path, agents: ComponentAgents = SHOP) -> HostWorker:
    worker = await HostWorker.create(tmp_path, [*golem_rpc.INTERFACES, *wasi_io.INTERFACES])
    called = worker.workers.called = CalledWorkers(API)
    called.agents = agents
    return worker


async def connect(worker: HostWorker, target: WorkerId = TEAS) -> int:
    return await worker.call(TYPES, "[constructor]wasm-rpc", worker_id_record(target))


async def call(worker: HostWorker, rpc: int, name: str, *parameters: Value) -> Any:
    return plain(await worker.call(TYPES, "[method]wasm-rpc.invoke-and-await", rpc, name, list(parameters)))


@pytest.mark.parametrize(("agents", "function"), [(SHOP, INVOKE), (OLD_SHOP, OLD_INVOKE)], ids=["1.5", "1.4"])
async def test_a_method_is_called_by_its_functions_name(tmp_path: Path, agents: ComponentAgents, function: str) -> None:
    worker = await new_worker(tmp_path, agents)
    called = worker.workers.called
    weight: Value = ("tuple", [("component-model", {"nodes": [("prim-float64", 2.5)]})])
    called.answers = {function: lambda *_arguments: ("ok", weight)}
    first = await call(worker, await connect(worker), "catalog-agent.{set-leaflet}", LEAFLET)
    assert first == plain(("ok", {"nodes": [("tuple-value", [1]), ("prim-float64", 2.5)]}))
    (run,) = called.runs
    assert run.parameters[0] == "setLeaflet"
    assert plain(run.parameters[1]) == plain(("tuple", [("unstructured-text", ("url", "http://a/leaflet.txt"))]))
    assert run.parameters[2:] == ([agent_principal(WORKER_ID)] if agents is SHOP else [])
    calls = await worker.host_calls()
    await worker.replay()
    assert await call(worker, await connect(worker), "catalog-agent.{set-leaflet}", LEAFLET) == first
    assert worker.context.is_live
    assert len(called.runs) == 1
    assert await worker.host_calls() == calls


async def test_a_method_without_result_gives_the_empty_record(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    worker.workers.called.answers = {INVOKE: lambda *_arguments: ("ok", ("tuple", []))}
    result = await call(worker, await connect(worker), "catalog-agent.{remember}", text("tea"), text("green"))
    assert result == plain(("ok", {"nodes": [("record-value", ())]}))


async def test_a_scheduled_call_is_nobodys(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    await worker.call(
        TYPES,
        "[method]wasm-rpc.schedule-invocation",
        await connect(worker),
        AT,
        "catalog-agent.{remove}",
        [text("tea")],
    )
    (row,) = worker.workers.called.schedule.rows.values()
    assert row.invocation.parameters[0] == "remove"
    assert row.invocation.parameters[2] == ANONYMOUS


async def test_what_the_component_exports_comes_first(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    worker.workers.called.answers = {"a:b/api.{note}": note}
    assert (await call(worker, await connect(worker), "a:b/api.{note}", text("hi")))[0] == "ok"


WRONG: list[tuple[str, list[Value]]] = [
    ("cart-agent.{notes}", []),
    ("catalog-agent.{missing}", []),
    ("catalog-agent.{remove}", []),
    ("catalog-agent.{remove}", [{"nodes": [("prim-u8", 1)]}]),
    ("catalog-agent.{remove}", [{"nodes": []}]),
    ("nothing", []),
    ("catalog-agent.{", []),
]


@pytest.mark.parametrize(("name", "parameters"), WRONG)
async def test_what_is_wrong_is_the_callers_error(tmp_path: Path, name: str, parameters: list[Value]) -> None:
    worker = await new_worker(tmp_path)
    assert (await call(worker, await connect(worker), name, *parameters))[1][0] == "protocol-error"
    assert worker.workers.called.runs == []


async def test_a_worker_that_is_no_agent_has_no_methods(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    rpc = await connect(worker, WorkerId(SHOP_COMPONENT, "plain"))
    assert (await call(worker, rpc, "catalog-agent.{remove}", text("x")))[1][0] == "protocol-error"


async def test_an_agents_error_is_an_error_of_the_remote_side(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)

    def fail(*_arguments: Value) -> Value:
        raise InvocationFailed("Invalid input: no")

    worker.workers.called.answers = {INVOKE: fail}
    result = await call(worker, await connect(worker), "catalog-agent.{remove}", text("tea"))
    assert result == ["err", ["remote-internal-error", "Invocation Failed: Invalid input: no"]]


async def test_an_agent_is_found_by_the_name_that_golem_1_4_gives_it(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    called = worker.workers.called
    called.answers = {INVOKE: lambda *_arguments: ("ok", ("tuple", []))}
    rpc = await connect(worker, WorkerId(SHOP_COMPONENT, 'catalog-agent("teas")'))
    await call(worker, rpc, "catalog-agent.{remember}", text("tea"), text("green"))
    assert list(called.created) == [TEAS]
    assert [target for target, _ in called.results] == [TEAS]
