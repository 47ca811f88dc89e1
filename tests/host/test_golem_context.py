"""golem:api/context: spans are recorded and replayed with their ids, and the trace is that of the invocation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from golem_server.durable import replay
from golem_server.durable.signals import GuestError
from golem_server.durable.spans import MAX_ATTRIBUTES
from golem_server.host import golem_context
from golem_server.model.errors import UnexpectedOplogEntry
from golem_server.model.oplog import Entry, FinishSpan, Invocation, SetSpanAttribute, StartSpan
from golem_server.model.trace import MAX_DEPTH, SpanData
from golem_server.model.types import Value
from tests.host.host_worker import INVOCATION, START_NS, HostWorker
from tests.host.http_guest import Guest, http_worker, web_server

CONTEXT = "golem:api/context"


async def new_worker(tmp_path: Path, **facts: Any) -> HostWorker:
    return await HostWorker.create(tmp_path, golem_context.INTERFACES, **facts)


async def call(worker: HostWorker, name: str, *arguments: Value) -> Value:
    return await worker.call(CONTEXT, name, *arguments)


async def current(worker: HostWorker, getter: str, *arguments: Value) -> Value:
    """What a function of the current invocation-context gives."""
    handle = await call(worker, "current-context")
    return await call(worker, f"[method]invocation-context.{getter}", handle, *arguments)


async def spans_of(worker: HostWorker) -> list[str]:
    """The ids of the current stack, the innermost first."""
    ids: list[str] = []
    handle: int | None = await call(worker, "current-context")
    while handle is not None:
        ids.append(await call(worker, "[method]invocation-context.span-id", handle))
        handle = await call(worker, "[method]invocation-context.parent", handle)
    return ids


async def a_guest_with_spans(worker: HostWorker) -> list[Value]:
    """Two spans one in the other, with attributes; everything that the guest sees of them."""
    seen: list[Value] = []
    outer = await call(worker, "start-span", "outer")
    await call(worker, "[method]span.set-attribute", outer, "colour", ("string", "red"))
    inner = await call(worker, "start-span", "inner")
    attributes = [{"key": key, "value": ("string", value)} for key, value in (("colour", "blue"), ("size", "5"))]
    await call(worker, "[method]span.set-attributes", inner, attributes)
    seen.append(await call(worker, "[method]span.started-at", inner))
    seen.append(await spans_of(worker))
    seen.append(await current(worker, "get-attribute-chain", "colour"))
    seen.append(await current(worker, "get-attribute-chains"))
    seen.append(await current(worker, "get-attributes", False))
    seen.append(await current(worker, "get-attribute", "idempotency_key", True))
    seen.append(await current(worker, "get-attribute", "idempotency_key", False))
    seen.append(await current(worker, "trace-context-headers"))
    worker.context.resource_dropped(inner)
    seen.append(await spans_of(worker))
    await call(worker, "[method]span.finish", outer)
    seen.append(await spans_of(worker))
    worker.context.resource_dropped(outer)
    return seen


async def span_entries(worker: HostWorker) -> list[Entry]:
    kinds = (StartSpan, FinishSpan, SetSpanAttribute)
    return [entry for entry in await worker.entries() if isinstance(entry, kinds)]


async def test_what_a_guest_sees_of_its_spans(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    seen = await a_guest_with_spans(worker)
    start, stack, chain, chains, own, inherited, missing, headers, outer_stack, left = seen
    assert start == {"seconds": START_NS // 10**9, "nanoseconds": 0}
    assert len(stack) == 4
    assert stack[2:] == ["2" * 16, "1" * 16]
    assert chain == [("string", "blue"), ("string", "red")]
    assert {entry["key"]: entry["values"] for entry in chains}["name"] == [
        ("string", "inner"),
        ("string", "outer"),
        ("string", "invoke-exported-function"),
    ]
    assert {entry["key"]: entry["value"][1] for entry in own} == {"name": "inner", "colour": "blue", "size": "5"}
    assert (inherited, missing) == (("string", "key-1"), None)
    assert headers == [("traceparent", f"00-{'7' * 32}-{stack[0]}-00")]
    assert outer_stack == stack[1:]
    assert left == stack[2:]
    outer, inner = stack[1], stack[0]
    assert [(type(entry), getattr(entry, "span_id", None)) for entry in await span_entries(worker)] == [
        (StartSpan, outer),
        (SetSpanAttribute, outer),
        (StartSpan, inner),
        (SetSpanAttribute, inner),
        (SetSpanAttribute, inner),
        (FinishSpan, inner),
        (FinishSpan, outer),
        (FinishSpan, outer),
    ]


@pytest.mark.parametrize("chunk", [1, 2, 4096])
async def test_replay_has_the_same_spans_wherever_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    worker = await new_worker(tmp_path)
    await a_guest_with_spans(worker)
    entries = await worker.entries()
    monkeypatch.setattr(replay, "CHUNK_ENTRIES", chunk)
    for kept in range(len(entries), 1, -1):
        worker.store.cut(worker.number, kept)
        worker.clock.advance(7)
        await worker.replay(keep_buffered=False)
        await a_guest_with_spans(worker)
        assert await worker.context.settle_replay()
        again = await worker.entries()
        assert again[:kept] == entries[:kept]
        assert [type(entry) for entry in again] == [type(entry) for entry in entries]


async def test_another_order_of_spans_is_noticed(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    first = await call(worker, "start-span", "first")
    await call(worker, "start-span", "second")
    await call(worker, "[method]span.finish", first)
    await worker.replay()
    first = await call(worker, "start-span", "first")
    second = await call(worker, "start-span", "second")
    with pytest.raises(UnexpectedOplogEntry, match="FinishSpan"):
        await call(worker, "[method]span.finish", second)


async def test_the_trace_of_others_goes_on(tmp_path: Path) -> None:
    around = [SpanData("a" * 16, None, inherited=True)]
    invocation = Invocation("key-1", "run", [], "b" * 32, ["x=1", "y=2"], around, "c" * 16)
    worker = await new_worker(tmp_path, invocation=invocation)
    for _ in range(2):
        assert await spans_of(worker) == ["c" * 16, "a" * 16]
        assert await current(worker, "trace-id") == "b" * 32
        assert await current(worker, "trace-context-headers") == [
            ("traceparent", f"00-{'b' * 32}-{'c' * 16}-00"),
            ("tracestate", "x=1,y=2"),
        ]
        await worker.replay()


async def test_an_oplog_without_a_trace_has_one_all_the_same(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path, invocation=Invocation("key-1", "run", []))
    first = (await current(worker, "trace-id"), await spans_of(worker))
    await worker.replay()
    assert (await current(worker, "trace-id"), await spans_of(worker)) == first
    assert len(first[0]) == 32
    assert len(first[1]) == 2


async def test_a_span_of_an_earlier_invocation_becomes_a_link(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    spans = worker.context.spans
    kept = await spans.start({"name": "connection", "to": "w-2"})
    worker.context.invocation_ended()
    worker.context.invocation_began(INVOCATION, 0)
    call_span = await spans.start({"name": "call"}, parent=kept)
    assert call_span.parent is spans.current
    assert call_span.linked is kept
    assert call_span.chains()["to"] == ["w-2"]
    (innermost, *_) = spans.handed_on(call_span).spans
    assert innermost.inherited
    assert innermost.linked is not None
    assert innermost.linked[0].attributes["to"] == "w-2"


async def test_a_guest_that_never_leaves_its_spans_does_not_pile_them_up(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    handle = 0
    for number in range(3 * MAX_DEPTH):
        before, handle = handle, await call(worker, "start-span", str(number))
        worker.context.resource_dropped(before)
    assert len(await spans_of(worker)) <= 2 * MAX_DEPTH + 1
    assert len(worker.context.spans.handed_on(worker.context.spans.current).spans) == MAX_DEPTH


async def test_attributes_are_bounded(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    span = await call(worker, "start-span", "s")
    with pytest.raises(GuestError, match="characters"):
        await call(worker, "[method]span.set-attribute", span, "k", ("string", "v" * 65536))
    for number in range(MAX_ATTRIBUTES - 1):
        await call(worker, "[method]span.set-attribute", span, str(number), ("string", "v"))
    with pytest.raises(GuestError, match="attributes"):
        await call(worker, "[method]span.set-attribute", span, "one more", ("string", "v"))


async def test_outgoing_requests_carry_the_trace_unless_told_not_to(tmp_path: Path) -> None:
    async with web_server() as server, http_worker(tmp_path) as worker:
        guest = Guest(worker)
        theirs = [("Traceparent", b"nonsense"), ("x-other", b"1")]
        await guest.read(await guest.handle(await guest.request(server.authority, headers=theirs)))
        (start,) = [entry for entry in await worker.entries() if isinstance(entry, StartSpan)]
        assert start.parent == "2" * 16
        assert start.attributes == {
            "name": "outgoing-http-request",
            "request.uri": f"http://{server.authority}/",
            "request.method": "GET",
        }
        assert server.seen[0].headers["traceparent"] == f"00-{'7' * 32}-{start.span_id}-00"
        assert server.seen[0].headers["x-other"] == "1"
        worker.context.spans.forward_headers = False
        await guest.fetch(server.authority)
        assert "traceparent" not in server.seen[1].headers
