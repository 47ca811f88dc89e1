"""What a client asks for when it sends a person here, and what is told it when nothing comes of it.

Until the client and its redirect URI are known to belong together, faults are told the person and nobody is sent
anywhere; from then on they are told the client (RFC 6749, section 4.1.2.1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

import msgspec

from golem_server.gateway.mcp.oauth.clients import Client, client_hash
from golem_server.gateway.mcp.oauth.domains import ProtectedDomain
from golem_server.gateway.mcp.oauth.redirect_uris import is_registered, with_parameters
from golem_server.gateway.responses import GatewayResponse

MAX_STATE = 1_000
REQUEST_SECONDS = 10 * 60
"""How long a person may think about it."""

_MAX_FIELDS = 50
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_STATE = re.compile(r"[\x20-\x7e]*")
_REPEATABLE = ("resource",)
"""RFC 8707, section 2."""


class BadParameters(Exception):
    """A query or a form cannot be read; the text says why."""


class ClientUnknown(Exception):
    """The client is none, or the redirect URI none of its own; the text says so to the person."""


class RequestRefused(Exception):
    """The client is to be told why its request came to nothing. `code` is one of RFC 6749, section 4.1.2.1."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class AuthorizationRequest(msgspec.Struct, frozen=True, array_like=True):
    """What a client asks for: its hash, where it wants the code, the challenge of its verifier, and its state."""

    client: str
    redirect_uri: str
    challenge: str
    state: str | None
    expires_at: int

    def answer(self, domain: ProtectedDomain, parameters: dict[str, str]) -> GatewayResponse:
        """The response that sends a person back to the client."""
        return back_to_client(domain, self.redirect_uri, self.state, parameters)


def read_parameters(text: str) -> Mapping[str, str]:
    """The parameters of a query or a form. Raises BadParameters for one that comes twice (RFC 6749, section 3.1)."""
    found: dict[str, str] = {}
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except ValueError:
        raise BadParameters("The parameters cannot be read") from None
    for name, value in pairs:
        if name in found and name not in _REPEATABLE:
            raise BadParameters(f"The parameter {name[:100]} comes twice")
        found[name] = value
    return found


def redirect_uri_of(client: Client | None, asked: Mapping[str, str]) -> str:
    """Where the client may be answered. Raises ClientUnknown."""
    if client is None:
        raise ClientUnknown("The application is not registered here: client_id is missing, or not one of this domain")
    uri = asked.get("redirect_uri", "")
    if not is_registered(uri, client.redirect_uris):
        raise ClientUnknown("The application wants its answer at a redirect_uri that it has not registered")
    return uri


def read_request(
    asked: Mapping[str, str], redirect_uri: str, domain: ProtectedDomain, now: int
) -> AuthorizationRequest:
    """What is asked for by a client that is known; `now` in seconds. Raises RequestRefused."""
    kind = asked.get("response_type")
    if kind != "code":
        code = "invalid_request" if kind is None else "unsupported_response_type"
        raise RequestRefused(code, "response_type must be code")
    if asked.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(asked.get("code_challenge", "")):
        raise RequestRefused("invalid_request", "a code_challenge with the code_challenge_method S256 is required")
    state = state_of(asked)
    if state is None and "state" in asked:
        raise RequestRefused("invalid_request", f"state must have {MAX_STATE} printable characters at most")
    resource = asked.get("resource")
    if resource is not None and resource.rstrip("/").lower() not in (domain.resource.lower(), domain.origin.lower()):
        raise RequestRefused("invalid_target", f"the resource here is {domain.resource}")
    if not domain.takes_logins:
        raise RequestRefused("server_error", "the redirect URL of the security scheme does not lead to this domain")
    client = client_hash(asked["client_id"])
    return AuthorizationRequest(client, redirect_uri, asked["code_challenge"], state, now + REQUEST_SECONDS)


def state_of(asked: Mapping[str, str]) -> str | None:
    """The client's state, if it has one that can be given back."""
    state = asked.get("state")
    return state if state is not None and len(state) <= MAX_STATE and _STATE.fullmatch(state) else None


def back_to_client(
    domain: ProtectedDomain, redirect_uri: str, state: str | None, parameters: dict[str, str]
) -> GatewayResponse:
    """The response that sends a person back to a client with parameters; `iss` tells it who answers (RFC 9207)."""
    # The documents do not promise `iss`: a client that was promised it fails where its own code loses it on the way.
    given = {**parameters, **({} if state is None else {"state": state}), "iss": domain.origin}
    location = with_parameters(redirect_uri, given)
    return GatewayResponse(
        302, [("location", location), ("cache-control", "no-store"), ("referrer-policy", "no-referrer")]
    )
