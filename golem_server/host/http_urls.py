"""The parts of a URL as wasi:http has them: what may be a scheme, an authority, a path with a query (RFC 3986)."""

from __future__ import annotations

import re

_AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~!$&'()*+,;=%-]+)(:[0-9]{1,5})?")
_PATH_WITH_QUERY = re.compile(r"[^\x00-\x20\x7f#]*")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")


def is_scheme(text: str) -> bool:
    """Whether the text can be a scheme."""
    return _SCHEME.fullmatch(text) is not None


def is_authority(text: str) -> bool:
    """Whether the text is a host with or without a port. Credentials are refused: they belong into a header."""
    match = _AUTHORITY.fullmatch(text)
    return match is not None and int((match[2] or ":0")[1:]) <= 0xFFFF


def is_path_with_query(text: str) -> bool:
    """Whether the text has nothing in it that would end a request's first line, or a fragment."""
    return _PATH_WITH_QUERY.fullmatch(text) is not None
