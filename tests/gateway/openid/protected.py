"""An API of definitions whose callers have to log in at a local provider."""

from __future__ import annotations

from typing import Any

from golem_server.registry.accounts import DEFAULT_ENVIRONMENT_ID
from tests.api.server import Client, ServerThread
from tests.gateway.classic.conftest import Api, route
from tests.gateway.openid.provider import CLIENT_ID, CLIENT_SECRET, LocalProvider

SCHEMES = f"/v1/envs/{DEFAULT_ENVIRONMENT_ID}/security-schemes"
RESPONSE = 'let s: string = request.auth.sub; let e: string = request.auth.email; {body: "${s} ${e}"}'


class Protected:
    """An API whose route has a scheme of the provider."""

    def __init__(
        self,
        server: ServerThread,
        client: Client,
        provider: LocalProvider,
        name: str,
        *,
        path: str = "",
        host: str = "localhost",
        ask_provider: bool = True,
    ) -> None:
        self.name = name
        self.host = f"{host}:{server.deployed_port}"
        self.url = f"http://{self.host}"
        self.callback = f"{self.url}/auth/{name}"
        scheme: dict[str, Any] = {
            "clientId": CLIENT_ID,
            "clientSecret": CLIENT_SECRET,
            "redirectUrl": self.callback,
            "scopes": ["openid", "email"],
        }
        if ask_provider:
            of_provider = {"providerType": "custom", "issuerUrl": provider.issuer, "schemeIdentifier": name}
            client.post("/v1/api/security", {**scheme, **of_provider}).ok()
        else:
            provider_type = {"type": "Custom", "name": "ours", "issuerUrl": provider.issuer}
            client.post(SCHEMES, {**scheme, "name": name, "providerType": provider_type}).ok()
        component = client.create()["componentName"]
        protected = {"component": component, "workerName": '"w"', "security": name}
        self.api = Api(
            server, client, [route("Get", path or f"/{name}/{{x}}?{{q}}", RESPONSE, **protected)], host=self.host
        )

    def page(self, x: str = "a") -> str:
        """The URL of the protected route."""
        return f"{self.url}/{self.name}/{x}?q=1%202"
