"""wasi:sockets: the network, and the look-up of names, which is recorded.

The network policy is asked: names that guests may not connect to are not looked up for them.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
import socket
from typing import Any

from golem_server.durable.context import WorkerContext
from golem_server.durable.host_function import HostInterface
from golem_server.durable.retry import delay_seconds
from golem_server.host.network_policy import DestinationProhibited, NetworkPolicy, normal_host
from golem_server.host.resources import AlwaysReady, IoError
from golem_server.model.oplog import Category
from golem_server.model.types import Value

network = HostInterface("wasi:sockets/network")
instance = HostInterface("wasi:sockets/instance-network")
lookup = HostInterface("wasi:sockets/ip-name-lookup")

INTERFACES = [network, instance, lookup]

MAX_ADDRESSES = 256
"""Addresses of one name; more are left out."""

LOOKUP_SECONDS = 30.0

_TEMPORARY = "temporary-resolver-failure"
_BY_CODE = {
    socket.EAI_NONAME: "name-unresolvable",
    getattr(socket, "EAI_NODATA", socket.EAI_NONAME): "name-unresolvable",
    socket.EAI_AGAIN: _TEMPORARY,
    socket.EAI_MEMORY: "out-of-memory",
}


class Network:
    """The resource `network`: there is one, and it lets nothing through but questions for names."""


class AddressStream:
    """The resource `resolve-address-stream`."""

    def __init__(self, addresses: list[str]) -> None:
        self._addresses = iter(addresses)

    def next(self) -> Value:
        """The next `ip-address`, None at the end."""
        address = next(self._addresses, None)
        return None if address is None else ip_address(address)


def ip_address(text: str) -> Value:
    """An `ip-address` as guests know it."""
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv4Address):
        return ("ipv4", tuple(address.packed))
    packed = address.packed
    return ("ipv6", tuple(int.from_bytes(packed[place : place + 2]) for place in range(0, 16, 2)))


@network.unrecorded("network-error-code")
def network_error_code(context: WorkerContext, handle: int) -> Value:
    """The network's code in an error of a stream. None, since no stream leads to the network."""
    context.resources.get(handle, IoError)
    return None


@instance.unrecorded("instance-network")
def instance_network(context: WorkerContext) -> Value:
    """The network."""
    return context.resources.add(Network())


def _name(_context: WorkerContext, _network: int, name: str) -> Value:
    return {"name": name}


@lookup.recorded("resolve-addresses", Category.READ_REMOTE, "sockets::ip_name_lookup::resolve_addresses", request=_name)
async def resolve_addresses(context: WorkerContext, network: int, name: str) -> Value:
    """All addresses of a name, which may be an address itself."""
    context.resources.get(network, Network)
    attempts = 0
    while True:
        tag, found = await _look_up(context, name)
        policy = context.retry_policy
        if tag == "ok" or found != _TEMPORARY or attempts >= policy.max_attempts or context.inside_atomic_region:
            return (tag, found)
        await context.pause(delay_seconds(policy, attempts, random.random()))
        attempts += 1


async def _look_up(context: WorkerContext, name: str) -> tuple[str, Any]:
    """("ok", addresses) or ("err", code)."""
    if not name.isprintable() or " " in name:
        return ("err", "invalid-argument")
    try:
        normal_host(name)
    except (socket.gaierror, UnicodeError):
        return ("err", "invalid-argument")
    try:
        async with asyncio.timeout(LOOKUP_SECONDS):
            found = await context.service(NetworkPolicy).check_host(name, 0)
    except DestinationProhibited:
        return ("err", "access-denied")
    except TimeoutError:
        return ("err", _TEMPORARY)
    except socket.gaierror as error:
        return ("err", _BY_CODE.get(error.errno or 0, "permanent-resolver-failure"))
    except (OSError, ValueError):
        return ("err", "permanent-resolver-failure")
    return ("ok", [address.partition("%")[0] for address in found[:MAX_ADDRESSES]])


@resolve_addresses.finish
def _(context: WorkerContext, response: Value, _network: int, _name: str) -> Value:
    tag, found = response
    return ("ok", context.resources.add(AddressStream(found))) if tag == "ok" else ("err", found)


@lookup.unrecorded("[method]resolve-address-stream.resolve-next-address")
def resolve_next_address(context: WorkerContext, handle: int) -> Value:
    """The next address, none after the last one."""
    return ("ok", context.resources.get(handle, AddressStream).next())


@lookup.unrecorded("[method]resolve-address-stream.subscribe")
def subscribe(context: WorkerContext, handle: int) -> Value:
    """Always ready: all addresses are there."""
    context.resources.get(handle, AddressStream)
    return context.resources.add(AlwaysReady())
