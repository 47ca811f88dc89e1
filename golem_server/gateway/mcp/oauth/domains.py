"""A domain whose agents have a security scheme, and the documents by which clients find out how to get in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from golem_server.model.security_schemes import MCP_CALLBACK_PATH, SecurityScheme

RESOURCE_PATH = "/mcp"
PROTECTED_RESOURCE = "/.well-known/oauth-protected-resource"
AUTHORIZATION_SERVER = "/.well-known/oauth-authorization-server"
REGISTER, AUTHORIZE, TOKEN = "/mcp/oauth/register", "/mcp/oauth/authorize", "/mcp/oauth/token"
CALLBACK = MCP_CALLBACK_PATH


@dataclass(frozen=True, slots=True)
class ProtectedDomain:
    """A domain, its scheme, the names of its agent types, and its origin such as `https://mcp.example.com`."""

    domain: str
    scheme: SecurityScheme
    agents: tuple[str, ...]
    origin: str

    @property
    def resource(self) -> str:
        """The URL of its MCP endpoint."""
        return f"{self.origin}{RESOURCE_PATH}"

    @property
    def secure(self) -> bool:
        """Whether browsers come with TLS."""
        return self.origin.startswith("https:")

    @property
    def takes_logins(self) -> bool:
        """Whether the provider sends those who have logged in back to this domain."""
        back = urlsplit(self.scheme.redirect_url)
        return back.path == CALLBACK and back.netloc.lower() == self.domain.lower()

    @property
    def scopes(self) -> list[str]:
        """What the provider is asked for."""
        return list(dict.fromkeys(("openid", *self.scheme.scopes)))

    def resource_document(self) -> Mapping[str, Any]:
        """What the MCP endpoint says of itself (RFC 9728, section 2)."""
        return {
            "resource": self.resource,
            "authorization_servers": [self.origin],
            "scopes_supported": self.scopes,
            "bearer_methods_supported": ["header"],
        }

    def server_document(self) -> Mapping[str, Any]:
        """What the authorization server says of itself (RFC 8414, section 2)."""
        return {
            "issuer": self.origin,
            "authorization_endpoint": f"{self.origin}{AUTHORIZE}",
            "token_endpoint": f"{self.origin}{TOKEN}",
            "registration_endpoint": f"{self.origin}{REGISTER}",
            "scopes_supported": self.scopes,
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code"],
            "token_endpoint_auth_methods_supported": ["none"],
            "code_challenge_methods_supported": ["S256"],
        }


def challenge(origin: str) -> str:
    """What a caller without a token is told in WWW-Authenticate (RFC 9728, section 5.1)."""
    return f'Bearer realm="mcp", resource_metadata="{origin}{PROTECTED_RESOURCE}"'
