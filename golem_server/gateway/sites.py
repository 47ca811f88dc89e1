"""Which API answers at which host: one table, whatever kind of API it is.

A site is built when it is first asked for and kept; it is built anew when something that was deployed has changed, by
this server or another one on the same database. Requests that are under way keep the site that they began with.
"""

from __future__ import annotations

from typing import Protocol

from golem_server.gateway.requests import GatewayRequest
from golem_server.gateway.responses import GatewayResponse


class Site(Protocol):
    """What is deployed at a host."""

    async def answer(self, request: GatewayRequest) -> GatewayResponse:
        """The response to a request to this host. Raises BodyTooLarge, ClientLeft."""
        ...


class SiteSource(Protocol):
    """Knows sites of one kind: those of API definitions, or those that agents declare."""

    async def site(self, host: str) -> Site | None:
        """What is deployed at a host, built from what is stored now; None where this source knows nothing."""
        ...
