"""Imported clients of other components: what their functions call, with dynamic links and without."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import CoroutineType
from typing import Any
from uuid import UUID

import pytest

from golem_server.durable.host_function import HostFunctions
from golem_server.durable.signals import GuestError, PermanentFailure
from golem_server.host import golem_rpc, wasi_io
from golem_server.host.generated_clients import ClientFunctions
from golem_server.host.golem_records import uuid_record, worker_id_record
from golem_server.model.dynamic_links import NO_LINKS, DynamicLinks, links_from_json, links_to_json
from golem_server.model.errors import InvocationFailed
from golem_server.model.ids import ComponentId, WorkerId
from golem_server.model.oplog import HostCall
from golem_server.model.types import (
    ComponentType,
    FunctionType,
    HandleType,
    InterfaceType,
    OptionType,
    Parameter,
    Primitive,
    RecordType,
    Value,
    WitType,
)
from tests.host.called_workers import TARGET, CalledWorkers
from tests.host.host_worker import START_NS, HostWorker

U64, TEXT = Primitive.U64, Primitive.STRING
SELF = Parameter("self", HandleType(0, owned=False, host=True))
WHEN = RecordType(())


def function(result: WitType | None = None, *parameters: WitType, method: bool = False) -> FunctionType:
    given = tuple(Parameter(f"p{place}", type_) for place, type_ in enumerate(parameters))
    return FunctionType((SELF, *given) if method else given, result)


OWN = HandleType(0, owned=True, host=True)
TARGET_API = "a:b-exports/api"
EXPORTS = InterfaceType(
    TARGET_API,
    {
        "add": function(U64, U64, U64),
        "note": function(None, TEXT),
        "maybe": function(OptionType(TEXT)),
        "[constructor]counter": function(HandleType(5, owned=True, host=False), TEXT),
        "[method]counter.inc": function(None, U64, method=True),
        "[method]counter.value": function(U64, method=True),
    },
    {"counter": 5},
)
TARGET_TYPE = ComponentType({}, {}, {TARGET_API: EXPORTS}, {})

CLIENT = "a:b-client/b-client"
IMPORTS = InterfaceType(
    CLIENT,
    {
        "[constructor]api": function(OWN, TEXT),
        "[static]api.custom": function(OWN, WHEN),
        "[method]api.blocking-add": function(U64, U64, U64, method=True),
        "[method]api.add": function(OWN, U64, U64, method=True),
        "[method]api.schedule-note": function(OWN, TEXT, WHEN, method=True),
        "[method]api.note": function(None, TEXT, method=True),
        "[method]api.maybe": function(OWN, method=True),
        "[constructor]counter": function(OWN, TEXT, TEXT),
        "[static]counter.custom": function(OWN, WHEN, TEXT),
        "[method]counter.blocking-value": function(U64, method=True),
        "[method]counter.inc": function(None, U64, method=True),
        "[method]future-add-result.get": function(OptionType(U64), method=True),
        "[method]future-add-result.subscribe": function(OWN, method=True),
        "[method]future-maybe-result.get": function(OptionType(OptionType(TEXT)), method=True),
        "[method]future-maybe-result.subscribe": function(OWN, method=True),
        "[method]other.get": function(U64, method=True),
    },
    {},
)
CALLER = ComponentType({CLIENT: IMPORTS}, {}, {}, {})

LINKS = {
    CLIENT: {
        "type": "WasmRpc",
        "targets": {name: {"interfaceName": TARGET_API, "componentName": "a:b"} for name in ("api", "counter")},
    }
}

Open = Callable[..., Awaitable[HostWorker]]


class Counters:
    """The target: counters by handle, and the calls in their order."""

    def __init__(self) -> None:
        self.values: dict[int, int] = {}
        self.log: list[str] = []

    def new(self, name: str) -> int:
        self.log.append(f"new {name}")
        self.values[len(self.values) + 7] = 0
        return len(self.values) + 6

    def inc(self, handle: int, by: int) -> None:
        self.values[handle] += by

    def value(self, handle: int) -> int:
        return self.values[handle]

    def drop(self, handle: int) -> None:
        self.log.append(f"drop {handle}")

    def add(self, x: int, y: int) -> int:
        self.log.append("add")
        return x + y

    def maybe(self) -> Value:
        return "there"

    def answers(self) -> dict[str, Callable[..., Value]]:
        names = {"add": self.add, "maybe": self.maybe, "[constructor]counter": self.new, "[drop]counter": self.drop}
        methods = {"[method]counter.inc": self.inc, "[method]counter.value": self.value}
        return {f"{TARGET_API}.{{{name}}}": answer for name, answer in {**names, **methods}.items()}


@pytest.fixture(params=["linked", "found"])
def open_worker(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Workers whose client is linked, and those for which the server finds out what it stands for."""
    links = links_from_json(LINKS) if request.param == "linked" else NO_LINKS
    return lambda: opened(tmp_path, links)


