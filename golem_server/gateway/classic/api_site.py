"""A site of API definitions: finds the route of a request, asks who calls and from where, and lets its binding answer.

The order is that of reference gateway, sections 1.12 and 1.14: route, login, cross-origin rules, binding.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeAlias

from golem_server.gateway.classic.compiler import CompiledRoute, DefinitionCompiler
from golem_server.gateway.classic.cors import CorsPolicy
from golem_server.gateway.classic.path_patterns import PathPattern, Segment, SegmentKind, request_segments
from golem_server.gateway.classic.request_inputs import RequestFacts
from golem_server.gateway.classic.router import Router
from golem_server.gateway.classic.swagger_ui import ASSETS, AssetEndpoint
from golem_server.gateway.failures import RequestFailed
from golem_server.gateway.requests import GatewayRequest
from golem_server.gateway.responses import GatewayResponse
from golem_server.gateway.sites import Site
from golem_server.model.api_definitions import BindingKind
from golem_server.model.errors import InvalidInput
from golem_server.model.ids import EnvironmentId
from golem_server.registry.ports import ApiDefinitionStore

_log = logging.getLogger(__name__)

Callbacks: TypeAlias = Mapping[tuple[str, ...], str]
"""Names of security schemes by the segments of the paths at which their providers' callers come back."""


class Login(Protocol):
    """Knows who calls routes that have a security scheme."""

    async def claims(
        self, request: GatewayRequest, environment_id: EnvironmentId, scheme: str
    ) -> Mapping[str, Any] | GatewayResponse:
        """The claims of the caller's ID token, or the response that lets the caller log in."""
        ...

    async def callbacks(self, environment_id: EnvironmentId, host: str, schemes: Collection[str]) -> Callbacks:
        """Where the providers of these schemes send callers back to at a host."""
        ...

    async def take_back(self, request: GatewayRequest, environment_id: EnvironmentId, scheme: str) -> GatewayResponse:
        """The response to a caller whom the provider of a scheme sends back."""
        ...


class ApiSite:
    """Implements `sites.Site` for the routes of one or more definitions."""

    def __init__(
        self,
        environment_id: EnvironmentId,
        routes: Sequence[Sequence[CompiledRoute]],
        login: Login | None,
        callbacks: Callbacks,
    ) -> None:
        """The routes of each definition at the site. `callbacks` come before all of them."""
        self._environment_id = environment_id
        self._login = login
        self._callbacks = callbacks
        placed: list[_PlacedRoute] = []
        for definition in routes:
            policies = {compiled.pattern.shape: compiled.cors for compiled in definition if compiled.cors is not None}
            placed += [_PlacedRoute(compiled, policies.get(compiled.pattern.shape)) for compiled in definition]
        served = [(each.method, each.compiled.pattern, each) for each in placed]
        # Behind the others: what a definition has itself comes first.
        for each in placed:
            served += [
                (method, pattern, _PlacedRoute(asset, None)) for method, pattern, asset in _assets(each.compiled)
            ]
        self._router = Router(served)

    async def answer(self, request: GatewayRequest) -> GatewayResponse:
        """The response to a request to this host. Raises RequestFailed, or an error of a worker."""
        segments = request_segments(request.path)
        if segments is not None and self._callbacks and self._login is not None and request.method == "GET":
            # Were a route to take it that needs a login itself, nobody's login would ever end.
            scheme = self._callbacks.get(tuple(segments))
            if scheme is not None:
                return await self._login.take_back(request, self._environment_id, scheme)
        found = None if segments is None else self._router.find(request.method, segments)
        if found is None:
            raise RequestFailed(404, "Route not found")
        route, values = found
        facts = RequestFacts(request, dict(zip(route.compiled.pattern.variables, values, strict=True)))
        if route.security is not None:
            who = await self._who(request, route.security)
            if isinstance(who, GatewayResponse):
                return who
            facts.claims = who
        if route.policy is None:
            return await route.compiled.endpoint.answer(facts)
        return await _with_policy(route.policy, route, facts)

    async def _who(self, request: GatewayRequest, scheme: str) -> Mapping[str, Any] | GatewayResponse:
        if self._login is None:
            raise RequestFailed(401, "Nobody can log in at this server")
        return await self._login.claims(request, self._environment_id, scheme)


class _PlacedRoute:
    """A route at a site, with the cross-origin rules of its path; a preflight itself is not held to them."""

    __slots__ = ("compiled", "method", "policy", "security")

    def __init__(self, compiled: CompiledRoute, policy: CorsPolicy | None) -> None:
        self.compiled = compiled
        self.method = compiled.route.method
        self.security = compiled.route.security
        self.policy = policy if compiled.cors is None else None


def _assets(compiled: CompiledRoute) -> Iterable[tuple[str, PathPattern, CompiledRoute]]:
    """The files of a page for people, below it."""
    if compiled.route.binding.kind is not BindingKind.SWAGGER_UI:
        return
    for name in ASSETS:
        segments = (*compiled.pattern.segments, Segment(SegmentKind.LITERAL, name))
        yield "GET", PathPattern(segments), replace(compiled, endpoint=AssetEndpoint(name))


async def _with_policy(policy: CorsPolicy, route: _PlacedRoute, facts: RequestFacts) -> GatewayResponse:
    origin = facts.request.header("origin")
    if origin is None:
        return await route.compiled.endpoint.answer(facts)
    if not policy.allows(origin):
        raise RequestFailed(403, "CORS Error: Origin not allowed")
    try:
        response = await route.compiled.endpoint.answer(facts)
    except RequestFailed as failure:
        # A page must be able to read why its own request failed.
        response = failure.response()
    response.headers.extend(policy.headers(origin))
    return response


class ApiSites:
    """Implements `sites.SiteSource`: what the definitions at a host make of it."""

    def __init__(self, store: ApiDefinitionStore, compiler: DefinitionCompiler, login: Login | None = None) -> None:
        self._store = store
        self._compiler = compiler
        self._login = login

    async def site(self, host: str) -> Site | None:
        """The site at a host, or None. A definition that no longer fits its component leaves the others alone."""
        found = await self._store.definitions_at(host)
        if found is None:
            return None
        environment_id, definitions = found
        routes: list[Sequence[CompiledRoute]] = []
        for stored in definitions:
            try:
                routes.append(await self._compiler.compiled(environment_id, stored))
            except InvalidInput as error:
                _log.warning("definition %s at %s cannot be served: %s", stored.definition.key, host, error.message)
        schemes = {each.route.security for compiled in routes for each in compiled} - {None}
        callbacks: Callbacks = {}
        if schemes and self._login is not None:
            callbacks = await self._login.callbacks(environment_id, host, [each for each in schemes if each])
        return ApiSite(environment_id, routes, self._login, callbacks)
