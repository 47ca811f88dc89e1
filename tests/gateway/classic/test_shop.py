"""The example of the README: an API in front of a shopping cart, used by a client and by a page of another origin."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from examples.build import EXAMPLES, build_cart
from tests.api.server import Client, ServerThread
from tests.chromium import CHROMIUM, chromium
from tests.gateway.classic.conftest import Api

_PAGE = """<!doctype html><meta charset="utf-8"><pre id="seen"></pre><script>
async function shop() {
  const cart = "http://localhost:%d/carts/page";
  const item = {product: "book", price: 12.5, quantity: 2};
  const options = {method: "POST", headers: {"content-type": "application/json"}, body: JSON.stringify(item)};
  const added = await fetch(cart + "/items", options);
  const read = await (await fetch(cart)).json();
  let forbidden = "allowed";
  try { await fetch(cart + "/items/book", {method: "DELETE"}); } catch (error) { forbidden = "forbidden"; }
  return [added.status, read.length, read[0].product, forbidden].join(" ");
}
shop().catch(String).then(text => { document.getElementById("seen").textContent = "saw: " + text; });
</script>"""


@pytest.fixture(scope="module")
def shop(server: ServerThread, client: Client, tmp_path_factory: pytest.TempPathFactory) -> Api:
    """The cart in Python, and its API, as `make examples` and the README make them."""
    wasm = build_cart(tmp_path_factory.mktemp("shop")).read_bytes()
    client.create(wasm, "example:shop")
    routes = yaml.safe_load((EXAMPLES / "shopping-cart" / "api.yaml").read_text(encoding="utf-8"))["routes"]
    return Api(server, client, routes, host=f"localhost:{server.deployed_port}")


def test_a_customer_shops(shop: Api) -> None:
    """Items add up, an order empties the cart, and the key of an order gives the same order again."""
    item = {"product": "book", "price": 12.5, "quantity": 2}
    assert shop.call("POST", "/carts/ann/items", item).status == 201
    assert shop.call("POST", "/carts/ann/items", item).json == [{**item, "quantity": 4}]
    assert shop.call("GET", "/carts/ben").json == []
    ordered = shop.call("POST", "/carts/ann/orders", headers={"idempotency-key": "order-1"})
    assert (ordered.status, ordered.json["ok"]["total"]) == (201, 50)
    assert shop.call("POST", "/carts/ann/orders", headers={"idempotency-key": "order-1"}).json == ordered.json
    empty = shop.call("POST", "/carts/ann/orders")
    assert (empty.status, empty.json) == (409, {"err": "the cart is empty"})
    assert shop.call("DELETE", "/carts/ann/items/book").status == 404


@contextmanager
def other_origin(page: str) -> Generator[str]:
    """The URL of a page that another server has."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as pages:
        thread = threading.Thread(target=pages.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{pages.server_address[1]}/"
        finally:
            pages.shutdown()
            thread.join()


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian: apt-get install chromium)")
def test_a_page_of_another_origin_shops(shop: Api, tmp_path: Path) -> None:
    """The browser asks first, and lets the page read what the API allows; what no preflight allows it refuses."""
    with (
        other_origin(_PAGE % shop.deployed.port) as url,
        chromium(tmp_path, "--virtual-time-budget=20000", "--dump-dom", url) as browser,
    ):
        seen, _ = browser.communicate(timeout=60)
    assert browser.returncode == 0
    assert "saw: 201 1 book forbidden" in seen, seen
