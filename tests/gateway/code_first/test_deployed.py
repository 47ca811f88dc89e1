"""Agents of the TypeScript SDK behind their own HTTP routes: staged, planned, deployed and called over real sockets."""

from __future__ import annotations

import asyncio
import http.server
import json
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from golem_server.registry.accounts import DEFAULT_ENVIRONMENT_ID
from golem_server.settings import Settings
from golem_server.storage.embedded import EmbeddedPostgres
from tests.api.server import JSON, Answer, Client, ServerThread
from tests.guests import typescript
from tests.guests.languages import share_code
from tests.postgres import execute, url_of

ENVIRONMENT = f"/v1/envs/{DEFAULT_ENVIRONMENT_ID}"
APIS, MCPS = f"{ENVIRONMENT}/http-api-deployments", f"{ENVIRONMENT}/mcp-deployments"


@pytest.fixture(scope="module")
def server(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerThread]:
    """The server, on a database of its own, with both components of agents."""
    asyncio.run(execute(postgres.url, "CREATE DATABASE deployed TEMPLATE template_migrated"))
    data = tmp_path_factory.mktemp("data")
    share_code(data)
    settings = Settings(port=0, data_directory=data, database_url=SecretStr(url_of(postgres.url, "deployed")))
    with ServerThread(settings) as thread:
        client = Client(thread.port)
        for name in ("counter", "shop"):
            client.create(typescript.build(name), f"agents:{name}")
        yield thread


@pytest.fixture(scope="module")
def client(server: ServerThread) -> Client:
    """A caller of the API."""
    return Client(server.port)


def send(client: Client, method: str, path: str, content: object) -> Answer:
    """A request with a JSON body."""
    return client.send(method, path, json.dumps(content).encode(), JSON)


def deploy(client: Client, **said: Any) -> Answer:
    """Deploy what is staged, as the plan has it."""
    plan = client.get(f"{ENVIRONMENT}/plan").ok()
    body = {"currentRevision": plan["currentRevision"], "expectedDeploymentHash": plan["deploymentHash"], "version": ""}
    return client.post(f"{ENVIRONMENT}/deployments", {**body, **said})


def stage(client: Client, domain: str, **agents: Any) -> Any:
    """Register a domain, and stage an HTTP API at it."""
    client.post(f"{ENVIRONMENT}/domain-registrations", {"domain": domain}).ok()
    body = {"domain": domain, "webhooksPrefix": "hooks", "openapiEndpointPrefix": "/", "agents": agents}
    return client.post(APIS, body).ok()


def unstage(client: Client, staged: Any) -> None:
    """Take it back, with its domain."""
    current = client.get(f"/v1/http-api-deployments/{staged['id']}").ok()["revision"]
    assert client.send("DELETE", f"/v1/http-api-deployments/{staged['id']}?current_revision={current}").status == 204
    for each in client.get(f"{ENVIRONMENT}/domain-registrations").ok()["values"]:
        if each["domain"] == staged["domain"]:
            assert client.send("DELETE", f"/v1/domain-registrations/{each['id']}").status == 204


def test_agents_answer_where_they_are_deployed(client: Client, server: ServerThread) -> None:
    """Not before, at the revision that was deployed, and no more when their domain is given back."""
    staged = stage(client, "counters.example.com", CounterAgent={})
    assert staged["webhooksPrefix"] == "/hooks/"
    deployed = Client(server.deployed_port, None)
    host = {"host": "counters.example.com"}
    assert deployed.send("POST", "/counters/a/increment", headers=host).status == 404
    first = deploy(client).ok()
    assert first["currentRevision"] == first["revision"] == 0
    for expected in (1, 2):
        answer = deployed.send("POST", "/counters/a/increment", headers=host)
        assert (answer.status, answer.json) == (200, expected)
    added = deployed.send("POST", "/counters/a/add", b'{"n": 5}', {**host, **JSON})
    assert added.json == 7
    assert deployed.send("GET", "/counters/b/value", headers=host).json == 0
    document = deployed.send("GET", "/openapi.json", headers=host)
    assert "/counters/{name}/increment" in document.json["paths"]
    preflight = {**host, "origin": "https://shop.example", "access-control-request-method": "POST"}
    asked = deployed.send("OPTIONS", "/counters/a/increment", headers=preflight)
    assert (asked.status, asked.headers["access-control-allow-origin"]) == (204, "https://shop.example")
    deploy(client).refused(409, code="DEPLOYMENT_NOOP")
    unstage(client, staged)
    assert deployed.send("POST", "/counters/a/increment", headers=host).status == 404
    assert deploy(client).ok()["revision"] == 1


