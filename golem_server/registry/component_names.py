"""Which names a component may have (reference: rest-api, section 8)."""

from __future__ import annotations

import re
import unicodedata

from golem_server.model.errors import InvalidInput

MAX_COMPONENT_NAME_BYTES = 255

_STRICT = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*:[a-z][a-z0-9]*(?:-[a-z0-9]+)*")


def component_name_error(name: str, *, strict: bool = False) -> str | None:
    """Why a component cannot have the name, or None when it can.

    Any text without `/` and control characters is a name; `strict` demands `namespace:name` in lower kebab case.
    """
    if not name or len(name.encode("utf-8", "surrogatepass")) > MAX_COMPONENT_NAME_BYTES:
        return f"it must have 1 to {MAX_COMPONENT_NAME_BYTES} bytes"
    if "/" in name:
        return "it must not contain '/'"
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        return "it must not contain control characters"
    if strict and not _STRICT.fullmatch(name):
        return "expected namespace:name, both of lower-case letters, digits and single hyphens"
    return None


def check_component_name(name: str, *, strict: bool = False) -> None:
    """Raise InvalidInput if a component cannot have the name."""
    reason = component_name_error(name, strict=strict)
    if reason is not None:
        raise InvalidInput(f"Invalid component name: {reason}")
