"""OpenID providers: their metadata, their keys, and the exchange of a code for tokens.

Metadata and keys are remembered; a key that is not among those that are known has them asked for again, so that a
provider may change its keys at any time.
"""

from __future__ import annotations

from base64 import b64encode
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote
from uuid import UUID

from joserfc.jwk import KeySet

from golem_server.clock import Clock
from golem_server.gateway.openid.provider_client import ProviderClient, ProviderFailed
from golem_server.gateway.openid.provider_keys import has_key, read_keys
from golem_server.gateway.openid.remembered import Remembered
from golem_server.model.errors import InvalidInput
from golem_server.model.security_schemes import PROVIDER_ISSUERS, SecurityScheme
from golem_server.registry.security_schemes import check_url

_TENANT = "{tenantid}"
"""What stands in the issuer of Microsoft, which serves many organisations; each token fills it."""

_MAX_REMEMBERED = 1_000
_ValueT = TypeVar("_ValueT")


@dataclass(frozen=True, slots=True)
class ProviderMetadata:
    """What a provider says of itself (OpenID Connect Discovery 1.0, section 3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    supports_pkce: bool
    basic_authentication: bool

    def issued(self, claims: Mapping[str, Any]) -> bool:
        """Whether this provider is the issuer that a token's claims name, for the tenant that they name."""
        issuer = self.issuer
        if _TENANT in issuer:
            tenant = claims.get("tid")
            if not isinstance(tenant, str) or not _is_tenant(tenant):
                return False
            issuer = issuer.replace(_TENANT, tenant)
        return claims.get("iss") == issuer


class Providers:
    """All providers that schemes name."""

    def __init__(self, client: ProviderClient, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._metadata: OrderedDict[str, Remembered[ProviderMetadata]] = OrderedDict()
        self._keys: OrderedDict[str, Remembered[KeySet]] = OrderedDict()

    async def discover(self, issuer_url: str) -> ProviderMetadata:
        """The metadata of an issuer. Raises InvalidInput where a scheme with it could not be used."""
        try:
            return await self.metadata(issuer_url)
        except ProviderFailed as error:
            raise InvalidInput(f"The provider at {issuer_url} cannot be used: {error}") from None

    async def metadata(self, issuer_url: str) -> ProviderMetadata:
        """The metadata of an issuer. Raises ProviderFailed."""

        async def read() -> ProviderMetadata:
            address = f"{issuer_url.rstrip('/')}/.well-known/openid-configuration"
            return read_metadata(await self._client.get(address), issuer_url)

        return await self._of(self._metadata, issuer_url, read).get()

    async def keys(self, metadata: ProviderMetadata, key_id: str | None) -> KeySet:
        """The provider's keys, asked for anew if none has this id and that is not too often. Raises ProviderFailed."""

        async def read() -> KeySet:
            return read_keys(await self._client.get(metadata.jwks_uri))

        return await self._of(self._keys, metadata.jwks_uri, read).get(lambda keys: has_key(keys, key_id))

    async def exchange(self, scheme: SecurityScheme, code: str, verifier: str) -> Mapping[str, Any]:
        """The tokens for a code. Raises ProviderFailed."""
        metadata = await self.metadata(scheme.issuer_url)
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": scheme.redirect_url}
        if metadata.supports_pkce:
            form["code_verifier"] = verifier
        headers: dict[str, str] = {}
        if metadata.basic_authentication:
            # Both are encoded like the parts of a form first (RFC 6749, section 2.3.1).
            pair = f"{quote(scheme.client_id, safe='')}:{quote(scheme.client_secret, safe='')}"
            headers["authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        else:
            form |= {"client_id": scheme.client_id, "client_secret": scheme.client_secret}
        return await self._client.post(metadata.token_endpoint, headers, form)

    def _of(
        self,
        known: OrderedDict[str, Remembered[_ValueT]],
        url: str,
        read: Callable[[], Awaitable[_ValueT]],
    ) -> Remembered[_ValueT]:
        found = known.get(url)
        if found is None:
            found = known[url] = Remembered(read, self._clock)
            if len(known) > _MAX_REMEMBERED:
                known.popitem(last=False)
        return found


def read_metadata(content: Mapping[str, Any], issuer_url: str) -> ProviderMetadata:
    """The metadata of the issuer at a URL. Raises ProviderFailed where nobody could log in with it."""
    endpoints: dict[str, str] = {}
    for name in ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"):
        value = content.get(name)
        if not isinstance(value, str):
            raise ProviderFailed(f"its metadata has no {name}, without which nobody can log in")
        try:
            check_url(name, value.replace(_TENANT, "tenant") if name == "issuer" else value)
        except InvalidInput as error:
            raise ProviderFailed(error.message) from None
        endpoints[name] = value
    tenants = _TENANT in endpoints["issuer"] and issuer_url == PROVIDER_ISSUERS["microsoft"]
    if not tenants and endpoints["issuer"].rstrip("/") != issuer_url.rstrip("/"):
        raise ProviderFailed("its metadata names another issuer")
    methods = content.get("token_endpoint_auth_methods_supported")
    challenges = content.get("code_challenge_methods_supported")
    return ProviderMetadata(
        **endpoints,
        supports_pkce=isinstance(challenges, list) and "S256" in challenges,
        # What is left out means this one (OpenID Connect Discovery 1.0, section 3).
        basic_authentication=not isinstance(methods, list) or "client_secret_basic" in methods,
    )


def _is_tenant(text: str) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False
