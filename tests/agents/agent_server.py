"""A server process with the TypeScript agents in it, and agents as tests call them.

    counter = server.agent("CounterAgent", "alpha")
    assert await counter.value("increment") == 1
    await server.kill()
    assert await counter.value("value") == 1

Values are those of the components' JSON; every call has an idempotency key, so that it can be sent again.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import aiohttp

from golem_server.registry.accounts import DEFAULT_ENVIRONMENT_ID
from tests.crash.server import ServerUnderTest
from tests.guests.languages import share_code

COMPONENTS = f"/v1/envs/{DEFAULT_ENVIRONMENT_ID}/components"
CLI = {"X-Golem-CLI-Version": "1.5.9"}


class AgentServer(ServerUnderTest):
    """The server; what is compiled for it is kept between runs."""

    def __init__(self, database_url: str, folder: Path) -> None:
        super().__init__(database_url, folder)
        (folder / "data").mkdir()
        share_code(folder / "data")

    async def __aenter__(self) -> AgentServer:
        await super().__aenter__()
        return self

    async def create_component(self, name: str, wasm: bytes, metadata: str | None = None) -> tuple[int, Any]:
        """Upload a component, in the contract's form, or with a `metadata` part in that of newer clients."""
        form = aiohttp.FormData()
        if metadata is None:
            form.add_field("name", name)
        else:
            form.add_field("metadata", metadata)
        part = "component" if metadata is None else "componentWasm"
        form.add_field(part, io.BytesIO(wasm), filename="agents.wasm")
        # A stream is sent once: the server must be there.
        await self.request("GET", "/healthcheck")
        return await self.request("POST", COMPONENTS, data=form)

    def agent(self, type_name: str, *parameters: Any, phantom: str | None = None) -> CalledAgent:
        """An agent of the default environment."""
        return CalledAgent(self, type_name, parameters, phantom)

    async def until(self, agent: CalledAgent, condition: Callable[[Any], bool]) -> Any:
        """The agent's metadata once the condition holds of it."""
        while True:
            metadata = await agent.metadata()
            if condition(metadata):
                return metadata
            await asyncio.sleep(0.02)


class CalledAgent:
    """An agent by its type and parameters. `path` is known after the first call."""

    def __init__(self, server: AgentServer, type_name: str, parameters: tuple[Any, ...], phantom: str | None) -> None:
        self._server = server
        self._which = {
            "appName": "default",
            "envName": "default",
            "agentTypeName": type_name,
            "parameters": data_value(*parameters),
            "phantomId": phantom,
        }
        self.id = ""
        self.path = ""

    async def create(self, **more: Any) -> tuple[int, Any]:
        """Create the agent if there is none."""
        return self._known(await self._server.request("POST", "/v1/agents/create-agent", json=self._which | more))

    async def call(self, method: str, *arguments: Any, key: str | None = None, **more: Any) -> tuple[int, Any]:
        """Call a method: the answer's status and JSON."""
        body = {
            **self._which,
            "methodName": method,
            "methodParameters": data_value(*arguments),
            "idempotencyKey": key or str(uuid4()),
            **more,
        }
        return self._known(await self._server.request("POST", "/v1/agents/invoke-agent", json=body))

    def _known(self, answer: tuple[int, Any]) -> tuple[int, Any]:
        if answer[0] == 200:
            agent_id = answer[1]["agentId"]
            self.id = agent_id["agentId"]
            self.path = f"/v1/components/{agent_id['componentId']}/workers/{quote(self.id, safe='')}"
        return answer

    async def value(self, method: str, *arguments: Any, key: str | None = None) -> Any:
        """Call a method: its result, which must be one value or none."""
        status, answer = await self.call(method, *arguments, key=key)
        assert status == 200, answer
        elements = answer["result"]["elements"]
        return elements[0]["value"] if elements else None

    async def metadata(self) -> Any:
        """What the server says of the agent."""
        status, metadata = await self._server.request("GET", self.path)
        assert status == 200, metadata
        return metadata

    async def oplog(self, **headers: str) -> list[Any]:
        """The entries of its oplog."""
        entries: list[Any] = []
        while True:
            _, page = await self._server.request(
                "GET", f"{self.path}/oplog", params={"from": len(entries) + 1}, headers=headers
            )
            entries += [item["entry"] for item in page["entries"]]
            if page["next"] is None:
                return entries


def data_value(*values: Any) -> dict[str, Any]:
    """A tuple of component-model values."""
    return {"type": "Tuple", "elements": [{"type": "ComponentModel", "value": value} for value in values]}
