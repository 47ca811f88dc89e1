"""Hands an HTTP request to a worker whose component exports wasi:http/incoming-handler: for gateways."""

from __future__ import annotations

from golem_server.durable.executor import Executor
from golem_server.model.http_messages import HttpResponse, IncomingHttpRequest
from golem_server.model.ids import WorkerId
from golem_server.model.oplog import Invocation
from golem_server.model.virtual_exports import HANDLE_HTTP


async def handle_http(
    executor: Executor, worker_id: WorkerId, request: IncomingHttpRequest, idempotency_key: str
) -> HttpResponse:
    """The worker's response to a request; the worker is created if it does not exist.

    The same idempotency key gives the same response again, without running the guest. Raises InvalidInput if the
    component does not handle HTTP or the request is malformed, else what `Executor.invoke_and_await` raises.
    """
    invocation = Invocation(idempotency_key, HANDLE_HTTP, [request.value()])
    return HttpResponse.from_value(await executor.invoke_and_await(worker_id, invocation))
