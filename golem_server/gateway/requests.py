"""A request to a deployed API, as the gateway sees it: the raw path, the raw headers, the body when somebody wants it.

Frameworks decode a path before they match it, which loses the difference between `%2F` and `/`; the gateway therefore
works on what ASGI calls the raw path (reference: gateway, section 4.1).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from golem_server.asgi import Receive, Scope, read_body


@dataclass(slots=True)
class GatewayRequest:
    """One request.

    `method` is in capitals, `path` as it was sent, still encoded and without the query, `query` what follows the
    question mark, `headers` in order with their names in lower case. `host` is the Host header as is, `client` the
    address that the request came from, "" where it is not known. `scheme` is `http` or `https`.
    """

    method: str
    path: str
    query: str
    headers: list[tuple[bytes, bytes]]
    host: str | None
    client: str
    scheme: str
    max_body: int
    receive: Receive
    _body: bytes | None = field(default=None, init=False)

    @staticmethod
    def of(scope: Scope, receive: Receive, max_body: int) -> GatewayRequest:
        """The request of an ASGI scope, whose body may have at most so many bytes."""
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        path: bytes = scope["raw_path"]
        query: bytes = scope["query_string"]
        client: tuple[str, int] | None = scope.get("client")
        host = next((value.decode("latin-1") for name, value in headers if name == b"host"), None)
        return GatewayRequest(
            method=scope["method"],
            path=path.partition(b"?")[0].decode("latin-1"),
            query=query.decode("latin-1"),
            headers=headers,
            host=host,
            client="" if client is None else client[0],
            scheme=scope.get("scheme", "http"),
            max_body=max_body,
            receive=receive,
        )

    def header(self, name: str) -> str | None:
        """The first value of a header; the name in lower case."""
        return next(self.header_values(name), None)

    def header_values(self, name: str) -> Iterator[str]:
        """All values of a header, in order; the name in lower case."""
        wanted = name.encode("latin-1")
        return (value.decode("latin-1") for header, value in self.headers if header == wanted)

    @property
    def forwarded_host(self) -> str | None:
        """The host that a proxy was asked for: the first value of `X-Forwarded-Host`."""
        forwarded = self.header("x-forwarded-host")
        return None if forwarded is None else forwarded.partition(",")[0].strip() or None

    @property
    def path_and_query(self) -> str:
        """The path with the query, as they were sent."""
        return f"{self.path}?{self.query}" if self.query else self.path

    async def body(self) -> bytes:
        """The whole body, kept for the next who asks. Raises BodyTooLarge beyond `max_body`, ClientLeft."""
        if self._body is None:
            self._body = await read_body(self.receive, self.headers, self.max_body)
        return self._body
