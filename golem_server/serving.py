"""Runs an ASGI application over HTTP: uvicorn on uvloop with httptools, a clean stop, a log line a request.

Stopping (SIGTERM or SIGINT): the socket is closed to new connections, requests in progress get
`settings.stop_timeout`, then they are cancelled and answered with 503; the application's own shutdown follows in any
case. What was cancelled is in the oplog and goes on at the next start. A second SIGINT does not wait for requests.
"""

import asyncio
import contextlib
import errno
import logging
import signal
import socket
import threading
from collections.abc import Callable, Generator
from time import perf_counter

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from golem_server.asgi import AsgiApplication, Message, Receive, Scope, Send
from golem_server.settings import Settings
from golem_server.telemetry import Metrics

_log = logging.getLogger(__name__)

PING_INTERVAL_SECONDS = 30.0
PING_TIMEOUT_SECONDS = 15.0
"""When the other end of a WebSocket is pinged, and how long it has for its pong (reference: rest-api, section 6)."""

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

_STOPPING_BODY = b'{"error":"The server is stopping","code":"INTERNAL_UNKNOWN"}'
_STOPPING_RESPONSE: tuple[Message, ...] = (
    {
        "type": "http.response.start",
        "status": 503,
        "headers": [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(_STOPPING_BODY)).encode()),
            (b"retry-after", b"1"),
        ],
    },
    {"type": "http.response.body", "body": _STOPPING_BODY},
)
"""To a request that outlasted the stop: its invocation goes on at the next start, where the same key finds it."""


class AddressInUse(Exception):
    """The address of the settings cannot be listened on; the message says why."""


class StartupFailed(Exception):
    """The application's startup failed; the log has the reason."""


class RequestEdge:
    """The outermost ASGI layer: counts each request, logs it in one line at debug, and answers what a stop cut off.

    Written against ASGI itself, since it stands in front of the hot path. Neither the query string nor headers are
    logged: both carry secrets.
    """

    def __init__(self, application: AsgiApplication, metrics: Metrics) -> None:
        self._application = application
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, watching for the status of its response."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        status = 0
        started = perf_counter()

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._application(scope, receive, watch)
        except asyncio.CancelledError:
            # Only a stop cancels a request (a client that leaves is a message), and this is where its task ends.
            if status:
                raise
            for message in _STOPPING_RESPONSE:
                await watch(message)
        finally:
            self._metrics.request_answered(status or 500)
            if _log.isEnabledFor(logging.DEBUG):
                milliseconds = (perf_counter() - started) * 1000
                fields = {"method": scope["method"], "path": scope["path"], "status": status or 500}
                _log.debug("request", extra=fields | {"milliseconds": round(milliseconds, 2)})


def listen(settings: Settings) -> socket.socket:
    """A socket bound to the API's address, to be handed to `serve_application`.

    Bound before anything else is started, so that a second server ends at once instead of disturbing the first one's
    data folder. Raises AddressInUse if the address is taken or not of this machine.
    """
    return _bound(settings.host, settings.port)


def listen_for_deployed(settings: Settings) -> socket.socket:
    """A socket bound to the address of deployed APIs. Raises AddressInUse."""
    return _bound(settings.host, settings.deployed_api_port)


def listen_for_mcp(settings: Settings) -> socket.socket:
    """A socket bound to the address of the MCP endpoint. Raises AddressInUse."""
    return _bound(settings.host, settings.port_of_mcp)


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host.strip("[]"), port))
    except OSError as error:
        listener.close()
        reason = "the port is in use" if error.errno == errno.EADDRINUSE else (error.strerror or str(error))
        raise AddressInUse(f"cannot listen on {host}:{port}: {reason}") from error
    listener.set_inheritable(False)
    return listener


def address_of(listener: socket.socket) -> str:
    """The URL at which a listening socket is reached."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


async def serve_application(
    application: AsgiApplication,
    settings: Settings,
    listener: socket.socket,
    *others: socket.socket,
    stopping: Callable[[], None] = lambda: None,
) -> None:
    """Serve on all sockets until a stop signal, and return when everything is shut down.

    `stopping` is called when the stop begins: it ends requests that have no end of their own, which would hold it up.

    The application's lifespan is run around it: its startup before the first connection is accepted, its shutdown after
    the last request has ended. Raises StartupFailed if the startup fails; the reason is in the log.
    """
    config = uvicorn.Config(
        application,
        http="httptools",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        backlog=2048,
        ws=SocketProtocol,
        ws_ping_interval=PING_INTERVAL_SECONDS,
        ws_ping_timeout=PING_TIMEOUT_SECONDS,
        ws_per_message_deflate=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=max(1, round(settings.stop_timeout.total_seconds())),
    )
    # Its own lines (start, stop, address) say again what we say; its errors stay.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    server = _Server(config, stopping)
    try:
        await server.serve(sockets=[listener, *others])
    except SystemExit as exit_request:
        # uvicorn ends the process when the startup fails; here the caller decides, after it has put things away.
        raise StartupFailed("the server did not start; the log says why") from exit_request
    finally:
        for each in (listener, *others):
            each.close()


class SocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket with one change: a client that does not read is dropped, with all that it has not read.

    To close such a connection is to wait for the client, and whoever sends to it would wait as well.
    """

    def keepalive_timeout(self) -> None:
        """The client did not answer a ping in time."""
        super().keepalive_timeout()
        self._drop_unread()

    def shutdown(self) -> None:
        """The server stops."""
        super().shutdown()
        self._drop_unread()

    def _drop_unread(self) -> None:
        if not self.writable.is_set():
            self.transport.abort()


class _Server(uvicorn.Server):
    """uvicorn's server with three changes: signals, `stopping`, and a line in the log when it is ready."""

    def __init__(self, config: uvicorn.Config, stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._stopping = stopping

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Stop on a signal, and do not raise it again afterwards as uvicorn does.

        Raised again it would end the process at once, before the composition root has put everything away.
        """
        if threading.current_thread() is not threading.main_thread():
            # Only the main thread can watch for signals; a server in another one is stopped by its owner.
            yield
            return
        loop = asyncio.get_running_loop()
        for number in _STOP_SIGNALS:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in _STOP_SIGNALS:
                loop.remove_signal_handler(number)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Run the application's startup, then accept connections."""
        await super().startup(sockets)
        if self.started and sockets:
            names = ("address", "deployed_apis", "mcp")
            _log.info("ready", extra=dict(zip(names, map(address_of, sockets), strict=False)))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, wait for requests, run the application's shutdown."""
        _log.info("stopping")
        self._stopping()
        await super().shutdown(sockets)
        if self.force_exit:
            # uvicorn leaves the application's shutdown out when it is hurried; ours must put its database away.
            await self.lifespan.shutdown()
        _log.info("stopped")
