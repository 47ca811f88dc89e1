"""Agents keep their state, their history and what they wait for over `kill -9` of the server."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from golem_server.model.agent_types import agent_types_from_guest
from tests.agents.agent_server import CLI, AgentServer
from tests.model.agent_strategies import discovered

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(900)]
"""The first run fetches the SDK and compiles it."""


class Site:
    """A web site that counts its visitors and can keep them waiting."""

    def __init__(self) -> None:
        self.visits: Counter[str] = Counter()
        self.arrived = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()
        application = web.Application()
        application.router.add_get("/{name}", self._answer)
        self._runner = web.AppRunner(application)
        self.url = ""

    async def __aenter__(self) -> Site:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.open.set()
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self.visits[name] += 1
        self.arrived.set()
        await self.open.wait()
        return web.Response(text=f"{name} for {request.headers.get('x-customer', 'nobody')}")


@pytest_asyncio.fixture(loop_scope="module")
async def site() -> AsyncIterator[Site]:
    """The site."""
    async with Site() as site:
        yield site


@pytest.mark.parametrize("component", ["counter", "shop"])
async def test_a_component_tells_its_agent_types_when_it_is_uploaded(server: AgentServer, component: str) -> None:
    _, created = await server.request("GET", f"/v1/envs/784fc8da-0283-4042-baba-f0b13bb101d2/components/{component}")
    metadata = created["metadata"]
    assert metadata["agentTypes"] == [type_.to_json() for type_ in agent_types_from_guest(discovered(component))]
    assert metadata["knownExports"] == {
        "agentGuestInterface": "golem:agent/guest@1.5.0",
        "saveSnapshotInterface": "golem:api/save-snapshot@1.5.0",
        "loadSnapshotInterface": "golem:api/load-snapshot@1.5.0",
        "oplogProcessorInterface": None,
    }


async def test_state_and_history_survive(server: AgentServer) -> None:
    counter = server.agent("CounterAgent", 'a "b" (c) d/e')
    assert [await counter.value("increment"), await counter.value("add", 2.5)] == [1, 3.5]
    assert counter.id == 'CounterAgent("a \\"b\\" (c) d/e")'
    rolled, uuid = await counter.value("roll"), await counter.value("uuid")
    history = await counter.value("history")
    assert [line.split(" ", 1)[1] for line in history] == [
        "created",
        "add 1 gives 1",
        "add 2.5 gives 3.5",
        f"rolled {rolled}",
    ]
    await counter.value("log", "hi")
    assert await counter.value("environment", "GOLEM_AGENT_ID") == counter.id
    assert await counter.value("environment", "GOLEM_AGENT_TYPE") == "CounterAgent"
    await server.kill()
    assert await counter.value("history") == history
    assert await counter.value("value") == 3.5
    assert await counter.value("roll") != rolled
    assert await counter.value("uuid") != uuid
    assert len(await counter.value("history")) == len(history) + 1


async def test_the_same_key_has_the_same_answer_also_after_a_kill(server: AgentServer) -> None:
    counter = server.agent("CounterAgent", "keys")
    assert await counter.value("increment", key="once") == 1
    await server.kill()
    assert await counter.value("increment", key="once") == 1
    assert await counter.value("value") == 1


async def test_an_answer_outlives_its_method(server: AgentServer) -> None:
    counter = server.agent("CounterAgent", "answers")
    assert await counter.value("increment", key="first") == 1
    component = counter.path.rpartition("/workers/")[0]
    types = [type_.to_json() for type_ in agent_types_from_guest(discovered("counter"))]
    fewer = json.loads(json.dumps(types))
    (described,) = (type_ for type_ in fewer if type_["typeName"] == "CounterAgent")
    described["methods"] = [method for method in described["methods"] if method["name"] != "increment"]
    for target, agent_types in enumerate((fewer, types), 1):
        form = aiohttp.FormData()
        metadata = json.dumps({"currentRevision": target - 1, "agentTypes": agent_types})
        form.add_field("metadata", metadata, content_type="application/json")
        status, answer = await server.request("PATCH", component, data=form)
        assert status == 200, answer
        body = {"mode": "Automatic", "targetRevision": target}
        assert (await server.request("POST", f"{counter.path}/update", json=body))[0] == 200
        assert await counter.value("value", key=f"value-{target}") == 1
        assert (await counter.metadata())["componentRevision"] == target
        status, answer = await counter.call("increment", key="second")
        assert status == (400 if target == 1 else 200), answer
        assert await counter.value("increment", key="first") == 1


async def test_a_wrong_call_is_the_callers_mistake(server: AgentServer) -> None:
    counter = server.agent("CounterAgent", "mistakes")
    assert await counter.value("increment") == 1
    for method, arguments, code in [
        ("decrement", [], "VALIDATION_ERROR"),
        ("add", [], "TYPE_CHECKER_ERROR"),
        ("add", ["two"], "TYPE_CHECKER_ERROR"),
        ("add", [1, 2], "TYPE_CHECKER_ERROR"),
    ]:
        status, answer = await counter.call(method, *arguments)
        assert (status, answer["code"]) == (400, code), answer
    for agent, code in [
        (server.agent("CounterAgent"), "TYPE_CHECKER_ERROR"),
        (server.agent("CounterAgent", 7), "TYPE_CHECKER_ERROR"),
    ]:
        status, answer = await agent.call("value")
        assert (status, answer["code"]) == (400, code), answer
    status, answer = await server.agent("NoAgent").call("value")
    assert (status, answer["code"]) == (404, "RESOURCE_NOT_FOUND")
    assert await counter.value("value") == 1


async def test_a_failure_leaves_no_change_and_is_told(server: AgentServer) -> None:
    counter = server.agent("CounterAgent", "failing")
    assert await counter.value("increment") == 1
    status, answer = await counter.call("fail", "out of order")
    assert (status, answer["code"]) == (500, "INTERNAL_AGENT_EXECUTION_FAILED")
    assert "JavaScript error: out of order" in answer["workerError"]["stderr"]
    assert "unreachable" in answer["workerError"]["cause"]
    await server.kill()
    status, answer = await counter.call("value")
    assert (status, answer["code"]) == (500, "INTERNAL_PREVIOUS_INVOCATION_FAILED")
    assert "JavaScript error: out of order" in answer["workerError"]["stderr"]
    metadata = await counter.metadata()
    assert metadata["status"] == "Failed"
    assert "out of order" in metadata["lastError"]


async def test_the_constructor_is_called_by_the_server_alone(server: AgentServer) -> None:
    counter = server.agent("CounterAgent", "constructed")
    await counter.create()
    parameters: list[Any] = ["CounterAgent", {"tuple": []}, {"anonymous": None}]
    status, answer = await server.request(
        "POST",
        f"{counter.path}/invoke-and-await",
        params={"function": "golem:agent/guest.{initialize}"},
        json={"params": [{"value": value} for value in parameters]},
    )
    assert (status, "called once" in answer["error"]) == (400, True), answer
    assert await counter.value("value") == 0


async def test_a_sleep_goes_on_over_a_kill(server: AgentServer) -> None:
    counter = server.agent("CounterAgent", "sleeping")
    await counter.create()
    sleeping = asyncio.create_task(counter.value("sleep", 2, key="sleep"))
    await server.until(counter, lambda metadata: metadata["status"] == "Running")
    await server.kill()
    assert await sleeping >= 2000
    assert (await counter.value("history"))[-1].endswith("slept 2 s")


async def test_fetches_are_done_once_over_a_kill(server: AgentServer, site: Site) -> None:
    cart = server.agent("CartAgent", "books", "ann")
    urls = [f"{site.url}/{name}" for name in ("one", "two", "three")]
    replies = await cart.value("fetchAll", urls)
    assert [(reply["status"], reply["body"]) for reply in replies] == [
        (200, f"{name} for ann") for name in ("one", "two", "three")
    ]
    site.arrived.clear()
    site.open.clear()
    waiting = asyncio.create_task(cart.value("fetchAll", [f"{site.url}/four", f"{site.url}/five"], key="held"))
    await site.arrived.wait()
    await server.kill()
    site.open.set()
    assert [reply["body"] for reply in await waiting] == ["four for ann", "five for ann"]
    assert await cart.value("fetchAll", urls[:1]) == replies[:1] or site.visits["one"] == 2
    assert (site.visits["two"], site.visits["three"]) == (1, 1)


async def test_a_promise_is_kept_over_kills(server: AgentServer) -> None:
    cart = server.agent("CartAgent", "books", "bob")
    promise = await cart.value("createOpenPromise")
    assert promise["agentId"]["agentId"] == cart.id
    waiting = asyncio.create_task(cart.value("waitForOpenPromise", key="wait"))
    await server.until(cart, lambda metadata: metadata["status"] == "Suspended")
    await server.kill()
    body = {"oplogIdx": promise["oplogIdx"], "data": list(b"kept")}
    assert await server.request("POST", f"{cart.path}/complete", json=body) == (200, True)
    assert await waiting == "kept"
    await server.kill()
    assert await cart.value("waitForOpenPromise", key="wait") == "kept"
    assert await server.request("POST", f"{cart.path}/complete", json=body) == (200, False)


async def test_nothing_of_an_ephemeral_agent_stays(server: AgentServer) -> None:
    courier = server.agent("CourierAgent", "books")
    ids: set[str] = set()
    for _ in range(2):
        assert await courier.value("count") == 1
        ids.add(courier.id)
    assert len(ids) == 2
    assert all(re.fullmatch(r'CourierAgent\("books"\)\[[0-9a-f-]{36}\]', each) for each in ids)
    same = server.agent("CourierAgent", "books", phantom="00000000-0000-4000-8000-000000000001")
    assert [await same.value("count", key=key) for key in ("a", "b", "a")] == [1, 1, 1]
    await server.kill()
    assert [await same.value("count", key=key) for key in ("a", "c")] == [1, 1]
    kinds = [entry["type"] for entry in await same.oplog(**CLI)]
    assert kinds.count("AgentInvocationFinished") == 4
    assert kinds.count("Restart") == 2


async def test_the_work_of_an_ephemeral_agent_goes_on_over_a_kill(server: AgentServer, site: Site) -> None:
    courier = server.agent("CourierAgent", "books", phantom="00000000-0000-4000-8000-000000000002")
    assert await courier.value("count") == 1
    site.open.clear()
    fetching = asyncio.create_task(courier.value("fetchUrl", f"{site.url}/errand", key="errand"))
    await site.arrived.wait()
    await server.kill()
    site.open.set()
    assert (await fetching)["body"] == "errand for nobody"
    assert await courier.value("count") == 1


async def test_an_oplog_speaks_of_constructor_and_methods(server: AgentServer) -> None:
    counter = server.agent("CounterAgent", "oplog")
    await counter.value("add", 2)
    entries = await counter.oplog(**CLI)
    started = [entry["invocation"] for entry in entries if entry["type"] == "AgentInvocationStarted"]
    assert [invocation["type"] for invocation in started] == ["AgentInitialization", "AgentMethodInvocation"]
    assert started[0]["idempotencyKey"] == f"init-{counter.path.split('/')[3]}/{counter.id}"
    assert started[0]["constructorParameters"]["elements"][0]["value"]["value"] == "oplog"
    assert (started[1]["methodName"], started[1]["functionInput"]["elements"][0]["value"]["value"]) == ("add", 2)
    results = [entry["result"] for entry in entries if entry["type"] == "AgentInvocationFinished"]
    assert results[0] == {"type": "AgentInitialization", "output": {"type": "Tuple", "elements": []}}
    assert results[1]["output"]["elements"][0]["value"]["value"] == 2
    default: list[Any] = await counter.oplog()
    invoked = [entry for entry in default if entry["type"] == "ExportedFunctionInvoked"]
    assert invoked[1]["functionName"] == "golem:agent/guest@1.5.0.{invoke}"
    assert invoked[1]["invocation"]["methodName"] == "add"


async def test_an_agent_that_takes_snapshots_goes_on_from_the_newest(server: AgentServer) -> None:
    till = server.agent("TillAgent", "snapshots")
    for _ in range(6):
        assert await till.value("greeting") == "Welcome to snapshots"
    kinds = [entry["type"] for entry in await till.oplog()]
    assert kinds.count("Snapshot") == 1
    await server.kill()
    await server.start()
    assert await till.value("greeting") == "Welcome to snapshots"
