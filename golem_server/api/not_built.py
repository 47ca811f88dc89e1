"""Operations of the contract that this version does not have: 501, and only for callers who may ask."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Depends, Response

from golem_server.api.authentication import authenticated
from golem_server.api.errors import NotBuilt

_OPERATIONS = (
    ("GET", "/v1/api/definitions", "Defining HTTP APIs"),
    ("POST", "/v1/api/definitions", "Defining HTTP APIs"),
    ("GET", "/v1/api/definitions/{id}/{version}", "Defining HTTP APIs"),
    ("PUT", "/v1/api/definitions/{id}/{version}", "Defining HTTP APIs"),
    ("DELETE", "/v1/api/definitions/{id}/{version}", "Defining HTTP APIs"),
    ("GET", "/v1/api/deployments", "Deploying HTTP APIs"),
    ("POST", "/v1/api/deployments", "Deploying HTTP APIs"),
    ("GET", "/v1/api/deployments/{site}", "Deploying HTTP APIs"),
    ("DELETE", "/v1/api/deployments/{site}", "Deploying HTTP APIs"),
)


def _endpoint(what: str) -> Callable[[], Coroutine[Any, Any, Response]]:
    async def not_built() -> Response:
        raise NotBuilt(what)

    return not_built


def _router() -> APIRouter:
    router = APIRouter(dependencies=[Depends(authenticated)])
    for method, path, what in _OPERATIONS:
        router.add_api_route(path, _endpoint(what), methods=[method])
    return router


router = _router()
