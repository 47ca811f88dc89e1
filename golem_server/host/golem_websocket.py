"""golem:websocket: connections to servers outside.

Every message is recorded. After a replay the handle has no connection: the first call that happens connects again, with
the same URL and headers; what the peer sent in between is lost (reference: host-interfaces, section 4.10). An error
that ends a connection is given again by all later calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from golem_server.durable.context import WorkerContext
from golem_server.durable.host_function import HostInterface, RequestOf
from golem_server.host.resources import Pollable
from golem_server.host.websocket_client import Websocket, WebsocketClient, WebsocketError
from golem_server.model.oplog import Category
from golem_server.model.types import Value

client = HostInterface("golem:websocket/client")

INTERFACES = [client]

_ENDING = frozenset({"connection-failure", "send-failure", "receive-failure", "protocol-error", "closed"})
_LONGEST_WAIT_MS = 1 << 42
_MAX_REASON_BYTES = 123


class Connection:
    """The resource `websocket-connection`. `opened` is None until a call needs it, `ended` the error of one that is
    over."""

    def __init__(self, url: str, headers: list[tuple[str, str]], opened: Websocket | None) -> None:
        self._url = url
        self._headers = headers
        self.opened = opened
        self.ended: Value = None

    async def live(self, context: WorkerContext) -> Websocket:
        """The connection, made again if it is needed. Raises WebsocketError."""
        if self.ended is not None:
            raise WebsocketError(*self.ended)
        if self.opened is None:
            self.opened = await context.service(WebsocketClient).connect(self._url, self._headers)
        return self.opened

    def end(self, error: Value) -> None:
        """The connection is over."""
        self.ended = (error[0], error[1])
        self.dropped()

    def dropped(self) -> None:
        """The guest is done with it."""
        if self.opened is not None:
            self.opened.close()
            self.opened = None

    def close(self) -> None:
        """The instance is given up: the next one connects again."""
        self.dropped()


class Arrival(Pollable):
    """Ready when there is something to receive, or when only a call can tell."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def ready(self) -> bool:
        """Whether `receive` would not wait for the peer."""
        opened = self._connection.opened
        return opened is None or opened.has_arrived()

    async def wait(self) -> None:
        """Wait for the peer."""
        if self._connection.opened is not None:
            await self._connection.opened.arrival()


def _connect_request(_context: WorkerContext, url: str, headers: Value) -> Value:
    return {"url": url, "headers": headers}


@client.recorded(
    "[static]websocket-connection.connect",
    Category.WRITE_REMOTE,
    "golem:websocket/client::connect",
    request=_connect_request,
)
async def connect(context: WorkerContext, url: str, headers: Value) -> Value:
    """A new connection."""
    try:
        context.resources.hold(await context.service(WebsocketClient).connect(url, list(headers or [])))
    except WebsocketError as error:
        return ("err", error.error)
    return ("ok", None)


@connect.finish
def _(context: WorkerContext, response: Value, url: str, headers: Value) -> Value:
    tag, content = response
    if tag == "err":
        return (tag, content)
    opened = context.resources.release()
    assert opened is None or isinstance(opened, Websocket)
    return ("ok", context.resources.add(Connection(url, list(headers or []), opened)))


def _on_connection(
    name: str, request: RequestOf, *, ends: Callable[..., Value] = lambda *_arguments: None
) -> Callable[[Callable[..., Awaitable[Value]]], None]:
    """Declare a recorded method; the function gets the live connection. `ends(*arguments)` gives the error that later
    calls get when it has succeeded, None if the connection goes on."""

    def declare(function: Callable[..., Awaitable[Value]]) -> None:
        async def live(context: WorkerContext, handle: int, *arguments: Value) -> Value:
            connection = context.resources.get(handle, Connection)
            try:
                return ("ok", await function(await connection.live(context), *arguments))
            except WebsocketError as error:
                return ("err", error.error)

        def request_of(context: WorkerContext, _handle: int, *arguments: Value) -> Value:
            return request(context, *arguments)

        recorded = client.recorded(
            f"[method]websocket-connection.{name}",
            Category.WRITE_REMOTE,
            f"golem:websocket/client::{name}",
            request=request_of,
        )(live)

        @recorded.finish
        def _(context: WorkerContext, response: Value, handle: int, *arguments: Value) -> Value:
            tag, content = response
            connection = context.resources.get(handle, Connection)
            if tag == "err" and content[0] in _ENDING:
                connection.end(content)
            elif tag == "ok" and (error := ends(*arguments)) is not None:
                connection.end(error)
            return (tag, content)

    return declare


def _message(_context: WorkerContext, message: Value) -> Value:
    return {"message": message}


def _nothing(_context: WorkerContext) -> Value:
    return {}


def _timeout(_context: WorkerContext, timeout_ms: int) -> Value:
    return {"timeout_ms": timeout_ms}


def _code_and_reason(_context: WorkerContext, code: int | None, reason: str | None) -> Value:
    return {"code": code, "reason": reason}


@_on_connection("send", _message)
async def send(opened: Websocket, message: Value) -> Value:
    """Sends a message."""
    await opened.send(*message)


@_on_connection("receive", _nothing)
async def receive(opened: Websocket) -> Value:
    """The next message."""
    return await opened.receive()


@_on_connection("receive-with-timeout", _timeout)
async def receive_with_timeout(opened: Websocket, timeout_ms: int) -> Value:
    """The next message, none if there is none in time."""
    try:
        async with asyncio.timeout(min(timeout_ms, _LONGEST_WAIT_MS) / 1000):
            await opened.arrival()
    except TimeoutError:
        if not opened.has_arrived():
            return None
    return await opened.receive()


def _closed(code: int | None, reason: str | None) -> Value:
    return ("closed", {"code": 1000 if code is None else code, "reason": reason or "Connection closed"})


@_on_connection("close", _code_and_reason, ends=_closed)
async def close(opened: Websocket, code: int | None, reason: str | None) -> Value:
    """Closes the connection. What the peer still sends is lost."""
    if code is not None and not ((1000 <= code <= 1014 and code not in (1004, 1005, 1006)) or 3000 <= code <= 4999):
        raise WebsocketError("other", f"{code} is not a code to close with")
    if len((reason or "").encode()) > _MAX_REASON_BYTES:
        raise WebsocketError("other", f"the reason has more than {_MAX_REASON_BYTES} bytes")
    opened.close(1000 if code is None else code, reason or "")


@client.unrecorded("[method]websocket-connection.subscribe")
def subscribe(context: WorkerContext, handle: int) -> Any:
    """A pollable that is ready when there is something to receive."""
    return context.resources.add(Arrival(context.resources.get(handle, Connection)))
