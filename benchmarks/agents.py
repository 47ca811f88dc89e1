"""What a TypeScript agent costs: `python -m benchmarks.agents`.

From the upload of its component to its first answer, with the code to be compiled and with the code at hand; then calls
of a loaded agent, one after the other, by `invoke-agent` and by the worker's own route; and its first answer after the
server was started anew, which is a new instance and a replay. The engine's part, measured by itself, is about 1 ms a
call and 250 ms for the first one.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote

import uvloop

from benchmarks.server_process import SERVER_PORT, running_server, upload
from golem_server.registry.tokens import LOCAL_TOKEN
from tests.guests import typescript

CALLS = 500
HEADERS = {"authorization": f"Bearer {LOCAL_TOKEN}", "content-type": "application/json"}
RAW = "golem%3Aagent%2Fguest.%7Binvoke%7D"


def data_value(*values: Any) -> dict[str, Any]:
    """A tuple of component-model values."""
    return {"type": "Tuple", "elements": [{"type": "ComponentModel", "value": value} for value in values]}


class Caller:
    """Calls agents on one connection that stays open."""

    def __init__(self) -> None:
        self._connection = HTTPConnection("127.0.0.1", SERVER_PORT, timeout=600)

    def post(self, path: str, body: Any) -> Any:
        """The JSON of a successful answer."""
        self._connection.request("POST", path, json.dumps(body).encode(), HEADERS)
        answer = self._connection.getresponse()
        content = answer.read()
        assert answer.status == 200, content
        return json.loads(content)

    def call(self, name: str, method: str) -> Any:
        """Call a method without parameters of a counter."""
        return self.post(
            "/v1/agents/invoke-agent",
            {
                "appName": "default",
                "envName": "default",
                "agentTypeName": "CounterAgent",
                "parameters": data_value(name),
                "methodName": method,
                "methodParameters": data_value(),
            },
        )

    def call_worker(self, component: str, name: str, method: str) -> Any:
        """The same by the worker's own route."""
        agent = quote(f'CounterAgent("{name}")', safe="")
        parameters: list[Any] = [method, {"tuple": []}, {"anonymous": None}]
        return self.post(
            f"/v1/components/{component}/workers/{agent}/invoke-and-await?function={RAW}",
            {"params": [{"value": value} for value in parameters]},
        )

    def times(self, work: Any) -> tuple[float, float]:
        """The median and the 99th percentile of `CALLS` calls, in milliseconds."""
        seconds: list[float] = []
        for _ in range(CALLS):
            began = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - began)
        seconds.sort()
        return seconds[CALLS // 2] * 1e3, seconds[CALLS * 99 // 100] * 1e3


def first_server() -> None:
    """Figures of a server that has never seen the component."""
    wasm = typescript.build("counter")
    began = time.perf_counter()
    component = upload(wasm)
    uploaded = time.perf_counter()
    caller = Caller()
    caller.call("first", "increment")
    answered = time.perf_counter()
    print(f"code to be compiled: upload {uploaded - began:6.2f} s, first answer {answered - uploaded:6.2f} s later")
    began = time.perf_counter()
    upload(wasm)
    print(f"code at hand: upload {time.perf_counter() - began:6.2f} s")
    began = time.perf_counter()
    caller.call("second", "increment")
    print(f"code at hand: first answer of another agent {(time.perf_counter() - began) * 1e3:6.0f} ms")
    for method in ("value", "increment"):
        median, slowest = caller.times(lambda method=method: caller.call("first", method))
        print(f"{method:9} by invoke-agent:       median {median:6.2f} ms, 99% {slowest:6.2f} ms")
        median, slowest = caller.times(lambda method=method: caller.call_worker(component, "first", method))
        print(f"{method:9} by the worker's route: median {median:6.2f} ms, 99% {slowest:6.2f} ms")


def second_server() -> None:
    """Figures of the same server after a new start."""
    caller = Caller()
    began = time.perf_counter()
    caller.call("first", "value")
    seconds = time.perf_counter() - began
    print(f"first answer after a new start, with {4 * CALLS + 2} invocations replayed: {seconds:.2f} s")
    began = time.perf_counter()
    caller.call("second", "value")
    print(f"first answer after a new start, with 2 invocations replayed: {(time.perf_counter() - began) * 1e3:.0f} ms")


async def main() -> None:
    """Start the server, measure, start it again and measure."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "data"
        async with running_server(folder):
            await asyncio.to_thread(first_server)
        async with running_server(folder):
            await asyncio.to_thread(second_server)


if __name__ == "__main__":
    uvloop.run(main())
