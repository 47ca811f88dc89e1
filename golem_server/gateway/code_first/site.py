"""The site of a domain at which agents are deployed: every request finds its route here."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from golem_server.asgi import ClientLeft
from golem_server.clock import Clock
from golem_server.durable.executor import Executor
from golem_server.gateway.code_first.authentication import Callers, Logins
from golem_server.gateway.code_first.calls import AgentCalls
from golem_server.gateway.code_first.compilation import compile_api
from golem_server.gateway.code_first.cors import add_cors_headers, asked_method, preflight_response
from golem_server.gateway.code_first.deployed import DeployedHttpApis
from golem_server.gateway.code_first.failures import RequestFailure, failure_of, route_not_found
from golem_server.gateway.code_first.openapi import document_json, document_yaml, openapi_document
from golem_server.gateway.code_first.path_segments import MalformedPath, Shape, request_segments
from golem_server.gateway.code_first.router import Match
from golem_server.gateway.code_first.routes import (
    AgentRoute,
    CompiledApi,
    DocumentRoute,
    LoginRoute,
    PreflightRoute,
    Route,
    WebhookRoute,
)
from golem_server.gateway.code_first.webhooks import WebhookIds, Webhooks
from golem_server.gateway.requests import GatewayRequest
from golem_server.gateway.responses import GatewayResponse
from golem_server.gateway.sites import Site
from golem_server.model.errors import InvalidInput

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CodeFirstServices:
    """What sites need of the rest of the server."""

    executor: Executor
    logins: Logins
    webhook_ids: WebhookIds
    clock: Clock


class CodeFirstSite:
    """Answers requests to one domain."""

    def __init__(self, api: CompiledApi, services: CodeFirstServices, calls: AgentCalls) -> None:
        self._api = api
        self._calls = calls
        self._webhooks = Webhooks(services.executor, services.webhook_ids)
        self._documents: dict[str, bytes] = {}
        self._callers = Callers(api.deployment.environment_id, services.logins, services.clock)

    async def answer(self, request: GatewayRequest) -> GatewayResponse:
        """The response to a request. Raises ClientLeft; every other failure is a response."""
        try:
            return await self._answer(request)
        except ClientLeft:
            raise
        except Exception as error:
            return failure_of(error).response()

    async def _answer(self, request: GatewayRequest) -> GatewayResponse:
        match = self._match(request, request.method)
        if match is None:
            raise route_not_found()
        match match.route:
            case AgentRoute() as route:
                return await self._call(route, match.captured, request)
            case PreflightRoute(shape):
                return preflight_response(request, self._wanted(request, shape))
            case LoginRoute(scheme):
                return await self._callers.take_back(request, scheme)
            case DocumentRoute(form):
                return self._document(form)
            case WebhookRoute():
                return await self._webhooks.complete(match.captured[-1], request)

    def _document(self, form: str) -> GatewayResponse:
        """The OpenAPI document, made when it is first asked for."""
        if form not in self._documents:
            document = openapi_document(self._api)
            self._documents = {"json": document_json(document), "yaml": document_yaml(document)}
        return GatewayResponse(200, [("content-type", f"application/{form}")], self._documents[form])

    def _wanted(self, request: GatewayRequest, shape: Shape) -> AgentRoute | None:
        """The route of this shape that would take the call which a preflight asks for."""
        match = self._match(request, asked_method(request))
        route = None if match is None else match.route
        return route if isinstance(route, AgentRoute) and route.shape == shape else None

    def _match(self, request: GatewayRequest, method: str) -> Match[Route] | None:
        try:
            return self._api.router.match(method, request_segments(request.path))
        except MalformedPath:
            raise RequestFailure(400, "REQUEST_MALFORMED_PATH", "the path is not UTF-8") from None

    async def _call(self, route: AgentRoute, captured: tuple[str, ...], request: GatewayRequest) -> GatewayResponse:
        try:
            caller = await self._callers.principal(request, route.security)
            if isinstance(caller, GatewayResponse):
                return caller
            response = await self._calls.call(route, captured, request, caller)
        except ClientLeft:
            raise
        except Exception as error:
            # Told to pages of allowed origins as well: they could not see what is wrong otherwise.
            response = failure_of(error).response()
        add_cors_headers(route, request, response)
        return response


class CodeFirstSites:
    """The sites of all domains at which agents are deployed (`gateway.sites.SiteSource`)."""

    def __init__(self, apis: DeployedHttpApis, services: CodeFirstServices) -> None:
        self._apis = apis
        self._services = services
        self._calls = AgentCalls(services.executor)

    async def site(self, host: str) -> Site | None:
        """What is deployed at a domain, compiled; None where nothing is."""
        api = await self._apis.deployed_http_api(host)
        if api is None:
            return None
        schemes = await self._services.logins.schemes(api.deployment.environment_id)
        try:
            compiled = compile_api(api, schemes)
        except InvalidInput as error:
            # Deploying has checked it; a security scheme that was changed since can be in its way.
            log.error("the HTTP API at %s cannot be served: %s", host, error.message)
            return _Broken()
        return CodeFirstSite(compiled, self._services, self._calls)


class _Broken:
    """A deployment that cannot be served."""

    async def answer(self, request: GatewayRequest) -> GatewayResponse:
        """That it cannot."""
        return RequestFailure(500, "INTERNAL_ROUTING_FAILURE", "The API at this domain cannot be served").response()
