"""Agents call each other, wait for one another over `kill -9`, and have each call done once."""

from __future__ import annotations

import asyncio

import pytest

from tests.agents.agent_server import AgentServer

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(900)]
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


async def test_a_checkout_waits_for_its_decision_over_kills(server: AgentServer) -> None:
    catalog, till = server.agent("CatalogAgent", "books"), server.agent("TillAgent", "books")
    cart = server.agent("CartAgent", "books", "ann")
    assert await catalog.value("put", "b-1", BOOK) == BOOK
    added = await cart.value("add", "b-1", 2, key="add")
    assert added == {"ok": [{"item": BOOK, "quantity": 2}]}
    assert "err" in await cart.value("add", "b-2", 1)
    checkout = asyncio.create_task(cart.value("checkout", key="checkout"))
    await server.until(cart, lambda metadata: metadata["status"] == "Suspended")
    await server.kill()
    assert await till.value("pending") == [{"order": "ann-1", "totalCents": 2500}]
    assert await cart.value("add", "b-1", 2, key="add") == added
    assert await till.value("decide", "ann-1", "approved") is True
    assert await checkout == {"order": "ann-1", "decision": "approved", "totalCents": 2500}
    await server.kill()
    assert await cart.value("checkout", key="checkout") == {
        "order": "ann-1",
        "decision": "approved",
        "totalCents": 2500,
    }
    assert await till.value("pending") == []


async def test_calls_that_nobody_waits_for_arrive_once(server: AgentServer) -> None:
    bob, carol = server.agent("CartAgent", "notes", "bob"), server.agent("CartAgent", "notes", "carol")
    await bob.value("nudge", "carol", "look")
    await bob.value("remindLater", 0.2, "soon")
    await server.kill()
    while not (notes := await bob.value("notes")):
        pass
    assert [note.split(" ", 1)[1] for note in notes] == ["soon"]
    while not (notes := await carol.value("notes")):
        pass
    assert [note.split(" ", 1)[1] for note in notes] == ["look"]
