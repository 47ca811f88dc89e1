"""The events of a worker over a WebSocket: exact frames, each once, history first, and the ways in which it ends."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from golem_server.durable import events
from golem_server.registry.tokens import LOCAL_TOKEN
from tests.api.server import Answer, Client, ServerThread
from tests.guests.speaker import SAY, speaker

INFO, WARN = 2, 3


@pytest.fixture(scope="module")
def speakers(client: Client) -> str:
    """The path of the component whose workers talk."""
    return f"/v1/components/{client.create(speaker())['componentId']}"


@pytest.fixture
def worker(client: Client, speakers: str) -> str:
    """The path of a new worker."""
    name = f"w-{uuid4()}"
    client.post(f"{speakers}/workers", {"name": name}).ok()
    return f"{speakers}/workers/{name}"


def call(client: Client, worker: str, function: str, *params: object, key: str) -> Answer:
    """Invoke a function of the speaker and wait for it."""
    return client.invoke(f"{worker}/invoke-and-await", function, *params, key=key, interface=SAY)


@contextmanager
def watching(
    client: Client, worker: str, *, token: str = LOCAL_TOKEN, user_agent: str | None = "tests"
) -> Generator[ClientConnection]:
    """A connection to the events of a worker."""
    url = f"ws://127.0.0.1:{client.port}{worker}/connect"
    headers = {"Authorization": f"Bearer {token}"}
    with connect(url, additional_headers=headers, open_timeout=20, user_agent_header=user_agent) as connection:
        yield connection


def received(connection: ClientConnection, count: int) -> list[tuple[str, Any]]:
    """The next events: kinds and contents, without their times."""
    events_: list[tuple[str, Any]] = []
    for _ in range(count):
        ((kind, content),) = json.loads(connection.recv(timeout=20)).items()
        assert content.pop("timestamp").endswith("Z")
        events_.append((kind, content))
    return events_


def begins(function: str, key: str) -> tuple[str, Any]:
    """The event of an invocation's beginning."""
    return ("InvocationStart", {"function": f"{SAY}.{{{function}}}", "idempotency_key": key})


def ends(function: str, key: str) -> tuple[str, Any]:
    """The event of an invocation's end."""
    return ("InvocationFinished", {"function": f"{SAY}.{{{function}}}", "idempotency_key": key})


def said(level: str) -> tuple[str, Any]:
    """The event of a log line."""
    return ("Log", {"level": level, "context": "context", "message": "message"})


def test_events_have_their_exact_form_and_come_once(client: Client, worker: str) -> None:
    with watching(client, worker) as connection:
        call(client, worker, "say", INFO, 1, key="a").ok()
        call(client, worker, "print", key="b").ok()
        expected = [begins("say", "a"), said("Info"), ends("say", "a")]
        expected += [begins("print", "b"), ("StdOut", {"bytes": [104, 195, 169, 10]}), ends("print", "b")]
        assert received(connection, 6) == expected
        call(client, worker, "print", key="b").ok()
        call(client, worker, "say", WARN, 1, key="c").ok()
        assert received(connection, 3) == [begins("say", "c"), said("Warn"), ends("say", "c")]


def test_who_comes_later_hears_the_past_first(client: Client, worker: str) -> None:
    call(client, worker, "say", INFO, 1, key="a").ok()
    past = [begins("say", "a"), said("Info"), ends("say", "a")]
    with watching(client, worker) as first:
        assert received(first, 3) == past
        with watching(client, worker) as second:
            assert received(second, 3) == past
            call(client, worker, "print", key="b").ok()
            assert received(second, 1) == received(first, 1) == [begins("print", "b")]


def test_the_past_is_bounded(client: Client, worker: str) -> None:
    call(client, worker, "say", INFO, 500, key="a").ok()
    with watching(client, worker) as connection:
        told = received(connection, events.HISTORY_EVENTS)
    assert told == [said("Info")] * (events.HISTORY_EVENTS - 1) + [ends("say", "a")]


def test_an_end_has_the_key_of_its_beginning_however_far_back_that_is(client: Client, worker: str) -> None:
    call(client, worker, "say", INFO, 2 * events.HISTORY_ENTRIES, key="a").ok()
    with watching(client, worker) as connection:
        told = received(connection, events.HISTORY_EVENTS)
    assert told[-1] == ends("say", "a")


