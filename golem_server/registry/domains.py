"""Domains of environments, and the HTTP APIs and MCP endpoints that are wanted at them.

What is written here is staged: it is served once it is part of a deployment (registry/environment_deployments.py). Each
change is a new revision; who changes something names the one that he has seen (reference: cli-1.5, section 3.3).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import msgspec

from golem_server.clock import Clock
from golem_server.model.deployment_hashes import http_api_hash, mcp_hash
from golem_server.model.environment_deployments import DomainDeployment, DomainRegistration, DomainUse
from golem_server.model.errors import Conflict, InvalidInput, NotFound
from golem_server.model.http_api_deployment_json import (
    http_agents_from_json,
    http_agents_to_json,
    mcp_agents_from_json,
    mcp_agents_to_json,
)
from golem_server.model.http_api_deployments import AgentSecurity, HttpApiDeployment, McpDeployment
from golem_server.model.ids import EnvironmentId
from golem_server.registry.accounts import Accounts
from golem_server.registry.deployment_ports import DomainStore

_DOMAIN = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(:[0-9]{1,5})?")
_MAX_DOMAIN = 255
_MAX_PREFIX = 1_000
_EXISTS = {DomainUse.HTTP_API: "HTTP_API_DEPLOYMENT_ALREADY_EXISTS", DomainUse.MCP: "MCP_DEPLOYMENT_ALREADY_EXISTS"}
_WHAT = {DomainUse.HTTP_API: "HTTP API deployment", DomainUse.MCP: "MCP deployment"}


class Domains:
    """The domains of all environments. `changed` is called when a domain has got or lost its owner."""

    def __init__(self, store: DomainStore, accounts: Accounts, clock: Clock, changed: Callable[[], None]) -> None:
        self._store = store
        self._accounts = accounts
        self._clock = clock
        self._changed = changed

    # --- Registrations

    async def register(self, environment_id: EnvironmentId, domain: str) -> DomainRegistration:
        """Register a domain. Raises NotFound (environment), InvalidInput, Conflict if somebody has it."""
        await self._accounts.environment(environment_id)
        if len(domain) > _MAX_DOMAIN or not _DOMAIN.fullmatch(domain):
            raise InvalidInput(f"domain: `{domain[:200]}` is no host name, such as api.example.com or localhost:9006")
        registration = DomainRegistration(uuid4(), environment_id, domain)
        if not await self._store.add_domain(registration):
            raise Conflict(f"Domain {domain} is registered already", code="DOMAIN_ALREADY_EXISTS")
        self._changed()
        return registration

    async def registration(self, registration_id: UUID) -> DomainRegistration:
        """A registration. Raises NotFound."""
        found = await self._store.find_domain(registration_id)
        if found is None:
            raise unknown_registration(registration_id)
        return found

    async def registrations(self, environment_id: EnvironmentId) -> list[DomainRegistration]:
        """The domains of an environment, by name. Raises NotFound (environment)."""
        await self._accounts.environment(environment_id)
        return await self._store.list_domains(environment_id)

    async def unregister(self, registration_id: UUID) -> None:
        """Give a domain back: nothing is served there any more. Raises NotFound."""
        if not await self._store.delete_domain(registration_id):
            raise unknown_registration(registration_id)
        self._changed()

    # --- HTTP APIs

    async def create_http_api(
        self, environment_id: EnvironmentId, domain: str, agents: dict[str, AgentSecurity], webhooks: str, openapi: str
    ) -> HttpApiDeployment:
        """Want an HTTP API at a domain. Raises InvalidInput, NotFound, Conflict."""
        staged = _http_staged(agents, _prefix("webhooksPrefix", webhooks), _prefix("openapiEndpointPrefix", openapi))
        return http_api_of(await self._create(DomainUse.HTTP_API, environment_id, domain, *staged))

    async def change_http_api(
        self,
        deployment_id: UUID,
        revision: int,
        agents: dict[str, AgentSecurity] | None,
        webhooks: str | None,
        openapi: str | None,
    ) -> HttpApiDeployment:
        """Change an HTTP API that still has this revision; None stays. Raises InvalidInput, NotFound, Conflict."""
        before = http_api_of(await self._existing(DomainUse.HTTP_API, deployment_id))
        staged = _http_staged(
            dict(before.agents) if agents is None else agents,
            before.webhooks_prefix if webhooks is None else _prefix("webhookPrefix", webhooks),
            before.openapi_endpoint_prefix if openapi is None else _prefix("openapiEndpointPrefix", openapi),
        )
        return http_api_of(await self._change(DomainUse.HTTP_API, deployment_id, revision, *staged))

    async def http_api(self, deployment_id: UUID, revision: int | None = None) -> HttpApiDeployment:
        """An HTTP API, or one revision of it, also of a deleted one. Raises NotFound."""
        return http_api_of(await self._revision(DomainUse.HTTP_API, deployment_id, revision))

    async def http_apis(self, environment_id: EnvironmentId) -> list[HttpApiDeployment]:
        """What is staged in an environment, by domain."""
        return [http_api_of(each) for each in await self._store.list_latest(DomainUse.HTTP_API, environment_id)]

    # --- MCP endpoints

    async def create_mcp(
        self, environment_id: EnvironmentId, domain: str, agents: dict[str, str | None]
    ) -> McpDeployment:
        """Want an MCP endpoint at a domain. Raises InvalidInput, NotFound, Conflict."""
        return mcp_of(await self._create(DomainUse.MCP, environment_id, domain, *_mcp_staged(agents)))

    async def change_mcp(
        self, deployment_id: UUID, revision: int, agents: dict[str, str | None] | None
    ) -> McpDeployment:
        """Change an MCP endpoint that still has this revision. Raises InvalidInput, NotFound, Conflict."""
        before = mcp_of(await self._existing(DomainUse.MCP, deployment_id))
        staged = _mcp_staged(dict(before.agents) if agents is None else agents)
        return mcp_of(await self._change(DomainUse.MCP, deployment_id, revision, *staged))

    async def mcp(self, deployment_id: UUID, revision: int | None = None) -> McpDeployment:
        """An MCP endpoint, or one revision of it, also of a deleted one. Raises NotFound."""
        return mcp_of(await self._revision(DomainUse.MCP, deployment_id, revision))

    async def mcp_endpoints(self, environment_id: EnvironmentId) -> list[McpDeployment]:
        """What is staged in an environment, by domain."""
        return [mcp_of(each) for each in await self._store.list_latest(DomainUse.MCP, environment_id)]

    # --- Both

    async def delete(self, use: DomainUse, deployment_id: UUID, revision: int) -> None:
        """End what still has this revision; deployments that have it keep it. Raises NotFound, Conflict."""
        before = await self._existing(use, deployment_id)
        if before.revision != revision:
            raise _concurrent(use)
        ended = replace(before, revision=revision + 1, deleted=True, created_at=self._now())
        if not await self._store.add_revision(ended):
            raise _concurrent(use)

    async def _create(
        self, use: DomainUse, environment_id: EnvironmentId, domain: str, content: bytes, hash_: str
    ) -> DomainDeployment:
        await self._accounts.environment(environment_id)
        if await self._store.owner_of_domain(domain) != environment_id:
            raise Conflict(f"Domain {domain[:200]} is not registered", code="DOMAIN_NOT_REGISTERED")
        before = await self._store.find_latest_at(use, environment_id, domain)
        if before is not None and not before.deleted:
            raise _exists(use, domain)
        made = DomainDeployment(
            use=use,
            id=uuid4() if before is None else before.id,
            revision=0 if before is None else before.revision + 1,
            environment_id=environment_id,
            domain=domain,
            content=content,
            hash=hash_,
            created_at=self._now(),
        )
        if not await self._store.add_revision(made):
            raise _exists(use, domain)
        return made

    async def _change(
        self, use: DomainUse, deployment_id: UUID, revision: int, content: bytes, hash_: str
    ) -> DomainDeployment:
        before = await self._existing(use, deployment_id)
        changed = replace(before, revision=revision + 1, content=content, hash=hash_, created_at=self._now())
        if before.revision != revision or not await self._store.add_revision(changed):
            raise _concurrent(use)
        return changed

    async def _existing(self, use: DomainUse, deployment_id: UUID) -> DomainDeployment:
        found = await self._store.find_latest(use, deployment_id)
        if found is None or found.deleted:
            raise unknown_deployment(use, deployment_id)
        return found

    async def _revision(self, use: DomainUse, deployment_id: UUID, revision: int | None) -> DomainDeployment:
        if revision is None:
            return await self._existing(use, deployment_id)
        found = await self._store.find_revision(use, deployment_id, revision)
        if found is None:
            raise unknown_deployment(use, deployment_id)
        return found

    def _now(self) -> int:
        return self._clock.now_ns() // 1_000_000


def http_api_of(stored: DomainDeployment) -> HttpApiDeployment:
    """A stored revision as an HTTP API."""
    content: dict[str, Any] = msgspec.msgpack.decode(stored.content)
    return HttpApiDeployment(
        id=stored.id,
        revision=stored.revision,
        environment_id=stored.environment_id,
        domain=stored.domain,
        hash=stored.hash,
        agents=http_agents_from_json(content["agents"]),
        webhooks_prefix=content["webhooks"],
        openapi_endpoint_prefix=content["openapi"],
        created_at=stored.created_at,
    )


def mcp_of(stored: DomainDeployment) -> McpDeployment:
    """A stored revision as an MCP endpoint."""
    return McpDeployment(
        id=stored.id,
        revision=stored.revision,
        environment_id=stored.environment_id,
        domain=stored.domain,
        hash=stored.hash,
        agents=mcp_agents_from_json(msgspec.msgpack.decode(stored.content)),
        created_at=stored.created_at,
    )


def _http_staged(agents: dict[str, AgentSecurity], webhooks: str, openapi: str) -> tuple[bytes, str]:
    content = {"agents": http_agents_to_json(agents), "webhooks": webhooks, "openapi": openapi}
    return msgspec.msgpack.encode(content), http_api_hash(agents, webhooks, openapi)


def _mcp_staged(agents: dict[str, str | None]) -> tuple[bytes, str]:
    return msgspec.msgpack.encode(mcp_agents_to_json(agents)), mcp_hash(agents)


def _prefix(name: str, text: str) -> str:
    """A prefix with one slash at each end. Raises InvalidInput."""
    inner = text.strip("/")
    if len(text) > _MAX_PREFIX or not all(" " < character <= "~" and character not in "?#{}" for character in inner):
        raise InvalidInput(f"{name}: expected a path such as /webhooks/")
    return f"/{inner}/" if inner else "/"


def unknown_registration(registration_id: object) -> NotFound:
    """There is no such registration, or the caller may not know of it."""
    return NotFound(f"Domain registration not found: {registration_id}", code="DOMAIN_REGISTRATION_NOT_FOUND")


def unknown_deployment(use: DomainUse, name: object) -> NotFound:
    """There is no such deployment, or the caller may not know of it."""
    return NotFound(f"{_WHAT[use]} not found: {name}", code="DEPLOYMENT_NOT_FOUND")


def _exists(use: DomainUse, domain: str) -> Conflict:
    return Conflict(f"There is a {_WHAT[use]} for domain {domain} already", code=_EXISTS[use])


def _concurrent(use: DomainUse) -> Conflict:
    return Conflict(f"The {_WHAT[use]} was changed meanwhile", code="CONCURRENT_UPDATE")
