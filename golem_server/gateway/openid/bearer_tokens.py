"""Tokens that callers bring along instead of logging in: ID tokens that a scheme's provider has made for its client."""

from __future__ import annotations

from golem_server.clock import Clock
from golem_server.gateway.openid.id_tokens import InvalidToken, checked_claims
from golem_server.gateway.openid.login import token_hash
from golem_server.gateway.openid.provider import Providers
from golem_server.gateway.openid.provider_client import ProviderFailed
from golem_server.model.errors import NotFound
from golem_server.model.ids import EnvironmentId
from golem_server.registry.security_schemes import SecuritySchemes

CACHE_SECONDS = 60.0
_MAX_CACHED = 10_000


class ProviderTokens:
    """Implements `mcp.authentication.BearerTokens`. What was found good is believed for a minute."""

    def __init__(self, schemes: SecuritySchemes, providers: Providers, clock: Clock) -> None:
        self._schemes = schemes
        self._providers = providers
        self._clock = clock
        self._good: dict[tuple[EnvironmentId, str, bytes], float] = {}

    async def accepts(self, environment_id: EnvironmentId, scheme: str, token: str) -> bool:
        """Whether the provider of an environment's scheme vouches for a token. Raises Unavailable."""
        key, now = (environment_id, scheme, token_hash(token)), self._clock.monotonic()
        if self._good.get(key, 0.0) > now:
            return True
        try:
            known = await self._schemes.named(environment_id, scheme)
            metadata = await self._providers.metadata(known.issuer_url)
            seconds = self._clock.now_ns() / 1e9
            await checked_claims(self._providers, metadata, token, known.client_id, None, seconds)
        except (NotFound, ProviderFailed, InvalidToken):
            return False
        if len(self._good) >= _MAX_CACHED:
            self._good.clear()
        self._good[key] = now + CACHE_SECONDS
        return True
