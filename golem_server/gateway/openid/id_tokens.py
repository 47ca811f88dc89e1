"""ID tokens: who a provider says somebody is, and whether it was really said, to us, and now.

(OpenID Connect Core 1.0, section 3.1.3.7.)
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any, cast

import msgspec
from joserfc import jws, jwt
from joserfc.errors import JoseError

from golem_server.gateway.openid.provider import ProviderMetadata, Providers

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
"""Signatures that only the provider can make: neither none at all nor such with a shared secret."""

LEEWAY_SECONDS = 60
_MAX_TOKEN = 64 << 10
_LATEST = 1e12


class InvalidToken(Exception):
    """The token is not to be believed; the text says why."""


async def checked_claims(
    providers: Providers, metadata: ProviderMetadata, token: str, client_id: str, nonce: str | None, now: float
) -> Mapping[str, Any]:
    """The claims of an ID token. `now` in seconds since the epoch; `nonce` is None for a token without a login.

    Raises InvalidToken, ProviderFailed.
    """
    if len(token) > _MAX_TOKEN:
        raise InvalidToken("it is too long")
    try:
        # Whatever its type says, the library gives any JSON that mentions `alg`.
        given = cast("object", jws.extract_compact(token.encode()).headers())
        if not isinstance(given, dict):
            raise InvalidToken("its header is no object")
        header = cast("dict[str, Any]", given)
        if header.get("alg") not in ALGORITHMS:
            raise InvalidToken("its algorithm is not allowed")
        key_id = header.get("kid")
        keys = await providers.keys(metadata, key_id if isinstance(key_id, str) else None)
        claims: Mapping[str, Any] = jwt.decode(token, keys, algorithms=list(ALGORITHMS)).claims
    except (JoseError, ValueError, TypeError, RecursionError) as error:
        raise InvalidToken(f"its signature does not hold: {error}") from None
    _check(claims, metadata, client_id, nonce, now)
    try:
        # The library reads more than JSON: numbers that are none, and such as no database keeps.
        return msgspec.json.decode(msgspec.json.encode(claims))
    except (TypeError, ValueError, OverflowError, RecursionError):
        raise InvalidToken("its claims are no JSON") from None


def _check(
    claims: Mapping[str, Any], metadata: ProviderMetadata, client_id: str, nonce: str | None, now: float
) -> None:
    audience = claims.get("aud")
    audiences = cast("list[Any]", audience) if isinstance(audience, list) else [audience]
    if not metadata.issued(claims):
        raise InvalidToken("another provider has made it")
    if client_id not in audiences or (len(audiences) > 1 and claims.get("azp") != client_id):
        raise InvalidToken("it is meant for another client")
    if _time(claims, "exp", 0) + LEEWAY_SECONDS <= now:
        raise InvalidToken("it has expired")
    if max(_time(claims, "iat", now), _time(claims, "nbf", now)) - LEEWAY_SECONDS > now:
        raise InvalidToken("it is of the future")
    if nonce is not None and not hmac.compare_digest(str(claims.get("nonce")).encode(), nonce.encode()):
        raise InvalidToken("it belongs to another login")
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        raise InvalidToken("it names nobody")


def _time(claims: Mapping[str, Any], name: str, default: float) -> float:
    """A claim in seconds since the epoch. Raises InvalidToken for what is no time."""
    value = claims.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < _LATEST:
        raise InvalidToken(f"its {name} is no time")
    return value
