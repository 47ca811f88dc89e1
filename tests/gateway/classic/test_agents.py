"""Scripts call agents of the TypeScript SDK: made by their constructors, called by their methods."""

from __future__ import annotations

import pytest

from tests.api.server import JSON, Client, ServerThread
from tests.gateway.classic.conftest import Api, route
from tests.guests import typescript

INCREMENT = "let c = counter-agent(request.path.name); let n = c.increment(); {body: n}"
PUT = """let c = catalog-agent(request.path.shop);
let item = c.put(request.path.sku, request.body);
let found = c.find(request.path.sku);
match found { some(f) => {status: 201, body: f}, none => {status: 404, body: item} }"""


@pytest.fixture(scope="module")
def api(server: ServerThread, client: Client) -> Api:
    """Routes in front of two components of agents."""
    for name in ("counter", "shop"):
        client.create(typescript.build(name), f"agents:{name}")
    return Api(
        server,
        client,
        [
            route("Post", "/counters/{name}", INCREMENT, component="agents:counter"),
            route("Put", "/shops/{shop}/{sku}", PUT, component="agents:shop"),
        ],
    )


def test_an_agent_is_made_and_called(api: Api) -> None:
    """Each by its name; a request that is repeated with its key has one effect."""
    assert [api.call("POST", "/counters/a").json for _ in range(2)] == [1, 2]
    keyed = [api.call("POST", "/counters/b", headers={"idempotency-key": "k"}).json for _ in range(2)]
    assert keyed == [1, 1]
    assert api.call("POST", "/counters/%22quoted%22").json == 1


def test_records_and_options_go_both_ways(api: Api) -> None:
    """With the types of the agent."""
    item = {
        "sku": "b",
        "title": "Book",
        "priceCents": 5,
        "category": "book",
        "tags": ["x"],
        "inStock": True,
        "size": None,
    }
    answer = api.call("PUT", "/shops/s/b", item, JSON)
    assert (answer.status, answer.json) == (201, item)
    refused = api.call("PUT", "/shops/s/b", {**item, "category": "none"}, JSON)
    assert refused.status == 400
    assert b"category" in refused.body


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ("let c = counter-agent(1: u8); c.increment()", "expected string, found u8"),
        ('let c = counter-agent("a"); c.none()', "function 'none' not found"),
        ('let c = counter-agent("a"); c.add("x")', "found string"),
    ],
)
def test_what_does_not_fit_is_refused(api: Api, response: str, reason: str) -> None:
    """When the definition is written."""
    routes = [route("Get", "/", response, component="agents:counter")]
    api.client.post("/v1/api/definitions", {"id": "no-agent", "version": "1", "routes": routes}).refused(400, reason)
