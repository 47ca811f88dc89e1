"""How a value becomes a body: what the script's own Content-Type and the caller's Accept allow.

    body                                 neither header              Accept or Content-Type given
    string, enum                         the raw text                JSON if it is acceptable, else the raw text
    list<u8>                             the bytes                   the bytes, with that type
    option                               the inner value, or null    the same on the inner value
    everything else                      JSON                        JSON if it is acceptable, else 400

(reference: gateway, section 1.9). Two departures: `*/*`, which browsers and curl send, is JSON for a text too, and a
text as JSON is escaped.
"""

from __future__ import annotations

import msgspec

from golem_server.gateway.failures import RequestFailed
from golem_server.gateway.rib.type_names import print_type
from golem_server.model.json_values import value_encoder
from golem_server.model.types import EnumType, ListType, OptionType, Primitive, Value, WitType

JSON = "application/json"
OCTETS = "application/octet-stream"

_JSON_RANGES = ("application/json", "application/*", "*/*", "*/json")
_PREFERENCES = (
    JSON,
    "text/plain",
    "text/plain; charset=utf-8",
    "text/html",
    "text/xml",
    "application/x-www-form-urlencoded",
    "image/jpeg",
    "image/png",
    OCTETS,
)
"""What is chosen of an Accept header, the first that is in it."""

_encode = msgspec.json.Encoder().encode


class Wanted:
    """What a body may be: the script's own content type, else what the caller accepts, else anything."""

    __slots__ = ("_accept", "content_type")

    def __init__(self, content_type: str | None, accept: str | None) -> None:
        self.content_type = content_type
        self._accept = None if accept is None else [_media_range(entry) for entry in accept.split(",")]

    @property
    def anything(self) -> bool:
        """Whether neither header was given."""
        return self.content_type is None and self._accept is None

    @property
    def json(self) -> bool:
        """Whether JSON is acceptable."""
        if self.content_type is not None:
            return self.content_type == JSON
        return self._accept is None or any(entry in _JSON_RANGES for entry in self._accept)

    @property
    def octets(self) -> bool:
        """Whether bytes may keep a type of their own: the caller said nothing, or accepts whatever there is."""
        return self.content_type is None and (self._accept is None or "*/*" in self._accept)

    def chosen(self) -> str:
        """The content type for a body that is not JSON. Raises RequestFailed where the caller accepts none of ours."""
        if self.content_type is not None:
            return self.content_type
        for preference in _PREFERENCES:
            if any(preference.partition(";")[0] == entry for entry in self._accept or ()):
                return preference
        if any(entry in ("text/*", "*/*") for entry in self._accept or ()):
            return "text/plain"
        raise RequestFailed(400, "Failed to pick a content type to set in response headers")

    def __str__(self) -> str:
        return self.content_type or ", ".join(self._accept or ("*/*",))


def _media_range(entry: str) -> str:
    return entry.partition(";")[0].strip().lower()


def encode_body(type_: WitType, value: Value, wanted: Wanted) -> tuple[bytes, str]:
    """A value as a body, with its content type. Raises RequestFailed where no acceptable type can carry it."""
    if isinstance(type_, OptionType):
        if value is not None:
            inner = value[0] if isinstance(type_.inner, OptionType) else value
            return encode_body(type_.inner, inner, wanted)
        if wanted.json:
            return b"null", JSON
        raise _impossible(type_, wanted)
    if type_ is Primitive.STRING or isinstance(type_, EnumType):
        if wanted.anything:
            return value.encode("utf-8", "surrogatepass"), JSON
        if wanted.json:
            return _encode(value), JSON
        return value.encode("utf-8", "surrogatepass"), wanted.chosen()
    if type_ == ListType(Primitive.U8):
        return bytes(value), OCTETS if wanted.octets else wanted.chosen()
    if not wanted.json:
        raise _impossible(type_, wanted)
    return _encode(value_encoder(type_)(value)), JSON


def _impossible(type_: WitType, wanted: Wanted) -> RequestFailed:
    return RequestFailed(
        400, f"Failed to map input type {print_type(type_)} to any of the expected content types: {wanted}"
    )