def test_a_deployment_is_looked_into(client: Client) -> None:
    """Its summary is the plan that it was made of; its agent types say who implements them."""
    staged = stage(client, "looked.example.com", CounterAgent={"security": None})
    plan = client.get(f"{ENVIRONMENT}/plan").ok()
    made = deploy(client, version="v1").ok()
    path = f"{ENVIRONMENT}/deployments/{made['revision']}"
    summary = client.get(f"{path}/summary").ok()
    assert summary == {
        **{k: v for k, v in plan.items() if k != "currentRevision"},
        "deploymentRevision": made["revision"],
    }
    assert made in [
        {**each, "currentRevision": made["currentRevision"]}
        for each in client.get(f"{ENVIRONMENT}/deployments?version=v1").ok()["values"]
    ]
    names = [each["componentName"] for each in client.get(f"{path}/components").ok()["values"]]
    assert names == ["agents:counter", "agents:shop"]
    assert client.get(f"{path}/components/agents%3Acounter").ok()["revision"] == 0
    types = client.get(f"{path}/agent-types").ok()["values"]
    assert [each["agentType"]["typeName"] for each in types] == [
        "CartAgent",
        "CatalogAgent",
        "CounterAgent",
        "CourierAgent",
        "TillAgent",
    ]
    one = client.get(f"{path}/agent-types/CounterAgent").ok()
    assert one["webhookPrefixAuthorityAndPath"] == "looked.example.com/hooks/"
    assert client.get(f"{path}/http-api-deployments/looked.example.com").ok() == staged
    client.get(f"{path}/http-api-deployments/none.example.com").refused(404, code="DEPLOYMENT_NOT_FOUND")
    client.get(f"{path}/agent-types/None").refused(404, code="AGENT_TYPE_NOT_FOUND")
    client.get(f"{ENVIRONMENT}/deployments/999/summary").refused(404, code="DEPLOYMENT_NOT_FOUND")
    back = made["revision"] - 1
    switch = {"currentRevision": made["currentRevision"], "deploymentRevision": back}
    current = send(client, "PUT", f"{ENVIRONMENT}/current-deployment", switch).ok()
    assert (current["revision"], current["currentRevision"]) == (back, made["currentRevision"] + 1)
    send(client, "PUT", f"{ENVIRONMENT}/current-deployment", switch).refused(409, code="CONCURRENT_UPDATE")
    again = {**switch, "currentRevision": current["currentRevision"]}
    send(client, "PUT", f"{ENVIRONMENT}/current-deployment", again).refused(409, code="DEPLOYMENT_NOOP")
    unstage(client, staged)


def test_what_cannot_be_served_is_not_deployed(client: Client) -> None:
    """Everything that is wrong is told at once."""
    staged = stage(client, "wrong.example.com", Missing={}, CounterAgent={}, Another={})
    refused = deploy(client)
    refused.refused(400, "agent type Missing is not part of the deployment", code="DEPLOYMENT_VALIDATION_FAILED")
    assert any("Another" in each for each in refused.json["errors"])
    assert all(each.startswith("HTTP_API_ROUTES: ") for each in refused.json["errors"])
    unstage(client, staged)


def test_who_is_behind_is_told(client: Client) -> None:
    """By the hash of what is staged, and by the count of what was made current."""
    deploy(client, expectedDeploymentHash="0" * 64).refused(409, code="DEPLOYMENT_HASH_MISMATCH")
    deploy(client, currentRevision=999).refused(409, code="CONCURRENT_UPDATE")


def test_staged_apis_have_revisions(client: Client) -> None:
    """Each change names the one before; old ones stay readable, and a domain continues its numbers."""
    made = stage(client, "revised.example.com", CounterAgent={})
    path = f"/v1/http-api-deployments/{made['id']}"
    header = {"security": {"type": "TestSessionHeader", "headerName": "X-Me"}}
    change = {"currentRevision": 0, "webhookPrefix": "/w/", "agents": {"CounterAgent": header}}
    changed = send(client, "PATCH", path, change).ok()
    assert (changed["revision"], changed["webhooksPrefix"], changed["agents"]) == (1, "/w/", {"CounterAgent": header})
    assert changed["hash"] != made["hash"]
    send(client, "PATCH", path, change).refused(409, code="CONCURRENT_UPDATE")
    old = f"/v1/http-api-deployment/{made['id']}/revisions"
    assert client.get(f"{old}/0").ok() == made
    client.post(APIS, {"domain": "revised.example.com", "agents": {}}).refused(
        409, code="HTTP_API_DEPLOYMENT_ALREADY_EXISTS"
    )
    client.send("DELETE", f"{path}?current_revision=0").refused(409, code="CONCURRENT_UPDATE")
    assert client.send("DELETE", f"{path}?current_revision=1").status == 204
    client.get(path).refused(404, code="DEPLOYMENT_NOT_FOUND")
    assert client.get(f"{old}/1").ok() == changed
    again = client.post(APIS, {"domain": "revised.example.com", "agents": {}}).ok()
    assert (again["id"], again["revision"]) == (made["id"], 3)
    assert client.get(f"{APIS}/revised.example.com").ok() == again
    unstage(client, again)


