"""Which API answers at which host: one table, whatever kind of API it is.

A site is built when it is first asked for and kept; it is built anew when something that was deployed has changed, by
this server or another one on the same database. Requests that are under way keep the site that they began with.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Protocol

from golem_server.gateway.requests import GatewayRequest
from golem_server.gateway.responses import GatewayResponse
from golem_server.model.errors import Unavailable

POLL_SECONDS = 0.5
"""How often a server looks for what others have deployed: a change is live everywhere within a second."""

_MAX_KNOWN = 10_000

_log = logging.getLogger(__name__)


class Site(Protocol):
    """What is deployed at a host."""

    async def answer(self, request: GatewayRequest) -> GatewayResponse:
        """The response to a request to this host. Raises RequestFailed, BodyTooLarge, ClientLeft, GolemErrors."""
        ...


class SiteSource(Protocol):
    """Knows sites of one kind: those of API definitions, or those that agents declare."""

    async def site(self, host: str) -> Site | None:
        """What is deployed at a host, built from what is stored now; None where this source knows nothing."""
        ...


class Generation(Protocol):
    """A number that grows with every change of what is deployed."""

    async def current(self) -> int:
        """The number as it is now. Raises Unavailable."""
        ...


class Sites:
    """The sites of this server, by host."""

    def __init__(self, sources: Sequence[SiteSource], generation: Generation) -> None:
        self._sources = sources
        self._generation = generation
        self._known: dict[str, Site | None] = {}
        self._building: dict[str, asyncio.Task[Site | None]] = {}
        self._seen = -1

    async def find(self, host: str) -> Site | None:
        """What is deployed at a host, as the Host header names it. Raises Unavailable."""
        known = self._known
        if host in known:
            return known[host]
        # All who ask while it is built wait for the same; one who leaves does not stop it.
        building = self._building.get(host)
        if building is None:
            building = self._building[host] = asyncio.create_task(self._build(host))
            building.add_done_callback(lambda task: self._built(host, task))
        return await asyncio.shield(building)

    def forget(self) -> None:
        """Something deployed has changed: build each site anew when it is next asked for."""
        self._known = {}
        self._building = {}

    async def watch(self) -> None:
        """Look for changes by other servers, for ever."""
        while True:
            try:
                current = await self._generation.current()
                if current != self._seen:
                    self._seen = current
                    self.forget()
            except Unavailable as error:
                _log.warning("cannot look for changes of deployed APIs: %s", error)
            await asyncio.sleep(POLL_SECONDS)

    async def _build(self, host: str) -> Site | None:
        known = self._known
        for source in self._sources:
            site = await source.site(host)
            if site is not None:
                known[host] = site
                return site
        # Hosts are the callers' choice: those without a site must not fill the memory.
        if len(known) >= _MAX_KNOWN:
            known.clear()
        known[host] = None
        return None

    def _built(self, host: str, task: asyncio.Task[Site | None]) -> None:
        if self._building.get(host) is task:
            del self._building[host]
