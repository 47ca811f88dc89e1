"""What invoke-and-await of a loaded worker costs over HTTP, and a cold start: `python -m benchmarks.invocations`.

Two floors, measured in the same run: a bare FastAPI route that takes and gives the same JSON under the same uvicorn,
and one single-row commit in the same PostgreSQL. Server, floor and client are processes of their own; the client
writes the same bytes again and again on connections that stay open.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any, cast

import asyncpg
import uvicorn
import uvloop
from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.server_process import SERVER_PORT, reachable, running_server, upload
from golem_server.registry.tokens import LOCAL_TOKEN
from golem_server.storage.embedded import running_url
from tests.guests import build

FLOOR_PORT = 19_882
BODY = b'{"params":[{"value":1}]}'
FUNCTION = "golem:it/counter.%7Badd%7D"
REQUESTS = 4_000
_FLOOR_CODE = "from benchmarks.invocations import floor; floor()"


class Params(BaseModel):
    """The body of an invocation as a FastAPI route would declare it."""

    params: list[Any]


def floor() -> None:
    """Serve the bare route."""
    application = FastAPI()

    async def echo(component_id: str, name: str, function: str, body: Params) -> dict[str, Any]:
        return {"result": {"typ": {"type": "U64"}, "value": body.params[0]["value"]}}

    application.add_api_route(
        "/v1/components/{component_id}/workers/{name}/invoke-and-await", echo, methods=["POST"], response_model=None
    )
    uvicorn.run(application, port=FLOOR_PORT, loop="uvloop", http="httptools", log_config=None, access_log=False)


def request_bytes(component: str, worker: str) -> bytes:
    """One request as it goes over the wire."""
    path = f"/v1/components/{component}/workers/{worker}/invoke-and-await?function={FUNCTION}"
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {LOCAL_TOKEN}\r\n"
    return f"{head}content-type: application/json\r\ncontent-length: {len(BODY)}\r\n\r\n".encode() + BODY


def launch_bytes(component: str, worker: str) -> bytes:
    """The request that launches a worker."""
    body = f'{{"name":"{worker}"}}'.encode()
    head = f"POST /v1/components/{component}/workers HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {LOCAL_TOKEN}\r\n"
    return f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


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
        if not self._received.endswith(b"}"):
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
    rate, median, _, _ = await measured(port, connections, workers, component)
    return rate, median


async def measured(port: int, connections: int, workers: int, component: str) -> tuple[float, float, float, int]:
    """Requests a second, the median and the 99th percentile of their times in milliseconds, and how many there were."""
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
    return len(taken) / seconds, taken[len(taken) // 2] * 1e3, taken[len(taken) * 99 // 100] * 1e3, len(taken)


async def commit_floor(folder: Path) -> float:
    """The median time of a single-row commit, in milliseconds."""
    url = running_url(folder)
    assert url is not None
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("CREATE TABLE IF NOT EXISTS floor (n bigint)")
        insert = await connection.prepare("INSERT INTO floor VALUES ($1)")
        seconds: list[float] = []
        for number in range(1000):
            began = time.perf_counter()
            await insert.fetch(number)
            seconds.append(time.perf_counter() - began)
        await connection.execute("DROP TABLE floor")
    finally:
        await connection.close()
    return sorted(seconds)[len(seconds) // 2] * 1e3


def commits() -> float:
    """How many commits of oplog entries the server has made."""
    with urllib.request.urlopen(f"http://127.0.0.1:{SERVER_PORT}/metrics") as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith("golem_commit_seconds_count"):
                return float(line.split()[1])
    raise LookupError("the server counts no commits")


async def cold_start(component: str) -> float:
    """The median time to launch a worker and have its first answer, in milliseconds; the code is compiled."""
    loop = asyncio.get_running_loop()
    seconds: list[float] = []
    for number in range(200):
        name = f"cold-{number}"
        began = time.perf_counter()
        for request in (launch_bytes(component, name), request_bytes(component, name)):
            connection = Connection([request], 1)
            await loop.create_connection(lambda made=connection: made, "127.0.0.1", SERVER_PORT)
            await connection.done
        seconds.append(time.perf_counter() - began)
    return sorted(seconds)[len(seconds) // 2] * 1e3


async def figures(folder: Path) -> None:
    """All figures, of the server whose data is in `folder`."""
    component = await asyncio.to_thread(upload, build("counter"))
    commit = await commit_floor(folder / "postgres")
    print(f"one single-row commit: median {commit:.2f} ms")
    for connections in (1, 16, 64):
        least, least_median = await measure(FLOOR_PORT, connections, 1, component)
        print(f"{connections:3} connections, bare route: {least:7.0f}/s, median {least_median:6.2f} ms")
        for workers in (1, 64, 1000):
            await measure(SERVER_PORT, connections, workers, component)
            before = await asyncio.to_thread(commits)
            rate, median, slowest, count = await measured(SERVER_PORT, connections, workers, component)
            each = (await asyncio.to_thread(commits) - before) / count
            floor = f"; {median / (least_median + commit):4.2f} times (bare route + one commit)"
            print(
                f"{connections:3} connections, {workers:4} workers: {rate:7.0f}/s, median {median:6.2f} ms, "
                f"99% {slowest:6.2f} ms, {each:4.2f} commits each; {rate / least:4.2f} times the bare rate"
                + (floor if connections == 1 else "")
            )
    print(f"cold start, launch and first answer: median {await cold_start(component):.2f} ms (target: 10 ms)")


async def main() -> None:
    """Start the server and the floor, and measure."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "data"
        bare = await asyncio.create_subprocess_exec(sys.executable, "-c", _FLOOR_CODE)
        try:
            async with running_server(folder):
                await reachable(FLOOR_PORT)
                await figures(folder)
        finally:
            bare.terminate()
            await bare.wait()


if __name__ == "__main__":
    uvloop.run(main())
