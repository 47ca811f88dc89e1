"""A whole server in a thread, reached over a real socket, and a client that sends exactly what it is told.

The client neither normalises paths nor adds headers of its own choice, so that tests can say what the wire carries.
"""

from __future__ import annotations

import asyncio
import http.client
import itertools
import json
import socket
import threading
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import uvicorn

from golem_server.api.services import ApiServices
from golem_server.app import bind
from golem_server.registry.accounts import DEFAULT_ENVIRONMENT_ID
from golem_server.registry.tokens import LOCAL_TOKEN
from golem_server.serving import SocketProtocol
from golem_server.settings import Settings
from golem_server.telemetry import Metrics
from tests.api.guest import API, guest

JSON = {"content-type": "application/json"}

NOBODYS = "7f1c2b5e-2f0a-4c39-9d77-0a8f6c3f51aa"
"""An id that nothing has. The names of tests hold it, so it is the same in every process."""

SECONDS = 100
"""How long an answer may take: a guest may be compiled for it, on a machine that has other things to do."""

T = TypeVar("T")

_numbers = itertools.count(1)


class _Server(uvicorn.Server):
    """Tells when it has started, or failed to."""

    def __init__(self, config: uvicorn.Config, stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._stopping = stopping
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and tell."""
        self.loop = asyncio.get_running_loop()
        try:
            await super().startup(sockets)
        finally:
            self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop as the server's own does."""
        self._stopping()
        await super().shutdown(sockets)


class ServerThread:
    """The server; `with` starts and stops it. `options` are more of uvicorn's."""

    def __init__(self, settings: Settings, **options: Any) -> None:
        assert settings.database_url is not None
        self.database_url = settings.database_url.get_secret_value()
        self.metrics = Metrics()
        bound = bind(settings, self.metrics)
        self._listeners = bound.listeners
        self.port: int = bound.listeners[0].getsockname()[1]
        self.deployed_port: int = bound.listeners[1].getsockname()[1]
        self.mcp_port: int = bound.listeners[2].getsockname()[1]
        self.application = bound.api
        config = uvicorn.Config(
            bound.edge, http="httptools", loop="uvloop", lifespan="on", log_config=None, ws=SocketProtocol, **options
        )
        self._server = _Server(config, bound.stopping)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": list(self._listeners)})

    def __enter__(self) -> ServerThread:
        self._thread.start()
        self._server.ready.wait(60)
        assert self._server.started
        return self

    def run(self, work: Callable[[ApiServices], Coroutine[Any, Any, T]]) -> T:
        """The result of something that is done on the server's own loop."""
        services: ApiServices = self.application.framework.state.services
        return asyncio.run_coroutine_threadsafe(work(services), self._server.loop).result(SECONDS)

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        for listener in self._listeners:
            listener.close()


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, which must be JSON."""
        assert self.headers["content-type"] == "application/json"
        return json.loads(self.body)

    def ok(self) -> Any:
        """The JSON of a successful answer."""
        assert self.status == 200, (self.status, self.body)
        return self.json

    def refused(self, status: int, text: str = "", code: str | None = None) -> Any:
        """The JSON of an error, whose message contains the text."""
        assert self.status == status, (self.status, self.body)
        assert text in self.json["error"]
        assert isinstance(self.json["code"], str)
        assert code in (None, self.json["code"])
        if status == 400:
            assert ", ".join(self.json["errors"]) == self.json["error"]
        return self.json


class Client:
    """Sends requests as one caller."""

    def __init__(self, port: int, token: str | None = LOCAL_TOKEN) -> None:
        self.port = port
        self.token = token

    @property
    def url(self) -> str:
        """Where the server is."""
        return f"http://127.0.0.1:{self.port}"

    def send(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        try:
            credential = {} if self.token is None else {"authorization": f"Bearer {self.token}"}
            connection.request(method, path, body, {**credential, **(headers or {})})
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        """GET; underscores in names of headers stand for hyphens."""
        return self.send("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def post(self, path: str, content: object, headers: Mapping[str, str] | None = None) -> Answer:
        """POST with a JSON body."""
        return self.send("POST", path, json.dumps(content).encode(), {**JSON, **(headers or {})})

    def form(self, method: str, path: str, parts: Mapping[str, bytes | str], **headers: str) -> Answer:
        """A multipart form."""
        body = form_body(parts)
        return self.send(method, path, body, {"content-type": FORM_TYPE, **headers})

    def create(self, wasm: bytes | None = None, name: str | None = None) -> Any:
        """A new component, by default of the tests' guest."""
        parts = {"name": name or f"component-{next(_numbers)}", "component": guest() if wasm is None else wasm}
        return self.form("POST", COMPONENTS, parts).ok()

    def component(self) -> str:
        """The path of a new component."""
        return f"/v1/components/{self.create()['componentId']}"

    def call(self, worker: str, name: str, *params: object, key: str | None = None) -> Answer:
        """Invoke a function of the guest and wait for its result."""
        return self.invoke(f"{worker}/invoke-and-await", name, *params, key=key)

    def invoke(self, path: str, name: str, *params: object, key: str | None = None, interface: str = API) -> Answer:
        """Invoke a function of the guest, or of another interface, by the path of either operation."""
        headers = {} if key is None else {"idempotency-key": key}
        query = urlencode({"function": f"{interface}.{{{name}}}"})
        return self.post(f"{path}?{query}", {"params": list(params)}, headers)


COMPONENTS = f"/v1/envs/{DEFAULT_ENVIRONMENT_ID}/components"
FORM_TYPE = "multipart/form-data; boundary=frontier"


def form_body(parts: Mapping[str, bytes | str]) -> bytes:
    """The body of a form."""
    body = bytearray()
    for name, value in parts.items():
        content = value.encode() if isinstance(value, str) else value
        body += f'--frontier\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + content + b"\r\n"
    return bytes(body + b"--frontier--\r\n")


def worker_path(component: str, name: str) -> str:
    """The path of a worker, its name percent-encoded."""
    return f"{component}/workers/{quote(name, safe='')}"
