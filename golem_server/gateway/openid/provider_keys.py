"""The keys that a provider publishes (RFC 7517), those of them with which ID tokens can be signed.

A set is as long and its keys are as large as providers need: whoever can publish a key must not be able to stop the
server's event loop by a signature that takes long to check.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, KeySet, RSAKey

from golem_server.gateway.openid.provider_client import ProviderFailed

MAX_KEYS = 100
RSA_BITS = range(2_048, 8_193)

_MAX_NUMBER = 1_368
"""Characters of base64 for 8192 bits and a zero in front of them."""

_MAX_EXPONENT = 11
_TEXTS = ("kty", "kid", "use", "alg", "crv", "n", "e", "x", "y")
"""What is public: a private key that somebody has published by mistake takes long to import."""


def read_keys(content: Mapping[str, Any]) -> KeySet:
    """The keys of a set that are of use here. Raises ProviderFailed for what is no set, or too large a one."""
    listed = content.get("keys")
    if not isinstance(listed, list):
        raise ProviderFailed("its keys cannot be read")
    given = cast("list[Any]", listed)
    if len(given) > MAX_KEYS:
        raise ProviderFailed(f"it has more than {MAX_KEYS} keys")
    keys = (_key(cast("dict[str, Any]", each)) for each in given if isinstance(each, dict))
    return KeySet([key for key in keys if key is not None])


def has_key(keys: KeySet, key_id: str | None) -> bool:
    """Whether a set has a key of this id, or any that a token without one could mean."""
    return key_id is None or any(key.kid == key_id for key in keys.keys)


def _key(content: Mapping[str, Any]) -> Key | None:
    """A key for signatures of a known kind and a sensible size; None for any other."""
    texts = {name: content[name] for name in _TEXTS if isinstance(content.get(name), str)}
    if texts.get("use", "sig") != "sig" or len(texts.get("e", "")) > _MAX_EXPONENT:
        return None
    if any(len(text) > _MAX_NUMBER for text in texts.values()):
        return None
    try:
        match texts.get("kty"):
            case "RSA":
                key = RSAKey.import_key(texts)
                return key if key.public_key.key_size in RSA_BITS else None
            case "EC":
                return ECKey.import_key(texts)
            case _:
                return None
    except (JoseError, ValueError, TypeError, KeyError):
        return None
