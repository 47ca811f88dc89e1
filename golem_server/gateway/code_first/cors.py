"""Which pages of other origins may call a route from a browser (reference: gateway, section 3.5).

A route allows `*` or exact origins. What a browser asks before a call (a *preflight*) is answered for the route that
the call would take. A call is never refused: without the headers the browser keeps the answer from the page.
"""

from __future__ import annotations

from golem_server.gateway.code_first.failures import RequestFailure
from golem_server.gateway.code_first.parameters import Parameter
from golem_server.gateway.code_first.routes import AgentRoute
from golem_server.gateway.requests import GatewayRequest
from golem_server.gateway.responses import GatewayResponse
from golem_server.model.http_api_deployments import TestSessionHeader

MAX_AGE_SECONDS = 3600

_VARY = ("vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")
_ALWAYS = ("idempotency-key", "traceparent", "tracestate")
"""Headers that mean something to every route."""


def add_cors_headers(route: AgentRoute, request: GatewayRequest, response: GatewayResponse) -> None:
    """Let the page read the response, if its origin is allowed to."""
    if not route.cors:
        return
    origin = request.header("origin")
    if origin is not None and _allows(route, origin):
        response.headers.append(("access-control-allow-origin", origin))
        response.headers.append(("access-control-allow-credentials", "true"))
    response.headers.append(("vary", "Origin"))


def asked_method(request: GatewayRequest) -> str:
    """The method that a preflight asks for. Raises RequestFailure for a request that is none."""
    for name in ("Origin", "Access-Control-Request-Method"):
        if not request.header(name.lower()):
            raise RequestFailure(400, "REQUEST_MISSING_VALUE", f"header {name} is missing")
    return (request.header("access-control-request-method") or "").strip().upper()


def preflight_response(request: GatewayRequest, route: AgentRoute | None) -> GatewayResponse:
    """The answer to a preflight; `route` is what would take the call, None for nothing that it may ask for."""
    origin = request.header("origin") or ""
    asked = [
        name.strip() for value in request.header_values("access-control-request-headers") for name in value.split(",")
    ]
    asked = [name for name in asked if name]
    if route is None or not _allows(route, origin) or not {name.lower() for name in asked} <= _allowed_headers(route):
        return GatewayResponse(403, [_VARY])
    headers = [
        ("access-control-allow-origin", origin),
        ("access-control-allow-methods", route.http_method),
        ("access-control-allow-credentials", "true"),
        ("access-control-max-age", str(MAX_AGE_SECONDS)),
        _VARY,
    ]
    if asked:
        headers.append(("access-control-allow-headers", ", ".join(asked)))
    return GatewayResponse(204, headers)


def _allows(route: AgentRoute, origin: str) -> bool:
    return "*" in route.cors or origin in route.cors


def _allowed_headers(route: AgentRoute) -> set[str]:
    allowed = {*_ALWAYS, *(_header(parameter) for parameter in route.arguments if parameter.source == "header")}
    if route.body is not None:
        allowed |= {"content-type", "content-language"}
    if isinstance(route.security, TestSessionHeader):
        allowed.add(route.security.header_name.lower())
    return allowed


def _header(parameter: Parameter) -> str:
    return parameter.key.lower()
