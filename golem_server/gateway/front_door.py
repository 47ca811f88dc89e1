"""Which application answers a request: by the port that it came to, and at the API's port by its host.

Deployed APIs have a port of their own, as in Golem, where every host is one of theirs. At the API's port they answer
for the hosts at which something is deployed, except those by which this machine itself is called: a deployment must
not take the API away from those who manage it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping

from golem_server.asgi import AsgiApplication, Receive, Scope, Send
from golem_server.gateway.endpoint import Gateway
from golem_server.gateway.sites import Site
from golem_server.model.errors import Unavailable

_MAX_REMEMBERED = 1_000


class FrontDoor:
    """The application that all ports share. `gateway` and `mcp` are there while the server runs.

    `at_stop` is called when a stop begins: requests that would go on until their client leaves must end by themselves.
    """

    def __init__(self, api: AsgiApplication, own_host: str) -> None:
        self._api = api
        self._own_host = own_host.lower()
        self._own: dict[bytes, bool] = {}
        self._ports: Mapping[int, AsgiApplication] = {}
        self.gateway: Gateway | None = None
        self.mcp: AsgiApplication | None = None
        self.at_stop: list[Callable[[], None]] = []

    def at_port(self, port: int, application: AsgiApplication) -> None:
        """Let another application answer what comes to a port."""
        self._ports = {**self._ports, port: application}

    def stopping(self) -> None:
        """A stop begins."""
        for end in self.at_stop:
            end()

    async def deployed(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application of the port of deployed APIs."""
        if self.gateway is not None and scope["type"] == "http":
            await self.gateway(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "deployed APIs have no websockets"})

    async def over_mcp(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application of the port of MCP."""
        if self.mcp is not None:
            await self.mcp(scope, receive, send)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or run the lifespan, which is the API's."""
        application = None
        if self._ports and scope["type"] != "lifespan":
            server: tuple[str, int] | None = scope.get("server")
            application = None if server is None else self._ports.get(server[1])
        if application is not None:
            await application(scope, receive, send)
            return
        site = None if scope["type"] != "http" else await self._site(scope)
        if site is None or self.gateway is None:
            await self._api(scope, receive, send)
        else:
            await self.gateway.serve(site, scope, receive, send)

    async def _site(self, scope: Scope) -> Site | None:
        """What is deployed at the request's host, if that is not this server's own."""
        if self.gateway is None:
            return None
        host = b""
        for name, value in scope["headers"]:
            if name == b"host":
                host = value
                break
        own = self._own.get(host)
        if own is None:
            own = self._is_own(host.decode("latin-1"))
            if len(self._own) >= _MAX_REMEMBERED:
                self._own = {}
            self._own[host] = own
        if own:
            return None
        try:
            return await self.gateway.sites.find(host.decode("latin-1"))
        except Unavailable:
            # The API says it better, if it cannot answer either.
            return None

    def _is_own(self, host: str) -> bool:
        name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
        name = name.strip("[]").lower()
        if name in ("", "localhost", self._own_host):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True
