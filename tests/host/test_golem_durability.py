"""golem:durability: functions that a guest makes durable itself are done once, whatever happens between."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from golem_server.durable import replay
from golem_server.durable.signals import GuestError, PermanentFailure
from golem_server.host import golem_api_host, golem_durability, wasi_clocks
from golem_server.model.oplog import BeginRemoteWrite, EndRemoteWrite, Entry, HostCall
from golem_server.model.types import Field, FunctionType, ListType, Primitive, RecordType, Value
from tests.host import http_guest
from tests.host.host_worker import START_NS, HostWorker
from tests.host.http_guest import Guest, web_server

DURABILITY = "golem:durability/durability"
HOST = "golem:api/host"
INTERFACES = [
    *golem_durability.INTERFACES,
    *golem_api_host.INTERFACES,
    *wasi_clocks.INTERFACES,
    *http_guest.INTERFACES,
]
WRITE_REMOTE: Value = ("write-remote", None)
BATCHED: Value = ("write-remote-batched", None)
TEXT_TYPE: Value = {"nodes": [{"name": None, "owner": None, "type": ("prim-string-type", None)}]}


def text_value(text: str) -> Value:
    """A `value-and-type`."""
    return {"value": {"nodes": [("prim-string", text)]}, "typ": TEXT_TYPE}


async def new_worker(tmp_path: Path, **facts: Any) -> HostWorker:
    return await HostWorker.create(tmp_path, INTERFACES, **facts)


async def durable(
    worker: HostWorker,
    name: str,
    effect: Callable[[], Awaitable[str]],
    function_type: Value = WRITE_REMOTE,
    *,
    zone: bool = True,
) -> str:
    """A function as the Rust library makes one durable."""
    begin = await worker.call(DURABILITY, "begin-durable-function", function_type)
    state = await worker.call(DURABILITY, "current-durable-execution-state")
    if state["is-live"]:
        level = state["persistence-level"]
        if zone:
            await worker.call(HOST, "set-oplog-persistence-level", ("persist-nothing", None))
        result = await effect()
        if zone:
            await worker.call(HOST, "set-oplog-persistence-level", level)
        arguments = (name, text_value("in"), text_value(result), function_type)
        await worker.call(DURABILITY, "persist-durable-function-invocation", *arguments)
    else:
        persisted = await worker.call(DURABILITY, "read-persisted-durable-function-invocation")
        assert persisted["function-name"] == name
        assert persisted["entry-version"] == "v2"
        assert persisted["timestamp"]["seconds"] == START_NS // 10**9
        assert list(persisted["function-type"]) == list(function_type)
        result = persisted["response"]["value"]["nodes"][0][1]
    await worker.call(DURABILITY, "end-durable-function", function_type, begin, False)
    return result


class Run:
    """A guest with three such functions around a clock; `effects` are those that happened."""

    def __init__(self, *, zone: bool = True, function_type: Value = WRITE_REMOTE) -> None:
        self.effects: list[str] = []
        self.zone = zone
        self.function_type = function_type

    async def __call__(self, worker: HostWorker) -> list[Value]:
        seen: list[Value] = []
        for name in ("first", "second", "third"):

            async def effect(name: str = name) -> str:
                now = await worker.call("wasi:clocks/wall-clock", "now")
                self.effects.append(name)
                return f"{name} {now['nanoseconds']}"

            seen.append(await durable(worker, name, effect, self.function_type, zone=self.zone))
            seen.append(await worker.call("wasi:clocks/wall-clock", "now"))
            worker.clock.advance(1e-9)
        return seen


@pytest.mark.parametrize("chunk", [1, 3, 4096])
@pytest.mark.parametrize("function_type", [WRITE_REMOTE, BATCHED], ids=["write", "batched"])
async def test_what_was_persisted_is_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int, function_type: Value
) -> None:
    run = Run(function_type=function_type)
    worker = await new_worker(tmp_path)
    first = await run(worker)
    entries = await worker.entries()
    monkeypatch.setattr(replay, "CHUNK_ENTRIES", chunk)
    for kept in range(len(entries), 2, -1):
        worker.store.cut(worker.number, kept)
        await worker.replay(keep_buffered=False)
        run.effects.clear()
        again = await run(worker)
        assert await worker.context.settle_replay()
        # What was persisted with its end, and a later call to show it, is as it was; the rest happens.
        persisted = [entry.function for entry in entries[:kept] if isinstance(entry, HostCall)]
        done = [name for name in ("first", "second", "third") if name in persisted]
        if function_type == BATCHED and kept < len(entries):
            done = done[: sum(isinstance(entry, EndRemoteWrite) for entry in entries[:kept])]
        assert run.effects == [name for name in ("first", "second", "third") if name not in done], kept
        assert again[: 2 * len(done) - 1] == first[: 2 * len(done) - 1] or not done
        # The oplog that came of it replays without any effect.
        await worker.replay()
        run.effects.clear()
        assert await run(worker) == again
        assert run.effects == []
        worker.clock.nanoseconds = START_NS


async def test_without_a_zone_calls_inside_are_replayed_only_if_the_guest_makes_them(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)

    async def effect() -> str:
        return "done"

    assert await durable(worker, "plain", effect, zone=False) == "done"
    await worker.replay()

    async def wrong() -> str:
        raise AssertionError("the effect happens once")

    assert await durable(worker, "plain", wrong, zone=False) == "done"
    (call,) = await worker.host_calls()
    assert (call.function, call.request, call.response) == (
        "plain",
        {"value": {"nodes": [["prim-string", "in"]]}, "typ": _listed(TEXT_TYPE)},
        {"value": {"nodes": [["prim-string", "done"]]}, "typ": _listed(TEXT_TYPE)},
    )


def _listed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(value, list | tuple):
        return [_listed(item) for item in value]  # pyright: ignore[reportUnknownVariableType]
    return value


async def test_a_request_that_outlives_its_zone_is_left_out_with_it(tmp_path: Path) -> None:
    async with web_server() as server, http_guest.http_worker(tmp_path) as plain:
        worker = await new_worker(tmp_path / "w", services=plain.services)
        guest = Guest(worker)
        futures: list[int] = []

        async def effect() -> str:
            futures.append(await guest.handle(await guest.request(server.authority)))
            return "asked"

        async def run() -> list[Value]:
            seen = [await durable(worker, "ask", effect)]
            if futures:
                guest.drop(futures.pop())
            seen.append(await worker.call("wasi:clocks/wall-clock", "now"))
            return seen

        first = await run()
        entries = await worker.entries()
        assert any(isinstance(entry, EndRemoteWrite) for entry in entries)
        await worker.replay()
        assert await run() == first
        assert await worker.context.settle_replay()
        assert await worker.entries() == entries
        assert len(server.seen) <= 1
        worker.context.close()


async def test_without_idempotence_an_effect_that_was_cut_off_is_not_repeated(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    worker.context.assume_idempotence = False
    effects: list[str] = []

    async def effect() -> str:
        effects.append("x")
        return "y"

    assert await durable(worker, "once", effect) == "y"
    entries = await worker.entries()
    assert [type(entry) for entry in entries if isinstance(entry, BeginRemoteWrite | EndRemoteWrite)] == [
        BeginRemoteWrite,
        EndRemoteWrite,
    ]
    await worker.replay()
    worker.context.assume_idempotence = False
    assert await durable(worker, "once", effect) == "y"
    worker.store.cut(worker.number, _index(entries, BeginRemoteWrite) + 1)
    await worker.replay(keep_buffered=False)
    worker.context.assume_idempotence = False
    with pytest.raises(PermanentFailure):
        await durable(worker, "once", effect)
    assert effects == ["x"]


def _index(entries: list[Entry], kind: type[Entry]) -> int:
    return next(index for index, entry in enumerate(entries, 1) if isinstance(entry, kind))


async def test_rules_are_kept(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    with pytest.raises(GuestError, match="live"):
        await worker.call(DURABILITY, "read-persisted-durable-function-invocation")
    bytes_in, bytes_out = b"\x01", b"\x02"
    await worker.call(DURABILITY, "persist-durable-function-invocation", "raw", bytes_in, bytes_out, WRITE_REMOTE)
    await worker.call(DURABILITY, "persist-typed-durable-function-invocation", "t", *[text_value("v")] * 2, BATCHED)
    await worker.replay()
    with pytest.raises(GuestError, match="in replay"):
        await worker.call(DURABILITY, "persist-durable-function-invocation", "raw", bytes_in, bytes_out, WRITE_REMOTE)
    persisted = await call_typed(worker, ListType(Primitive.U8))
    assert persisted["response"] == bytes_out
    typed = await worker.call(DURABILITY, "read-persisted-typed-durable-function-invocation")
    assert typed["response"] == _listed(text_value("v"))
    await worker.replay()
    with pytest.raises(GuestError, match="typed"):
        await call_typed(worker, RecordType(()))


async def call_typed(worker: HostWorker, response: Any) -> Value:
    """Read what was persisted as a guest whose interface has this type of response."""
    record = RecordType((Field("function-name", Primitive.STRING), Field("response", response)))
    name = "read-persisted-durable-function-invocation"
    function = worker.functions.function(DURABILITY, name, FunctionType((), record))
    assert function is not None
    return await function(worker.context)


async def test_a_pollable_that_comes_later(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    place = await worker.call(DURABILITY, "[constructor]lazy-initialized-pollable")
    waiting = await worker.call(DURABILITY, "[method]lazy-initialized-pollable.subscribe", place)
    ready = ("wasi:io/poll", "[method]pollable.ready", waiting)
    assert await worker.call(*ready) is True
    timer = await worker.call("wasi:clocks/monotonic-clock", "subscribe-duration", 5_000_000_000)
    await worker.call(DURABILITY, "[method]lazy-initialized-pollable.set", place, timer)
    assert await worker.call(*ready) is False
    assert await worker.call("wasi:io/poll", "poll", [waiting]) == [0]
    assert worker.clock.nanoseconds == START_NS + 5_000_000_000
    with pytest.raises(GuestError, match="itself"):
        await worker.call(DURABILITY, "[method]lazy-initialized-pollable.set", place, waiting)
