"""What can go wrong with an outgoing request, as the error codes of wasi:http, and which of it may pass."""

from __future__ import annotations

import errno
import socket
import ssl

import aiohttp

from golem_server.host.network_policy import DestinationProhibited
from golem_server.model.types import Value

TRANSIENT_CODES = frozenset(
    {
        "DNS-timeout",
        "DNS-error",
        "destination-not-found",
        "destination-unavailable",
        "destination-IP-unroutable",
        "connection-refused",
        "connection-terminated",
        "connection-timeout",
        "HTTP-protocol-error",
    }
)
"""Errors that another attempt may not meet (reference: host-interfaces, 3.5). Those of a slow server are not among
them: who set the timeout decides."""


class HttpError(Exception):
    """An outgoing request or its response failed. `code` is the error-code of wasi:http."""

    def __init__(self, code: Value, text: str = "") -> None:
        super().__init__(f"{code[0]}: {text}" if text else code[0])
        self.code = code

    @property
    def transient(self) -> bool:
        """Whether another attempt may go better."""
        return self.code[0] in TRANSIENT_CODES


class RequestBodyAbandoned(Exception):
    """The guest dropped the body of its request before it was complete."""


_BY_ERRNO = {
    errno.ECONNREFUSED: "connection-refused",
    errno.ECONNRESET: "connection-terminated",
    errno.ECONNABORTED: "connection-terminated",
    errno.EPIPE: "connection-terminated",
    errno.ETIMEDOUT: "connection-timeout",
    errno.ENETUNREACH: "destination-IP-unroutable",
    errno.EHOSTUNREACH: "destination-IP-unroutable",
}


def translated(error: BaseException, *, receiving: bool = False) -> HttpError:
    """The error for an exception of the HTTP client; `receiving` once the response has begun."""
    for cause in _chain(error):
        if isinstance(cause, HttpError):
            return cause
        if isinstance(cause, RequestBodyAbandoned):
            return HttpError(("HTTP-protocol-error", None), "the request's body was dropped before it was complete")
        if isinstance(cause, DestinationProhibited):
            return HttpError(("destination-IP-prohibited", None), str(cause))
    code = _receiving(error) if receiving else None
    code = code or _of_client(error) or _of_system(error)
    return HttpError(code or ("internal-error", f"{type(error).__name__}: {error}"), str(error))


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def _receiving(error: BaseException) -> Value:
    if isinstance(error, TimeoutError):
        return ("connection-read-timeout", None)
    incomplete = aiohttp.ClientPayloadError | aiohttp.ServerDisconnectedError | aiohttp.ClientOSError | ConnectionError
    return ("HTTP-response-incomplete", None) if isinstance(error, incomplete) else None


def _of_client(error: BaseException) -> Value:
    match error:
        case aiohttp.ClientConnectorDNSError():
            return ("DNS-error", {"rcode": "address not available", "info-code": 0})
        case aiohttp.ClientConnectorCertificateError():
            return ("TLS-certificate-error", None)
        case aiohttp.ClientSSLError():
            return ("TLS-protocol-error", None)
        case aiohttp.ConnectionTimeoutError():
            return ("connection-timeout", None)
        case aiohttp.SocketTimeoutError():
            return ("connection-read-timeout", None)
        case aiohttp.ServerDisconnectedError():
            return ("connection-terminated", None)
        case aiohttp.ClientConnectorError():
            return _of_system(error.os_error) or ("destination-unavailable", None)
        case aiohttp.ClientPayloadError():
            return ("HTTP-response-incomplete", None)
        case aiohttp.ClientResponseError():
            # The client has one exception for all that its parser refuses, and says only in words which limit it was.
            if error.message.startswith(("Got more than", "Too many headers")):
                return ("HTTP-response-header-section-size", None)
            return ("HTTP-protocol-error", None)
        case aiohttp.InvalidURL():
            return ("HTTP-request-URI-invalid", None)
        case _:
            return None


def _of_system(error: BaseException) -> Value:
    match error:
        case ssl.SSLCertVerificationError():
            return ("TLS-certificate-error", None)
        case ssl.SSLError():
            return ("TLS-protocol-error", None)
        case socket.gaierror():
            return ("DNS-error", {"rcode": "address not available", "info-code": 0})
        case TimeoutError():
            return ("connection-timeout", None)
        case OSError() if error.errno in _BY_ERRNO:
            return (_BY_ERRNO[error.errno], None)
        case ConnectionResetError() | BrokenPipeError() | ConnectionAbortedError():
            return ("connection-terminated", None)
        case aiohttp.ClientConnectionError():
            return ("connection-terminated", None)
        case _:
            return None