async def opened(
    folder: Path, links: DynamicLinks, type_: ComponentType = TARGET_TYPE, caller: ComponentType = CALLER
) -> HostWorker:
    interfaces = [*golem_rpc.INTERFACES, *wasi_io.INTERFACES]
    worker = await HostWorker.create(folder, interfaces)
    called = worker.workers.called = CalledWorkers(type_)
    called.answers = Counters().answers()
    worker.resolver = ClientFunctions(HostFunctions(interfaces), caller, links)
    return worker


async def call(worker: HostWorker, name: str, *arguments: Value) -> Any:
    found = worker.resolver.function(CLIENT, name, IMPORTS.functions[name])
    assert found is not None
    result = found(worker.context, *arguments)
    return await result if result.__class__ is CoroutineType else result


async def api(worker: HostWorker) -> int:
    return await call(worker, "[constructor]api", TARGET.name)


def counters(worker: HostWorker) -> Counters:
    return worker.workers.called.answers[f"{TARGET_API}.{{add}}"].__self__  # pyright: ignore[reportFunctionMemberAccess]


def runs(worker: HostWorker) -> list[tuple[str, list[Value]]]:
    return [(run.function, run.parameters) for run in worker.workers.called.runs]


def names(calls: list[HostCall]) -> list[str]:
    return [entry.function.removeprefix("golem::rpc::") for entry in calls]


