"""Who may use a domain whose agents have a security scheme (reference: gateway, section 3.8)."""

from __future__ import annotations

from typing import Protocol

from golem_server.model.ids import EnvironmentId


class BearerTokens(Protocol):
    """Verifies the tokens that providers of security schemes have issued."""

    async def accepts(self, environment_id: EnvironmentId, scheme: str, token: str) -> bool:
        """Whether the provider of an environment's scheme vouches for a token. Raises Unavailable."""
        ...
