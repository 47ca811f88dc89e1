"""Two servers on one database: what one deploys the other serves as well, soon (`sites.POLL_SECONDS`)."""

from __future__ import annotations

import time
from pathlib import Path

from pydantic import SecretStr

from golem_server.settings import Settings
from tests.api.server import Client, ServerThread
from tests.gateway.classic.conftest import Api, route


def _wait_for(caller: Client, host: str, status: int) -> None:
    """Ask until a request to the host has this status."""
    began = time.monotonic()
    while caller.send("GET", "/a", headers={"host": host}).status != status:
        assert time.monotonic() - began < 20, f"never answered with {status}"


def test_a_change_is_live_on_every_server(server: ServerThread, client: Client, tmp_path: Path) -> None:
    """Whether something is deployed, added or taken away; the one that is asked knows at once."""
    settings = Settings(port=0, data_directory=tmp_path, database_url=SecretStr(server.database_url))
    component = client.create()["componentName"]
    with ServerThread(settings) as other:
        there = Client(other.deployed_port, None)
        api = Api(server, client, [route("Get", "/b", "{status: 200}", component=component, workerName='"w"')])
        assert there.send("GET", "/a", headers={"host": api.host}).status == 404
        more = {"id": f"{api.id}-more", "version": "1"}
        routes = [route("Get", "/a", "{status: 200}", component=component, workerName='"w"')]
        client.post("/v1/api/definitions", {**more, "routes": routes}).ok()
        client.post("/v1/api/deployments/deploy", {"apiDefinitions": [more], "site": {"host": api.host}}).ok()
        assert api.call("GET", "/a").status == 200
        _wait_for(there, api.host, 200)
        client.send("DELETE", f"/v1/api/deployments/{api.host}").ok()
        assert api.call("GET", "/a").status == 404
        _wait_for(there, api.host, 404)
