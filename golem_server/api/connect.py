"""`GET .../connect`: the events of a worker over a WebSocket (reference: rest-api, section 6).

Frames are JSON objects with one key, the kind of event, and snake_case inside. What is told is durable, and told
once. A reader that is too slow misses events and is told how many; one that answers no ping is dropped. The official
client opens this connection before it creates the worker, again and again until it succeeds; it is recognised by
sending neither `user-agent` nor `origin`, and its handshake waits a moment for the worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

from fastapi import APIRouter, Depends, WebSocket
from starlette.responses import Response
from starlette.websockets import WebSocketDisconnect

from golem_server.api.authentication import authenticated, credential
from golem_server.api.errors import answer_of, unexpected
from golem_server.api.paths import WorkerPath, parse_uuid, parse_worker_name, visible_component
from golem_server.api.services import ApiServices
from golem_server.api.timestamps import timestamp_of_milliseconds
from golem_server.durable.events import Watcher, WorkerEvent
from golem_server.model.errors import InvalidInput
from golem_server.model.ids import ComponentId, WorkerId
from golem_server.model.oplog import InvocationStarted, Log, LogLevel

router = APIRouter()

CREATION_WAIT_SECONDS = 2.0
"""How long the handshake of the official client waits for a worker that does not exist yet."""

PROTOCOL = "golem-events"
"""What a page of a browser offers beside its token: one of the offered protocols must be taken."""

_BEARER = "bearer."
_STREAMS = {LogLevel.STDOUT: "StdOut", LogLevel.STDERR: "StdErr"}


@router.websocket("/v1/components/{component_id}/workers/{agent_name}/connect")
async def connect(socket: WebSocket) -> None:
    """Tell the client what the worker does until it leaves or the worker is deleted."""
    services: ApiServices = socket.app.state.services
    events = services.executor.events
    try:
        worker_id = await _worker_id(socket, services)
        if _is_official_client(socket):
            await events.creation(worker_id, CREATION_WAIT_SECONDS, lambda: services.executor.exists(worker_id))
        watcher = await events.watch(worker_id)
    except Exception as error:
        answer = answer_of(error) or unexpected(error, services.metrics.error)
        headers = {**answer.headers, "content-type": "application/json"}
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            await socket.send_denial_response(Response(answer.body, answer.status, headers))
        return
    try:
        await _stream(socket, watcher)
    finally:
        events.leave(worker_id, watcher)


@router.get(
    "/v1/components/{component_id}/workers/{agent_name}/connect",
    operation_id="connectWorker",
    dependencies=[Depends(authenticated)],
)
async def connect_without_upgrade(_: WorkerPath) -> Response:
    """The same path by plain HTTP: says what is missing."""
    raise InvalidInput("connect is a WebSocket: send an upgrade request")


async def _worker_id(socket: WebSocket, services: ApiServices) -> WorkerId:
    """The worker of the path. Raises what any route of a worker raises."""
    secret = credential(socket.scope["headers"]) or _secret_of_page(socket)
    caller = await services.tokens.authenticate(secret)
    component_id = ComponentId(parse_uuid("component_id", socket.path_params["component_id"]))
    component = await visible_component(services, component_id, caller)
    return WorkerId(component.component_id, parse_worker_name(socket.path_params["agent_name"], component))


def _secret_of_page(socket: WebSocket) -> str | None:
    """The token that a page of a browser sends as a protocol, since it can set no headers."""
    protocols: list[str] = socket.scope.get("subprotocols", [])
    return next((name.removeprefix(_BEARER) for name in protocols if name.startswith(_BEARER)), None)


def _is_official_client(socket: WebSocket) -> bool:
    return "user-agent" not in socket.headers and "origin" not in socket.headers


async def _stream(socket: WebSocket, watcher: Watcher) -> None:
    """Send events until one side has enough."""
    await socket.accept(subprotocol=PROTOCOL if PROTOCOL in socket.scope.get("subprotocols", []) else None)
    telling = asyncio.ensure_future(_tell(socket, watcher))
    listening = asyncio.ensure_future(_listen(socket))
    try:
        await asyncio.wait({telling, listening}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (telling, listening):
            task.cancel()
        await asyncio.gather(telling, listening, return_exceptions=True)


async def _tell(socket: WebSocket, watcher: Watcher) -> None:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while True:
            events, missed = await watcher.next()
            if not events:
                await socket.close(1000, watcher.end_reason)
                return
            for event in events:
                await socket.send_text(frame_of(event))
            if missed:
                await socket.send_text(json.dumps({"ClientLagged": {"number_of_missed_messages": missed}}))


async def _listen(socket: WebSocket) -> None:
    """Read and ignore what the client sends; return when it has left."""
    while (await socket.receive())["type"] != "websocket.disconnect":
        continue


def frame_of(event: WorkerEvent) -> str:
    """The text frame of an event; made once, whatever the number of watchers."""
    if event.rendered is None:
        event.rendered = json.dumps(event_to_json(event), ensure_ascii=False, separators=(",", ":"))
    return event.rendered


def event_to_json(event: WorkerEvent) -> dict[str, Any]:
    """The object that clients know: one key, the kind of the event."""
    entry = event.entry
    timestamp = timestamp_of_milliseconds(entry.timestamp)
    if isinstance(entry, Log):
        stream = _STREAMS.get(LogLevel(entry.level))
        if stream is not None:
            return {stream: {"timestamp": timestamp, "bytes": list(entry.message.encode("utf-8", "replace"))}}
        level = LogLevel(entry.level).name.capitalize()
        return {"Log": {"timestamp": timestamp, "level": level, "context": entry.context, "message": entry.message}}
    kind = "InvocationStart" if isinstance(entry, InvocationStarted) else "InvocationFinished"
    invocation = event.invocation
    return {
        kind: {
            "timestamp": timestamp,
            "function": "" if invocation is None else invocation.function,
            "idempotency_key": "" if invocation is None else invocation.idempotency_key,
        }
    }
