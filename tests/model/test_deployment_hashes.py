"""Hashes of deployments, against the worked examples of the reference (cli-1.5, section 3.4)."""

from __future__ import annotations

from typing import Any

import pytest

from golem_server.model.deployment_hashes import component_hash, deployment_hash, http_api_hash, mcp_hash
from golem_server.model.http_api_deployments import NamedSecurityScheme, TestSessionHeader

WASM = "48d3a2e8a9b0cde6293ba7f68824a97d069d096f44335a9e86aee55238dcdcb8"
NOTHING: dict[str, Any] = {"env": {}, "config": [], "files": [], "plugins": []}
GRANT = "11111111-1111-1111-1111-111111111111"
COUNTER: dict[str, Any] = {
    "env": {"LOG": "debug", "API_URL": "http://x"},
    "config": [
        {"path": ["model", "temperature"], "value": {"typ": None, "value": 0.5}},
        {"path": ["model", "name"], "value": {"typ": None, "value": "m1"}},
        {"path": ["limits"], "value": {"typ": None, "value": {"max": 10.0, "a": [1, 2.0]}}},
    ],
    "files": [
        {
            "path": "/data/hello.txt",
            "contentHash": "8e4c7c1b99dbfd50e7a95185fead5ee1448fa904a2fdd778eaf5f2dbfd629a99",
            "permissions": "read-only",
        }
    ],
    "plugins": [
        {
            "environmentPluginGrantId": GRANT,
            "priority": 0,
            "pluginName": "golem-otlp-exporter",
            "pluginVersion": "1.5.0",
            "parameters": {"endpoint": "http://localhost:4318"},
        }
    ],
}
LARGE = "493e898eca14135c193780408b496ef7fe1216d56a195dccf2682585ff6a72a6"


def test_components() -> None:
    """Without agents, with an agent that is given nothing, and with everything."""
    assert component_hash(WASM, {}) == "e91c519606d9a22c7dfc2520e5952d543d5d6a31fb6eaccff7d976ccb96f327c"
    small = component_hash(WASM, {"CounterAgent": NOTHING})
    assert small == "8b378213dd83e89c319e665a7ddf14e1ca1d3624627e70f8ffdceae8aacf211d"
    assert component_hash(WASM, {"CounterAgent": COUNTER, "AuditAgent": NOTHING}) == LARGE


def test_deployments() -> None:
    """With a component alone, and with an API and an MCP endpoint."""
    component = component_hash(WASM, {"CounterAgent": NOTHING})
    assert (
        deployment_hash({"demo:counter": component}, {}, {})
        == "79ae3072efbf79d376d2ef9846807cb78c860f9a4764f7a768eb0d81abdbb80e"
    )
    assert deployment_hash({}, {}, {}) == "6e46dd10defc9b56c29a6ec56b508c21f54c08192194e4df25bf36f0c9c3c279"
    agents = {"CounterAgent": TestSessionHeader("X-Test"), "AuditAgent": None}
    http = http_api_hash(agents, "/webhooks/", "/")
    assert http == "8141ac7def1248c41216075bab5117c0a46536af5a4c160e05c29dae7e23f8a3"
    mcp = mcp_hash({"CounterAgent": None})
    assert mcp == "151d1591c8af4182e792a9331c1a1b80e59652e745d45fac65efcf4e9e5368f4"
    whole = deployment_hash({"demo:counter": LARGE}, {"demo.localhost:9006": http}, {"mcp.localhost:9007": mcp})
    assert whole == "139272da64f1c2c50dd438b8fa50c0bdd6969a6d89a72fefefe68a55e5f17e99"


def test_security_counts() -> None:
    """A scheme is not a header."""
    hashes = {
        http_api_hash({"A": security}, "/webhooks/", "/")
        for security in (None, TestSessionHeader("x"), NamedSecurityScheme("x"))
    }
    assert len(hashes) == 3


@pytest.mark.parametrize(
    ("one", "same"), [(10.0, 10), (1e300, (1 << 63) - 1), ({"b": 1, "a": 2.0}, {"a": 2, "b": 1}), ([1.0], [1])]
)
def test_numbers_without_a_fraction_are_integers(one: Any, same: Any) -> None:
    """However they were written."""

    def hashed(value: Any) -> str:
        entry = {"path": ["v"], "value": {"typ": None, "value": value}}
        return component_hash(WASM, {"A": {**NOTHING, "config": [entry]}})

    assert hashed(one) == hashed(same)
    assert hashed(0.5) != hashed(0)
    assert hashed(1e-7) != hashed(1e-5)
