"""Deployments: what is staged in an environment, frozen, checked as a whole and made current.

    stage components, HTTP APIs and MCP endpoints -> plan -> deploy with the hash of the plan -> served

An earlier deployment can be made current again, which leaves what is staged alone (reference: cli-1.5, section 3.3).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from golem_server.clock import Clock
from golem_server.model.agent_functions import kebab_case
from golem_server.model.deployment_hashes import component_hash, deployment_hash
from golem_server.model.environment_deployments import (
    CurrentDeployment,
    DeploymentContents,
    EnvironmentDeployment,
)
from golem_server.model.errors import Conflict, InvalidInput, NotFound
from golem_server.model.http_api_deployments import HttpApiDeployment, McpDeployment
from golem_server.model.ids import EnvironmentId
from golem_server.model.security_schemes import SecurityScheme
from golem_server.registry.accounts import Accounts
from golem_server.registry.agent_directory import RegisteredAgentType
from golem_server.registry.components import Components, RegisteredComponent
from golem_server.registry.deployment_ports import DeployedDomain, DeploymentChecker, DeploymentStore, DomainStore
from golem_server.registry.domains import Domains
from golem_server.registry.mcp_checks import mcp_problems


@dataclass(frozen=True, slots=True)
class Staged:
    """Revisions that are deployed together, or would be."""

    components: Sequence[RegisteredComponent]
    http_apis: Sequence[HttpApiDeployment]
    mcp_endpoints: Sequence[McpDeployment]

    @property
    def hash(self) -> str:
        """Of all of it."""
        return deployment_hash(
            {each.name: hash_of(each) for each in self.components},
            {each.domain: each.hash for each in self.http_apis},
            {each.domain: each.hash for each in self.mcp_endpoints},
        )

    @property
    def agents(self) -> Mapping[str, RegisteredAgentType]:
        """The agent types, by name; of several of one name the first component's."""
        found: dict[str, RegisteredAgentType] = {}
        for component in self.components:
            if component.agents is not None:
                for name, type_ in component.agents.types.items():
                    found.setdefault(name, RegisteredAgentType(type_, component.agents, component))
        return dict(sorted(found.items()))


def hash_of(component: RegisteredComponent) -> str:
    """The hash of a component's revision by which clients see whether it is what they have."""
    return component_hash(component.source_hash, component.provisions)


