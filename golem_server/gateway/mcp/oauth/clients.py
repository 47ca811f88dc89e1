"""Clients that have registered themselves (RFC 7591): all that is known of one lies in its id, signed.

Anybody may register, and as often as he likes; the server keeps nothing of it. What a client says of itself is worth
no more than that: a person decides whether it gets a token (consent_page.py). All clients are public ones, which prove
by PKCE that a code is theirs.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgspec

from golem_server.gateway.mcp.oauth.redirect_uris import MAX_URI, is_allowed
from golem_server.gateway.mcp.oauth.seals import Seals

MAX_REDIRECT_URIS = 10
MAX_REDIRECT_BYTES = 2_000
"""Of all URIs of a client: its id holds them, and comes as a part of URLs."""

MAX_NAME = 100
_PURPOSE = "client"


class InvalidMetadata(Exception):
    """A client cannot be registered. `code` is one of RFC 7591, section 3.2.2; the text says why."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Client(msgspec.Struct, frozen=True, array_like=True):
    """A client; `issued_at` in seconds since the epoch."""

    issued_at: int
    name: str
    redirect_uris: tuple[str, ...]


class _Metadata(msgspec.Struct):
    """What matters of what a client says (RFC 7591, section 2)."""

    redirect_uris: list[str]
    client_name: str | None = None
    grant_types: list[str] | None = None
    response_types: list[str] | None = None


class Clients:
    """The clients of all domains."""

    def __init__(self, seals: Seals) -> None:
        self._seals = seals

    def register(self, domain: str, body: bytes, now: int) -> Mapping[str, Any]:
        """What answers a client's registration at a domain; `now` in seconds. Raises InvalidMetadata."""
        try:
            asked = msgspec.json.decode(body, type=_Metadata)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidMetadata("invalid_client_metadata", str(error)) from None
        if "authorization_code" not in (asked.grant_types or ("authorization_code",)):
            raise InvalidMetadata("invalid_client_metadata", "grant_types must contain authorization_code")
        if "code" not in (asked.response_types or ("code",)):
            raise InvalidMetadata("invalid_client_metadata", "response_types must contain code")
        _check_redirect_uris(asked.redirect_uris)
        # Controls, and marks that turn the direction of what follows, have no business in a name.
        name = "".join(filter(str.isprintable, asked.client_name or "")).strip()[:MAX_NAME]
        client = Client(now, name, tuple(asked.redirect_uris))
        return {
            "client_id": self._seals.seal(_PURPOSE, domain, client),
            "client_id_issued_at": now,
            **({"client_name": name} if name else {}),
            "redirect_uris": asked.redirect_uris,
            # Whatever the client has asked for (RFC 7591, section 3.2.1, lets the server decide).
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code"],
            "response_types": ["code"],
        }

    def find(self, domain: str, client_id: str) -> Client | None:
        """The client that has registered itself at a domain with this id; None if none has."""
        return self._seals.open(_PURPOSE, domain, client_id, Client)


def client_hash(client_id: str) -> str:
    """What stands for a client where its id would be too long."""
    return urlsafe_b64encode(sha256(client_id.encode("utf-8", "surrogatepass")).digest()).rstrip(b"=").decode()


def _check_redirect_uris(uris: list[str]) -> None:
    if not 0 < len(uris) <= MAX_REDIRECT_URIS or sum(map(len, uris)) > MAX_REDIRECT_BYTES:
        raise InvalidMetadata(
            "invalid_redirect_uri",
            f"redirect_uris: expected 1 to {MAX_REDIRECT_URIS}, of {MAX_REDIRECT_BYTES} characters together",
        )
    for each in uris:
        if not is_allowed(each):
            raise InvalidMetadata(
                "invalid_redirect_uri",
                f"redirect_uris: `{each[:100]}` is no https URL, nor an http one of localhost, without a fragment "
                f"and of {MAX_URI} characters at most",
            )
