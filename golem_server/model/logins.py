"""Logins with OpenID Connect: who was sent to a provider, and who has come back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID


@dataclass(frozen=True, slots=True)
class LoginAttempt:
    """Somebody was sent to a provider; `state` comes back with him, once.

    `nonce` must be in the ID token, `verifier` proves to the provider who asks (PKCE), `browser` is the hash of a
    cookie of the browser that was sent away, `target` the path that it had asked for. `expires_at` in ms since the
    epoch.
    """

    state: str
    scheme: UUID
    nonce: str
    verifier: str
    browser: str
    target: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class LoginSession:
    """Somebody is logged in. `token_hash` is that of his ID token; `expires_at` in milliseconds since the epoch."""

    id: str
    scheme: UUID
    token_hash: bytes
    claims: Mapping[str, Any]
    expires_at: int
