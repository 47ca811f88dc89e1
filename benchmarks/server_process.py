"""A server process with a folder of its own, and requests to it, for figures of the whole path over HTTP."""

from __future__ import annotations

import asyncio
import json
import sys
import time
import urllib.request
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from golem_server.registry.accounts import DEFAULT_ENVIRONMENT_ID
from golem_server.registry.tokens import LOCAL_TOKEN
from tests.api.server import FORM_TYPE, form_body

SERVER_PORT = 19_881
DEPLOYED_PORT = 19_906
"""Where deployed HTTP APIs answer."""


@asynccontextmanager
async def running_server(folder: Path) -> AsyncGenerator[None]:
    """Start `golem-server run` with its data in `folder`, ready when entered, ended afterwards."""
    command = ["-m", "golem_server", "run", "--port", str(SERVER_PORT), "--data-directory", str(folder)]
    command += ["--log-level", "warning", "--set", f"custom_request_port={DEPLOYED_PORT}", "--set", "mcp_port=0"]
    server = await asyncio.create_subprocess_exec(sys.executable, *command)
    try:
        await reachable(SERVER_PORT)
        yield
    finally:
        server.terminate()
        await server.wait()


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


def call(method: str, path: str, body: bytes, content_type: str = "application/json", **headers: str) -> bytes:
    """The body of the answer to a request; names of headers have underscores for hyphens."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{SERVER_PORT}{path}",
        body,
        {
            "authorization": f"Bearer {LOCAL_TOKEN}",
            "content-type": content_type,
            **{name.replace("_", "-"): value for name, value in headers.items()},
        },
        method=method,
    )
    with urllib.request.urlopen(request) as answer:
        return answer.read()


def upload(wasm: bytes) -> str:
    """The id of a new component."""
    form = form_body({"name": f"benchmark-{time.time_ns()}", "component": wasm})
    return json.loads(call("POST", f"/v1/envs/{DEFAULT_ENVIRONMENT_ID}/components", form, FORM_TYPE))["componentId"]
