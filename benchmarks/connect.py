"""How many events reach those who watch a worker: `python -m benchmarks.connect`.

A guest logs lines; a server process makes them durable and tells one and a hundred WebSockets, which a second process
reads. Counted are the frames that arrive, without those that slow readers miss.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

import uvloop
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.server_process import SERVER_PORT, call, running_server, upload
from golem_server.registry.tokens import LOCAL_TOKEN
from tests.guests.speaker import SAY, speaker

LINES = 1_000
ROUNDS = 10
HEADERS = {"Authorization": f"Bearer {LOCAL_TOKEN}"}


async def read(connection: ClientConnection, last: str) -> tuple[int, int]:
    """Frames until the last invocation has ended: how many events came, and how many were missed."""
    got = missed = 0
    async for frame in connection:
        ((kind, content),) = json.loads(frame).items()
        if kind == "ClientLagged":
            missed += content["number_of_missed_messages"]
            continue
        got += 1
        if kind == "InvocationFinished" and content["idempotency_key"] == last:
            break
    return got, missed


async def measure(component: str, watchers: int) -> None:
    """One figure."""
    worker = f"/v1/components/{component}/workers/watched-by-{watchers}"
    function = quote(f"{SAY}.{{say}}")
    path = f"{worker}/invoke-and-await?function={function}"
    await asyncio.to_thread(call, "POST", path, b'{"params":[2,1]}')
    url = f"ws://127.0.0.1:{SERVER_PORT}{worker}/connect"
    connections = [await connect(url, additional_headers=HEADERS, max_queue=4096) for _ in range(watchers)]
    last = f"round-{ROUNDS}"
    reading = asyncio.gather(*(read(connection, last) for connection in connections))
    began = time.perf_counter()
    for number in range(1, ROUNDS + 1):
        body = json.dumps({"params": [2, LINES]}).encode()
        await asyncio.to_thread(call, "POST", path, body, idempotency_key=f"round-{number}")
    outcomes = await reading
    seconds = time.perf_counter() - began
    got, missed = (sum(column) for column in zip(*outcomes, strict=True))
    print(
        f"{watchers:4} sockets: {got / seconds:9.0f} events/s in all, {got / watchers / seconds:8.0f} on each,"
        f" {missed} missed of {got + missed}",
        flush=True,
    )
    for connection in connections:
        await connection.close()


async def main() -> None:
    """All figures."""
    with tempfile.TemporaryDirectory() as folder:
        async with running_server(Path(folder) / "data"):
            component = await asyncio.to_thread(upload, speaker())
            for watchers in (1, 100):
                await measure(component, watchers)


if __name__ == "__main__":
    uvloop.run(main())