class EnvironmentDeployments:
    """The deployments of all environments.

    `schemes` gives the security schemes of an environment; `changed` is called after another deployment has been made
    current.
    """

    def __init__(
        self,
        store: DeploymentStore,
        domain_store: DomainStore,
        domains: Domains,
        components: Components,
        accounts: Accounts,
        checker: DeploymentChecker,
        schemes: Callable[[EnvironmentId], Awaitable[Sequence[SecurityScheme]]],
        clock: Clock,
        changed: Callable[[], None],
    ) -> None:
        self._store = store
        self._domain_store = domain_store
        self._domains = domains
        self._components = components
        self._accounts = accounts
        self._checker = checker
        self._schemes = schemes
        self._clock = clock
        self._changed = changed

    async def plan(self, environment_id: EnvironmentId) -> Staged:
        """What is staged. Raises NotFound (environment)."""
        return Staged(
            await self._components.list(environment_id),
            await self._domains.http_apis(environment_id),
            await self._domains.mcp_endpoints(environment_id),
        )

    async def current(self, environment_id: EnvironmentId) -> CurrentDeployment | None:
        """What is served; None where nothing has been deployed."""
        return await self._store.current_deployment(environment_id)

    async def deploy(
        self, environment_id: EnvironmentId, switches: int | None, expected_hash: str, version: str
    ) -> CurrentDeployment:
        """Deploy what is staged.

        `switches` is that of the current deployment as the caller knows it, `expected_hash` the hash of what he
        believes to be staged. Raises NotFound (environment), Conflict where he is wrong or nothing would change, and
        InvalidInput with everything that cannot be served.
        """
        staged = await self.plan(environment_id)
        current = await self.current(environment_id)
        if switches != (None if current is None else current.switches):
            raise _concurrent()
        _check_agent_types(staged.components)
        hash_ = staged.hash
        if expected_hash != hash_:
            raise Conflict(
                f"Deployment hash mismatch: what is staged has {hash_}, the request expected {expected_hash[:100]}",
                code="DEPLOYMENT_HASH_MISMATCH",
            )
        self._check(staged, await self._schemes(environment_id))
        if current is not None and current.deployment.hash == hash_:
            raise Conflict("Nothing has changed since the last deployment", code="DEPLOYMENT_NOOP")
        contents = DeploymentContents(
            tuple((each.component_id, each.revision) for each in staged.components),
            tuple((each.id, each.revision) for each in staged.http_apis),
            tuple((each.id, each.revision) for each in staged.mcp_endpoints),
        )
        deployed = await self._store.deploy(
            environment_id, switches, version, hash_, contents, self._clock.now_ns() // 1_000_000
        )
        if deployed is None:
            raise _concurrent()
        self._changed()
        return deployed

    async def make_current(self, environment_id: EnvironmentId, switches: int, revision: int) -> CurrentDeployment:
        """Make an earlier deployment current again. Raises NotFound, Conflict."""
        deployment = await self.deployment(environment_id, revision)
        current = await self.current(environment_id)
        if current is None:
            raise Conflict("The environment has no current deployment", code="ENVIRONMENT_NOT_DEPLOYED")
        if current.switches != switches:
            raise _concurrent()
        if current.deployment.revision == revision:
            raise Conflict(f"Deployment {revision} is current already", code="DEPLOYMENT_NOOP")
        switched = await self._store.make_current(environment_id, switches, revision)
        if switched is None:
            raise _concurrent()
        self._changed()
        return CurrentDeployment(switched, deployment)

    async def deployment(self, environment_id: EnvironmentId, revision: int) -> EnvironmentDeployment:
        """A deployment. Raises NotFound."""
        found = await self._store.find_deployment(environment_id, revision)
        if found is None:
            raise NotFound(f"Deployment {revision} not found in the environment", code="DEPLOYMENT_NOT_FOUND")
        return found

    async def deployments(
        self, environment_id: EnvironmentId, version: str | None = None
    ) -> list[EnvironmentDeployment]:
        """The deployments of an environment, or those of one version, in their order. Raises NotFound (environment)."""
        await self._accounts.environment(environment_id)
        listed = await self._store.list_deployments(environment_id)
        return [each for each in listed if version is None or each.version == version]

    async def contents(self, deployment: EnvironmentDeployment) -> Staged:
        """What a deployment consists of, as it was."""
        parts = deployment.contents
        return Staged(
            [await self._components.revision(each, revision) for each, revision in parts.components],
            [await self._domains.http_api(each, revision) for each, revision in parts.http_apis],
            [await self._domains.mcp(each, revision) for each, revision in parts.mcp_endpoints],
        )

    async def at_domain(self, domain: str) -> DeployedDomain | None:
        """What is deployed at a domain; None where nothing is."""
        environment_id = await self._domain_store.owner_of_domain(domain)
        current = None if environment_id is None else await self.current(environment_id)
        if current is None:
            return None
        contents = await self.contents(current.deployment)
        http_api = next((each for each in contents.http_apis if each.domain == domain), None)
        mcp = next((each for each in contents.mcp_endpoints if each.domain == domain), None)
        return None if http_api is None and mcp is None else DeployedDomain(http_api, mcp, contents.agents)

    async def of_agent(self, environment_id: EnvironmentId, type_name: str) -> DeployedDomain | None:
        """What is deployed at the domain of an HTTP API that an agent type is part of; None where there is none."""
        current = await self.current(environment_id)
        if current is None:
            return None
        contents = await self.contents(current.deployment)
        http_api = next((each for each in contents.http_apis if type_name in each.agents), None)
        return None if http_api is None else DeployedDomain(http_api, None, contents.agents)

    def _check(self, staged: Staged, schemes: Sequence[SecurityScheme]) -> None:
        agents = staged.agents
        problems = [f"HTTP_API_ROUTES: {each}" for each in self._checker.problems(staged.http_apis, agents)]
        problems += [f"MCP_ENDPOINT: {each}" for each in mcp_problems(staged.mcp_endpoints, agents, schemes)]
        if problems:
            raise InvalidInput("; ".join(problems), code="DEPLOYMENT_VALIDATION_FAILED", details=problems)


def _check_agent_types(components: Sequence[RegisteredComponent]) -> None:
    """Refuse two agent types whose names differ in spelling alone, or not at all. Raises InvalidInput."""
    seen: dict[str, str] = {}
    for component in components:
        for name in () if component.agents is None else component.agents.types:
            other = seen.setdefault(kebab_case(name), component.name)
            if other != component.name:
                raise InvalidInput(
                    f"Agent type {name} of {component.name} has the name of one of {other}",
                    code="AMBIGUOUS_AGENT_TYPE_NAME",
                )


def _concurrent() -> Conflict:
    return Conflict("Another deployment was made current meanwhile", code="CONCURRENT_UPDATE")
