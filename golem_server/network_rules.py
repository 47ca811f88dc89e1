"""Networks and hosts as people write them in settings: "10.0.0.0/8", "db.internal:5432", "*.example.com".

A rule names a network, one address, a host, or all hosts below a domain, each on one port or on all.
"""

import ipaddress
import re
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Annotated, TypeAlias, cast

from pydantic import BeforeValidator
from pydantic_settings import NoDecode

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*")
_NUMBERS = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)(?:\.(?:0x[0-9a-f]*|[0-9]+))*")
_WITH_PORT = re.compile(r"(?:\[(?P<inner>[^\]]+)\]|(?P<plain>[^:]+)):(?P<port>[0-9]{1,5})")


class NetworkAccess(StrEnum):
    """Where guests may connect, apart from what the lists of rules say."""

    ALL = "all"
    PUBLIC = "public"
    LISTED = "listed"


@dataclass(frozen=True, slots=True)
class NetworkRule:
    """A network or a host pattern (the other is None), on one port or, with None, on all.

    A host pattern is in lower case; `*.domain` stands for every name below the domain.
    """

    network: Network | None
    host: str | None
    port: int | None

    def matches_address(self, address: Address, port: int) -> bool:
        """Whether the rule names this address. Rules for hosts name none."""
        return self.network is not None and self._port_fits(port) and address in self.network

    def matches_host(self, host: str, port: int) -> bool:
        """Whether the rule names this host, which is in lower case and without a dot at its end."""
        if self.host is None or not self._port_fits(port):
            return False
        return host.endswith(self.host[1:]) if self.host.startswith("*.") else host == self.host

    def _port_fits(self, port: int) -> bool:
        return self.port is None or self.port == port

    def __str__(self) -> str:
        """The text that `parse_network_rule` reads back."""
        name = str(self.network) if self.network is not None else str(self.host)
        if self.port is None:
            return name
        return f"[{name}]:{self.port}" if ":" in name else f"{name}:{self.port}"


def parse_network_rule(text: str) -> NetworkRule:
    """The rule that a text names. Raises ValueError."""
    name, port = text.strip().lower(), None
    match = _WITH_PORT.fullmatch(name)
    if match is not None:
        name, port = match["inner"] or match["plain"], int(match["port"])
        if not 0 < port <= 0xFFFF:
            raise ValueError(f"{text}: a port is a number from 1 to 65535")
    name = name.removeprefix("[").removesuffix("]")
    try:
        return NetworkRule(ipaddress.ip_network(name), None, port)
    except ValueError:
        name = name.removesuffix(".")
        # What consists of numbers alone was meant as an address; no host is called so.
        if not _HOST.fullmatch(name) or _NUMBERS.fullmatch(name):
            raise ValueError(
                f"{text}: expected a network such as 10.0.0.0/8, an address, a host or *.domain, each with or without"
                " a port (db.internal:5432, [fd00::/8]:443); the bits after a network's prefix must be 0"
            ) from None
    return NetworkRule(None, name, port)


def _parse_all(value: object) -> tuple[NetworkRule, ...]:
    """Rules as a list of texts, or as one text with commas."""
    if isinstance(value, str):
        return tuple(parse_network_rule(part) for part in value.split(",") if part.strip())
    if not isinstance(value, list | tuple):
        raise ValueError("expected a list of networks and hosts")
    return tuple(_rule(part) for part in cast("list[object]", value))


def _rule(value: object) -> NetworkRule:
    if isinstance(value, NetworkRule):
        return value
    if not isinstance(value, str):
        raise ValueError("expected a list of networks and hosts")
    return parse_network_rule(value)


NetworkRules = Annotated[tuple[NetworkRule, ...], NoDecode, BeforeValidator(_parse_all)]
"""Rules that settings write as a list of texts, and a flag or the environment as one text with commas."""
