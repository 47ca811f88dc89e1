"""What operators ask without a token: whether the server lives, its version, its figures."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from golem_server import __version__
from golem_server.api.services import services_of

router = APIRouter(tags=["Server"])


@router.get("/healthcheck")
async def healthcheck() -> dict[str, str]:
    """Answers as soon as the server accepts requests."""
    return {}


@router.get("/version")
async def version() -> dict[str, str]:
    """The version of the server."""
    return {"version": __version__}


@router.get("/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """The server's figures in Prometheus' text format."""
    return Response(services_of(request).metrics.render(), media_type=CONTENT_TYPE_LATEST)
