"""wasi:sockets: names are looked up and recorded; sockets are there, and reach nothing."""

from __future__ import annotations

import re
import socket
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis.strategies import ip_addresses, text

from golem_server.durable.signals import GuestError
from golem_server.host import network_policy, wasi_ip_name_lookup, wasi_sockets
from golem_server.host.network_policy import NetworkPolicy
from golem_server.host.resources import IoError
from golem_server.model.oplog import Category
from golem_server.model.types import Value
from golem_server.network_rules import NetworkAccess, parse_network_rule
from tests.host.host_worker import HostWorker

INTERFACES = [*wasi_ip_name_lookup.INTERFACES, *wasi_sockets.INTERFACES]
LOOKUP, TCP, UDP = (f"wasi:sockets/{name}" for name in ("ip-name-lookup", "tcp", "udp"))
LOOPBACK = ("ipv4", {"port": 80, "address": (127, 0, 0, 1)})
LOOPBACK6 = ("ipv6", {"port": 80, "flow-info": 0, "address": (0, 0, 0, 0, 0, 0, 0, 1), "scope-id": 0})


class Names:
    """What names stand for, instead of the machine's own look-up."""

    def __init__(self, answers: dict[str, list[str] | int]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def __call__(self, name: str, port: int, **_facts: Any) -> list[Any]:
        """As `socket.getaddrinfo`."""
        self.asked.append(name)
        answer = self.answers[name]
        if isinstance(answer, int):
            raise socket.gaierror(answer, "no")
        families = {True: socket.AF_INET6, False: socket.AF_INET}
        return [(families[":" in each], socket.SOCK_STREAM, 6, "", (each, port)) for each in answer]


async def new_worker(folder: Path, policy: NetworkPolicy | None = None) -> HostWorker:
    """A worker with a network."""
    return await HostWorker.create(folder, INTERFACES, services={NetworkPolicy: policy or NetworkPolicy()})


async def resolve(worker: HostWorker, name: str) -> Value:
    """All addresses of a name, or the error."""
    network = await worker.call("wasi:sockets/instance-network", "instance-network")
    tag, content = await worker.call(LOOKUP, "resolve-addresses", network, name)
    if tag == "err":
        return content
    pollable = await worker.call(LOOKUP, "[method]resolve-address-stream.subscribe", content)
    assert pollable
    found: list[Value] = []
    while True:
        tag, address = await worker.call(LOOKUP, "[method]resolve-address-stream.resolve-next-address", content)
        assert tag == "ok"
        if address is None:
            return found
        found.append(address)


async def test_names_are_looked_up_once_and_replayed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names({"golem.test": ["192.0.2.7", "2001:db8::1:ff", "192.0.2.7"], "gone.test": socket.EAI_NONAME})
    monkeypatch.setattr(network_policy.socket, "getaddrinfo", names)
    worker = await new_worker(tmp_path)
    first = await resolve(worker, "golem.test")
    assert first == [("ipv4", (192, 0, 2, 7)), ("ipv6", (0x2001, 0xDB8, 0, 0, 0, 0, 1, 0xFF))]
    assert await resolve(worker, "gone.test") == "name-unresolvable"
    calls = await worker.host_calls()
    assert [(call.function, call.category) for call in calls] == [
        ("sockets::ip_name_lookup::resolve_addresses", Category.READ_REMOTE)
    ] * 2
    assert calls[0].request == {"name": "golem.test"}
    names.answers.clear()
    worker.services = {}
    await worker.replay()
    assert await resolve(worker, "golem.test") == first
    assert await resolve(worker, "gone.test") == "name-unresolvable"
    assert worker.context.is_live
    assert await worker.host_calls() == calls


async def test_the_machine_knows_its_own_name(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    assert ("ipv4", (127, 0, 0, 1)) in await resolve(worker, "localhost")
    assert await resolve(worker, "::1") == [("ipv6", (0, 0, 0, 0, 0, 0, 0, 1))]
    assert await resolve(worker, "10.1.2.3") == [("ipv4", (10, 1, 2, 3))]


@pytest.mark.parametrize(
    ("code", "expected", "attempts"),
    [
        (socket.EAI_NONAME, "name-unresolvable", 1),
        (socket.EAI_NODATA, "name-unresolvable", 1),
        (socket.EAI_FAIL, "permanent-resolver-failure", 1),
        (socket.EAI_AGAIN, "temporary-resolver-failure", 4),
        (socket.EAI_FAMILY, "permanent-resolver-failure", 1),
    ],
)
async def test_errors_of_the_look_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, expected: str, attempts: int
) -> None:
    names = Names({"golem.test": code})
    monkeypatch.setattr(network_policy.socket, "getaddrinfo", names)
    worker = await new_worker(tmp_path)
    assert await resolve(worker, "golem.test") == expected
    assert len(names.asked) == attempts
    assert len(await worker.host_calls()) == 1


@pytest.mark.parametrize("name", ["", ".", "a..b", "x" * 64 + ".test", "a\0b.test", "[", "ü" * 80, "1:2:3"])
async def test_what_is_no_name_is_an_error(tmp_path: Path, name: str) -> None:
    worker = await new_worker(tmp_path)
    assert await resolve(worker, name) in ("invalid-argument", "name-unresolvable", "temporary-resolver-failure")


async def test_the_network_policy_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = Names({"inside.test": ["10.0.0.1"], "both.test": ["10.0.0.1", "1.1.1.1"]})
    monkeypatch.setattr(network_policy.socket, "getaddrinfo", names)
    policy = NetworkPolicy(NetworkAccess.PUBLIC, deny=[parse_network_rule("denied.test")])
    worker = await new_worker(tmp_path, policy)
    assert await resolve(worker, "inside.test") == "access-denied"
    assert await resolve(worker, "denied.test") == "access-denied"
    assert await resolve(worker, "169.254.169.254") == "access-denied"
    assert await resolve(worker, "both.test") == [("ipv4", (1, 1, 1, 1))]
    assert names.asked == ["inside.test", "both.test"]


async def test_sockets_reach_no_address(tmp_path: Path) -> None:
    worker = await new_worker(tmp_path)
    network = await worker.call("wasi:sockets/instance-network", "instance-network")
    for kind, interface in (("tcp", TCP), ("udp", UDP)):
        for family, address, other in (("ipv4", LOOPBACK, LOOPBACK6), ("ipv6", LOOPBACK6, LOOPBACK)):
            tag, handle = await worker.call(f"wasi:sockets/{kind}-create-socket", f"create-{kind}-socket", family)
            assert tag == "ok"
            method = f"[method]{kind}-socket."
            assert await worker.call(interface, f"{method}address-family", handle) == family
            starting = ["start-bind", "start-connect"] if kind == "tcp" else ["start-bind"]
            for name in starting:
                assert await worker.call(interface, method + name, handle, network, address) == ("err", "access-denied")
                assert await worker.call(interface, method + name, handle, network, other) == (
                    "err",
                    "invalid-argument",
                )
            assert await worker.call(interface, f"{method}finish-bind", handle) == ("err", "not-in-progress")
            assert await worker.call(interface, f"{method}subscribe", handle)
            assert await worker.call(interface, f"{method}set-receive-buffer-size", handle, 0) == (
                "err",
                "invalid-argument",
            )
            assert await worker.call(interface, f"{method}set-receive-buffer-size", handle, 7) == ("ok", None)
            assert await worker.call(interface, f"{method}receive-buffer-size", handle) == ("ok", 7)
    assert await worker.call(UDP, "[method]udp-socket.stream", handle, None) == ("err", "invalid-state")
    tag, handle = await worker.call("wasi:sockets/tcp-create-socket", "create-tcp-socket", "ipv4")
    assert await worker.call(TCP, "[method]tcp-socket.set-keep-alive-enabled", handle, False) == ("ok", None)
    assert await worker.call(TCP, "[method]tcp-socket.finish-connect", handle) == ("err", "not-in-progress")
    assert await worker.call(TCP, "[method]tcp-socket.start-listen", handle) == ("err", "invalid-state")
    assert await worker.call(TCP, "[method]tcp-socket.accept", handle) == ("err", "invalid-state")
    assert await worker.call(TCP, "[method]tcp-socket.is-listening", handle) is False
    with pytest.raises(GuestError):
        await worker.call(UDP, "[method]udp-socket.stream", handle, None)
    error = worker.context.resources.add(IoError("a text", "access"))
    assert await worker.call("wasi:sockets/network", "network-error-code", error) is None
    assert await worker.host_calls() == []


METHODS = """
tcp: start-bind finish-bind start-connect finish-connect start-listen finish-listen accept local-address remote-address
 is-listening address-family set-listen-backlog-size keep-alive-enabled set-keep-alive-enabled keep-alive-idle-time
 set-keep-alive-idle-time keep-alive-interval set-keep-alive-interval keep-alive-count set-keep-alive-count hop-limit
 set-hop-limit receive-buffer-size set-receive-buffer-size send-buffer-size set-send-buffer-size subscribe shutdown
udp: start-bind finish-bind stream local-address remote-address address-family unicast-hop-limit set-unicast-hop-limit
 receive-buffer-size set-receive-buffer-size send-buffer-size set-send-buffer-size subscribe
"""


def test_every_method_is_there() -> None:
    declared = {function.name for interface in INTERFACES for function in interface.functions}
    for kind, names in re.findall(r"(\w+): ([^:]+?)(?=\n\w+:|\Z)", METHODS.strip()):
        assert {f"[method]{kind}-socket.{name}" for name in names.split()} <= declared


@given(ip_addresses())
def test_addresses_have_the_form_of_the_interface(address: IPv4Address | IPv6Address) -> None:
    family, parts = wasi_ip_name_lookup.ip_address(str(address))
    assert family == f"ipv{address.version}"
    width, count = (1, 4) if address.version == 4 else (2, 8)
    assert len(parts) == count
    assert b"".join(part.to_bytes(width) for part in parts) == address.packed


@given(text())
async def test_no_name_breaks_the_look_up(name: str) -> None:
    """Nothing is looked up: the policy permits no name."""
    with TemporaryDirectory() as folder:
        worker = await new_worker(Path(folder), NetworkPolicy(NetworkAccess.LISTED))
        assert await resolve(worker, name) in ("invalid-argument", "access-denied", "name-unresolvable")
