"""Outgoing websocket connections: aiohttp's client, with the network policy, limits, and errors in guests' words.

An error is the variant `error` of golem:websocket as a WIT value. A peer that refuses, resets, sends garbage or takes
nothing any more becomes such an error; one that is silent is waited for, unless its machine is gone (TCP keepalive).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from golem_server.host.http_client import PolicyResolver
from golem_server.host.network_policy import DestinationProhibited, NetworkPolicy
from golem_server.model.types import Value

_KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
_MAX_URL = 8192
_MAX_HEADERS = 100
_MAX_HEADER_BYTES = 64 << 10
_NO_REASON = {"code": 1000, "reason": "Connection closed"}
# Headers of the handshake, which are the client's own.
_RESERVED = frozenset(
    {
        "connection",
        "content-length",
        "host",
        "sec-websocket-accept",
        "sec-websocket-extensions",
        "sec-websocket-key",
        "sec-websocket-version",
        "transfer-encoding",
        "upgrade",
    }
)


class WebsocketError(Exception):
    """A connection or one of its operations failed. `error` is the variant of golem:websocket."""

    def __init__(self, case: str, content: Value) -> None:
        super().__init__(f"{case}: {content}")
        self.error: Value = (case, content)


@dataclass(frozen=True, slots=True)
class WebsocketSettings:
    """Limits. Sizes in bytes, durations in seconds.

    `max_connections` counts those of all workers; who wants one more waits for `connect_timeout`. `max_message`
    bounds a message in either direction, `send_timeout` how long a peer may take nothing, `close_timeout` how long it
    may take to close.
    """

    max_connections: int = 100
    max_message: int = 16 << 20
    connect_timeout: float = 30.0
    send_timeout: float = 60.0
    close_timeout: float = 5.0


class WebsocketClient:
    """The client. `start` and `close` belong to the event loop that connects."""

    def __init__(self, settings: WebsocketSettings | None = None, policy: NetworkPolicy | None = None) -> None:
        self.settings = settings or WebsocketSettings()
        self._policy = policy or NetworkPolicy()
        self._free = asyncio.Semaphore(self.settings.max_connections)
        self._session: aiohttp.ClientSession | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Be ready to connect."""
        connector = aiohttp.TCPConnector(
            limit=0, resolver=PolicyResolver(self._policy), use_dns_cache=False, force_close=True
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            middlewares=(self._one_request,),
        )

    async def close(self) -> None:
        """Close what is open."""
        for task in self._closing:
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def connect(self, url: str, headers: list[tuple[str, str]]) -> Websocket:
        """A new connection. Raises WebsocketError, always `connection-failure`."""
        checked = _checked_url(url)
        fields = _checked_headers(headers)
        if self._session is None:
            raise _no_connection("the client is not running")
        settings = self.settings
        try:
            async with asyncio.timeout(settings.connect_timeout):
                await self._free.acquire()
        except TimeoutError:
            raise _no_connection(f"more than {settings.max_connections} connections are open") from None
        try:
            async with asyncio.timeout(settings.connect_timeout):
                opened = await self._session.ws_connect(
                    checked,
                    headers=fields,
                    # The client refuses what has this size.
                    max_msg_size=settings.max_message + 1,
                )
        except BaseException as error:
            self._free.release()
            if isinstance(error, TimeoutError):
                raise _no_connection("the server did not answer in time") from error
            if isinstance(error, aiohttp.ClientError | OSError | ValueError):
                raise _no_connection(_text(error)) from error
            raise
        _watch(opened, settings.send_timeout)
        return Websocket(self, opened)

    async def _one_request(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Ask the policy also for addresses, which no resolver sees, and go where no redirection leads."""
        await self._policy.check_host(request.url.raw_host or "", request.url.port or 0)
        response = await handler(request)
        if response.status != 101:
            response.close()
            raise aiohttp.ClientError(f"the server answered with status {response.status}")
        return response

    def finish(self, closing: Coroutine[Any, Any, None]) -> None:
        """Do the rest of a connection's life in the background, and free its place."""
        task = asyncio.ensure_future(closing)
        self._closing.add(task)

        def finished(ended: asyncio.Task[None]) -> None:
            self._closing.discard(ended)
            self._free.release()

        task.add_done_callback(finished)


class Websocket:
    """An open connection. One at a time sends, one at a time receives."""

    def __init__(self, client: WebsocketClient, opened: aiohttp.ClientWebSocketResponse) -> None:
        self._client = client
        self._opened = opened
        self._receiving: asyncio.Task[Value] | None = None
        self._given_up = False

    async def send(self, kind: str, content: str | bytes) -> None:
        """Send a message. Raises WebsocketError."""
        settings = self._client.settings
        encoded = content.encode() if isinstance(content, str) else content
        if len(encoded) > settings.max_message:
            raise WebsocketError("other", f"the message has more than {settings.max_message} bytes")
        try:
            async with asyncio.timeout(settings.send_timeout):
                await self._opened.send_frame(
                    encoded, aiohttp.WSMsgType.TEXT if kind == "text" else aiohttp.WSMsgType.BINARY
                )
        except TimeoutError:
            raise WebsocketError("send-failure", "the peer takes nothing") from None
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            raise WebsocketError("send-failure", _text(error)) from error

    def has_arrived(self) -> bool:
        """Whether `receive` would return at once."""
        return self._receiving is not None and self._receiving.done()

    async def arrival(self) -> None:
        """Return when `receive` would. May be cancelled: nothing is lost."""
        if self._receiving is None:
            self._receiving = asyncio.ensure_future(self._receive())
        await asyncio.wait({self._receiving})

    async def receive(self) -> Value:
        """The next message: ("text", ...) or ("binary", ...). May be cancelled. Raises WebsocketError."""
        await self.arrival()
        task, self._receiving = self._receiving, None
        assert task is not None
        return task.result()

    async def _receive(self) -> Value:
        message = await self._opened.receive()
        match message.type:
            case aiohttp.WSMsgType.TEXT:
                return ("text", message.data)
            case aiohttp.WSMsgType.BINARY:
                return ("binary", bytes(message.data))
            case aiohttp.WSMsgType.CLOSE:
                information = {"code": message.data, "reason": message.extra or ""} if message.data else _NO_REASON
                raise WebsocketError("closed", information)
            case aiohttp.WSMsgType.ERROR:
                case = "protocol-error" if isinstance(message.data, aiohttp.WebSocketError) else "receive-failure"
                raise WebsocketError(case, _text(message.data))
            case _:
                raise WebsocketError("receive-failure", "the connection was lost")

    def close(self, code: int = 1001, reason: str = "") -> None:
        """Say goodbye, in the background."""
        if not self._given_up:
            self._given_up = True
            self._client.finish(self._close(code, reason.encode()))

    async def _close(self, code: int, reason: bytes) -> None:
        if self._receiving is not None:
            self._receiving.cancel()
            with suppress(asyncio.CancelledError, WebsocketError):
                await self._receiving
        with suppress(aiohttp.ClientError, OSError, RuntimeError):
            async with asyncio.timeout(self._client.settings.close_timeout):
                await self._opened.close(code=code, message=reason)


def _checked_url(text: str) -> URL:
    try:
        url = URL(text)
        host, _ = url.raw_host, url.port
    except ValueError as error:
        raise _no_connection(f"not a URL: {error}") from error
    if len(text) > _MAX_URL or url.scheme not in ("ws", "wss") or not host:
        raise _no_connection("the URL must be ws:// or wss:// and have a host")
    return url


def _checked_headers(headers: list[tuple[str, str]]) -> CIMultiDict[str]:
    if len(headers) > _MAX_HEADERS or sum(len(name) + len(value) for name, value in headers) > _MAX_HEADER_BYTES:
        raise _no_connection(f"more than {_MAX_HEADERS} headers or {_MAX_HEADER_BYTES} bytes of them")
    fields: CIMultiDict[str] = CIMultiDict()
    for name, value in headers:
        if not name or not all(char.isascii() and (char.isalnum() or char in "!#$%&'*+-.^_`|~") for char in name):
            raise _no_connection(f"invalid websocket header name {name!r}")
        if any((ord(char) < 32 and char != "\t") or ord(char) == 127 for char in value):
            raise _no_connection(f"invalid websocket header value for {name!r}")
        if name.lower() in _RESERVED:
            raise _no_connection(f"the header {name!r} belongs to the handshake")
        fields.add(name, value)
    return fields


def _no_connection(text: str) -> WebsocketError:
    return WebsocketError("connection-failure", text)


def _text(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, DestinationProhibited):
            return "the network policy forbids this destination"
        cause = cause.__cause__
    return str(error) or type(error).__name__


def _watch(opened: aiohttp.ClientWebSocketResponse, send_timeout: float) -> None:
    """Let the system end connections whose peer's machine is gone, or takes nothing although something is to be sent.

    The latter may be closed already: what a transport has not sent would keep it for ever.
    """
    raw: socket.socket | None = opened.get_extra_info("socket")
    if raw is None:
        return
    options = {**_KEEPALIVE, "TCP_USER_TIMEOUT": round(send_timeout * 1000)}
    with suppress(OSError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in options.items():
            option = getattr(socket, name, None)
            if option is not None:
                raw.setsockopt(socket.IPPROTO_TCP, option, value)
