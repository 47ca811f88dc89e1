"""Sends components to the services that transform them, within the network policy of the server.

Whoever registers a plugin names an address, so the server must not be led to where its guests may not go either.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import aiohttp
from yarl import URL

from golem_server.host.http_client import PolicyResolver
from golem_server.host.network_policy import DestinationProhibited, NetworkPolicy
from golem_server.model.errors import InvalidInput

TIMEOUT_SECONDS = 120.0
_READ_BYTES = 1 << 20


class HttpTransformerClient:
    """Implements `registry.component_transformers.TransformerClient`. Answers are at most `max_answer` bytes."""

    def __init__(self, policy: NetworkPolicy, max_answer: int) -> None:
        self._policy = policy
        self._max_answer = max_answer

    async def post_form(self, url: str, parts: Mapping[str, str], files: Mapping[str, Path | bytes]) -> bytes:
        """The body of the answer. Raises InvalidInput, with what went wrong, for any other answer than success."""
        form = aiohttp.FormData()
        for name, text in parts.items():
            form.add_field(name, text, content_type="application/json" if name == "metadata" else "text/plain")
        for name, content in files.items():
            form.add_field(name, _pieces(content), filename=name, content_type="application/octet-stream")
        connector = aiohttp.TCPConnector(resolver=PolicyResolver(self._policy), use_dns_cache=False)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        try:
            parsed = URL(url)
            # An address written as such never reaches the resolver.
            await self._policy.check_host(parsed.raw_host or "", parsed.port or 0)
            async with (
                aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session,
                session.post(url, data=form, timeout=timeout, allow_redirects=False) as answer,
            ):
                body = await answer.content.read(self._max_answer + 1)
                while not answer.content.at_eof() and len(body) <= self._max_answer:
                    body += await answer.content.read(self._max_answer + 1 - len(body))
                if answer.status != 200:
                    raise InvalidInput(f"it answers {answer.status}: {body[:200].decode('utf-8', 'replace')}")
        except (aiohttp.ClientError, OSError, DestinationProhibited, ValueError) as error:
            raise InvalidInput(f"{url} cannot be asked: {str(error) or type(error).__name__}") from error
        if len(body) > self._max_answer:
            raise InvalidInput(f"its answer is larger than {self._max_answer} bytes")
        return body


async def _pieces(content: Path | bytes) -> AsyncIterator[bytes]:
    if isinstance(content, bytes):
        for start in range(0, len(content), _READ_BYTES):
            yield content[start : start + _READ_BYTES]
        return
    file = await asyncio.to_thread(content.open, "rb")
    try:
        while piece := await asyncio.to_thread(file.read, _READ_BYTES):
            yield piece
    finally:
        file.close()
