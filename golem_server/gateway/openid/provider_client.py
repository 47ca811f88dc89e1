"""Asks OpenID providers: one question, one JSON object of bounded size, no redirections, no cookies.

Who may write security schemes decides where the server itself connects, and what a provider says of itself does as
well. Both are held to a network policy, so that neither can look into networks that guests are kept out of.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any, Protocol

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver
from yarl import URL

TIMEOUT_SECONDS = 10.0
MAX_ANSWER_BYTES = 1 << 20


class ProviderFailed(Exception):
    """A provider cannot be used; the text says why."""


class Destinations(Protocol):
    """Knows where the server may connect."""

    async def check_host(self, host: str, port: int) -> list[str]:
        """The addresses of a host that may be connected to, at least one. Raises OSError."""
        ...


class ProviderClient:
    """Asks over HTTP. `resolver` gives the addresses that `destinations` allows. `close` at the end."""

    def __init__(self, destinations: Destinations, resolver: AbstractResolver) -> None:
        self._destinations = destinations
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """End the connections."""
        if self._session is not None:
            await self._session.close()

    async def get(self, url: str) -> Mapping[str, Any]:
        """The JSON object at a URL. Raises ProviderFailed."""
        return await self._ask("GET", url, {}, None)

    async def post(self, url: str, headers: Mapping[str, str], form: Mapping[str, str]) -> Mapping[str, Any]:
        """The JSON object that answers a form. Raises ProviderFailed."""
        return await self._ask("POST", url, headers, form)

    async def _ask(
        self, method: str, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None
    ) -> Mapping[str, Any]:
        headers = {"accept": "application/json", **headers}
        try:
            parsed = URL(url)
            await self._check(parsed)
            async with self._opened().request(
                method, parsed, headers=headers, data=form, allow_redirects=False
            ) as answer:
                body = await answer.content.read(MAX_ANSWER_BYTES + 1)
                while not answer.content.at_eof() and len(body) <= MAX_ANSWER_BYTES:
                    body += await answer.content.read(MAX_ANSWER_BYTES)
                if answer.status != 200:
                    raise ProviderFailed(f"it answers with status {answer.status}")
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise ProviderFailed(f"{url} cannot be asked: {str(error) or type(error).__name__}") from None
        if len(body) > MAX_ANSWER_BYTES:
            raise ProviderFailed("its answer is too large")
        try:
            return msgspec.json.decode(body, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise ProviderFailed("its answer is no JSON object") from None

    async def _check(self, url: URL) -> None:
        """Raise ProviderFailed for what may not be asked: an address written as such never reaches the resolver."""
        try:
            await self._destinations.check_host(url.raw_host or "", url.port or 0)
        except socket.gaierror:
            raise ProviderFailed(f"there is no host {url.raw_host}") from None
        except OSError:
            raise ProviderFailed(
                f"this server may not ask {url.raw_host}: the setting network.providers can allow it"
            ) from None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=self._resolver, use_dns_cache=False),
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session
