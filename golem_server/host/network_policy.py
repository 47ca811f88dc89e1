"""Where guests may connect: the one policy for everything that leaves the server on a worker's behalf.

Whoever connects for a guest asks `check_host` first, and connects to an address of its answer: a name is resolved once,
and cannot change between check and connection. The name itself still goes into the Host field and the TLS handshake.
A refusal is DestinationProhibited, which each interface turns into its own error. It is part of the live effect of a
recorded call, so that replay gives the recorded answer and never asks again.

The rules of `public` follow the registries of special-purpose addresses of IANA; see also reliability, section 4.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv6Address

from golem_server.network_rules import Address, Network, NetworkAccess, NetworkRule

LOOKUP_THREADS = 16
"""Names that are looked up at a time. The threads are their own: a name server that hangs delays nothing else."""

MAX_HOST_LENGTH = 253

_METADATA_HOSTS = frozenset({"metadata", "metadata.google.internal", "instance-data", "instance-data.ec2.internal"})

_NOT_PUBLIC: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # behind a carrier's translation; 100.100.100.200 is a metadata service
        "127.0.0.0/8",
        "168.63.129.16/32",  # a metadata service at a public address
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
    )
)
_PUBLIC_IPV6 = ipaddress.IPv6Network("2000::/3")
_IPV4_AS_IPV6 = ipaddress.IPv6Network("::/96")
_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")


class DestinationProhibited(OSError):
    """The network policy allows none of the destination's addresses."""


class NetworkPolicy:
    """Decides where guests may connect. The default forbids nothing.

    A rule of `deny` always forbids. Then one of `allow` permits, whatever the address is; a rule that names a host
    permits whatever the host's name stands for. What no rule names is up to `access`: everything, nothing, or all
    addresses of the public Internet but this machine's own.
    """

    def __init__(
        self,
        access: NetworkAccess = NetworkAccess.ALL,
        *,
        allow: Iterable[NetworkRule] = (),
        deny: Iterable[NetworkRule] = (),
    ) -> None:
        self.access = access
        self._allow = tuple(allow)
        self._deny = tuple(deny)
        self._lookups: ThreadPoolExecutor | None = None

    async def check_host(self, host: str, port: int) -> list[str]:
        """The addresses that a connection to this host may go to, at least one, the best first.

        `host` is a name or an address in any spelling, without port and brackets. Raises DestinationProhibited if the
        policy forbids it, socket.gaierror if there is no such host.
        """
        name = normal_host(host)
        literal = _literal(name)
        if literal is not None:
            addresses = [literal]
        elif self._hopeless(name, port):
            raise DestinationProhibited(host)
        else:
            addresses = await self._resolve(name, port)
        allowed = [address for address in addresses if self.allows(name, address, port)]
        if not allowed:
            raise DestinationProhibited(host)
        return allowed

    def allows(self, host: str, address: str, port: int) -> bool:
        """Whether guests may connect to this address, which `host` stands for. Raises ValueError if it is none."""
        name = normal_host(host)
        parsed = ipaddress.ip_address(address.partition("%")[0])
        forms = _forms(parsed)
        for rule in self._deny:
            if rule.matches_host(name, port) or any(rule.matches_address(form, port) for form in forms):
                return False
        for rule in self._allow:
            if rule.matches_host(name, port) or rule.matches_address(parsed, port):
                return True
        match self.access:
            case NetworkAccess.ALL:
                return True
            case NetworkAccess.LISTED:
                return False
            case NetworkAccess.PUBLIC:
                return name not in _METADATA_HOSTS and is_public(parsed) and not _is_of_this_machine(parsed)

    def close(self) -> None:
        """Let go of the threads."""
        if self._lookups is not None:
            self._lookups.shutdown(wait=False, cancel_futures=True)
            self._lookups = None

    def _hopeless(self, name: str, port: int) -> bool:
        """Whether no address could be allowed: then the name is not even looked up, for that can tell secrets."""
        if any(rule.matches_host(name, port) for rule in self._deny):
            return True
        permits = any(rule.network is not None or rule.matches_host(name, port) for rule in self._allow)
        return self.access is NetworkAccess.LISTED and not permits

    async def _resolve(self, name: str, port: int) -> list[str]:
        if self._lookups is None:
            self._lookups = ThreadPoolExecutor(LOOKUP_THREADS, thread_name_prefix="names")
        found = await asyncio.get_running_loop().run_in_executor(self._lookups, _look_up, name, port)
        return list(dict.fromkeys(found))


def normal_host(host: str) -> str:
    """A host's name in lower case, in ASCII, without a dot at its end. Raises socket.gaierror if it cannot be one."""
    name = host.strip("[]").lower()
    if ":" in name:
        return name
    name = name.removesuffix(".")
    try:
        name = name if name.isascii() else name.encode("idna").decode()
    except UnicodeError:
        name = ""
    if not name or len(name) > MAX_HOST_LENGTH or any(not 0 < len(label) <= 63 for label in name.split(".")):
        raise socket.gaierror(socket.EAI_NONAME, "not the name of a host")
    return name


def is_public(address: Address) -> bool:
    """Whether the address belongs to somebody on the public Internet."""
    if isinstance(address, IPv6Address) and address not in _PUBLIC_IPV6:
        return False
    return not any(address in network for network in _NOT_PUBLIC)


def _literal(name: str) -> str | None:
    """The address that a host's name spells out, also in the old ways: 127.1, 0x7f000001, 017700000001."""
    try:
        return str(ipaddress.ip_address(name.partition("%")[0])) + "".join(name.partition("%")[1:])
    except ValueError:
        pass
    if ":" in name:
        raise socket.gaierror(socket.EAI_NONAME, "not an address")
    try:
        return str(IPv4Address(socket.inet_aton(name))) if name.isascii() and " " not in name else None
    except OSError:
        return None


def _look_up(name: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
    except UnicodeError:
        raise socket.gaierror(socket.EAI_NONAME, "not the name of a host") from None
    return [str(address[0]) for family, *_, address in found if family in (socket.AF_INET, socket.AF_INET6)]


def _forms(address: Address) -> list[Address]:
    """The address, and the IPv4 address that it reaches by another way."""
    if isinstance(address, IPv4Address):
        return [address]
    inner = address.ipv4_mapped or address.sixtofour
    if inner is None and (address in _TRANSLATED or address in _IPV4_AS_IPV6):
        inner = IPv4Address(int(address) & 0xFFFFFFFF)
    return [address] if inner is None else [address, inner]


def _is_of_this_machine(address: Address) -> bool:
    """Whether packets to this address stay here: then the system would send them from the same address."""
    family = socket.AF_INET if isinstance(address, IPv4Address) else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((str(address), 9))  # nothing is sent
            return probe.getsockname()[0] == str(address)
    except OSError:
        return False
