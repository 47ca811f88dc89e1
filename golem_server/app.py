"""The composition root: builds every part once and wires them. The only file that knows all rooms.

The command line calls four functions of it, one for each command; each gets the settings and nothing else.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST

from golem_server import __version__
from golem_server.serving import RequestEdge, listen, serve_application
from golem_server.settings import Settings
from golem_server.telemetry import Metrics

LOCAL_TOKEN = "5c832d93-ff85-4a8f-9803-513950fdfdb1"
"""The token that Golem's own command line uses against a local server (golem@v1.4.2:cli/golem/src/launch.rs)."""


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What `golem-server info` shows."""

    version: str
    address: str
    data_directory: str
    database: str
    local_token: str | None


@dataclass(frozen=True, slots=True)
class TokenInfo:
    """What `golem-server token` shows."""

    token: str


async def serve(settings: Settings) -> None:
    """Run the server until a stop signal. Raises AddressInUse or StartupFailed."""
    listener = listen(settings)
    metrics = Metrics()
    await serve_application(RequestEdge(build(settings, metrics), metrics), settings, listener)


async def migrate(settings: Settings) -> None:
    """Bring the database to this version's schema."""


async def info(settings: Settings) -> ServerInfo:
    """The addresses and ids that a client needs."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return ServerInfo(
        version=__version__,
        address=f"http://{host}:{settings.port}",
        data_directory=str(settings.data_directory.resolve()),
        database="embedded" if settings.database_url is None else "external",
        local_token=LOCAL_TOKEN if settings.local_token_allowed else None,
    )


async def token(settings: Settings) -> TokenInfo:
    """A token that this server accepts. Raises LookupError if the settings name none and the local one is refused."""
    if settings.token is not None:
        return TokenInfo(settings.token.get_secret_value())
    if settings.local_token_allowed:
        return TokenInfo(LOCAL_TOKEN)
    raise LookupError("no token: set GOLEM_TOKEN, or allow the local token with GOLEM_ALLOW_LOCAL_TOKEN=true")


def build(settings: Settings, metrics: Metrics) -> FastAPI:
    """The HTTP application with everything behind it; its lifespan starts and stops the rest."""

    @asynccontextmanager
    async def lifespan(_application: FastAPI) -> AsyncGenerator[None, None]:
        yield

    application = FastAPI(title="golem-server", version=__version__, lifespan=lifespan)

    async def healthcheck() -> dict[str, str]:
        """Answers as soon as the server accepts requests."""
        return {}

    async def version() -> dict[str, str]:
        """The version of the server."""
        return {"version": __version__}

    async def figures() -> Response:
        """The server's figures in Prometheus' text format."""
        return Response(metrics.render(), media_type=CONTENT_TYPE_LATEST)

    application.add_api_route("/healthcheck", healthcheck, tags=["server"])
    application.add_api_route("/version", version, tags=["server"])
    application.add_api_route("/metrics", figures, tags=["server"], response_class=Response)
    return application
