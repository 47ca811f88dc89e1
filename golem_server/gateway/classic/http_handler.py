"""The http-handler binding: the request goes to the worker as it is, and its response comes back as it is.

For components that export wasi:http/incoming-handler (reference: gateway, section 1.11).
"""

from __future__ import annotations

from dataclasses import dataclass

from golem_server.durable.http_handler import handle_http
from golem_server.gateway.classic.endpoints import Target
from golem_server.gateway.classic.request_inputs import RequestFacts
from golem_server.gateway.responses import GatewayResponse
from golem_server.model.http_messages import HttpBody, IncomingHttpRequest


@dataclass(frozen=True, slots=True)
class HttpHandlerEndpoint:
    """Hands requests to a worker."""

    target: Target

    async def answer(self, facts: RequestFacts) -> GatewayResponse:
        """What the worker answers; the same request with the same key is answered again without running it."""
        request = facts.request
        invoker = await self.target.invoker(facts)
        worker_id = invoker.worker(await self.target.worker_name(facts))
        body = await request.body()
        incoming = IncomingHttpRequest(
            method=request.method,
            scheme=request.scheme,
            authority=request.host or "",
            path_and_query=request.path_and_query,
            headers=tuple((name.decode("latin-1"), value) for name, value in request.headers),
            body=HttpBody(body) if body else None,
        )
        response = await handle_http(self.target.executor, worker_id, incoming, invoker.key)
        headers = [(name, value.decode("latin-1")) for name, value in response.headers]
        return GatewayResponse(response.status, headers, b"" if response.body is None else response.body.content)
