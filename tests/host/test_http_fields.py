"""Header fields: who may change what, and that nothing breaks out of its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from golem_server.durable.signals import GuestError
from golem_server.host.http_fields import MAX_FIELDS, MAX_FIELDS_BYTES, Fields
from golem_server.model.types import Value
from tests.host.http_guest import Guest, http_worker

INVALID: Value = ("err", ("invalid-syntax", None))
FORBIDDEN: Value = ("err", ("forbidden", None))
IMMUTABLE: Value = ("err", ("immutable", None))
OK: Value = ("ok", None)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "é", "a\x00"])
def test_names_are_tokens(name: str) -> None:
    assert Fields().append(name, b"x") == INVALID
    assert Fields().set(name, []) == INVALID
    assert Fields().delete(name) == INVALID


@pytest.mark.parametrize("value", [b"a\r\nb: c", b"a\nb", b"a\rb", b"\x00", b"\x7f"])
def test_values_stay_on_their_line(value: bytes) -> None:
    assert Fields().append("a", value) == INVALID
    assert Fields().set("a", [b"fine", value]) == INVALID
    assert Fields().add_all([("a", b"fine"), ("b", value)]) == INVALID


@pytest.mark.parametrize("name", ["Host", "Connection", "transfer-encoding", "UPGRADE", "keep-alive"])
def test_fields_of_the_connection_are_forbidden(name: str) -> None:
    assert Fields().append(name, b"x") == FORBIDDEN
    assert Fields().set(name, [b"x"]) == FORBIDDEN
    assert Fields().delete(name) == FORBIDDEN
    assert Fields().add_all([(name, b"x")]) == FORBIDDEN


def test_names_are_matched_in_any_case_and_order_is_kept() -> None:
    fields = Fields()
    assert fields.add_all([("A", b"1"), ("b", b"2"), ("a", b"\xff\t3")]) == OK
    assert fields.get("a") == [b"1", b"\xff\t3"]
    assert fields.has("B")
    assert fields.items == [("a", b"1"), ("b", b"2"), ("a", b"\xff\t3")]
    assert fields.set("A", [b"4"]) == OK
    assert fields.items == [("b", b"2"), ("a", b"4")]
    assert fields.delete("B") == OK
    assert not fields.has("b")


def test_number_and_size_of_fields_are_bounded() -> None:
    fields = Fields([("a", b"")] * (MAX_FIELDS - 1))
    assert fields.append("a", b"") == OK
    with pytest.raises(GuestError):
        fields.append("a", b"")
    assert Fields().append("a", bytes([65]) * (MAX_FIELDS_BYTES - 1)) == OK
    with pytest.raises(GuestError):
        Fields().append("a", bytes([65]) * MAX_FIELDS_BYTES)


async def test_a_requests_headers_can_be_read_and_cloned_only(tmp_path: Path) -> None:
    async with http_worker(tmp_path) as worker:
        guest = Guest(worker)
        request = await guest.request("localhost", headers=[("a", b"1")])
        headers = await guest.call("[method]outgoing-request.headers", request)
        assert await guest.call("[method]fields.append", headers, "b", b"2") == IMMUTABLE
        assert await guest.call("[method]fields.set", headers, "a", [b"2"]) == IMMUTABLE
        assert await guest.call("[method]fields.delete", headers, "a") == IMMUTABLE
        clone = await guest.call("[method]fields.clone", headers)
        assert await guest.call("[method]fields.append", clone, "b", b"2") == OK
        assert await guest.call("[method]fields.entries", clone) == [("a", b"1"), ("b", b"2")]
        assert await guest.call("[method]fields.entries", headers) == [("a", b"1")]
        assert await guest.call("[method]fields.has", headers, "A")
        assert await guest.call("[static]fields.from-list", [("host", b"x")]) == FORBIDDEN
