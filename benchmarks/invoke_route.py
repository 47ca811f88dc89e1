"""What invoke-and-await of a loaded worker costs over HTTP: `python -m benchmarks.invoke_route`.

The floor is a bare FastAPI route that takes and gives the same JSON, under the same uvicorn. Server, floor and client
are processes of their own; the client writes the same bytes again and again on connections that stay open.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any, cast

import uvicorn
import uvloop
from fastapi import FastAPI
from pydantic import BaseModel

from golem_server.registry.accounts import DEFAULT_ENVIRONMENT_ID
from golem_server.registry.tokens import LOCAL_TOKEN
from tests.api.guest import API, guest
from tests.api.server import FORM_TYPE, form_body

SERVER_PORT, FLOOR_PORT = 19_881, 19_882
BODY = b'{"params":[18446744073709551615]}'
REQUESTS = 4_000
_FLOOR_CODE = "from benchmarks.invoke_route import floor; floor()"


class Params(BaseModel):
    """The body of an invocation as a FastAPI route would declare it."""

    params: list[Any]


def floor() -> None:
    """Serve the bare route."""
    application = FastAPI()

    async def echo(component_id: str, name: str, function: str, body: Params) -> dict[str, Any]:
        return {"result": {"typ": {"type": "U64"}, "value": body.params[0]}}

    application.add_api_route(
        "/v1/components/{component_id}/workers/{name}/invoke-and-await", echo, methods=["POST"], response_model=None
    )
    uvicorn.run(application, port=FLOOR_PORT, loop="uvloop", http="httptools", log_config=None, access_log=False)


def request_bytes(component: str, worker: str) -> bytes:
    """One request as it goes over the wire."""
    path = f"/v1/components/{component}/workers/{worker}/invoke-and-await?function={API}.%7Becho-u64%7D"
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {LOCAL_TOKEN}\r\n"
    return f"{head}content-type: application/json\r\ncontent-length: {len(BODY)}\r\n\r\n".encode() + BODY


class Connection(asyncio.Protocol):
    """Sends one request after the other and notes how long each took."""

    def __init__(self, requests: list[bytes], count: int) -> None:
        self.seconds: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests = requests
        self._left = count
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        """Send the next one when the answer is complete."""
        self._received += data
        if not self._received.endswith(b"}}"):
            return
        self.seconds.append(time.perf_counter() - self._began)
        assert self._received.startswith(b"HTTP/1.1 200"), self._received
        self._received = b""
        self._left -= 1
        if self._left:
            self._send()
        else:
            self.done.set_result(None)

    def _send(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(self._requests[self._left % len(self._requests)])


async def measure(port: int, connections: int, workers: int, component: str) -> tuple[float, float]:
    """Requests a second, and the median time of one in milliseconds."""
    names = [f"w{number}" for number in range(workers)]
    made: list[Connection] = []
    for number in range(connections):
        mine = [request_bytes(component, name) for name in names[number::connections]] or [
            request_bytes(component, names[number % workers])
        ]
        made.append(Connection(mine, max(REQUESTS // connections, len(mine))))
    began = time.perf_counter()
    for connection in made:
        await asyncio.get_running_loop().create_connection(lambda made=connection: made, "127.0.0.1", port)
    await asyncio.gather(*(connection.done for connection in made))
    seconds = time.perf_counter() - began
    taken = sorted(second for connection in made for second in connection.seconds)
    return len(taken) / seconds, taken[len(taken) // 2] * 1e3


def upload() -> str:
    """The id of a new component."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{SERVER_PORT}/v1/envs/{DEFAULT_ENVIRONMENT_ID}/components",
        form_body({"name": f"benchmark-{time.time_ns()}", "component": guest()}),
        {"authorization": f"Bearer {LOCAL_TOKEN}", "content-type": FORM_TYPE},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["componentId"]


async def reachable(port: int) -> None:
    """Return when something listens on the port."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return


async def main() -> None:
    """All figures."""
    print(f"{platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as folder:
        command = ["-m", "golem_server", "run", "--port", str(SERVER_PORT), "--data-directory", str(Path(folder) / "d")]
        server = await asyncio.create_subprocess_exec(sys.executable, *command, "--log-level", "warning")
        bare = await asyncio.create_subprocess_exec(sys.executable, "-c", _FLOOR_CODE)
        try:
            await asyncio.gather(reachable(SERVER_PORT), reachable(FLOOR_PORT))
            component = await asyncio.to_thread(upload)
            for connections, workers in ((1, 1), (16, 64), (64, 64), (64, 1000)):
                await measure(SERVER_PORT, connections, workers, component)
                rate, median = await measure(SERVER_PORT, connections, workers, component)
                least, least_median = await measure(FLOOR_PORT, connections, workers, component)
                print(
                    f"{connections:3} connections, {workers:4} workers: {rate:7.0f}/s, median {median:6.2f} ms; "
                    f"bare route {least:7.0f}/s, {least_median:6.2f} ms; {rate / least:4.2f} times its rate"
                )
        finally:
            for process in (server, bare):
                process.terminate()
                await process.wait()


if __name__ == "__main__":
    uvloop.run(main())
