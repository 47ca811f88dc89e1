"""Where a client may have a person's browser sent back to, with the code for a token.

A code goes over the network in the browser's next request: therefore TLS, or this very machine (RFC 8252, section 7.3).
Only what every reader of URLs takes alike is allowed, so that the host that a person is shown is the one it goes to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlencode, urlsplit

MAX_URI = 500

_URI = re.compile(
    r"https?://[A-Za-z0-9.\[\]:-]+(/[A-Za-z0-9._~:/@!$&'()*+,;=%-]*)?(\?[A-Za-z0-9._~:/?@!$&'()*+,;=%-]*)?"
)
_HOST = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def is_allowed(uri: str) -> bool:
    """Whether a client may register it: https, or http on this machine; no user, no fragment."""
    if len(uri) > MAX_URI or not _URI.fullmatch(uri):
        return False
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return False
    return host in _LOOPBACK or (parts.scheme == "https" and bool(_HOST.fullmatch(host)))


def is_registered(uri: str, registered: Iterable[str]) -> bool:
    """Whether a URI is one of those registered, letter by letter; on this machine its port may be another one."""
    if not is_allowed(uri):
        return False
    portless = _portless(uri)
    return any(uri == each or (portless is not None and portless == _portless(each)) for each in registered)


def shown_host(uri: str) -> str:
    """The host of an allowed URI, for people."""
    parts = urlsplit(uri)
    return f"{parts.netloc} (this computer)" if parts.hostname in _LOOPBACK else parts.netloc


def with_parameters(uri: str, parameters: dict[str, str]) -> str:
    """An allowed URI with more parameters in its query."""
    return f"{uri}{'&' if '?' in uri else '?'}{urlencode(parameters)}"


def _portless(uri: str) -> tuple[str, str, str] | None:
    """An http URI of this machine without its port; None for any other (RFC 8252, section 7.3)."""
    parts = urlsplit(uri)
    if parts.scheme != "http" or parts.hostname not in _LOOPBACK:
        return None
    return parts.hostname, parts.path, parts.query
