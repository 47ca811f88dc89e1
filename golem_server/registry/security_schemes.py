"""Security schemes of environments: create, look up, change, delete (reference: gateway, sections 1.12 and 3.2).

Their secrets go in and never come out. A redirect URL belongs to one scheme, so that whoever comes back from a provider
is known to belong to it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol
from urllib.parse import urlsplit
from uuid import UUID, uuid4

from golem_server.model.errors import Conflict, InvalidInput, NotFound
from golem_server.model.ids import EnvironmentId
from golem_server.model.security_schemes import PROVIDER_ISSUERS, SecurityScheme
from golem_server.registry.accounts import Accounts

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,200}")
_MAX_TEXT = 2_000
_MAX_SCOPES = 50


class SecuritySchemeStore(Protocol):
    """Where they are kept. All methods raise Unavailable while the database cannot be reached."""

    async def add_scheme(self, scheme: SecurityScheme) -> bool:
        """Write a scheme. False, and nothing written, if its name or its redirect URL is taken."""
        ...

    async def find_scheme(self, scheme_id: UUID) -> SecurityScheme | None:
        """A scheme, or None."""
        ...

    async def list_schemes(self, environment_id: EnvironmentId) -> list[SecurityScheme]:
        """The schemes of an environment, by name."""
        ...

    async def replace_scheme(self, scheme: SecurityScheme) -> bool | None:
        """Replace the scheme whose revision is one less. False if it is not there, None if its URL is taken."""
        ...

    async def delete_scheme(self, scheme_id: UUID, revision: int) -> bool:
        """Remove a scheme that still has this revision, with everybody's logins. False if it has not."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemeTerms:
    """What a client wants of a scheme; None stays as it is. `provider` is a known one or, with `issuer_url`, any."""

    provider: str | None = None
    issuer_url: str | None = None
    client_id: str | None = None
    client_secret: str | None = None
    redirect_url: str | None = None
    scopes: Sequence[str] | None = None


