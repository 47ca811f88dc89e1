"""Webhooks: an address for a promise, which somebody outside completes by posting to it.

    {http|https}://{domain}/{webhooks prefix}/{the agent type's path}/{id}

The id names the promise and carries a code (HMAC-SHA256) that only servers with the database's key can make, so that
nobody can complete a promise whose address he was not given (reference: gateway, section 3.7). An address stays good as
long as its worker, wherever the agent's type is deployed meanwhile.
"""

from __future__ import annotations

import binascii
import hmac
import ipaddress
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextlib import suppress
from typing import Literal
from uuid import UUID

from golem_server.durable.executor import Executor
from golem_server.gateway.code_first.agent_routes import MountedAgent
from golem_server.gateway.code_first.declarations import InvalidDeclaration
from golem_server.gateway.code_first.deployed import DeployedHttpApis
from golem_server.gateway.code_first.failures import RequestFailure
from golem_server.gateway.code_first.path_segments import printed
from golem_server.gateway.requests import GatewayRequest
from golem_server.gateway.responses import GatewayResponse
from golem_server.model.errors import NotFound
from golem_server.model.ids import ComponentId, EnvironmentId, OplogIndex, PromiseId, WorkerId

KEY_NAME = "webhooks"
"""The name of the key among the database's secrets."""

_PURPOSE = b"agent-webhook-id:v1"
_CODE_BYTES = 32
_COMPONENT_BYTES = 16
_INDEX_BYTES = 8
_GREATEST_INDEX = (1 << 63) - 1
_CHARACTERS = re.compile(r"[A-Za-z0-9_-]+")


class WebhookIds:
    """Ids of promises that nobody else can make. `key` is the same for all servers on a database, for ever."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def encode(self, promise: PromiseId) -> str:
        """The id of a promise: characters that stand in an address as they are."""
        worker_id = promise.worker_id
        named = (
            worker_id.component_id.bytes + promise.oplog_index.to_bytes(_INDEX_BYTES, "big") + worker_id.name.encode()
        )
        return urlsafe_b64encode(self._code(named) + named).rstrip(b"=").decode()

    def decode(self, text: str) -> PromiseId:
        """The promise of an id. Raises RequestFailure for a text that is none, and for one that somebody else made."""
        content = b""
        if _CHARACTERS.fullmatch(text) is not None:
            # A text of a length that no bytes have.
            with suppress(binascii.Error):
                content = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        code, named = content[:_CODE_BYTES], content[_CODE_BYTES:]
        if len(named) <= _COMPONENT_BYTES + _INDEX_BYTES:
            raise RequestFailure(400, "REQUEST_VALUE_PARSING_FAILED", "the address is not that of a webhook")
        if not hmac.compare_digest(code, self._code(named)):
            raise _unknown()
        # Whatever has the right code was made by `encode`; a guest can name an index that no oplog reaches.
        index = int.from_bytes(named[_COMPONENT_BYTES : _COMPONENT_BYTES + _INDEX_BYTES], "big")
        if index > _GREATEST_INDEX:
            raise _unknown()
        name = named[_COMPONENT_BYTES + _INDEX_BYTES :].decode()
        component_id = ComponentId(UUID(bytes=named[:_COMPONENT_BYTES]))
        return PromiseId(WorkerId(component_id, name), OplogIndex(index))

    def _code(self, named: bytes) -> bytes:
        return hmac.digest(self._key, _PURPOSE + named, "sha256")


class WebhookAddresses:
    """Where webhooks of agents are: what guests ask for (`durable.webhooks.WebhookSource`)."""

    def __init__(self, apis: DeployedHttpApis, ids: WebhookIds, scheme: Literal["http", "https"] | None) -> None:
        self._apis = apis
        self._ids = ids
        self._scheme = scheme

    async def webhook_address(self, environment_id: EnvironmentId, type_name: str, promise: PromiseId) -> str | None:
        """The address that completes a promise, None unless agents of the type are deployed in an HTTP API."""
        api = await self._apis.http_api_of_agent(environment_id, type_name)
        agent = None if api is None else api.agents.get(type_name)
        if api is None or agent is None:
            return None
        try:
            mounted = MountedAgent(agent, None, test_headers_allowed=api.test_headers_allowed)
            path = mounted.webhook_path(api.deployment.webhooks_prefix)
        except InvalidDeclaration:
            return None
        domain = api.deployment.domain
        return f"{self._scheme or _usual_scheme(domain)}://{domain}{printed(path)}/{self._ids.encode(promise)}"


class Webhooks:
    """Completes promises for those who post to their addresses."""

    def __init__(self, executor: Executor, ids: WebhookIds) -> None:
        self._executor = executor
        self._ids = ids

    async def complete(self, id_: str, request: GatewayRequest) -> GatewayResponse:
        """Give the body to the promise of an id; the first one counts.

        Raises RequestFailure, BodyTooLarge, ClientLeft, Unavailable.
        """
        promise = self._ids.decode(id_)
        content = await request.body()
        try:
            await self._executor.complete_promise(promise, content)
        except NotFound:
            raise _unknown() from None
        return GatewayResponse(204)


def _unknown() -> RequestFailure:
    return RequestFailure(404, "ROUTE_NOT_FOUND", "There is no such webhook")


def _usual_scheme(domain: str) -> str:
    """`http` for a name or address of this machine alone, which nobody has a certificate for."""
    host = domain if domain.endswith("]") else domain.rpartition(":")[0] or domain
    if host == "localhost" or host.endswith(".localhost"):
        return "http"
    try:
        return "http" if ipaddress.ip_address(host.strip("[]")).is_loopback else "https"
    except ValueError:
        return "https"
