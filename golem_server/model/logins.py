"""Logins with OpenID Connect: who has come back from a provider, and the codes for which clients get his token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class LoginSession:
    """Somebody is logged in. `token_hash` is that of his ID token; `expires_at` in milliseconds since the epoch."""

    id: str = field(repr=False)
    scheme: UUID
    token_hash: bytes
    claims: Mapping[str, Any]
    expires_at: int


@dataclass(frozen=True, slots=True)
class AuthorizationCode:
    """A client may fetch a token once, until `expires_at` in milliseconds since the epoch.

    `code_hash` is that of the code, `content` encrypted with a key that follows from the code alone.
    """

    code_hash: bytes
    scheme: UUID
    content: bytes = field(repr=False)
    expires_at: int
