"""The environment, exit and standard streams of a worker, and its log lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from golem_server.durable.signals import GuestError, GuestExit
from golem_server.host import wasi_cli, wasi_io, wasi_logging
from golem_server.host.log_lines import MAX_LINE_BYTES
from golem_server.model.oplog import Log, LogLevel
from tests.host.host_worker import WORKER_ID, HostWorker

INTERFACES = [*wasi_cli.INTERFACES, *wasi_io.INTERFACES, *wasi_logging.INTERFACES]
STREAMS = "wasi:io/streams"


async def logs(worker: HostWorker) -> list[tuple[int, str, str]]:
    return [(entry.level, entry.context, entry.message) for entry in await worker.entries() if isinstance(entry, Log)]


async def printed(worker: HostWorker, text: bytes, stream: str = "stdout") -> None:
    handle = await worker.call(f"wasi:cli/{stream}", f"get-{stream}")
    assert await worker.call(STREAMS, "[method]output-stream.blocking-write-and-flush", handle, text) == ("ok", None)


async def test_the_environment_ends_with_golems_own_variables(tmp_path: Path) -> None:
    given = {"B": "2", "GOLEM_WORKER_NAME": "somebody else", "A": "1", "GOLEM_AGENT_TYPE": "x"}
    worker = await HostWorker.create(tmp_path, INTERFACES, environment=given, arguments=["one", "two"])
    assert await worker.call("wasi:cli/environment", "get-environment") == [
        ("B", "2"),
        ("A", "1"),
        ("GOLEM_AGENT_ID", "worker-1"),
        ("GOLEM_WORKER_NAME", "worker-1"),
        ("GOLEM_COMPONENT_ID", str(WORKER_ID.component_id)),
        ("GOLEM_COMPONENT_REVISION", "3"),
    ]
    assert await worker.call("wasi:cli/environment", "get-arguments") == ["one", "two"]
    assert await worker.call("wasi:cli/environment", "initial-cwd") is None
    assert await worker.host_calls() == []


@pytest.mark.parametrize(
    ("name", "argument", "code"),
    [("exit", ("ok", None), 0), ("exit", ["err", None], 1), ("exit-with-code", 7, 7)],
)
async def test_exit_leaves_the_guest(tmp_path: Path, name: str, argument: object, code: int) -> None:
    worker = await HostWorker.create(tmp_path, INTERFACES)
    with pytest.raises(GuestExit) as raised:
        await worker.call("wasi:cli/exit", name, argument)
    assert raised.value.code == code


@pytest.mark.parametrize("method", ["read", "blocking-read", "skip", "blocking-skip"])
async def test_standard_input_cannot_be_read(tmp_path: Path, method: str) -> None:
    worker = await HostWorker.create(tmp_path, INTERFACES)
    handle = await worker.call("wasi:cli/stdin", "get-stdin")
    with pytest.raises(GuestError, match="standard input is disabled"):
        await worker.call(STREAMS, f"[method]input-stream.{method}", handle, 1)
    pollable = await worker.call(STREAMS, "[method]input-stream.subscribe", handle)
    assert await worker.call("wasi:io/poll", "[method]pollable.ready", pollable) is True


@pytest.mark.parametrize("stream", ["stdin", "stdout", "stderr"])
async def test_there_is_no_terminal(tmp_path: Path, stream: str) -> None:
    worker = await HostWorker.create(tmp_path, INTERFACES)
    assert await worker.call(f"wasi:cli/terminal-{stream}", f"get-terminal-{stream}") is None


async def test_prints_and_logs_are_entries(tmp_path: Path) -> None:
    worker = await HostWorker.create(tmp_path, INTERFACES)
    await printed(worker, b"hello \xff\n")
    await printed(worker, b"oh no", "stderr")
    await printed(worker, b"")
    await worker.call("wasi:logging/logging", "log", "critical", "parser", "lost")
    assert await logs(worker) == [
        (LogLevel.STDOUT, "", "hello \ufffd\n"),
        (LogLevel.STDERR, "", "oh no"),
        (LogLevel.CRITICAL, "parser", "lost"),
    ]


async def test_long_lines_are_divided_between_characters(tmp_path: Path) -> None:
    worker = await HostWorker.create(tmp_path, INTERFACES)
    text = "x" + "\N{GRINNING FACE}" * MAX_LINE_BYTES
    await worker.call("wasi:logging/logging", "log", "info", "", text)
    messages = [message for _, _, message in await logs(worker)]
    assert "".join(messages) == text
    assert all(len(message.encode()) <= MAX_LINE_BYTES for message in messages)
    assert len(messages) == 5

    handle = await worker.call("wasi:cli/stdout", "get-stdout")
    await worker.call(STREAMS, "[method]output-stream.write", handle, b"\xbf" * (MAX_LINE_BYTES + 1))
    lengths = [len(message) for level, _, message in await logs(worker) if level == LogLevel.STDOUT]
    assert lengths == [MAX_LINE_BYTES, 1]


async def test_lines_of_before_a_crash_are_not_written_again(tmp_path: Path) -> None:
    worker = await HostWorker.create(tmp_path, INTERFACES)
    ready = await worker.call(
        STREAMS, "[method]input-stream.subscribe", await worker.call("wasi:cli/stdin", "get-stdin")
    )

    async def guest(handle: int) -> None:
        await printed(worker, b"first\n")
        await worker.call("wasi:io/poll", "poll", [handle])
        await printed(worker, b"second\n")
        await printed(worker, b"second\n")
        await worker.call("wasi:logging/logging", "log", "info", "c", "third")

    await guest(ready)
    before = await logs(worker)
    seen: list[str] = []
    await worker.replay()
    worker.context.on_log = lambda entry: seen.append(entry.message)
    stdin = await worker.call("wasi:cli/stdin", "get-stdin")
    await guest(await worker.call(STREAMS, "[method]input-stream.subscribe", stdin))
    assert await logs(worker) == before
    assert seen == []
    await printed(worker, b"second\n")
    assert (await logs(worker))[len(before) :] == [(LogLevel.STDOUT, "", "second\n")]
    assert seen == ["second\n"]


async def test_a_guest_that_prints_much_waits_for_a_commit(tmp_path: Path) -> None:
    worker = await HostWorker.create(tmp_path, INTERFACES)
    for number in range(10_000):
        await worker.call("wasi:logging/logging", "log", "info", "", str(number))
    assert worker.store.batches >= 2
    assert len(await logs(worker)) == 10_000
