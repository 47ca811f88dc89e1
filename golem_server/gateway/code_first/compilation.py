"""What is deployed at domains to routes, with everything that is wrong about it told at once.

Nothing of a deployment is served unless all of it can be (reference: gateway, section 3.3).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from golem_server.gateway.code_first.agent_routes import MountedAgent
from golem_server.gateway.code_first.declarations import InvalidDeclaration
from golem_server.gateway.code_first.deployed import DeployedHttpApi
from golem_server.gateway.code_first.path_segments import (
    Literal,
    Segment,
    Variable,
    prefix_segments,
    printed,
    request_segments,
)
from golem_server.gateway.code_first.router import DuplicateRoute, Router
from golem_server.gateway.code_first.routes import (
    AgentRoute,
    CompiledApi,
    DocumentRoute,
    LoginRoute,
    PreflightRoute,
    Route,
    WebhookRoute,
)
from golem_server.model.errors import InvalidInput
from golem_server.model.http_api_deployments import NamedSecurityScheme
from golem_server.model.security_schemes import SecurityScheme

_WEBHOOK_ID = Variable("id")

_log = logging.getLogger(__name__)


def compile_apis(apis: Sequence[DeployedHttpApi]) -> list[CompiledApi]:
    """The routes of all domains of an environment. Raises InvalidInput whose `details` are all that is wrong."""
    reasons: list[str] = []
    domains: dict[str, str] = {}
    compiled: list[CompiledApi] = []
    for api in apis:
        domain = api.deployment.domain
        reasons += [
            f"agent type {name} is deployed at {domains[name]} and at {domain}: "
            "an agent type can only be deployed to one domain at a time"
            for name in api.deployment.agents
            if domains.setdefault(name, domain) != domain
        ]
        try:
            compiled.append(compile_api(api))
        except InvalidInput as error:
            reasons += error.details
    if reasons:
        raise _invalid(reasons)
    return compiled


def compile_api(api: DeployedHttpApi, schemes: Mapping[str, SecurityScheme] | None = None) -> CompiledApi:
    """The routes of one domain. Raises InvalidInput whose `details` are all that is wrong.

    `schemes` are the security schemes that exist. Routes behind one that does not are left out; without `schemes` all
    are there, which is for checking alone.
    """
    compiler = _Compiler(api)
    agents = compiler.mounted_agents()
    routes = compiler.agent_routes(agents)
    if schemes is not None:
        routes = [
            route
            for route in routes
            if not isinstance(route.security, NamedSecurityScheme) or route.security.name in schemes
        ]
    compiler.add_logins(routes, schemes or {})
    compiler.add_agent_routes(routes)
    compiler.add_webhooks(agents)
    compiler.add_documents()
    compiler.add_preflights(routes)
    if compiler.reasons:
        raise _invalid(compiler.reasons)
    return CompiledApi(api.deployment, compiler.router, routes, schemes or {})


def _invalid(reasons: Sequence[str]) -> InvalidInput:
    return InvalidInput(f"The HTTP API cannot be deployed: {'; '.join(reasons)}", details=reasons)


@dataclass(slots=True)
class _Compiler:
    """The routes of one domain as they are put together; `reasons` are what is wrong with it."""

    api: DeployedHttpApi
    router: Router[Route] = field(default_factory=Router[Route])
    reasons: list[str] = field(default_factory=list[str])

    def mounted_agents(self) -> list[MountedAgent]:
        """The agents of the domain that can be there."""
        found: list[MountedAgent] = []
        for name, security in self.api.deployment.agents.items():
            agent = self.api.agents.get(name)
            if agent is None:
                self._wrong(f"agent type {name} is not part of the deployment")
            elif agent.type.http_mount is None:
                self._wrong(f"agent type {name} has no HTTP mount")
            else:
                allowed = self.api.test_headers_allowed
                try:
                    found.append(MountedAgent(agent, security, test_headers_allowed=allowed))
                except InvalidDeclaration as error:
                    self._wrong(*(f"agent type {name}: {reason}" for reason in error.reasons))
        return found

    def agent_routes(self, agents: Sequence[MountedAgent]) -> list[AgentRoute]:
        """The routes of all endpoints that are right."""
        routes: list[AgentRoute] = []
        for mounted in agents:
            for method, endpoint in mounted.endpoints():
                try:
                    routes.append(mounted.route(method, endpoint))
                except InvalidDeclaration as error:
                    place = f"method {method.name} of agent type {mounted.agent.type.name}"
                    self._wrong(*(f"{place}: {reason}" for reason in error.reasons))
        return routes

    def add_logins(self, routes: Sequence[AgentRoute], schemes: Mapping[str, SecurityScheme]) -> None:
        """Where the providers of the schemes that are used send callers back to."""
        used = {route.security.name for route in routes if isinstance(route.security, NamedSecurityScheme)}
        urls = {name: urlsplit(schemes[name].redirect_url) for name in sorted(used & schemes.keys())}
        # Schemes of several domains may come back at the same path: those of this one take it.
        for name in sorted(urls, key=lambda each: urls[each].netloc != self.api.deployment.domain):
            self._add("GET", [Literal(text) for text in request_segments(urls[name].path)], LoginRoute(name))

    def add_agent_routes(self, routes: Sequence[AgentRoute]) -> None:
        """The endpoints themselves."""
        for route in routes:
            self._add(route.http_method, route.path, route)

    def add_webhooks(self, agents: Sequence[MountedAgent]) -> None:
        """A webhook for each agent type."""
        for mounted in agents:
            name = mounted.agent.type.name
            try:
                path = mounted.webhook_path(self.api.deployment.webhooks_prefix)
            except InvalidDeclaration as error:
                self._wrong(*(f"agent type {name}: {reason}" for reason in error.reasons))
            else:
                self._add("POST", [*path, _WEBHOOK_ID], WebhookRoute(name))

    def add_documents(self) -> None:
        """The OpenAPI document in both forms."""
        prefix = prefix_segments(self.api.deployment.openapi_endpoint_prefix)
        self._add("GET", [*prefix, Literal("openapi.json")], DocumentRoute("json"))
        self._add("GET", [*prefix, Literal("openapi.yaml")], DocumentRoute("yaml"))

    def add_preflights(self, routes: Sequence[AgentRoute]) -> None:
        """One OPTIONS route for all routes of one shape, if browsers may call any of them from elsewhere."""
        paths = {route.shape: route.path for route in reversed(routes) if route.cors}
        for shape, path in paths.items():
            self._add("OPTIONS", path, PreflightRoute(shape))

    def _add(self, method: str, path: Sequence[Segment], route: Route) -> None:
        try:
            self.router.add(method, path, route)
        except DuplicateRoute as duplicate:
            if isinstance(duplicate.present, LoginRoute):
                # Schemes change after deploying: one that comes back here must not take the whole domain away.
                _log.warning("GET %s at %s is a redirect URL now", printed(path), self.api.deployment.domain)
                return
            self._wrong(f"there are multiple routes for pattern {method} {printed(path)}")

    def _wrong(self, *reasons: str) -> None:
        self.reasons += [f"Http api for domain {self.api.deployment.domain}: {reason}" for reason in reasons]
