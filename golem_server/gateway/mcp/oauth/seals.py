"""What others keep for this server, signed: clients what they have registered, browsers what they were asked.

Each purpose has a key of its own, and so has each context in it, so that nothing can be brought where it does not
belong. All servers on one database have the same keys.
"""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import TypeVar

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

KEY_NAME = "mcp-authorization"
"""The name of the secret among the database's."""

_ALGORITHM = "HS256"

ContentT = TypeVar("ContentT", bound=msgspec.Struct)


class Seals:
    """Signs and checks. `secret` is the same for all servers on a database."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def derived(self, purpose: str, context: str) -> bytes:
        """32 bytes that nobody else can find out who does not know the secret and the context."""
        return hmac.digest(self._secret, _hashed(purpose) + _hashed(context), "sha256")

    def seal(self, purpose: str, context: str, content: msgspec.Struct) -> str:
        """A content, signed; of the characters of base64url and dots."""
        payload = msgspec.json.encode(content)
        return jws.serialize_compact({"alg": _ALGORITHM}, payload, self._key(purpose, context), [_ALGORITHM])

    def open(self, purpose: str, context: str, sealed: str, type_: type[ContentT]) -> ContentT | None:
        """The content that was sealed for this purpose in this context; None for any other text."""
        try:
            payload = jws.deserialize_compact(sealed, self._key(purpose, context), [_ALGORITHM]).payload
            return msgspec.json.decode(payload, type=type_)
        except (JoseError, ValueError, msgspec.MsgspecError):
            return None

    def _key(self, purpose: str, context: str) -> OctKey:
        return OctKey.import_key(self.derived(purpose, context))


def _hashed(text: str) -> bytes:
    # All of one length, so that no two pairs can be taken for one another.
    return sha256(text.encode("utf-8", "surrogatepass")).digest()
