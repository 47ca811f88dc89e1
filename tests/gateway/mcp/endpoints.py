"""MCP endpoints of tests: how agents are deployed at a domain, and one request as the wire carries it."""

from __future__ import annotations

import http.client
import json
from typing import Any

from golem_server.registry.accounts import DEFAULT_ENVIRONMENT_ID
from tests.api.server import SECONDS, Client, ServerThread

ENVIRONMENT = f"/v1/envs/{DEFAULT_ENVIRONMENT_ID}"
INITIALIZE: dict[str, Any] = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-03-26",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
ACCEPT = {"accept": "application/json, text/event-stream", "content-type": "application/json"}


def deploy(client: Client, domain: str, agents: dict[str, Any]) -> None:
    """Deploy agents at a domain, besides what is deployed."""
    client.post(f"{ENVIRONMENT}/domain-registrations", {"domain": domain}).ok()
    client.post(f"{ENVIRONMENT}/mcp-deployments", {"domain": domain, "agents": agents}).ok()
    plan = client.get(f"{ENVIRONMENT}/plan").ok()
    body = {"currentRevision": plan["currentRevision"], "expectedDeploymentHash": plan["deploymentHash"]}
    client.post(f"{ENVIRONMENT}/deployments", body).ok()


def post(server: ServerThread, host: str, content: object, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """One request, as it is."""
    connection = http.client.HTTPConnection("127.0.0.1", server.mcp_port, timeout=SECONDS)
    try:
        sent = {**ACCEPT, "host": host, **headers}
        connection.request("POST", "/mcp", json.dumps(content).encode(), sent)
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()
