"""The catalogue of each domain: made when it is first asked for, and anew when something was deployed since."""

from __future__ import annotations

from golem_server.clock import Clock
from golem_server.gateway.mcp.catalogue import EMPTY, Catalogue, catalogue_of
from golem_server.gateway.mcp.deployed import DeployedMcps
from golem_server.gateway.sites import POLL_SECONDS, Generation

_MAX_KNOWN = 10_000


class McpDomains:
    """The catalogues of this server, by domain."""

    def __init__(self, source: DeployedMcps, generation: Generation, clock: Clock) -> None:
        self._source = source
        self._generation = generation
        self._clock = clock
        self._known: dict[str, Catalogue] = {}
        self._seen = -1
        self._fresh_until = float("-inf")

    async def find(self, *hosts: str | None) -> Catalogue:
        """What is deployed at the first of these hosts at which something is. Raises Unavailable."""
        await self._look_for_changes()
        for host in hosts:
            if host is not None and (found := await self._catalogue(host)) is not EMPTY:
                return found
        return EMPTY

    async def _look_for_changes(self) -> None:
        now = self._clock.monotonic()
        if now < self._fresh_until:
            return
        current = await self._generation.current()
        if current != self._seen:
            self._seen = current
            self._known = {}
        self._fresh_until = now + POLL_SECONDS

    async def _catalogue(self, host: str) -> Catalogue:
        known = self._known
        if host in known:
            return known[host]
        deployed = await self._source.deployed_mcp(host)
        # Hosts are the callers' choice: those without a deployment must not fill the memory.
        if len(known) >= _MAX_KNOWN:
            known.clear()
        known[host] = EMPTY if deployed is None else catalogue_of(deployed)
        return known[host]
