"""Where guests may connect: every spelling of a forbidden address, names that lead there, and what the lists say."""

from __future__ import annotations

import ipaddress
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from golem_server.host.network_policy import DestinationProhibited, NetworkPolicy, is_public, normal_host
from golem_server.network_rules import NetworkAccess, parse_network_rule
from tests.host.http_guest import Guest, http_worker, web_server

PROHIBITED: Any = ("destination-IP-prohibited", None)


def policy(access: str = "public", *, allow: str = "", deny: str = "") -> NetworkPolicy:
    """A policy of these rules."""
    return NetworkPolicy(
        NetworkAccess(access),
        allow=[parse_network_rule(rule) for rule in allow.split()],
        deny=[parse_network_rule(rule) for rule in deny.split()],
    )


SPELLINGS = [
    # Loopback, in all the ways of inet_aton.
    *("127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001"),
    *("0x7f.0.0.0x1", "127.0.0.1.", "127.255.255.254", "0", "0.0.0.0", "0x0", "00000177.1", "0X7F.0X0.1"),
    # Private, link-local, metadata, carrier NAT, reserved, multicast, broadcast.
    *("10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "169.254.169.254", "2852039166"),
    *("0xa9fea9fe", "0251.0376.0251.0376", "100.64.0.1", "100.100.100.200", "192.0.0.192", "168.63.129.16"),
    *("198.18.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1"),
    *("255.255.255.255", "192.88.99.1", "0.1.2.3"),
    # IPv6.
    *("::1", "[::1]", "::", "0:0:0:0:0:0:0:1", "fe80::1", "fe80::1%lo", "fe80::1%1", "fc00::1", "fd00:ec2::254"),
    *("ff02::1", "fec0::1", "2001:db8::1", "2001::1", "2002:7f00:1::", "100::1", "3fff::1", "5f00::1"),
    # IPv4 within IPv6.
    *("::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
    *("64:ff9b:1::1", "::ffff:8.8.8.8", "::ffff:0:127.0.0.1"),
    # Names that lead there, or that are known to.
    *("localhost", "LOCALHOST", "localhost.", "metadata.google.internal", "Metadata.Google.Internal."),
]


@pytest.mark.parametrize("host", SPELLINGS)
async def test_nothing_but_the_public_internet(host: str) -> None:
    with pytest.raises((DestinationProhibited, socket.gaierror)):
        await policy().check_host(host, 80)


@pytest.mark.parametrize(
    "host", ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700:4700::1111", "11.0.0.1"]
)
async def test_the_public_internet(host: str) -> None:
    assert await policy().check_host(host, 443) == [host]


async def test_an_address_in_another_spelling_is_answered_in_the_usual_one() -> None:
    assert await policy("all").check_host("0x7f.1", 80) == ["127.0.0.1"]
    assert await policy("all").check_host("[0:0::1]", 80) == ["::1"]


async def test_this_machine_is_not_public_under_any_of_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but loopback")
        own = probe.getsockname()[0]

    def public(_address: object) -> bool:
        return True

    monkeypatch.setattr("golem_server.host.network_policy.is_public", public)
    assert not policy().allows(own, own, 80)
    assert policy().allows("192.0.2.1", "192.0.2.1", 80)


@pytest.mark.parametrize(
    ("rules", "host", "port", "allowed"),
    [
        ({"allow": "10.0.0.0/8"}, "10.1.2.3", 80, True),
        ({"allow": "10.0.0.0/8:5432"}, "10.1.2.3", 5432, True),
        ({"allow": "10.0.0.0/8:5432"}, "10.1.2.3", 80, False),
        ({"allow": "localhost"}, "LocalHost.", 80, True),
        ({"allow": "localhost:81"}, "localhost", 80, False),
        ({"allow": "127.0.0.1"}, "0x7f.1", 80, True),
        ({"allow": "10.0.0.0/8", "deny": "10.1.0.0/16"}, "10.1.2.3", 80, False),
        ({"allow": "localhost", "deny": "127.0.0.0/8 ::1"}, "localhost", 80, False),
        ({"access": "all"}, "10.1.2.3", 80, True),
        ({"access": "all", "deny": "10.0.0.0/8"}, "10.1.2.3", 80, False),
        ({"access": "all", "deny": "10.0.0.0/8"}, "::ffff:10.1.2.3", 80, False),
        ({"access": "all", "deny": "10.0.0.0/8"}, "64:ff9b::a01:203", 80, False),
        ({"access": "all", "deny": "10.0.0.0/8"}, "2002:a01:203::1", 80, False),
        ({"access": "all", "deny": "10.0.0.0/8"}, "::a01:203", 80, False),
        ({"access": "all", "deny": "localhost"}, "localhost", 80, False),
        ({"access": "listed"}, "8.8.8.8", 80, False),
        ({"access": "listed", "allow": "8.8.8.8:53"}, "8.8.8.8", 53, True),
        ({"access": "listed", "allow": "[2001:db8::/32]:443"}, "2001:db8::5", 443, True),
    ],
)
async def test_lists(rules: dict[str, str], host: str, port: int, allowed: bool) -> None:
    if allowed:
        assert await policy(**rules).check_host(host, port)
    else:
        with pytest.raises(DestinationProhibited):
            await policy(**rules).check_host(host, port)


def names_stand_for(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Let looking up a name give these addresses, one answer after the other. Returns the names that were asked for."""
    asked: list[str] = []

    def look_up(name: str, _port: int) -> list[str]:
        asked.append(name)
        return answers[min(len(asked), len(answers)) - 1]

    monkeypatch.setattr("golem_server.host.network_policy._look_up", look_up)
    return asked


async def test_hosts_and_domains(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = names_stand_for(monkeypatch, ["10.0.0.1"])
    rules = policy("listed", allow="db.internal *.example.com", deny="bad.example.com")
    for host in ("db.internal", "a.example.com", "A.B.Example.COM."):
        assert await rules.check_host(host, 80) == ["10.0.0.1"]
    assert asked == ["db.internal", "a.example.com", "a.b.example.com"]
    for host in ("internal", "xdb.internal", "example.com", "aexample.com", "bad.example.com"):
        with pytest.raises(DestinationProhibited):
            await rules.check_host(host, 80)
    # A name that cannot be allowed is not looked up.
    assert len(asked) == 3


async def test_only_the_allowed_addresses_of_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    names_stand_for(monkeypatch, ["127.0.0.1", "8.8.8.8", "::1", "8.8.8.8"])
    assert await policy().check_host("two-faced.example", 80) == ["8.8.8.8"]


async def test_a_name_that_changes_between_check_and_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first answer is allowed and leads nowhere; the second, which nobody may ask for, would be the canary."""
    asked = names_stand_for(monkeypatch, ["127.0.0.2"], ["127.0.0.1"])
    async with web_server() as canary, http_worker(tmp_path, policy=policy(allow="127.0.0.2")) as worker:
        worker.context.assume_idempotence = False
        port = canary.authority.rpartition(":")[2]
        response = await Guest(worker).fetch(f"rebinding.example:{port}", method="post")
        assert response.error == ("connection-refused", None)
        assert (canary.seen, asked) == ([], ["rebinding.example"])


async def test_the_name_stays_in_the_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names_stand_for(monkeypatch, ["127.0.0.1"])
    async with web_server() as server, http_worker(tmp_path, policy=policy(allow="127.0.0.1")) as worker:
        authority = f"shop.example:{server.authority.rpartition(':')[2]}"
        assert (await Guest(worker).fetch(authority)).status == 201
        assert server.seen[0].headers["host"] == authority


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "LOCALHOST.", "[::1]", "[::ffff:127.0.0.1]", "0x7f.1", "0177.0.0.1", "127.1", "0"],
)
async def test_no_request_reaches_what_is_forbidden(tmp_path: Path, host: str) -> None:
    async with web_server() as canary, http_worker(tmp_path, policy=policy()) as worker:
        authority = f"{host}:{canary.authority.rpartition(':')[2]}"
        error = (await Guest(worker).fetch(authority)).error
        assert error in (PROHIBITED, ("HTTP-request-URI-invalid", None))
        assert canary.seen == []


async def test_a_refusal_is_recorded_and_not_decided_anew(tmp_path: Path) -> None:
    rules = policy()
    async with web_server() as server, http_worker(tmp_path, policy=rules) as worker:
        assert (await Guest(worker).fetch(server.authority)).error == PROHIBITED
        rules.access = NetworkAccess.ALL
        await worker.replay()
        assert (await Guest(worker).fetch(server.authority)).error == PROHIBITED
        assert worker.context.is_live
        assert server.seen == []
        assert (await Guest(worker).fetch(server.authority)).status == 201


@pytest.mark.parametrize("host", ["", ".", "a..b", "a" * 64, ".".join(["abc"] * 70), "\ud800", ":", "1:2", "fe80::zz"])
async def test_what_is_no_host(host: str) -> None:
    with pytest.raises(socket.gaierror):
        await policy("all").check_host(host, 80)


@pytest.mark.parametrize(
    "text",
    ["10.0.0.1/8", "", "10.0.0.0/33", "a b", "300.1.1.1", "x:0", "x:70000", "*.*.x", "-a", "http://a", "*", "a/8"],
)
def test_rules_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|port|networks"):
        parse_network_rule(text)


@pytest.mark.parametrize(
    "text", ["10.0.0.0/8", "db.internal:5432", "*.x.y", "[fd00::/8]:443", "::1/128", "[::1/128]:80"]
)
def test_rules_are_written_as_they_are_read(text: str) -> None:
    assert str(parse_network_rule(text)) == text
    assert parse_network_rule(f" {text.upper()} ") == parse_network_rule(text)


@given(st.ip_addresses())
def test_what_is_public_is_so_for_python_too(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """Ours is the stricter one: what it calls public is global for the standard library, and never multicast."""
    if is_public(address):
        assert address.is_global
        assert not address.is_multicast


@given(st.text())
def test_any_text_is_a_host_or_refused(text: str) -> None:
    try:
        name = normal_host(text)
    except socket.gaierror:
        return
    assert normal_host(name) == name