def test_a_failure_ends_its_invocation(client: Client, worker: str) -> None:
    with watching(client, worker) as connection:
        call(client, worker, "fail", key="a").refused(500)
        assert received(connection, 2) == [begins("fail", "a"), ends("fail", "a")]


def test_a_failed_worker_cannot_be_watched(client: Client, worker: str) -> None:
    call(client, worker, "fail", key="a").refused(500)
    with pytest.raises(InvalidStatus) as refused, watching(client, worker):
        pass
    assert refused.value.response.status_code == 500
    assert json.loads(refused.value.response.body or b"")["error"] == "Previous Invocation Failed"


@pytest.mark.parametrize(("token", "status"), [("wrong-token-wrong-token", 401), (LOCAL_TOKEN, 404)])
def test_what_cannot_be_watched_is_refused_before_the_upgrade(
    client: Client, speakers: str, token: str, status: int
) -> None:
    with pytest.raises(InvalidStatus) as refused, watching(client, f"{speakers}/workers/nobody", token=token):
        pass
    assert refused.value.response.status_code == status
    assert "error" in json.loads(refused.value.response.body or b"")


def test_the_official_client_may_come_before_the_worker(client: Client, speakers: str) -> None:
    name = f"w-{uuid4()}"
    worker = f"{speakers}/workers/{name}"
    told: list[tuple[str, Any]] = []
    waiting = threading.Event()

    def watch() -> None:
        waiting.set()
        # Like the official client: it says nothing of itself.
        with watching(client, worker, user_agent=None) as connection:
            told.extend(received(connection, 3))

    thread = threading.Thread(target=watch)
    thread.start()
    waiting.wait()
    call(client, worker, "say", INFO, 1, key="a").ok()
    thread.join()
    assert told == [begins("say", "a"), said("Info"), ends("say", "a")]


def test_deletion_ends_it_with_the_reason(client: Client, worker: str) -> None:
    with watching(client, worker) as connection:
        client.send("DELETE", worker).ok()
        with pytest.raises(ConnectionClosed) as closed:
            connection.recv(timeout=20)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1000, "the worker was deleted")


def test_a_worker_that_leaves_memory_is_still_watched(client: Client, server: ServerThread, worker: str) -> None:
    with watching(client, worker) as connection:
        call(client, worker, "say", INFO, 1, key="a").ok()
        received(connection, 3)
        client.post(f"{worker}/interrupt", {}).ok()

        async def unload(services: Any) -> None:
            for loaded in list(services.executor._workers.values()):
                loaded.unload()

        server.run(unload)
        call(client, worker, "say", INFO, 1, key="b").ok()
        assert received(connection, 3) == [begins("say", "b"), said("Info"), ends("say", "b")]


def test_a_slow_reader_misses_events_and_hurts_nobody(client: Client, worker: str) -> None:
    url = f"ws://127.0.0.1:{client.port}{worker}/connect"
    small = socket.create_connection(("127.0.0.1", client.port))
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
    headers = {"Authorization": f"Bearer {LOCAL_TOKEN}"}
    # One frame in the queue: then the client does not read on.
    with connect(url, sock=small, additional_headers=headers, max_queue=1, compression=None) as connection:
        # Lines of 32 KiB: twice as many as may wait, for the kernel takes some megabytes of them too.
        call(client, worker, "shout", 2 * events.BACKLOG_BYTES >> 15, key="many").ok()
        missed = 0
        kinds: list[str] = []
        while not missed:
            ((kind, content),) = json.loads(connection.recv(timeout=20)).items()
            kinds.append(kind)
            missed = content.get("number_of_missed_messages", 0)
        assert kinds[-1] == "ClientLagged"
        assert missed > 100


def test_what_the_client_sends_is_ignored(client: Client, worker: str) -> None:
    with watching(client, worker) as connection:
        connection.send("hello")
        connection.send(b"\0\1")
        connection.ping().wait(10)
        call(client, worker, "print", key="a").ok()
        assert received(connection, 1) == [begins("print", "a")]


def test_without_an_upgrade_it_says_what_is_missing(client: Client, worker: str) -> None:
    client.get(f"{worker}/connect").refused(400, "WebSocket")
