"""The host of a request decides which site answers it."""

from __future__ import annotations

from typing import Any

import pytest

from golem_server.asgi import Message
from golem_server.gateway.endpoint import Gateway
from golem_server.gateway.requests import GatewayRequest
from golem_server.gateway.responses import GatewayResponse, text_response
from golem_server.gateway.sites import Site, Sites


class NamedSite:
    """Answers with its host."""

    def __init__(self, host: str) -> None:
        self._host = host

    async def answer(self, request: GatewayRequest) -> GatewayResponse:
        """That."""
        return text_response(200, self._host)


class Hosts:
    """Two hosts, and nothing that changes."""

    async def site(self, host: str) -> Site | None:
        """The site of a host."""
        return NamedSite(host) if host in ("shop.example", "proxy.example") else None

    async def current(self) -> int:
        """Always the same."""
        return 0


@pytest.mark.parametrize(
    ("headers", "status", "text"),
    [
        ([(b"host", b"shop.example")], 200, "shop.example"),
        ([(b"host", b"shop.example:9006")], 404, "Route not found"),
        ([(b"host", b"SHOP.example")], 404, "Route not found"),
        ([], 400, "No host header provided"),
        ([(b"host", b"proxy.example"), (b"x-forwarded-host", b"shop.example")], 200, "shop.example"),
        ([(b"host", b"inner:80"), (b"x-forwarded-host", b"shop.example, other.example")], 200, "shop.example"),
        ([(b"host", b"proxy.example"), (b"x-forwarded-host", b"other.example")], 200, "proxy.example"),
        ([(b"host", b"proxy.example"), (b"x-forwarded-host", b"")], 200, "proxy.example"),
    ],
)
async def test_the_host_says_who_answers(headers: list[tuple[bytes, bytes]], status: int, text: str) -> None:
    hosts = Hosts()
    gateway = Gateway(Sites([hosts], hosts), 1000, lambda _: None)
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "raw_path": b"/",
        "query_string": b"",
        "headers": headers,
        "client": None,
        "scheme": "http",
    }
    await gateway(scope, receive, send)
    assert sent[0]["status"] == status
    assert sent[1]["body"].decode() == text
