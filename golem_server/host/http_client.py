"""The one HTTP client of the server: sends what guests ask for, exactly as they ask, and streams the answers.

Nothing is added or followed: no redirects, no cookies, no proxy of the environment, no decompression, no headers but
`host` and those that frame the body. Connections are kept and shared by all workers. They go to addresses that the
network policy has seen.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from dataclasses import dataclass
from typing import Protocol

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from golem_server.host.http_errors import HttpError, translated
from golem_server.host.http_fields import FORBIDDEN, MAX_FIELDS, MAX_FIELDS_BYTES
from golem_server.host.network_policy import DestinationProhibited, NetworkPolicy

READ_BUFFER_BYTES = 64 << 10
"""What is read ahead of the guest for one response; more waits in the network."""


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """How guests may use HTTP. Times in seconds.

    The timeouts hold where the guest sets none. `max_response_bytes` bounds one response's body; None for no bound:
    bodies are streamed. `max_open_requests` counts the requests of one worker that are not over yet.
    """

    connect_timeout: float = 30.0
    first_byte_timeout: float = 600.0
    between_bytes_timeout: float = 600.0
    max_open_requests: int = 64
    max_response_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request without its body. Times in seconds."""

    method: str
    url: str
    headers: tuple[tuple[str, bytes], ...]
    connect_timeout: float
    first_byte_timeout: float
    between_bytes_timeout: float


class SendingPace(Protocol):
    """Told by a body's source whether it can deliver, so that a slow guest is not taken for a slow server."""

    def waiting(self) -> None:
        """The guest has not written more yet."""
        ...

    def delivered(self) -> None:
        """A piece goes to the server."""
        ...


class RequestBodySource(Protocol):
    """Where the bytes of a request come from."""

    @property
    def length(self) -> int | None:
        """Their number, if it is known already."""
        ...

    def pieces(self, pace: SendingPace) -> AsyncGenerator[bytes, None]:
        """The bytes, from the beginning. Raises RequestBodyAbandoned."""
        ...


class HttpClient:
    """The client. `start` and `close` belong to the event loop that sends."""

    def __init__(self, settings: HttpSettings | None = None, policy: NetworkPolicy | None = None) -> None:
        self.settings = settings or HttpSettings()
        self._policy = policy or NetworkPolicy()
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Open the pool of connections."""
        resolver = PolicyResolver(self._policy)
        connector = aiohttp.TCPConnector(limit=0, resolver=resolver, use_dns_cache=False)
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            requote_redirect_url=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            read_bufsize=READ_BUFFER_BYTES,
            max_line_size=MAX_FIELDS_BYTES,
            max_field_size=MAX_FIELDS_BYTES,
            max_headers=MAX_FIELDS,
        )

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def send(self, request: HttpRequest, body: RequestBodySource | None) -> HttpResponse:
        """Send a request and return when the head of its response is there. Raises HttpError."""
        if self._session is None:
            raise HttpError(("internal-error", "the HTTP client is not running"))
        loop = asyncio.get_running_loop()
        try:
            headers = _encoded(request.headers)
            url = URL(request.url, encoded=True)
            self._check_literal(url)
            allowed = request.connect_timeout + request.first_byte_timeout
            async with asyncio.timeout_at(loop.time() + allowed) as timer:
                pace = _Pace(timer, request.first_byte_timeout)
                response = await self._session.request(
                    request.method,
                    url,
                    headers=headers,
                    data=None if body is None else _data(body, headers, pace),
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=None, connect=request.connect_timeout),
                )
                pace.over = True
        except TimeoutError as error:
            if isinstance(error, aiohttp.ServerTimeoutError):
                raise translated(error) from error
            raise HttpError(("HTTP-response-timeout", None)) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise translated(error) from error
        try:
            return HttpResponse(response, request.between_bytes_timeout, self.settings.max_response_bytes)
        except BaseException:
            response.close()
            raise

    def _check_literal(self, url: URL) -> None:
        # What the client takes for an address never reaches the resolver.
        host = url.raw_host or ""
        if ":" not in host and not host.replace(".", "").isdigit():
            return
        try:
            allowed = self._policy.allows(host, host, url.port or 0)
        except ValueError as error:
            raise HttpError(("HTTP-request-URI-invalid", None), "an address in an unusual spelling") from error
        if not allowed:
            raise DestinationProhibited(host)


class HttpResponse:
    """A response whose head is there: status, fields, and the body as it comes.

    Raises HttpError for one that cannot be handed to a guest.
    """

    def __init__(self, response: aiohttp.ClientResponse, between_bytes_timeout: float, max_bytes: int | None) -> None:
        _check_head(response)
        self.status = response.status
        self.headers = _guest_headers(response)
        self._response = response
        self._between_bytes_timeout = between_bytes_timeout
        self._left = max_bytes
        self._max_bytes = max_bytes
        self._piece = memoryview(b"")
        self._pulling: asyncio.Task[None] | None = None
        self._error: HttpError | None = None

    def ready(self) -> bool:
        """Whether `take` gives something, or the end."""
        if not self._at_hand:
            self._pull()
        return self._at_hand

    def take(self, length: int) -> bytes | None:
        """Up to `length` bytes of the body, b"" if none are at hand, None at its end. Raises HttpError."""
        if not self._at_hand:
            self._pull()
        if self._piece:
            taken = bytes(self._piece[:length])
            self._piece = self._piece[length:]
            return taken
        if self._error is not None:
            raise self._error
        return None if self._at_end else b""

    async def wait(self) -> None:
        """Return when `take` gives something, or the end."""
        while not self.ready():
            if self._pulling is not None:
                await asyncio.wait({self._pulling})

    def close(self) -> None:
        """Give the response up. What was not read is lost; the connection is closed with it."""
        if self._pulling is not None:
            self._pulling.cancel()
            self._pulling = None
        self._piece = memoryview(b"")
        self._response.close()

    @property
    def _at_hand(self) -> bool:
        return bool(self._piece) or self._error is not None or self._at_end

    @property
    def _at_end(self) -> bool:
        return not self._piece and self._pulling is None and self._response.content.at_eof()

    def _pull(self) -> None:
        """Take what has arrived; if that is nothing, begin to wait for it."""
        if self._pulling is not None:
            return
        try:
            arrived = self._response.content.read_nowait(-1)
        except Exception as error:
            self._error = translated(error, receiving=True)
            return
        self._arrived(arrived)
        if not self._at_hand:
            self._pulling = asyncio.ensure_future(self._receive())

    async def _receive(self) -> None:
        try:
            async with asyncio.timeout(self._between_bytes_timeout):
                self._arrived(await self._response.content.readany())
        except Exception as error:
            self._error = translated(error, receiving=True)
        finally:
            self._pulling = None

    def _arrived(self, piece: bytes) -> None:
        if self._left is not None:
            self._left -= len(piece)
            if self._left < 0:
                self._error = HttpError(("HTTP-response-body-size", self._max_bytes))
                self._response.close()
                return
        self._piece = memoryview(piece)


class PolicyResolver(AbstractResolver):
    """Gives the client the addresses that the policy allows."""

    def __init__(self, policy: NetworkPolicy) -> None:
        self._policy = policy

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The allowed addresses of a name. Raises DestinationProhibited and socket.gaierror."""
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=0,
            )
            for address in await self._policy.check_host(host, port)
        ]

    async def close(self) -> None:
        """Nothing is held."""


