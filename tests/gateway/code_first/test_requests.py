"""Requests become calls of real agents, and their results responses (reference: gateway, section 3.4)."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from golem_server.model.ids import WorkerId
from golem_server.model.oplog import InvocationStarted
from tests.gateway.code_first.called_site import Answer, CalledSite

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(900)]
"""The first run fetches the SDK and compiles it."""

BOOK = {
    "sku": "b-1",
    "title": "Durable",
    "priceCents": 1250,
    "category": "book",
    "tags": ["a", "b"],
    "inStock": True,
    "size": {"widthMm": 120, "heightMm": 190},
}


async def test_values_come_from_path_query_header_and_body(shop: CalledSite) -> None:
    assert (await shop.call("PUT", "/shops/values/items/b-1", json={"item": BOOK})).json == BOOK
    food = BOOK | {"sku": "f-1", "category": "food"}
    assert (await shop.call("PUT", "/shops/values/items/f%2D1/", json={"item": food})).json == food
    assert (await shop.call("GET", "/shops/values/items?category=food")).json == [food]
    assert (await shop.call("GET", "/shops/values/items?limit=1&limit2=x")).json == [BOOK]
    assert (await shop.call("GET", "/shops/values/items")).json == [BOOK, food]
    echoed = await shop.call("GET", "/shops/values/echo/a/%C3%B6%20b//c", headers={"X-REQUEST-ID": "id 1"})
    assert echoed.json == {"rest": "a/ö b//c", "requestId": "id 1"}
    assert (await shop.call("PUT", "/shops/values/items/a%2Fb", json={"item": BOOK})).json == BOOK | {"sku": "a/b"}
    # An agent is named by its constructor's values, however they were written.
    assert (await shop.call("GET", "/shops/v%61lues/items/b-1")).json == BOOK


async def test_results_tell_the_status(shop: CalledSite) -> None:
    none = await shop.call("GET", "/shops/results/items/b-1")
    assert (none.status, none.body) == (404, b"")
    refused = await shop.call("PATCH", "/shops/results/items/b-1/price", json={"priceCents": 1})
    assert (refused.status, refused.json) == (500, {"code": 404, "reason": "results has no b-1"})
    await shop.call("PUT", "/shops/results/items/b-1", json={"item": BOOK})
    accepted = await shop.call("PATCH", "/shops/results/items/b-1/price", json={"priceCents": 1})
    assert (accepted.status, accepted.json) == (200, BOOK | {"priceCents": 1})
    removed = await shop.call("DELETE", "/shops/results/items/b-1")
    assert (removed.status, removed.body) == (204, b"")
    count = await shop.call("POST", "/shops/results/leaflet", "Schön".encode(), headers={"Content-Language": "de"})
    assert (count.status, count.json) == (200, 5)
    leaflet = await shop.call("GET", "/shops/results/leaflet")
    assert (leaflet.status, leaflet.body.decode()) == (200, "Schön")
    assert leaflet.headers == {"content-type": "text/plain; charset=utf-8", "content-language": "en", "vary": "Origin"}
    picture = await shop.call("GET", "/shops/results/picture")
    assert (picture.status, picture.body, picture.headers["content-type"]) == (200, b"GIF89a", "image/gif")
    weighed = await shop.call("POST", "/shops/results/picture", b"123", headers={"Content-Type": "image/png"})
    assert (weighed.status, weighed.json) == (200, 3)


def failure(answer: Answer) -> tuple[int, str]:
    """The status and code of a failure, whose body has the shape for its status."""
    assert ("errors" in answer.json) is (answer.status == 400)
    return answer.status, answer.json["code"]


async def test_requests_that_are_wrong_are_refused_with_a_code(shop: CalledSite) -> None:
    async def refused(method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, str]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return failure(await shop.call(method, f"/shops/wrong{path}", body, headers=named))

    assert await refused("GET", "/nothing") == (404, "ROUTE_NOT_FOUND")
    assert await refused("POST", "/items/b-1") == (404, "ROUTE_NOT_FOUND")
    assert await refused("GET", "/%ff") == (400, "REQUEST_MALFORMED_PATH")
    assert await refused("GET", "/echo/a") == (400, "REQUEST_MISSING_VALUE")
    assert await refused("GET", "/echo/a", x_request_id="ö") == (400, "REQUEST_HEADER_NOT_ASCII")
    assert await refused("GET", "/items?limit=x") == (400, "REQUEST_VALUE_PARSING_FAILED")
    assert await refused("GET", "/items?category=Book") == (400, "REQUEST_VALUE_PARSING_FAILED")
    assert await refused("GET", "/items?limit=1&limit=2") == (400, "REQUEST_TOO_MANY_VALUES")
    assert await refused("GET", "/items?limit=%ff") == (400, "REQUEST_VALUE_PARSING_FAILED")
    assert await refused("GET", "/items?" + "a&" * 1001) == (400, "REQUEST_TOO_MANY_VALUES")
    assert await refused("PUT", "/items/b-1") == (400, "REQUEST_BODY_INVALID_JSON")
    assert await refused("PUT", "/items/b-1", b"{") == (400, "REQUEST_BODY_INVALID_JSON")
    assert await refused("PUT", "/items/b-1", b"[" * 5000) == (400, "REQUEST_BODY_INVALID_JSON")
    assert await refused("PUT", "/items/b-1", b'{"item": {}}') == (400, "REQUEST_JSON_BODY_PARSING_FAILED")
    assert await refused("PUT", "/items/b-1", b"{}") == (400, "REQUEST_JSON_BODY_PARSING_FAILED")
    assert await refused("PUT", "/items/b-1", b" " * (65 << 10)) == (413, "REQUEST_PAYLOAD_TOO_LARGE")
    assert await refused("POST", "/picture", b"1") == (400, "REQUEST_UNSUPPORTED_MIME_TYPE")
    assert await refused("POST", "/picture", b"1", content_type="text/plain") == (400, "REQUEST_UNSUPPORTED_MIME_TYPE")
    unsupported = (415, "REQUEST_UNSUPPORTED_TEXT_CONTENT_TYPE")
    assert await refused("POST", "/leaflet", b"1", content_type="text/html") == unsupported
    assert await refused("POST", "/leaflet", b"1", content_type="text/plain; charset=latin1") == unsupported
    assert await refused("POST", "/leaflet", b"\xff") == (400, "REQUEST_BODY_INVALID_UTF8")
    several = (400, "REQUEST_MULTI_VALUED_CONTENT_LANGUAGE")
    assert await refused("POST", "/leaflet", b"1", content_language="en, de") == several
    long = await shop.call("GET", f"/shops/{'x' * 3000}/items")
    assert failure(long) == (400, "REQUEST_VALUE_PARSING_FAILED")


async def test_all_values_that_are_wrong_are_told(shop: CalledSite) -> None:
    answer = await shop.call("GET", "/shops/all-wrong/items?limit=x&category=y")
    assert answer.json["errors"] == [
        "query value category: expected one of book, food, tool, found 'y'",
        "query value limit: expected a number, found 'x'",
    ]


async def test_what_failed_in_the_agent_is_told(shop: CalledSite) -> None:
    failing = shop.with_changes(_fail_at_value)
    answer = await failing.call("GET", "/counters/failing/value?message=b%C3%B6se+%2B")
    assert failure(answer) == (500, "INTERNAL_AGENT_EXECUTION_FAILED")
    assert set(answer.json) == {"code", "error", "workerError"}
    assert "böse +" in answer.json["workerError"]["stderr"]
    again = await failing.call("POST", "/counters/failing/increment")
    assert failure(again) == (500, "INTERNAL_AGENT_EXECUTION_FAILED")


def _fail_at_value(type_: dict[str, Any]) -> None:
    """Let the counter's method `fail` be called in the place of `value`."""
    methods = {each["name"]: each for each in type_["methods"]}
    if type_["typeName"] == "CounterAgent":
        methods["fail"]["httpEndpoint"] = methods["value"].pop("httpEndpoint")
        methods["fail"]["httpEndpoint"][0]["queryVars"] = [{"queryParamName": "message", "variableName": "message"}]


