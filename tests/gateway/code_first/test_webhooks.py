"""Whoever has the address of a webhook completes its promise, and nobody else (reference: gateway, section 3.7)."""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golem_server.gateway.code_first.failures import RequestFailure
from golem_server.gateway.code_first.webhooks import WebhookAddresses, WebhookIds
from golem_server.model.ids import ComponentId, EnvironmentId, OplogIndex, PromiseId, WorkerId
from golem_server.storage.database import Database
from golem_server.storage.secret_store import PostgresSecretStore
from tests.gateway.code_first.called_site import CalledSite
from tests.gateway.code_first.declared_agents import ENVIRONMENT, STRING, agent_type, deployed_api
from tests.model.wit_strategies import CHARACTERS

KEY = b"key"
PROMISE = PromiseId(WorkerId(ComponentId(UUID(int=7)), 'Cart("ö")'), OplogIndex(12))


def _promise(component: UUID, name: str, index: int) -> PromiseId:
    return PromiseId(WorkerId(ComponentId(component), name), OplogIndex(index))


PROMISES = st.builds(_promise, st.uuids(), st.text(CHARACTERS, min_size=1, max_size=60), st.integers(0, (1 << 63) - 1))


@given(PROMISES)
def test_an_id_names_its_promise(promise: PromiseId) -> None:
    text = WebhookIds(KEY).encode(promise)
    assert WebhookIds(KEY).decode(text) == promise
    assert set(text) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def refusal(text: str) -> int:
    """The status with which an id is refused."""
    with pytest.raises(RequestFailure) as refused:
        WebhookIds(KEY).decode(text)
    return refused.value.status


@given(PROMISES, st.data())
def test_an_id_that_somebody_else_made_is_refused(promise: PromiseId, data: st.DataObject) -> None:
    assert refusal(WebhookIds(b"other").encode(promise)) == 404
    text = WebhookIds(KEY).encode(promise)
    content = bytearray(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    assert refusal(urlsafe_b64encode(content).rstrip(b"=").decode()) == 404


@pytest.mark.parametrize("text", ["", "a", "abc", "ä", "a b", "a" * 74, WebhookIds(KEY).encode(PROMISE) + "="])
def test_what_is_no_id_is_refused(text: str) -> None:
    assert refusal(text) == 400


def test_an_index_that_no_oplog_reaches_is_refused() -> None:
    assert refusal(WebhookIds(KEY).encode(PromiseId(PROMISE.worker_id, OplogIndex(1 << 63)))) == 404


class OneApi:
    """One agent type at a domain."""

    def __init__(self, domain: str) -> None:
        type_ = agent_type("CartAgent", "/carts/{cart}", {"cart": STRING}, [])
        self._api = deployed_api({"CartAgent": None}, type_, domain=domain, webhooks="/hooks/")

    async def deployed_http_api(self, domain: str) -> Any:
        """That."""
        return self._api

    async def http_api_of_agent(self, environment_id: EnvironmentId, type_name: str) -> Any:
        """That, for its agent type."""
        return self._api if (environment_id, type_name) == (ENVIRONMENT, "CartAgent") else None


@pytest.mark.parametrize(
    ("domain", "scheme", "expected"),
    [
        ("shop.localhost:9006", None, "http://shop.localhost:9006"),
        ("localhost", None, "http://localhost"),
        ("127.0.0.1:9006", None, "http://127.0.0.1:9006"),
        ("[::1]:9006", None, "http://[::1]:9006"),
        ("[::1]", None, "http://[::1]"),
        ("shop.example", None, "https://shop.example"),
        ("localhost.example:80", None, "https://localhost.example:80"),
        ("shop.example", "http", "http://shop.example"),
        ("localhost", "https", "https://localhost"),
    ],
)
async def test_an_address_is_at_the_domain_of_the_agents_type(domain: str, scheme: Any, expected: str) -> None:
    addresses = WebhookAddresses(OneApi(domain), WebhookIds(KEY), scheme)
    address = await addresses.webhook_address(ENVIRONMENT, "CartAgent", PROMISE)
    assert address == f"{expected}/hooks/cart-agent/{WebhookIds(KEY).encode(PROMISE)}"
    assert await addresses.webhook_address(ENVIRONMENT, "Other", PROMISE) is None


async def test_all_servers_on_a_database_have_one_key(database: Database) -> None:
    one, other = PostgresSecretStore(database), PostgresSecretStore(database)
    first, second = await asyncio.gather(one.secret("a"), other.secret("a"))
    assert first == second == await other.secret("a")
    assert len(first) == 32
    assert await one.secret("b") != first


def with_open_promises(type_: dict[str, Any]) -> None:
    """Let carts be asked for promises."""
    for method in type_["methods"]:
        paths = {"createOpenPromise": "open", "waitForOpenPromise": "wait"}
        if type_["typeName"] == "CartAgent" and method["name"] in paths:
            method["httpEndpoint"] = [
                {
                    "httpMethod": {"type": "Post"},
                    "pathSuffix": [{"type": "Literal", "value": paths[method["name"]]}],
                }
            ]


@pytest.mark.timeout(900)
@pytest.mark.asyncio(loop_scope="session")
async def test_a_post_completes_the_promise_once(shop: CalledSite) -> None:
    site = shop.with_changes(with_open_promises)
    opened = (await site.call("POST", "/shops/hooks/carts/ann/open")).json
    worker_id = WorkerId(site.api.agents["CartAgent"].component_id, 'CartAgent("hooks","ann")')
    index = opened["oplogIdx"]
    path = f"/webhooks/cart-agent/{site.webhook_ids.encode(PromiseId(worker_id, OplogIndex(int(index))))}"
    assert (await site.call("GET", path)).status == 404
    waiting = asyncio.create_task(site.call("POST", "/shops/hooks/carts/ann/wait"))
    answer = await site.call("POST", path, "grüß dich".encode(), headers={"Content-Type": "anything/at-all"})
    assert (answer.status, answer.body) == (204, b"")
    assert (await site.call("POST", path, b"too late")).status == 204
    assert (await waiting).json == "grüß dich"


@pytest.mark.timeout(900)
@pytest.mark.asyncio(loop_scope="session")
async def test_a_post_to_no_promise_is_refused(shop: CalledSite) -> None:
    await shop.call("GET", "/shops/hooks/carts/bob/notes")
    bob = WorkerId(shop.api.agents["CartAgent"].component_id, 'CartAgent("hooks","bob")')
    for promise in (PROMISE, PromiseId(bob, OplogIndex(2)), PromiseId(bob, OplogIndex(1 << 40))):
        answer = await shop.call("POST", f"/webhooks/cart-agent/{shop.webhook_ids.encode(promise)}")
        assert (answer.status, answer.json["code"]) == (404, "ROUTE_NOT_FOUND")
    assert (await shop.call("POST", "/webhooks/cart-agent/nothing")).status == 400
    large = shop.webhook_ids.encode(PromiseId(bob, OplogIndex(2)))
    assert (await shop.call("POST", f"/webhooks/cart-agent/{large}", b" " * (65 << 10))).status == 413
