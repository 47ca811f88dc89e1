"""Who gets in: tokens, cookies, and that those who do not learn nothing."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from golem_server.model.ids import AccountId
from golem_server.model.registry import Account
from golem_server.registry.accounts import DEFAULT_ACCOUNT_ID
from golem_server.registry.tokens import LOCAL_TOKEN
from golem_server.storage.database import Database
from golem_server.storage.registry_store import PostgresRegistryStore
from tests.api.server import COMPONENTS, NOBODYS, Client, ServerThread

PATHS = (
    ("GET", COMPONENTS),
    ("POST", COMPONENTS),
    ("GET", "/v1/components/not-a-uuid"),
    ("POST", f"/v1/components/{NOBODYS}/workers/w/invoke-and-await?function=f"),
    ("POST", f"/v1/components/{NOBODYS}/workers/w/invoke"),
    ("GET", f"/v1/components/{NOBODYS}/workers/w/connect"),
    ("GET", "/v1/api/definitions"),
    ("POST", f"/v1/accounts/{NOBODYS}/plugins"),
)


@pytest.mark.parametrize("token", [None, "", "short", "x" * 40, LOCAL_TOKEN + "x", "ä" * 20, LOCAL_TOKEN.upper()])
@pytest.mark.parametrize(("method", "path"), PATHS)
def test_without_a_known_token_nothing_is_told(client: Client, method: str, path: str, token: str | None) -> None:
    answer = Client(client.port, token).send(method, path)
    answer.refused(401, code="AUTH_UNAUTHORIZED")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_cookie_is_as_good_and_a_bearer_token_counts_before_it(client: Client) -> None:
    nobody = Client(client.port, None)
    assert nobody.get(COMPONENTS, cookie=f"a=b; GOLEM_SESSION={LOCAL_TOKEN}").status == 200
    nobody.get(COMPONENTS, cookie="GOLEM_SESSION=").refused(401)
    nobody.get(COMPONENTS, authorization="Basic abc").refused(401)
    assert nobody.get(COMPONENTS, authorization=f"bearer {LOCAL_TOKEN}").status == 200
    Client(client.port, "x" * 40).get(COMPONENTS, cookie=f"GOLEM_SESSION={LOCAL_TOKEN}").refused(401)
    assert client.get(COMPONENTS, cookie="GOLEM_SESSION=unknown-token-of-some-length").status == 200


def test_tokens_work_until_they_expire_or_are_revoked(client: Client, server: ServerThread) -> None:
    long_ago = datetime.now(UTC) - timedelta(seconds=1)
    token, secret = server.run(lambda services: services.tokens.create(DEFAULT_ACCOUNT_ID))
    _, expired = server.run(lambda services: services.tokens.create(DEFAULT_ACCOUNT_ID, long_ago))
    caller = Client(client.port, secret)
    assert caller.get(COMPONENTS).status == 200
    Client(client.port, expired).get(COMPONENTS).refused(401, "Could not authenticate user using token")
    server.run(lambda services: services.tokens.revoke(token.id))
    caller.get(COMPONENTS).refused(401, "Could not authenticate user using token")


def test_what_belongs_to_others_is_answered_like_what_does_not_exist(
    client: Client, server: ServerThread, component: str
) -> None:
    account = Account(
        id=AccountId(uuid4()), name="Stranger", email="s@example.org", role="user", created_at=datetime.now(UTC)
    )

    async def enter() -> None:
        database = Database(server.database_url)
        await database.open()
        await PostgresRegistryStore(database).add_account(account)
        await database.close()

    asyncio.run(enter())
    _, secret = server.run(lambda services: services.tokens.create(account.id))
    caller = Client(client.port, secret)
    client.call(f"{component}/workers/mine", "increment").ok()
    unknown = f"/v1/components/{uuid4()}"
    for method, suffix in (
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "/workers"),
        ("GET", "/workers/mine"),
        ("DELETE", "/workers/mine"),
        ("GET", "/workers/mine/oplog"),
        ("GET", "/revisions/0/wasm"),
        ("POST", "/workers/mine/interrupt"),
        ("POST", "/workers/mine/invoke-and-await?function=x"),
        ("POST", "/workers/a%20b/invoke?function=x"),
    ):
        answers = [caller.send(method, f"{path}{suffix}") for path in (component, unknown)]
        ids = [path.rpartition("/")[2].encode() for path in (component, unknown)]
        assert answers[0].status == 404
        assert answers[0].body.replace(ids[0], b"") == answers[1].body.replace(ids[1], b"")
    caller.get(COMPONENTS).refused(404, "Environment not found")
    assert client.call(f"{component}/workers/mine", "increment").ok()["result"]["value"] == 2


def test_health_version_and_figures_need_no_token(client: Client) -> None:
    nobody = Client(client.port, None)
    assert nobody.get("/healthcheck").ok() == {}
    assert "version" in nobody.get("/version").ok()
    figures = nobody.get("/metrics")
    assert figures.status == 200
    assert b"golem_http_requests_total" in figures.body