def test_mcp_endpoints_are_staged_alike(client: Client) -> None:
    """With a hash of their own."""
    client.post(MCPS, {"domain": "mcp.example.com", "agents": {}}).refused(409, code="DOMAIN_NOT_REGISTERED")
    client.post(f"{ENVIRONMENT}/domain-registrations", {"domain": "mcp.example.com"}).ok()
    made = client.post(MCPS, {"domain": "mcp.example.com", "agents": {"CounterAgent": {"securityScheme": None}}}).ok()
    assert made["hash"] == "151d1591c8af4182e792a9331c1a1b80e59652e745d45fac65efcf4e9e5368f4"
    changed = send(client, "PATCH", f"/v1/mcp-deployments/{made['id']}", {"currentRevision": 0, "agents": {}}).ok()
    assert client.get(f"{MCPS}/mcp.example.com").ok() == changed
    assert client.get(f"/v1/mcp-deployment/{made['id']}/revisions/0").ok() == made
    assert client.send("DELETE", f"/v1/mcp-deployments/{made['id']}?current_revision=1").status == 204
    assert client.get(MCPS).ok() == {"values": []}


WRONG: list[tuple[str, str, object]] = [
    ("POST", f"{ENVIRONMENT}/domain-registrations", {"domain": "a b"}),
    ("POST", f"{ENVIRONMENT}/domain-registrations", {"domain": "x" * 300}),
    ("POST", f"{ENVIRONMENT}/domain-registrations", {}),
    ("POST", APIS, {"domain": "a"}),
    ("POST", APIS, {"domain": "a", "agents": []}),
    ("POST", APIS, {"domain": "a", "agents": {"A": {"security": {"type": "None"}}}}),
    ("POST", APIS, {"domain": "a", "agents": {}, "webhooksPrefix": "a b"}),
    ("POST", MCPS, {"domain": "a", "agents": {"A": {"securityScheme": 1}}}),
    ("POST", f"{ENVIRONMENT}/deployments", {}),
    ("POST", f"{ENVIRONMENT}/deployments", {"expectedDeploymentHash": "x", "currentRevision": -1}),
    ("POST", f"{ENVIRONMENT}/deployments", {"expectedDeploymentHash": "x", "agentSecretDefaults": [{}]}),
    ("PUT", f"{ENVIRONMENT}/current-deployment", {"currentRevision": 1 << 70, "deploymentRevision": 0}),
    ("GET", f"{ENVIRONMENT}/deployments/x/summary", None),
    ("GET", "/v1/http-api-deployment/not-a-uuid/revisions/0", None),
    ("DELETE", "/v1/http-api-deployments/00000000-0000-0000-0000-000000000000", None),
]


@pytest.mark.parametrize(("method", "path", "content"), WRONG)
def test_what_is_wrong_is_told(client: Client, method: str, path: str, content: object) -> None:
    """400 or 404, never worse."""
    answer = client.send(method, path) if content is None else send(client, method, path, content)
    assert answer.status in (400, 404), answer.body
    assert answer.json["error"]


@pytest.mark.parametrize("kind", ["domain-registrations", "http-api-deployments", "mcp-deployments"])
def test_what_is_not_there_is_not_found(client: Client, kind: str) -> None:
    """By its id."""
    client.get(f"/v1/{kind}/00000000-0000-0000-0000-000000000000").refused(404)


def test_a_domain_has_one_owner(client: Client) -> None:
    """And gives it back."""
    made = client.post(f"{ENVIRONMENT}/domain-registrations", {"domain": "mine.example.com:9006"}).ok()
    client.post(f"{ENVIRONMENT}/domain-registrations", {"domain": "mine.example.com:9006"}).refused(
        409, code="DOMAIN_ALREADY_EXISTS"
    )
    assert client.get(f"/v1/domain-registrations/{made['id']}").ok() == made
    assert client.send("DELETE", f"/v1/domain-registrations/{made['id']}").status == 204
    client.send("DELETE", f"/v1/domain-registrations/{made['id']}").refused(404)


@contextmanager
def listener() -> Generator[tuple[str, SimpleQueue[str]]]:
    """A URL, and what is posted to it."""
    posted: SimpleQueue[str] = SimpleQueue()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.put(self.rfile.read(int(self.headers["content-length"])).decode())
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/", posted
        finally:
            server.shutdown()
            thread.join()


def test_a_webhook_completes_a_promise(client: Client, server: ServerThread) -> None:
    """The agent announces its address, waits, and answers with what somebody posts there."""
    domain = f"localhost:{server.deployed_port}"
    staged = stage(client, domain, CartAgent={})
    deploy(client).ok()
    deployed = Client(server.deployed_port, None)
    answers: SimpleQueue[Answer] = SimpleQueue()
    with listener() as (url, posted):

        def wait() -> None:
            body = json.dumps({"announceTo": url}).encode()
            answers.put(deployed.send("POST", "/shops/s/carts/ann/webhook", body, {"host": domain, **JSON}))

        waiting = threading.Thread(target=wait)
        waiting.start()
        address = urlsplit(posted.get(timeout=30))
        assert address.netloc == domain
        assert address.path.startswith("/hooks/")
        forged = deployed.send("POST", f"{address.path[:-4]}AAAA", b"no", {"host": domain})
        assert forged.status in (400, 404)
        assert deployed.send("POST", address.path, b"paid", {"host": domain}).status == 204
        waiting.join(30)
    answer = answers.get(timeout=5)
    assert (answer.status, answer.json) == (200, "paid")
    unstage(client, staged)
