"""Security schemes: how an API's callers log in with OpenID Connect (reference: gateway, sections 1.12 and 3.6)."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from golem_server.model.ids import EnvironmentId

PROVIDER_ISSUERS = {
    "google": "https://accounts.google.com",
    "facebook": "https://www.facebook.com",
    "microsoft": "https://login.microsoftonline.com/common/v2.0",
    "gitlab": "https://gitlab.com",
}
"""The issuers of the providers that have a name of their own."""

MCP_CALLBACK_PATH = "/mcp/oauth/callback"
"""The path of a redirect URL with which people can log in at an MCP domain (reference: gateway, section 3.8)."""


@dataclass(frozen=True, slots=True)
class SecurityScheme:
    """A way to log in.

    `provider` is a key of PROVIDER_ISSUERS or the name of a custom provider, `issuer_url` where its metadata is found
    (OpenID Connect Discovery 1.0). `redirect_url` is where the provider sends a caller back to.
    """

    id: UUID
    revision: int
    environment_id: EnvironmentId
    name: str
    provider: str
    custom_provider: bool
    issuer_url: str
    client_id: str
    client_secret: str
    redirect_url: str
    scopes: tuple[str, ...]
