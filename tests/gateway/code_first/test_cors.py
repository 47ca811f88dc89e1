"""Pages of other origins may call what agents allow them to (reference: gateway, section 3.5)."""

from __future__ import annotations

from typing import Any

import pytest

from golem_server.model.http_api_deployments import TestSessionHeader
from tests.gateway.code_first.called_site import Answer, CalledSite

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(900)]

SHOP = "https://shop.example"
VARY = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"
ITEM = "/shops/cors/items/b-1"


async def preflight(
    site: CalledSite, path: str, method: str | None, origin: str | None = SHOP, asked: str | None = None
) -> Answer:
    """What a browser asks before a call."""
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": asked,
    }
    return await site.call("OPTIONS", path, headers={name: text for name, text in headers.items() if text is not None})


async def test_a_call_from_an_allowed_origin_is_shown_to_its_page(shop: CalledSite) -> None:
    allowed = await shop.call("GET", ITEM, headers={"Origin": SHOP})
    assert allowed.headers["access-control-allow-origin"] == SHOP
    assert allowed.headers["access-control-allow-credentials"] == "true"
    assert allowed.headers["vary"] == "Origin"
    other = await shop.call("GET", ITEM, headers={"Origin": "https://other.example"})
    assert other.status == allowed.status == 404
    assert {name for name in other.headers if name.startswith("access-control")} == set()
    assert other.headers["vary"] == "Origin"
    anyone = await shop.call("GET", "/counters/cors/value", headers={"Origin": "https://other.example"})
    assert (anyone.status, anyone.headers["access-control-allow-origin"]) == (200, "https://other.example")
    none = await shop.call("GET", "/shops/cors/till/orders", headers={"Origin": SHOP})
    assert (none.status, "vary" in none.headers) == (200, False)


async def test_a_page_can_read_what_is_wrong_with_its_call(shop: CalledSite) -> None:
    answer = await shop.call("GET", "/shops/cors/items?limit=x", headers={"Origin": SHOP})
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (400, SHOP)


async def test_a_preflight_is_answered_for_the_method_that_it_asks_for(shop: CalledSite) -> None:
    allowed = await preflight(shop, ITEM, "PUT", asked="Content-Type, idempotency-key")
    assert (allowed.status, allowed.body) == (204, b"")
    assert allowed.headers == {
        "access-control-allow-origin": SHOP,
        "access-control-allow-methods": "PUT",
        "access-control-allow-headers": "Content-Type, idempotency-key",
        "access-control-allow-credentials": "true",
        "access-control-max-age": "3600",
        "vary": VARY,
    }
    plain = await preflight(shop, ITEM, "GET")
    assert (plain.status, "access-control-allow-headers" in plain.headers) == (204, False)
    bound = await preflight(shop, "/shops/cors/echo/a/b", "GET", asked="x-request-id")
    assert bound.status == 204


@pytest.mark.parametrize(
    ("path", "method", "origin", "asked"),
    [
        (ITEM, "POST", SHOP, None),
        (ITEM, "GET", "https://other.example", None),
        (ITEM, "GET", "null", None),
        (ITEM, "GET", SHOP, "content-type"),
        (ITEM, "PUT", SHOP, "content-type, x-other"),
    ],
)
async def test_a_preflight_is_refused(shop: CalledSite, path: str, method: str, origin: str, asked: str | None) -> None:
    answer = await preflight(shop, path, method, origin, asked)
    assert (answer.status, answer.headers) == (403, {"vary": VARY})


async def test_a_preflight_must_say_what_it_asks(shop: CalledSite) -> None:
    for method, origin in ((None, SHOP), ("GET", None)):
        answer = await preflight(shop, ITEM, method, origin)
        assert (answer.status, answer.json["code"]) == (400, "REQUEST_MISSING_VALUE")
    assert (await preflight(shop, "/shops/cors/till/orders", "GET")).status == 404


async def test_a_preflight_may_ask_for_the_header_of_a_test_session(shop: CalledSite) -> None:
    def closed(type_: dict[str, Any]) -> None:
        type_["httpMount"]["authDetails"] = {"required": True}

    site = shop.with_changes(closed, security=TestSessionHeader("X-Test"))
    assert (await preflight(site, ITEM, "GET", asked="X-Test")).status == 204
