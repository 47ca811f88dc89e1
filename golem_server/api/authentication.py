"""Who calls: the bearer token or session cookie of a request (reference: rest-api, section 1)."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from golem_server.api.services import services_of
from golem_server.asgi import Headers
from golem_server.registry.access import AccountContext

_COOKIE = b"GOLEM_SESSION"


def credential(headers: Headers) -> str | None:
    """The secret that a request carries; a bearer token counts before a cookie."""
    cookie = None
    for name, value in headers:
        if name == b"authorization":
            scheme, _, secret = value.partition(b" ")
            return secret.strip().decode("latin-1") if scheme.lower() == b"bearer" else None
        if name == b"cookie":
            cookie = _session(value) or cookie
    return cookie


def _session(cookies: bytes) -> str | None:
    for part in cookies.split(b";"):
        name, equals, value = part.strip().partition(b"=")
        if equals and name == _COOKIE:
            return value.strip(b' "').decode("latin-1")
    return None


async def authenticated(request: Request) -> AccountContext:
    """The caller. Raises Unauthorized."""
    return await services_of(request).tokens.authenticate(credential(request.scope["headers"]))


Caller = Annotated[AccountContext, Depends(authenticated)]
"""The authenticated caller, as a parameter of a route."""