class SecuritySchemes:
    """The schemes of all environments.

    `discover` asks an issuer for its metadata and raises InvalidInput if that cannot be had; `changed` is called after
    each change.
    """

    def __init__(
        self,
        store: SecuritySchemeStore,
        accounts: Accounts,
        discover: Callable[[str], Awaitable[object]],
        changed: Callable[[], None],
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._discover = discover
        self._changed = changed

    async def create(
        self, environment_id: EnvironmentId, name: str, terms: SchemeTerms, *, ask_issuer: bool
    ) -> SecurityScheme:
        """Create a scheme; with `ask_issuer` its provider must answer. Raises NotFound, InvalidInput, Conflict."""
        await self._accounts.environment(environment_id)
        if not _NAME.fullmatch(name):
            raise InvalidInput(f"Invalid name of a security scheme: `{name[:200]}`; use letters, digits, - and _")
        empty = SecurityScheme(
            id=uuid4(),
            revision=0,
            environment_id=environment_id,
            name=name,
            provider="",
            custom_provider=False,
            issuer_url="",
            client_id="",
            client_secret="",
            redirect_url="",
            scopes=(),
        )
        scheme = _with(empty, terms)
        if ask_issuer:
            await self._discover(scheme.issuer_url)
        if not await self._store.add_scheme(scheme):
            raise Conflict(
                f"There is a security scheme {name}, or one with the redirect URL {scheme.redirect_url}, already",
                code="SECURITY_SCHEME_ALREADY_EXISTS",
            )
        self._changed()
        return scheme

    async def scheme(self, scheme_id: UUID) -> SecurityScheme:
        """A scheme. Raises NotFound."""
        found = await self._store.find_scheme(scheme_id)
        if found is None:
            raise unknown_scheme(scheme_id)
        return found

    async def named(self, environment_id: EnvironmentId, name: str) -> SecurityScheme:
        """An environment's scheme by its name. Raises NotFound."""
        for each in await self._store.list_schemes(environment_id):
            if each.name == name:
                return each
        raise unknown_scheme(name)

    async def list(self, environment_id: EnvironmentId) -> list[SecurityScheme]:
        """The schemes of an environment, by name."""
        return await self._store.list_schemes(environment_id)

    async def has_scheme(self, environment_id: EnvironmentId, name: str) -> bool:
        """Whether an environment has a scheme of that name."""
        return any(each.name == name for each in await self._store.list_schemes(environment_id))

    async def change(self, scheme_id: UUID, revision: int, terms: SchemeTerms) -> SecurityScheme:
        """Change a scheme that still has this revision. Raises NotFound, InvalidInput, Conflict."""
        before = await self.scheme(scheme_id)
        if before.revision != revision:
            raise _concurrent()
        changed = replace(_with(before, terms), revision=revision + 1)
        done = await self._store.replace_scheme(changed)
        if done is None:
            raise Conflict("Another scheme has this redirect URL", code="SECURITY_SCHEME_ALREADY_EXISTS")
        if not done:
            raise _concurrent()
        self._changed()
        return changed

    async def delete(self, scheme_id: UUID, revision: int) -> SecurityScheme:
        """Delete a scheme that still has this revision: who has logged in with it is out. Raises NotFound, Conflict."""
        scheme = await self.scheme(scheme_id)
        if not await self._store.delete_scheme(scheme_id, revision):
            raise _concurrent()
        self._changed()
        return scheme


def unknown_scheme(name: object) -> NotFound:
    """There is no such scheme, or the caller may not know of it."""
    return NotFound(f"Security scheme not found: {str(name)[:200]}", code="SECURITY_SCHEME_NOT_FOUND")


def _concurrent() -> Conflict:
    return Conflict("The security scheme was changed meanwhile", code="CONCURRENT_UPDATE")


def _with(scheme: SecurityScheme, terms: SchemeTerms) -> SecurityScheme:
    """The scheme with what is given. Raises InvalidInput for what cannot be."""
    if terms.provider is not None:
        custom = terms.provider not in PROVIDER_ISSUERS
        if custom and terms.issuer_url is None:
            raise InvalidInput(
                f"providerType: expected one of {', '.join(PROVIDER_ISSUERS)}, or custom with an issuerUrl"
            )
        issuer = terms.issuer_url if custom else PROVIDER_ISSUERS[terms.provider]
        scheme = replace(
            scheme, provider=_text("provider", terms.provider), custom_provider=custom, issuer_url=issuer or ""
        )
        check_url("issuerUrl", scheme.issuer_url)
    if terms.client_id is not None:
        scheme = replace(scheme, client_id=_text("clientId", terms.client_id))
    if terms.client_secret is not None:
        scheme = replace(scheme, client_secret=_text("clientSecret", terms.client_secret))
    if terms.redirect_url is not None:
        check_url("redirectUrl", terms.redirect_url)
        scheme = replace(scheme, redirect_url=terms.redirect_url)
    if terms.scopes is not None:
        if len(terms.scopes) > _MAX_SCOPES or not all(map(_SCOPE.fullmatch, terms.scopes)):
            raise InvalidInput("scopes: expected words, such as openid and email")
        scheme = replace(scheme, scopes=tuple(dict.fromkeys(terms.scopes)))
    return scheme


def check_url(name: str, url: str) -> None:
    """Raise InvalidInput unless it is an https URL, or an http one of this machine alone."""
    try:
        parts = urlsplit(url)
        local = parts.hostname in ("localhost", "127.0.0.1", "::1")
        fine = parts.scheme == "https" or (parts.scheme == "http" and local)
        fine = fine and bool(parts.hostname) and parts.username is None and not parts.fragment
        _ = parts.port
    except ValueError:
        fine = False
    if not fine or len(url) > _MAX_TEXT or any(ord(character) <= 32 or ord(character) > 126 for character in url):
        raise InvalidInput(f"{name}: expected an https URL, or an http one of localhost")


def _text(name: str, text: str) -> str:
    if not 0 < len(text) <= _MAX_TEXT or not all(32 <= ord(character) <= 126 for character in text):
        raise InvalidInput(f"{name}: expected 1 to {_MAX_TEXT} printable characters")
    return text
