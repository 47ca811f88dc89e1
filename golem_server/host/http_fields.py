"""The resource `fields` of wasi:http: header or trailer fields, in order, with the rules for who may change what.

Names are kept in lower case, as HTTP/2 has them. Names and values are checked when they enter (RFC 9110, section 5), so
that nothing a guest writes can break out of its line; the fields that belong to the connection and not to the message
are forbidden (golem@v1.5.9 uses wasmtime's list of them).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from golem_server.durable.signals import GuestError
from golem_server.model.types import Value

MAX_FIELDS = 1000
MAX_FIELDS_BYTES = 64 << 10
"""Bounds of one message's fields: their number, and the bytes of all names and values (reference: reliability, 3)."""

FORBIDDEN = frozenset(
    {
        b"connection",
        b"host",
        b"http2-settings",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"transfer-encoding",
        b"upgrade",
    }
)
"""Fields that the connection owns: a guest can neither set them nor see them in a response."""

INVALID_SYNTAX: Value = ("err", ("invalid-syntax", None))
FORBIDDEN_FIELD: Value = ("err", ("forbidden", None))
IMMUTABLE: Value = ("err", ("immutable", None))
OK: Value = ("ok", None)

_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(rb"[^\x00-\x08\x0a-\x1f\x7f]*")


def is_token(text: str) -> bool:
    """Whether the text can be the name of a field or a method."""
    return _TOKEN.fullmatch(text.encode()) is not None


class Fields:
    """Fields in the order in which they were added. Methods return the WIT values of the interface."""

    def __init__(self, items: Iterable[tuple[str, bytes]] = (), *, mutable: bool = True) -> None:
        self.mutable = mutable
        self.items: list[tuple[str, bytes]] = []
        self._bytes = 0
        self._extend(items)

    def get(self, name: str) -> list[bytes]:
        """All values of a field."""
        wanted = name.lower()
        return [value for found, value in self.items if found == wanted]

    def has(self, name: str) -> bool:
        """Whether there is such a field."""
        wanted = name.lower()
        return any(found == wanted for found, _ in self.items)

    def set(self, name: str, values: list[bytes]) -> Value:
        """Replace all values of a field."""
        problem = self._problem(name, values)
        if problem is None:
            self._remove(name)
            self._extend((name, value) for value in values)
        return problem or OK

    def append(self, name: str, value: bytes) -> Value:
        """Add one value."""
        problem = self._problem(name, [value])
        if problem is None:
            self._extend([(name, value)])
        return problem or OK

    def delete(self, name: str) -> Value:
        """Remove all values of a field."""
        problem = self._problem(name, [])
        if problem is None:
            self._remove(name)
        return problem or OK

    def add_all(self, items: Iterable[tuple[str, bytes]]) -> Value:
        """Add several fields; the first that is not allowed is the answer."""
        for name, value in items:
            answer = self.append(name, bytes(value))
            if answer is not OK:
                return answer
        return OK

    def copy(self, *, mutable: bool) -> Fields:
        """The same fields as an object of their own."""
        return Fields(self.items, mutable=mutable)

    def malformed(self) -> str | None:
        """What is wrong with a field that came from elsewhere than the guest, in words."""
        for name, value in self.items:
            if not _TOKEN.fullmatch(name.encode()):
                return "not the name of a field"
            if not _VALUE.fullmatch(value):
                return f"not the value of a field: {name}"
        return None

    def content_length(self) -> int | None:
        """The number in `content-length`, None without one. Raises ValueError if it is no number."""
        values = self.get("content-length")
        if not values:
            return None
        if len(set(values)) > 1 or not values[0].isdigit():
            raise ValueError("content-length is not one number")
        return int(values[0])

    def _problem(self, name: str, values: list[bytes]) -> Value:
        if not self.mutable:
            return IMMUTABLE
        encoded = name.encode()
        if not _TOKEN.fullmatch(encoded) or not all(_VALUE.fullmatch(bytes(value)) for value in values):
            return INVALID_SYNTAX
        return FORBIDDEN_FIELD if encoded.lower() in FORBIDDEN else None

    def _remove(self, name: str) -> None:
        wanted = name.lower()
        kept = [(found, value) for found, value in self.items if found != wanted]
        self.items, self._bytes = [], 0
        self._extend(kept)

    def _extend(self, items: Iterable[tuple[str, bytes]]) -> None:
        for name, value in items:
            self.items.append((name.lower(), bytes(value)))
            self._bytes += len(name) + len(value)
        if len(self.items) > MAX_FIELDS or self._bytes > MAX_FIELDS_BYTES:
            raise GuestError(f"a message has more than {MAX_FIELDS} fields or {MAX_FIELDS_BYTES} bytes of them")
