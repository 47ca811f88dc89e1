"""The HTTP server around an application: it finishes what it began, and its log keeps quiet about secrets."""

import asyncio
import os
import signal
import socket
from pathlib import Path

import aiohttp
import pytest

from golem_server.serving import (
    AddressInUse,
    Message,
    Receive,
    RequestEdge,
    Scope,
    Send,
    StartupFailed,
    address_of,
    listen,
    serve_application,
)
from golem_server.settings import Settings
from golem_server.telemetry import Metrics


class Held:
    """An application whose every request waits until it is released."""

    def __init__(self, *, fail_startup: bool = False) -> None:
        self.arrived = asyncio.Event()
        self.release = asyncio.Event()
        self.events: list[str] = []
        self._fail_startup = fail_startup

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Speak ASGI."""
        if scope["type"] == "lifespan":
            while True:
                phase = (await receive())["type"]
                self.events.append(phase)
                if self._fail_startup:
                    await send({"type": f"{phase}.failed", "message": "no database"})
                    return
                await send({"type": f"{phase}.complete"})
                if phase == "lifespan.shutdown":
                    return
        self.arrived.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.events.append("cancelled")
            raise
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})
        self.events.append("answered")


def settings_for(folder: Path, **flags: object) -> Settings:
    return Settings.model_validate({"config_folder": folder, "port": 0, **flags})


async def until_refused(address: str) -> None:
    """Return when the server accepts no new connection.

    A connection that still waits to be accepted when the listener closes is reset by the kernel, at any moment of it.
    """
    port = int(address.rpartition(":")[2])
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            await writer.wait_closed()
        except ConnectionRefusedError:
            return
        except ConnectionResetError:
            continue


async def test_a_request_in_progress_is_answered_after_sigterm(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    listener, application = listen(settings), Held()
    address = address_of(listener)
    listener.listen()
    async with asyncio.TaskGroup() as tasks, aiohttp.ClientSession() as client:
        server = tasks.create_task(serve_application(application, settings, listener))
        request = tasks.create_task(client.get(address))
        await application.arrived.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        await until_refused(address)
        application.release.set()
        async with await request as response:
            assert (response.status, await response.text()) == (200, "ok")
        await server
    assert application.events == ["lifespan.startup", "answered", "lifespan.shutdown"]


async def test_a_request_longer_than_the_stop_timeout_is_told_to_come_back(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, stop_timeout="1s")
    listener, application = listen(settings), Held()
    address = address_of(listener)
    listener.listen()
    edge = RequestEdge(application, Metrics())
    async with asyncio.TaskGroup() as tasks, aiohttp.ClientSession() as client:
        server = tasks.create_task(serve_application(edge, settings, listener))
        request = tasks.create_task(client.get(address))
        await application.arrived.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        await server
        async with await request as response:
            assert response.status == 503
            assert response.headers["retry-after"] == "1"
    assert application.events[0] == "lifespan.startup"
    assert set(application.events[1:]) == {"cancelled", "lifespan.shutdown"}


async def test_a_failed_startup_is_an_error_of_the_caller_not_the_end_of_the_process(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    listener = listen(settings)
    with pytest.raises(StartupFailed):
        await serve_application(Held(fail_startup=True), settings, listener)
    assert listener.fileno() == -1


def test_a_taken_port_is_refused_by_name(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AddressInUse, match=f"127.0.0.1:{port}: the port is in use"):
            listen(settings_for(tmp_path, port=port))


async def test_the_request_log_has_no_query_and_counts_the_status(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="golem_server.serving")
    metrics = Metrics()

    async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": []})

    async def broken(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise RuntimeError("bug")

    async def receive() -> Message:
        raise AssertionError("nothing reads the body")

    async def send(_message: Message) -> None:
        return

    scope: Scope = {
        "type": "http",
        "method": "GET",
        "path": "/v1/components",
        "query_string": b"token=canary",
        "headers": [(b"authorization", b"Bearer canary")],
    }
    await RequestEdge(application, metrics)(scope, receive, send)
    with pytest.raises(RuntimeError):
        await RequestEdge(broken, metrics)(scope, receive, send)
    first, second = (vars(record) for record in caplog.records)
    assert (first["method"], first["path"], first["status"], second["status"]) == ("GET", "/v1/components", 404, 500)
    assert "canary" not in str(first) + str(second)
    text = metrics.render().decode()
    assert 'golem_http_requests_total{status="4xx"} 1.0' in text
    assert 'golem_http_requests_total{status="5xx"} 1.0' in text
