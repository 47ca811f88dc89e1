"""The cors-preflight binding (reference: gateway, section 1.12)."""

from __future__ import annotations

from dataclasses import dataclass

from golem_server.gateway.classic.cors import CorsPolicy
from golem_server.gateway.classic.request_inputs import RequestFacts
from golem_server.gateway.responses import GatewayResponse


@dataclass(frozen=True, slots=True)
class PreflightEndpoint:
    """Answers preflights."""

    policy: CorsPolicy

    async def answer(self, facts: RequestFacts) -> GatewayResponse:
        """What is configured."""
        return self.policy.preflight(facts.request.header("origin"))
