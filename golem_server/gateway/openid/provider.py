"""OpenID providers: their metadata, their keys, and the exchange of a code for tokens.

Metadata and keys are remembered; a key that is not among those that are known has them asked for again, so that a
provider may change its keys at any time. Tokens come from providers alone: nobody else can make this server ask.
"""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote

import aiohttp
import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from golem_server.model.errors import InvalidInput
from golem_server.model.security_schemes import SecurityScheme
from golem_server.registry.security_schemes import check_url

TIMEOUT_SECONDS = 10.0
MAX_ANSWER_BYTES = 1 << 20
METADATA_SECONDS = 3_600.0
KEYS_SECONDS = 3_600.0

_TENANT = "{tenantid}"
"""What stands in the issuer of a provider that serves many organisations (Microsoft's)."""


class ProviderFailed(Exception):
    """A provider cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class ProviderMetadata:
    """What a provider says of itself (OpenID Connect Discovery 1.0, section 3)."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    supports_pkce: bool
    basic_authentication: bool

    def issued(self, issuer: object) -> bool:
        """Whether a token's issuer is this one."""
        if not isinstance(issuer, str):
            return False
        before, tenant, after = self.issuer.partition(_TENANT)
        if not tenant:
            return issuer == self.issuer
        inner = issuer.removeprefix(before).removesuffix(after)
        return issuer == f"{before}{inner}{after}" and inner.replace("-", "").isalnum()


class Providers:
    """All providers that schemes name. `close` at the end."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._metadata: dict[str, tuple[ProviderMetadata, float]] = {}
        self._keys: dict[str, tuple[KeySet, float]] = {}
        self._lock = asyncio.Lock()

    async def close(self) -> None:
        """End the connections."""
        if self._session is not None:
            await self._session.close()

    async def discover(self, issuer_url: str) -> ProviderMetadata:
        """The metadata of an issuer. Raises InvalidInput where a scheme with it could not be used."""
        try:
            return await self.metadata(issuer_url)
        except ProviderFailed as error:
            raise InvalidInput(f"The provider at {issuer_url} cannot be used: {error}") from None

    async def metadata(self, issuer_url: str) -> ProviderMetadata:
        """The metadata of an issuer. Raises ProviderFailed."""
        known = self._metadata.get(issuer_url)
        if known is not None and time.monotonic() < known[1]:
            return known[0]
        address = f"{issuer_url.rstrip('/')}/.well-known/openid-configuration"
        metadata = _metadata(await self._get(address), issuer_url)
        self._metadata[issuer_url] = metadata, time.monotonic() + METADATA_SECONDS
        return metadata

    async def keys(self, metadata: ProviderMetadata, key_id: str | None) -> KeySet:
        """The provider's keys, asked for anew if none has this id. Raises ProviderFailed."""
        async with self._lock:
            known = self._keys.get(metadata.jwks_uri)
            if known is not None and _has(known[0], key_id) and time.monotonic() < known[1]:
                return known[0]
            content = await self._get(metadata.jwks_uri)
            try:
                keys = KeySet.import_key_set(cast("Any", content))
            except (JoseError, ValueError, TypeError, KeyError) as error:
                raise ProviderFailed(f"its keys cannot be read: {error}") from None
            self._keys[metadata.jwks_uri] = keys, time.monotonic() + KEYS_SECONDS
            return keys

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
        return await self._ask("POST", metadata.token_endpoint, headers, form)

    async def _get(self, url: str) -> Mapping[str, Any]:
        return await self._ask("GET", url, {}, None)

    async def _ask(
        self, method: str, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None
    ) -> Mapping[str, Any]:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
            self._session = aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())
        headers = {"accept": "application/json", **headers}
        try:
            async with self._session.request(method, url, headers=headers, data=form, allow_redirects=False) as answer:
                body = await answer.content.read(MAX_ANSWER_BYTES + 1)
                while not answer.content.at_eof() and len(body) <= MAX_ANSWER_BYTES:
                    body += await answer.content.read(MAX_ANSWER_BYTES)
                if answer.status != 200:
                    raise ProviderFailed(f"it answers with status {answer.status}")
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise ProviderFailed(str(error) or type(error).__name__) from None
        if len(body) > MAX_ANSWER_BYTES:
            raise ProviderFailed("its answer is too large")
        try:
            return msgspec.json.decode(body, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise ProviderFailed("its answer is no JSON object") from None


def _has(keys: KeySet, key_id: str | None) -> bool:
    return key_id is None or any(key.kid == key_id for key in keys.keys)


def _metadata(content: Mapping[str, Any], issuer_url: str) -> ProviderMetadata:
    endpoints: dict[str, str] = {}
    for name in ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"):
        value = content.get(name)
        if not isinstance(value, str):
            raise ProviderFailed(f"its metadata has no {name}")
        try:
            check_url(name, value.replace(_TENANT, "tenant"))
        except InvalidInput as error:
            raise ProviderFailed(error.message) from None
        endpoints[name] = value
    if _TENANT not in endpoints["issuer"] and endpoints["issuer"].rstrip("/") != issuer_url.rstrip("/"):
        raise ProviderFailed("its metadata names another issuer")
    methods = content.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    return ProviderMetadata(
        **endpoints,
        supports_pkce="S256" in content.get("code_challenge_methods_supported", ()),
        basic_authentication="client_secret_basic" in methods,
    )