async def test_methods_wait_send_schedule_or_give_a_future(open_worker: Open) -> None:
    worker = await open_worker()
    handle = await api(worker)
    assert list(worker.workers.called.created) == [TARGET]
    assert await call(worker, "[method]api.blocking-add", handle, 2, 3) == 5
    assert await call(worker, "[method]api.note", handle, "hi") is None
    future = await call(worker, "[method]api.add", handle, 2, 4)
    pollable = await call(worker, "[method]future-add-result.subscribe", future)
    assert await worker.call("wasi:io/poll", "poll", [pollable]) == [0]
    assert await call(worker, "[method]future-add-result.get", future) == 6
    when = {"seconds": START_NS // 10**9, "nanoseconds": 0}
    token = await call(worker, "[method]api.schedule-note", handle, "later", when)
    assert [row.invocation.parameters for row in worker.workers.called.schedule.rows.values()] == [["later"]]
    await worker.call("golem:rpc/types", "[method]cancellation-token.cancel", token)
    assert worker.workers.called.schedule.rows == {}
    (sent,) = worker.workers.called.sent
    assert (sent.function, sent.parameters) == (f"{TARGET_API}.{{note}}", ["hi"])
    assert runs(worker) == [(f"{TARGET_API}.{{add}}", [2, 3]), (f"{TARGET_API}.{{add}}", [2, 4])]

    calls = await worker.host_calls()
    await worker.replay()
    handle = await api(worker)
    assert await call(worker, "[method]api.blocking-add", handle, 2, 3) == 5
    await call(worker, "[method]api.note", handle, "hi")
    future = await call(worker, "[method]api.add", handle, 2, 4)
    pollable = await call(worker, "[method]future-add-result.subscribe", future)
    assert await worker.call("wasi:io/poll", "poll", [pollable]) == [0]
    assert await call(worker, "[method]future-add-result.get", future) == 6
    token = await call(worker, "[method]api.schedule-note", handle, "later", when)
    await worker.call("golem:rpc/types", "[method]cancellation-token.cancel", token)
    assert worker.context.is_live
    assert await worker.host_calls() == calls
    assert len(runs(worker)) == 2


async def test_a_result_that_is_an_option_is_told_from_none(open_worker: Open) -> None:
    worker = await open_worker()
    future = await call(worker, "[method]api.maybe", await api(worker))
    await worker.call("wasi:io/poll", "poll", [await call(worker, "[method]future-maybe-result.subscribe", future)])
    assert await call(worker, "[method]future-maybe-result.get", future) == ("there",)


async def test_a_stub_of_a_resource_makes_and_drops_the_targets(open_worker: Open) -> None:
    worker = await open_worker()
    target = counters(worker)

    async def run() -> None:
        one = await call(worker, "[constructor]counter", TARGET.name, "one")
        two = await call(worker, "[static]counter.custom", worker_id_record(TARGET), "two")
        assert await call(worker, "[method]counter.blocking-value", one) == 0
        worker.context.resources.drop(one)
        worker.context.resources.drop(two)
        assert await call(worker, "[method]api.blocking-add", await api(worker), 1, 1) == 2

    await run()
    # Dropping cannot wait: it is done, and recorded, before the next call of all.
    assert target.log == ["new one", "new two", "drop 7", "drop 8", "add"]
    calls = await worker.host_calls()
    assert [name for name in names(calls) if "find" not in name] == ["wasm-rpc::invoke_and_await"] * 6
    await worker.replay()
    await run()
    assert worker.context.is_live
    assert await worker.host_calls() == calls
    assert len(target.log) == 5


async def test_what_was_dropped_before_a_crash_is_dropped_once(open_worker: Open) -> None:
    worker = await open_worker()
    target = counters(worker)

    async def one_invocation(name: str, *, ends: bool = True) -> None:
        worker.context.resources.drop(await call(worker, "[constructor]counter", TARGET.name, name))
        if ends:
            await worker.context.deferred.run()

    await one_invocation("one")
    await worker.replay()
    await one_invocation("one")
    assert target.log == ["new one", "drop 7"]
    await one_invocation("two", ends=False)
    await worker.replay()
    await one_invocation("one")
    await one_invocation("two")
    assert target.log == ["new one", "drop 7", "new two", "drop 8"]


async def test_an_error_of_the_target_is_the_guests_failure(open_worker: Open) -> None:
    worker = await open_worker()

    def fail(*_arguments: Value) -> Value:
        raise InvocationFailed("it broke")

    worker.workers.called.answers[f"{TARGET_API}.{{add}}"] = fail
    with pytest.raises(GuestError, match=r"RPC invocation of .*add.* failed with: Remote internal error: .* it broke"):
        await call(worker, "[method]api.blocking-add", await api(worker), 1, 1)


async def test_a_target_that_is_named_by_its_component_alone_is_new(open_worker: Open) -> None:
    worker = await open_worker()
    await call(worker, "[static]api.custom", {"uuid": uuid_record(TARGET.component_id)})
    (created,) = worker.workers.called.created
    assert created.component_id == TARGET.component_id
    assert created.name == str(UUID(created.name))


async def test_a_link_wins_over_what_the_name_suggests(tmp_path: Path) -> None:
    other = {"interfaceName": "x:y/renamed", "componentName": "a:b"}
    links = links_from_json({CLIENT: {"type": "WasmRpc", "targets": {"counter": other}}})
    type_ = ComponentType({}, {}, {"x:y/renamed": EXPORTS}, {})
    worker = await opened(tmp_path, links, type_)
    worker.workers.called.answers["x:y/renamed.{[constructor]counter}"] = lambda name: 9  # pyright: ignore[reportUnknownLambdaType]
    await call(worker, "[constructor]counter", TARGET.name, "one")
    assert runs(worker) == [("x:y/renamed.{[constructor]counter}", ["one"])]


async def test_what_cannot_be_found_out_is_said(tmp_path: Path) -> None:
    twice = ComponentType({}, {}, {TARGET_API: EXPORTS, "c:d/api": EXPORTS}, {})
    worker = await opened(tmp_path / "1", NO_LINKS, twice)
    with pytest.raises(PermanentFailure, match="2 exports of its target fit it: a:b-exports/api, c:d/api"):
        await api(worker)
    elsewhere = ComponentType({"c:d-client/d": InterfaceType("c:d-client/d", IMPORTS.functions, {})}, {}, {}, {})
    worker = await opened(tmp_path / "2", NO_LINKS, caller=elsewhere)
    made = worker.resolver.function("c:d-client/d", "[constructor]api", IMPORTS.functions["[constructor]api"])
    assert made is not None
    with pytest.raises(PermanentFailure, match="Failed to resolve component c:d"):
        await made(worker.context, "w")
    with pytest.raises(PermanentFailure, match="Not found"):
        await call(
            await opened(tmp_path / "3", NO_LINKS),
            "[static]api.custom",
            worker_id_record(WorkerId(ComponentId(UUID(int=0)), "w")),
        )


async def test_only_clients_are_made(tmp_path: Path) -> None:
    plain = ComponentType({"a:b/api": InterfaceType("a:b/api", IMPORTS.functions, {})}, {}, {}, {})
    worker = await opened(tmp_path, NO_LINKS, caller=plain)
    constructor = IMPORTS.functions["[constructor]api"]
    assert worker.resolver.function("a:b/api", "[constructor]api", constructor) is None
    worker = await opened(tmp_path / "1", NO_LINKS)
    assert worker.resolver.function(CLIENT, "[method]other.get", IMPORTS.functions["[method]other.get"]) is None


def test_links_are_read_as_they_are_written() -> None:
    older = {"targets": {"api": {"interfaceName": "i", "componentName": "c", "componentType": "Ephemeral"}}}
    json = {**LINKS, "b": {"type": "WasmRpc", **older}}
    links = links_from_json({"dynamicLinking": json})
    assert links_to_json(links) == json
    assert links == links_from_json(json)
    assert hash(links) == hash(links_from_json(json))


async def test_the_wait_for_a_future_can_be_given_up(open_worker: Open) -> None:
    worker = await open_worker()
    worker.workers.called.held[f"{TARGET_API}.{{add}}"] = asyncio.Event()
    future = await call(worker, "[method]api.add", await api(worker), 2, 4)
    pollable = await call(worker, "[method]future-add-result.subscribe", future)
    waiting = asyncio.ensure_future(worker.call("wasi:io/poll", "poll", [pollable]))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert len(runs(worker)) == 1
