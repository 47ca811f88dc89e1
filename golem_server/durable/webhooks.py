"""What a guest can ask about webhooks: an address at which somebody outside completes a promise."""

from __future__ import annotations

from typing import Protocol

from golem_server.model.ids import EnvironmentId, PromiseId


class WebhookSource(Protocol):
    """Who knows where agents are deployed: the gateway."""

    async def webhook_address(self, environment_id: EnvironmentId, type_name: str, promise: PromiseId) -> str | None:
        """The address that completes a promise, None unless agents of the type are deployed in an HTTP API.

        Raises Unavailable.
        """
        ...


class WebhookDirectory:
    """The service of that name: what host functions ask for (`WorkerContext.service`)."""

    def __init__(self, source: WebhookSource) -> None:
        self.address = source.webhook_address
