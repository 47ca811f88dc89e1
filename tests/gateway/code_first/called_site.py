"""A site as tests call it: requests as ASGI has them, answers read whole.

    answer = await shop.call("PUT", "/shops/a/items/b-1", json={"item": BOOK})
    assert answer.status == 200
    assert answer.json == BOOK

`with_changes` gives the same agents with another declaration, which needs no other component.
"""

from __future__ import annotations

import json as json_text
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from golem_server.api.services import ApiServices
from golem_server.asgi import Message
from golem_server.clock import SystemClock
from golem_server.gateway.code_first.authentication import Logins, NoLogins
from golem_server.gateway.code_first.deployed import DeployedAgent, DeployedHttpApi
from golem_server.gateway.code_first.site import CodeFirstServices, CodeFirstSites
from golem_server.gateway.code_first.webhooks import WebhookIds
from golem_server.gateway.requests import GatewayRequest
from golem_server.gateway.responses import checked_headers
from golem_server.gateway.sites import Site
from golem_server.model.agent_types import AgentType
from golem_server.model.http_api_deployments import AgentSecurity, HttpApiDeployment
from golem_server.model.ids import EnvironmentId
from golem_server.model.json_types import Json
from golem_server.registry.accounts import DEFAULT_ENVIRONMENT_ID
from golem_server.registry.agent_directory import RegisteredAgentType

DOMAIN = "shop.localhost:9006"
MAX_BODY = 64 << 10


@dataclass(frozen=True, slots=True)
class Answer:
    """A response; headers by their names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        assert self.headers["content-type"] == "application/json"
        return json_text.loads(self.body)


class CalledSite:
    """The site of one domain. It is its own `DeployedHttpApis`."""

    def __init__(
        self,
        services: ApiServices,
        types: Mapping[str, RegisteredAgentType],
        *,
        security: AgentSecurity = None,
        logins: Logins | None = None,
    ) -> None:
        self.services = services
        self._types = types
        self._security = security
        self._logins: Logins = logins or NoLogins()
        agents = {
            name: DeployedAgent(each.type, each.component.component_id, each.component.revision, each.agents)
            for name, each in types.items()
        }
        deployment = HttpApiDeployment(
            id=UUID(int=1),
            revision=0,
            environment_id=DEFAULT_ENVIRONMENT_ID,
            domain=DOMAIN,
            hash="",
            agents=dict.fromkeys(agents, security),
            webhooks_prefix="/webhooks/",
            openapi_endpoint_prefix="/",
            created_at=0,
        )
        self.api = DeployedHttpApi(deployment, agents, test_headers_allowed=True)
        self._site: Site | None = None
        self.webhook_ids = WebhookIds(b"the same for all sites of a test")
        self._sites = CodeFirstSites(
            self, CodeFirstServices(services.executor, self._logins, self.webhook_ids, SystemClock())
        )

    def with_changes(
        self,
        change: Callable[[dict[str, Any]], None],
        *,
        security: AgentSecurity = None,
        logins: Logins | None = None,
    ) -> CalledSite:
        """The agents with their JSON changed, type by type."""
        changed: dict[str, RegisteredAgentType] = {}
        for name, each in self._types.items():
            json: Json = json_text.loads(json_text.dumps(each.type.to_json()))
            change(json)
            changed[name] = RegisteredAgentType(AgentType.from_json(json), each.agents, each.component)
        return CalledSite(self.services, changed, security=security, logins=logins)

    async def deployed_http_api(self, domain: str) -> DeployedHttpApi | None:
        """Only this one."""
        return self.api if domain == DOMAIN else None

    async def http_api_of_agent(self, environment_id: EnvironmentId, type_name: str) -> DeployedHttpApi | None:
        """Only this one."""
        here = environment_id == DEFAULT_ENVIRONMENT_ID and type_name in self.api.deployment.agents
        return self.api if here else None

    async def call(
        self, method: str, path: str, body: bytes = b"", *, json: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request; `path` with its query, encoded."""
        site = self._site = self._site or await self._sites.site(DOMAIN)
        assert site is not None
        content = body if json is None else json_text.dumps(json).encode()
        raw_path, _, query = path.partition("?")
        scope = {
            "method": method,
            "raw_path": raw_path.encode(),
            "query_string": query.encode(),
            "headers": [(b"host", DOMAIN.encode())]
            + [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
            "client": ("192.0.2.1", 1),
            "scheme": "http",
        }

        async def receive() -> Message:
            return {"type": "http.request", "body": content, "more_body": False}

        response = await site.answer(GatewayRequest.of(scope, receive, MAX_BODY))
        assert isinstance(response.body, bytes)
        sent = {name.decode(): value.decode("latin-1") for name, value in checked_headers(response)}
        return Answer(response.status, sent, response.body)
