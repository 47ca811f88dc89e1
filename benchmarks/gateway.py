"""What a call through a deployed HTTP API costs beside the same one by invoke-and-await: `make bench ARGS=gateway`.

One connection, the two in turns in one run, with one and with a thousand deployed routes. The target is 1.3 times.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

import uvloop

from benchmarks.invocations import Connection, request_bytes
from benchmarks.server_process import DEPLOYED_PORT, SERVER_PORT, call, running_server, upload
from tests.guests import build

ROUNDS = 10
REQUESTS = 1_000
BODY = b'{"n":1}'
RESPONSE = """let n: u64 = request.body.n;
let total = golem:it/counter.{add}(n);
{status: 200, body: {total: total}}"""


def deploy(component: str, routes: int) -> str:
    """Deploy an API with so many routes, and return its host."""
    name = json.loads(call_get(f"/v1/components/{component}"))["componentName"]
    binding = {"component": {"name": name}, "workerName": '"${request.path.worker}"', "response": RESPONSE}
    listed: list[dict[str, Any]] = [
        {"method": "Post", "path": f"/v{number}/carts/{{worker}}/items", "binding": binding} for number in range(routes)
    ]
    host = f"routes-{routes}.example.com"
    definition = {"id": f"routes-{routes}", "version": "1", "routes": listed}
    call("POST", "/v1/api/definitions", json.dumps(definition).encode())
    site = {"apiDefinitionId": definition["id"], "version": "1", "site": {"host": host}}
    call("POST", "/v1/api/deployments", json.dumps(site).encode())
    return host


def call_get(path: str) -> bytes:
    """The body of the answer to a GET."""
    return call("GET", path, b"")


def deployed_bytes(host: str, route: int, worker: str) -> bytes:
    """One request to a deployed route."""
    head = f"POST /v{route}/carts/{worker}/items HTTP/1.1\r\nhost: {host}\r\n"
    return f"{head}content-type: application/json\r\ncontent-length: {len(BODY)}\r\n\r\n".encode() + BODY


async def seconds_of(port: int, request: bytes) -> list[float]:
    """How long each of many requests took."""
    connection = Connection([request], REQUESTS)
    await asyncio.get_running_loop().create_connection(lambda: connection, "127.0.0.1", port)
    await connection.done
    return connection.seconds


def median(seconds: list[float]) -> float:
    """The median in milliseconds."""
    return sorted(seconds)[len(seconds) // 2] * 1e3


async def figures() -> None:
    """Both figures."""
    component = await asyncio.to_thread(upload, build("counter"))
    direct = request_bytes(component, "w")
    for routes in (1, 1_000):
        host = await asyncio.to_thread(deploy, component, routes)
        deployed = deployed_bytes(host, routes - 1, "w")
        for port, request in ((SERVER_PORT, direct), (DEPLOYED_PORT, deployed)):
            await seconds_of(port, request)
        by_api: list[float] = []
        by_invocation: list[float] = []
        for _ in range(ROUNDS):
            by_invocation += await seconds_of(SERVER_PORT, direct)
            by_api += await seconds_of(DEPLOYED_PORT, deployed)
        one, other = median(by_invocation), median(by_api)
        print(
            f"{routes:5} routes: invoke-and-await median {one:.3f} ms, through the API {other:.3f} ms: "
            f"{other / one:4.2f} times (target: 1.3)"
        )


async def main() -> None:
    """Start a server, and measure."""
    with tempfile.TemporaryDirectory() as name:
        async with running_server(Path(name) / "data"):
            await figures()


if __name__ == "__main__":
    uvloop.run(main())
