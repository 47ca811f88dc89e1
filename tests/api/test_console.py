"""The console's files over HTTP, and what its page asks beside the contract; the page itself is tests/console."""

from __future__ import annotations

import asyncio

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from golem_server.registry.tokens import LOCAL_TOKEN
from tests.api.server import Client, worker_path


def test_the_page_needs_no_token_and_nothing_from_elsewhere(client: Client) -> None:
    """Its policy allows this server alone."""
    nobody = Client(client.port, None)
    for path in ("/console", "/console/", "/console/index.html"):
        page = nobody.get(path)
        assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "default-src 'none'; script-src 'self'" in page.headers["content-security-policy"]
        assert b"//" not in page.body.replace(b"http://www.w3.org", b"")
    script = nobody.get("/console/console.js")
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    again = nobody.send("GET", "/console/console.js", headers={"if-none-match": script.headers["etag"]})
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize("path", ["/console/none.js", "/console/..%2fapplication.py", "/console/console.py"])
def test_only_its_own_files_are_served(client: Client, path: str) -> None:
    """Whatever the path."""
    client.get(path).refused(404)


def test_what_the_page_must_know_needs_a_token(client: Client) -> None:
    """Which shows whether the token is accepted."""
    Client(client.port, None).get("/console/settings.json").refused(401)
    assert client.get("/console/settings.json").ok()["application"] == "default"


def test_a_worker_without_a_type_is_no_agent(client: Client, component: str) -> None:
    """The page asks what the name of an agent means."""
    client.get(f"/console/agents/{component.rpartition('/')[2]}/w").refused(400, "has no agents")


def test_a_page_may_send_its_token_as_a_protocol(client: Client, component: str) -> None:
    """A browser's WebSocket can have no header; the protocol with the token is never the one that is taken."""
    path = worker_path(component, "watched-by-a-page")
    client.call(path, "increment").ok()
    url = f"ws://127.0.0.1:{client.port}{path}/connect"

    async def protocol(*offered: str) -> str | None:
        async with connect(url, subprotocols=[Subprotocol(each) for each in offered]) as socket:
            assert b"InvocationStart" in str(await asyncio.wait_for(socket.recv(), 10)).encode()
            return socket.subprotocol

    assert asyncio.run(protocol("golem-events", f"bearer.{LOCAL_TOKEN}")) == "golem-events"
    with pytest.raises(InvalidStatus) as refused:
        asyncio.run(protocol("golem-events", "bearer.wrong-wrong-wrong-wrong"))
    assert refused.value.response.status_code == 401