class _Pace:
    """Moves the deadline for the first byte of the response: it begins anew with each piece that is sent."""

    def __init__(self, timer: asyncio.Timeout, first_byte_timeout: float) -> None:
        self._timer = timer
        self._first_byte_timeout = first_byte_timeout
        self.over = False

    def waiting(self) -> None:
        if not self.over and not self._timer.expired():
            self._timer.reschedule(None)

    def delivered(self) -> None:
        if not self.over and not self._timer.expired():
            self._timer.reschedule(asyncio.get_running_loop().time() + self._first_byte_timeout)


class _Pieces:
    """A body as the client wants it. The client may begin anew, when a kept connection turns out to be closed."""

    def __init__(self, body: RequestBodySource, pace: _Pace) -> None:
        self._body = body
        self._pace = pace

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._body.pieces(self._pace)


def _data(body: RequestBodySource, headers: list[tuple[str, str]], pace: _Pace) -> AsyncIterable[bytes] | None:
    length = body.length
    if length == 0:
        return None
    if length is not None and not any(name == "content-length" for name, _ in headers):
        headers.append(("content-length", str(length)))
    return _Pieces(body, pace)


def _encoded(headers: tuple[tuple[str, bytes], ...]) -> list[tuple[str, str]]:
    try:
        return [(name, value.decode()) for name, value in headers]
    except UnicodeDecodeError as error:
        # The client writes fields as UTF-8; anything else would arrive as something else.
        raise HttpError(("internal-error", "a field's value is not UTF-8")) from error


def _check_head(response: aiohttp.ClientResponse) -> None:
    if response.status == 101:
        raise HttpError(("HTTP-upgrade-failed", None), "the server changed to another protocol without being asked")
    if not 100 <= response.status <= 999:
        raise HttpError(("HTTP-protocol-error", None), f"status {response.status}")
    codings = response.headers.get("transfer-encoding", "chunked")
    if codings.strip().lower() != "chunked":
        # The client removes no other coding, and a guest does not see this field.
        raise HttpError(("HTTP-response-transfer-coding", codings[:100]))


def _guest_headers(response: aiohttp.ClientResponse) -> list[tuple[str, bytes]]:
    headers = [(name.lower().decode("latin-1"), value) for name, value in response.raw_headers]
    size = sum(len(name) + len(value) for name, value in headers)
    if size > MAX_FIELDS_BYTES or len(headers) > MAX_FIELDS:
        raise HttpError(("HTTP-response-header-section-size", min(size, 0xFFFFFFFF)))
    return [(name, value) for name, value in headers if name.encode("latin-1") not in FORBIDDEN]
