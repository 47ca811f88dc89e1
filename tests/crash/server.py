"""One server under test, started again whenever it was killed, and a client that does not give up."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp

from golem_server.registry.accounts import DEFAULT_ENVIRONMENT_ID
from golem_server.registry.tokens import LOCAL_TOKEN

NOT_ANSWERED = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, asyncio.IncompleteReadError)


def _free_ports() -> tuple[int, int, int]:
    with socket.socket() as one, socket.socket() as two, socket.socket() as three:
        for free in (one, two, three):
            free.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1], three.getsockname()[1]


class ServerUnderTest:
    """A server that can be killed at any moment. `starts` counts its lives."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self._port, self.deployed_port, mcp_port = _free_ports()
        self._settings = {
            "database_url": database_url,
            "data_directory": str(folder / "data"),
            "port": self._port,
            "custom_request_port": self.deployed_port,
            "mcp_port": mcp_port,
            "config_folder": str(folder),
            "log_level": "warning",
            # So few that entries are moved to the archive all the time.
            "limits": {"oplog": {"archive_after": 20}},
        }
        self._log = (folder / "server.log").open("ab")
        self._process: asyncio.subprocess.Process | None = None
        self._session: aiohttp.ClientSession | None = None
        self._lock = asyncio.Lock()
        self._ended: dict[int, asyncio.Event] = {}
        self._listener: asyncio.Task[None] | None = None
        self._answers: asyncio.Queue[int] = asyncio.Queue()
        self.pid = 0
        self.starts = 0
        self.next_plan: Callable[[], dict[str, Any] | None] = lambda: None

    async def __aenter__(self) -> ServerUnderTest:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.crash.nursery",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=self._log,
        )
        self._listener = asyncio.create_task(self._listen())
        self._session = aiohttp.ClientSession(
            f"http://127.0.0.1:{self._port}", headers={"Authorization": f"Bearer {LOCAL_TOKEN}"}
        )
        await self.start()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        assert self._session is not None
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._listener is not None
        await self._session.close()
        self._process.stdin.close()
        await self._process.wait()
        await self._listener
        self._log.close()

    async def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            message = json.loads(line)
            if "started" in message:
                self._ended[message["started"]] = asyncio.Event()
                self._answers.put_nowait(message["started"])
            else:
                self._ended[message["ended"]].set()

    async def start(self) -> None:
        """Start a server; it may not be ready yet."""
        assert self._process is not None
        assert self._process.stdin is not None
        command = {"settings": self._settings, "kill": self.next_plan()}
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        self.pid = await self._answers.get()
        self.starts += 1

    @property
    def is_dead(self) -> bool:
        """Whether the process has ended."""
        return self._ended[self.pid].is_set()

    async def kill(self) -> None:
        """SIGKILL, and return when it is dead."""
        if not self.is_dead:
            os.kill(self.pid, signal.SIGKILL)
        await self._ended[self.pid].wait()

    async def revive(self) -> None:
        """Start it again if it is dead; many may ask at once."""
        async with self._lock:
            if self.is_dead:
                await self.start()

    async def request_once(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        """A request that is sent to the present server alone. Raises one of NOT_ANSWERED."""
        assert self._session is not None
        async with self._session.request(method, path, **options) as response:
            return response.status, await response.json()

    async def request(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        """A request that is sent again until a server answers. Status and JSON."""
        while True:
            try:
                answer = await self.request_once(method, path, **options)
                if answer[0] != 503:
                    return answer
            except NOT_ANSWERED:
                pass
            # Dead or about to be; a refused connection of a dying process is noticed when it is reaped.
            if self._ended[self.pid].is_set():
                await self.revive()
            else:
                await asyncio.sleep(0)

    async def upload(self, name: str, wasm: bytes) -> str:
        """Create a component; its id."""
        form = aiohttp.FormData()
        form.add_field("name", name)
        form.add_field("component", wasm, filename="crash.wasm")
        status, component = await self.request("POST", f"/v1/envs/{DEFAULT_ENVIRONMENT_ID}/components", data=form)
        assert status == 200, component
        return component["componentId"]

    async def invoke(self, component: str, worker: str, function: str, params: list[Any], key: str) -> Any:
        """Invoke and await; the result's value."""
        status, answer = await self.request(
            "POST",
            f"/v1/components/{component}/workers/{worker}/invoke-and-await",
            params={"function": function},
            headers={"Idempotency-Key": key},
            json={"params": [{"value": value} for value in params]},
        )
        assert status == 200, answer
        return None if answer["result"] is None else answer["result"]["value"]
