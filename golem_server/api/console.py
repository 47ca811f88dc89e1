"""The console: a web page at `/console` that shows components, workers and their oplogs, and lets people act on them.

The page is a handful of files without a build step; it uses the REST interface like any other client, with a token
that its user gives. Its files need no token, and nothing else than this server.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from golem_server import __version__
from golem_server.api.authentication import authenticated
from golem_server.api.json_bodies import json_response
from golem_server.api.paths import ComponentPath, WorkerPath
from golem_server.model.errors import InvalidInput, NotFound
from golem_server.registry.accounts import DEFAULT_ENVIRONMENT_ID, DEFAULT_NAME

router = APIRouter(include_in_schema=False)

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_HEADERS = {
    # The browser asks each time whether it still has the newest: an update must not mix old files and new ones.
    "cache-control": "no-cache",
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self'; "
        "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


@router.get("/console")
@router.get("/console/")
async def console(request: Request) -> Response:
    """The page."""
    return _answer(request, "index.html")


@router.get("/console/settings.json", dependencies=[Depends(authenticated)])
async def settings() -> Response:
    """What the page must know of the server; says by the way whether the token is accepted."""
    return json_response(
        {
            "environmentId": str(DEFAULT_ENVIRONMENT_ID),
            "application": DEFAULT_NAME,
            "environment": DEFAULT_NAME,
            "version": __version__,
        }
    )


@router.get("/console/agents/{component_id}/{agent_name}", dependencies=[Depends(authenticated)])
async def agent(component: ComponentPath, worker: WorkerPath) -> Response:
    """What the name of an agent means: its type, the parameters of its constructor, its phantom id."""
    if component.agents is None:
        raise InvalidInput(f"{component.name} has no agents")
    found = component.agents.agent(worker.name)
    answer: dict[str, Any] = {
        "typeName": found.type.name,
        "parameters": found.type.constructor_schema.encode(found.id.parameters),
        "phantomId": None if found.id.phantom is None else str(found.id.phantom),
    }
    return json_response(answer)


@router.get("/console/{asset}")
async def asset(request: Request, asset: str) -> Response:
    """A file of the page."""
    return _answer(request, asset)


def _answer(request: Request, name: str) -> Response:
    content, tag = _asset(name)
    headers = {**_HEADERS, "etag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=_TYPES[name.rpartition(".")[2]])


@cache
def _assets() -> dict[str, bytes]:
    folder = files("golem_server.api") / "console_assets"
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name.rpartition(".")[2] in _TYPES}


def _asset(name: str) -> tuple[bytes, str]:
    """A file and its tag. Raises NotFound."""
    content = _assets().get(name)
    if content is None:
        raise NotFound("The console has no such file")
    return content, f'"{sha256(content).hexdigest()[:24]}"'