async def test_an_idempotency_key_calls_once(shop: CalledSite) -> None:
    first, again = [
        await shop.call("POST", "/counters/once/increment", headers={"Idempotency-Key": "k-1"}) for _ in range(2)
    ]
    assert (first.json, again.json) == (1, 1)
    assert (await shop.call("POST", "/counters/once/increment")).json == 2
    other = await shop.call("GET", "/counters/once/history", headers={"Idempotency-Key": "k-1"})
    assert failure(other) == (409, "CONCURRENT_UPDATE")


async def test_requests_at_once_are_each_done(shop: CalledSite) -> None:
    answers = await asyncio.gather(*(shop.call("POST", "/counters/many/increment") for _ in range(20)))
    assert sorted(answer.json for answer in answers) == list(range(1, 21))


async def test_each_request_has_an_ephemeral_agent_of_its_own(shop: CalledSite) -> None:
    assert [(await shop.call("POST", "/shops/e/courier/errands")).json for _ in range(2)] == [1, 1]


async def test_each_request_has_a_phantom_of_its_own(shop: CalledSite) -> None:
    def phantom(type_: dict[str, Any]) -> None:
        type_["httpMount"]["phantomAgent"] = True

    phantoms = shop.with_changes(phantom)
    assert [(await phantoms.call("POST", "/counters/p/increment")).json for _ in range(2)] == [1, 1]
    key = {"Idempotency-Key": str(uuid4())}
    assert [(await phantoms.call("POST", "/counters/p/increment", headers=key)).json for _ in range(2)] == [1, 1]
    component = shop.api.agents["CounterAgent"].component_id
    workers, _ = await shop.services.executor.list(component, None, 1000)
    names = [worker.worker.worker_id.name for worker in workers]
    assert len([name for name in names if name.startswith('CounterAgent("p")[')]) == 3


async def test_a_call_belongs_to_the_trace_of_its_request(shop: CalledSite) -> None:
    trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    headers = {"Traceparent": f"00-{trace}-{span}-01", "Tracestate": "a=1"}
    assert (await shop.call("GET", "/counters/traced/value?x=1", headers=headers)).json == 0
    worker_id = WorkerId(shop.api.agents["CounterAgent"].component_id, 'CounterAgent("traced")')
    part = await shop.services.executor.oplog(worker_id, 1, 100)
    started = [entry.invocation for _, entry in part.entries if isinstance(entry, InvocationStarted)]
    call = started[-1]
    assert (call.trace_id, call.trace_states) == (trace, ["a=1"])
    own, outer = call.invocation_context
    assert (outer.span_id, outer.inherited) == (span, True)
    assert own.attributes == {
        "request.method": "GET",
        "request.uri": "/counters/traced/value?x=1",
        "request.remote_addr": "192.0.2.1",
    }
