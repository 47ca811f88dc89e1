"""Addresses of databases, `postgres://user:password@host:port/database?option=value`: what guests open.

Only what the address says is used: nothing of the server's own environment, password files or certificates. Options
that nobody knows are left aside, as drivers do. Paths of files and unix sockets are refused: they are the server's.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlsplit

from golem_server.host.rdbms_errors import CONNECTION_FAILURE, RdbmsError

POSTGRES = "postgres"
MYSQL = "mysql"

_SCHEMES = {POSTGRES: ("postgres", "postgresql"), MYSQL: ("mysql",)}
_PORTS = {POSTGRES: 5432, MYSQL: 3306}
_USERS = {POSTGRES: "postgres", MYSQL: "root"}
_TLS_OPTIONS = {POSTGRES: ("sslmode", "ssl-mode"), MYSQL: ("ssl-mode", "sslmode")}
_TLS_MODES = {
    "disable": "disable",
    "disabled": "disable",
    "allow": "prefer",
    "prefer": "prefer",
    "preferred": "prefer",
    "require": "require",
    "required": "require",
    "verify-ca": "verify-ca",
    "verify-full": "verify-full",
    "verify-identity": "verify-full",
}
_FILES = ("sslrootcert", "ssl-ca", "sslcert", "ssl-cert", "sslkey", "ssl-key", "passfile", "service", "socket")

MAX_ADDRESS_LENGTH = 4096


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """A parsed address. `kind` is `postgres` or `mysql`; `pool_size` is None where the address names none."""

    kind: str
    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str
    tls: str
    options: tuple[tuple[str, str], ...]
    pool_size: int | None

    @property
    def masked(self) -> str:
        """The address for records and people: without the password."""
        secret = ":*****" if self.password else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.kind}://{quote(self.user)}{secret}@{host}:{self.port}/{quote(self.database)}"

    def option(self, name: str) -> str | None:
        """The value of an option, None where it is not given."""
        return dict(self.options).get(name)

    @property
    def tls_context(self) -> ssl.SSLContext | None:
        """How the connection is encrypted; None for not at all. `tls` says what follows where the server cannot."""
        if self.tls == "disable":
            return None
        context = _NamedContext(ssl.PROTOCOL_TLS_CLIENT)
        context.name = self.host
        context.check_hostname = self.tls == "verify-full"
        context.verify_mode = ssl.CERT_REQUIRED if self.tls.startswith("verify") else ssl.CERT_NONE
        if self.tls.startswith("verify"):
            context.load_default_certs()
        return context


class _NamedContext(ssl.SSLContext):
    """Checks certificates against the host's name, although the connection goes to an address of it."""

    name: str = ""

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        """Called by the event loop for each connection."""
        options["server_hostname"] = self.name
        return super().wrap_bio(*arguments, **options)


def parse_address(kind: str, text: str) -> DatabaseAddress:
    """Read an address. Raises RdbmsError (connection-failure)."""
    if len(text) > MAX_ADDRESS_LENGTH:
        raise _refused("the address is too long")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise _refused(str(error)) from None
    if not parts.scheme:
        raise _refused("the address has no scheme")
    if parts.scheme not in _SCHEMES[kind]:
        raise _refused(f"scheme '{parts.scheme}' in url is invalid")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name in _FILES:
        if name in options:
            raise _refused(f"option '{name}' names a file of the server, which guests cannot use")
    host = _host(parts, options)
    user = unquote(parts.username or "") or options.get("user") or _USERS[kind]
    password = unquote(parts.password or "") or options.get("password", "")
    database = unquote(parts.path.lstrip("/")) or options.get("dbname", "")
    for given in (user, password, database):
        if "\0" in given:
            raise _refused("the address contains a zero byte")
    return DatabaseAddress(
        kind=kind,
        host=host,
        port=port or _number(options, "port") or _PORTS[kind],
        user=user,
        password=password,
        database=database or (user if kind == POSTGRES else ""),
        tls=_tls(kind, options),
        options=tuple(sorted(options.items())),
        pool_size=_number(options, "pool_size"),
    )


def _host(parts: SplitResult, options: Mapping[str, str]) -> str:
    host = unquote(parts.hostname or "") or options.get("host") or "localhost"
    if "/" in host or host.startswith("@"):
        raise _refused("a unix socket is the server's own, guests cannot use it")
    return host


def _tls(kind: str, options: Mapping[str, str]) -> str:
    given = next((options[name] for name in _TLS_OPTIONS[kind] if name in options), "prefer")
    mode = _TLS_MODES.get(given.lower().replace("_", "-"))
    if mode is None:
        raise _refused(f"unknown mode of TLS '{given}'")
    return mode


def _number(options: Mapping[str, str], name: str) -> int | None:
    text = options.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdecimal() or not 0 < int(text[:6]) <= 65_535:
        raise _refused(f"option '{name}' is not a number from 1 to 65535")
    return int(text)


def _refused(text: str) -> RdbmsError:
    return RdbmsError(CONNECTION_FAILURE, text, happened=False)
