"""Cross-origin rules of a route: given by a cors-preflight binding, for all routes of the same path.

(Reference: gateway, section 1.12.) The answer to a preflight says what is configured, whoever asks; other requests
from an origin that is not allowed are refused.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from golem_server.gateway.responses import GatewayResponse
from golem_server.gateway.rib import RibError, compile_script
from golem_server.model.errors import InvalidInput
from golem_server.model.types import Primitive, RecordType

_INTEGERS = frozenset(Primitive) - {Primitive.BOOL, Primitive.STRING, Primitive.CHAR, Primitive.F32, Primitive.F64}
_KEYS = {
    "access-control-allow-origin": "allow_origin",
    "access-control-allow-methods": "allow_methods",
    "access-control-allow-headers": "allow_headers",
    "access-control-expose-headers": "expose_headers",
    "access-control-allow-credentials": "allow_credentials",
    "access-control-max-age": "max_age",
}


@dataclass(frozen=True, slots=True)
class CorsPolicy:
    """The values of the headers. `max_age` in seconds."""

    allow_origin: str = "*"
    allow_methods: str = "GET, POST, PUT, DELETE, OPTIONS"
    allow_headers: str = "Content-Type, Authorization"
    expose_headers: str | None = None
    allow_credentials: bool | None = None
    max_age: int | None = None

    def to_json(self) -> dict[str, Any]:
        """As an API definition shows it."""
        json: dict[str, Any] = {
            "allowOrigin": self.allow_origin,
            "allowMethods": self.allow_methods,
            "allowHeaders": self.allow_headers,
        }
        optional = {
            "exposeHeaders": self.expose_headers,
            "allowCredentials": self.allow_credentials,
            "maxAge": self.max_age,
        }
        return json | {name: value for name, value in optional.items() if value is not None}

    def allows(self, origin: str) -> bool:
        """Whether an origin is listed, or fits a pattern with one star."""
        return any(_fits(pattern.strip(), origin) for pattern in self.allow_origin.split(","))

    def preflight(self, origin: str | None) -> GatewayResponse:
        """The answer to a preflight: what is configured, but for a list, of which a browser takes its own entry."""
        echoed = origin is not None and self.allow_origin != "*" and self.allows(origin)
        headers = [
            ("access-control-allow-origin", (origin or "") if echoed else self.allow_origin),
            ("access-control-allow-methods", self.allow_methods),
            ("access-control-allow-headers", self.allow_headers),
            *([("vary", "Origin")] if self.allow_origin != "*" else []),
            *self._optional(),
        ]
        if self.max_age is not None:
            headers.append(("access-control-max-age", str(self.max_age)))
        return GatewayResponse(200, headers)

    def headers(self, origin: str) -> list[tuple[str, str]]:
        """What is added to other responses, for an origin that is allowed.

        A browser takes the star or the one origin that it asked for, and no list.
        """
        if self.allow_origin == "*" and not self.allow_credentials:
            return [("access-control-allow-origin", "*"), *self._optional()]
        return [("access-control-allow-origin", origin), ("vary", "Origin"), *self._optional()]

    def _optional(self) -> list[tuple[str, str]]:
        headers: list[tuple[str, str]] = []
        if self.allow_credentials is not None:
            headers.append(("access-control-allow-credentials", "true" if self.allow_credentials else "false"))
        if self.expose_headers is not None:
            headers.append(("access-control-expose-headers", self.expose_headers))
        return headers


def _fits(pattern: str, origin: str) -> bool:
    before, star, after = pattern.partition("*")
    if not star:
        return pattern == origin
    return len(origin) >= len(before) + len(after) and origin.startswith(before) and origin.endswith(after)


async def policy_of(response: str | None) -> CorsPolicy:
    """The policy that a binding's script gives: evaluated once, without a request. Raises InvalidInput."""
    policy = CorsPolicy()
    if response is None:
        return policy
    script = compile_script(response, pure=True, globals_=())
    if not isinstance(script.output, RecordType):
        raise InvalidInput("the response of a cors-preflight binding must be a record of headers")
    try:
        value = await script.evaluate({})
    except RibError as error:
        raise InvalidInput(f"the response of a cors-preflight binding cannot be evaluated: {error.message}") from None
    for part in script.output.fields:
        name = _KEYS.get(part.name.lower())
        if name is None:
            raise InvalidInput(f"{part.name} is no header of a preflight; there are {', '.join(map(_title, _KEYS))}")
        policy = replace(policy, **{name: _setting(name, part.name, part.type, value[part.name])})
    return policy


def _setting(name: str, key: str, type_: Any, value: Any) -> Any:
    if name == "allow_credentials":
        if type_ is Primitive.BOOL:
            return value
        if value in ("true", "false"):
            return value == "true"
        raise InvalidInput(f"{key} must be true or false")
    if name == "max_age":
        if type_ in _INTEGERS and value >= 0:
            return value
        if type_ is Primitive.STRING and value.isascii() and value.isdigit() and len(value) < 10:
            return int(value)
        raise InvalidInput(f"{key} must be a number of seconds")
    if type_ is not Primitive.STRING or any(ord(character) < 32 or ord(character) > 126 for character in value):
        raise InvalidInput(f"{key} must be a text that can stand in a header")
    return value


def _title(name: str) -> str:
    return "-".join(word.capitalize() for word in name.split("-"))
