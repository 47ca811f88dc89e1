"""The HTTP application: the routes of all rooms of the API, and the layers around them.

An invocation goes straight to its route, but for one that a page of a browser sends. Everything else passes, from
outside to inside, CORS and the error boundary to the framework.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route

from golem_server import __version__
from golem_server.api import (
    agents,
    api_definitions,
    components,
    connect,
    console,
    deployments,
    domains,
    environment_plugins,
    health,
    http_api_deployments,
    mcp_deployments,
    oplog,
    plugins,
    resources,
    security_schemes,
    worker_changes,
    worker_files,
    worker_plugins,
    workers,
)
from golem_server.api.contract import openapi_document
from golem_server.api.errors import answer_error
from golem_server.api.invocations import AWAIT, FORGET, Invocations
from golem_server.api.services import ApiServices
from golem_server.asgi import Message, Receive, Scope, Send
from golem_server.model.errors import GolemError

_ROUTES = (
    health,
    components,
    agents,
    workers,
    worker_changes,
    worker_files,
    worker_plugins,
    connect,
    oplog,
    plugins,
    environment_plugins,
    resources,
    api_definitions,
    domains,
    http_api_deployments,
    mcp_deployments,
    deployments,
    security_schemes,
    console,
)
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD")


class Application:
    """The ASGI application. `framework` holds all routes; others may add theirs before the start."""

    def __init__(self, open_services: Callable[[], AbstractAsyncContextManager[ApiServices]]) -> None:
        self._invocations = Invocations(self._opened)
        self.framework = _framework(open_services, self._invocations)
        self._edge = CORSMiddleware(
            self._route,
            allow_origin_regex=".*",
            allow_credentials=True,
            allow_methods=_METHODS,
            allow_headers=["*"],
        )

    def _opened(self) -> ApiServices:
        services: ApiServices = self.framework.state.services
        return services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or run the lifespan."""
        if scope["type"] == "http" and Invocations.matches(scope) and not _comes_from_a_page(scope):
            await self._invocations(scope, receive, send)
        else:
            await self._edge(scope, receive, send)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" or scope["type"] == "websocket":
            # Without this a `%2F` in a worker's name would be taken for the end of a segment (api/paths.py).
            scope["path"] = scope["raw_path"].decode("latin-1")
        if scope["type"] != "http":
            await self.framework(scope, receive, send)
        elif Invocations.matches(scope):
            await self._invocations(scope, receive, send)
        else:
            await self._bounded(scope, receive, send)

    async def _bounded(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the framework answer; it raises an unexpected error once more after the answer, which is enough."""
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.framework(scope, receive, watch)
        except Exception:
            if not started:
                raise


def _comes_from_a_page(scope: Scope) -> bool:
    """Whether a browser asks for a page, which needs the headers of CORS in the answer."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    return any(name == b"origin" for name, _ in headers)


def build_application(open_services: Callable[[], AbstractAsyncContextManager[ApiServices]]) -> Application:
    """The application over services that are opened at its start and closed at its end."""
    return Application(open_services)


def _framework(
    open_services: Callable[[], AbstractAsyncContextManager[ApiServices]], invocations: Invocations
) -> FastAPI:
    @asynccontextmanager
    async def lifespan(framework: FastAPI) -> AsyncGenerator[None]:
        async with open_services() as services:
            framework.state.services = services
            yield

    framework = FastAPI(title="golem-server", version=__version__, lifespan=lifespan, redirect_slashes=False)
    framework.openapi = openapi_document
    for module in _ROUTES:
        framework.include_router(module.router)
    # Invocations come here only in order that another method than POST is told so.
    for operation in (AWAIT, FORGET):
        path = f"/v1/components/{{component_id}}/workers/{{agent_name}}/{operation.decode()}"
        framework.router.routes.append(Route(path, invocations, methods=["POST"]))
    for error in (GolemError, RequestValidationError, HTTPException, Exception):
        framework.add_exception_handler(error, answer_error)
    return framework
